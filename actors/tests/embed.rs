//! Tandem inside other programs: every call, blocking and not, from plain threads, from tokio, from inside an actix
//! system and from inside an actor's handler; and the examples.

use actix::{Actor, Context, Handler, Message};
use std::{path::Path, sync::mpsc, thread, time::Duration};
use tandem_actors::{
    Begin, Change, Command, Handle, Node, Options, RowChange, Transaction, UndoOf, Update, fresh_batch, fresh_record,
};
use tandem_storage::Query;
use tandem_wire::{
    BatchId, CellKey, FieldId, ListId, PartPath, RecordKey, Value,
    design::{BaseType, FieldType},
};

#[path = "../examples/embed.rs"]
mod example_embed;
#[path = "../examples/live.rs"]
mod example_live;

#[test]
fn the_examples_run() {
    example_embed::main().unwrap();
    example_live::main().unwrap();
}

fn notes(workspace: &Handle) -> (ListId, FieldId) {
    let fields = vec![("what".into(), FieldType::one(BaseType::Text))];
    let made = workspace.commit(Command::CreateList { name: "Notes".into(), fields }).unwrap().elements;
    (made[0].as_list(), made[1].as_field())
}

fn note((list, field): (ListId, FieldId), text: &str, batch: Option<BatchId>) -> Command {
    let record = RecordKey { list, record: fresh_record() };
    let cell = CellKey { record, field, part: PartPath::default() };
    let changes = vec![Change::Create(record), Change::Set(cell, Value::Text(text.into()))];
    Command::Change(Transaction { changes, batch, ..Transaction::default() })
}

/// Every blocking call.
fn use_blocking(dir: &Path) {
    let node = Node::open(dir, Options::default()).unwrap();
    let workspace = node.create_workspace("Field notes", "Ada").unwrap();
    let ids = notes(&workspace);
    let mut updates = workspace.subscribe(ids.0, Query::default(), Begin::Rows).unwrap().blocking();
    assert!(matches!(updates.next(), Some(Ok(Update::Reset { .. }))));
    let batch = fresh_batch();
    workspace.submit(vec![note(ids, "a", Some(batch))]).unwrap().wait().unwrap().remove(0).unwrap();
    workspace.submit_patiently(vec![note(ids, "b", Some(batch))]).unwrap().wait().unwrap().remove(0).unwrap();
    let single = workspace.commit(note(ids, "c", None)).unwrap().events[0];
    assert!(matches!(updates.next(), Some(Ok(Update::Changes { .. }))));
    assert_eq!(workspace.undo(UndoOf::Event(single)).unwrap().deleted, 1);
    assert_eq!(workspace.undo(UndoOf::Batch(batch)).unwrap().deleted, 2);
    assert_eq!(workspace.read().count(ids.0).unwrap(), 0);
    assert!(workspace.verify().unwrap().is_clean());
    workspace.rebuild().unwrap();
    assert!(matches!(
        updates.next_within(Duration::from_secs(20)),
        Some(Ok(Update::Reset { .. } | Update::Changes { .. }))
    ));
    node.leave(workspace.id()).unwrap();
    node.remove(workspace.id()).unwrap();
    drop((workspace, updates));
    node.close().unwrap();
}

/// Every call that has an async form.
async fn use_async(dir: &Path) {
    let node = Node::open(dir, Options::default()).unwrap();
    let workspace = node.create_workspace("Field notes", "Ada").unwrap();
    let ids = notes(&workspace);
    let mut subscription = workspace.subscribe(ids.0, Query::default(), Begin::Now).unwrap();
    let batch = fresh_batch();
    let single = workspace.commit_async(note(ids, "a", None)).await.unwrap().events[0];
    let pending = workspace.submit_async(vec![note(ids, "b", Some(batch))]).await.unwrap();
    pending.await_answers().await.unwrap().remove(0).unwrap();
    assert!(matches!(subscription.next_update().await, Some(Ok(Update::Changes { .. }))));
    assert_eq!(workspace.undo_async(UndoOf::Event(single)).await.unwrap().deleted, 1);
    assert_eq!(workspace.undo_async(UndoOf::Batch(batch)).await.unwrap().deleted, 1);
    let Some(Ok(Update::Changes { changes, .. })) = subscription.next_update().await else { panic!("changes") };
    assert!(changes.iter().all(|change| matches!(change, RowChange::Remove { .. })), "{changes:?}");
    node.close().unwrap();
    assert!(subscription.next_update().await.is_none());
}

