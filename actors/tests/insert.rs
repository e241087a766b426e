//! Many records at once: the same as one command for each, whoever looks at them and whenever.

use std::{collections::BTreeMap, path::Path, time::Duration};
use tandem_actors::{
    Begin, Change, Command, Handle, Insert, Inserted, NewRecord, Node, NodeError, Options, Refused, RowChange,
    Transaction, Update, Updates,
};
use tandem_storage::{
    Query,
    index::definition::{ViewCell, ViewDefinition, ViewSort},
    query::{Record, Sort, SortBy, Start, flags, winner},
};
use tandem_wire::{
    BatchId, CellKey, ElementId, FieldId, ListId, PartPath, RecordId, RecordKey, Value,
    design::{BaseType, FieldType, Property},
    limits::EVENT_BYTES_MAX,
};

const SOON: Duration = Duration::from_secs(20);

/// A workspace with a list of three fields; two are indexed, and a view sorts by a third.
struct Towns {
    workspace: Handle,
    list: ListId,
    name: FieldId,
    people: FieldId,
    tags: FieldId,
    view: ElementId,
}

impl Towns {
    fn new(node: &Node) -> Self {
        let workspace = node.create_workspace("Atlas", "Ada").unwrap();
        let fields = vec![
            ("name".into(), FieldType::one(BaseType::Text)),
            ("people".into(), FieldType::one(BaseType::Int)),
            ("tags".into(), FieldType::many(BaseType::Text)),
        ];
        let made = workspace.commit(Command::CreateList { name: "Towns".into(), fields }).unwrap().elements;
        let (list, name, people, tags) =
            (made[0].as_list(), made[1].as_field(), made[2].as_field(), made[3].as_field());
        for field in [name, people] {
            let (element, property, value) = (field.into(), Property::Indexed, Value::Bool(true));
            workspace.commit(Command::Put { element, property, value }).unwrap();
        }
        let sort = Some(ViewSort { by: ViewCell::field(people), descending: true });
        let columns = vec![ViewCell::field(name), ViewCell::field(people)];
        let definition = ViewDefinition { sort, columns, ..ViewDefinition::default() };
        let made = workspace.commit(Command::CreateView { list, name: "Largest".into(), definition }).unwrap();
        assert_eq!(workspace.read().indexes().len(), 3);
        Self { workspace, list, name, people, tags, view: made.elements[0] }
    }

    /// A town whose every third lacks people, every fifth has tags, and every seventh says in words how many people.
    fn town(&self, n: u32) -> NewRecord {
        let mut cells = vec![(self.name, PartPath::default(), Value::Text(format!("Town {}", n * 7919 % 5000)))];
        let people = match n % 21 {
            7 | 14 => Value::Text("many".into()),
            n if n % 3 == 0 => Value::Null,
            _ => Value::Int(i64::from(n % 900)),
        };
        cells.push((self.people, PartPath::default(), people));
        for tag in 0..if n.is_multiple_of(5) { 1 + n % 3 } else { 0 } {
            let part = PartPath::new([tag.to_be_bytes()]).unwrap();
            cells.push((self.tags, part, Value::Text(format!("tag {tag}"))));
        }
        NewRecord { id: id(n), cells }
    }

    fn insert(&self, records: Vec<NewRecord>) -> Result<Inserted, NodeError> {
        self.workspace.insert(Insert {
            list: self.list,
            batch: Some(BatchId([3; 16])),
            actor: None,
            records: records.into(),
        })
    }

    /// The same as one command.
    fn command(&self, record: &NewRecord) -> Command {
        let key = RecordKey { list: self.list, record: record.id };
        let set = |(field, part, value): &(FieldId, PartPath, Value)| {
            Change::SetRaw(CellKey { record: key, field: *field, part: part.clone() }, value.clone())
        };
        let changes = std::iter::once(Change::Create(key)).chain(record.cells.iter().map(set)).collect();
        Command::Change(Transaction { changes, batch: Some(BatchId([3; 16])), ..Transaction::default() })
    }

