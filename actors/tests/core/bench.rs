//! A core with its disk, for tests of what it decides: one command at a time, and a second member whose events come
//! as if from elsewhere.

use std::sync::Arc;
use tandem_actors::{
    Change, Command, Committed, Refused, Transaction,
    workspace::{Core, found, plain_cell},
};
use tandem_storage::{
    Reader, Store,
    engine::{Batch, Durability, Engine, MemoryEngine, MemorySnapshot, Table},
    fold::RecordState,
    log,
    query::winner,
};
use tandem_wire::{
    Act, Admit, AdmitText, ChainId, DesignDigest, Event, EventId, EventRef, FieldId, GenesisText, Header, ListId,
    MemberId, Op, PartPath, Payload, RecordId, RecordKey, Role, Run, SecretKey, Target, Value, WorkspaceId,
    design::{BaseType, FieldType},
};

pub struct Bench {
    pub core: Core<MemoryEngine>,
    pub engine: Arc<MemoryEngine>,
    workspace: WorkspaceId,
    pub now_ms: u64,
    pub list: ListId,
    pub fields: [FieldId; 2],
}

fn own_key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

/// Ben's, the other member's.
pub fn other_key() -> SecretKey {
    SecretKey::from_bytes(&[8; 32])
}

impl Bench {
    /// Ada's workspace with a list of two text fields.
    pub fn new() -> Self {
        let key = own_key();
        let names = GenesisText { workspace: "w".into(), member: "Ada".into() };
        let (workspace, run) = found(&key, [1; 16], MemberId([2; 16]), &names, 1);
        let engine = Arc::new(MemoryEngine::default());
        put_run(&engine, 0, &run);
        let core = Core::new(Store::open(engine.clone(), 1).unwrap(), Arc::new(key), workspace);
        let none = (ListId([0; 16]), FieldId([0; 16]));
        let mut bench = Self { core, engine, workspace, now_ms: 1000, list: none.0, fields: [none.1; 2] };
        let field = |name: &str| (name.to_string(), FieldType::one(BaseType::Text));
        let fields = vec![field("name"), field("note")];
        let made = bench.perform(Command::CreateList { name: "List".into(), fields }).unwrap().elements;
        bench.list = made[0].as_list();
        bench.fields = [made[1].as_field(), made[2].as_field()];
        bench
    }

    /// All of them in one group.
    pub fn perform_all(&mut self, commands: &[Command]) -> Vec<Result<Committed, Refused>> {
        self.now_ms += 1;
        let mut group = self.core.decide(self.now_ms, commands).unwrap();
        self.engine.commit(std::mem::take(&mut group.log), Durability::Synced).unwrap();
        let (views, answers) = self.core.settle(group).unwrap();
        self.engine.commit(views, Durability::Buffered).unwrap();
        self.core.upkeep().unwrap();
        answers
    }

    pub fn perform(&mut self, command: Command) -> Result<Committed, Refused> {
        self.perform_all(&[command]).remove(0)
    }

    pub fn change(&mut self, changes: &[Change]) -> EventId {
        let changes = changes.to_vec();
        self.perform(Command::Change(Transaction { changes, ..Transaction::default() })).unwrap().events[0]
    }

    pub fn record(&self, number: u8) -> RecordKey {
        RecordKey { list: self.list, record: RecordId([number; 16]) }
    }

    /// Sets the first or second field of a record.
    pub fn set(&self, record: u8, field: usize, value: &str) -> Change {
        Change::Set(plain_cell(self.record(record), self.fields[field]), Value::Text(value.into()))
    }

    pub fn create(&self, record: u8) -> Change {
        Change::Create(self.record(record))
    }

    pub fn reader(&self) -> Reader<MemorySnapshot> {
        Reader::new(self.engine.snapshot(), self.core.store().views())
    }

    pub fn state(&self, record: u8) -> RecordState {
        self.reader().state(self.record(record)).unwrap()
    }

