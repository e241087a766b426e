//! Live queries: what a subscriber is told, applied one after the other, is what the query gives.

mod client;

use client::{Client, sorted_by};
use std::{
    collections::BTreeSet,
    future::poll_fn,
    pin::Pin,
    thread,
    time::{Duration, Instant},
};
use tandem_actors::{
    Begin, Change, Command, Handle, Node, NodeError, Options, RowChange, Transaction, Update, fresh_record,
    live::{Cursor, Reset},
};
use tandem_storage::{Query, query::Record};
use tandem_wire::{
    CellKey, FieldId, ListId, PartPath, RecordId, RecordKey, Value,
    design::{BaseType, FieldType},
};

const SOON: Duration = Duration::from_secs(20);

/// A workspace with a list of one text field.
struct Notes {
    workspace: Handle,
    list: ListId,
    field: FieldId,
}

impl Notes {
    fn new(node: &Node) -> Self {
        let workspace = node.create_workspace("Field notes", "Ada").unwrap();
        let fields = vec![("what".into(), FieldType::one(BaseType::Text))];
        let made = workspace.commit(Command::CreateList { name: "Notes".into(), fields }).unwrap().elements;
        Self { workspace, list: made[0].as_list(), field: made[1].as_field() }
    }

    fn make(&self, text: &str) -> (RecordKey, Command) {
        let record = RecordKey { list: self.list, record: fresh_record() };
        (record, self.command(vec![Change::Create(record), self.set(record, text)]))
    }

    fn set(&self, record: RecordKey, text: &str) -> Change {
        Change::Set(CellKey { record, field: self.field, part: PartPath::default() }, Value::Text(text.into()))
    }

    fn command(&self, changes: Vec<Change>) -> Command {
        Command::Change(Transaction { changes, ..Transaction::default() })
    }

    fn add(&self, text: &str) -> RecordKey {
        let (record, command) = self.make(text);
        self.workspace.commit(command).unwrap();
        record
    }

    fn subscribe(&self, query: &Query, begin: Begin) -> tandem_actors::Updates {
        self.workspace.subscribe(self.list, query.clone(), begin).unwrap().blocking()
    }
}

fn next(updates: &mut tandem_actors::Updates) -> Update {
    updates.next_within(SOON).expect("an update comes soon").unwrap()
}

fn changes(update: Update) -> (Vec<RowChange>, Cursor) {
    match update {
        Update::Changes { changes, cursor } => (changes, cursor),
        Update::Reset { why, .. } => panic!("reset: {why}"),
    }
}

fn rows(update: Update) -> (Reset, Vec<Record>, Cursor) {
    match update {
        Update::Reset { why, rows, cursor } => (why, rows, cursor),
        Update::Changes { changes, .. } => panic!("{changes:?}"),
    }
}

#[test]
fn a_subscriber_sees_what_changes_and_only_that() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path(), Options::default()).unwrap();
    let notes = Notes::new(&node);
    let first = notes.add("a heron");
    let herons =
        Query { filters: vec![(notes.field, PartPath::default(), Value::Text("a heron".into()))], ..Query::default() };
    let mut updates = notes.subscribe(&herons, Begin::Rows);
    let (why, shown, _) = rows(next(&mut updates));
    assert_eq!((why, shown.len(), shown[0].id), (Reset::Start, 1, first.record));
    notes.add("two swans");
    assert!(updates.next_within(Duration::from_millis(50)).is_none(), "no heron came");
    let second = notes.add("a heron");
    let (seen, _) = changes(next(&mut updates));
    assert!(matches!(&seen[..], [RowChange::Upsert { record, .. }] if record.id == second.record));
    notes.workspace.commit(notes.command(vec![notes.set(first, "gone")])).unwrap();
    let (seen, _) = changes(next(&mut updates));
    assert_eq!(seen, [RowChange::Remove { id: first.record }]);
    // It ends with the node.
    drop(notes);
    node.close().unwrap();
    assert!(updates.next().is_none());
}

#[test]
fn a_cursor_goes_on_without_a_gap_or_says_reset() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path(), Options::default()).unwrap();
    let notes = Notes::new(&node);
    let (kept, removed) = (notes.add("kept"), notes.add("removed"));
    let all = Query::default();
    let mut updates = notes.subscribe(&all, Begin::Rows);
    let (_, shown, cursor) = rows(next(&mut updates));
    assert_eq!((shown.len(), updates.cursor()), (2, Some(cursor)));
    drop(updates);
    notes.workspace.commit(notes.command(vec![notes.set(kept, "changed"), Change::Delete(removed)])).unwrap();
    let added = notes.add("added");
    let id = notes.workspace.id();
    drop(notes.workspace);
    node.close().unwrap();

    // Also after a restart, and as text.
    let node = Node::open(dir.path(), Options::default()).unwrap();
    let notes = Notes { workspace: node.workspace(id).unwrap(), ..notes };
    let cursor: Cursor = cursor.to_string().parse().unwrap();
    let mut updates = notes.subscribe(&all, Begin::After(cursor));
    let (seen, later) = changes(next(&mut updates));
    let mut client = Client(shown);
    client.apply(&seen);
    assert_eq!(client.by_id(), notes.workspace.read().list(notes.list, &all).unwrap());
    assert!(seen.iter().any(|change| matches!(change, RowChange::Upsert { record, .. } if record.id == added.record)));
    assert!(updates.next_within(Duration::from_millis(20)).is_none());

    let why = |query: &Query, cursor| rows(next(&mut notes.subscribe(query, Begin::After(cursor)))).0;
    let limited = Query { limit: Some(1), ..Query::default() };
    assert_eq!(why(&limited, later), Reset::OtherQuery);
    let (_, _, of_limited) = rows(next(&mut notes.subscribe(&limited, Begin::Rows)));
    notes.add("one more");
    assert_eq!(why(&limited, of_limited), Reset::Limited);
    let fields = vec![("when".into(), FieldType::one(BaseType::Date))];
    notes.workspace.commit(Command::AddFields { list: notes.list, fields }).unwrap();
    assert_eq!(why(&all, later), Reset::Control);
    assert_eq!(rows(next(&mut updates)).0, Reset::Control, "who is there is told as well");
    notes.workspace.rebuild().unwrap();
    assert_eq!(rows(next(&mut updates)).0, Reset::Rebuilt);
    assert_eq!(why(&all, later), Reset::Rebuilt);
}

