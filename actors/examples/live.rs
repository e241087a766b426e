//! A list that is always up to date, while others write: `cargo run -p tandem-actors --example live`.

use std::thread;
use tandem_actors::{Begin, Change, Command, Handle, Node, NodeError, Options, RowChange, Transaction, Update};
use tandem_storage::{
    Query,
    query::{Record, Sort, winner},
};
use tandem_wire::{
    CellKey, FieldId, ListId, PartPath, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// Follows the three best scores while two players play.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let node = Node::open(dir.path(), Options::default())?;
    let workspace = node.create_workspace("Games", "Ada")?;
    let fields = vec![("score".to_string(), FieldType::one(BaseType::Int))];
    let made = workspace.commit(Command::CreateList { name: "Scores".into(), fields })?.elements;
    let (list, score) = (made[0].as_list(), made[1].as_field());

    let sort = Some(Sort::field(score).descending());
    let best_three = Query { sort, limit: Some(3), ..Query::default() };
    let mut updates = workspace.subscribe(list, best_three, Begin::Rows)?.blocking();

    let players = [10, 15].map(|step| {
        let workspace = workspace.clone();
        thread::spawn(move || (1..=4).try_for_each(|n| add(&workspace, list, score, n * step)))
    });
    let mut board: Vec<Record> = Vec::new();
    let show = |record: &Record| winner(&record.state, score, &PartPath::default());
    while board.first().and_then(show) != Some(Value::Int(60)) {
        match updates.next().ok_or("the node was closed")?? {
            Update::Reset { rows, .. } => board = rows,
            Update::Changes { changes, .. } => apply(&mut board, changes),
        }
        println!("{:?}", board.iter().map(show).collect::<Vec<_>>());
    }
    for player in players {
        player.join().expect("players do not panic")?;
    }
    drop((updates, workspace));
    node.close()?;
    Ok(())
}

fn add(workspace: &Handle, list: ListId, field: FieldId, score: i64) -> Result<(), NodeError> {
    let record = RecordKey { list, record: tandem_actors::fresh_record() };
    let cell = CellKey { record, field, part: PartPath::default() };
    let changes = vec![Change::Create(record), Change::Set(cell, Value::Int(score))];
    workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() })).map(drop)
}

/// Takes out what the changes name, then puts in what is part of the result, in their order.
fn apply(board: &mut Vec<Record>, changes: Vec<RowChange>) {
    let named: Vec<_> = changes
        .iter()
        .map(|change| match change {
            RowChange::Upsert { record, .. } => record.id,
            RowChange::Remove { id } => *id,
        })
        .collect();
    board.retain(|record| !named.contains(&record.id));
    for change in changes {
        if let RowChange::Upsert { record, position } = change {
            board.insert(position.unwrap_or(board.len()), record);
        }
    }
}
