//! One member: a node that opens, joins, is written to, goes and comes back.

use super::{clock, wires::Wires};
use crate::{
    chance::{Ratio, Stream},
    checks::Violation,
    trace::short,
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    path::PathBuf,
    rc::Rc,
    time::Duration,
};
use tandem_actors::{
    Change, Command, Handle, Invitation, Node, NodeError, Options, Refused, Ticket, Transaction, peer_link::Standing,
};
use tandem_storage::{engine, fold::RecordState};
use tandem_wire::{
    CellKey, EventId, FieldId, PartPath, RecordId, RecordKey, Role, Value, WorkspaceId,
    design::{BaseType, FieldType},
};
use tokio::time::sleep;

/// Time between two commands of one member, at most.
const GAP_US: u64 = 300_000;
/// Time until somebody who could not join tries again.
const AGAIN: Duration = Duration::from_millis(700);
/// Attempts of one member to join: minutes, in all of which something would have to be wrong.
const ATTEMPTS_MAX: usize = 400;
/// Records with so few ids are made by several members at once now and then.
const SHARED_RECORDS: u64 = 6;
/// Values are few, so that equal ones are written apart.
const VALUES: u64 = 12;

/// One member and their node.
pub(super) struct Member {
    pub(super) at: usize,
    pub(super) dir: PathBuf,
    wires: Wires,
    node: RefCell<Option<Rc<Node>>>,
    pub(super) workspace: Cell<Option<WorkspaceId>>,
    /// What was acknowledged.
    pub(super) kept: RefCell<BTreeSet<EventId>>,
}

impl Member {
    pub(super) fn new(at: usize, dir: PathBuf, wires: Wires) -> Self {
        Self { at, dir, wires, node: RefCell::default(), workspace: Cell::default(), kept: RefCell::default() }
    }

    /// The node, while it is open.
    pub(super) fn node(&self) -> Option<Rc<Node>> {
        self.node.borrow().clone()
    }

    /// The workspace, while the node is open and a member of it or on its way there.
    pub(super) fn handle(&self) -> Option<Handle> {
        self.node()?.workspace(self.workspace.get()?).ok()
    }

    /// Opens the node and goes on the network.
    pub(super) async fn open(&self) -> Result<(), NodeError> {
        let engine = engine::Options { cache_bytes: 1 << 20, write_buffer_bytes: 1 << 20 };
        let options = Options { engine, disk_free_bytes_min: 0, outside: clock::outside(), ..Options::default() };
        let node = Rc::new(Node::open(&self.dir, options)?);
        *self.node.borrow_mut() = Some(node.clone());
        self.wires.line(self.at, "open", &format!("{:?}", node.recovered().start));
        node.link_through_async(self.wires.join(self.at, node.device())).await
    }

    /// Closes the node, unless it is needed for something else at this moment.
    pub(super) async fn close(&self) -> Result<bool, NodeError> {
        let Some(node) = self.node.borrow_mut().take() else { return Ok(false) };
        match Rc::try_unwrap(node) {
            Ok(node) => {
                self.wires.line(self.at, "close", "");
                node.close_async().await?;
                // Actors that were told to stop have stopped.
                sleep(Duration::from_millis(1)).await;
                Ok(true)
            }
            Err(node) => {
                *self.node.borrow_mut() = Some(node);
                Ok(false)
            }
        }
    }

    /// Founds the workspace, with one list.
    pub(super) async fn found(&self) -> Result<(), NodeError> {
        let node = self.node().expect("just opened");
        let handle = node.create_workspace("simulated", "Ada")?;
        self.workspace.set(Some(handle.id()));
        let text = || FieldType::one(BaseType::Text);
        let fields = vec![("what".into(), text()), ("where".into(), text())];
        let made = handle.commit_async(Command::CreateList { name: "Notes".into(), fields }).await?;
        self.kept.borrow_mut().extend(made.events);
        Ok(())
    }

    /// Invites somebody, if the node is open.
    pub(super) async fn invite(&self, role: Role) -> Option<Ticket> {
        let (node, handle) = (self.node()?, self.handle()?);
        let invitation = Invitation { role, uses: 2, valid_for: Duration::from_secs(3600), approve: false };
        node.invite_async(&handle, invitation).await.ok()
    }

