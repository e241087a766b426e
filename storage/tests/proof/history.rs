//! Histories: who wrote what after having seen what.

use crate::alphabet::{self, Letter, on_workspace};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};
use tandem_storage::fold::{View, naive};
use tandem_wire::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    A,
    B,
    S,
}

const OWNER: DeviceKey = DeviceKey([b'o'; 32]);

impl Actor {
    const ALL: [Self; 3] = [Self::A, Self::B, Self::S];

    pub fn device(self) -> DeviceKey {
        DeviceKey(match self {
            Self::A => [b'a'; 32],
            Self::B => [b'b'; 32],
            Self::S => [b's'; 32],
        })
    }

    /// Wrong clocks: B's is behind, the server's far ahead.
    fn wall_ms(self, step: usize) -> u64 {
        step as u64
            + match self {
                Self::A => 1000,
                Self::B => 998,
                Self::S => 5000,
            }
    }
}

/// What an author had seen when it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    OwnPast,
    Everything,
}

/// The base and up to a few events on it.
#[derive(Clone)]
pub struct History {
    pub base: Rc<Vec<Arc<Event>>>,
    pub events: Vec<Arc<Event>>,
    actors: Vec<Actor>,
    /// By event: which earlier events it had seen, as a bit set.
    saw: Vec<u32>,
    views: RefCell<BTreeMap<u32, Rc<View>>>,
}

impl History {
    pub fn base() -> Self {
        let nonce = [0; 16];
        let workspace = WorkspaceId::founded_by(OWNER, nonce);
        let chain = ChainId { device: OWNER, number: 0 };
        let mut base: Vec<Arc<Event>> = Vec::new();
        let mut add = |ops: Vec<(Op, Vec<u8>)>| {
            let prev = base.last().map(|event| event.id());
            base.push(event(workspace, chain, base.len() as u64, prev, vec![], base.len() as u64 + 1, 1, ops));
        };
        let names = GenesisText { workspace: "w".into(), member: "o".into() };
        let genesis = Genesis { nonce, member: MemberId([9; 16]) };
        add(vec![(on_workspace(Act::Genesis(Box::new(genesis))), postcard::to_allocvec(&names).unwrap())]);
        let admit = |actor: Actor| {
            let member = MemberId(actor.device().0[..16].try_into().unwrap());
            let admit = Admit { member, device: actor.device(), role: Role::Manager, invited: None };
            let text = postcard::to_allocvec(&AdmitText { member: "m".into() }).unwrap();
            (on_workspace(Act::Admit(Box::new(admit))), text)
        };
        add(vec![admit(Actor::A), admit(Actor::B)]);
        add(vec![(
            on_workspace(Act::Bind(Box::new(Bind {
                authority: ChainId { device: Actor::S.device(), number: 0 },
                scope: Scope::Workspace,
                mode: BindingMode::Binding,
                seen: vec![],
                ends: vec![],
            }))),
            vec![],
        )]);
        Self { base: Rc::new(base), events: vec![], actors: vec![], saw: vec![], views: RefCell::default() }
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The naive view of the base and the events in `mask`.
    pub fn view(&self, mask: u32) -> Rc<View> {
        if let Some(view) = self.views.borrow().get(&mask) {
            return view.clone();
        }
        let chosen = self.events.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0).map(|(_, event)| event);
        let events: Vec<Arc<Event>> = self.base.iter().chain(chosen).cloned().collect();
        let view = Rc::new(naive::view(&events));
        self.views.borrow_mut().insert(mask, view.clone());
        view
    }

    /// Every history with one event more.
    pub fn extensions(&self) -> Vec<Self> {
        let mut extensions = Vec::new();
        for actor in Actor::ALL {
            if self.events.is_empty() && actor == Actor::B {
                continue;
            }
            let own = self.seen_by(actor, Seen::OwnPast);
            let all = self.seen_by(actor, Seen::Everything);
            let choices = if own == all { vec![Seen::Everything] } else { vec![Seen::OwnPast, Seen::Everything] };
            for seen in choices {
                let mask = self.seen_by(actor, seen);
                for letter in alphabet::letters(self, actor, &seen, &self.view(mask)) {
                    extensions.push(self.with(actor, mask, self.last_of(actor, &letter), letter));
                }
            }
            if actor != Actor::S {
                extensions.extend(self.forks(actor));
            }
        }
        extensions
    }

