//! Queries give the same with an index, with a view that covers them, and by looking at every record.

use std::sync::Arc;
use tandem_actors::{
    Change, Command, Committed, Transaction,
    workspace::{Core, found, plain_cell},
};
use tandem_storage::{
    Query, Reader, Store,
    engine::{Batch, Durability, Engine, MemoryEngine, MemorySnapshot, Table},
    filter::Scope,
    index::definition::{ViewCell, ViewDefinition, ViewSort},
    log,
    query::{Condition, Cursor, Page, Record, Sort, SortBy, Start, winner},
};
use tandem_wire::{
    ElementId, FieldId, GenesisText, ListId, MemberId, PartPath, RecordId, RecordKey, SecretKey, Value,
    design::{BaseType, FieldType, Property},
};

struct Bench {
    core: Core<MemoryEngine>,
    now_ms: u64,
    list: ListId,
    text: FieldId,
    number: FieldId,
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
        let none = FieldId([0; 16]);
        let mut bench = Self { core, now_ms: 1000, list: ListId([0; 16]), text: none, number: none };
        let field = |name: &str, base| (name.to_string(), FieldType::one(base));
        let fields = vec![field("text", BaseType::Text), field("number", BaseType::Int)];
        let made = bench.perform(Command::CreateList { name: "List".into(), fields }).elements;
        bench.list = made[0].as_list();
        bench.text = made[1].as_field();
        bench.number = made[2].as_field();
        bench
    }

    fn perform(&mut self, command: Command) -> Committed {
        self.now_ms += 10;
        let mut group = self.core.decide(self.now_ms, &[command]).unwrap();
        let engine = self.core.store().engine().clone();
        engine.commit(std::mem::take(&mut group.log), Durability::Synced).unwrap();
        let (views, mut answers) = self.core.settle(group).unwrap();
        engine.commit(views, Durability::Buffered).unwrap();
        self.core.upkeep().unwrap();
        answers.remove(0).unwrap()
    }

    fn key(&self, record: u8) -> RecordKey {
        RecordKey { list: self.list, record: RecordId([record; 16]) }
    }

    fn put(&mut self, record: u8, text: Option<&str>, number: Option<i64>) {
        let key = self.key(record);
        let exists = self.reader().record(key).unwrap().is_some();
        let mut changes = if exists { vec![] } else { vec![Change::Create(key)] };
        let text = text.map_or(Value::Null, |text| Value::Text(text.into()));
        changes.push(Change::Set(plain_cell(key, self.text), text));
        changes.push(Change::Set(plain_cell(key, self.number), number.map_or(Value::Null, Value::Int)));
        self.perform(Command::Change(Transaction { changes, ..Transaction::default() }));
    }

    fn delete(&mut self, record: u8) {
        let changes = vec![Change::Delete(self.key(record))];
        self.perform(Command::Change(Transaction { changes, ..Transaction::default() }));
    }

    fn index(&mut self, field: FieldId, yes: bool) {
        let (element, property, value) = (field.into(), Property::Indexed, Value::Bool(yes));
        self.perform(Command::Put { element, property, value });
    }

    fn reader(&self) -> Reader<MemorySnapshot> {
        Reader::new(self.core.store().engine().snapshot(), self.core.store().views())
    }

    /// Ids in order, page by page.
    fn ids(&self, query: &Query, page: usize) -> Vec<u8> {
        let (reader, mut ids, mut query) = (self.reader(), Vec::new(), query.clone());
        query.limit = Some(page);
        loop {
            let found = reader.page(self.list, &query).unwrap();
            assert!(found.rows.len() <= page);
            ids.extend(found.rows.iter().map(|record| record.id.0[0]));
            self.check_values(&query, &found);
            let Some(next) = found.next else { return ids };
            assert!(next.check(self.list, &query).is_ok());
            assert_eq!(next.to_string().parse::<Cursor>().unwrap(), next);
            query.start = Start::After(next);
        }
    }

    /// The same page, with nothing but what the records show.
    fn check_values(&self, query: &Query, found: &Page<Record>) {
        let cells = [self.text, self.number].map(|field| (field, PartPath::default()));
        let shown = self.reader().page_values(self.list, query).unwrap();
        assert_eq!((&shown.next, shown.undecided), (&found.next, found.undecided));
        assert_eq!(shown.rows.len(), found.rows.len());
        for ((id, mut values), record) in shown.rows.into_iter().zip(&found.rows) {
            assert_eq!(id, record.id);
            for (field, part) in &cells {
                let expect = winner(&record.state, *field, part);
                assert_eq!(values.get(*field, part), expect.as_ref());
                assert_eq!(values.take(*field, part), expect);
            }
            assert_eq!(values.iter().count(), 0, "there are no more cells");
        }
    }
}

