//! Whole designs: what the operators of servers propose, and whether all of it has been decided.

use super::{peer::Peer, world::World};
use crate::chance::{Ratio, Stream};
use std::sync::Arc;
use tandem_actors::Command;
use tandem_storage::{
    design_file::{DesignFile, FieldSpec, Indexed, ListSpec, RuleSpec, Scalar, SplitSpec, ViewSpec, export},
    engine::Engine,
    fold::{design::takes_a_step, incremental::Fold},
};
use tandem_wire::{Act, Event, EventId, Mark, OpRef};

/// Fields of a list and lists of a design, at most: there is to be much in each.
const FIELDS_MAX: usize = 8;
const LISTS_MAX: usize = 4;
/// How often an operator takes back what was changed.
const REVERTED: Ratio = Ratio(1, 8);
/// How often he takes in what was refused of a member, where there is any.
const ADOPTED: Ratio = Ratio(1, 4);
/// Changes of one proposal, at most.
const CHANGES_MAX: u64 = 3;

const TYPES: [&str; 7] = ["text", "int", "float", "decimal", "date", "bool", "choice"];

/// What a server's operator wants the design to be.
pub(super) fn draw(stream: &mut Stream, peer: &Peer) -> Option<Command> {
    let fold = peer.store()?.fold();
    if stream.happens(REVERTED) {
        let steps = fold.control().filter(|control| {
            control.event.header().ops.iter().any(|op| matches!(op.act, Act::DesignMerged(_) | Act::Put(_)))
        });
        let steps: Vec<_> = steps.map(|control| control.event.id()).collect();
        return stream.pick(&steps).copied().map(Command::RevertDesign);
    }
    if stream.happens(ADOPTED)
        && let Some(step) = stream.pick(&refused_steps(peer)).copied()
    {
        return Some(Command::AdoptStep(step));
    }
    let mut file = export(fold.design());
    for _ in 0..=stream.below(CHANGES_MAX) {
        change(stream, &mut file);
    }
    Some(Command::ApplyDesign(Box::new(file)))
}

/// Steps of members that were refused, and that nobody has answered.
fn refused_steps(peer: &Peer) -> Vec<EventId> {
    let store = peer.store().expect("up");
    let (fold, snapshot) = (store.fold(), store.engine().snapshot());
    let steps = fold.control().map(|control| &control.event).filter(|event| takes_a_step(event));
    let refused =
        |event: &&Arc<Event>| fold.refused_event(&snapshot, &event.reference()).expect("memory can be read").is_some();
    steps.filter(refused).map(|event| event.id()).collect()
}

/// Whether something is not here of what an authority had when it proposed a design.
pub(super) fn lacks_some(fold: &Fold, proposal: &OpRef) -> bool {
    let mut events = fold.control().map(|control| &control.event);
    let proposing = events.find(|event| event.op_ref(proposal.op) == *proposal);
    let table = proposing.iter().flat_map(|event| match &event.header().ops[usize::from(proposal.op)].act {
        Act::DesignProposed(proposed) => proposed.table.clone(),
        _other => Vec::new(),
    });
    let has = |Mark(end): &Mark| fold.head_of(end.chain).is_some_and(|head| head.seq >= end.seq);
    !table.collect::<Vec<_>>().iter().all(has)
}

fn change(stream: &mut Stream, file: &mut DesignFile) {
    if file.lists.is_empty() || (file.lists.len() < LISTS_MAX && stream.happens(Ratio(1, 10))) {
        let name = format!("d{}", stream.below(1000));
        let fields = (0..2).map(|_| field(stream)).collect();
        file.lists.push(ListSpec { name, fields, ..ListSpec::default() });
        return;
    }
    let at = stream.below(file.lists.len() as u64) as usize;
    let list = &mut file.lists[at];
    if list.fields.is_empty() {
        list.fields.push(field(stream));
        return;
    }
    let of = stream.below(list.fields.len() as u64) as usize;
    match stream.below(18) {
        0..=2 if list.fields.len() < FIELDS_MAX => list.fields.push(field(stream)),
        0..=4 => retype(stream, list, of),
        5 | 6 => rename(stream, list, of),
        7 if list.fields.len() > 1 => drop(stream, list, of),
        8 => {
            let is_indexed = list.fields[of].indexed == Indexed::Whole(true);
            list.fields[of].indexed = Indexed::Whole(!is_indexed);
        }
        9 => list.fields[of].required = !list.fields[of].required,
        10 => list.failing_percent = *stream.pick(&[0, 50, 100]).expect("some"),
        11 | 12 => rule(stream, list, of),
        13 => {
            let (name, sort) = (format!("v{}", stream.below(1000)), Some(list.fields[of].name.clone()));
            list.views.truncate(1);
            list.views.push(ViewSpec { name, sort, ..ViewSpec::default() });
        }
        14..=16 if list.fields[of].base == "text" && !list.fields[of].many && list.fields.len() < FIELDS_MAX => {
            split(stream, list, of);
        }
        _ => list.fields[of].many = !list.fields[of].many && can_be_many(&list.fields[of]),
    }
}

