//! Commands about whole designs: a file is applied, or proposed to the members, and rehearsals say what came of that.

use super::{
    compose::{Decided, Draft, OpWithBody, Shared, too_large},
    design::{define, put_op},
};
use crate::command::{Committed, Refused, RehearsalOutcome};
use std::collections::{BTreeMap, BTreeSet};
use tandem_storage::{
    EngineError,
    design_file::{DesignFault, DesignFile, Key, Plan},
    engine::Read,
    fold::{Design, incremental::Fold, terms::Term},
};
use tandem_wire::{
    Act, BindingMode, ChainId, DesignDigest, DesignProposed, DeviceKey, ElementId, EventId, EventRef, Mark, Op, OpRef,
    Rehearsed, Scope, Target,
    design::ElementKind,
    limits::{DESIGN_STEPS_MAX, MARKS_MAX},
};

/// Ops of one event.
const STEPS_PER_EVENT: usize = 128;

/// Bytes of the values of one event's steps: well below what an event holds.
const BYTES_PER_EVENT: usize = 32 * 1024;

/// The authority that a workspace's design belongs to; none: its designers make it.
pub(crate) fn owner_of_design(fold: &Fold) -> Option<&Term> {
    let owns = |term: &&Term| term.bind.mode == BindingMode::Binding && term.bind.scope == Scope::Workspace;
    fold.present_terms().find(owns)
}

/// The term under which a device proposes designs; none: its steps count by themselves, or not at all.
pub(crate) fn proposing_term(fold: &Fold, device: DeviceKey) -> Option<OpRef> {
    if fold.terms().owner() == Some(device) {
        return None;
    }
    let binds = |term: &&Term| term.chain().device == device && term.bind.mode == BindingMode::Binding;
    let terms = fold.present_terms().filter(binds);
    terms.max_by_key(|term| term.bind.scope == Scope::Workspace).map(|term| term.binding)
}

/// Whether this device may take steps of the design by itself; if not, whose design it is.
pub(super) fn may_design(fold: &Fold, device: DeviceKey) -> Result<(), Refused> {
    match owner_of_design(fold).map(|term| term.chain().device) {
        Some(authority) if authority != device => Err(Refused::DesignOwned(authority)),
        _own_or_nobodys => Ok(()),
    }
}

/// Makes the design what a file says. An authority that is not the owner proposes it to the members.
pub(super) fn apply<R: Read>(draft: &mut Draft<'_, R>, file: &DesignFile) -> Decided {
    if let Err(refused) = may_design(&draft.fold, draft.device()) {
        return Ok(Err(refused));
    }
    let (base, steps) = base(draft)?;
    let planned = Plan::make(&base, file);
    carry_out(draft, planned, steps)
}

/// The design that a new one is compared with: of an authority, with what it has proposed last in it, which may not be
/// merged yet; and the steps of that.
pub(super) fn base<R: Read>(draft: &Draft<'_, R>) -> Result<(Design, Vec<EventRef>), EngineError> {
    let present = || ((**draft.fold.design()).clone(), Vec::new());
    if proposing_term(&draft.fold, draft.device()).is_none() {
        return Ok(present());
    }
    let proposals = draft.fold.design().proposals.iter();
    let own = proposals.filter(|(proposal, _)| proposal.chain.device == draft.device());
    let Some((last, _)) = own
        .max_by_key(|(proposal, _)| **proposal)
        .filter(|(_, state)| state.merged.is_none() && state.failed.is_empty())
    else {
        return Ok(present());
    };
    let steps = draft.fold.proposed(last).map(|proposed| proposed.steps.clone()).unwrap_or_default();
    let design = draft.fold.design_with(last, &draft.rows, &draft.log)?;
    Ok(design.map_or_else(present, |design| (design, steps)))
}