    /// Histories in which `actor` writes its last event once more, differently.
    fn forks(&self, actor: Actor) -> Vec<Self> {
        let Some(last) = self.actors.iter().rposition(|by| *by == actor) else { return vec![] };
        let mask = self.saw[last];
        let chain = self.events[last].header().chain;
        let before = (0..last).rev().find(|i| self.events[*i].header().chain == chain && mask & (1 << i) != 0);
        let letters = alphabet::letters(self, actor, &Seen::OwnPast, &self.view(mask));
        letters
            .into_iter()
            .filter(|letter| letter[0].0.act.is_control() == chain.is_control())
            .map(|letter| self.with(actor, mask, before, letter))
            .collect()
    }

    fn seen_by(&self, actor: Actor, seen: Seen) -> u32 {
        match seen {
            Seen::Everything => (1 << self.len()) - 1,
            Seen::OwnPast => {
                (0..self.len()).filter(|i| self.actors[*i] == actor).fold(0, |mask, i| mask | self.saw[i] | 1 << i)
            }
        }
    }

    fn last_of(&self, actor: Actor, letter: &Letter) -> Option<usize> {
        let control = letter[0].0.act.is_control();
        (0..self.len())
            .rev()
            .find(|i| self.actors[*i] == actor && self.events[*i].header().chain.is_control() == control)
    }

    fn with(&self, actor: Actor, mask: u32, prev: Option<usize>, letter: Letter) -> Self {
        let control = letter[0].0.act.is_control();
        let chain = ChainId { device: actor.device(), number: u32::from(!control) };
        let prev_event = prev.map(|i| &self.events[i]);
        // Everything seen may be named: a frontier is only the shortest way to say the same.
        let base = self.base.last().expect("founded");
        let seen = (0..self.len()).filter(|i| mask & (1 << i) != 0 && Some(*i) != prev).map(|i| &self.events[i]);
        let mut deps: Vec<EventRef> = seen
            .chain([base])
            .filter(|event| !control || event.header().chain.is_control())
            .map(|event| event.reference())
            .collect();
        deps.sort_unstable();
        let lamport_of = |id: EventId| {
            let mut all = self.base.iter().chain(&self.events);
            all.find(|event| event.id() == id).expect("seen").header().lamport
        };
        let before = deps.iter().map(|dep| dep.id).chain(prev_event.map(|event| event.id())).map(lamport_of);
        let lamport = 1 + before.max().expect("the base at least");
        let (seq, prev_id) = prev_event.map_or((0, None), |event| (event.header().seq + 1, Some(event.id())));
        let wall_ms = actor.wall_ms(self.len());
        let workspace = base.header().workspace;
        let mut next = self.clone();
        next.events.push(event(workspace, chain, seq, prev_id, deps, lamport, wall_ms, letter));
        next.actors.push(actor);
        next.saw.push(mask);
        next
    }

    pub fn touches(&self, field: FieldId) -> bool {
        let mut ops = self.events.iter().flat_map(|event| &event.header().ops);
        ops.any(|op| op.target.cell().is_some_and(|cell| cell.field == field))
    }

    pub fn has_removed(&self, actor: Actor) -> bool {
        let own = self.events.iter().zip(&self.actors).filter(|(_, by)| **by == actor);
        own.flat_map(|(event, _)| &event.header().ops).any(|op| matches!(op.act, Act::Remove(_)))
    }

    pub fn events_of_members(&self) -> Vec<EventRef> {
        let all = self.events.iter().zip(&self.actors);
        all.filter(|(_, by)| **by != Actor::S).map(|(event, _)| event.reference()).collect()
    }

    pub fn term(&self) -> OpRef {
        self.base.last().expect("founded").op_ref(0)
    }

    /// Where `actor`'s chains end in what was seen.
    pub fn ends_of(&self, actor: Actor, seen: &Seen) -> Vec<EventRef> {
        let mut ends: BTreeMap<ChainId, EventRef> = BTreeMap::new();
        if *seen == Seen::Everything {
            for (event, _) in self.events.iter().zip(&self.actors).filter(|(_, by)| **by == actor) {
                let end = ends.entry(event.header().chain).or_insert(event.reference());
                if event.header().seq > end.seq {
                    *end = event.reference();
                }
            }
        }
        ends.into_values().collect()
    }
}

#[allow(clippy::too_many_arguments)]
fn event(
    workspace: WorkspaceId,
    chain: ChainId,
    seq: u64,
    prev: Option<EventId>,
    deps: Vec<EventRef>,
    lamport: u64,
    wall_ms: u64,
    letter: Letter,
) -> Arc<Event> {
    let (ops, bodies): (Vec<Op>, Vec<Vec<u8>>) = letter.into_iter().unzip();
    let design = DesignDigest([0; 16]);
    let (actor, batch, resubmits) = (None, None, None);
    let header = Header { workspace, chain, seq, prev, deps, lamport, wall_ms, design, actor, batch, resubmits, ops };
    Arc::new(Event::new(header, Payload::of(bodies)).expect("the alphabet is well formed"))
}
