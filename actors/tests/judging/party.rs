//! An owner, a writer and a server: cores that hand each other their logs, without disk and network.

use std::{collections::BTreeMap, sync::Arc};
use tandem_actors::{
    Change, Command, Committed, Refused, Transaction,
    authority::{Policy, RuleText},
    command::{Admission, MemberChange, ServerChange},
    workspace::{Core, found, plain_cell},
};
use tandem_storage::{
    Reader, Store,
    engine::{Batch, Durability, Engine, MemoryEngine, MemorySnapshot, Table},
    inbox::Refusal,
    log,
    outbox::waiting,
    query::winner,
    take::Received,
};
use tandem_wire::{
    BindingMode, EventId, FieldId, GenesisText, ListId, MemberId, PartPath, RecordId, RecordKey, Role, SecretKey,
    Value, WorkspaceId,
    design::{BaseType, FieldType, Property},
};

pub struct Node {
    pub core: Core<MemoryEngine>,
    pub now_ms: u64,
}

impl Node {
    pub fn new(letter: u8, workspace: WorkspaceId, engine: Arc<MemoryEngine>) -> Self {
        let key = Arc::new(SecretKey::from_bytes(&[letter; 32]));
        Self { core: Core::new(Store::open(engine, 1).unwrap(), key, workspace), now_ms: 1000 }
    }

    pub fn try_do(&mut self, command: Command) -> Result<Committed, Refused> {
        self.now_ms += 1;
        let group = self.core.decide(self.now_ms, &[command]).unwrap();
        self.settle(group).remove(0)
    }

    pub fn does(&mut self, command: Command) -> Committed {
        self.try_do(command).unwrap()
    }

    pub fn settle(&mut self, group: tandem_actors::workspace::Group) -> Vec<Result<Committed, Refused>> {
        let (batch, answers) = self.core.settle(group).unwrap();
        self.core.store().engine().commit(batch, Durability::Synced).unwrap();
        self.core.upkeep().unwrap();
        answers
    }

    pub fn changes(&mut self, changes: Vec<Change>) -> EventId {
        self.does(Command::Change(Transaction { changes, ..Transaction::default() })).events[0]
    }

    pub fn create(&mut self, record: RecordKey, cells: &[(FieldId, Value)]) -> EventId {
        let sets = cells.iter().map(|(field, value)| Change::Set(plain_cell(record, *field), value.clone()));
        self.changes(std::iter::once(Change::Create(record)).chain(sets).collect())
    }

    pub fn set(&mut self, record: RecordKey, field: FieldId, value: Value) -> EventId {
        self.changes(vec![Change::SetRaw(plain_cell(record, field), value)])
    }

    /// Takes in what another has, and judges.
    pub fn hears(&mut self, other: &Node) {
        let engine = other.core.store().engine();
        let runs = log::runs_from(&**engine, 1, 0).map(|run| Received::verify(run.unwrap().1.to_vec()).unwrap());
        let runs: Vec<Received> = runs.collect();
        self.takes(&runs);
        self.sits();
        self.rehearses();
        if let Some(group) = self.core.retry(self.now_ms).unwrap() {
            self.settle(group);
        }
    }

    /// Tries what is proposed, and tells what came of it.
    pub fn rehearses(&mut self) {
        while let Some(mut rehearsing) = self.core.begin_due_rehearsal().unwrap() {
            while rehearsing.step(&**self.core.store().engine(), 3).unwrap() {}
            let group = self.core.end_of_rehearsal(rehearsing, self.now_ms).unwrap().unwrap().group;
            self.settle(group);
        }
    }

    /// Takes runs in, without a look at whether there is something to judge.
    pub fn takes(&mut self, runs: &[Received]) {
        let mut rest = runs;
        while !rest.is_empty() {
            let taking = self.core.look_at(rest).unwrap();
            rest = &rest[taking.looked_at..];
            self.core.store().engine().commit(taking.log, Durability::Synced).unwrap();
            self.core.catch_up(taking.decoded, &mut |_, _| {}).unwrap();
        }
        self.core.upkeep().unwrap();
    }

    /// Sends again by itself what stands in the inbox for this event.
    pub fn retries(&mut self, event: EventId) {
        let refusal = self.refusals().into_iter().find(|refusal| refusal.refused.event.id == event).unwrap();
        let batch = self.core.retry_when_changed(&refusal.refused.event).unwrap().unwrap();
        self.core.store().engine().commit(batch, Durability::Synced).unwrap();
    }

    pub fn sits(&mut self) {
        while let Some(group) = self.core.sit(self.now_ms, &BTreeMap::new()).unwrap() {
            self.settle(group);
        }
    }

    pub fn reader(&self) -> Reader<MemorySnapshot> {
        Reader::new(self.core.store().engine().snapshot(), self.core.store().views())
    }

    pub fn shows(&self, record: RecordKey, field: FieldId) -> Option<Value> {
        let state = self.reader().state(record).unwrap();
        if state.exists() { winner(&state, field, &PartPath::default()) } else { None }
    }

    pub fn refusals(&self) -> Vec<Refusal> {
        self.reader().refusals(None, 100).unwrap()
    }

    /// By event: code and rule.
    pub fn codes(&self) -> BTreeMap<EventId, (&'static str, String)> {
        let of = |refusal: Refusal| {
            let by = &refusal.refused.verdicts[0];
            let rule = by.text.iter().flat_map(|text| &text.blame).map(|blame| blame.rule.clone()).next();
            (refusal.refused.event.id, (by.code.name().unwrap(), rule.unwrap_or_default()))
        };
        self.refusals().into_iter().map(of).collect()
    }

