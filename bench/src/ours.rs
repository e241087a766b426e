//! Tandem, as the benches use it: all calls into it are here.

mod counted;
mod court;
mod design;
mod group;
mod replica;
mod tasks;

pub use self::{
    counted::Counts,
    court::{Court, Wrong},
    design::NewDesign,
    group::{Group, wait_until},
    replica::{Replica, add_authors, next_run, runs_from},
    tasks::Tasks,
};

use crate::city::City;
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    thread,
};
use tandem_actors::{
    Change, Command, Handle, Insert, NewRecord, Node, Options, Transaction, fresh_batch,
    handle::{Pending, State},
};
use tandem_storage::{
    engine::{FjallEngine, Options as EngineOptions, Read, Table},
    fold::Design,
    index::{
        ViewDefinition,
        definition::{ViewCell, ViewSort},
    },
    query::{Columns, Query, Sort, SortBy, Start, Values},
};
use tandem_wire::{
    BatchId, CellKey, ElementId, FieldId, ListId, PartPath, RecordId, RecordKey, Value, WorkspaceId,
    design::{BaseType, ElementKind, FieldType, Property},
};

/// Rows that are made at a time.
const ROWS_PER_INSERT: usize = 64 * 1024;
/// Edits handed over at a time.
const ROWS_PER_MESSAGE: usize = 256;
/// Messages under way: the next rows are read while these are made durable.
const MESSAGES_UNDER_WAY: usize = 4;
/// The list's fields, in the order of a city's.
const FIELDS: [(&str, BaseType); 8] = [
    ("geonameid", BaseType::Int),
    ("name", BaseType::Text),
    ("latitude", BaseType::Float),
    ("longitude", BaseType::Float),
    ("country", BaseType::Text),
    ("admin1", BaseType::Text),
    ("population", BaseType::Int),
    ("timezone", BaseType::Text),
];
/// Where these are among them.
const NAME: usize = 1;
const COUNTRY: usize = 4;
const POPULATION: usize = 6;
const TIMEZONE: usize = 7;

/// A node with one workspace and one list, of cities, with an index by name for a view of three columns, and indexes
/// by country and population.
pub struct Ours {
    node: Node,
    workspace: Handle,
    list: ListId,
    fields: Vec<FieldId>,
    view: ElementId,
}

impl Ours {
    /// A new node in `folder`, which keeps so much of its tables in memory.
    pub fn create(folder: &Path, cache_bytes: u64) -> Self {
        let node = Node::open(data(folder), options(cache_bytes)).expect("a node can be opened");
        let workspace = node.create_workspace("Bench", "Bench").expect("a workspace can be made");
        let fields = FIELDS.map(|(name, base)| (name.to_string(), FieldType::one(base))).to_vec();
        let made = workspace.commit(Command::CreateList { name: "Cities".into(), fields }).expect("a list can be made");
        let list = made.elements[0].as_list();
        let fields: Vec<FieldId> = made.elements[1..].iter().map(|field| field.as_field()).collect();
        for field in [fields[COUNTRY], fields[POPULATION]] {
            let indexed = Command::Put { element: field.into(), property: Property::Indexed, value: Value::Bool(true) };
            workspace.commit(indexed).expect("a field can be indexed");
        }
        let columns = [NAME, COUNTRY, POPULATION].map(|at| ViewCell::field(fields[at])).to_vec();
        let sort = Some(ViewSort { by: columns[0].clone(), descending: false });
        let definition = ViewDefinition { sort, columns, ..ViewDefinition::default() };
        let made = workspace
            .commit(Command::CreateView { list, name: "By name".into(), definition })
            .expect("a view can be made");
        Self { node, workspace, list, fields, view: made.elements[0] }
    }

    /// The node that was made in `folder`.
    pub fn open(folder: &Path, cache_bytes: u64) -> Self {
        let node = Node::open(data(folder), options(cache_bytes)).expect("a node can be opened");
        let info = node.workspaces().expect("workspaces can be listed").remove(0);
        let workspace = node.workspace(info.id).expect("a workspace can be opened");
        Self::of(node, workspace)
    }

    /// Of a node that has the list and its view.
    fn of(node: Node, workspace: Handle) -> Self {
        let design = workspace.read().design().clone();
        let list = design.lists().next().expect("the list of cities");
        let fields = design.fields(list);
        let view = view_of(&design).expect("the view by name");
        Self { node, workspace, list, fields, view }
    }

    fn has_view(workspace: &Handle) -> bool {
        view_of(workspace.read().design()).is_some()
    }

