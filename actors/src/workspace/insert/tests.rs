//! Loads through the core alone: cut short anywhere, and by members whom others have a say about.

use super::{Insert, NewRecord, Planned};
use crate::{
    Change, Command, Refused, Transaction,
    workspace::{Core, found, plain_cell},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};
use tandem_storage::{
    EngineError, Load, Query, Reader, Store,
    engine::{Batch, Durability, Engine, Fault, MemoryEngine, MemorySnapshot, RangeIter, Read, Slice, Table},
    log,
    query::{Sort, winner},
};
use tandem_wire::{
    Act, Admit, AdmitText, ChainId, DesignDigest, Event, EventRef, FieldId, GenesisText, Header, ListId, MemberId, Op,
    PartPath, Payload, RecordId, RecordKey, Remove, Role, Run, SecretKey, Target, Value, WorkspaceId,
    design::{BaseType, FieldType, Property},
};

/// Tables in memory whose disk is full for some writes.
#[derive(Default)]
struct Full {
    memory: MemoryEngine,
    refuses: Mutex<Refuses>,
}

/// Which writes fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Refuses {
    ingestions: BTreeSet<Table>,
    /// The commit after so many more.
    commit: Option<u32>,
}

impl Full {
    fn of(memory: MemoryEngine) -> Arc<Self> {
        Arc::new(Self { memory, refuses: Mutex::default() })
    }

    fn refuse(&self, refuses: &Refuses) {
        self.refuses.lock().unwrap().clone_from(refuses);
    }

    /// What was found after a power cut, for every number of commits that it may have kept.
    fn crashes(&self) -> impl Iterator<Item = Arc<Self>> + '_ {
        (0..=self.memory.unsynced()).map(|keep| Self::of(self.memory.crash(keep)))
    }
}

fn full() -> EngineError {
    EngineError::DiskFull { path: "memory".into() }
}

impl Read for Full {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError> {
        self.memory.get(table, key)
    }

    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        self.memory.range(table, from, to)
    }

    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        self.memory.range_rev(table, from, to)
    }
}

impl Engine for Full {
    type Snapshot = MemorySnapshot;

    fn snapshot(&self) -> MemorySnapshot {
        self.memory.snapshot()
    }

    fn commit(&self, batch: Batch, durability: Durability) -> Result<(), EngineError> {
        match &mut self.refuses.lock().unwrap().commit {
            Some(0) => return Err(full()),
            Some(left) => *left -= 1,
            None => {}
        }
        self.memory.commit(batch, durability)
    }

    fn ingest(&self, table: Table, entries: &mut dyn Iterator<Item = (Slice, Slice)>) -> Result<(), EngineError> {
        if self.refuses.lock().unwrap().ingestions.contains(&table) {
            return Err(full());
        }
        self.memory.ingest(table, entries)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.memory.sync()
    }

    fn flush(&self) -> Result<(), EngineError> {
        self.memory.flush()
    }
}

/// A core with a list of one indexed text field.
struct Bench {
    core: Core<Full>,
    key: Arc<SecretKey>,
    workspace: WorkspaceId,
    list: ListId,
    field: FieldId,
}

fn ada() -> Arc<SecretKey> {
    Arc::new(SecretKey::from_bytes(&[7; 32]))
}

fn ben() -> Arc<SecretKey> {
    Arc::new(SecretKey::from_bytes(&[8; 32]))
}

impl Bench {
    fn new() -> Self {
        let names = GenesisText { workspace: "w".into(), member: "Ada".into() };
        let (workspace, run) = found(&ada(), [1; 16], MemberId([2; 16]), &names, 1);
        let engine = Full::of(MemoryEngine::default());
        put_run(&engine, 0, &run);
        let core = Core::new(Store::open(engine, 1).unwrap(), ada(), workspace);
        let mut bench = Self { core, key: ada(), workspace, list: ListId([0; 16]), field: FieldId([0; 16]) };
        let fields = vec![("name".into(), FieldType::one(BaseType::Text))];
        let commands = [Command::CreateList { name: "List".into(), fields }];
        let made = bench.commit(&commands).unwrap().remove(0).unwrap().elements;
        (bench.list, bench.field) = (made[0].as_list(), made[1].as_field());
        let (element, property, value) = (bench.field.into(), Property::Indexed, Value::Bool(true));
        bench.commit(&[Command::Put { element, property, value }]).unwrap().remove(0).unwrap();
        bench
    }

    fn engine(&self) -> &Arc<Full> {
        self.core.store().engine()
    }

    /// As it is after another start.
    fn on(&self, engine: Arc<Full>) -> Self {
        let core = Core::new(Store::open(engine, 1).unwrap(), self.key.clone(), self.workspace);
        Self { core, key: self.key.clone(), ..*self }
    }

