//! The node as programs embed it: real actors on a real disk.

use std::{collections::BTreeSet, path::Path, sync::Arc, thread};
use tandem_actors::{Change, Command, Handle, Node, NodeError, Options, Refused, Transaction, fresh_record};
use tandem_storage::{EngineError, Query, query::winner};
use tandem_wire::{
    CellKey, EventId, FieldId, ListId, PartPath, RecordKey, Value,
    design::{BaseType, FieldType},
};

fn open(dir: &Path) -> Node {
    Node::open(dir, Options::default()).unwrap()
}

fn make_list() -> Command {
    Command::CreateList { name: "Notes".into(), fields: vec![("what".into(), FieldType::one(BaseType::Text))] }
}

/// A workspace with a list of one text field.
fn notes(node: &Node) -> (Handle, ListId, FieldId) {
    let workspace = node.create_workspace("Field notes", "Ada").unwrap();
    let made = workspace.commit(make_list()).unwrap().elements;
    (workspace, made[0].as_list(), made[1].as_field())
}

fn note(list: ListId, field: FieldId, text: &str) -> Command {
    let record = RecordKey { list, record: fresh_record() };
    let cell = CellKey { record, field, part: PartPath::default() };
    let changes = vec![Change::Create(record), Change::Set(cell, Value::Text(text.into()))];
    Command::Change(Transaction { changes, ..Transaction::default() })
}

fn no_such_record(list: ListId) -> Command {
    let changes = vec![Change::Delete(RecordKey { list, record: fresh_record() })];
    Command::Change(Transaction { changes, ..Transaction::default() })
}

/// The texts of all notes, sorted.
fn texts(workspace: &Handle, list: ListId, field: FieldId) -> Vec<String> {
    let records = workspace.read().list(list, &Query::default()).unwrap();
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

/// Ids of all events, in the order of the log, and how many runs they are in.
fn log(workspace: &Handle) -> (Vec<EventId>, usize) {
    let entries: Vec<_> = workspace.read().log().map(Result::unwrap).collect();
    let runs = entries.iter().filter(|(_, ends_run)| *ends_run).count();
    (entries.iter().map(|(event, _)| event.id()).collect(), runs)
}

#[test]
fn many_threads_commit_at_once_and_each_gets_its_own_answer() {
    const THREADS: usize = 8;
    const EACH: usize = 30;
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let (workspace, list, field) = notes(&node);
    let before = log(&workspace).0.len();
    let acknowledged: Vec<EventId> = thread::scope(|scope| {
        let work = |thread: usize| {
            let workspace = workspace.clone();
            move || {
                let mut events = Vec::new();
                for n in 0..EACH {
                    if n % 5 == 4 {
                        let refused = workspace.commit(no_such_record(list)).unwrap_err();
                        assert_eq!(refused.code(), "unknown-record");
                    } else {
                        events.extend(workspace.commit(note(list, field, &format!("{thread} {n}"))).unwrap().events);
                        // Shown before it is answered.
                        assert!(texts(&workspace, list, field).contains(&format!("{thread} {n}")));
                    }
                }
                events
            }
        };
        let workers: Vec<_> = (0..THREADS).map(|thread| scope.spawn(work(thread))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let (events, _) = log(&workspace);
    assert_eq!(acknowledged.len(), THREADS * (EACH - EACH / 5));
    assert_eq!(events[before..].iter().collect::<BTreeSet<_>>(), acknowledged.iter().collect());
    assert_eq!(events.len(), before + acknowledged.len(), "each once");
    assert!(workspace.verify().unwrap().is_clean());
}

#[test]
fn commands_handed_in_together_share_one_signature_and_no_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let (workspace, list, field) = notes(&node);
    let (events, runs) = log(&workspace);
    let mut commands: Vec<Command> = (0..100).map(|n| note(list, field, &n.to_string())).collect();
    commands.insert(50, no_such_record(list));
    let answers = workspace.submit(commands).unwrap().wait().unwrap();
    let refused: Vec<usize> = (0..answers.len()).filter(|at| answers[*at].is_err()).collect();
    assert_eq!(refused, [50]);
    let (events_now, runs_now) = log(&workspace);
    assert_eq!((events_now.len(), runs_now), (events.len() + 100, runs + 1));
}

#[test]
fn a_full_mailbox_says_busy_and_nothing_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { mailbox_messages_max: 2, group_commands_max: 1, ..Options::default() };
    let node = Node::open(dir.path(), options).unwrap();
    let (workspace, list, field) = notes(&node);
    let mut accepted = Vec::new();
    let mut busy = 0;
    // Handing in is far faster than syncing: the mailbox fills after a few.
    while busy < 10 {
        assert!(accepted.len() < 2000, "what waits is not bounded");
        match workspace.submit(vec![note(list, field, &format!("{:06}", accepted.len()))]) {
            Ok(pending) => accepted.push(pending),
            Err(error) => {
                assert!(matches!(error, NodeError::Busy), "{error}");
                busy += 1;
            }
        }
    }
    let expected: Vec<String> = (0..accepted.len()).map(|n| format!("{n:06}")).collect();
    for pending in accepted {
        pending.wait().unwrap().remove(0).unwrap();
    }
    assert_eq!(texts(&workspace, list, field), expected);
}

#[test]
fn reopening_shows_everything_also_after_a_drop_without_close() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let (workspace, list, field) = notes(&node);
    let id = workspace.id();
    workspace.commit(note(list, field, "a heron")).unwrap();
    let (device, digest) = (node.device(), workspace.digest().unwrap());
    drop(workspace);
    node.close().unwrap();

    let node = open(dir.path());
    assert_eq!(node.device(), device);
    let workspace = node.workspace(id).unwrap();
    assert_eq!((workspace.digest().unwrap(), workspace.name().as_str()), (digest, "Field notes"));
    workspace.commit(note(list, field, "two swans")).unwrap();
    let digest = workspace.digest().unwrap();
    // Neither a close nor an order: the node goes first.
    drop(node);
    assert!(matches!(workspace.commit(no_such_record(list)), Err(NodeError::Stopped)));
    drop(workspace);

    let node = open(dir.path());
    let workspace = node.workspace(id).unwrap();
    assert_eq!(texts(&workspace, list, field), ["a heron", "two swans"]);
    assert_eq!(workspace.digest().unwrap(), digest);
}

#[test]
fn a_directory_has_one_node_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let second = Node::open(dir.path(), Options::default()).map(drop).unwrap_err();
    assert!(matches!(second, NodeError::Engine(EngineError::Locked { .. })), "{second}");
    assert_eq!(second.code(), "locked");
    node.create_workspace("still works", "Ada").unwrap();
    node.close().unwrap();
    assert_eq!(open(dir.path()).workspaces().unwrap().len(), 1);
}

