//! A workspace of short texts, for tests that care whether they are there.
#![allow(dead_code, reason = "each test uses some of it")]

use std::path::Path;
use tandem_actors::{
    Change, Command, Handle, Insert, Inserted, NewRecord, Node, NodeError, Options, Transaction, fresh_record,
};
use tandem_storage::{
    Query, Reader, Store,
    engine::{Engine, Read},
    query::winner,
};
use tandem_wire::{
    CellKey, FieldId, ListId, PartPath, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// Opens a node with whatever is free on the disk.
pub fn open(dir: &Path) -> Node {
    with(dir, Options { disk_free_bytes_min: 0, ..Options::default() })
}

/// Opens a node.
pub fn with(dir: &Path, options: Options) -> Node {
    Node::open(dir, options).unwrap()
}

/// A list of one field.
pub struct Notes {
    pub workspace: Handle,
    list: ListId,
    field: FieldId,
}

impl Notes {
    /// The notes of the node's first workspace; both are made if they are not there.
    pub fn of(node: &Node) -> Self {
        let first = node.workspaces().unwrap().first().map(|info| info.id);
        let workspace = match first {
            Some(id) => node.workspace(id).unwrap(),
            None => node.create_workspace("Field notes", "Ada").unwrap(),
        };
        if workspace.fold().design().lists().next().is_none() {
            let fields = vec![("what".to_owned(), FieldType::one(BaseType::Text))];
            workspace.commit(Command::CreateList { name: "Notes".into(), fields }).unwrap();
        }
        Self::find(node).expect("just made")
    }

    /// The same, if they are there.
    pub fn find(node: &Node) -> Option<Self> {
        let workspace = node.workspace(node.workspaces().unwrap().first()?.id).unwrap();
        let list = workspace.fold().design().lists().next()?;
        let field = *workspace.fold().design().fields(list).first()?;
        Some(Self { workspace, list, field })
    }

    /// The command that adds a note.
    pub fn note(&self, text: &str) -> Command {
        let record = RecordKey { list: self.list, record: fresh_record() };
        let cell = CellKey { record, field: self.field, part: PartPath::default() };
        let changes = vec![Change::Create(record), Change::Set(cell, Value::Text(text.into()))];
        Command::Change(Transaction { changes, ..Transaction::default() })
    }

    /// The same, and the record that it makes.
    pub fn note_with_record(&self, text: &str) -> (Command, RecordKey) {
        let Command::Change(note) = self.note(text) else { unreachable!("a note is a change") };
        let record = note.changes[0].record();
        (Command::Change(note), record)
    }

    /// Its list.
    pub fn list(&self) -> ListId {
        self.list
    }

    /// Its one field.
    pub fn field(&self) -> FieldId {
        self.field
    }

    /// Adds a note.
    pub fn try_add(&self, text: &str) -> Result<(), NodeError> {
        self.workspace.commit(self.note(text)).map(drop)
    }

    /// Adds a note.
    pub fn add(&self, text: &str) {
        self.try_add(text).unwrap();
    }

    /// Adds many notes at once.
    pub fn add_at_once(&self, texts: &[String]) {
        let cells = |text: &String| vec![(self.field, PartPath::default(), Value::Text(text.clone()))];
        let records = texts.iter().map(|text| NewRecord { id: fresh_record(), cells: cells(text) }).collect();
        let made = self.workspace.insert(Insert { list: self.list, batch: None, actor: None, records }).unwrap();
        assert_eq!(made, Inserted { made: texts.len() as u64, left: vec![] });
    }

    /// All notes, sorted.
    pub fn texts(&self) -> Vec<String> {
        texts(&self.workspace.read(), self.list, self.field)
    }

    /// Log and views are as they should be.
    pub fn verify(&self) -> bool {
        self.workspace.verify().unwrap().is_clean()
    }

    /// The digest of the views.
    pub fn digest(&self) -> [u8; 32] {
        self.workspace.digest().unwrap()
    }
}

/// All notes of a store, sorted.
pub fn texts_in<E: Engine>(store: &Store<E>) -> Vec<String> {
    let design = store.fold().design();
    let list = design.lists().next().expect("it has a list");
    let field = design.fields(list)[0];
    texts(&Reader::new(store.engine().snapshot(), store.views()), list, field)
}

fn texts<R: Read>(reader: &Reader<R>, list: ListId, field: FieldId) -> Vec<String> {
    let records = reader.list(list, &Query::default()).unwrap();
    let shown = records.iter().map(|record| winner(&record.state, field, &PartPath::default()));
    let mut texts: Vec<String> = shown
        .map(|value| match value {
            Some(Value::Text(text)) => text,
            other => panic!("no text: {other:?}"),
        })
        .collect();
    texts.sort();
    texts
}
