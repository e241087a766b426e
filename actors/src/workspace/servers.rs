//! Commands about servers, as control events: who judges what (rule R7). Only the owner gives them.

use super::compose::{Decided, Draft, OpWithBody, Shared, too_large};
use crate::command::{Committed, Refused, ServerChange};
use std::collections::BTreeSet;
use tandem_storage::{
    EngineError,
    engine::Read,
    fold::{Terms, terms::Term},
};
use tandem_wire::{
    Act, Bind, BindingMode, ChainId, End, ListId, Mark, Op, OpRef, Scope, Target,
    limits::{MARKS_MAX, SCOPE_LISTS_MAX},
};

pub(super) fn change<R: Read>(draft: &mut Draft<'_, R>, change: &ServerChange) -> Decided {
    if draft.fold.terms().owner() != Some(draft.device()) {
        return Ok(Err(Refused::NotOwner));
    }
    let op = match op(draft, change)? {
        Ok(op) => op,
        Err(refused) => return Ok(Err(refused)),
    };
    Ok(match draft.add(vec![op], Shared::default())? {
        Ok(event) => Ok(Committed { events: vec![event.id()], made: Some(event.op_ref(0)), ..Committed::default() }),
        Err(why) => Err(too_large(why)),
    })
}

fn op<R: Read>(draft: &Draft<'_, R>, change: &ServerChange) -> Result<Result<OpWithBody, Refused>, EngineError> {
    let on_workspace = |act| (Op { target: Target::Workspace, preds: vec![], act }, Vec::new());
    Ok(match change {
        ServerChange::Bind { authority, .. } if !authority.is_control() => Err(Refused::NoControlChain(*authority)),
        ServerChange::Bind { authority, lists, mode, replaces } => {
            let scope = match scope(draft, lists.as_deref()) {
                Ok(scope) => scope,
                Err(refused) => return Ok(Err(refused)),
            };
            if let Some(unknown) = replaces.iter().find(|binding| present(draft, binding).is_none()) {
                return Ok(Err(Refused::UnknownBinding(*unknown)));
            }
            if let Some(term) = taken(draft.fold.terms(), &scope, *mode, replaces) {
                return Ok(Err(Refused::BoundAlready(term.chain().device)));
            }
            let mut ends = Vec::new();
            for binding in replaces.iter().collect::<BTreeSet<_>>() {
                ends.push(end(draft, *binding)?);
            }
            let seen = seen(draft, *authority)?;
            if seen.len() > MARKS_MAX {
                // What is not named would be judged from its beginning.
                let text =
                    format!("{} chains were written here, and a binding tells of {MARKS_MAX} at most", seen.len());
                return Ok(Err(Refused::TooLarge(text)));
            }
            let bind = Bind { authority: *authority, scope, mode: *mode, seen: seen.into_iter().collect(), ends };
            Ok(on_workspace(Act::Bind(Box::new(bind))))
        }
        ServerChange::Unbind(binding) => match present(draft, binding) {
            Some(_) => Ok(on_workspace(Act::Unbind(Box::new(end(draft, *binding)?)))),
            None => Err(Refused::UnknownBinding(*binding)),
        },
    })
}

fn present<'a, R: Read>(draft: &'a Draft<'_, R>, binding: &OpRef) -> Option<&'a Term> {
    draft.fold.present_terms().find(|term| term.binding == *binding)
}

fn scope<R: Read>(draft: &Draft<'_, R>, lists: Option<&[ListId]>) -> Result<Scope, Refused> {
    let Some(lists) = lists else { return Ok(Scope::Workspace) };
    for list in lists {
        super::check::list(draft.fold.design(), *list)?;
    }
    let lists: BTreeSet<ListId> = lists.iter().copied().collect();
    if lists.is_empty() || lists.len() > SCOPE_LISTS_MAX {
        return Err(Refused::TooLarge(format!("a binding is for 1 to {SCOPE_LISTS_MAX} lists, or for the workspace")));
    }
    Ok(Scope::Lists(lists.into_iter().collect()))
}

/// A list has one binding authority.
fn taken<'a>(terms: &'a Terms, scope: &Scope, mode: BindingMode, replaces: &[OpRef]) -> Option<&'a Term> {
    let overlaps = |term: &&Term| match (&term.bind.scope, scope) {
        (Scope::Workspace, _) | (_, Scope::Workspace) => true,
        (Scope::Lists(own), Scope::Lists(lists)) => own.iter().any(|list| lists.contains(list)),
    };
    let binding = terms.terms.iter().filter(|term| term.ends.is_empty() && term.bind.mode == BindingMode::Binding);
    let others = binding.filter(|term| mode == BindingMode::Binding && !replaces.contains(&term.binding));
    others.into_iter().find(overlaps)
}

/// Where the authority's chain ends here: its verdicts up to there stand.
fn end<R: Read>(draft: &Draft<'_, R>, binding: OpRef) -> Result<End, EngineError> {
    let chain = present(draft, &binding).expect("looked at").chain();
    let ends = draft.fold.valid_ends(&draft.rows, &draft.log, chain)?;
    let last = ends.into_iter().max_by_key(|end| end.seq);
    Ok(End { binding, at: last.map(|end| Mark(end.of(chain))) })
}

/// The ends of everybody's data that was seen here, which the authority is not to judge.
fn seen<R: Read>(draft: &Draft<'_, R>, authority: ChainId) -> Result<BTreeSet<Mark>, EngineError> {
    let mut marks = BTreeSet::new();
    let chains = draft.fold.chains().filter(|(chain, _)| !chain.is_control() && chain.device != authority.device);
    for (chain, _) in chains {
        let found = draft.fold.valid_ends(&draft.rows, &draft.log, *chain)?;
        marks.extend(found.into_iter().map(|end| Mark(end.of(*chain))));
    }
    Ok(marks)
}