    /// Its workspace.
    pub fn id(&self) -> WorkspaceId {
        self.workspace.id()
    }

    /// Stops the node cleanly.
    pub fn close(self) {
        self.node.close().expect("a node can be closed");
    }

    /// Stores rows, and their ids, each as an event of its own; durable at the end. Gives their number.
    pub fn import(&self, rows: impl Iterator<Item = ([u8; 16], City)>) -> usize {
        let batch = Some(fresh_batch());
        let mut records = Vec::with_capacity(ROWS_PER_INSERT);
        let mut under_way: Option<thread::JoinHandle<usize>> = None;
        let mut stored = 0;
        for (id, city) in rows {
            records.push(self.row(id, city));
            if records.len() == ROWS_PER_INSERT {
                stored += under_way.take().map_or(0, |insert| insert.join().expect("an insert does not panic"));
                let records = std::mem::replace(&mut records, Vec::with_capacity(ROWS_PER_INSERT));
                under_way = Some(self.insert(batch, records));
            }
        }
        stored += under_way.map_or(0, |insert| insert.join().expect("an insert does not panic"));
        stored + self.insert(batch, records).join().expect("an insert does not panic")
    }

    /// Hands rows in while the next are read.
    fn insert(&self, batch: Option<BatchId>, records: Vec<NewRecord>) -> thread::JoinHandle<usize> {
        let (workspace, list, count) = (self.workspace.clone(), self.list, records.len());
        thread::spawn(move || {
            let inserted = workspace
                .insert(Insert { list, batch, actor: None, records: records.into() })
                .expect("rows can be stored");
            assert_eq!((inserted.made, inserted.left.len()), (count as u64, 0), "all rows are new");
            count
        })
    }

    fn change_all(&self, transactions: impl Iterator<Item = Transaction>) -> usize {
        let mut under_way = VecDeque::new();
        let (mut waiting, mut stored) = (Vec::new(), 0);
        for transaction in transactions {
            waiting.push(Command::Change(transaction));
            stored += 1;
            if waiting.len() == ROWS_PER_MESSAGE {
                if under_way.len() == MESSAGES_UNDER_WAY {
                    under_way.pop_front().into_iter().for_each(receive);
                }
                under_way.push_back(self.submit(std::mem::take(&mut waiting)));
            }
        }
        if !waiting.is_empty() {
            under_way.push_back(self.submit(waiting));
        }
        under_way.into_iter().for_each(receive);
        stored
    }

    fn submit(&self, commands: Vec<Command>) -> Pending {
        self.workspace.submit(commands).expect("commands can be handed in")
    }

    fn row(&self, id: [u8; 16], city: City) -> NewRecord {
        let City { geonameid, name, latitude, longitude, country, admin1, population, timezone } = city;
        let values = [
            Value::Int(geonameid),
            Value::Text(name),
            Value::Float(latitude),
            Value::Float(longitude),
            Value::Text(country),
            if admin1.is_empty() { Value::Null } else { Value::Text(admin1) },
            Value::Int(population),
            Value::Text(timezone),
        ];
        let mut cells = Vec::with_capacity(values.len());
        let shown = self.fields.iter().zip(values).filter(|(_, value)| *value != Value::Null);
        cells.extend(shown.map(|(field, value)| (*field, PartPath::default(), value)));
        NewRecord { id: RecordId(id), cells }
    }

    /// Makes an empty record.
    pub fn create_record(&self, id: [u8; 16]) {
        self.commit(Change::Create(self.key(id)));
    }

    /// Gives one record a name, in an event of its own, and waits until it is durable and shown.
    pub fn edit(&self, id: &[u8; 16], name: &str) {
        self.commit(self.name(id, name.into()));
    }

    /// The same, without waiting for it.
    pub fn hand_in(&self, id: &[u8; 16], name: String) -> Pending {
        let command = Command::Change(alone(self.name(id, name)));
        self.workspace.submit_patiently(vec![command]).expect("an edit can be handed in")
    }

    /// The same for many names, each in an event of its own, made durable in groups.
    pub fn edit_grouped(&self, id: &[u8; 16], names: &mut dyn Iterator<Item = String>) {
        self.edit_all(names.map(|name| (*id, name)));
    }

    /// The same for names of several records.
    pub fn edit_all(&self, names: impl Iterator<Item = ([u8; 16], String)>) {
        self.change_all(names.map(|(id, name)| alone(self.name(&id, name))));
    }

    fn name(&self, id: &[u8; 16], name: String) -> Change {
        Change::Set(cell(self.key(*id), self.fields[NAME]), Value::Text(name))
    }

