//! Histories told as stories, for tests: who wrote what, after having seen what.
//!
//! The integration tests include this file too, so it knows nothing but events.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_wire::*;

/// A device, named by one letter.
pub const fn device(letter: u8) -> DeviceKey {
    DeviceKey([letter; 32])
}

pub const OWNER: DeviceKey = device(b'o');
pub const A: DeviceKey = device(b'a');
pub const B: DeviceKey = device(b'b');
pub const C: DeviceKey = device(b'c');
pub const D: DeviceKey = device(b'd');
/// A server, and another one.
pub const S: DeviceKey = device(b's');
pub const T: DeviceKey = device(b't');

pub const LIST: ListId = ListId([1; 16]);
pub const OTHER_LIST: ListId = ListId([2; 16]);
pub const RECORD: RecordKey = RecordKey { list: LIST, record: RecordId([3; 16]) };
pub const OTHER: RecordKey = RecordKey { list: OTHER_LIST, record: RecordId([4; 16]) };
pub const X: FieldId = FieldId([5; 16]);
pub const Y: FieldId = FieldId([6; 16]);

/// An event of a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ev(pub usize);

/// An op with its body.
pub type Line = (Op, Vec<u8>);

/// A workspace and everything written in it.
#[derive(Debug, Clone)]
pub struct World {
    events: Vec<Arc<Event>>,
    /// By event: its causal past, as its header tells it.
    saw: Vec<BTreeSet<usize>>,
    /// What those who are apart have seen; all others see everything.
    apart: BTreeMap<DeviceKey, BTreeSet<usize>>,
    clocks: BTreeMap<DeviceKey, i64>,
    terms: BTreeMap<DeviceKey, OpRef>,
    workspace: WorkspaceId,
}

impl World {
    /// The owner has founded a workspace.
    pub fn founded() -> Self {
        let nonce = [0; 16];
        let workspace = WorkspaceId::founded_by(OWNER, nonce);
        let (events, saw) = (Vec::new(), Vec::new());
        let (apart, clocks, terms) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut world = Self { events, saw, apart, clocks, terms, workspace };
        let names = GenesisText { workspace: "w".into(), member: "o".into() };
        world.write(OWNER, vec![genesis(nonce, &names)]);
        world
    }

    /// Besides, `members` are in it with these roles.
    pub fn with(members: &[(DeviceKey, Role)]) -> Self {
        let mut world = Self::founded();
        for (who, role) in members {
            world.admit(OWNER, *who, *role);
        }
        world
    }

    /// From now on, `who` sees only what it writes itself.
    pub fn apart(&mut self, who: DeviceKey) {
        self.apart.insert(who, (0..self.events.len()).collect());
    }

    /// From now on, `who` sees everything again.
    pub fn meet(&mut self, who: DeviceKey) {
        self.apart.remove(&who);
    }

    /// `who` goes on from an old disk image: without this event and all that had seen it.
    pub fn forget(&mut self, who: DeviceKey, event: Ev) {
        let keeps = |i: &usize| *i != event.0 && !self.saw[*i].contains(&event.0);
        let seen = self.seen_by(who).into_iter().filter(keeps).collect();
        self.apart.insert(who, seen);
    }

    /// `who` is apart, and has seen exactly these events and all that they had seen.
    pub fn knows_only(&mut self, who: DeviceKey, events: &[Ev]) {
        let seen = events.iter().flat_map(|event| self.saw[event.0].iter().copied().chain([event.0])).collect();
        self.apart.insert(who, seen);
    }

    /// The clock of `who` is wrong by so much.
    pub fn clock(&mut self, who: DeviceKey, offset_ms: i64) {
        self.clocks.insert(who, offset_ms);
    }

    pub fn events(&self) -> &[Arc<Event>] {
        &self.events
    }

    pub fn event(&self, event: Ev) -> &Arc<Event> {
        &self.events[event.0]
    }

    /// The first op of an event.
    pub fn op(&self, event: Ev) -> OpRef {
        self.events[event.0].op_ref(0)
    }

    /// The binding that `server` was bound by last.
    pub fn term(&self, server: DeviceKey) -> OpRef {
        self.terms[&server]
    }

    /// Whether `server` was ever bound.
    pub fn is_bound(&self, server: DeviceKey) -> bool {
        self.terms.contains_key(&server)
    }

    /// Drops an event's payload.
    pub fn erase(&mut self, event: Ev) {
        self.events[event.0] = Arc::new(self.events[event.0].without_payload());
    }

