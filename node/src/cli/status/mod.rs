//! `tandem status`: how each workspace stands with its peers. One word from a fixed list for each.

mod design;

use self::design::Proposed;
use super::{
    CliError, Console, Exit,
    args::Json,
    events::{Authors, when},
};
use crate::show::{Column, Table, escape};
use serde_json::json;
use std::collections::BTreeMap;
use tandem_actors::{
    Handle, Node, PeerStatus,
    peer_link::{Standing, mesh::LINKS_MAX},
};
use tandem_storage::inbox::Entry;
use tandem_wire::{DeviceKey, VersionTable};

/// Clocks that differ by more are told of.
const CLOCKS_MS_MAX: u64 = 5_000;

pub(super) fn status(node: &Node, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    for info in node.workspaces()? {
        let workspace = node.workspace(info.id)?;
        let standing = Standings::of(node, &workspace, info.left);
        let inbox = workspace.read().inbox()?;
        let held = inbox.iter().filter(|entry| matches!(entry, Entry::Held { .. })).count();
        let designs = inbox.iter().filter(|entry| matches!(entry, Entry::DesignFailed(_))).count();
        let conflicts = inbox.len() - held - designs;
        let word = standing.word();
        let proposed = design::proposed(&workspace, node.device());
        if json.json {
            let peers: Vec<_> = standing.peers.iter().map(Peer::json).collect();
            console.line(json!({
                "workspace": info.id.to_string(),
                "name": info.name,
                "status": word,
                "online": node.is_online(),
                "conflicts": conflicts,
                "held": held,
                "events": standing.events,
                "design": proposed.iter().map(design_json).collect::<Vec<_>>(),
                "peers": peers,
                "lists": lists(&workspace, &inbox)?,
            }))?;
            continue;
        }
        let mut text = format!("{}: {word}", escape(&info.name));
        if word == "syncing" {
            let have_all = standing.peers.iter().filter(|peer| peer.has_all()).count();
            text.push_str(&format!(" ({have_all} of {} others have everything)", standing.peers.len()));
        }
        for (count, what) in [(conflicts, "conflicts"), (held, "held")] {
            if count > 0 {
                text.push_str(&format!(", {what} {count}"));
            }
        }
        console.line(text)?;
        let mut table = Table::new([
            Column::text("  PEER"),
            Column::text("STATUS"),
            Column::number("LACKS"),
            Column::text("DESIGN"),
            Column::text("CLOCK"),
        ]);
        for peer in &standing.peers {
            let lacks = peer.lacks.map_or("?".to_owned(), |lacks| lacks.to_string());
            table.row([format!("  {}", peer.name), peer.text(), lacks, peer.design(), peer.clock()]);
        }
        if !standing.peers.is_empty() {
            console.table(table)?;
        }
        for Proposed { name, server, word, why } in &proposed {
            let why = why.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
            console.line(format_args!("  design {name} of {}: {word}{}", escape(server), escape(&why)))?;
        }
    }
    Ok(Exit::Success)
}

/// How a workspace stands.
struct Standings {
    is_left: bool,
    is_member: bool,
    is_online: bool,
    events: u64,
    peers: Vec<Peer>,
}

/// Another member's device.
struct Peer {
    device: DeviceKey,
    name: String,
    standing: Option<Standing>,
    /// When a link to it ended last, if there is none now.
    since_ms: Option<u64>,
    /// Events that it lacks of those that are here; nothing where that is not known.
    lacks: Option<u64>,
    /// Of these, changes of the design.
    designs_behind: Option<u64>,
    clock_off_ms: i64,
}