    /// The same log in the hands of another.
    fn seen_by(self, key: Arc<SecretKey>) -> Self {
        let engine = self.engine().clone();
        Self { key, ..self }.on(engine)
    }

    fn commit(&mut self, commands: &[Command]) -> Result<Vec<Result<crate::Committed, Refused>>, EngineError> {
        let mut group = self.core.decide(1000, commands)?;
        let engine = self.engine().clone();
        engine.commit(std::mem::take(&mut group.log), Durability::Synced)?;
        let (views, answers) = self.core.settle(group)?;
        engine.commit(views, Durability::Buffered)?;
        self.core.upkeep()?;
        Ok(answers)
    }

    /// The record by the number `n`, as an import would hand it in.
    fn record(&self, n: u16) -> NewRecord {
        let text = Value::Text(format!("{:05} of {n}", n.wrapping_mul(7919)));
        NewRecord { id: id(n), cells: vec![(self.field, PartPath::default(), text)] }
    }

    fn insert_of(&self, numbers: impl IntoIterator<Item = u16>) -> Insert {
        let records = numbers.into_iter().map(|n| self.record(n)).collect();
        Insert { list: self.list, batch: None, actor: None, records }
    }

    /// What the actor does; the number of records made, and the places of those that were left.
    fn insert(&mut self, insert: Insert) -> Result<Result<(usize, Vec<usize>), Refused>, EngineError> {
        let (mut places, mut left) = match self.core.plan_insert(&insert)? {
            Ok(Planned::Many { places, left }) => (places, left),
            Ok(Planned::Few { .. }) => panic!("many records are a load"),
            Err(refused) => return Ok(Err(refused)),
        };
        let mut made = 0;
        if !self.core.loader()?.goes_on() {
            let first = places.remove(0);
            let done = self.commit(&[insert.command(first)])?.remove(0);
            left.extend(done.is_err().then_some(first));
            made += usize::from(done.is_ok());
        }
        match self.load_of(&insert, &places)? {
            None => left.extend(places),
            Some((load, too_large)) => {
                made += places.len() - too_large.len();
                left.extend(too_large);
                self.core.load(load)?;
            }
        }
        left.sort_unstable();
        Ok(Ok((made, left)))
    }

    /// The load of records that are to be made, with the places of those that are too large.
    fn load_of(&self, insert: &Insert, places: &[usize]) -> Result<Option<(Load, Vec<usize>)>, EngineError> {
        let mut loader = self.core.loader()?;
        let composed = self.core.compose((insert, places), 1001, &mut |run| loader.take(&run).unwrap())?;
        Ok(composed.map(|(_, too_large)| (loader.finish(), too_large)))
    }

    /// The numbers of the records that exist, by number.
    fn numbers(&self) -> Vec<u16> {
        let reader = Reader::new(self.engine().snapshot(), self.core.store().views());
        let shown = |sort: Option<Sort>| -> Vec<(RecordId, Option<Value>)> {
            let found = reader.list(self.list, &Query { sort, ..Query::default() }).unwrap();
            found.iter().map(|found| (found.id, winner(&found.state, self.field, &PartPath::default()))).collect()
        };
        let (by_id, mut by_index) = (shown(None), shown(Some(Sort::field(self.field))));
        by_index.sort_by_key(|(id, _)| *id);
        assert_eq!(by_index, by_id, "the index has each once");
        let numbers: Vec<u16> = by_id.iter().map(|(id, _)| number(*id)).collect();
        for ((_, value), n) in by_id.iter().zip(&numbers) {
            assert_eq!(value.as_ref(), Some(&self.record(*n).cells[0].2));
        }
        numbers
    }

    fn assert_clean(&self) {
        let verified = self.core.store().verify(&mut |_| {}).unwrap();
        assert!(verified.is_clean() && verified.invalid == 0, "{verified:?}");
        let marks = self.engine().range(Table::Meta, &[0], None).map(|pair| pair.unwrap().0);
        assert_eq!(marks.filter(|key| key.ends_with(b"loading")).count(), 0, "no load is under way");
    }

    /// An event of the control chain of `key` that is in order, as if it had come from elsewhere.
    fn receive_control(&mut self, key: &SecretKey, act: Act, body: Vec<u8>) {
        let (chain, fold) = (ChainId { device: key.device(), number: 0 }, self.core.store().fold());
        let snapshot = self.engine().snapshot();
        let head = fold.head(chain, &snapshot, &log::LogReader::new(&snapshot, 1)).unwrap().unwrap();
        let (seq, prev, lamport) = (head.event.seq + 1, Some(head.event.id), head.lamport + 1);
        self.receive(key, self.header(chain, (seq, prev, lamport), vec![], (Target::Workspace, act)), body);
    }