/// Names that stand in rules without quotes.
fn name(stream: &mut Stream) -> String {
    format!("f{}", stream.below(100_000))
}

fn field(stream: &mut Stream) -> FieldSpec {
    let base = (*stream.pick(&TYPES).expect("some")).to_owned();
    let choices = if base == "choice" { choices() } else { Vec::new() };
    let default = stream.happens(Ratio(1, 3)).then(|| default_of(&base)).flatten();
    let required = stream.happens(Ratio(1, 4));
    let indexed = stream.happens(Ratio(1, 3));
    FieldSpec {
        name: name(stream),
        base,
        choices,
        default,
        required,
        indexed: Indexed::Whole(indexed),
        ..FieldSpec::default()
    }
}

fn choices() -> Vec<tandem_storage::design_file::ChoiceSpec> {
    ["a", "b"].map(|name| tandem_storage::design_file::ChoiceSpec::Name(name.into())).to_vec()
}

fn default_of(base: &str) -> Option<Scalar> {
    Some(match base {
        "int" | "float" | "decimal" => Scalar::Int(7),
        "text" => Scalar::Text("x y".into()),
        "bool" => Scalar::Bool(true),
        "choice" => Scalar::Text("a".into()),
        _other => return None,
    })
}

fn can_be_many(field: &FieldSpec) -> bool {
    let bounds = field.min.is_none() && field.max.is_none() && field.default.is_none() && field.split.is_none();
    bounds && !field.unique && field.on_delete.is_none()
}

fn retype(stream: &mut Stream, list: &mut ListSpec, of: usize) {
    let field = &mut list.fields[of];
    let base = (*stream.pick(&TYPES).expect("some")).to_owned();
    // What belongs to the old type goes with it.
    (field.min, field.max, field.pattern, field.default, field.list, field.on_delete) =
        (None, None, None, None, None, None);
    field.choices = if base == "choice" { choices() } else { Vec::new() };
    field.base = base;
    forget_rules(list);
}

fn rename(stream: &mut Stream, list: &mut ListSpec, of: usize) {
    let (old, new) = (list.fields[of].name.clone(), name(stream));
    (list.fields[of].was, list.fields[of].name) = (Some(old.clone()), new.clone());
    for view in &mut list.views {
        let names = view.sort.iter_mut().chain(view.group.iter_mut()).chain(&mut view.columns);
        names.filter(|name| **name == old).for_each(|name| name.clone_from(&new));
    }
    for source in list.fields.iter_mut().filter_map(|field| field.split.as_mut()).filter(|split| split.of == old) {
        source.of.clone_from(&new);
    }
    forget_rules(list);
}

fn drop(_: &mut Stream, list: &mut ListSpec, of: usize) {
    let gone = list.fields.remove(of).name;
    list.views.clear();
    list.fields
        .iter_mut()
        .filter(|field| field.split.as_ref().is_some_and(|split| split.of == gone))
        .for_each(|field| field.split = None);
    forget_rules(list);
}

/// They may speak of what is not there any more, or has another type.
fn forget_rules(list: &mut ListSpec) {
    list.rules.clear();
    list.forms.clear();
}

fn rule(stream: &mut Stream, list: &mut ListSpec, of: usize) {
    let field = &list.fields[of];
    if field.many || !field.name.starts_with('f') {
        return;
    }
    let check = match field.base.as_str() {
        "int" | "float" | "decimal" => format!("{0} == null || {0} < {1}", field.name, 20 + stream.below(400)),
        "text" => format!("{0} == null || size({0}) < {1}", field.name, 3 + stream.below(20)),
        _other => return,
    };
    let (name, message) = (format!("r{}", stream.below(1000)), "not so".to_owned());
    list.rules.truncate(1);
    list.rules.push(RuleSpec { name, check: Some(check), message, ..RuleSpec::default() });
}

fn split(stream: &mut Stream, list: &mut ListSpec, of: usize) {
    let source = list.fields[of].name.clone();
    for part in 0..2 {
        let split = Some(SplitSpec { of: source.clone(), at: " ".into(), part, parts: 2 });
        list.fields.push(FieldSpec { name: name(stream), base: "text".into(), split, ..FieldSpec::default() });
    }
}

impl World {
    /// The last proposal of a bound server that nobody has merged or seen fail, in words.
    pub(super) fn undecided(&self) -> Option<String> {
        let owner = self.peers[0].store()?;
        let fold = owner.fold();
        let open = fold.design().newest_proposals().find(|proposal| {
            let state = &fold.design().proposals[proposal];
            let device = proposal.chain.device;
            let is_bound = fold.present_terms().any(|term| term.chain() == proposal.chain);
            is_bound && device != self.peers[0].device() && state.merged.is_none() && state.failed.is_empty()
        });
        open.map(|proposal| format!("the design {} is neither merged nor failed", proposal.tag))
    }
}