    /// What an author sees now.
    pub fn seen_by(&self, who: DeviceKey) -> BTreeSet<usize> {
        self.apart.get(&who).cloned().unwrap_or_else(|| (0..self.events.len()).collect())
    }

    /// The next event of `author`, as its frontier makes it.
    pub fn draft(&self, author: DeviceKey, lines: Vec<Line>) -> (Header, Payload) {
        let control = lines[0].0.act.is_control();
        let chain = ChainId { device: author, number: u32::from(!control) };
        let seen = self.seen_of(author, control);
        let prev = seen.iter().rev().find(|i| self.events[**i].header().chain == chain).copied();
        let is_covered = |i: &usize| seen.iter().any(|other| self.saw[*other].contains(i));
        let deps: BTreeSet<EventRef> =
            seen.iter().filter(|i| Some(**i) != prev && !is_covered(i)).map(|i| self.events[*i].reference()).collect();
        let lamport = 1 + seen.iter().map(|i| self.events[*i].header().lamport).max().unwrap_or(0);
        let prev = prev.map(|i| &self.events[i]);
        let (ops, bodies): (Vec<Op>, Vec<Vec<u8>>) = lines.into_iter().unzip();
        let wall_ms = 1000 + self.events.len() as i64 + self.clocks.get(&author).copied().unwrap_or(0);
        let header = Header {
            workspace: self.workspace,
            chain,
            seq: prev.map_or(0, |prev| prev.header().seq + 1),
            prev: prev.map(|prev| prev.id()),
            deps: deps.into_iter().collect(),
            lamport,
            wall_ms: wall_ms as u64,
            design: DesignDigest([0; 16]),
            actor: None,
            batch: None,
            resubmits: None,
            ops,
        };
        (header, Payload::of(bodies))
    }

    pub fn write(&mut self, author: DeviceKey, lines: Vec<Line>) -> Ev {
        let control = lines[0].0.act.is_control();
        let (header, payload) = self.draft(author, lines);
        let seen = self.seen_of(author, control);
        self.add(author, Event::new(header, payload).expect("stories are well formed"), seen)
    }

    /// As [`World::write`], but the header is changed first: for what no honest node writes.
    pub fn forge(&mut self, author: DeviceKey, lines: Vec<Line>, change: impl FnOnce(&mut Header)) -> Ev {
        let control = lines[0].0.act.is_control();
        let (mut header, payload) = self.draft(author, lines);
        change(&mut header);
        let seen = self.seen_of(author, control);
        self.add(author, Event::new(header, payload).expect("stories are well formed"), seen)
    }

    fn add(&mut self, author: DeviceKey, event: Event, seen: BTreeSet<usize>) -> Ev {
        let index = self.events.len();
        self.events.push(Arc::new(event));
        self.saw.push(seen);
        if let Some(apart) = self.apart.get_mut(&author) {
            apart.insert(index);
        }
        Ev(index)
    }

    /// What a new event has in its past: of a control event only control events, so that they can travel first.
    fn seen_of(&self, author: DeviceKey, control: bool) -> BTreeSet<usize> {
        let seen = self.seen_by(author).into_iter();
        seen.filter(|i| !control || self.events[*i].header().chain.is_control()).collect()
    }

    // Data.

    pub fn set(&mut self, author: DeviceKey, field: FieldId, value: i64, preds: &[Ev]) -> Ev {
        self.set_in(author, RECORD, field, value, preds)
    }

    pub fn set_in(&mut self, author: DeviceKey, record: RecordKey, field: FieldId, value: i64, preds: &[Ev]) -> Ev {
        let op = on_cell(record, field, Act::Set, self.refs(preds));
        self.write(author, vec![(op, Value::Int(value).encode())])
    }

    pub fn create(&mut self, author: DeviceKey) -> Ev {
        self.on(author, RECORD, Act::Create, &[])
    }

    pub fn delete(&mut self, author: DeviceKey, preds: &[Ev]) -> Ev {
        self.on(author, RECORD, Act::Delete, preds)
    }

    pub fn restore(&mut self, author: DeviceKey, preds: &[Ev]) -> Ev {
        self.on(author, RECORD, Act::Restore, preds)
    }

    pub fn on(&mut self, author: DeviceKey, record: RecordKey, act: Act, preds: &[Ev]) -> Ev {
        let op = Op { target: Target::Record(record), preds: self.refs(preds), act };
        self.write(author, vec![(op, vec![])])
    }