    /// Joins, however often that fails within reason.
    pub(super) async fn join(&self, founder: &Self, role: Role) {
        for _ in 0..ATTEMPTS_MAX {
            if let Some(ticket) = founder.invite(role).await
                && let Some(node) = self.node()
            {
                let joined = node.join_async(&ticket, &format!("member {}", self.at)).await;
                self.wires.line(self.at, "join", joined.as_ref().err().map_or("", NodeError::code));
                match joined {
                    Ok(handle) => return self.workspace.set(Some(handle.id())),
                    // The answer to an earlier attempt was lost.
                    Err(NodeError::Refused(Refused::WorkspaceExists(_))) => {
                        return self.workspace.set(Some(ticket.workspace));
                    }
                    Err(_) => self.wires.mark("join-failed"),
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// Hands so many commands in, while the node is open.
    pub(super) async fn write(&self, mut stream: Stream, commands: u64) {
        for _ in 0..commands {
            sleep(Duration::from_micros(1 + stream.below(GAP_US))).await;
            let Some(handle) = self.handle() else { continue };
            let Some(command) = draw(&mut stream, &handle) else { continue };
            let answer = handle.commit_async(command).await;
            let said = match &answer {
                Ok(done) => done.events.iter().map(|event| short(&event.0)).collect::<Vec<_>>().join(" "),
                Err(error) => error.code().into(),
            };
            self.wires.line(self.at, "commit", &said);
            if let Ok(done) = answer {
                self.kept.borrow_mut().extend(done.events);
            }
        }
    }

    /// What this member's copy still lacks to be the founder's, in words.
    pub(super) fn missing(&self, founder: [u8; 32]) -> Result<Option<String>, Violation> {
        let (Some(node), Some(handle)) = (self.node(), self.handle()) else {
            return Ok(Some(format!("n{} is not open", self.at)));
        };
        if handle.fold().role_of(handle.device()).is_none() {
            return Ok(Some(format!("n{} is no member yet", self.at)));
        }
        let digest = handle.digest().or_else(|error| Violation::of("tables-can-be-read", error.to_string()))?;
        let peers = node.peers(handle.id());
        let is_through = !peers.is_empty() && peers.iter().all(|peer| peer.standing == Standing::UpToDate);
        let peers: Vec<Standing> = peers.into_iter().map(|peer| peer.standing).collect();
        Ok(match (digest == founder, is_through) {
            (true, true) => None,
            (false, _) => Some(format!("n{} shows something else than the founder: {peers:?}", self.at)),
            (true, false) => Some(format!("n{} does not know that it is up to date: {peers:?}", self.at)),
        })
    }
}

/// Something that somebody might do; nothing before the list has come.
fn draw(stream: &mut Stream, handle: &Handle) -> Option<Command> {
    let state = handle.read();
    let list = state.design().lists().next()?;
    let fields: Vec<FieldId> = state.design().fields(list);
    let records = state.records(list, RecordId([0; 16])).map(|record| record.expect("tables can be read"));
    let records: Vec<(RecordId, RecordState)> = records.map(|record| (record.id, record.state)).collect();
    let value = Value::Text(format!("value {}", stream.below(VALUES)));
    let known = stream.pick(&records).map(|(id, state)| (RecordKey { list, record: *id }, state.exists()));
    let cell = |record, stream: &mut Stream| CellKey {
        record,
        field: *stream.pick(&fields).expect("the list has fields"),
        part: PartPath::default(),
    };
    let changes = match (stream.below(20), known) {
        (0..8, Some((record, true))) => vec![Change::Set(cell(record, stream), value)],
        (8..10, Some((record, true))) => vec![Change::Resolve(cell(record, stream), value)],
        (10..12, Some((record, true))) => vec![Change::Delete(record)],
        (8..14, Some((record, false))) => vec![Change::Restore(record)],
        _ => {
            let record = RecordKey { list, record: fresh_record(stream) };
            vec![Change::Create(record), Change::Set(cell(record, stream), value)]
        }
    };
    Some(Command::Change(Transaction { changes, ..Transaction::default() }))
}

fn fresh_record(stream: &mut Stream) -> RecordId {
    if stream.happens(Ratio(1, 8)) {
        RecordId([stream.below(SHARED_RECORDS) as u8; 16])
    } else {
        RecordId(stream.bytes())
    }
}
