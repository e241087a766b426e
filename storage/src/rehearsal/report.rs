//! What a rehearsal found.

use super::row::RowOutcome;
use crate::{design_file::DesignFault, fold::Design};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::{FieldId, ListId, RecordId, RecordKey, Value, design::Property};

/// Values and records that are named one by one, of each kind.
const NAMED_MAX: usize = 20;

/// Failing records that are kept while it goes on; of more, only the number is known.
const FAILED_MAX: usize = 100_000;

/// Bytes of a report that is sent to all: half of what an event holds.
const REPORT_BYTES_MAX: usize = 24 * 1024;

/// Bytes of a value, a name or a message in it.
const TEXT_BYTES_MAX: usize = 200;

/// What is said of twins.
const TWIN: &str = "another record has this value already";

/// How what is said of values begins that are kept raw.
const TYPE_OF: &str = "type of ";

/// What a rehearsal found, as far as it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What is wrong with the design itself: then no row was looked at.
    pub faults: Vec<DesignFault>,
    /// Things that the new design has otherwise.
    pub differences: usize,
    /// Lists that it touches.
    pub touched: usize,
    /// Indexes that it adds.
    pub indexes: usize,
    /// Records that were looked at.
    pub records: u64,
    /// Of these, those that show something else than before.
    pub changed: u64,
    /// Warnings that records newly get.
    pub warnings: u64,
    /// Rules that could not be evaluated, once for each record.
    pub unchecked: u64,
    /// Conditions of views and forms that could not be decided, once for each record.
    pub undecided: u64,
    /// Events of this node that no server has judged yet, on records that fail.
    pub pending: u64,
    /// Events that wait for others, on lists that it touches or not.
    pub held: u64,
    lists: BTreeMap<ListId, ListReport>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ListReport {
    records: u64,
    /// Each with what it breaks, and what is said of that.
    failed: BTreeMap<RecordId, Vec<(String, String)>>,
    /// Each with the fields in which another record has its value, and the rules that say so.
    twins: BTreeMap<RecordId, BTreeMap<FieldId, String>>,
    more_failed: u64,
}

/// A field of which no two records may share a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Twin {
    pub(super) field: FieldId,
    /// What it breaks.
    pub(super) rule: String,
}

/// A rehearsal's outcome, as it is sent to every member, and shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// What was done, step by step, in the words of the design: compare, clone, load, incorporate, validate; then merge, or
    /// wait for the next design.
    #[serde(default)]
    pub steps: Vec<String>,
    /// What is wrong with the design itself, each with its place.
    #[serde(default)]
    pub faults: Vec<String>,
    /// Records that were looked at.
    #[serde(default)]
    pub records: u64,
    /// Records that show something else than before.
    #[serde(default)]
    pub changed: u64,
    /// Records that fail.
    #[serde(default)]
    pub failed: u64,
    /// What is newly broken, the most first.
    #[serde(default)]
    pub broken: Vec<Broken>,
    /// Warnings that records newly get.
    #[serde(default)]
    pub warnings: u64,
    /// Rules that could not be evaluated, once for each record.
    #[serde(default)]
    pub unchecked: u64,
    /// Conditions of views and forms that could not be decided, once for each record.
    #[serde(default)]
    pub undecided: u64,
    /// The author's events that were not judged yet, on records that fail.
    #[serde(default)]
    pub pending: u64,
    /// Events that wait for others.
    #[serde(default)]
    pub held: u64,
    /// Milliseconds that it took.
    #[serde(default)]
    pub took_ms: u64,
}

/// Something that records newly break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// The list.
    pub list: String,
    /// The rule, `required FIELD`, `unique FIELD`, `values of FIELD` or `type of FIELD`.
    pub rule: String,
    /// What is said of it.
    pub message: String,
    /// How many records.
    pub records: u64,
    /// Some of them.
    pub some: Vec<Unfit>,
}

/// A record that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfit {
    /// The record's id.
    pub record: String,
    /// The value at fault, where it is one; as it stays, raw.
    pub value: String,
}

impl Report {
    pub(super) fn add(&mut self, key: RecordKey, outcome: &RowOutcome) {
        self.records += 1;
        self.changed += u64::from(outcome.changed);
        self.warnings += outcome.warnings;
        self.unchecked += outcome.unchecked;
        self.undecided += outcome.undecided;
        self.lists.entry(key.list).or_default().records += 1;
        self.add_failure(key, outcome);
    }