    fn change(&self, changes: Vec<Change>) {
        self.workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() })).unwrap();
    }

    fn key(&self, n: u32) -> RecordKey {
        RecordKey { list: self.list, record: id(n) }
    }

    /// Everything that its lists and views show, in every order that has an index; the same for equal contents.
    fn shown(&self) -> Vec<Vec<String>> {
        let reader = self.workspace.read();
        let fields = [self.name, self.people, self.tags];
        let one = |record: &Record| {
            let cells = record.state.cells.keys().map(|(field, part)| {
                let at = fields.iter().position(|known| known == field).unwrap();
                format!("{at}{part:?}={:?}", winner(&record.state, *field, part))
            });
            let mut cells: Vec<String> = cells.collect();
            // Fields are in the order of their ids, which differ.
            cells.sort();
            format!("{} {cells:?} {:?}", record.id, flags(reader.design(), self.list, &record.state))
        };
        let sorts = [self.name, self.people]
            .into_iter()
            .flat_map(|field| [false, true].map(|descending| Some(Sort { descending, ..Sort::field(field) })));
        let mut shown: Vec<Vec<String>> = std::iter::once(None)
            .chain(sorts)
            .map(|sort| self.pages(&Query { sort, ..Query::default() }).iter().map(one).collect())
            .collect();
        let view = reader.view(self.view, &Query::default()).unwrap().unwrap();
        shown.push(view.rows.iter().map(|row| format!("{row:?}")).collect());
        let groups =
            reader.group(self.list, &Query::default(), &SortBy::Cell(self.people, PartPath::default())).unwrap();
        shown.push(groups.iter().map(|group| format!("{group:?}")).collect());
        shown
    }

    /// Page by page.
    fn pages(&self, query: &Query) -> Vec<Record> {
        let (reader, mut query, mut all) = (self.workspace.read(), query.clone(), Vec::new());
        query.limit = Some(700);
        loop {
            let page = reader.page(self.list, &query).unwrap();
            all.extend(page.rows);
            let Some(next) = page.next else { return all };
            query.start = Start::After(next);
        }
    }

    fn is_clean(&self) -> bool {
        self.workspace.verify().unwrap().is_clean()
    }

    fn subscribe(&self, begin: Begin) -> Updates {
        self.workspace.subscribe(self.list, Query::default(), begin).unwrap().blocking()
    }
}

/// Not in the order in which they are made.
fn id(n: u32) -> RecordId {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&n.wrapping_mul(2_654_435_769).to_be_bytes());
    id[12..].copy_from_slice(&n.to_be_bytes());
    RecordId(id)
}

fn open(dir: &Path) -> Node {
    Node::open(dir, Options { disk_free_bytes_min: 0, ..Options::default() }).unwrap()
}

fn reopened(node: Node, towns: Towns, dir: &Path) -> (Node, Towns) {
    let id = towns.workspace.id();
    drop(towns.workspace);
    node.close().unwrap();
    let node = open(dir);
    let workspace = node.workspace(id).unwrap();
    (node, Towns { workspace, ..towns })
}

#[test]
fn what_is_made_at_once_is_what_commands_make() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let nodes = [open(dirs[0].path()), open(dirs[1].path())];
    let [at_once, by_commands] = [Towns::new(&nodes[0]), Towns::new(&nodes[1])];
    for towns in [&at_once, &by_commands] {
        for n in [5, 2000] {
            towns.workspace.commit(towns.command(&towns.town(n))).unwrap();
        }
        towns.change(vec![Change::Delete(towns.key(2000))]);
    }
    let records = |towns: &Towns| -> Vec<NewRecord> {
        let mut records: Vec<NewRecord> = (0..3000).map(|n| towns.town(n)).collect();
        // Comes twice, in two forms; is too large for an event; has nothing but its id.
        records.insert(1500, NewRecord { cells: records[700].cells.clone(), id: id(600) });
        records[2500].cells[0].2 = Value::Text("x".repeat(EVENT_BYTES_MAX));
        records[2600].cells.clear();
        records
    };
    let made = at_once.insert(records(&at_once)).unwrap();
    // Behind the place of the doubled one all are one later.
    assert_eq!(made, Inserted { made: 2997, left: vec![5, 1500, 2001, 2500] });
    let answers = |towns: &Towns, places: &[usize]| -> Vec<Option<&'static str>> {
        let records = records(towns);
        let commands = places.iter().map(|place| towns.command(&records[*place])).collect();
        let answers = towns.workspace.submit_patiently(commands).unwrap().wait().unwrap();
        answers.iter().map(|answer| answer.as_ref().err().map(Refused::code)).collect()
    };
    assert_eq!(
        answers(&at_once, &made.left),
        [Some("record-exists"), Some("record-exists"), None, Some("too-large")],
        "one that was deleted is made anew, by a command",
    );
    let all: Vec<usize> = (0..3001).collect();
    let refused = answers(&by_commands, &all).into_iter().filter(Option::is_some).count();
    assert_eq!(refused, 3);
    assert_eq!(at_once.shown(), by_commands.shown());
    assert_eq!(at_once.workspace.read().count(at_once.list).unwrap(), 2999);

    // What is changed afterwards is changed where it is listed, too; and all of it is there again after a restart.
    for towns in [&at_once, &by_commands] {
        let name = |n: u32| CellKey { record: towns.key(n), field: towns.name, part: PartPath::default() };
        towns.change(vec![Change::Set(name(17), Value::Text("Aa".into())), Change::Delete(towns.key(18))]);
        towns.change(vec![Change::Restore(towns.key(18)), Change::Set(name(1), Value::Null)]);
    }
    assert_eq!(at_once.shown(), by_commands.shown());
    assert!(at_once.is_clean() && by_commands.is_clean());
    let before = (at_once.shown(), at_once.workspace.digest().unwrap());
    let (_node, at_once) = reopened(nodes.into_iter().next().unwrap(), at_once, dirs[0].path());
    assert_eq!((at_once.shown(), at_once.workspace.digest().unwrap()), before);
    at_once.workspace.rebuild().unwrap();
    assert_eq!((at_once.shown(), at_once.workspace.digest().unwrap()), before);
    assert!(at_once.is_clean());
}

