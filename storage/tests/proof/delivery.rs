//! Delivering a history in every order.

use crate::history::History;
use std::{collections::BTreeSet, sync::Arc};
use tandem_storage::{
    EngineError,
    engine::{Engine, MemoryEngine, MemorySnapshot, Overlay},
    fold::{
        incremental::{Events, Fold, LogPlace, Prefix},
        naive,
    },
};
use tandem_wire::Event;

struct Log<'a>(&'a History);

impl Events for Log<'_> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        let base = self.0.base.len();
        let at = at.arrival as usize;
        Ok(if at < base { self.0.base[at].clone() } else { self.0.events[at - base].clone() })
    }
}

/// Delivers in every order, and compares with the naive fold after every event. Gives the digest of the whole
/// history's view and the number of events applied.
pub fn check_all_orders(history: &History) -> ([u8; 32], u64) {
    let snapshot = MemoryEngine::default().snapshot();
    let log = Log(history);
    let mut rows = Overlay::new(&snapshot);
    let mut fold = Fold::load(Prefix { workspace: 1, generation: 1 }, &rows, &log).unwrap();
    for (i, event) in history.base.iter().enumerate() {
        fold.apply(&mut rows, &log, LogPlace { arrival: i as u64, index: 0 }, event).unwrap();
    }
    let mut applications = 0;
    deliver(history, &log, &fold, &rows, 0, &mut Vec::new(), &mut applications);
    (history.view((1 << history.len()) - 1).digest(), applications)
}

fn deliver(
    history: &History,
    log: &Log<'_>,
    fold: &Fold,
    rows: &Overlay<'_, MemorySnapshot>,
    delivered: u32,
    order: &mut Vec<usize>,
    applications: &mut u64,
) {
    for i in (0..history.len()).filter(|i| delivered & (1 << i) == 0) {
        let (mut fold, mut rows) = (fold.clone(), rows.clone());
        let at = LogPlace { arrival: (history.base.len() + i) as u64, index: 0 };
        fold.apply(&mut rows, log, at, &history.events[i]).unwrap();
        *applications += 1;
        let delivered = delivered | 1 << i;
        order.push(i);
        let expect = history.view(delivered);
        let got = fold.view(&rows).unwrap();
        if got != *expect {
            for (i, event) in history.events.iter().enumerate() {
                eprintln!("{i}: {:?} {:#?}", event.id(), event.header());
            }
            panic!("in the order {order:?}:\nincremental {got:#?}\nnaive {expect:#?}");
        }
        deliver(history, log, &fold, &rows, delivered, order, applications);
        order.pop();
    }
}

struct Slice<'a>(&'a [Arc<Event>]);

impl Events for Slice<'_> {
    fn event(&self, at: LogPlace) -> Result<Arc<Event>, EngineError> {
        Ok(self.0[at.arrival as usize].clone())
    }
}

/// Delivers in one order, and compares after every event but the first `unchecked` ones; halfway the fold is loaded from its
/// rows. Gives how many events agreed, or what was delivered when they did not.
pub fn check_order(events: &[Arc<Event>], order: &[usize], unchecked: usize) -> Result<u64, Vec<usize>> {
    let snapshot = MemoryEngine::default().snapshot();
    let log = Slice(events);
    let mut rows = Overlay::new(&snapshot);
    let prefix = Prefix { workspace: 1, generation: 1 };
    let mut fold = Fold::load(prefix, &rows, &log).unwrap();
    let mut agreed = 0;
    for (count, i) in order.iter().enumerate() {
        fold.apply(&mut rows, &log, LogPlace { arrival: *i as u64, index: 0 }, &events[*i]).unwrap();
        if count < unchecked {
            continue;
        }
        if count == order.len() / 2 + unchecked / 2 {
            fold = Fold::load(prefix, &rows, &log).unwrap();
        }
        let delivered: Vec<Arc<Event>> = order[..=count].iter().map(|i| events[*i].clone()).collect();
        if fold.view(&rows).unwrap() != naive::view(&delivered) {
            return Err(order[..=count].to_vec());
        }
        agreed += 1;
    }
    Ok(agreed)
}

/// The shortest part of an order that still disagrees, by leaving out one event after another.
pub fn shrink(events: &[Arc<Event>], order: Vec<usize>) -> Vec<usize> {
    let mut shortest = order;
    let mut left_out = BTreeSet::new();
    while let Some(i) = shortest.iter().copied().find(|i| !left_out.contains(i)) {
        left_out.insert(i);
        let without: Vec<usize> = shortest.iter().copied().filter(|other| *other != i).collect();
        if let Err(shorter) = check_order(events, &without, 0) {
            shortest = shorter;
        }
    }
    shortest
}