    /// Counts what was seen in other records as well.
    pub(super) fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.changed += other.changed;
        self.warnings += other.warnings;
        self.unchecked += other.unchecked;
        self.undecided += other.undecided;
        for (of, seen) in other.lists {
            let list = self.lists.entry(of).or_default();
            list.records += seen.records;
            list.more_failed += seen.more_failed;
            for (record, faults) in seen.failed {
                list.add_failure(record, faults);
            }
            debug_assert!(seen.twins.is_empty(), "they are looked for in all records at once");
        }
    }

    fn add_failure(&mut self, key: RecordKey, outcome: &RowOutcome) {
        if !outcome.fails() {
            return;
        }
        let raw = outcome.raw.iter().map(|(field, value)| (format!("{TYPE_OF}{field}"), value.clone()));
        let faults = outcome.broken.iter().cloned().chain(raw).collect();
        self.lists.entry(key.list).or_default().add_failure(key.record, faults);
    }

    /// Takes back what a record was counted for. Of one that was never counted like that, which is a fault of the caller,
    /// the counts are wrong and nothing worse.
    pub(super) fn take_away(&mut self, key: RecordKey, outcome: &RowOutcome) {
        let less = |count: &mut u64, by: u64| *count = count.saturating_sub(by);
        less(&mut self.records, 1);
        less(&mut self.changed, u64::from(outcome.changed));
        less(&mut self.warnings, outcome.warnings);
        less(&mut self.unchecked, outcome.unchecked);
        less(&mut self.undecided, outcome.undecided);
        let list = self.lists.entry(key.list).or_default();
        less(&mut list.records, 1);
        if outcome.fails() && list.failed.remove(&key.record).is_none() {
            list.more_failed = list.more_failed.saturating_sub(1);
        }
    }

    /// In this field, a record has a value that another one has too, or not any more.
    pub(super) fn turn(&mut self, key: RecordKey, twin: &Twin, is_twin: bool) {
        let list = self.lists.entry(key.list).or_default();
        if is_twin {
            if list.twins.len() >= FAILED_MAX && !list.twins.contains_key(&key.record) {
                list.more_failed += 1;
            } else {
                list.twins.entry(key.record).or_default().insert(twin.field, twin.rule.clone());
            }
        } else if let Some(rules) = list.twins.get_mut(&key.record) {
            rules.remove(&twin.field);
            if rules.is_empty() {
                list.twins.remove(&key.record);
            }
        } else {
            list.more_failed = list.more_failed.saturating_sub(1);
        }
    }

    /// Records that fail.
    pub fn failed(&self) -> u64 {
        self.lists.values().map(ListReport::failed).sum()
    }

    /// The records that fail, as far as they are known one by one.
    pub fn failing(&self) -> impl Iterator<Item = RecordKey> {
        let keys = |(list, report): (&ListId, &ListReport)| {
            let list = *list;
            let records = report.failed.keys().chain(report.twins.keys());
            records.map(move |record| RecordKey { list, record: *record }).collect::<Vec<_>>()
        };
        self.lists.iter().flat_map(keys)
    }

    /// Whether the design may be merged: its structure is right, and of each list no more records fail than the design
    /// allows; none, where it does not say.
    pub fn is_valid(&self, design: &Design) -> bool {
        let allowed = |list: &ListId| match design
            .elements
            .get(&(*list).into())
            .and_then(|it| it.property(Property::FailingPercent))
        {
            Some(Value::Int(percent)) => u64::try_from(percent).unwrap_or(0).min(100),
            _none => 0,
        };
        let fits = |(list, report): (&ListId, &ListReport)| report.failed() * 100 <= report.records * allowed(list);
        self.faults.is_empty() && self.lists.iter().all(fits)
    }

    /// What was done, in words.
    fn steps(&self, design: &Design) -> Vec<String> {
        let Self { differences, touched, indexes, records, .. } = self;
        let validated = match self.faults.is_empty() {
            true => format!("validate: {records} records, {} fail", self.failed()),
            false => format!("validate: {} faults in the design itself, no record was looked at", self.faults.len()),
        };
        let end = if self.is_valid(design) { "merge" } else { "wait for the next design; nothing was changed" };
        vec![
            format!("compare: {differences} differences"),
            format!("clone: the {touched} lists that it touches, as they were"),
            "load: the present design".into(),
            format!("incorporate: the new design, with {indexes} new indexes"),
            validated,
            end.into(),
        ]
    }

    /// As it is sent and shown: small enough for an event.
    pub fn reported(&self, design: &Design, took_ms: u64) -> Reported {
        let mut broken: BTreeMap<(ListId, &str), Broken> = BTreeMap::new();
        for (list, report) in &self.lists {
            for (record, faults) in report.faults() {
                let mut told = BTreeSet::new();
                for (rule, message) in faults {
                    let is_raw = rule.starts_with(TYPE_OF);
                    let entry = broken.entry((*list, rule)).or_insert_with(|| Broken {
                        list: cut(&design.name(*list)),
                        rule: cut(rule),
                        message: if is_raw {
                            "the new type cannot hold it: it is kept raw".into()
                        } else {
                            cut(message)
                        },
                        records: 0,
                        some: Vec::new(),
                    });
                    entry.records += u64::from(told.insert(rule));
                    if entry.some.len() < NAMED_MAX {
                        let value = if is_raw { cut(message) } else { String::new() };
                        entry.some.push(Unfit { record: record.to_string(), value });
                    }
                }
            }
        }
        let mut broken: Vec<Broken> = broken.into_values().collect();
        broken.sort_by(|a, b| b.records.cmp(&a.records).then_with(|| (&a.list, &a.rule).cmp(&(&b.list, &b.rule))));
        Reported {
            steps: self.steps(design),
            faults: self.faults.iter().take(NAMED_MAX).map(|fault| cut(&fault.to_string())).collect(),
            records: self.records,
            changed: self.changed,
            failed: self.failed(),
            broken,
            warnings: self.warnings,
            unchecked: self.unchecked,
            undecided: self.undecided,
            pending: self.pending,
            held: self.held,
            took_ms,
        }
    }
}

