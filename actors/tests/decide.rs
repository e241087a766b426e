//! What the pure core makes of commands, where a shell would not see it.

use std::sync::Arc;
use tandem_actors::{
    Change, Command, Committed, Refused, Transaction,
    workspace::{Core, found, plain_cell},
};
use tandem_storage::{
    Reader, Store,
    engine::{Batch, Durability, Engine, MemoryEngine, Table},
    log,
    query::{flags, winner},
};
use tandem_wire::{
    ElementId, FieldId, GenesisText, ListId, MemberId, PartPath, RecordId, RecordKey, SecretKey, Value,
    design::{BaseType, FieldType, Property},
};

/// A core with its disk, that does one command at a time.
struct Bench {
    core: Core<MemoryEngine>,
    now_ms: u64,
}

impl Bench {
    fn new() -> Self {
        let key = SecretKey::from_bytes(&[7; 32]);
        let names = GenesisText { workspace: "w".into(), member: "Ada".into() };
        let (workspace, run) = found(&key, [1; 16], MemberId([2; 16]), &names, 1);
        let engine = Arc::new(MemoryEngine::default());
        let mut batch = Batch::default();
        batch.put(Table::Log, log::key(1, 0), run.encode());
        engine.commit(batch, Durability::Synced).unwrap();
        let core = Core::new(Store::open(engine, 1).unwrap(), Arc::new(key), workspace);
        Self { core, now_ms: 1000 }
    }

    fn perform(&mut self, command: Command) -> Result<Committed, Refused> {
        let mut group = self.core.decide(self.now_ms, &[command]).unwrap();
        let engine = self.core.store().engine().clone();
        engine.commit(std::mem::take(&mut group.log), Durability::Synced).unwrap();
        let (views, mut answers) = self.core.settle(group).unwrap();
        engine.commit(views, Durability::Buffered).unwrap();
        self.core.upkeep().unwrap();
        answers.remove(0)
    }

    fn change(&mut self, changes: &[Change]) -> Result<Committed, Refused> {
        self.perform(Command::Change(Transaction { changes: changes.to_vec(), ..Transaction::default() }))
    }

    /// A list with a text and a float field.
    fn list(&mut self) -> (ListId, FieldId, FieldId) {
        let field = |name: &str, base| (name.to_string(), FieldType::one(base));
        let fields = vec![field("text", BaseType::Text), field("float", BaseType::Float)];
        let made = self.perform(Command::CreateList { name: "List".into(), fields }).unwrap().elements;
        (made[0].as_list(), made[1].as_field(), made[2].as_field())
    }