    /// A copy of what is on its disk.
    pub fn disk(&self) -> Arc<MemoryEngine> {
        let engine = self.core.store().engine();
        Arc::new(engine.crash(engine.unsynced()))
    }

    pub fn outbox(&self) -> usize {
        let (fold, snapshot) = (self.core.store().fold().clone(), self.core.store().engine().snapshot());
        let log = log::LogReader::new(&snapshot, 1);
        let waiting = |term| waiting(&fold, &snapshot, &log, term, self.core.device()).unwrap().len();
        fold.present_terms().map(waiting).sum()
    }
}

/// Ada owns the workspace and its list of a text, a number and a reference; Bob writes; the server judges.
pub struct Party {
    pub ada: Node,
    pub bob: Node,
    pub server: Node,
    pub list: ListId,
    pub name: FieldId,
    pub age: FieldId,
    pub friend: FieldId,
}

impl Party {
    pub fn new() -> Self {
        let names = GenesisText { workspace: "w".into(), member: "Ada".into() };
        let (workspace, run) = found(&SecretKey::from_bytes(&[1; 32]), [1; 16], MemberId([2; 16]), &names, 1);
        let engine = || {
            let engine = Arc::new(MemoryEngine::default());
            let mut batch = Batch::default();
            batch.put(Table::Log, log::key(1, 0), run.encode());
            engine.commit(batch, Durability::Synced).unwrap();
            engine
        };
        let mut ada = Node::new(1, workspace, engine());
        let (mut bob, server) = (Node::new(2, workspace, engine()), Node::new(3, workspace, engine()));
        for (node, name, role) in [(&bob, "Bob", Role::Writer), (&server, "Server", Role::Reader)] {
            let (device, member) = (node.core.device(), MemberId([node.core.device().0[0]; 16]));
            let admission = Admission { member, name: name.into(), device, role, invited: None, approved: true };
            ada.does(Command::Members(MemberChange::Admit(admission)));
        }
        let field = |name: &str, base| (name.to_string(), FieldType::one(base));
        let fields =
            vec![field("name", BaseType::Text), field("age", BaseType::Int), field("friend", BaseType::Reference)];
        let made = ada.does(Command::CreateList { name: "People".into(), fields }).elements;
        let list = made[0].as_list();
        let [name, age, friend] = [1, 2, 3].map(|at| made[at].as_field());
        ada.create(RecordKey { list, record: RecordId([99; 16]) }, &[(name, text("from before"))]);
        bob.hears(&ada);
        let mut party = Self { ada, bob, server, list, name, age, friend };
        party.bind();
        party.server.hears(&party.ada);
        party.bob.hears(&party.ada);
        party
    }

    /// The owner has the server judge everything.
    pub fn bind(&mut self) {
        let authority = self.server.core.control_chain();
        let replaces = self.ada.core.store().fold().present_terms().map(|term| term.binding).collect();
        let (lists, mode) = (None, BindingMode::Binding);
        self.ada.does(Command::Servers(ServerChange::Bind { authority, lists, mode, replaces }));
    }

    pub fn record(&self, n: u8) -> RecordKey {
        RecordKey { list: self.list, record: RecordId([n; 16]) }
    }

    /// Everybody has everything, and it is judged.
    pub fn meet(&mut self) {
        for _ in 0..2 {
            self.server.hears(&self.ada);
            self.server.hears(&self.bob);
            self.ada.hears(&self.bob);
            self.bob.hears(&self.ada);
            self.ada.hears(&self.server);
            self.bob.hears(&self.server);
        }
        assert_eq!((self.ada.outbox(), self.bob.outbox()), (0, 0), "everything is judged");
        let digest = |node: &Node| node.core.store().digest().unwrap();
        assert_eq!([digest(&self.bob), digest(&self.server)], [digest(&self.ada); 2]);
        let verified = self.server.core.store().verify(&mut |_| {}).unwrap();
        assert!(verified.is_clean(), "{verified:?}");
    }

    pub fn rule(&mut self, name: &str, check: &str) {
        let names = BTreeMap::from([("name".to_owned(), self.name), ("age".to_owned(), self.age)]);
        let (name, check, message) = (name.to_owned(), check.to_owned(), "no".to_owned());
        let rule = RuleText { list: self.list, name, check, message, field: None, names };
        let mut policy = self.server.core.policy().clone();
        policy.rules.push(rule);
        self.judges_by(policy);
    }

    /// The server judges by this from now on, and says so.
    pub fn judges_by(&mut self, policy: Policy) {
        self.server.core.set_policy(policy);
        if let Some(group) = self.server.core.announce(self.server.now_ms).unwrap() {
            self.server.settle(group);
        }
    }

    /// The server, to which the design belongs, proposes a step of it, and everybody takes it.
    pub fn put(&mut self, field: FieldId, property: Property, value: Value) {
        let proposed = self.server.does(Command::Put { element: field.into(), property, value }).made;
        self.meet();
        let proposal = &self.ada.core.store().fold().design().proposals[&proposed.unwrap()];
        assert!(proposal.merged.is_some(), "{proposal:?}");
    }
}

pub fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub fn codes(expect: &[(EventId, &'static str)]) -> BTreeMap<EventId, (&'static str, String)> {
    expect.iter().map(|(event, code)| (*event, (*code, String::new()))).collect()
}
