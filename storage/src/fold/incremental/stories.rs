//! Stories for the laws of the quick ways: what people do, and everything that could be in the way of that.

use super::{Events, LogPlace, Prefix};
use crate::{
    engine::{Bytes, EngineError, Key, MemorySnapshot, Overlay, Read, Slice, Table},
    fold::testing::*,
};
use proptest::prelude::prop;
use std::sync::Arc;
use tandem_wire::{
    Act, DeviceKey, Event, FieldId, ListId, Op, PartPath, RecordId, RecordKey, Role, Scope, Target, Value,
};

pub struct Log<'a>(pub &'a [Arc<Event>]);

impl Events for Log<'_> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        Ok(self.0[at.arrival as usize].clone())
    }
}

pub const PREFIX: Prefix = Prefix { workspace: 1, generation: 1 };

pub type Rows = Vec<(Table, Vec<(Key, Bytes)>)>;

pub fn rows_of(rows: &Overlay<'_, MemorySnapshot>) -> Rows {
    let owned = |(key, row): (Slice, Slice)| (key.to_vec(), row.to_vec());
    let all = |table| rows.range(table, &[], None).map(|pair| owned(pair.unwrap())).collect();
    Table::ALL.into_iter().map(|table| (table, all(table))).collect()
}

/// Fails with the rows that only one of the two has.
pub fn assert_same_rows(rows: &Overlay<'_, MemorySnapshot>, expected: &Overlay<'_, MemorySnapshot>, when: &str) {
    let (rows, expected) = (rows_of(rows), rows_of(expected));
    if rows == expected {
        return;
    }
    for ((table, rows), (_, expected)) in rows.iter().zip(&expected) {
        let shown = |which: &str, rows: &[(Vec<u8>, Vec<u8>)], others: &[(Vec<u8>, Vec<u8>)]| {
            for (key, row) in rows.iter().filter(|row| !others.contains(row)) {
                eprintln!("{which} in {table:?}: {} = {row:?}", key.escape_ascii());
            }
        };
        shown("only here", rows, expected);
        shown("only expected", expected, rows);
    }
    panic!("not the same rows {when}");
}

pub fn new_record(list: ListId, number: u16) -> RecordKey {
    let mut id = [9; 16];
    // Not in the order of their making.
    id[..2].copy_from_slice(&number.wrapping_mul(40_503).to_be_bytes());
    RecordKey { list, record: RecordId(id) }
}

pub fn create_line(key: RecordKey) -> Line {
    (Op { target: Target::Record(key), preds: vec![], act: Act::Create }, vec![])
}

pub fn set_line(key: RecordKey, field: FieldId, part: &str, value: i64) -> Line {
    let part = if part.is_empty() { PartPath::default() } else { PartPath::new([part]).unwrap() };
    (on_part(key, field, part, Act::Set, vec![]), Value::Int(value).encode())
}

pub fn whole_record(key: RecordKey, value: i64) -> Vec<Line> {
    vec![
        set_line(key, Y, "", value),
        create_line(key),
        set_line(key, X, "b", value + 1),
        set_line(key, X, "", value + 2),
        set_line(key, X, "a", value + 3),
    ]
}

/// A step of a sampled story: what is done, and two choices in it.
pub type Step = (u8, u8, u8);

/// Mostly one author who makes records one after the other; in between everything that could be in the way of that.
#[derive(Default)]
pub struct Teller {
    author: Option<DeviceKey>,
    elsewhere: bool,
    number: u16,
    made: Vec<(RecordKey, Ev)>,
    deleted: Vec<(RecordKey, Ev)>,
    own: Vec<(DeviceKey, Ev)>,
}

impl Teller {
    fn list(&self) -> ListId {
        if self.elsewhere { OTHER_LIST } else { LIST }
    }