    fn header(
        &self,
        chain: ChainId,
        (seq, prev, lamport): (u64, Option<tandem_wire::EventId>, u64),
        deps: Vec<EventRef>,
        (target, act): (Target, Act),
    ) -> Header {
        Header {
            workspace: self.workspace,
            chain,
            seq,
            prev,
            deps,
            lamport,
            wall_ms: 1000,
            design: DesignDigest([0; 16]),
            actor: None,
            batch: None,
            resubmits: None,
            ops: vec![Op { target, preds: vec![], act }],
        }
    }

    fn receive(&mut self, key: &SecretKey, header: Header, body: Vec<u8>) {
        let event = Event::new(header, Payload::of(vec![body])).unwrap();
        let arrival = self.core.store().next_arrival();
        put_run(self.engine(), arrival, &Run::sign(vec![event], key).unwrap());
        *self = self.on(self.engine().clone());
        assert_eq!(self.core.store().next_arrival(), arrival + 1);
    }

    fn admit_ben(&mut self) {
        let act = Act::Admit(Box::new(Admit {
            member: MemberId([9; 16]),
            device: ben().device(),
            role: Role::Writer,
            invited: None,
        }));
        let text = postcard::to_allocvec(&AdmitText { member: "Ben".into() }).unwrap();
        self.receive_control(&ada(), act, text);
    }
}

fn put_run(engine: &Full, arrival: u64, run: &Run) {
    let mut batch = Batch::default();
    batch.put(Table::Log, log::key(1, arrival), run.encode());
    engine.commit(batch, Durability::Synced).unwrap();
}

/// Not in the order of the numbers.
fn id(n: u16) -> RecordId {
    let mut id = [0; 16];
    id[0] = n.wrapping_mul(97) as u8;
    id[14..].copy_from_slice(&n.to_be_bytes());
    RecordId(id)
}

fn number(id: RecordId) -> u16 {
    u16::from_be_bytes([id.0[14], id.0[15]])
}

fn sorted_by_id(mut numbers: Vec<u16>) -> Vec<u16> {
    numbers.sort_by_key(|n| id(*n));
    numbers
}

/// Writes of a load that fail, alone and together as they can, and whether the log has it then. It is made in this
/// order: a mark is committed; the log is ingested; the index beside the records and, behind those, the events; the
/// end is committed.
fn cuts() -> Vec<(Refuses, bool)> {
    let ingesting = |tables: &[Table]| Refuses { ingestions: tables.iter().copied().collect(), commit: None };
    let committing = |after| Refuses { ingestions: BTreeSet::new(), commit: Some(after) };
    vec![
        (committing(0), false),
        (ingesting(&[Table::Log]), false),
        (ingesting(&[Table::Index]), true),
        (ingesting(&[Table::Records]), true),
        (ingesting(&[Table::Events]), true),
        (ingesting(&[Table::Index, Table::Records]), true),
        (ingesting(&[Table::Index, Table::Events]), true),
        (committing(1), true),
        (Refuses::default(), true),
    ]
}

#[test]
fn a_load_that_is_cut_short_anywhere_is_there_whole_or_not_at_all() {
    let mut bench = Bench::new();
    assert_eq!(bench.insert(bench.insert_of(0..600)).unwrap(), Ok((600, vec![])));
    // The first record is on its own: it is durable before the others are made.
    let all = sorted_by_id((0..1200).collect());
    let none = sorted_by_id((0..=600).collect());
    let first = bench.insert_of([600]).command(0);
    bench.commit(&[first]).unwrap().remove(0).unwrap();
    let mut seen = 0;
    for (refuses, is_logged) in cuts() {
        for before in bench.engine().crashes() {
            let mut cut = bench.on(before);
            let insert = cut.insert_of(601..1200);
            let all_of_it: Vec<usize> = (0..insert.records.len()).collect();
            let (load, ..) = cut.load_of(&insert, &all_of_it).unwrap().expect("it goes on from the last record");
            let engine = cut.engine().clone();
            engine.refuse(&refuses);
            assert_eq!(cut.core.load(load).is_ok(), refuses == Refuses::default(), "{refuses:?}");
            engine.refuse(&Refuses::default());
            for found in engine.crashes() {
                let opened = bench.on(found);
                assert_eq!(opened.numbers(), if is_logged { all.clone() } else { none.clone() }, "{refuses:?}");
                // A second crash, before what the first start did is on the disk.
                for found in opened.engine().crashes() {
                    let mut opened = bench.on(found);
                    assert_eq!(opened.numbers(), if is_logged { all.clone() } else { none.clone() }, "{refuses:?}");
                    opened.assert_clean();
                    // And on: the same once more makes what is missing, and something else is made as well.
                    let (made, left) = match is_logged {
                        true => (0, 599),
                        false => (599, 0),
                    };
                    if is_logged {
                        let again = opened.insert_of(601..1200);
                        let Ok(Planned::Few { commands, left: places }) = opened.core.plan_insert(&again).unwrap()
                        else {
                            panic!("nothing is missing")
                        };
                        assert_eq!((commands.len(), places.len()), (made, left));
                    } else {
                        assert_eq!(opened.insert(opened.insert_of(601..1200)).unwrap(), Ok((made, vec![])));
                    }
                    assert_eq!(opened.insert(opened.insert_of(2000..2600)).unwrap(), Ok((600, vec![])));
                    assert_eq!(opened.numbers().len(), 1800);
                    opened.assert_clean();
                    seen += 1;
                }
            }
        }
    }
    assert!(seen >= 30, "{seen} directories");
}

