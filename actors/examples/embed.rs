//! Tandem inside a program of your own: `cargo run -p tandem-actors --example embed`.

use tandem_actors::{Change, Command, Node, Options, Transaction, fresh_record};
use tandem_storage::query::{Query, Sort, winner};
use tandem_wire::{
    CellKey, PartPath, RecordKey, Value,
    design::{BaseType, FieldType},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let node = Node::open(dir.path(), Options::default())?;
    let workspace = node.create_workspace("Garden", "Ada")?;

    // A list is made once; its ids are what the rest of the program uses.
    let fields = vec![
        ("plant".to_string(), FieldType::one(BaseType::Text)),
        ("height in cm".to_string(), FieldType::one(BaseType::Int)),
    ];
    let made = workspace.commit(Command::CreateList { name: "Plants".into(), fields })?;
    let (list, plant, height) = (made.elements[0].as_list(), made.elements[1].as_field(), made.elements[2].as_field());

    for (name, cm) in [("sunflower", 180), ("thyme", 20), ("foxglove", 120)] {
        let record = RecordKey { list, record: fresh_record() };
        let cell = |field| CellKey { record, field, part: PartPath::default() };
        let changes = vec![
            Change::Create(record),
            Change::Set(cell(plant), Value::Text(name.into())),
            Change::Set(cell(height), Value::Int(cm)),
        ];
        // Each transaction is one event: durable when this returns, or refused whole.
        workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() }))?;
    }

    let state = workspace.read();
    let sort = Some(Sort::field(height).descending());
    for record in state.list(list, &Query { sort, ..Query::default() })? {
        let show = |field| winner(&record.state, field, &PartPath::default());
        println!("{:?} {:?}", show(plant), show(height));
    }
    drop(state);
    node.close()?;
    Ok(())
}