/// Makes the design what it was before an event.
pub(super) fn revert<R: Read>(draft: &mut Draft<'_, R>, event: EventId) -> Decided {
    if let Err(refused) = may_design(&draft.fold, draft.device()) {
        return Ok(Err(refused));
    }
    let Some(earlier) = draft.fold.design_before(event, &draft.rows, &draft.log)? else {
        return Ok(Err(Refused::UnknownEvent(event)));
    };
    let planned = Plan::back(draft.fold.design(), &earlier);
    carry_out(draft, planned, Vec::new())
}

/// Takes the steps of a plan; of an authority, they are proposed together with these.
fn carry_out<R: Read>(
    draft: &mut Draft<'_, R>,
    planned: Result<Plan, Vec<DesignFault>>,
    before: Vec<EventRef>,
) -> Decided {
    let plan = match planned {
        Ok(plan) if plan.is_empty() => return Ok(Ok(Committed::default())),
        Ok(plan) => plan,
        Err(faults) => return Ok(Err(Refused::Design(faults))),
    };
    draft.whole(|draft| {
        let mut steps = Steps { draft, events: Vec::new(), defined: BTreeMap::new() };
        if let Err(refused) = steps.take(&plan)? {
            return Ok(Err(refused));
        }
        let Steps { draft, events, defined } = steps;
        let mut committed = Committed {
            events: events.iter().map(|event| event.id).collect(),
            elements: defined.into_values().collect(),
            ..Committed::default()
        };
        if let Some(term) = proposing_term(&draft.fold, draft.device()) {
            match propose(draft, term, [before, events].concat())? {
                Ok(proposal) => committed.made = Some(proposal),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok(committed))
    })
}

/// Proposes the steps that a command of an authority took.
pub(super) fn propose_steps<R: Read>(draft: &mut Draft<'_, R>, committed: Committed) -> Decided {
    let Some(term) = proposing_term(&draft.fold, draft.device()) else { return Ok(Ok(committed)) };
    let mut steps = Vec::new();
    for event in &committed.events {
        let control = draft.fold.control().find(|control| control.event.id() == *event);
        steps.extend(control.map(|control| control.event.reference()));
    }
    if steps.is_empty() {
        return Ok(Ok(committed));
    }
    Ok(propose(draft, term, steps)?.map(|proposal| Committed { made: Some(proposal), ..committed }))
}

pub(super) fn propose<R: Read>(
    draft: &mut Draft<'_, R>,
    term: OpRef,
    mut steps: Vec<EventRef>,
) -> Result<Result<OpRef, Refused>, EngineError> {
    steps.sort_unstable();
    steps.dedup();
    if steps.len() > DESIGN_STEPS_MAX {
        return Ok(Err(Refused::TooLarge(format!("a proposal has at most {DESIGN_STEPS_MAX} events of steps"))));
    }
    let named = postcard::to_allocvec(&steps).expect("a vector takes all bytes");
    let design = DesignDigest(*blake3::hash(&named).as_bytes().first_chunk().expect("32 bytes"));
    let table = table(draft, &[]);
    let act = Act::DesignProposed(Box::new(DesignProposed { term, design, steps, table }));
    let op = (Op { target: Target::Workspace, preds: vec![], act }, Vec::new());
    Ok(match draft.add(vec![op], Shared::default())? {
        Ok(event) => Ok(event.op_ref(0)),
        Err(why) => Err(too_large(why)),
    })
}

/// How far this replica has come: the ends of the data chains, as many as can be told, those of these marks first.
fn table<R: Read>(draft: &Draft<'_, R>, first: &[Mark]) -> Vec<Mark> {
    let first = first.iter().map(|Mark(end)| end.chain);
    let all = draft.fold.chains().map(|(chain, _)| *chain);
    let mut seen = BTreeSet::new();
    let data = first.chain(all).filter(|chain| !chain.is_control() && seen.insert(*chain));
    let end = |chain: ChainId| draft.fold.head_of(chain).map(|end| Mark(end.of(chain)));
    let marks: BTreeSet<Mark> = data.filter_map(end).take(MARKS_MAX).collect();
    marks.into_iter().collect()
}

/// Tells the members what came of a rehearsal: the design is merged, or it failed.
pub(super) fn rehearsed<R: Read>(
    draft: &mut Draft<'_, R>,
    proposal: OpRef,
    outcome: &RehearsalOutcome,
    takes_on_trust: bool,
) -> Decided {
    let Some(known) = draft.fold.design().proposals.get(&proposal) else {
        return Ok(Err(Refused::UnknownProposal(proposal)));
    };
    if known.merged.is_some() {
        return Ok(Ok(Committed::default()));
    }
    let asked = draft.fold.proposed(&proposal).map(|proposed| proposed.table.clone()).unwrap_or_default();
    let covers = if takes_on_trust { asked } else { table(draft, &asked) };
    let rehearsed = Box::new(Rehearsed { proposal, covers });
    let (act, body) = match outcome {
        RehearsalOutcome::Valid => (Act::DesignMerged(rehearsed), Vec::new()),
        RehearsalOutcome::Failed(report) => (Act::DesignFailed(rehearsed), report.to_bytes()),
    };
    let op = (Op { target: Target::Workspace, preds: vec![], act }, body);
    Ok(match draft.add(vec![op], Shared::default())? {
        Ok(event) => Ok(Committed { events: vec![event.id()], made: Some(event.op_ref(0)), ..Committed::default() }),
        Err(why) => Err(too_large(why)),
    })
}

/// The events of a plan.
struct Steps<'a, 'b, R: Read> {
    draft: &'a mut Draft<'b, R>,
    events: Vec<EventRef>,
    defined: BTreeMap<Key, ElementId>,
}

impl<R: Read> Steps<'_, '_, R> {
    /// The id of an element comes from the event that defines it: first lists, then fields, then what is in them.
    fn take(&mut self, plan: &Plan) -> Result<Result<(), Refused>, EngineError> {
        let depth = |key: &Key| match key.kind {
            ElementKind::List => 0,
            ElementKind::Field => 1,
            _of_a_list_or_field => 2,
        };
        for level in 0..=2 {
            let keys: Vec<&Key> = plan.defines.iter().filter(|key| depth(key) == level).collect();
            for chunk in keys.chunks(STEPS_PER_EVENT) {
                let parent = |key: &Key| key.parent().map(|parent| self.id(plan, &parent));
                let ops = chunk.iter().map(|key| define(key.kind, parent(key))).collect();
                match self.add(ops)? {
                    Ok(event) => {
                        let ids = (0..).map(|op| ElementId::defined_by(event.id, op));
                        self.defined.extend(chunk.iter().map(|key| (*key).clone()).zip(ids));
                    }
                    Err(refused) => return Ok(Err(refused)),
                }
            }
        }
        let (mut ops, mut bytes) = (Vec::new(), 0);
        for (element, property, value) in plan.puts(&self.defined) {
            let op = put_op(element, property, &value);
            if ops.len() == STEPS_PER_EVENT || (bytes + op.1.len() > BYTES_PER_EVENT && !ops.is_empty()) {
                if let Err(refused) = self.add(std::mem::take(&mut ops))? {
                    return Ok(Err(refused));
                }
                bytes = 0;
            }
            bytes += op.1.len();
            ops.push(op);
        }
        if ops.is_empty() { Ok(Ok(())) } else { Ok(self.add(ops)?.map(drop)) }
    }

    fn id(&self, plan: &Plan, key: &Key) -> ElementId {
        self.defined.get(key).copied().or_else(|| plan.known(key)).expect("what it is part of was defined before")
    }

    fn add(&mut self, ops: Vec<OpWithBody>) -> Result<Result<EventRef, Refused>, EngineError> {
        Ok(match self.draft.add(ops, Shared::default())? {
            Ok(event) => {
                self.events.push(event.reference());
                Ok(event.reference())
            }
            Err(why) => Err(too_large(why)),
        })
    }
}