#[test]
fn a_disk_that_fills_up_in_the_middle_loses_nothing_that_was_saved() {
    for fault in [Fault::DiskFull, Fault::SyncFailed] {
        let mut bench = Bench::new();
        assert_eq!(bench.insert(bench.insert_of(0..600)).unwrap(), Ok((600, vec![])));
        let engine = bench.engine().clone();
        engine.memory.fail_next_write(fault);
        let error = bench.insert(bench.insert_of(1000..1600)).unwrap_err();
        assert!(error.is_fatal(), "{error}");
        // The disk has room again: the node is started anew.
        for found in engine.crashes() {
            let mut opened = bench.on(found);
            let had = opened.numbers();
            assert!((0..600).all(|n| had.contains(&n)), "{} of 600", had.len());
            opened.assert_clean();
            let (made, left) = opened.insert(opened.insert_of(1000..1600)).unwrap().unwrap();
            assert_eq!((made + left.len(), opened.numbers().len()), (600, 1200));
            opened.assert_clean();
        }
    }
}

#[test]
fn a_writer_loads_until_it_is_removed() {
    let mut bench = Bench::new();
    bench.admit_ben();
    let mut bens = bench.seen_by(ben());
    // Everything ends with an event of Ada's: Ben's first record builds on it, the others on that.
    assert_eq!(bens.insert(bens.insert_of(0..600)).unwrap(), Ok((600, vec![])));
    bens.assert_clean();
    let remove = Act::Remove(Box::new(Remove { device: ben().device(), cuts: vec![] }));
    bens.receive_control(&ada(), remove, vec![]);
    let refused = bens.insert(bens.insert_of(600..1200)).unwrap().unwrap_err();
    assert_eq!(refused.code(), "role", "{refused}");
    // Of what was made without having been seen by whoever removed him, nothing is left.
    assert_eq!(bens.numbers(), Vec::<u16>::new());
    bens.assert_clean();
    // What was masked is not in the way of others.
    let mut adas = bens.seen_by(ada());
    assert_eq!(adas.insert(adas.insert_of(0..600)).unwrap(), Ok((600, vec![])));
    assert_eq!(adas.numbers().len(), 600);
    adas.assert_clean();
}

#[test]
fn while_something_is_held_records_are_made_one_by_one() {
    let mut bench = Bench::new();
    bench.admit_ben();
    // Ben's, behind one of his that has not come.
    let key = RecordKey { list: bench.list, record: id(5000) };
    let chain = ChainId { device: ben().device(), number: 1 };
    let missing = Event::new(
        bench.header(chain, (0, None, 1), vec![], (Target::Record(key), Act::Create)),
        Payload::of(vec![vec![]]),
    )
    .unwrap();
    let place = (1, Some(missing.id()), 2);
    let set = (Target::Cell(plain_cell(key, bench.field)), Act::Set);
    let held = bench.header(chain, place, vec![], set);
    bench.receive(&ben(), held, bench.record(5000).cells[0].2.encode());
    assert_eq!(bench.insert(bench.insert_of(0..600)).unwrap(), Ok((1, (1..600).collect())));
    let change = Change::Create(RecordKey { list: bench.list, record: id(7000) });
    let transaction = Transaction { changes: vec![change], ..Transaction::default() };
    bench.commit(&[Command::Change(transaction)]).unwrap().remove(0).unwrap();
    let verified = bench.core.store().verify(&mut |_| {}).unwrap();
    assert!(verified.is_clean() && verified.held == 1, "{verified:?}");
    // It comes. That nothing waits any more is known from the next start on: then there is one end again.
    let mut batch = Batch::default();
    let run = Run::sign(vec![missing], &ben()).unwrap();
    batch.put(Table::Log, log::key(1, bench.core.store().next_arrival()), run.encode());
    bench.engine().commit(batch, Durability::Synced).unwrap();
    let bench = bench.on(bench.engine().clone());
    let mut bench = bench.on(bench.engine().clone());
    let before = bench.core.store().verify(&mut |_| {}).unwrap();
    assert_eq!((before.held, before.invalid), (0, 0));
    assert_eq!(bench.insert(bench.insert_of(1000..1600)).unwrap(), Ok((600, vec![])));
    bench.assert_clean();
}