#[test]
fn a_slow_subscriber_stops_nobody_and_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path(), Options::default()).unwrap();
    let notes = Notes::new(&node);
    let all = Query::default();
    let mut slow = notes.subscribe(&all, Begin::Rows);
    let (_, shown, _) = rows(next(&mut slow));
    let mut client = Client(shown);
    // More than is kept for it: the rest is read from the log.
    let commands = |count: usize| (0..count).map(|n| notes.make(&n.to_string()).1).collect::<Vec<_>>();
    for _ in 0..70 {
        notes.workspace.submit_patiently(commands(1000)).unwrap().wait().unwrap();
    }
    let (seen, _) = changes(next(&mut slow));
    client.apply(&seen);
    assert_eq!(client.0.len(), 70_000);
    assert!(slow.next_within(Duration::from_millis(20)).is_none());
    // And more than anybody reads from the log.
    for n in 0..1100 {
        notes.add(&n.to_string());
    }
    let mut none_kept = notes.subscribe(&all, Begin::After(slow.cursor().unwrap()));
    assert_eq!(rows(next(&mut none_kept)).0, Reset::Behind);
    let (seen, _) = changes(next(&mut slow));
    assert_eq!(seen.len(), 1100, "these were kept");
}

#[test]
fn subscribers_on_many_threads_see_every_writer() {
    const WRITERS: usize = 4;
    const EACH: usize = 25;
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path(), Options::default()).unwrap();
    let notes = Notes::new(&node);
    thread::scope(|scope| {
        let watchers: Vec<_> = (0..3)
            .map(|_| {
                let mut updates = notes.subscribe(&Query::default(), Begin::Now);
                scope.spawn(move || {
                    let mut seen = BTreeSet::new();
                    while seen.len() < WRITERS * EACH {
                        for change in changes(next(&mut updates)).0 {
                            let RowChange::Upsert { record, .. } = change else { panic!("{change:?}") };
                            seen.insert(record.id);
                        }
                    }
                    seen
                })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| scope.spawn(|| (0..EACH).map(|n| notes.add(&n.to_string()).record).collect::<Vec<_>>()))
            .collect();
        let written: BTreeSet<RecordId> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        for watcher in watchers {
            assert_eq!(watcher.join().unwrap(), written);
        }
    });
}

#[test]
fn a_subscription_is_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path(), Options::default()).unwrap();
    let notes = Notes::new(&node);
    let mut stream = notes.workspace.subscribe(notes.list, Query::default(), Begin::Now).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (_, command) = notes.make("a heron");
        let writing = async { notes.workspace.commit_async(command).await.unwrap() };
        let reading = poll_fn(|context| futures_core::Stream::poll_next(Pin::new(&mut stream), context));
        let (_, update) = tokio::join!(writing, tokio::time::timeout(SOON, reading));
        assert_eq!(changes(update.unwrap().unwrap().unwrap()).0.len(), 1);
    });
    let unknown = ListId([9; 16]);
    let refused = notes.workspace.subscribe(unknown, Query::default(), Begin::Now).map(drop).unwrap_err();
    assert!(matches!(refused, NodeError::Refused(_)) && refused.code() == "unknown-list", "{refused}");
}

/// How long after an edit is durable a watcher knows, over many rows. `TANDEM_ROWS` for more of them; in a release
/// build it prints what was seen.
#[test]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn news_travel_fast() {
    let count: usize = std::env::var("TANDEM_ROWS").map_or(20_000, |rows| rows.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path(), Options::default()).unwrap();
    let notes = Notes::new(&node);
    let mut records = Vec::new();
    while records.len() < count {
        let (made, commands): (Vec<_>, Vec<_>) = (0..1000).map(|n| notes.make(&format!("{:07}", n * 7 % 1000))).unzip();
        notes.workspace.submit_patiently(commands).unwrap().wait().unwrap();
        records.extend(made);
    }
    let first = Query { sort: sorted_by(notes.field, false), limit: Some(50), ..Query::default() };
    let mut watched = [notes.subscribe(&Query::default(), Begin::Now), notes.subscribe(&first, Begin::Now)];
    let mut took = Vec::new();
    for n in 0..300 {
        // To the front of the first ones.
        let record = records[n * 7919 % records.len()];
        let edit = notes.command(vec![notes.set(record, &format!("000000 {:04}", 9999 - n))]);
        let begin = Instant::now();
        notes.workspace.commit(edit).unwrap();
        changes(next(&mut watched[0]));
        took.push(begin.elapsed());
        changes(next(&mut watched[1]));
    }
    took.sort();
    let (median, late) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!("{count} rows: median {median:?}, 99th {late:?}, from the edit to the news of it");
    // Generous: it is for a machine that is busy with other things.
    assert!(median < Duration::from_millis(50), "{median:?}");
}