#[test]
fn a_workspace_that_was_left_is_for_reading() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let (workspace, list, field) = notes(&node);
    workspace.commit(note(list, field, "a heron")).unwrap();
    node.leave(workspace.id()).unwrap();
    let is_for_reading = |workspace: &Handle| {
        let refused = workspace.commit(note(list, field, "too late")).unwrap_err();
        assert!(matches!(refused, NodeError::Refused(Refused::Left)), "{refused}");
        assert_eq!(texts(workspace, list, field), ["a heron"]);
        assert!(workspace.verify().unwrap().is_clean());
    };
    is_for_reading(&workspace);
    let id = workspace.id();
    drop(workspace);
    node.close().unwrap();
    let node = open(dir.path());
    assert!(node.workspaces().unwrap()[0].left);
    is_for_reading(&node.workspace(id).unwrap());
}

#[test]
fn a_removed_workspace_is_gone_and_its_handles_write_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let (kept, kept_list, kept_field) = notes(&node);
    kept.commit(note(kept_list, kept_field, "stays")).unwrap();
    let (removed, list, field) = notes(&node);
    removed.commit(note(list, field, "goes")).unwrap();
    node.remove(removed.id()).unwrap();
    assert!(matches!(removed.commit(note(list, field, "late")), Err(NodeError::Stopped)));
    assert!(matches!(node.workspace(removed.id()), Err(NodeError::UnknownWorkspace(_))));
    assert!(matches!(node.remove(removed.id()), Err(NodeError::UnknownWorkspace(_))));

    // The next one finds nothing of it.
    let (next, next_list, next_field) = notes(&node);
    next.commit(note(next_list, next_field, "new")).unwrap();
    for (workspace, list, field, text) in [(kept, kept_list, kept_field, "stays"), (next, next_list, next_field, "new")]
    {
        assert_eq!(texts(&workspace, list, field), [text]);
        let verified = workspace.verify().unwrap();
        assert!(verified.is_clean() && verified.invalid == 0 && verified.held == 0, "{verified:?}");
    }
}

