//! What a watched query tells, applied one after the other, is what the query gives.

use crate::{
    bench::Bench,
    client::{Client, sorted_by},
};
use std::collections::BTreeSet;
use tandem_actors::{Change, Command, Transaction, live::Cursor};
use tandem_storage::{
    Query,
    live::Watch,
    query::{Sort, SortBy, Start},
};
use tandem_wire::{PartPath, Value};

/// Draws numbers, always the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

#[test]
fn changes_lead_from_one_result_to_the_next() {
    for seed in 0..6 {
        let mut dice = Dice(seed);
        let mut b = Bench::new();
        let [name, note] = b.fields;
        let filter = vec![(note, PartPath::default(), Value::Text("yes".into()))];
        let from = Start::At(Value::Text("25".into()));
        let queries = [
            Query::default(),
            Query { filters: filter.clone(), ..Query::default() },
            Query { limit: Some(3), ..Query::default() },
            Query { sort: sorted_by(name, true), limit: Some(5), filters: filter, ..Query::default() },
            Query { sort: sorted_by(name, false), limit: Some(1), ..Query::default() },
            Query { sort: sorted_by(name, false), limit: Some(0), ..Query::default() },
            Query { sort: sorted_by(name, false), limit: Some(4), start: from.clone(), ..Query::default() },
            Query { sort: sorted_by(name, true), start: from, ..Query::default() },
            Query { sort: Some(Sort { by: SortBy::Modified, descending: true }), limit: Some(7), ..Query::default() },
        ];
        let list = b.list;
        let start = |b: &Bench, query: &Query| {
            let (watch, rows) = Watch::start(&b.reader(), list, query.clone()).unwrap();
            (watch, Client(rows))
        };
        for n in 0..200 {
            let text = dice.below(40).to_string();
            let note = if dice.below(2) == 0 { "yes" } else { "no" };
            b.change(&[b.create(n), b.set(n, 0, &text), b.set(n, 1, note)]);
        }
        let mut watched: Vec<(Watch, Client)> = queries.iter().map(|query| start(&b, query)).collect();
        for _ in 0..150 {
            // A few records at once, now and then many, so that a window has to be read anew.
            let count = if dice.below(10) == 0 { 90 } else { 1 + dice.below(3) };
            let mut changes = Vec::new();
            let mut touched = BTreeSet::new();
            for _ in 0..count {
                let n = dice.below(220) as u8;
                if !touched.insert(b.record(n).record) {
                    continue;
                }
                let (exists, text) = (b.state(n).exists(), dice.below(40).to_string());
                match (exists, dice.below(4)) {
                    (true, 0) => changes.push(Change::Delete(b.record(n))),
                    (true, 1) => changes.push(b.set(n, 1, if dice.below(2) == 0 { "yes" } else { "no" })),
                    (true, _) => changes.push(b.set(n, 0, &text)),
                    (false, _) if !b.state(n).creates.is_empty() => changes.push(Change::Restore(b.record(n))),
                    (false, _) => changes.extend([b.create(n), b.set(n, 0, &text), b.set(n, 1, "yes")]),
                }
            }
            b.perform(Command::Change(Transaction { changes, ..Transaction::default() })).unwrap();
            for ((watch, client), query) in watched.iter_mut().zip(&queries) {
                client.apply(&watch.advance(&b.reader(), &touched).unwrap());
                let expect = b.reader().list(list, query).unwrap();
                if query.limit.is_some() {
                    assert_eq!(client.0, expect, "{query:?}");
                } else {
                    assert_eq!(Client(client.0.clone()).by_id(), Client(expect).by_id(), "{query:?}");
                }
            }
        }
    }
}

#[test]
fn cursors_are_texts() {
    let b = Bench::new();
    let cursor = Cursor::new(b.core.store().fold(), 300, b.list, &Query::default());
    let text = cursor.to_string();
    assert_eq!(text.parse::<Cursor>(), Ok(cursor));
    for bad in ["", "0", "zz", &text[1..], &format!("{text}00"), &text.to_uppercase(), "ä"] {
        assert!(bad.parse::<Cursor>().is_err() || bad == text, "{bad}");
    }
}
