//! Who has which design, and why what a server proposes does not count yet.

use super::super::events::Authors;
use std::collections::BTreeSet;
use tandem_actors::Handle;
use tandem_storage::fold::{Design, incremental::Fold};
use tandem_wire::{ChainId, DeviceKey, Mark, OpRef, Role, VersionTable};

/// The newest proposal of a server.
pub struct Proposed {
    /// Enough of it to find it by.
    pub name: String,
    /// The server.
    pub server: String,
    /// What became of it: one word.
    pub word: &'static str,
    /// What it waits for, or why it failed; nothing where it is merged.
    pub why: Option<String>,
}

/// The steps of the design that count, and the merges of those that were proposed: their places.
pub fn changes(design: &Design) -> BTreeSet<(ChainId, u64)> {
    let proposing: BTreeSet<DeviceKey> = design.proposals.keys().map(|proposal| proposal.chain.device).collect();
    let merged = design.proposals.values().filter_map(|state| state.merged);
    let steps = design.elements.values().flat_map(|element| {
        element.properties.values().map(|property| property.by).chain([element.by]).collect::<Vec<OpRef>>()
    });
    let own = steps.filter(|by| !proposing.contains(&by.chain.device));
    merged.chain(own).map(|by| (by.chain, by.seq)).collect()
}

/// How many of these changes somebody lacks who has so much.
pub fn behind(changes: &BTreeSet<(ChainId, u64)>, theirs: &VersionTable) -> u64 {
    let has = |(chain, seq): &(ChainId, u64)| theirs.ends(*chain).any(|end| end.seq >= *seq);
    changes.iter().filter(|change| !has(change)).count() as u64
}

/// The newest proposal of each server that judges now.
pub fn proposed(workspace: &Handle, device: DeviceKey) -> Vec<Proposed> {
    let (fold, authors) = (workspace.fold(), Authors::of(workspace));
    let judges = |chain: &ChainId| fold.present_terms().any(|term| term.chain() == *chain);
    let present = fold.design().newest_proposals().filter(|proposal| judges(&proposal.chain));
    present.map(|proposal| describe(&fold, &authors, proposal, device)).collect()
}

fn describe(fold: &Fold, authors: &Authors, proposal: OpRef, device: DeviceKey) -> Proposed {
    let state = &fold.design().proposals[&proposal];
    let (word, why) = match (state.merged, state.failed.first()) {
        (Some(_), _) => ("merged", None),
        (None, Some(failed)) => {
            let by = authors.name(failed.chain.device);
            ("failed", Some(format!("it does not fit the records of {by}: `tandem design history` says which")))
        }
        (None, None) => ("open", Some(waits_for(fold, &proposal, device))),
    };
    Proposed { name: proposal.tag.to_string()[..8].to_owned(), server: authors.name(proposal.chain.device), word, why }
}

/// What a proposal waits for, as far as this node can do something.
fn waits_for(fold: &Fold, proposal: &OpRef, device: DeviceKey) -> String {
    let role = fold.role_of(device);
    if proposal.chain.device == device {
        return "it waits for a member's node to rehearse it".into();
    }
    if role.is_none_or(|role| role < Role::Writer) {
        return "it waits for the node of a member who may write: this one may not".into();
    }
    let own = fold.version_table();
    let asked = fold.proposed(proposal).into_iter().flat_map(|proposed| &proposed.table);
    let lacks = asked.filter(|Mark(end)| !own.ends(end.chain).any(|own| own.seq >= end.seq)).count();
    match lacks {
        0 => "this node rehearses it".into(),
        lacks => format!("it waits for what the server had: {lacks} chains of events are not all here"),
    }
}