#[test]
fn a_rebuild_keeps_the_digest() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let (workspace, list, field) = notes(&node);
    for n in 0..20 {
        workspace.commit(note(list, field, &n.to_string())).unwrap();
    }
    let digest = workspace.digest().unwrap();
    workspace.rebuild().unwrap();
    assert_eq!(workspace.digest().unwrap(), digest);
    let verified = workspace.verify().unwrap();
    assert!(verified.is_clean());
    assert_eq!((verified.live, verified.events), (digest, log(&workspace).0.len() as u64));
    workspace.commit(note(list, field, "after")).unwrap();
    assert_eq!(texts(&workspace, list, field).len(), 21);
}

#[test]
fn workspaces_made_at_once_are_different_ones() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let made: BTreeSet<_> = thread::scope(|scope| {
        let make = |n: usize| {
            let node = &node;
            move || node.create_workspace(&n.to_string(), "Ada").unwrap().id()
        };
        let makers: Vec<_> = (0..8).map(|n| scope.spawn(make(n))).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    let known = node.workspaces().unwrap();
    assert_eq!(known.iter().map(|workspace| workspace.id).collect::<BTreeSet<_>>(), made);
    let names: BTreeSet<String> = known.into_iter().map(|workspace| workspace.name).collect();
    assert_eq!(names, (0..8).map(|n| n.to_string()).collect());
}

#[test]
fn two_nodes_live_in_one_process() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let nodes: Vec<Node> = dirs.iter().map(|dir| open(dir.path())).collect();
    assert_ne!(nodes[0].device(), nodes[1].device());
    let made: Vec<_> = nodes.iter().map(notes).collect();
    for ((workspace, list, field), text) in made.iter().zip(["one", "two"]) {
        workspace.commit(note(*list, *field, text)).unwrap();
    }
    assert!(matches!(nodes[0].workspace(made[1].0.id()), Err(NodeError::UnknownWorkspace(_))));
    let mut nodes = nodes.into_iter();
    nodes.next().unwrap().close().unwrap();
    let (workspace, list, field) = &made[1];
    workspace.commit(note(*list, *field, "still here")).unwrap();
    assert_eq!(texts(workspace, *list, *field), ["still here", "two"]);
}

/// Everything that a program does with a node, on a thread of an async runtime.
async fn use_from_async(dir: &Path) {
    let node = open(dir);
    let workspace = node.create_workspace("Field notes", "Ada").unwrap();
    let made = workspace.commit_async(make_list()).await.unwrap().elements;
    let (list, field) = (made[0].as_list(), made[1].as_field());
    workspace.commit_async(note(list, field, "a heron")).await.unwrap();
    let refused = workspace.commit_async(no_such_record(list)).await.unwrap_err();
    assert_eq!(refused.code(), "unknown-record");
    assert_eq!(texts(&workspace, list, field), ["a heron"]);
    assert!(workspace.verify().unwrap().is_clean());
    workspace.rebuild().unwrap();
    node.leave(workspace.id()).unwrap();
    let refused = workspace.commit_async(no_such_record(list)).await.unwrap_err();
    assert_eq!(refused.code(), "left");
    node.close().unwrap();
}

#[test]
fn a_node_can_be_used_from_inside_tokio() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(use_from_async(dir.path()));
}

#[test]
fn a_node_can_be_used_from_inside_an_actix_system() {
    let dir = tempfile::tempdir().unwrap();
    actix::System::new().block_on(use_from_async(dir.path()));
}

#[test]
fn a_reader_keeps_its_state_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let node = open(dir.path());
    let (workspace, list, field) = notes(&node);
    workspace.commit(note(list, field, "before")).unwrap();
    let state = Arc::new(workspace.read());
    workspace.commit(note(list, field, "after")).unwrap();
    assert_eq!((state.count(list).unwrap(), workspace.read().count(list).unwrap()), (1, 2));
}
