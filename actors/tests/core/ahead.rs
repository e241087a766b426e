//! Deciding a group while the one before it is written comes to the same as deciding it afterwards.

use crate::bench::Bench;
use std::sync::Arc;
use tandem_actors::{Change, Command, Committed, Refused, Transaction};
use tandem_storage::engine::{Batch, Durability, Engine, Read, Slice, Table};
use tandem_wire::{Value, design::Property};

/// Numbers that look random, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A bench whose list has an index.
fn indexed() -> Bench {
    let mut bench = Bench::new();
    let element = bench.fields[0].into();
    bench.perform(Command::Put { element, property: Property::Indexed, value: Value::Bool(true) }).unwrap();
    bench
}

fn command(bench: &Bench, chance: &mut Chance) -> Command {
    let record = chance.below(4) as u8;
    let value = chance.below(5).to_string();
    let change = match chance.below(8) {
        0 | 1 => bench.create(record),
        2 => Change::Delete(bench.record(record)),
        3 => Change::Restore(bench.record(record)),
        _set => bench.set(record, chance.below(2) as usize, &value),
    };
    Command::Change(Transaction { changes: vec![change], ..Transaction::default() })
}

/// A node that decides each group while the one before it is not in its tables yet.
struct Hasty {
    bench: Bench,
    under_way: Option<Arc<Batch>>,
}

impl Hasty {
    fn write(&mut self) {
        if let Some(batch) = self.under_way.take() {
            self.bench.engine.commit_shared(&batch, Durability::Synced).unwrap();
        }
    }

    /// The group before this one is written when `early` of its commands are decided.
    fn perform_all(&mut self, commands: &[Command], early: usize) -> Vec<Result<Committed, Refused>> {
        self.bench.now_ms += 1;
        let (first, rest) = commands.split_at(early);
        let open = self.bench.core.extend(self.bench.core.open(), self.bench.now_ms, first).unwrap();
        self.write();
        let open = self.bench.core.extend(open, self.bench.now_ms, rest).unwrap();
        let group = self.bench.core.close(open);
        if group.log.is_empty() {
            return group.answers;
        }
        self.bench.core.goes_ahead_no_more();
        let (batch, answers) = self.bench.core.settle(group).unwrap();
        let batch = Arc::new(batch);
        self.bench.core.goes_ahead_of(batch.clone());
        self.under_way = Some(batch);
        answers
    }
}

fn rows(bench: &Bench) -> Vec<(Table, Slice, Slice)> {
    let of =
        |table| bench.engine.range(table, &[0], None).map(move |pair| pair.map(|(key, value)| (table, key, value)));
    Table::ALL.into_iter().flat_map(of).collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_group_decided_ahead_is_the_group_decided_afterwards() {
    let (mut done, mut refused) = (0, 0);
    for seed in 0..60 {
        let mut chance = Chance(seed);
        let mut patient = indexed();
        let mut hasty = Hasty { bench: indexed(), under_way: None };
        for _ in 0..12 {
            let commands: Vec<Command> = (0..=chance.below(4)).map(|_| command(&patient, &mut chance)).collect();
            let early = chance.below(commands.len() as u64 + 1) as usize;
            let answers = patient.perform_all(&commands);
            assert_eq!(hasty.perform_all(&commands, early), answers, "seed {seed}");
            done += answers.iter().filter(|answer| answer.is_ok()).count();
            refused += answers.iter().filter(|answer| answer.is_err()).count();
        }
        hasty.write();
        assert_eq!(rows(&hasty.bench), rows(&patient), "seed {seed}");
        let verified = hasty.bench.core.store().verify(&mut |_| {}).unwrap();
        assert!(verified.is_clean(), "seed {seed}: {verified:?}");
    }
    assert!(done > 500 && refused > 300, "{done} done, {refused} refused");
}