/// Every kind of query over the bench's fields.
fn queries(bench: &Bench) -> Vec<Query> {
    let plain = |field, value| Query { filters: vec![(field, PartPath::default(), value)], ..Query::default() };
    let mut queries =
        vec![Query::default(), plain(bench.number, Value::Int(2)), plain(bench.text, Value::Text("b".into()))];
    let cells = [bench.text, bench.number].map(|field| SortBy::Cell(field, PartPath::default()));
    for by in cells.into_iter().chain([SortBy::Created, SortBy::Modified]) {
        for descending in [false, true] {
            let sort = Some(Sort { by: by.clone(), descending });
            queries.push(Query { sort: sort.clone(), ..Query::default() });
            let filters = vec![(bench.number, PartPath::default(), Value::Int(2))];
            queries.push(Query { sort: sort.clone(), filters, ..Query::default() });
            let filters = vec![(bench.text, PartPath::default(), Value::Null)];
            queries.push(Query { sort: sort.clone(), filters, ..Query::default() });
            for start in [Value::Text("b".into()), Value::Text("Ä".into()), Value::Int(2)] {
                queries.push(Query { sort: sort.clone(), start: Start::At(start), ..Query::default() });
            }
        }
    }
    queries
}

/// How many records show each value.
type Groups = Vec<(Option<Value>, u64)>;

/// The answers, which must not depend on how many records a page has, and the groups by each field.
fn answers(bench: &Bench) -> (Vec<Vec<u8>>, Vec<Groups>) {
    let answer = |query: &Query| {
        let all = bench.ids(query, 1000);
        assert_eq!(bench.ids(query, 1), all, "{query:?}");
        assert_eq!(bench.ids(query, 3), all, "{query:?}");
        all
    };
    let groups = [bench.text, bench.number].map(|field| {
        let by = SortBy::Cell(field, PartPath::default());
        bench.reader().group(bench.list, &Query::default(), &by).unwrap()
    });
    (queries(bench).iter().map(answer).collect(), groups.into())
}

#[test]
fn values_are_what_a_record_shows() {
    let mut bench = Bench::new();
    bench.put(1, Some("a"), None);
    bench.put(1, Some("b"), Some(7));
    bench.put(2, Some("c"), None);
    bench.put(3, Some("d"), Some(1));
    bench.delete(3);
    let reader = bench.reader();
    let whole = PartPath::default();
    for record in 1..=4 {
        let key = bench.key(record);
        let (values, all) = (reader.values(key).unwrap(), reader.record(key).unwrap());
        assert_eq!(values.is_some(), all.is_some(), "{record}");
        let (Some(values), Some(all)) = (values, all) else { continue };
        for field in [bench.text, bench.number] {
            assert_eq!(values.get(field, &whole).cloned(), winner(&all.state, field, &whole), "{record}");
        }
    }
    let shown: Vec<_> =
        reader.values(bench.key(2)).unwrap().unwrap().iter().map(|(field, _, value)| (field, value.clone())).collect();
    assert_eq!(shown, [(bench.text, Value::Text("c".into()))], "cells without a value are left out");
}

#[test]
fn an_index_changes_no_answer() {
    let mut bench = Bench::new();
    let texts = [Some("b"), Some("a"), Some("B"), None, Some("ä"), Some("zeta"), Some("b"), Some("")];
    for (record, text) in texts.into_iter().enumerate() {
        bench.put(record as u8 + 1, text, (record % 3 != 1).then_some(record as i64 % 4));
    }
    let plain = answers(&bench);
    let (text, number) = (bench.text, bench.number);
    bench.index(text, true);
    assert_eq!(bench.reader().indexes().len(), 1);
    assert_eq!(answers(&bench), plain);
    bench.index(number, true);
    assert_eq!(bench.reader().indexes().len(), 2);
    assert_eq!(answers(&bench), plain);
    // Entries follow what changes.
    bench.put(3, Some("c"), Some(2));
    bench.put(4, Some("late"), None);
    bench.put(20, None, None);
    bench.delete(1);
    bench.put(5, None, Some(-7));
    assert_eq!(bench.core.store().bad_index_entries().unwrap(), 0);
    let indexed = answers(&bench);
    for field in [text, number] {
        bench.index(field, false);
    }
    assert!(bench.reader().indexes().is_empty());
    assert_eq!(answers(&bench), indexed);
    let texts = Query { sort: Some(Sort::field(text)), ..Query::default() };
    assert_eq!(bench.ids(&texts, 1000), [8, 2, 7, 3, 4, 6, 5, 20]);
}