#[test]
fn no_commands_are_answered_too() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path(), Options::default()).unwrap();
    let workspace = node.create_workspace("w", "Ada").unwrap();
    let ids = notes(&workspace);
    let (tell, told) = mpsc::channel();
    let (some, none) = (workspace.submit(vec![note(ids, "a", None)]).unwrap(), workspace.submit(vec![]).unwrap());
    thread::spawn(move || tell.send((some.wait().unwrap().len(), none.wait().unwrap().len())));
    assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok((1, 0)));
    let (tell, told) = mpsc::channel();
    let none = workspace.submit(vec![]).unwrap();
    thread::spawn(move || tell.send(none.wait().unwrap().len()));
    assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(0), "with nobody beside them");
}

#[test]
fn from_plain_threads() {
    let dir = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for n in 0..3 {
            let dir = dir.path().join(n.to_string());
            scope.spawn(move || use_blocking(&dir));
        }
    });
}

#[test]
fn from_tokio() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        use_async(&dir.path().join("async")).await;
        use_blocking(&dir.path().join("blocking"));
    });
}

/// An actor of the embedding program.
struct Host;

#[derive(Message)]
#[rtype(result = "()")]
struct Work(std::path::PathBuf);

impl Actor for Host {
    type Context = Context<Self>;
}

impl Handler<Work> for Host {
    type Result = ();

    fn handle(&mut self, work: Work, _: &mut Context<Self>) {
        use_blocking(&work.0);
    }
}

#[test]
fn from_inside_an_actix_system() {
    let dir = tempfile::tempdir().unwrap();
    actix::System::new().block_on(async {
        use_async(&dir.path().join("async")).await;
        use_blocking(&dir.path().join("blocking"));
        Host.start().send(Work(dir.path().join("handler"))).await.unwrap();
    });
}

#[test]
fn several_workspaces_and_nodes_at_once() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let nodes: Vec<Node> = dirs.iter().map(|dir| Node::open(dir.path(), Options::default()).unwrap()).collect();
    let made = nodes.iter().flat_map(|node| (0..3).map(|n| node.create_workspace(&n.to_string(), "Ada").unwrap()));
    let workspaces: Vec<(Handle, (ListId, FieldId))> = made.map(|made| (made.clone(), notes(&made))).collect();
    thread::scope(|scope| {
        for (index, (workspace, ids)) in workspaces.iter().enumerate() {
            scope.spawn(move || {
                let mut updates = workspace.subscribe(ids.0, Query::default(), Begin::Now).unwrap().blocking();
                for n in 0..20 * (index + 1) {
                    workspace.commit(note(*ids, &n.to_string(), None)).unwrap();
                    let Some(Ok(Update::Changes { changes, .. })) = updates.next() else { panic!("changes") };
                    assert_eq!(changes.len(), 1);
                }
            });
        }
    });
    for (index, (workspace, ids)) in workspaces.iter().enumerate() {
        assert_eq!(workspace.read().count(ids.0).unwrap(), 20 * (index as u64 + 1));
    }
}

#[test]
fn a_long_import_is_undone_and_redone() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::open(dir.path(), Options { mailbox_messages_max: 2, ..Options::default() }).unwrap();
    let workspace = node.create_workspace("Field notes", "Ada").unwrap();
    let ids = notes(&workspace);
    workspace.commit(note(ids, "before", None)).unwrap();
    let batch = fresh_batch();
    for _ in 0..8 {
        let commands = (0..500).map(|n| note(ids, &n.to_string(), Some(batch))).collect();
        workspace.submit_patiently(commands).unwrap().wait().unwrap();
    }
    let digest_of = |count| {
        assert_eq!(workspace.read().count(ids.0).unwrap(), count);
    };
    digest_of(4001);
    let mut told = 0;
    let undone = workspace.undo_with(UndoOf::Batch(batch), &mut |so_far| told = so_far.deleted).unwrap();
    assert_eq!((undone.deleted, undone.kept_count), (4000, 0));
    assert!(told > 0 && told < 4000, "told {told} on the way");
    digest_of(1);
    let again = workspace.undo(UndoOf::Batch(batch)).unwrap();
    assert!(again.is_nothing() && again.kept_count == 0, "{again:?}");
    let redone = workspace.undo(UndoOf::Batch(undone.batch)).unwrap();
    assert_eq!((redone.restored, redone.kept_count), (4000, 0));
    digest_of(4001);
    let unknown = workspace.undo(UndoOf::Batch(fresh_batch())).unwrap_err();
    assert_eq!(unknown.code(), "unknown-batch");
    assert!(workspace.verify().unwrap().is_clean());
}