    /// What the two fields of a record show, if it exists.
    pub fn shown(&self, record: u8) -> Option<[String; 2]> {
        let state = self.state(record);
        let show = |field: FieldId| match winner(&state, field, &PartPath::default()) {
            None => String::new(),
            Some(Value::Text(text)) => text,
            other => panic!("{other:?}"),
        };
        state.exists().then(|| self.fields.map(show))
    }

    pub fn reference(&self, id: EventId) -> EventRef {
        self.reader().find_event(id).unwrap().unwrap()
    }

    /// Puts a run of events into the log, as if they had come from elsewhere.
    fn receive(&mut self, key: &SecretKey, header: Header, bodies: Vec<Vec<u8>>) -> EventId {
        let event = Event::new(header, Payload::of(bodies)).unwrap();
        let id = event.id();
        let arrival = self.core.store().next_arrival();
        put_run(&self.engine, arrival, &Run::sign(vec![event], key).unwrap());
        let store = Store::open(self.engine.clone(), 1).unwrap();
        self.core = Core::new(store, Arc::new(own_key()), self.workspace);
        assert_eq!(self.core.store().next_arrival(), arrival + 1);
        id
    }

    fn header(&self, key: &SecretKey, number: u32, ops: Vec<Op>) -> Header {
        let (chain, fold) = (ChainId { device: key.device(), number }, self.core.store().fold());
        let snapshot = self.engine.snapshot();
        let head = fold.head(chain, &snapshot, &log::LogReader::new(&snapshot, 1)).unwrap();
        let tips: Vec<_> =
            fold.frontier(chain.is_control()).filter(|tip| Some(tip.event) != head.map(|head| head.event)).collect();
        let before = tips.iter().map(|tip| tip.lamport).chain(head.map(|head| head.lamport)).max();
        let mut deps: Vec<EventRef> = tips.iter().map(|tip| tip.event).collect();
        deps.sort_unstable();
        Header {
            workspace: self.workspace,
            chain,
            seq: head.map_or(0, |head| head.event.seq + 1),
            prev: head.map(|head| head.event.id),
            deps,
            lamport: 1 + before.unwrap(),
            wall_ms: self.now_ms,
            design: DesignDigest([0; 16]),
            actor: None,
            batch: None,
            resubmits: None,
            ops,
        }
    }

    /// Ben becomes a writer.
    pub fn admit_ben(&mut self) {
        let device = other_key().device();
        let act = Act::Admit(Box::new(Admit { member: MemberId([9; 16]), device, role: Role::Writer, invited: None }));
        let header = self.header(&own_key(), 0, vec![Op { target: Target::Workspace, preds: vec![], act }]);
        let text = postcard::to_allocvec(&AdmitText { member: "Ben".into() }).unwrap();
        self.receive(&own_key(), header, vec![text]);
    }

    /// Ben, who has seen everything, writes this.
    pub fn ben(&mut self, ops: Vec<(Op, Vec<u8>)>) -> EventId {
        self.now_ms += 1;
        let (ops, bodies) = ops.into_iter().unzip();
        let header = self.header(&other_key(), 1, ops);
        self.receive(&other_key(), header, bodies)
    }

    /// Ben sets a cell, instead of what it shows.
    pub fn ben_sets(&mut self, record: u8, field: usize, value: &str) -> EventId {
        let cell = plain_cell(self.record(record), self.fields[field]);
        let preds = self.state(record).heads_of(cell.field, &cell.part).ops().to_vec();
        self.ben(vec![(Op { target: Target::Cell(cell), preds, act: Act::Set }, Value::Text(value.into()).encode())])
    }
}

fn put_run(engine: &MemoryEngine, arrival: u64, run: &Run) {
    let mut batch = Batch::default();
    batch.put(Table::Log, log::key(1, arrival), run.encode());
    engine.commit(batch, Durability::Synced).unwrap();
}
