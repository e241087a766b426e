//! The pure core of the workspace actor.

use super::{
    check,
    compose::{Draft, OpWithBody, Shared},
    design,
};
use crate::command::{Change, Command, Committed, NameKind, Refused, Transaction};
use std::{collections::BTreeMap, sync::Arc};
use tandem_storage::{
    EngineError, Store,
    engine::{Batch, Engine, Read, Table},
    fold::{RecordState, incremental::Fold, record::Stamp},
    log, record_row,
};
use tandem_wire::{
    Act, CellKey, ChainId, DesignDigest, DeviceKey, Event, Genesis, GenesisText, Header, Malformed, MemberId, Op,
    OpRef, PartPath, Payload, RecordKey, Role, Run, SecretKey, Target, Value, WorkspaceId, limits::PREDS_MAX,
};

/// Decides what commands become.
///
/// Input: [`Core::decide`], with a group of commands and the time. Output: a [`Group`]: commit its log batch and make
/// it durable, then hand the group to [`Core::settle`] and commit the views' batch, then release the answers. After
/// an error from the engine the core is not to be used again.
pub struct Core<E> {
    store: Store<E>,
    key: Arc<SecretKey>,
    workspace: WorkspaceId,
}

/// What a group of commands becomes.
pub struct Group {
    /// To be durable first.
    pub log: Batch,
    /// The answer to each command, to be released last.
    pub answers: Vec<Result<Committed, Refused>>,
    views: Batch,
    fold: Fold,
    runs: u64,
}

impl<E: Engine> Core<E> {
    /// For a workspace whose log begins with its genesis.
    pub fn new(store: Store<E>, key: Arc<SecretKey>, workspace: WorkspaceId) -> Self {
        Self { store, key, workspace }
    }

    /// The author of what this node writes.
    pub fn device(&self) -> DeviceKey {
        self.key.device()
    }

    /// Log and views.
    pub fn store(&self) -> &Store<E> {
        &self.store
    }

    /// Gives log and views up.
    pub fn into_store(self) -> Store<E> {
        self.store
    }

    /// Makes all views anew.
    pub fn rebuild(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), EngineError> {
        self.store.rebuild(progress)
    }

    /// Decides each command on the state that those before it left. One that is refused changes nothing and concerns
    /// nobody else.
    pub fn decide(&self, now_ms: u64, commands: &[Command]) -> Result<Group, EngineError> {
        let snapshot = self.store.engine().snapshot();
        let mut draft = Draft::new(
            (self.store.fold().clone(), &snapshot, self.store.workspace()),
            (&self.key, self.workspace, 0),
            self.store.next_arrival(),
            now_ms,
        );
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands {
            answers.push(self.decide_one(&mut draft, command)?);
        }
        let (runs, fold, rows) = draft.finish().expect("runs are kept within their limits");
        let mut log = Batch::default();
        let count = runs.len() as u64;
        for (arrival, run) in runs {
            log.put(Table::Log, log::key(self.store.workspace(), arrival), run.encode());
        }
        Ok(Group { log, answers, views: rows.into_batch(), fold, runs: count })
    }

    /// Takes a group whose log batch is durable. Gives the views' batch and the answers.
    pub fn settle(&mut self, group: Group) -> (Batch, Vec<Result<Committed, Refused>>) {
        let Group { answers, mut views, fold, runs, log: _durable } = group;
        self.store.advance(fold, runs, &mut views);
        (views, answers)
    }

    fn decide_one<R: Read>(
        &self,
        draft: &mut Draft<'_, R>,
        command: &Command,
    ) -> Result<Result<Committed, Refused>, EngineError> {
        let needed = match command {
            Command::Change(_) => Role::Writer,
            Command::CreateList { .. } | Command::AddFields { .. } | Command::Put { .. } => Role::Designer,
        };
        let present = draft.fold.role_of(self.key.device());
        if present.is_none_or(|role| role < needed) {
            return Ok(Err(Refused::role(needed, present)));
        }
        match command {
            Command::Change(transaction) => change(draft, transaction),
            Command::CreateList { name, fields } => design::create_list(draft, name, fields),
            Command::AddFields { list, fields } => design::add_fields(draft, *list, fields),
            Command::Put { element, property, value } => design::put(draft, *element, *property, value),
        }
    }
}

/// The run that founds a workspace.
pub fn found(
    key: &SecretKey,
    nonce: [u8; 16],
    member: MemberId,
    names: &GenesisText,
    now_ms: u64,
) -> (WorkspaceId, Run) {
    let workspace = WorkspaceId::founded_by(key.device(), nonce);
    let genesis = Op { target: Target::Workspace, preds: vec![], act: Act::Genesis(Genesis { nonce, member }) };
    let header = Header {
        workspace,
        chain: ChainId { device: key.device(), number: 0 },
        seq: 0,
        prev: None,
        deps: vec![],
        lamport: 1,
        wall_ms: now_ms,
        design: DesignDigest([0; 16]),
        actor: None,
        batch: None,
        resubmits: None,
        ops: vec![genesis],
    };
    let body = postcard::to_allocvec(names).expect("a vector takes all bytes");
    let event = Event::new(header, Payload::of([body])).expect("names were checked");
    (workspace, Run::sign(vec![event], key).expect("one small event"))
}

/// Names for a new workspace, checked.
pub(crate) fn names(workspace: &str, member: &str) -> Result<GenesisText, Refused> {
    check::name(NameKind::Workspace, workspace, std::iter::empty())?;
    check::name(NameKind::Member, member, std::iter::empty())?;
    Ok(GenesisText { workspace: workspace.into(), member: member.into() })
}