    /// References to first ops, in their canonical order.
    pub fn refs(&self, events: &[Ev]) -> Vec<OpRef> {
        let mut refs: Vec<OpRef> = events.iter().map(|event| self.op(*event)).collect();
        refs.sort_unstable();
        refs
    }

    // Members.

    pub fn admit(&mut self, by: DeviceKey, who: DeviceKey, role: Role) -> Ev {
        self.write(by, vec![admission(who, role, None)])
    }

    pub fn set_role(&mut self, by: DeviceKey, who: DeviceKey, role: Role, cuts: &[Ev]) -> Ev {
        let cuts = self.marks(cuts);
        self.control(by, Act::SetRole(Box::new(SetRole { device: who, role, cuts })))
    }

    /// What `who` wrote up to `cuts` stands.
    pub fn remove(&mut self, by: DeviceKey, who: DeviceKey, cuts: &[Ev]) -> Ev {
        let cuts = self.marks(cuts);
        self.control(by, Act::Remove(Box::new(Remove { device: who, cuts })))
    }

    pub fn control(&mut self, by: DeviceKey, act: Act) -> Ev {
        self.write(by, vec![on_workspace(act)])
    }

    pub fn marks(&self, ends: &[Ev]) -> Vec<Mark> {
        let mut marks: Vec<Mark> = ends.iter().map(|end| Mark(self.event(*end).reference())).collect();
        marks.sort_unstable();
        marks
    }

    // Authorities.

    pub fn bind(&mut self, by: DeviceKey, server: DeviceKey, scope: Scope) -> Ev {
        self.bind_with(by, binding(server, scope))
    }

    pub fn bind_with(&mut self, by: DeviceKey, bind: Bind) -> Ev {
        let server = bind.authority.device;
        let bound = self.control(by, Act::Bind(Box::new(bind)));
        self.terms.insert(server, self.op(bound));
        bound
    }

    pub fn accept(&mut self, server: DeviceKey, event: Ev) -> Ev {
        self.judge(server, event, Outcome::Accept)
    }

    pub fn refuse(&mut self, server: DeviceKey, event: Ev) -> Ev {
        self.judge(server, event, Outcome::Refuse(RefusalCode::RULE))
    }

    pub fn judge(&mut self, server: DeviceKey, event: Ev, outcome: Outcome) -> Ev {
        let last = self.event(event).reference();
        let verdict = Verdict { term: self.term(server), last, count: 1, outcome };
        self.write(server, vec![verdict_line(verdict)])
    }
}

pub fn on_workspace(act: Act) -> Line {
    (Op { target: Target::Workspace, preds: vec![], act }, vec![])
}

pub fn on_cell(record: RecordKey, field: FieldId, act: Act, preds: Vec<OpRef>) -> Op {
    on_part(record, field, PartPath::default(), act, preds)
}

pub fn on_part(record: RecordKey, field: FieldId, part: PartPath, act: Act, preds: Vec<OpRef>) -> Op {
    Op { target: Target::Cell(CellKey { record, field, part }), preds, act }
}

pub fn admission(who: DeviceKey, role: Role, invited: Option<Invited>) -> Line {
    let admit = Admit { member: MemberId([who.0[0]; 16]), device: who, role, invited };
    let text = postcard::to_allocvec(&AdmitText { member: "m".into() }).expect("a vector takes all bytes");
    (on_workspace(Act::Admit(Box::new(admit))).0, text)
}

pub fn verdict_line(verdict: Verdict) -> Line {
    let text = RefusalText { message: "no".into(), blame: vec![] };
    let body = match verdict.outcome {
        Outcome::Accept => vec![],
        Outcome::Refuse(_) => postcard::to_allocvec(&text).expect("a vector takes all bytes"),
    };
    (on_workspace(Act::Verdict(Box::new(verdict))).0, body)
}

pub fn binding(server: DeviceKey, scope: Scope) -> Bind {
    let authority = ChainId { device: server, number: 0 };
    Bind { authority, scope, mode: BindingMode::Binding, seen: vec![], ends: vec![] }
}

fn genesis(nonce: [u8; 16], names: &GenesisText) -> Line {
    let genesis = Genesis { nonce, member: MemberId([b'o'; 16]) };
    (on_workspace(Act::Genesis(Box::new(genesis))).0, postcard::to_allocvec(names).expect("a vector takes all bytes"))
}