#[test]
fn one_after_the_other_and_between_commands() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let towns = Towns::new(&node);
    let mut expected = BTreeMap::new();
    for round in 0..4 {
        // Too few to be a load, just enough, and more than a run holds; each goes on behind the last.
        let count = [100, 600, 513, 1500][round as usize];
        let records: Vec<NewRecord> = (0..count).map(|n| towns.town(round * 10_000 + n)).collect();
        expected.extend(records.iter().map(|record| (record.id, ())));
        assert_eq!(towns.insert(records).unwrap(), Inserted { made: u64::from(count), left: vec![] });
        let between = towns.town(round * 10_000 + 9_000);
        expected.insert(between.id, ());
        towns.workspace.commit(towns.command(&between)).unwrap();
        // Of the design as well: what comes next is at its end.
        let fields = vec![(format!("field {round}"), FieldType::one(BaseType::Date))];
        towns.workspace.commit(Command::AddFields { list: towns.list, fields }).unwrap();
    }
    assert!(towns.pages(&Query::default()).iter().map(|record| record.id).eq(expected.keys().copied()));
    assert!(towns.is_clean());
    let again: Vec<NewRecord> = (0..1500).map(|n| towns.town(30_000 + n)).collect();
    assert_eq!(towns.insert(again).unwrap(), Inserted { made: 0, left: (0..1500).collect() });
}

#[test]
fn where_it_cannot_go_on_all_are_left_to_be_done_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let towns = Towns::new(&node);
    let mut records: Vec<NewRecord> = (0..700).map(|n| towns.town(n)).collect();
    // The first is to be the end that the others build on. Without it, that is an event of the design.
    records[0].cells[0].2 = Value::Text("x".repeat(EVENT_BYTES_MAX));
    let made = towns.insert(records.clone()).unwrap();
    assert_eq!(made, Inserted { made: 0, left: (0..700).collect() });
    let commands = made.left.iter().map(|place| towns.command(&records[*place])).collect();
    let answers = towns.workspace.submit_patiently(commands).unwrap().wait().unwrap();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 699);
    // Now there is a record to go on from, and only the first is left.
    let mut more: Vec<NewRecord> = (1000..1600).map(|n| towns.town(n)).collect();
    more[0].cells = records[0].cells.clone();
    assert_eq!(towns.insert(more).unwrap(), Inserted { made: 599, left: vec![0] });
    // Nor does it matter that there is nothing but the first.
    let mut none: Vec<NewRecord> = (2000..2600).map(|n| towns.town(n)).collect();
    none[1..].iter_mut().for_each(|record| record.cells.clone_from(&records[0].cells));
    assert_eq!(towns.insert(none).unwrap(), Inserted { made: 1, left: (1..600).collect() });
    assert_eq!(towns.insert((3000..3600).map(|n| towns.town(n)).collect()).unwrap().made, 600);
    assert!(towns.is_clean());
}