    fn reader(&self) -> Reader<tandem_storage::engine::MemorySnapshot> {
        Reader::new(self.core.store().engine().snapshot(), self.core.store().views())
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[test]
fn a_broken_clock_stops_nobody() {
    let mut bench = Bench::new();
    bench.now_ms = u64::MAX;
    let (list, field, _) = bench.list();
    let record = RecordKey { list, record: RecordId([1; 16]) };
    let cell = plain_cell(record, field);
    bench.change(&[Change::Create(record), Change::Set(cell.clone(), text("a"))]).unwrap();
    // Neither does a clock that is right again.
    bench.now_ms = 1000;
    bench.change(&[Change::Set(cell, text("b"))]).unwrap();
    let state = bench.reader().state(record).unwrap();
    assert_eq!(winner(&state, field, &PartPath::default()), Some(text("b")));
    let key = SecretKey::from_bytes(&[8; 32]);
    let names = GenesisText { workspace: "w".into(), member: "Ada".into() };
    found(&key, [1; 16], MemberId([2; 16]), &names, u64::MAX);
}

#[test]
fn a_clock_that_jumps_back_a_year_loses_no_edit() {
    let mut bench = Bench::new();
    bench.now_ms = 1_800_000_000_000;
    let (list, field, _) = bench.list();
    let record = RecordKey { list, record: RecordId([1; 16]) };
    let cell = plain_cell(record, field);
    bench.change(&[Change::Create(record), Change::Set(cell.clone(), text("before"))]).unwrap();
    bench.now_ms -= 365 * 24 * 3_600_000;
    for n in 0..3 {
        let value = text(&format!("after {n}"));
        bench.change(&[Change::Set(cell.clone(), value.clone())]).unwrap();
        let state = bench.reader().state(record).unwrap();
        assert_eq!(winner(&state, field, &PartPath::default()), Some(value));
        assert_eq!(state.cells.values().map(Vec::len).max(), Some(1), "what was replaced is no conflict");
    }
    bench.change(&[Change::Delete(record)]).unwrap();
    assert!(!bench.reader().state(record).unwrap().exists());
}

#[test]
fn a_list_may_be_wide() {
    let mut bench = Bench::new();
    let fields: Vec<_> = (0..3000).map(|i| (format!("f{i}"), FieldType::one(BaseType::Text))).collect();
    let names: Vec<String> = fields.iter().map(|(name, _)| name.clone()).collect();
    let made = bench.perform(Command::CreateList { name: "wide".into(), fields }).unwrap();
    let reader = bench.reader();
    let shown = reader.design().fields(made.elements[0].as_list()).into_iter().map(|field| reader.design().name(field));
    assert_eq!(shown.collect::<Vec<_>>(), names, "all, and in their order");
}

#[test]
fn choices_are_added_behind_those_that_are_there() {
    let mut bench = Bench::new();
    let fields =
        vec![("state".to_string(), FieldType::one(BaseType::Choice)), ("n".into(), FieldType::one(BaseType::Int))];
    let made = bench.perform(Command::CreateList { name: "Tasks".into(), fields }).unwrap().elements;
    let (state, number) = (made[1].as_field(), made[2].as_field());
    let mut add = |field, names: &[&str]| {
        let choices = names.iter().map(|name| (*name).to_owned()).collect();
        let done = bench.perform(Command::AddChoices { field, choices });
        let reader = bench.reader();
        let shown = reader.design().choices(state).into_iter().map(|choice| reader.design().name(choice));
        (done.map(|committed| committed.elements.len()).map_err(|refused| refused.code()), shown.collect::<Vec<_>>())
    };
    assert_eq!(add(state, &["open", "done"]), (Ok(2), vec!["open".into(), "done".into()]));
    let many: Vec<String> = (0..200).map(|number| format!("choice {number}")).collect();
    assert_eq!(add(state, &["done"]).0, Ok(0));
    let all = add(state, &many.iter().map(String::as_str).collect::<Vec<_>>()).1;
    assert_eq!(all[..3], ["open", "done", "choice 0"]);
    assert_eq!(all.last(), many.last());
    assert_eq!(add(state, &["late", ""]), (Err("name"), all.clone()));
    assert_eq!(add(state, &["late", "late"]), (Err("name"), all.clone()));
    assert_eq!(add(number, &["1"]), (Err("type"), all.clone()));
    assert_eq!(add(FieldId([9; 16]), &["1"]), (Err("unknown-element"), all));
}

#[test]
fn a_value_without_a_canonical_form_is_refused() {
    let mut bench = Bench::new();
    let (list, _, float) = bench.list();
    let record = RecordKey { list, record: RecordId([1; 16]) };
    bench.change(&[Change::Create(record)]).unwrap();
    for number in [f64::NAN, f64::INFINITY, -0.0] {
        for set in [Change::Set, Change::SetRaw] {
            let refused = bench.change(&[set(plain_cell(record, float), Value::Float(number))]).unwrap_err();
            assert_eq!(refused.code(), "type", "{number}: {refused}");
        }
        let (property, value) = (Property::Default, Value::Float(number));
        let refused = bench.perform(Command::Put { element: float.into(), property, value }).unwrap_err();
        assert_eq!(refused.code(), "type", "{number}: {refused}");
    }
}

#[test]
fn a_new_name_is_checked_like_a_first_one() {
    let mut bench = Bench::new();
    let (list, field, _) = bench.list();
    let other = bench.perform(Command::CreateList { name: "Other".into(), fields: vec![] }).unwrap().elements[0];
    let mut check = |element: ElementId, value: Value, expect: Result<(), &str>| {
        let done = bench.perform(Command::Put { element, property: Property::Name, value: value.clone() });
        assert_eq!(done.as_ref().map(drop).map_err(Refused::code), expect, "{value:?}");
    };
    check(other, text("List"), Err("name"));
    check(other, text(" "), Err("name"));
    check(other, Value::Int(1), Err("type"));
    check(field.into(), text("float"), Err("name"));
    // Its own name is not taken, and a list and a field may share one.
    check(list.into(), text("List"), Ok(()));
    check(list.into(), text("float"), Ok(()));
    check(field.into(), text("body"), Ok(()));
}

#[test]
fn the_changes_of_one_transaction_build_on_one_another() {
    // Given a record that shows "old" and one that was never made: what the changes leave of it.
    let check = |name: &str,
                 changes: &dyn Fn(RecordKey, FieldId) -> Vec<Change>,
                 expect: Result<Option<&str>, &str>| {
        let mut bench = Bench::new();
        let (list, field, _) = bench.list();
        let record = RecordKey { list, record: RecordId([1; 16]) };
        let set = |value: &str| Change::Set(plain_cell(record, field), text(value));
        if !name.starts_with("new") {
            bench.change(&[Change::Create(record), set("old")]).unwrap();
        }
        if name.starts_with("gone") {
            bench.change(&[Change::Delete(record)]).unwrap();
        }
        let done = bench.change(&changes(record, field));
        let state = bench.reader().state(record).unwrap();
        let shown = state.exists().then(|| winner(&state, field, &PartPath::default()));
        let shown = shown.map(|value| value.unwrap_or(text("nothing")));
        assert_eq!(done.as_ref().map(|_| shown).map_err(Refused::code), expect.map(|shown| shown.map(text)), "{name}");
        assert_eq!(flags(bench.reader().design(), list, &state), [""; 0], "{name}");
    };
    let set = |record, field, value: &str| Change::Set(plain_cell(record, field), text(value));
    check("there, set twice", &|r, f| vec![set(r, f, "a"), set(r, f, "b")], Ok(Some("b")));
    check("there, set and set back", &|r, f| vec![set(r, f, "a"), set(r, f, "old")], Ok(Some("old")));
    check("there, set and deleted", &|r, f| vec![set(r, f, "a"), Change::Delete(r)], Ok(None));
    check("there, deleted and restored", &|r, _| vec![Change::Delete(r), Change::Restore(r)], Ok(Some("old")));
    check("there, deleted and set", &|r, f| vec![Change::Delete(r), set(r, f, "a")], Err("unknown-record"));
    let says = |r, f, text: &str| Change::SetText { cell: plain_cell(r, f), text: text.into(), keep_raw: false };
    check("there, says another", &|r, f| vec![says(r, f, "a")], Ok(Some("a")));
    check("there, says nothing", &|r, f| vec![says(r, f, "")], Ok(Some("nothing")));
    check("there, no such field says nothing", &|r, _| vec![says(r, FieldId([9; 16]), "")], Err("unknown-field"));
    check("there, deleted and says nothing", &|r, f| vec![Change::Delete(r), says(r, f, "")], Err("unknown-record"));
    check("there, deleted twice", &|r, _| vec![Change::Delete(r), Change::Delete(r)], Err("unknown-record"));
    check("new, created and deleted", &|r, _| vec![Change::Create(r), Change::Delete(r)], Ok(None));
    check("new, created and set", &|r, f| vec![Change::Create(r), set(r, f, "a")], Ok(Some("a")));
    let again = |r, _| vec![Change::Create(r), Change::Delete(r), Change::Restore(r)];
    check("new, created, deleted and restored", &again, Ok(Some("nothing")));
    check("gone, restored and deleted", &|r, _| vec![Change::Restore(r), Change::Delete(r)], Ok(None));
    check("gone, restored and set", &|r, f| vec![Change::Restore(r), set(r, f, "a")], Ok(Some("a")));
    check("gone, created", &|r, _| vec![Change::Create(r)], Ok(Some("old")));
}