    /// A record that nobody has spoken of, or now and then one of a few.
    fn key(&mut self, choice: u8) -> RecordKey {
        self.number += 1;
        new_record(self.list(), if choice.is_multiple_of(8) { u16::from(choice / 32) } else { 100 + self.number })
    }

    pub fn tell(&mut self, w: &mut World, (what, a, b): Step) {
        const AUTHORS: [DeviceKey; 6] = [OWNER, A, A, B, S, C];
        let who = *self.author.get_or_insert(A);
        let other = AUTHORS[a as usize % AUTHORS.len()];
        let key = self.key(b);
        let made = a.checked_rem(self.made.len() as u8).map(|at| self.made[at as usize]);
        let deleted = a.checked_rem(self.deleted.len() as u8).map(|at| self.deleted[at as usize]);
        let own = self.own.iter().rev().find(|(author, _)| *author == who).map(|own| own.1);
        let lines = whole_record(key, i64::from(b));
        let event = match what % 40 {
            0 => return self.author = Some(other),
            1 => return self.elsewhere = b.is_multiple_of(2),
            2 => return w.apart(if b.is_multiple_of(2) { who } else { other }),
            3..=5 => return AUTHORS.iter().for_each(|author| w.meet(*author)),
            6 => {
                return if let Some(own) = own {
                    w.forget(who, own)
                };
            }
            7 => w.write(other, lines),
            8 => w.set_in(who, key, X, i64::from(a), &[]),
            9 => w.on(who, key, Act::Create, &[]),
            10 => {
                let Some((key, event)) = made else { return };
                let deleted = w.on(if b.is_multiple_of(2) { who } else { other }, key, Act::Delete, &[event]);
                self.deleted.push((key, deleted));
                deleted
            }
            11 => {
                let Some((key, event)) = deleted else { return };
                w.on(who, key, if b.is_multiple_of(2) { Act::Restore } else { Act::Create }, &[event])
            }
            12 => {
                let second = self.key(b.wrapping_add(1));
                w.write(who, [lines, whole_record(second, 1)].concat())
            }
            13 => w.write(who, [lines, vec![set_line(key, X, "a", 1)]].concat()),
            14 => {
                let event = w.write(who, lines);
                w.erase(event);
                event
            }
            15 => {
                let Some((_, event)) = made else { return };
                let named = w.event(event).reference();
                w.forge(who, lines, |header| header.resubmits = Some(named).filter(|_| header.prev.is_some()))
            }
            16 => w.forge(who, lines, |header| header.lamport += u64::from(a % 3)),
            17 => w.forge(who, lines, |header| header.seq += u64::from(header.prev.is_some())),
            18 => w.forge(who, lines, |header| {
                let claims = header.prev.is_some() && other != who;
                header.chain.device = if claims { other } else { who };
            }),
            19 => w.admit(OWNER, other, if b.is_multiple_of(2) { Role::Writer } else { Role::Reader }),
            20 => w.set_role(OWNER, other, if b.is_multiple_of(2) { Role::Writer } else { Role::Reader }, &[]),
            21 => w.remove(OWNER, [B, C][a as usize % 2], &[]),
            22 => {
                let scope = if b.is_multiple_of(2) { Scope::Workspace } else { Scope::Lists(vec![LIST]) };
                w.bind(OWNER, S, scope)
            }
            23 => {
                let (Some((_, event)), true) = (made, w.is_bound(S)) else { return };
                if b.is_multiple_of(2) { w.accept(S, event) } else { w.refuse(S, event) }
            }
            _import => {
                let event = w.write(who, lines);
                self.made.push((key, event));
                event
            }
        };
        self.own.push((w.event(event).header().chain.device, event));
    }
}

/// The places of so many events in the order in which they come: as told, but for those that are late.
pub fn delivered(count: usize, late: Vec<(prop::sample::Index, usize)>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for (which, by) in late {
        let from = which.index(order.len());
        let to = (from + by).min(order.len() - 1);
        order[from..=to].rotate_left(1);
    }
    order
}
