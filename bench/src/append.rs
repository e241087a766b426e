//! Small durable writes: one edit an event, each acknowledged when it is on the disk, beside a file that grows by the
//! same number of bytes with an fdatasync after each.

use crate::figure::{Figure, median, time};
use std::{fs::File, io::Write, path::Path, thread};
use tandem_actors::{Change, Command, Handle, Node, Options, Transaction, fresh_record};
use tandem_wire::{
    CellKey, PartPath, RecordKey, Value,
    design::{BaseType, FieldType},
};

/// Edits of all writers together, in one turn.
const EDITS: usize = 2_000;
/// Turns of each side.
const TURNS: usize = 5;
/// About what such an event takes in the log.
const BYTES_PER_EDIT: usize = 300;

/// One writer, and sixteen at a time.
pub fn append() -> Vec<Figure> {
    vec![case("1-writer", 1), case("16-writers", 16)]
}

fn case(case: &'static str, writers: usize) -> Figure {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let node = Node::open(folder.path().join("node"), Options::default()).expect("a node can be opened");
    let workspace = node.create_workspace("Bench", "Bench").expect("a workspace can be made");
    let cells = cells(&workspace, writers);
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let seconds = time(|| edit_all(&workspace, &cells, turn)).as_secs_f64();
        ours.push(EDITS as f64 / seconds);
        let seconds = time(|| append_synced(&folder.path().join("reference"))).as_secs_f64();
        reference.push(EDITS as f64 / seconds);
    }
    Figure {
        bench: "append",
        case,
        metric: "events_per_s",
        higher_is_better: true,
        ours: median(ours),
        reference: median(reference),
        reference_name: "fdatasync",
    }
}

/// A record for each writer, with the cell that it edits.
fn cells(workspace: &Handle, writers: usize) -> Vec<CellKey> {
    let fields = vec![("text".to_string(), FieldType::one(BaseType::Text))];
    let made = workspace.commit(Command::CreateList { name: "Rows".into(), fields }).expect("a list can be made");
    let (list, field) = (made.elements[0].as_list(), made.elements[1].as_field());
    let record = |_| {
        let record = RecordKey { list, record: fresh_record() };
        commit(workspace, Change::Create(record));
        CellKey { record, field, part: PartPath::default() }
    };
    (0..writers).map(record).collect()
}

fn edit_all(workspace: &Handle, cells: &[CellKey], turn: usize) {
    thread::scope(|scope| {
        for cell in cells {
            scope.spawn(move || {
                for edit in 0..EDITS / cells.len() {
                    let text = Value::Text(format!("turn {turn} edit {edit}"));
                    commit(workspace, Change::Set(cell.clone(), text));
                }
            });
        }
    });
}

fn commit(workspace: &Handle, change: Change) {
    let transaction = Transaction { changes: vec![change], ..Transaction::default() };
    workspace.commit(Command::Change(transaction)).expect("an edit can be made");
}

fn append_synced(path: &Path) {
    let mut file = File::create(path).expect("a file can be made");
    for _ in 0..EDITS {
        file.write_all(&[7; BYTES_PER_EDIT]).expect("a file can be written");
        file.sync_data().expect("a file can be synced");
    }
}
