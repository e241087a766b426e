//! The design's rules, where changes are made: what follows from a change is added to it, and a change that breaks a
//! validation is not made. What others wrote under other rules is not touched: it is flagged, and servers judge it.

use super::compose::Draft;
use crate::command::Refused;
use std::collections::BTreeMap;
use tandem_storage::{
    design_rule::{Body, DesignRule, Finding, Severity},
    engine::Read,
    fold::{
        Design, RecordState,
        record::{Content, Edit, Sibling, Stamp},
    },
    history::Author,
    rule::RecordChange,
};
use tandem_wire::{ChainId, DeviceKey, EventId, EventRef, FieldId, ListId, PartPath, RecordKey, Role, Value};

/// A record before and after a change, as it was written.
pub(super) struct RuleChange<'a> {
    pub(super) key: RecordKey,
    pub(super) before: &'a RecordState,
    pub(super) after: RecordState,
}

/// The fields that the workflows of a list set because of a change, each workflow once, in the order of their ids. What
/// one sets may set off another.
pub(super) fn follow<R: Read>(
    draft: &Draft<'_, R>,
    change: &mut RuleChange<'_>,
) -> Result<Vec<(FieldId, Value)>, Refused> {
    let design = draft.fold.design();
    let mut workflows: Vec<&DesignRule> =
        design.rules().list(change.key.list).iter().filter(|rule| matches!(rule.body, Ok(Body::Workflow(_)))).collect();
    let mut all = Vec::new();
    while !workflows.is_empty() {
        let before = shown(design, change.key.list, change.before);
        let after = shown(design, change.key.list, &change.after);
        let mut next = None;
        for (at, rule) in workflows.iter().enumerate() {
            let Ok(Body::Workflow(workflow)) = &rule.body else { continue };
            let (author, role) = author(draft);
            let names = BTreeMap::from([(draft.device(), author.clone())]);
            let record = change.key.record;
            let (before, after) = (&before, &after);
            let lenses = design.lenses();
            let asked = RecordChange { record, before, after, author: &author, role, names: &names, lenses };
            let set = workflow.follows(&asked).map_err(|error| failed(rule, &error.to_string()))?;
            if !set.is_empty() {
                next = Some((at, set));
                break;
            }
        }
        let Some((at, set)) = next else { break };
        workflows.remove(at);
        for (field, value) in set {
            let value = design.lenses().value(field, &value);
            put(&mut change.after, field, PartPath::default(), &value);
            all.push((field, value));
        }
    }
    Ok(all)
}

/// Whether a record may be as it is after a change: no validation says otherwise that did not say so before.
pub(super) fn validate(design: &Design, change: &RuleChange<'_>) -> Result<(), Refused> {
    let rules = design.rules().list(change.key.list).iter();
    for rule in rules.filter(|rule| rule.definition.severity == Severity::Error) {
        let message = match rule.judge_state(design, &change.after) {
            Finding::Holds => continue,
            Finding::Unchecked(_) if rule.is_unread() => continue,
            finding if change.before.exists() && rule.judge_state(design, change.before) == finding => continue,
            Finding::Broken => rule.definition.message.clone(),
            Finding::Unchecked(why) => format!("it could not be evaluated: {why}"),
        };
        let field = rule.definition.field().map(|field| design.name(field)).unwrap_or_default();
        return Err(Refused::Rule { rule: rule.name.clone(), message, field });
    }
    Ok(())
}

/// Whether a list has rules that ask or do something when a record changes.
pub(super) fn has_rules(design: &Design, list: ListId) -> bool {
    !design.rules().list(list).is_empty()
}

/// Whether a list has workflows.
pub(super) fn has_workflows(design: &Design, list: ListId) -> bool {
    design.rules().list(list).iter().any(|rule| matches!(rule.body, Ok(Body::Workflow(_))))
}

/// A record as it would be made of these values.
pub(super) fn made_of<'v>(cells: impl Iterator<Item = (FieldId, &'v PartPath, &'v Value)>) -> RecordState {
    let mut state = RecordState { creates: vec![Edit { stamp: NOBODY, covered: false }], ..RecordState::default() };
    cells.for_each(|(field, part, value)| put(&mut state, field, part.clone(), value));
    state
}

/// Makes a cell show a value.
pub(super) fn put(state: &mut RecordState, field: FieldId, part: PartPath, value: &Value) {
    let content = Content::Value(value.encode());
    let sibling = Sibling { stamp: NOBODY, rank: 0, time_ms: 0, content, covered: false };
    state.cells.insert((field, part), vec![sibling]);
}

/// Who made an edit that is not written yet.
const NOBODY: Stamp = Stamp {
    event: EventRef { chain: ChainId { device: DeviceKey([0; 32]), number: 1 }, seq: 0, id: EventId([0; 32]) },
    op: 0,
    wall_ms: 0,
};

fn shown(design: &Design, list: ListId, state: &RecordState) -> RecordState {
    let mut shown = state.clone();
    design.lenses().show_state(list, &mut shown);
    shown
}

fn author<R: Read>(draft: &Draft<'_, R>) -> (String, &'static str) {
    let name = Author::of(&draft.fold, draft.device(), None).name;
    let role = match draft.fold.role_of(draft.device()) {
        Some(Role::Reader) => "reader",
        Some(Role::Writer) => "writer",
        Some(Role::Designer) => "designer",
        Some(Role::Manager) => "manager",
        None => "none",
    };
    (name, role)
}

fn failed(rule: &DesignRule, why: &str) -> Refused {
    Refused::Rule {
        rule: rule.name.clone(),
        message: format!("it could not be evaluated: {why}"),
        field: String::new(),
    }
}