pub(super) type Decided = Result<Result<Committed, Refused>, EngineError>;

fn change<R: Read>(draft: &mut Draft<'_, R>, transaction: &Transaction) -> Decided {
    let mut ops = Vec::new();
    let mut states = States::default();
    for change in &transaction.changes {
        match decide_change(draft, &mut states, change)? {
            Ok(more) => ops.extend(more),
            Err(refused) => return Ok(Err(refused)),
        }
    }
    if ops.is_empty() {
        return Ok(Ok(Committed::default()));
    }
    let shared = Shared { batch: transaction.batch, actor: transaction.actor };
    Ok(match draft.add(ops, shared)? {
        Ok(event) => Ok(Committed { events: vec![event.id()], elements: vec![] }),
        Err(why) => Err(too_large(why)),
    })
}

/// Records as the changes before this one, in the same event, left them.
#[derive(Default)]
struct States(BTreeMap<RecordKey, (RecordState, bool)>);

impl States {
    fn get<R: Read>(&mut self, draft: &Draft<'_, R>, key: RecordKey) -> Result<&mut (RecordState, bool), EngineError> {
        if !self.0.contains_key(&key) {
            let row = draft.rows.get(Table::Records, &draft.fold.prefix().record(key))?;
            let state = row.map_or_else(RecordState::default, |row| record_row::decode(&row));
            let exists = state.exists();
            self.0.insert(key, (state, exists));
        }
        Ok(self.0.get_mut(&key).expect("just put there"))
    }
}

fn decide_change<R: Read>(
    draft: &Draft<'_, R>,
    states: &mut States,
    change: &Change,
) -> Result<Result<Vec<OpWithBody>, Refused>, EngineError> {
    let design = draft.fold.design();
    let record = match change {
        Change::Create(record) | Change::Delete(record) | Change::Restore(record) => *record,
        Change::Set(cell, _) | Change::SetRaw(cell, _) => cell.record,
    };
    let checked = match change {
        Change::Set(cell, value) => check::cell(design, cell, Some(value)),
        Change::SetRaw(cell, _) => check::cell(design, cell, None),
        Change::Create(_) | Change::Delete(_) | Change::Restore(_) => check::list(design, record.list),
    };
    if let Err(refused) = checked {
        return Ok(Err(refused));
    }
    let unknown = || Refused::UnknownRecord { list: design.name(record.list), record };
    let (state, exists) = states.get(draft, record)?;
    Ok(match change {
        Change::Create(_) if *exists => Err(Refused::RecordExists(record)),
        Change::Create(_) | Change::Restore(_) => {
            let restores = matches!(change, Change::Restore(_));
            if restores && (*exists || state.creates.is_empty()) {
                return Ok(Err(if *exists { Refused::RecordExists(record) } else { unknown() }));
            }
            *exists = true;
            let act = if restores { Act::Restore } else { Act::Create };
            Ok(vec![on_record(record, act, unanswered_deletes(state))])
        }
        Change::Set(..) | Change::SetRaw(..) | Change::Delete(_) if !*exists => Err(unknown()),
        Change::Set(cell, value) | Change::SetRaw(cell, value) => Ok(set(state, cell, value).into_iter().collect()),
        Change::Delete(_) => {
            *exists = false;
            Ok(current(state).chunks(PREDS_MAX).map(|preds| on_record(record, Act::Delete, preds.to_vec())).collect())
        }
    })
}

/// Replaces the winner that the author sees; its losers stay in conflict until somebody resolves them.
fn set(state: &RecordState, cell: &CellKey, value: &Value) -> Option<OpWithBody> {
    let siblings = state.cells.get(&(cell.field, cell.part.clone())).map_or(&[][..], Vec::as_slice);
    let shown = siblings.first().and_then(|winner| winner.value());
    if shown.as_ref().unwrap_or(&Value::Null) == value && siblings.len() <= 1 {
        return None;
    }
    let preds = siblings.first().map(|winner| op_of(&winner.stamp)).into_iter().collect();
    Some((Op { target: Target::Cell(cell.clone()), preds, act: Act::Set }, value.encode()))
}

fn on_record(record: RecordKey, act: Act, preds: Vec<OpRef>) -> OpWithBody {
    (Op { target: Target::Record(record), preds, act }, Vec::new())
}

fn unanswered_deletes(state: &RecordState) -> Vec<OpRef> {
    let deletes = state.deletes.iter().filter(|removal| !removal.answered);
    sorted(deletes.map(|removal| op_of(&removal.stamp)))
}

/// What a delete names: creates, restores and all siblings, losers too.
fn current(state: &RecordState) -> Vec<OpRef> {
    let edits = state.creates.iter().chain(&state.restores).map(|edit| &edit.stamp);
    let siblings = state.cells.values().flatten().map(|sibling| &sibling.stamp);
    sorted(edits.chain(siblings).map(op_of))
}

fn op_of(stamp: &Stamp) -> OpRef {
    stamp.event.op(stamp.op)
}

fn sorted(ops: impl Iterator<Item = OpRef>) -> Vec<OpRef> {
    let mut ops: Vec<OpRef> = ops.collect();
    ops.sort_unstable();
    ops
}

/// The only way in which what passed the checks can still be malformed.
pub(super) fn too_large(why: Malformed) -> Refused {
    match why {
        Malformed::Limit(what) => Refused::TooLarge(format!("{what} is beyond its limit")),
        other => unreachable!("checked before: {other}"),
    }
}

/// The cell of a plain field.
pub fn plain_cell(record: RecordKey, field: tandem_wire::FieldId) -> CellKey {
    CellKey { record, field, part: PartPath::default() }
}