#[test]
fn a_view_shows_its_columns_in_its_order() {
    let mut bench = Bench::new();
    for (record, text) in ["m", "c", "x", "a"].into_iter().enumerate() {
        bench.put(record as u8 + 1, Some(text), Some(record as i64));
    }
    let (text, number) = (bench.text, bench.number);
    let sort = ViewSort { by: ViewCell::field(text), descending: true };
    let columns = vec![ViewCell::field(number), ViewCell::field(text)];
    let definition = ViewDefinition { sort: Some(sort), columns, ..ViewDefinition::default() };
    let made = bench.perform(Command::CreateView { list: bench.list, name: "By text".into(), definition });
    let view: ElementId = made.elements[0];
    assert_eq!(bench.reader().indexes().len(), 1);
    let numbers = |bench: &Bench, query: &Query| -> (Vec<Option<Value>>, Option<Cursor>) {
        let page = bench.reader().view(view, query).unwrap().expect("a view");
        (page.rows.iter().map(|row| row.values().next().expect("a column")).collect(), page.next)
    };
    let int = |number| Some(Value::Int(number));
    let (first, next) = numbers(&bench, &Query { limit: Some(3), ..Query::default() });
    assert_eq!(first, [int(2), int(0), int(1)]);
    let rest = Query { limit: Some(3), start: Start::After(next.unwrap()), ..Query::default() };
    assert_eq!(numbers(&bench, &rest), (vec![int(3)], None));
    bench.put(3, Some("b"), None);
    assert_eq!(numbers(&bench, &Query::default()).0, [int(0), int(1), None, int(3)]);
    let filters = vec![(number, PartPath::default(), Value::Int(1))];
    assert_eq!(numbers(&bench, &Query { filters, ..Query::default() }).0, [int(1)]);
    assert_eq!(bench.core.store().bad_index_entries().unwrap(), 0);
    assert!(bench.reader().view(text.into(), &Query::default()).unwrap().is_none());
}

#[test]
fn a_cursor_of_another_query_is_told() {
    let mut bench = Bench::new();
    (1..4).for_each(|record| bench.put(record, Some("x"), None));
    let query = Query { sort: Some(Sort::field(bench.text)), limit: Some(1), ..Query::default() };
    let next = bench.reader().page(bench.list, &query).unwrap().next.unwrap();
    let other = Query { sort: Some(Sort::field(bench.text).descending()), ..query.clone() };
    assert!(next.check(bench.list, &query).is_ok());
    assert!(next.check(bench.list, &other).is_err());
    for bad in ["", "01", "zz", &format!("{next}0"), &next.to_string().to_uppercase()] {
        assert!(bad.parse::<Cursor>().is_err(), "{bad}");
    }
}

#[test]
fn a_condition_finds_the_same_with_an_index() {
    let mut bench = Bench::new();
    for record in 1..40u8 {
        let text = ["alpha", "Beta", "beta", "älter", "", "al"][usize::from(record) % 6];
        bench.put(record, (record % 7 != 0).then_some(text), (record % 5 != 0).then_some(i64::from(record) % 11));
    }
    let conditions = [
        "number > 3 && number <= 7",
        "number in [1, 2, 9] && text != null",
        "text == 'beta'",
        "text.startsWith('al')",
        "text.startsWith('Be') || number == 1",
        "number >= 3.5 && number < 8 && text.startsWith('al')",
        "number < 3 && number > 5",
        "text > 'b'",
        "created > '1970-01-01' && number == 2",
        "created_by == 'Ada' && modified >= created && number == 4",
        "!(number > 3)",
    ];
    let answers = |bench: &Bench| -> Vec<Vec<u8>> {
        let scope = Scope::of(bench.reader().design(), bench.list);
        let mut answers = Vec::new();
        for text in conditions {
            let condition = Some(Condition::parse(text, &scope).unwrap());
            for sort in [None, Some(Sort::field(bench.text)), Some(Sort::field(bench.number).descending())] {
                let query = Query { condition: condition.clone(), sort, ..Query::default() };
                let all = bench.ids(&query, 1000);
                assert_eq!(bench.ids(&query, 2), all, "{text}");
                answers.push(all);
            }
        }
        answers
    };
    let plain = answers(&bench);
    assert!(plain.iter().filter(|found| !found.is_empty()).count() > 20, "{plain:?}");
    let (text, number) = (bench.text, bench.number);
    bench.index(number, true);
    assert_eq!(answers(&bench), plain);
    bench.index(text, true);
    assert_eq!(answers(&bench), plain);
    bench.index(number, false);
    assert_eq!(answers(&bench), plain);
}