impl ListReport {
    /// Records that fail.
    fn failed(&self) -> u64 {
        let only_twins = self.twins.keys().filter(|record| !self.failed.contains_key(record)).count();
        (self.failed.len() + only_twins) as u64 + self.more_failed
    }

    /// What is broken, record by record.
    fn faults(&self) -> impl Iterator<Item = (&RecordId, Vec<(&str, &str)>)> {
        let broken = self.failed.iter().map(|(record, faults)| {
            (record, faults.iter().map(|(rule, message)| (rule.as_str(), message.as_str())).collect())
        });
        let twins = self
            .twins
            .iter()
            .map(|(record, rules)| (record, rules.values().map(|rule| (rule.as_str(), TWIN)).collect()));
        broken.chain(twins)
    }

    fn add_failure(&mut self, record: RecordId, faults: Vec<(String, String)>) {
        if self.failed.len() >= FAILED_MAX && !self.failed.contains_key(&record) {
            self.more_failed += 1;
            return;
        }
        self.failed.entry(record).or_default().extend(faults);
    }
}

impl Broken {
    /// Whether it is about values that a new type cannot hold.
    pub fn is_raw(&self) -> bool {
        self.rule.starts_with(TYPE_OF)
    }
}

impl Reported {
    /// As the body of an event: JSON, shortened until it fits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut shorter = self.clone();
        loop {
            let bytes = serde_json::to_vec(&shorter).expect("plain data");
            if bytes.len() <= REPORT_BYTES_MAX {
                return bytes;
            }
            for broken in &mut shorter.broken {
                broken.some.truncate(broken.some.len() / 2);
            }
            let keep = shorter.broken.len().div_ceil(2).max(1);
            if shorter.broken.iter().all(|broken| broken.some.is_empty()) {
                shorter.broken.truncate(if keep == shorter.broken.len() { 0 } else { keep });
                shorter.faults.truncate(shorter.faults.len() / 2);
            }
        }
    }

    /// Reads what [`Reported::to_bytes`] wrote, at another node perhaps; nothing where it is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

fn cut(text: &str) -> String {
    let end =
        text.char_indices().map(|(at, char)| at + char.len_utf8()).take_while(|end| *end <= TEXT_BYTES_MAX).last();
    text[..end.unwrap_or(0)].to_owned()
}
