//! A workspace as its server has it, which judges what comes from elsewhere, without the links; and made-up authors' runs
//! to judge.

use super::{Ours, data, options, replica::author};
use crate::city;
use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread,
};
use tandem_actors::{
    Command,
    authority::{Policy, RuleText},
    command::ServerChange,
    workspace::Core,
};
use tandem_storage::{
    Reader, Store,
    engine::{Durability, Engine, FjallEngine, Table},
    rescue::{Entry, Segments},
    take::Received,
};
use tandem_wire::{
    Act, BindingMode, CellKey, ChainId, Event, EventRef, FieldId, Header, ListId, Op, PartPath, Payload, RecordId,
    RecordKey, Run, SecretKey, Target, Value, WorkspaceId,
};

/// The workspaces of a node are numbered from here on.
const FIRST_WORKSPACE: u32 = 1;
/// Bytes that are taken in together, and how many such batches may wait: about what a link lets be under way.
const BATCH_BYTES: usize = 256 << 10;
const BATCHES_WAITING: usize = 8;
/// Of [`Wrong::Some`], one of so many.
const WRONG_OF: usize = 100;

/// Which events break a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// One in a hundred.
    Some,
    /// All.
    All,
}

/// What the server asks, of which no member's node knows.
const RULES: [(&str, &str); 5] = [
    ("country code", r#"country.matches("^[A-Z]{2}$")"#),
    ("population", "population >= 0 && population < 100000000"),
    ("name", r#"name != "" && name.size() <= 100"#),
    ("country stays", "before.country == null || before.country == country"),
    ("no managers", r#"role == "writer" || author == "Bench""#),
];

/// A server with its workspace.
pub struct Court {
    core: Core<FjallEngine>,
    /// Verdicts are in there as well, synced, before anybody is told.
    rescue: Segments,
}

/// Whose key the server has.
fn server() -> SecretKey {
    SecretKey::from_bytes(&[9; 32])
}

impl Ours {
    /// Has the server judge, and closes the node. The server then opens it in the same folder.
    pub fn bind_server(self) {
        let authority = ChainId { device: server().device(), number: 0 };
        let bind = ServerChange::Bind { authority, lists: None, mode: BindingMode::Binding, replaces: vec![] };
        self.workspace.commit(Command::Servers(bind)).expect("an owner may bind");
        self.close();
    }
}

impl Court {
    /// The server of the workspace of the node in `folder`, which is not open.
    pub fn open(folder: &Path, cache_bytes: u64, workspace: WorkspaceId) -> Self {
        let engine = FjallEngine::open(data(folder), options(cache_bytes).engine).expect("tables can be opened");
        let store = Store::open(Arc::new(engine), FIRST_WORKSPACE).expect("a workspace can be opened");
        let mut core = Core::new(store, Arc::new(server()), workspace);
        let design = core.store().fold().design().clone();
        let list = design.lists().next().expect("the list of cities");
        let names: std::collections::BTreeMap<String, FieldId> =
            design.fields(list).into_iter().map(|field| (design.name(field), field)).collect();
        let rules = RULES.map(|(name, check)| RuleText {
            list,
            name: name.into(),
            check: check.into(),
            message: format!("the rule {name} is broken"),
            field: None,
            names: names.clone(),
        });
        core.set_policy(Policy { rules: rules.into(), ..Policy::default() });
        let rescue = Segments::open(folder).expect("a folder can be made");
        Self { core, rescue }
    }

    /// Runs of `events` events in all by so many authors, in turn, so many in each run: new records, each changed once
    /// unless all are wrong.
    pub fn runs(&self, authors: usize, events: usize, per_run: usize, wrong: Wrong) -> Vec<Vec<u8>> {
        let fold = self.core.store().fold();
        let list = fold.design().lists().next().expect("the list of cities");
        let fields = fold.design().fields(list);
        let tip = *fold.frontier(true).next().expect("it was founded");
        let mut writers: Vec<Author> = (1..=authors)
            .map(|number| Author {
                key: author(number),
                number,
                workspace: self.core.workspace(),
                list,
                fields: fields.clone(),
                tip: (tip.event, tip.lamport),
                last: None,
                count: 0,
                wrong,
            })
            .collect();
        let mut runs = Vec::new();
        let mut left = events;
        while left > 0 {
            for author in &mut writers {
                let count = per_run.min(left);
                if count > 0 {
                    runs.push(author.write(count));
                    left -= count;
                }
            }
        }
        runs
    }

    /// Checks runs, takes them in and judges them: all verdicts are durable when it returns. Gives how many events were
    /// accepted and refused.
    pub fn judge(&mut self, runs: &[Vec<u8>]) -> (u64, u64) {
        let (core, rescue) = (&mut self.core, &mut self.rescue);
        thread::scope(|scope| {
            let (batches, checked) = mpsc::sync_channel::<Vec<Received>>(BATCHES_WAITING);
            scope.spawn(move || {
                let mut batch = Vec::new();
                let mut bytes = 0;
                for run in runs {
                    bytes += run.len();
                    batch.push(Received::verify(run.clone()).expect("a run of an author's"));
                    if bytes >= BATCH_BYTES {
                        bytes = 0;
                        batches.send(std::mem::take(&mut batch)).expect("the other thread goes on to the end");
                    }
                }
                batches.send(batch).expect("the other thread goes on to the end");
            });
            for batch in checked {
                take_and_sit(core, rescue, &batch);
            }
        });
        self.core.judged()
    }

    /// How many refusals the first page of the inbox shows.
    pub fn first_page(&self, limit: usize) -> usize {
        let store = self.core.store();
        let reader = Reader::new(store.engine().snapshot(), store.views());
        reader.refusals(None, limit).expect("refusals can be read").len()
    }
}

fn take_and_sit(core: &mut Core<FjallEngine>, rescue: &mut Segments, batch: &[Received]) {
    let taking = core.look_at(batch).expect("tables can be read");
    assert_eq!((taking.taken as usize, taking.looked_at), (batch.len(), batch.len()), "{:?}", taking.left);
    let (engine, decoded) = (core.store().engine().clone(), taking.decoded.clone());
    engine.commit(taking.log, Durability::Buffered).expect("a log can be written");
    core.catch_up(taking.decoded, &mut |_, _| {}).expect("views can be made");
    core.upkeep().expect("indexes can be made");
    let group = core.sit(0, &decoded).expect("tables can be read").expect("there is something to judge");
    let runs = group.log.iter().filter(|(table, ..)| *table == Table::Log).filter_map(|(.., run)| run);
    let mut entries = Vec::new();
    for (run, (arrival, last)) in runs.zip(&group.tips) {
        let run = run.clone();
        Entry { workspace: core.workspace(), arrival: *arrival, last: *last, run }.encode_onto(&mut entries);
    }
    let (batch, _) = core.settle(group).expect("tables can be read");
    engine.commit(batch, Durability::Synced).expect("verdicts can be written");
    rescue.append(&entries).and_then(|()| rescue.take_unsynced()?.sync()).expect("verdicts can be kept");
}

/// Somebody who writes.
struct Author {
    key: SecretKey,
    number: usize,
    workspace: WorkspaceId,
    list: ListId,
    fields: Vec<FieldId>,
    /// What it has seen of the others.
    tip: (EventRef, u64),
    last: Option<(EventRef, u64)>,
    count: usize,
    wrong: Wrong,
}

impl Author {
    fn write(&mut self, count: usize) -> Vec<u8> {
        let events = (0..count).map(|_| self.event()).collect();
        Run::sign(events, &self.key).expect("a run within the limits").encode()
    }

    /// A new record, or another population of the one before.
    fn event(&mut self) -> Event {
        let chain = ChainId { device: self.key.device(), number: 1 };
        let per_record = if self.wrong == Wrong::All { 1 } else { 2 };
        let number = self.number * 1_000_000 + self.count / per_record;
        let record = RecordKey { list: self.list, record: RecordId(city::id(number)) };
        let set = |at: usize, preds: Vec<_>, value: Value| {
            let cell = CellKey { record, field: self.fields[at], part: PartPath::default() };
            (Op { target: Target::Cell(cell), preds, act: Act::Set }, value.encode())
        };
        let ops = match (self.count % per_record, self.last) {
            (0, _) => {
                // An edit of a refused record is refused with it.
                let is_wrong = self.wrong == Wrong::All || (number + self.number).is_multiple_of(WRONG_OF);
                let country = if is_wrong { "nowhere" } else { "IR" };
                let create = (Op { target: Target::Record(record), preds: vec![], act: Act::Create }, Vec::new());
                let name = set(1, vec![], Value::Text(format!("City {number}")));
                vec![create, name, set(4, vec![], Value::Text(country.into())), set(6, vec![], Value::Int(1000))]
            }
            // The population was the fourth op.
            (_, last) => vec![set(6, vec![last.expect("made before").0.op(3)], Value::Int(2000))],
        };
        let (ops, bodies): (Vec<Op>, Vec<Vec<u8>>) = ops.into_iter().unzip();
        let (deps, before) = match self.last {
            Some((_, lamport)) => (vec![], lamport),
            None => (vec![self.tip.0], self.tip.1),
        };
        let header = Header {
            workspace: self.workspace,
            chain,
            seq: self.count as u64,
            prev: self.last.map(|(last, _)| last.id),
            deps,
            lamport: before + 1,
            wall_ms: 1_750_000_000_000 + self.count as u64,
            design: tandem_wire::DesignDigest([0; 16]),
            actor: None,
            batch: None,
            resubmits: None,
            ops,
        };
        let event = Event::new(header, Payload::of(bodies)).expect("a well-formed event");
        self.last = Some((event.reference(), before + 1));
        self.count += 1;
        event
    }
}
