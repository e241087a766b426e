//! A list of tasks whose values have parts, the same with plain texts, and the people that they refer to.

use super::{data, options};
use crate::person::{PEOPLE, Row};
use serde_json::json;
use std::path::Path;
use tandem_actors::{Command, Handle, Insert, NewRecord, Node, fresh_batch};
use tandem_storage::{
    composite::{FieldCells, cells_of},
    filter::Scope,
    lens::Choices,
    query::{Query, SortBy},
};
use tandem_wire::{FieldId, ListId, PartPath, RecordId, Value, design::FieldType};

/// Rows that are made at a time.
const ROWS_PER_INSERT: usize = 64 * 1024;

/// A node with both lists.
pub struct Tasks {
    node: Node,
    workspace: Handle,
    people: ListId,
    tasks: ListId,
}

impl Tasks {
    /// A new node in `folder`, whose tasks have values of several parts or, flat, the same strings as texts. Either way
    /// three indexes.
    pub fn create(folder: &Path, cache_bytes: u64, is_flat: bool) -> Self {
        let node = Node::open(data(folder), options(cache_bytes)).expect("a node can be opened");
        let workspace = node.create_workspace("Bench", "Bench").expect("a workspace can be made");
        let field = |name: &str, base: &str, list: Option<&str>, part: &str| match is_flat {
            true => json!({ "name": name, "type": "text", "indexed": true }),
            false => json!({ "name": name, "type": base, "list": list, "indexed": [part] }),
        };
        let file = json!({ "format": 1, "list": [
            { "name": "People", "field": [
                { "name": "number", "type": "int", "row_number": true },
                { "name": "name", "type": "text" },
            ] },
            { "name": "Tasks", "field": [
                { "name": "title", "type": "text" },
                field("owner", "user", Some("People"), "email"),
                field("cost", "currency", None, "amount"),
                field("page", "url", None, "title"),
            ] },
        ] });
        let file = serde_json::from_value(file).expect("a design");
        workspace.commit(Command::ApplyDesign(Box::new(file))).expect("a design can be applied");
        let design = workspace.read().design().clone();
        let named = |name: &str| design.lists().find(|list| design.name(*list) == name).expect("its list");
        let (people, tasks) = (named("People"), named("Tasks"));
        Self { node, workspace, people, tasks }
    }

    /// Stops the node cleanly.
    pub fn close(self) {
        self.node.close().expect("a node can be closed");
    }

    /// Stores the people.
    pub fn import_people(&self) {
        let design = self.workspace.read().design().clone();
        let fields = design.fields(self.people);
        let person = |number: usize| {
            let values = [Value::Int(number as i64), Value::Text(Row::name(number))];
            let cells = fields.iter().zip(values).map(|(field, value)| (*field, PartPath::default(), value));
            NewRecord { id: RecordId(crate::city::id(number)), cells: cells.collect() }
        };
        self.insert(self.people, (0..PEOPLE).map(person).collect());
    }

    /// Stores rows, each an event of its own, taking their strings apart; durable at the end. Gives their number.
    pub fn import(&self, rows: impl Iterator<Item = Row>) -> usize {
        let design = self.workspace.read().design().clone();
        let field = |id: FieldId| (id, design.field_type(id).expect("it has a type"));
        let fields: Vec<(FieldId, FieldType)> = design.fields(self.tasks).into_iter().map(field).collect();
        let (mut records, mut stored) = (Vec::with_capacity(ROWS_PER_INSERT), 0);
        let (nothing, choices) = (FieldCells::new(), Choices::default());
        for (number, row) in rows.enumerate() {
            let mut cells = Vec::with_capacity(6);
            for ((field, ty), string) in fields.iter().zip(row.strings()) {
                let of_string = cells_of(ty, &choices, &nothing, string, || [0; 6]);
                cells.extend(of_string.into_iter().map(|(part, value)| (*field, part, value)));
            }
            records.push(NewRecord { id: RecordId(crate::city::id(number)), cells });
            if records.len() == ROWS_PER_INSERT {
                stored += self.insert(self.tasks, std::mem::take(&mut records));
            }
        }
        stored + self.insert(self.tasks, records)
    }

    fn insert(&self, list: ListId, records: Vec<NewRecord>) -> usize {
        let count = records.len();
        let insert = Insert { list, batch: Some(fresh_batch()), actor: None, records: records.into() };
        let inserted = self.workspace.insert(insert).expect("rows can be stored");
        assert_eq!((inserted.made, inserted.left.len()), (count as u64, 0), "all rows are new");
        count
    }

    /// How many tasks each person has, by the names that they have now, most first.
    pub fn tasks_of_people(&self) -> Vec<(String, u64)> {
        let state = self.workspace.read();
        let by = SortBy::parse("owner.name", &Scope::with_related(state.design(), self.tasks)).expect("a way");
        let groups = state.group(self.tasks, &Query::default(), &by).expect("groups");
        let named = groups.into_iter().map(|(name, count)| match name {
            Some(Value::Text(name)) => (name, count),
            _nobody => (String::new(), count),
        });
        named.collect()
    }
}
