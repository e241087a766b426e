//! What a node shows its person: the records of its lists, and its inbox.

use super::stage::{Player, Stage};
use std::collections::BTreeMap;
use tandem_storage::{
    Query,
    fold::record::Sibling,
    inbox::{Entry, Refusal},
};
use tandem_wire::{FieldId, PartPath, RecordKey, Value};

/// Lines, by what they are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Screen {
    records: BTreeMap<String, String>,
    inbox: BTreeMap<String, String>,
}

impl Screen {
    pub(super) fn of(node: &Player, stage: &Stage) -> Self {
        let reader = node.reader();
        let design = reader.design().clone();
        let mut screen = Self::default();
        for list in design.lists() {
            for record in reader.list(list, &Query::default()).expect("memory can be read") {
                let key = RecordKey { list, record: record.id };
                let fields = design.fields(list).into_iter().filter_map(|field| {
                    let siblings = record.state.cells.get(&(field, PartPath::default()))?;
                    let shown = siblings.first().and_then(Sibling::value).filter(|value| *value != Value::Null)?;
                    Some(format!("{}={}", design.name(field), stage.value_text(&shown)))
                });
                screen.records.insert(stage.record_name(key), fields.collect::<Vec<_>>().join(" "));
            }
        }
        for entry in reader.inbox().expect("memory can be read") {
            let (about, text) = match &entry {
                Entry::Refused(refusal) => refused(refusal, node, stage),
                Entry::Conflict { cell, siblings } => {
                    let side = |sibling: &Sibling| {
                        let value = sibling.value().map_or("(removed)".into(), |value| stage.value_text(&value));
                        format!("{value} by {}", stage.name_of(sibling.stamp.event.chain.device))
                    };
                    let kept: Vec<String> = siblings[1..].iter().map(side).collect();
                    let about = format!("{} {}", stage.record_name(cell.record), design.name(cell.field));
                    (about, format!("conflict, {} is shown and {} kept", side(&siblings[0]), kept.join(" and ")))
                }
                Entry::DeleteLost { record, .. } => {
                    (stage.record_name(*record), "removed and edited side by side".into())
                }
                Entry::DesignFailed(failed) => {
                    let by = failed.failures.iter().map(|failure| stage.name_of(failure.event.chain.device));
                    let by = by.collect::<Vec<_>>().join(" and ");
                    let server = stage.name_of(failed.proposal.chain.device);
                    (format!("design of {server}"), format!("does not fit what {by} has"))
                }
                Entry::Waiting { record, events } => {
                    (stage.record_name(*record), format!("{} changes wait for it to be made", events.len()))
                }
                Entry::Held { event } => (format!("event {event:?}"), "waits for others".into()),
            };
            screen.inbox.insert(format!("{about} {}", entry.id()), format!("{about}: {text}"));
        }
        screen
    }

    /// In words.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, now) in &self.records {
            match before.records.get(name) {
                None => changes.push(format!("shows {name} {now}")),
                Some(then) if then != now => changes.push(format!("shows {name} {now}, no longer {then}")),
                Some(_) => {}
            }
        }
        let gone = before.records.keys().filter(|name| !self.records.contains_key(*name));
        changes.extend(gone.map(|name| format!("shows {name} no longer")));
        for (id, entry) in &self.inbox {
            if before.inbox.get(id) != Some(entry) {
                changes.push(format!("inbox: {entry}"));
            }
        }
        for (id, entry) in &before.inbox {
            if !self.inbox.contains_key(id) {
                changes.push(format!("inbox no longer: {entry}"));
            }
        }
        changes
    }
}

/// What a refusal is about, and what is said of it.
fn refused(refusal: &Refusal, node: &Player, stage: &Stage) -> (String, String) {
    let refused = &refusal.refused;
    let about = refused.record.map_or("the workspace".into(), |record| stage.record_name(record));
    let reader = node.reader();
    let design = reader.design();
    let name = |field: FieldId| design.name(field);
    let values: Vec<String> = refused
        .values
        .iter()
        .map(|value| {
            let shown = value.value.as_ref().map(|bytes| Value::decode(bytes).expect("bodies were checked"));
            format!("{}={}", name(value.field), shown.map_or("?".into(), |value| stage.value_text(&value)))
        })
        .collect();
    let by: Vec<String> = refused
        .verdicts
        .iter()
        .map(|by| {
            let text = by.text.as_ref();
            let rule = text.into_iter().flat_map(|text| &text.blame).find(|blame| !blame.rule.is_empty());
            let rule = rule.map_or(String::new(), |blame| format!(" {}", blame.rule));
            let code = by.code.name().unwrap_or("?");
            let server = stage.name_of(by.server());
            let how = if by.masks { "" } else { ", which masks nothing" };
            format!("{server}: {code}{rule}{how}: {}", text.map_or("", |text| &text.message))
        })
        .collect();
    let handed: Vec<String> = refusal.handed_to.iter().map(|member| stage.person(*member)).collect();
    let handed = if handed.is_empty() { String::new() } else { format!("; handed to {}", handed.join(", ")) };
    let author = stage.name_of(refused.event.chain.device);
    let values = if values.is_empty() { String::new() } else { format!(" ({})", values.join(" ")) };
    (about, format!("refused, by {author}{values}: {}{handed}", by.join("; ")))
}
