//! Tandem inside a program of your own: `cargo run -p tandem-actors --example embed`.

use serde::{Deserialize, Serialize};
use tandem_actors::{Command, Node, Options, UndoOf};
use tandem_storage::{
    history::What,
    query::{Query, Sort},
};
use tandem_wire::{
    RecordKey,
    design::{BaseType, FieldType},
};

/// A record as this program knows it: the fields of the list, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plant {
    plant: String,
    #[serde(rename = "height in cm")]
    height_cm: Option<i64>,
}

/// Makes a garden in a folder of its own and looks around in it.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let node = Node::open(dir.path(), Options::default())?;
    let workspace = node.create_workspace("Garden", "Ada")?;

    let fields = vec![
        ("plant".to_string(), FieldType::one(BaseType::Text)),
        ("height in cm".to_string(), FieldType::one(BaseType::Int)),
    ];
    workspace.commit(Command::CreateList { name: "Plants".into(), fields })?;
    let list = workspace.list("Plants")?;
    let plants = list.typed::<Plant>()?;

    // Each call is one event: durable when it returns, or refused whole.
    for (name, height_cm) in [("sunflower", 180), ("thyme", 20), ("foxglove", 120)] {
        plants.insert(&Plant { plant: name.into(), height_cm: Some(height_cm) })?;
    }
    let sort = Some(Sort::field(list.field("height in cm")?).descending());
    let tallest_first = plants.query(&Query { sort, ..Query::default() })?;
    for (id, plant) in &tallest_first {
        println!("{id} {plant:?}");
    }

    // A slip, and back.
    let (id, sunflower) = tallest_first[0].clone();
    let slip = plants.update(id, &Plant { height_cm: Some(18), ..sunflower.clone() })?;
    let undone = workspace.undo(UndoOf::Event(slip.events[0]))?;
    assert_eq!((undone.cells, plants.get(id)?), (1, Some(sunflower)));
    for step in workspace.read().changes_of(RecordKey { list: list.id(), record: id })? {
        let what = match step.what {
            What::Set { before, after, .. } => format!("{before:?} → {after:?}"),
            other => format!("{other:?}"),
        };
        println!("{} {what}", step.author);
    }
    node.close()?;
    Ok(())
}
