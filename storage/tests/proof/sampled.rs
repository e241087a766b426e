//! Random histories over everything there is, from a seed.

use crate::testing::*;
use std::collections::BTreeSet;
use tandem_wire::{
    design::{ElementKind, Property},
    *,
};

pub const DESCRIPTION: &str = "\
Base: an owner, the managers A and B, the writer C, two records; then nobody is bound, or one server, or two
over different lists, or one and a mirror.
Alphabet: everything that any op of the format can say, by members, servers and strangers; with what an author had
seen, forgotten (a fork) or only claims to have seen chosen at random; with absent payloads and resubmissions.";

/// SplitMix64: small, seeded, the same on every machine.
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn some<T: Clone>(&mut self, from: &[T]) -> Vec<T> {
        from.iter().filter(|_| self.one_in(2)).cloned().collect()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// A history of 5 to 8 events on a base; where the base ends.
pub fn history(dice: &mut Dice) -> (World, usize) {
    let mut w = base(dice);
    let base = w.events().len();
    let target = base + 5 + dice.below(4);
    while w.events().len() < target {
        let author = dice.pick(&[OWNER, A, A, B, B, C, C, S, S, S, T, T, D]);
        look_around(&mut w, dice, author, base);
        write(&mut w, dice, author);
    }
    for i in base..target {
        if dice.one_in(20) {
            w.erase(Ev(i));
        }
    }
    (w, base)
}

fn base(dice: &mut Dice) -> World {
    let mut w = World::with(&[(A, Role::Manager), (B, Role::Manager), (C, Role::Writer)]);
    let mirror = Bind { mode: BindingMode::Mirror, ..binding(T, Scope::Workspace) };
    match dice.below(5) {
        0 => {}
        1 | 2 => drop(w.bind(OWNER, S, Scope::Workspace)),
        3 => {
            w.bind(OWNER, S, Scope::Lists(vec![LIST]));
            w.bind(OWNER, T, Scope::Lists(vec![OTHER_LIST]));
        }
        _ => {
            w.bind(OWNER, S, Scope::Workspace);
            w.bind_with(OWNER, mirror);
        }
    }
    w.create(A);
    w.on(B, OTHER, Act::Create, &[]);
    for (who, offset_ms) in [(B, -3), (C, 50), (S, 4000)] {
        w.clock(who, offset_ms);
    }
    w
}

/// Chooses what the author has seen: everything, or the base, its own events and some others; seldom it forgot
/// one of its own.
fn look_around(w: &mut World, dice: &mut Dice, author: DeviceKey, base: usize) {
    w.meet(author);
    let (own, others): (Vec<usize>, Vec<usize>) =
        (base..w.events().len()).partition(|i| w.events()[*i].header().chain.device == author);
    if dice.one_in(2) {
        let others = others.into_iter().filter(|_| dice.one_in(3));
        let known: Vec<Ev> = (0..base).chain(own.clone()).chain(others).map(Ev).collect();
        w.knows_only(author, &known);
    }
    if !own.is_empty() && dice.one_in(8) {
        w.forget(author, Ev(dice.pick(&own)));
    }
}

/// The ops that the author could name: those it has seen, seldom any.
fn ops(w: &World, dice: &mut Dice, author: DeviceKey, fits: impl Fn(&Op) -> bool) -> Vec<OpRef> {
    let seen = w.seen_by(author);
    let any = dice.one_in(15);
    let events = w.events().iter().enumerate().filter(|(i, _)| any || seen.contains(i));
    let mut found: Vec<OpRef> = events
        .flat_map(|(_, event)| {
            let ops = event.header().ops.iter().enumerate();
            ops.filter(|(_, op)| fits(op)).map(|(index, _)| event.op_ref(index as u16)).collect::<Vec<_>>()
        })
        .collect();
    found.sort_unstable();
    found
}

/// Marks at some of the ends that the author has seen, or earlier, of the chains that `of` chooses.
fn marks(w: &World, dice: &mut Dice, author: DeviceKey, of: impl Fn(ChainId) -> bool) -> Vec<Mark> {
    let seen = w.seen_by(author).into_iter().map(|i| w.events()[i].reference());
    let events: Vec<EventRef> = seen.filter(|event| of(event.chain)).collect();
    let mut marks = dice.some(&events);
    if marks.len() > 2 {
        marks.drain(..marks.len() - 2);
    }
    marks.sort_unstable();
    marks.into_iter().map(Mark).collect()
}

fn write(w: &mut World, dice: &mut Dice, author: DeviceKey) {
    let is_server = author == S || author == T;
    let control = dice.below(10) < if is_server { 7 } else { 4 };
    let count = if dice.one_in(4) { 2 } else { 1 };
    let lines: Vec<Line> = (0..count)
        .filter_map(
            |_| if control { control_line(w, dice, author, is_server) } else { Some(data_line(w, dice, author)) },
        )
        .collect();
    if lines.is_empty() {
        return;
    }
    let resubmitted = dice.one_in(20).then(|| dice.pick(w.events()).reference());
    w.forge(author, lines, |header| header.resubmits = resubmitted);
}

fn data_line(w: &World, dice: &mut Dice, author: DeviceKey) -> Line {
    let record = dice.pick(&[RECORD, RECORD, RECORD, OTHER]);
    let field = dice.pick(&[X, X, Y]);
    let part = if dice.one_in(6) { PartPath::new(["p"]).unwrap() } else { PartPath::default() };
    let cell = on_part(record, field, part.clone(), Act::Set, vec![]);
    let on_cell = |op: &Op| op.target == cell.target;
    let is_here = |op: &Op| op.target.record() == Some(record);
    let is_delete = |op: &Op| is_here(op) && op.act == Act::Delete;
    let unknown = Act::Unknown { kind: 1001, args: vec![] };
    let on_record = |act: Act, preds: Vec<OpRef>| (Op { target: Target::Record(record), preds, act }, vec![]);
    let mut named = |fits: &dyn Fn(&Op) -> bool| {
        let all = ops(w, dice, author, fits);
        dice.some(&all)
    };
    let (on_the_cell, deletes) = (named(&on_cell), named(&is_delete));
    let edits = named(&|op| is_here(op) && op.act != Act::Delete);
    let anything = named(&is_here);
    match dice.below(20) {
        0..=7 => {
            let value = Value::Int(w.events().len() as i64 % 4).encode();
            (on_part(record, field, part, Act::Set, on_the_cell), value)
        }
        8 => (on_part(record, field, part, Act::Apply { type_id: 1 }, on_the_cell), vec![1]),
        9 => (on_part(record, field, part, unknown, on_the_cell), vec![1]),
        10 => on_record(unknown, anything),
        11 | 12 => on_record(Act::Create, deletes),
        13..=15 => on_record(Act::Delete, edits),
        16 | 17 => on_record(Act::Restore, deletes),
        18 => on_record(Act::Resolve, deletes),
        _ => on_workspace(Act::Discard(Box::new(dice.pick(w.events()).reference()))),
    }
}

fn control_line(w: &World, dice: &mut Dice, author: DeviceKey, is_server: bool) -> Option<Line> {
    if is_server && !dice.one_in(4) {
        return verdict(w, dice, author);
    }
    let who = dice.pick(&[OWNER, A, B, B, C, C, D, D, S]);
    let role = dice.pick(&[Role::Reader, Role::Writer, Role::Designer, Role::Manager, Role::Manager]);
    Some(match dice.below(24) {
        0..=2 => admission(who, role, None),
        3 => {
            let invites = ops(w, dice, author, |op| matches!(op.act, Act::Invite(_)));
            if invites.is_empty() {
                let (key, uses) = (key().device(), 1);
                return Some(on_workspace(Act::Invite(Box::new(Invite {
                    key,
                    role,
                    uses,
                    expires_ms: 0,
                    approve: false,
                }))));
            }
            let invite = dice.pick(&invites);
            let proof = key().sign_join(w.events()[0].header().workspace, &invite, who);
            admission(who, role, Some(Invited { invite, proof }))
        }
        4..=6 => {
            let cuts = marks(w, dice, author, |chain| chain.device == who);
            on_workspace(Act::SetRole(Box::new(SetRole { device: who, role, cuts })))
        }
        7..=10 => {
            let cuts = marks(w, dice, author, |chain| chain.device == who);
            on_workspace(Act::Remove(Box::new(Remove { device: who, cuts })))
        }
        11 => {
            let admissions = ops(w, dice, author, |op| matches!(op.act, Act::Admit(_)));
            on_workspace(Act::Keep(Box::new(pick_of(dice, &admissions)?)))
        }
        12 | 13 => on_workspace(Act::HandOver(dice.pick(&[Box::new(A), Box::new(B), Box::new(OWNER)]))),
        14 | 15 => on_workspace(Act::Unbind(Box::new(end(w, dice, author)?))),
        16 | 17 => {
            let scope = dice.pick(&[Scope::Workspace, Scope::Lists(vec![LIST]), Scope::Lists(vec![OTHER_LIST])]);
            let mode = dice.pick(&[BindingMode::Binding, BindingMode::Binding, BindingMode::Mirror]);
            let seen = marks(w, dice, author, |chain| !chain.is_control());
            let ends = end(w, dice, author).into_iter().collect();
            let server = dice.pick(&[S, S, T]);
            on_workspace(Act::Bind(Box::new(Bind { mode, seen, ends, ..binding(server, scope) })))
        }
        18 if dice.one_in(2) => {
            let bindings = ops(w, dice, author, |op| matches!(op.act, Act::Bind(_)));
            let said = on_workspace(Act::RulesChanged(Box::new(pick_of(dice, &bindings)?))).0;
            (said, postcard::to_allocvec(&RulesText::default()).unwrap())
        }
        18 => (on_cell(RECORD, X, Act::Unknown { kind: 1000, args: vec![] }, vec![]), vec![]),
        19 => verdict(w, dice, author)?,
        _ => return design_line(w, dice, author),
    })
}

fn design_line(w: &World, dice: &mut Dice, author: DeviceKey) -> Option<Line> {
    let kind = ElementKind::List.number();
    let elements: Vec<ElementId> = ops(w, dice, author, |op| matches!(op.act, Act::Define(_)))
        .into_iter()
        .filter_map(|op| {
            let event = w.events().iter().find(|event| event.op_ref(op.op) == op)?;
            Some(ElementId::defined_by(event.id(), op.op))
        })
        .collect();
    let Some(element) = pick_of(dice, &elements) else {
        return Some(on_workspace(Act::Define(Box::new(Define { kind, parent: None }))));
    };
    Some(match dice.below(8) {
        0 => on_workspace(Act::Define(Box::new(Define { kind: ElementKind::Field.number(), parent: Some(element) }))),
        1..=3 => {
            let put = Act::Put(Box::new(Put { element, property: Property::Name.number() }));
            (on_workspace(put).0, Value::Int(w.events().len() as i64).encode())
        }
        4 | 5 => {
            let bindings = ops(w, dice, author, |op| matches!(op.act, Act::Bind(_)));
            let is_step = |op: &Op| matches!(op.act, Act::Put(_) | Act::Define(_));
            let seen = w.seen_by(author).into_iter().map(|i| &w.events()[i]);
            let steps = seen.filter(|event| event.header().ops.iter().any(is_step)).map(|event| event.reference());
            let proposed = DesignProposed {
                term: pick_of(dice, &bindings)?,
                design: DesignDigest([1; 16]),
                steps: steps.collect::<BTreeSet<_>>().into_iter().collect(),
                table: marks(w, dice, author, |_| true),
            };
            on_workspace(Act::DesignProposed(Box::new(proposed)))
        }
        rehearsal => {
            let proposals = ops(w, dice, author, |op| matches!(op.act, Act::DesignProposed(_)));
            let covers = marks(w, dice, author, |_| true);
            let rehearsed = Rehearsed { proposal: pick_of(dice, &proposals)?, covers };
            on_workspace(if rehearsal == 6 {
                Act::DesignFailed(Box::new(rehearsed))
            } else {
                Act::DesignMerged(Box::new(rehearsed))
            })
        }
    })
}

fn verdict(w: &World, dice: &mut Dice, author: DeviceKey) -> Option<Line> {
    let bindings = ops(w, dice, author, |op| matches!(op.act, Act::Bind(_)));
    let mut last = dice.pick(w.events()).reference();
    if dice.one_in(40) {
        last.seq += 1;
    }
    let outcome = dice.pick(&[Outcome::Accept, Outcome::Refuse(RefusalCode::RULE)]);
    let count = dice.pick(&[1, 1, 1, 2, 9]).min(last.seq as u32 + 1);
    Some(verdict_line(Verdict { term: pick_of(dice, &bindings)?, last, count, outcome }))
}

fn end(w: &World, dice: &mut Dice, author: DeviceKey) -> Option<End> {
    let bindings = ops(w, dice, author, |op| matches!(op.act, Act::Bind(_)));
    let server = dice.pick(&[S, T]);
    let at = marks(w, dice, author, |chain| chain == ChainId { device: server, number: 0 }).pop();
    Some(End { binding: pick_of(dice, &bindings)?, at })
}

fn pick_of<T: Clone>(dice: &mut Dice, from: &[T]) -> Option<T> {
    (!from.is_empty()).then(|| dice.pick(from))
}

fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}