    fn commit(&self, change: Change) {
        self.workspace.commit(Command::Change(alone(change))).expect("an edit can be made");
    }

    /// One row, as of now.
    pub fn read(&self, id: &[u8; 16]) -> Option<City> {
        let state: State = self.workspace.read();
        Some(self.city(state.values(self.key(*id)).expect("a record can be read")?))
    }

    /// The first `rows` by name from `name` on: ids, names, countries and populations, from the index alone.
    pub fn page_covering(&self, name: &str, rows: u32) -> Vec<([u8; 16], String, String, i64)> {
        let query =
            Query { start: Start::At(Value::Text(name.into())), limit: Some(rows as usize), ..Query::default() };
        let page =
            self.workspace.read().view(self.view, &query).expect("a page can be read").expect("the view by name");
        let of = |columns: &Columns| {
            let mut values = columns.values();
            let mut next = || values.next().expect("three columns");
            (columns.id.0, text(next()), text(next()), int(next()))
        };
        page.rows.iter().map(of).collect()
    }

    /// The same with all columns.
    pub fn page_fetching(&self, name: &str, rows: u32) -> Vec<City> {
        let by = SortBy::Cell(self.fields[NAME], PartPath::default());
        self.page(Query {
            sort: Some(Sort { by, descending: false }),
            start: Start::At(Value::Text(name.into())),
            limit: Some(rows as usize),
            ..Query::default()
        })
    }

    /// The first `rows` of a country, by id, that are in a time zone.
    pub fn page_filtered(&self, country: &str, timezone: &str, rows: u32) -> Vec<City> {
        let equal = |at: usize, text: &str| (self.fields[at], PartPath::default(), Value::Text(text.into()));
        let filters = vec![equal(COUNTRY, country), equal(TIMEZONE, timezone)];
        self.page(Query { filters, limit: Some(rows as usize), ..Query::default() })
    }

    fn page(&self, query: Query) -> Vec<City> {
        let page = self.workspace.read().page_values(self.list, &query).expect("a page can be read");
        page.rows.into_iter().map(|(_, values)| self.city(values)).collect()
    }

    fn city(&self, mut values: Values) -> City {
        let mut value = |at: usize| values.take(self.fields[at], &PartPath::default());
        City {
            geonameid: int(value(0)),
            name: text(value(1)),
            latitude: float(value(2)),
            longitude: float(value(3)),
            country: text(value(4)),
            admin1: text(value(5)),
            population: int(value(6)),
            timezone: text(value(7)),
        }
    }

    fn key(&self, id: [u8; 16]) -> RecordKey {
        RecordKey { list: self.list, record: RecordId(id) }
    }
}

/// Bytes and runs of the log of the node in `folder`, which is not open.
pub fn log_size(folder: &Path) -> (usize, usize) {
    let engine = FjallEngine::open(data(folder), EngineOptions::default()).expect("tables can be opened");
    let rows = engine.range(Table::Log, &[0], None).map(|row| row.expect("a row can be read"));
    rows.fold((0, 0), |(bytes, runs), (key, value)| (bytes + key.len() + value.len(), runs + 1))
}

/// The folder of the tables of the node in `folder`.
pub fn tables(folder: &Path) -> PathBuf {
    data(folder).join("tables")
}

fn view_of(design: &Design) -> Option<ElementId> {
    let is_view = |kind| ElementKind::from_number(kind) == Some(ElementKind::View);
    design.elements.iter().find(|(_, element)| is_view(element.kind)).map(|(id, _)| *id)
}

fn data(folder: &Path) -> PathBuf {
    folder.join("node")
}

fn options(cache_bytes: u64) -> Options {
    Options { engine: EngineOptions { cache_bytes, ..EngineOptions::default() }, ..Options::default() }
}

fn alone(change: Change) -> Transaction {
    Transaction { changes: vec![change], ..Transaction::default() }
}

fn cell(record: RecordKey, field: FieldId) -> CellKey {
    CellKey { record, field, part: PartPath::default() }
}

fn receive(pending: Pending) {
    for answer in pending.wait().expect("the workspace answers") {
        answer.expect("a row can be stored");
    }
}

fn int(value: Option<Value>) -> i64 {
    match value {
        Some(Value::Int(number)) => number,
        other => panic!("{other:?} in place of a whole number"),
    }
}

fn float(value: Option<Value>) -> f64 {
    match value {
        Some(Value::Float(number)) => number,
        other => panic!("{other:?} in place of a number"),
    }
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::Text(text)) => text,
        None => String::new(),
        other => panic!("{other:?} in place of a text"),
    }
}