#[test]
fn what_must_not_be_made_is_refused_whole() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let towns = Towns::new(&node);
    let before = towns.workspace.digest().unwrap();
    let records = |with: Option<(FieldId, Value)>| -> Vec<NewRecord> {
        let mut records: Vec<NewRecord> = (0..600).map(|n| towns.town(n)).collect();
        records[300].cells.extend(with.map(|(field, value)| (field, PartPath::default(), value)));
        records
    };
    let code = |insert: Insert| match towns.workspace.insert(insert) {
        Err(error) => error.code(),
        Ok(inserted) => panic!("{inserted:?}"),
    };
    let insert = |list, records: Vec<NewRecord>| Insert { list, batch: None, actor: None, records: records.into() };
    assert_eq!(code(insert(ListId([9; 16]), records(None))), "unknown-list");
    assert_eq!(code(insert(towns.list, records(Some((FieldId([9; 16]), Value::Int(1)))))), "unknown-field");
    assert_eq!(code(insert(towns.list, records(Some((towns.people, Value::Float(f64::NAN)))))), "type");
    assert_eq!(towns.workspace.digest().unwrap(), before);
    let nothing = towns.insert(vec![]).unwrap();
    assert_eq!(nothing, Inserted::default());

    node.leave(towns.workspace.id()).unwrap();
    assert_eq!(code(insert(towns.list, records(None))), "left");
    assert_eq!(towns.workspace.digest().unwrap(), before);
    node.remove(towns.workspace.id()).unwrap();
    assert_eq!(code(insert(towns.list, records(None))), "stopped");
}

#[test]
fn without_room_on_the_disk_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let towns = Towns::new(&node);
    towns.insert((0..600).map(|n| towns.town(n)).collect()).unwrap();
    let id = towns.workspace.id();
    drop(towns.workspace);
    node.close().unwrap();
    let node = Node::open(dir.path(), Options { disk_free_bytes_min: u64::MAX, ..Options::default() }).unwrap();
    let towns = Towns { workspace: node.workspace(id).unwrap(), ..towns };
    let refused = towns.insert((600..1200).map(|n| towns.town(n)).collect()).unwrap_err();
    assert_eq!(refused.code(), "disk-low", "{refused}");
    assert_eq!(towns.workspace.read().count(towns.list).unwrap(), 600);
    assert!(towns.is_clean());
}

#[test]
fn subscribers_see_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let towns = Towns::new(&node);
    towns.workspace.commit(towns.command(&towns.town(9_999))).unwrap();
    let mut ahead = towns.subscribe(Begin::Rows);
    let mut client: BTreeMap<RecordId, Record> = BTreeMap::new();
    let mut follow = |updates: &mut Updates, count: usize, resets: &mut usize| {
        while client.len() < count {
            match updates.next_within(SOON).expect("an update comes soon").unwrap() {
                Update::Reset { rows, .. } => {
                    *resets += 1;
                    client = rows.into_iter().map(|record| (record.id, record)).collect();
                }
                Update::Changes { changes, .. } => {
                    for change in changes {
                        let RowChange::Upsert { record, .. } = change else {
                            panic!("nothing was removed: {change:?}")
                        };
                        client.insert(record.id, record);
                    }
                }
            }
        }
        assert!(client.values().eq(&towns.pages(&Query::default())));
        updates.cursor().unwrap()
    };
    let mut resets = 0;
    let cursor = follow(&mut ahead, 1, &mut resets);
    // While it listens, with commands before and behind.
    towns.workspace.commit(towns.command(&towns.town(9_998))).unwrap();
    towns.insert((0..2000).map(|n| towns.town(n)).collect()).unwrap();
    towns.workspace.commit(towns.command(&towns.town(9_997))).unwrap();
    follow(&mut ahead, 2003, &mut resets);
    assert_eq!(resets, 1, "only the start: the rest is changes");
    drop(ahead);
    // And from a cursor of before.
    let mut later = towns.subscribe(Begin::After(cursor));
    match later.next_within(SOON).unwrap().unwrap() {
        Update::Changes { changes, .. } => assert_eq!(changes.len(), 2002),
        Update::Reset { why, .. } => panic!("{why}"),
    }
    towns.insert((3000..3600).map(|n| towns.town(n)).collect()).unwrap();
    follow(&mut later, 2603, &mut resets);
}