impl Standings {
    fn of(node: &Node, workspace: &Handle, is_left: bool) -> Self {
        let (fold, authors) = (workspace.fold(), Authors::of(workspace));
        let own = fold.version_table();
        let linked: BTreeMap<DeviceKey, PeerStatus> =
            node.peers(workspace.id()).into_iter().map(|peer| (peer.device, peer)).collect();
        let others =
            workspace.members().into_iter().filter(|member| member.role.is_some() && member.device != node.device());
        let agreed = node.agreed(workspace.id());
        let changes = design::changes(fold.design());
        let peers = others.map(|member| {
            let link = linked.get(&member.device);
            let theirs = link.and_then(|link| link.theirs.as_ref());
            let theirs = theirs.or_else(|| agreed.get(&member.device).map(|table| &**table));
            Peer {
                device: member.device,
                name: authors.name(member.device),
                standing: link.map(|link| link.standing),
                since_ms: if link.is_some() { None } else { node.last_met(member.device) },
                lacks: theirs.map(|theirs| own.events_beyond(theirs)),
                designs_behind: theirs.map(|theirs| design::behind(&changes, theirs)),
                clock_off_ms: link.map_or(0, |link| link.clock_off_ms),
            }
        });
        Self {
            is_left,
            is_member: fold.role_of(node.device()).is_some(),
            is_online: node.is_online(),
            events: own.events_beyond(&VersionTable::default()),
            peers: peers.collect(),
        }
    }

    /// Never "up to date" while any known table differs, also of somebody who is not there; among so many that not all
    /// are linked, of those who are.
    fn word(&self) -> &'static str {
        let linked = || self.peers.iter().filter_map(|peer| peer.standing);
        if self.is_left {
            "left"
        } else if !self.is_member {
            "removed"
        } else if self.peers.is_empty() {
            "alone"
        } else if !self.is_online || linked().next().is_none() {
            "offline"
        } else if linked().any(|standing| standing == Standing::Different) {
            "different"
        } else if linked().any(|standing| standing != Standing::UpToDate)
            || (self.peers.len() <= LINKS_MAX && self.peers.iter().any(Peer::lacks_some))
        {
            "syncing"
        } else {
            "up to date"
        }
    }
}

impl Peer {
    fn lacks_some(&self) -> bool {
        self.lacks.is_some_and(|lacks| lacks > 0)
    }

    /// Whether it is known to have everything.
    fn has_all(&self) -> bool {
        self.lacks == Some(0)
    }

    fn word(&self) -> &'static str {
        match self.standing {
            None | Some(Standing::Greeting) => "offline",
            Some(Standing::Syncing { .. }) => "syncing",
            Some(Standing::UpToDate) => "up to date",
            Some(Standing::Different) => "different",
        }
    }

    fn text(&self) -> String {
        match (self.standing, self.since_ms) {
            (Some(Standing::Syncing { lacking }), _) if lacking > 0 => format!("syncing, {lacking} to come"),
            (None, Some(since_ms)) => format!("offline since {}", when(since_ms)),
            _other => self.word().to_owned(),
        }
    }

    fn design(&self) -> String {
        match self.designs_behind {
            None => "?".into(),
            Some(0) => "this one".into(),
            Some(1) => "1 change behind".into(),
            Some(count) => format!("{count} changes behind"),
        }
    }

    fn clock(&self) -> String {
        if self.clock_off_ms.unsigned_abs() <= CLOCKS_MS_MAX {
            return String::new();
        }
        let which = if self.clock_off_ms > 0 { "ahead" } else { "behind" };
        format!("clock differs: {} s {which}", self.clock_off_ms.unsigned_abs() / 1000)
    }

    fn json(&self) -> serde_json::Value {
        let to_come = match self.standing {
            Some(Standing::Syncing { lacking }) => lacking,
            _none => 0,
        };
        json!({
            "device": self.device.to_string(),
            "name": self.name,
            "status": self.word(),
            "offline_since_ms": self.since_ms,
            "to_come": to_come,
            "lacks": self.lacks,
            "design_changes_behind": self.designs_behind,
            "clock_off_ms": self.clock_off_ms,
        })
    }
}

fn design_json(proposed: &Proposed) -> serde_json::Value {
    let Proposed { name, server, word, why } = proposed;
    json!({ "proposal": name, "server": server, "state": word, "why": why })
}

/// The lists, with what the inbox has of each.
fn lists(workspace: &Handle, inbox: &[Entry]) -> Result<Vec<serde_json::Value>, CliError> {
    let state = workspace.read();
    let design = state.design();
    design
        .lists()
        .map(|list| {
            let conflicts = inbox.iter().filter_map(Entry::record).filter(|record| record.list == list).count();
            Ok(json!({ "list": design.name(list), "records": state.count(list)?, "conflicts": conflicts }))
        })
        .collect()
}
