//! Values with parts where servers have names, types and rows of their own, and whether all of it stays as it must.

use super::{checks, peer::Peer, world::World};
use crate::{
    chance::{Ratio, Stream},
    checks::Violation,
    disk::Disk,
    node::WORKSPACE,
    strings,
    workload::WITH_PARTS,
};
use std::collections::{BTreeMap, BTreeSet};
use tandem_actors::{
    Change, Command, Transaction,
    authority::{FieldWords, ListPolicy, ListWords, Policy, RuleText, Stale, Vocabulary},
};
use tandem_storage::{
    Store,
    composite::{self, VERBATIM, is_atom, reads},
    design_file::{DesignFile, FieldSpec, Indexed, ListSpec, export},
    engine::Engine,
    fold::{Design, RecordState, incremental::records_in, record::Sibling},
    lens::StateCells,
    log,
};
use tandem_wire::{
    CellKey, DeviceKey, Event, EventId, FieldId, ListId, PartPath, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// How all names begin that are a server's own, and nothing else does.
const OWN: &str = "zqname";
/// How often a server's own system sends a row rather than somebody doing something at the node.
const ROW: Ratio = Ratio(1, 3);
/// How often a value of a row is another than before.
const OTHER_VALUE: Ratio = Ratio(1, 3);
/// How often a server has a text where the members have parts.
const AS_TEXT: Ratio = Ratio(1, 2);
const STALE: Ratio = Ratio(1, 4);
const LISTS_MAX: usize = 4;
const FIELDS_MAX: usize = 8;

/// Gives what has no name of the server's own yet one. Names are unlike those of other servers, and so are types.
pub(super) fn name_all(stream: &mut Stream, server: usize, design: &Design, words: &mut Vocabulary) {
    for list in design.lists() {
        let count = words.lists.len();
        let own = words
            .lists
            .entry(list)
            .or_insert_with(|| ListWords { name: format!("{OWN}{server}list{count}"), fields: BTreeMap::new() });
        for field in design.fields(list) {
            let count = own.fields.len();
            own.fields.entry(field).or_insert_with(|| FieldWords {
                name: format!("{OWN}{server}field{count}"),
                ty: stream.happens(AS_TEXT).then(|| FieldType::one(BaseType::Text)),
            });
        }
    }
}

/// Rules in a server's own names and types.
pub(super) fn policy(stream: &mut Stream, design: &Design, words: &Vocabulary, rules_max: u64) -> Policy {
    let mut policy = Policy::default();
    for list in design.lists() {
        if stream.happens(STALE) {
            policy.lists.insert(list, ListPolicy { stale: Stale::Refuse });
        }
        let names = words.names(design, list);
        let fields: Vec<FieldId> = design.fields(list).into_iter().filter(|field| is_single(design, *field)).collect();
        for index in 0..stream.below(rules_max) {
            let Some(field) = stream.pick(&fields).copied() else { break };
            let Some(name) = words.field_name(design, list, field) else { continue };
            let told = words.lists.get(&list).and_then(|words| words.fields.get(&field)?.ty.clone());
            let base = told.or_else(|| design.field_type(field)).and_then(|ty| ty.base());
            let n = stream.below(40);
            let check = match base {
                Some(BaseType::User) => format!(r#"{name}.email == null || {name}.email != "m{n}@x.org""#),
                Some(BaseType::Lookup) => format!("{name}.index == null || {name}.index < {n}"),
                Some(BaseType::Url) => format!("{name}.title == null || size({name}.title) < 9"),
                Some(BaseType::Phone) => format!(r#"{name}.number == null || {name}.number.startsWith("+4")"#),
                Some(BaseType::PostalAddress) => format!(r#"{name}.city == null || {name}.city != "city {n}""#),
                Some(BaseType::Text) => format!("{name} == null || size({name}) < {}", 4 + n),
                Some(BaseType::Int) => format!("{name} == null || {name} < {n}"),
                _other => "true".into(),
            };
            let (rule, names) = (format!("rule {index}"), names.clone());
            policy.rules.push(RuleText {
                list,
                name: rule,
                check,
                message: "not that".into(),
                field: Some(field),
                names,
            });
        }
    }
    policy
}

fn is_single(design: &Design, field: FieldId) -> bool {
    design.field_type(field).is_some_and(|ty| !ty.many)
}

/// What a server's operator adds to the design.
pub(super) fn design(stream: &mut Stream, peer: &Peer) -> Option<Command> {
    let mut file = export(peer.store()?.fold().design());
    if file.lists.len() < LISTS_MAX && (file.lists.is_empty() || stream.happens(Ratio(1, 2))) {
        let name = format!("d{}", stream.below(1000));
        let number = FieldSpec { name: "no".into(), base: "int".into(), row_number: true, ..FieldSpec::default() };
        let more = (0..2 + stream.below(3)).map(|_| field(stream, &file)).collect::<Vec<_>>();
        let fields = [number].into_iter().chain(more).collect();
        file.lists.push(ListSpec { name, fields, ..ListSpec::default() });
        return Some(Command::ApplyDesign(Box::new(file)));
    }
    let at = stream.below(file.lists.len() as u64) as usize;
    let new = field(stream, &file);
    let fields = &mut file.lists[at].fields;
    if fields.is_empty() || (fields.len() < FIELDS_MAX && stream.happens(Ratio(1, 2))) {
        fields.push(new);
    } else {
        let of = stream.below(fields.len() as u64) as usize;
        let field = &mut fields[of];
        let none = Indexed::Whole(false);
        let parts = BaseType::named(&field.base).filter(|_| !field.many).and_then(indexable);
        field.indexed = parts.filter(|_| field.indexed == none).unwrap_or(none);
    }
    Some(Command::ApplyDesign(Box::new(file)))
}

fn field(stream: &mut Stream, file: &DesignFile) -> FieldSpec {
    let base = *stream.pick(&WITH_PARTS).expect("some");
    let many = strings::have_parts(base) && stream.happens(Ratio(1, 3));
    let refers = matches!(base, BaseType::User | BaseType::Lookup) && stream.happens(Ratio(1, 2));
    let numbered = file.lists.iter().filter(|list| list.fields.iter().any(|field| field.row_number));
    let lists: Vec<String> = numbered.map(|list| list.name.clone()).collect();
    let list = stream.pick(&lists).filter(|_| refers).cloned();
    let indexed = indexable(base).filter(|_| !many && stream.happens(Ratio(1, 2))).unwrap_or_default();
    FieldSpec {
        name: format!("f{}", stream.below(100_000)),
        base: base.name().into(),
        many,
        list,
        indexed,
        ..FieldSpec::default()
    }
}

fn indexable(base: BaseType) -> Option<Indexed> {
    let parts = strings::indexable(&FieldType::one(base))?;
    Some(Indexed::Parts(parts.split(' ').map(str::to_owned).collect()))
}

impl World {
    /// A server's own system sends a row, in its own names: what it had, and here and there something else.
    pub(super) fn row_from_outside(&mut self, at: usize) -> Option<Command> {
        let stream = &mut self.servers.as_mut()?.stream;
        if !stream.happens(ROW) {
            return None;
        }
        let peer = &mut self.peers[at];
        let words = peer.words.clone();
        let design = peer.store()?.fold().design().clone();
        let shown = peer.shown()?;
        let named: Vec<(String, ListId)> =
            words.lists.values().filter_map(|own| Some((own.name.clone(), words.list(&design, &own.name)?))).collect();
        let (_, list) = stream.pick(&named)?;
        let keys: Vec<RecordKey> = shown.existing(*list).map(|(key, _)| *key).collect();
        let key = *stream.pick(&keys)?;
        let row = design.fields(*list).into_iter().filter_map(|field| {
            let (name, ty) = (words.field_name(&design, *list, field)?, design.field_type(field)?);
            Some((name, shown.records[&key].string(field, &ty), ty.base()?))
        });
        let row: Vec<(String, String, BaseType)> = row.collect();
        let mut changes = Vec::new();
        for (name, before, base) in row {
            let field = words.field(&design, *list, &name)?;
            let is_many = design.field_type(field).is_some_and(|ty| ty.many);
            let text = if !is_many && stream.happens(OTHER_VALUE) { strings::string(stream, base) } else { before };
            let cell = CellKey { record: key, field, part: PartPath::default() };
            changes.push(Change::SetText { cell, text, keep_raw: true });
        }
        self.trace.mark("row-from-outside");
        Some(Command::Change(Transaction { changes, ..Transaction::default() }))
    }

    /// The device of the member that keeps no rule.
    pub(super) fn hostile_device(&self) -> Option<DeviceKey> {
        self.hostile.as_ref().and_then(|_| self.devices.get(self.peers.len()).copied())
    }

    /// What must hold at the end where values have parts.
    pub(super) fn look_at_values(&mut self) -> Result<(), Violation> {
        for peer in self.peers.iter().filter(|peer| peer.store().is_some()) {
            names_stay_with_their_server(&peer.disk)?;
            checks::indexes_follow_the_records(peer.store().expect("up"))?;
        }
        let store = self.peers[0].store().expect("up");
        hold(store, self.hostile_device())?;
        for mark in marks(store) {
            self.trace.mark(mark);
        }
        Ok(())
    }
}

/// What must hold of the records that a node shows. This device, if any, keeps no rule.
pub(super) fn hold(store: &Store<Disk>, hostile: Option<DeviceKey>) -> Result<(), Violation> {
    let events: BTreeMap<EventId, _> =
        checks::events(&**store.engine()).into_iter().map(|event| (event.id(), event)).collect();
    let design = store.fold().design();
    for (key, state) in all(store) {
        for ((field, part), siblings) in &state.cells {
            let cell = || format!("{field} {part:?} of {key:?}");
            let as_written = |sibling: &Sibling| {
                let written =
                    events.get(&sibling.stamp.event.id).and_then(|event| event.value(sibling.stamp.op.into()));
                sibling.value().is_none() || sibling.value() == written
            };
            if !siblings.iter().all(as_written) {
                return Violation::of("shown-is-as-written", cell());
            }
            let ty = design.field_type(*field);
            let is_element = ty.is_some_and(|ty| ty.many && ty.base().is_some_and(is_atom)) && part.steps().len() == 1;
            let honest = siblings.iter().filter(|sibling| Some(sibling.stamp.event.chain.device) != hostile);
            let begins = honest.filter(|sibling| begins(&events, sibling));
            let values: BTreeSet<Vec<u8>> = begins.filter_map(|sibling| Some(sibling.value()?.encode())).collect();
            if is_element && part.steps().all(|key| key.len() > 1) && values.len() > 1 {
                return Violation::of("elements-are-their-own", format!("{} is of several authors", cell()));
            }
        }
        for field in design.fields(key.list) {
            strings_say_the_parts(design, &state, field)?;
        }
    }
    Ok(())
}

/// Whether an op is the first that its author knew of in its cell.
fn begins(events: &BTreeMap<EventId, std::sync::Arc<Event>>, sibling: &Sibling) -> bool {
    let event = events.get(&sibling.stamp.event.id);
    event.is_some_and(|event| event.header().ops[usize::from(sibling.stamp.op)].preds.is_empty())
}

/// The string that goes back to a server has the parts that are shown.
fn strings_say_the_parts(design: &Design, state: &RecordState, field: FieldId) -> Result<(), Violation> {
    let Some(ty) = design.field_type(field).filter(|ty| !ty.many) else { return Ok(()) };
    let Some(base) = ty.base().filter(|base| strings::have_parts(*base)) else { return Ok(()) };
    let composite = composite::of(base).expect("it has parts");
    let cells = StateCells(state);
    let text = design.lenses().text(&cells, field);
    if !reads(base, &text) {
        return Ok(());
    }
    for (name, value) in composite.read(&text).unwrap_or_default() {
        let part = PartPath::new([name]).expect("short");
        let shown = design.lenses().shown(&cells, field, &part).and_then(|bytes| Value::decode(&bytes).ok());
        if shown.as_ref() != Some(&value) {
            let details = format!("{text:?} says {value:?} as its {name}, but {shown:?} is shown");
            return Violation::of("strings-say-the-parts", details);
        }
    }
    Ok(())
}

/// No event has a name that is a server's own.
pub(super) fn names_stay_with_their_server(disk: &Disk) -> Result<(), Violation> {
    for run in log::runs_from(disk, WORKSPACE, 0) {
        let (arrival, bytes) = run.expect("memory can be read");
        if bytes.windows(OWN.len()).any(|window| window == OWN.as_bytes()) {
            return Violation::of("names-stay-with-their-server", format!("run {arrival} has one"));
        }
    }
    Ok(())
}

/// What was reached.
fn marks(store: &Store<Disk>) -> BTreeSet<&'static str> {
    let design = store.fold().design();
    let mut marks = BTreeSet::new();
    for (key, state) in all(store) {
        for field in design.fields(key.list) {
            let Some(ty) = design.field_type(field) else { continue };
            let Some(base) = ty.base().filter(|base| strings::have_parts(*base)) else { continue };
            let own = || state.cells.iter().filter(move |((of, _), _)| *of == field);
            let authors = |deep: usize| {
                let cells = own().filter(move |((_, part), _)| part.steps().len() == deep);
                cells.map(|(_, siblings)| siblings[0].stamp.event.chain.device).collect::<BTreeSet<_>>()
            };
            let is_verbatim = |((_, part), _): (&(FieldId, PartPath), &Vec<Sibling>)| {
                part.steps().last() == Some(VERBATIM.as_bytes())
            };
            let reached = [
                ("kept-verbatim", own().any(is_verbatim)),
                ("parts-of-two-authors", !ty.many && !is_atom(base) && authors(1).len() > 1),
                ("elements-of-two-authors", ty.many && is_atom(base) && authors(1).len() > 1),
                ("atom-written-at-once", is_atom(base) && own().any(|(_, siblings)| siblings.len() > 1)),
            ];
            marks.extend(reached.iter().filter(|(_, is_reached)| *is_reached).map(|(mark, _)| *mark));
        }
    }
    marks
}

fn all(store: &Store<Disk>) -> Vec<(RecordKey, RecordState)> {
    let snapshot = store.engine().snapshot();
    records_in(&snapshot, store.fold().prefix()).map(|record| record.expect("memory can be read")).collect()
}
