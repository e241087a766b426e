//! The pure core: whether one event is accepted, and if not, why.

use super::policy::{Asked, Compiled, Stale};
use std::collections::{BTreeMap, BTreeSet};
use tandem_storage::{
    EngineError, composite,
    constraint::{Breach, OnDelete},
    design_rule::{Finding, Severity},
    docket::{Accepted, Case},
    engine::Read,
    fold::{Design, RecordState, Status, design::takes_a_step, incremental::Events, record::Content, terms::Term},
    index::{Index, holders},
    lens::{Lenses, is_raw},
    query::winner,
    rule::{RecordChange, RuleFailed},
};
use tandem_wire::{
    Act, Blame, CellKey, DeviceKey, ElementId, Event, FieldId, ListId, PartPath, RecordKey, RefusalCode, Role, Scope,
    Target, Value,
    limits::{BLAME_MAX, NAME_BYTES_MAX, REFUSAL_TEXT_BYTES_MAX},
};

/// What an authority says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// It stands.
    Accept,
    /// It is refused.
    Refuse {
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people: a sentence.
        message: String,
        /// The cells at fault.
        blame: Vec<Blame>,
    },
}

impl Ruling {
    /// Why it refuses, if it does.
    pub fn code(&self) -> Option<RefusalCode> {
        match self {
            Self::Accept => None,
            Self::Refuse { code, .. } => Some(*code),
        }
    }
}

/// Who judges, and by what.
pub struct Bench<'a> {
    /// The term.
    pub term: &'a Term,
    /// The rules and settings, read for the present design.
    pub policy: &'a Compiled,
    /// Indexes of the live views, to find who has a value.
    pub indexes: &'a [Index],
    /// Whether this node judges a list, under whatever term.
    pub judges: &'a dyn Fn(ListId) -> bool,
    /// Who the devices are.
    pub names: &'a BTreeMap<DeviceKey, String>,
}

/// A decision on the way: an error is what the machine could not do.
type Checked = Result<Result<(), Ruling>, EngineError>;

/// One record that an event changes.
struct Changed {
    key: RecordKey,
    before: RecordState,
    /// With the event, whose values win.
    after: RecordState,
    /// Its cells that the event sets.
    sets: Vec<(CellKey, Option<Value>)>,
    /// What fields that it sets go on showing, where its own value does not win.
    shown: Vec<(FieldId, Value)>,
    is_created: bool,
}

impl Changed {
    /// What a field shows, or comes to show should the event's value win.
    fn may_show(&self, field: FieldId) -> Vec<Value> {
        let shown = self.shown.iter().filter(|(of, _)| *of == field).map(|(_, value)| value.clone());
        winner(&self.after, field, &PartPath::default()).into_iter().chain(shown).collect()
    }
}

impl Bench<'_> {
    /// Decides a case against the records as they have been accepted so far.
    pub fn judge<R: Read, E: Events>(
        &self,
        accepted: &mut Accepted<'_, R, E>,
        case: &Case,
    ) -> Result<Ruling, EngineError> {
        Ok(match self.check(accepted, case)? {
            Ok(()) => Ruling::Accept,
            Err(refusal) => refusal,
        })
    }

    /// What is said of an event beyond its author's share of the day.
    pub fn over_quota(&self) -> Ruling {
        let share = self.policy.policy().bytes_a_member_and_day.unwrap_or_default();
        refuse(RefusalCode::OVER_QUOTA, format!("its author sent more than {share} bytes that day"))
    }

    fn check<R: Read, E: Events>(&self, accepted: &mut Accepted<'_, R, E>, case: &Case) -> Checked {
        if accepted.is_other_branch(self.term, case)? {
            return Ok(Err(refuse(
                RefusalCode::EQUIVOCATION,
                "another event stands at this place of its chain".into(),
            )));
        }
        if let Err(refusal) = self.check_author(accepted, case)? {
            return Ok(Err(refusal));
        }
        if self.term.bind.scope == Scope::Workspace && takes_a_step(&case.event) {
            let message = "the design belongs to the server: it is changed there";
            return Ok(Err(refuse(RefusalCode::DESIGN_OWNED, message.into())));
        }
        if accepted.is_resent_already(&case.event)? {
            let message = "somebody has sent the same again already, and that was accepted";
            return Ok(Err(refuse(RefusalCode::ALREADY_RESENT, message.into())));
        }
        let design = accepted.fold().design().clone();
        let mut changed = Vec::new();
        for record in self.records(&case.event) {
            changed.push(changed_by(accepted, &design, case, record)?);
        }
        for one in &changed {
            if let Err(refusal) = self.check_record(accepted, &design, one, &changed)? {
                return Ok(Err(refusal));
            }
        }
        let author = self.names.get(&case.event.header().chain.device).map_or("", String::as_str);
        let role = accepted.fold().role_at(&case.event, &case.row).map_or("none", role_name);
        Ok(changed.iter().try_for_each(|one| {
            self.check_rules(design.lenses(), one, author, role)?;
            check_design_rules(&design, one)
        }))
    }

    /// The records that it changes in the lists that this authority judges.
    fn records(&self, event: &Event) -> BTreeSet<RecordKey> {
        let records = event.header().ops.iter().filter_map(|op| op.target.record());
        records.filter(|record| self.term.covers(Some(record.list))).collect()
    }

    fn check_author<R: Read, E: Events>(&self, accepted: &Accepted<'_, R, E>, case: &Case) -> Checked {
        if case.look.live {
            return Ok(Ok(()));
        }
        let has_role = accepted.fold().role_at(&case.event, &case.row);
        let (code, message) = match accepted.status(case)? {
            Status::Live => return Ok(Ok(())),
            Status::NotAllowed if has_role.is_none() => {
                (RefusalCode::NOT_A_MEMBER, "its author was no member then".to_owned())
            }
            Status::NotAllowed => {
                let role = has_role.map_or("none", role_name);
                (RefusalCode::ROLE, format!("its author was {role} then, which does not allow it"))
            }
            Status::Cut(_) => (RefusalCode::CUT, "it came after its author's rights had been taken away".to_owned()),
            Status::Refused(_) => (RefusalCode::OTHER_AUTHORITY, "another authority refused it".to_owned()),
        };
        Ok(Err(refuse(code, message)))
    }

    fn check_record<R: Read, E: Events>(
        &self,
        accepted: &mut Accepted<'_, R, E>,
        design: &Design,
        changed: &Changed,
        all: &[Changed],
    ) -> Checked {
        let blamed = |field: Option<FieldId>, code: RefusalCode, message: String| {
            let blame = vec![Blame { record: changed.key, field, rule: String::new() }];
            Ok(Err(Ruling::Refuse { code, message: cut(message, REFUSAL_TEXT_BYTES_MAX), blame }))
        };
        if changed.after.creates.is_empty() {
            return blamed(None, RefusalCode::DEPENDS_ON_REFUSED, "the record that it is about was refused".into());
        }
        if self.policy.list(changed.key.list).stale == Stale::Refuse
            && let Some(cell) = stale_cell(changed)
        {
            let message =
                format!("{} was changed before, and its author had not seen that", field_name(design, cell.field));
            return blamed(Some(cell.field), RefusalCode::STALE, message);
        }
        for (cell, value) in &changed.sets {
            // What was not sent, or is of a later version, cannot be looked at.
            let Some(value) = value else { continue };
            if is_unknown(design, cell) {
                // Whoever owns the design refused the field, or a member made it up.
                let (code, why) = match self.term.bind.scope {
                    Scope::Workspace => {
                        (RefusalCode::DEPENDS_ON_REFUSED, "its field is not part of the server's design")
                    }
                    Scope::Lists(_) => (RefusalCode::TYPE, "it is about a field that the design does not have"),
                };
                return blamed(Some(cell.field), code, why.into());
            }
            if let Some(why) = misfit(design, cell, value) {
                return blamed(Some(cell.field), RefusalCode::TYPE, why);
            }
            if let Some(breach) = self.policy.constraint(cell.field).and_then(|constraint| constraint.breach(value)) {
                let (code, why) = breached(&field_name(design, cell.field), &breach);
                return blamed(Some(cell.field), code, why);
            }
        }
        if !changed.after.exists() {
            if changed.before.exists() && self.is_referred_to(accepted, design, changed.key, all)? {
                return blamed(None, RefusalCode::REF_IN_USE, "other records refer to the one that it removes".into());
            }
            return Ok(Ok(()));
        }
        for Asked { field, is_required, is_unique } in self.policy.asked(changed.key.list).iter().copied() {
            let is_new = !changed.before.exists();
            let is_set = changed.sets.iter().any(|(cell, _)| cell.field == field);
            if !is_new && !is_set {
                continue;
            }
            if is_required && shows_nothing(design, &changed.after, field) {
                let message = format!("{} must have a value", field_name(design, field));
                return blamed(Some(field), RefusalCode::REQUIRED, message);
            }
            if is_unique {
                for value in changed.may_show(field) {
                    if self.is_taken(accepted, design, changed.key, field, &value, all)? {
                        let message = format!("another record has this {} already", field_name(design, field));
                        return blamed(Some(field), RefusalCode::UNIQUE_TAKEN, message);
                    }
                }
            }
        }
        for (cell, value) in &changed.sets {
            let Some(Value::Reference { list, record }) = value else { continue };
            let target = RecordKey { list: *list, record: *record };
            let exists = match all.iter().find(|one| one.key == target) {
                Some(one) => one.after.exists(),
                None => accepted.state(target)?.exists(),
            };
            if !exists {
                let message = format!("the record that {} refers to does not exist", field_name(design, cell.field));
                return blamed(Some(cell.field), RefusalCode::REF_MISSING, message);
            }
        }
        Ok(Ok(()))
    }

    /// Whether another record that was accepted shows this value, or one that the same event changes.
    fn is_taken<R: Read, E: Events>(
        &self,
        accepted: &mut Accepted<'_, R, E>,
        design: &Design,
        own: RecordKey,
        field: FieldId,
        value: &Value,
        all: &[Changed],
    ) -> Result<bool, EngineError> {
        let shows = |state: &RecordState| {
            state.exists() && winner(state, field, &PartPath::default()).is_some_and(|other| other == *value)
        };
        let others = || all.iter().filter(|one| one.key != own);
        let may_show = |one: &Changed| one.after.exists() && one.may_show(field).contains(value);
        if others().any(|one| one.key.list == own.list && may_show(one)) {
            return Ok(true);
        }
        self.is_held_elsewhere(accepted, design, (own.list, field), value, all, &shows)
    }

    /// Whether a record that was accepted, and stays, refers to this one by a field that does not allow its removal.
    fn is_referred_to<R: Read, E: Events>(
        &self,
        accepted: &mut Accepted<'_, R, E>,
        design: &Design,
        own: RecordKey,
        all: &[Changed],
    ) -> Result<bool, EngineError> {
        let target = Value::Reference { list: own.list, record: own.record };
        for (list, field, on_delete) in OnDelete::of_references_to(design, own.list) {
            if on_delete != OnDelete::Restrict || !(self.judges)(list) {
                continue;
            }
            let shows = |state: &RecordState| state.exists() && cells_that_show(state, field, &target).next().is_some();
            // What the event puts in its place may lose to it.
            let may_show =
                |one: &Changed| shows(&one.after) || one.after.exists() && one.may_show(field).contains(&target);
            if all.iter().any(|one| one.key.list == list && one.key != own && may_show(one))
                || self.is_held_elsewhere(accepted, design, (list, field), &target, all, &shows)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a record that was accepted, and that the event does not change, shows a value.
    fn is_held_elsewhere<R: Read, E: Events>(
        &self,
        accepted: &mut Accepted<'_, R, E>,
        design: &Design,
        (list, field): (ListId, FieldId),
        value: &Value,
        all: &[Changed],
        shows: &dyn Fn(&RecordState) -> bool,
    ) -> Result<bool, EngineError> {
        // The live views have what is not decided yet, and lack what that replaced: both are looked at as accepted.
        let mut candidates: BTreeSet<RecordKey> = accepted.altered_showing((list, field), value)?.into_iter().collect();
        let found = holders(accepted.rows(), accepted.fold().prefix(), self.indexes, design, (list, field), value)?;
        candidates.extend(found);
        for record in candidates.into_iter().filter(|record| all.iter().all(|one| one.key != *record)) {
            let mut state = accepted.state(record)?;
            design.lenses().show_state(list, &mut state);
            if shows(&state) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn check_rules(&self, lenses: &Lenses, changed: &Changed, author: &str, role: &str) -> Result<(), Ruling> {
        for (text, rule) in self.policy.rules(changed.key.list) {
            let change = RecordChange {
                record: changed.key.record,
                before: &changed.before,
                after: &changed.after,
                author,
                role,
                names: self.names,
                lenses,
            };
            let is_removed = !changed.after.exists();
            let allows = match rule {
                Ok(rule) if is_removed && !rule.asks_of_deletes() => continue,
                Ok(rule) => rule.allows(&change).map_err(|error: RuleFailed| error.to_string()),
                Err(error) => Err(error.clone()),
            };
            let (code, message) = match allows {
                Ok(true) => continue,
                Ok(false) => (RefusalCode::RULE, text.message.clone()),
                Err(error) => {
                    tracing::error!(rule = text.name, error, "a rule could not be evaluated: the change is refused");
                    (RefusalCode::RULE_FAILED, format!("the server's rule {} could not be evaluated", text.name))
                }
            };
            let blame = Blame { record: changed.key, field: text.field, rule: cut(text.name.clone(), NAME_BYTES_MAX) };
            return Err(Ruling::Refuse { code, message: cut(message, REFUSAL_TEXT_BYTES_MAX), blame: vec![blame] });
        }
        Ok(())
    }
}

/// The design's own validations: the member's node asks the same of what it writes, but under the design that it knows.
fn check_design_rules(design: &Design, changed: &Changed) -> Result<(), Ruling> {
    if !changed.after.exists() {
        return Ok(());
    }
    let rules = design.rules().list(changed.key.list).iter();
    for rule in rules.filter(|rule| rule.definition.severity == Severity::Error) {
        let (code, message) = match rule.judge_state(design, &changed.after) {
            Finding::Holds => continue,
            Finding::Unchecked(_) if rule.is_unread() => continue,
            finding if changed.before.exists() && rule.judge_state(design, &changed.before) == finding => continue,
            Finding::Broken => (RefusalCode::RULE, rule.definition.message.clone()),
            Finding::Unchecked(error) => {
                tracing::error!(rule = rule.name, error, "a rule of the design could not be evaluated: refused");
                (RefusalCode::RULE_FAILED, format!("the rule {} could not be evaluated", rule.name))
            }
        };
        let (record, field) = (changed.key, rule.definition.field());
        let blame = vec![Blame { record, field, rule: cut(rule.name.clone(), NAME_BYTES_MAX) }];
        return Err(Ruling::Refuse { code, message: cut(message, REFUSAL_TEXT_BYTES_MAX), blame });
    }
    Ok(())
}

fn refuse(code: RefusalCode, message: String) -> Ruling {
    Ruling::Refuse { code, message: cut(message, REFUSAL_TEXT_BYTES_MAX), blame: Vec::new() }
}

/// As the design shows it: an event that was written under an older one is judged by what it is now.
fn changed_by<R: Read, E: Events>(
    accepted: &mut Accepted<'_, R, E>,
    design: &Design,
    case: &Case,
    key: RecordKey,
) -> Result<Changed, EngineError> {
    let event = &case.event;
    let (mut before, mut after) = accepted.around(case, key)?;
    let lenses = design.lenses();
    lenses.show_state(key.list, &mut before);
    lenses.show_state(key.list, &mut after);
    let mut sets = Vec::new();
    let mut is_created = false;
    for (index, op) in event.header().ops.iter().enumerate().filter(|(_, op)| op.target.record() == Some(key)) {
        match (&op.act, &op.target) {
            (Act::Set, Target::Cell(cell)) => {
                let value = event.body(index).map(|body| Value::decode(body).expect("bodies were checked"));
                let value = value.map(|value| lenses.value_at(cell.field, &cell.part, &value));
                sets.push((cell.clone(), value));
            }
            (Act::Create, _) => is_created = true,
            _neither => {}
        }
    }
    // What it writes is looked at as if it won: it may come to do so.
    let mut shown = Vec::new();
    for ((field, part), siblings) in &mut after.cells {
        if let Some(at) = siblings.iter().position(|sibling| sibling.stamp.event.id == event.id()) {
            if at > 0 && *part == PartPath::default() {
                shown.extend(siblings[0].value().filter(|value| *value != Value::Null).map(|value| (*field, value)));
            }
            siblings[..=at].rotate_right(1);
        }
    }
    Ok(Changed { key, before, after, sets, shown, is_created })
}

/// A cell that the event sets, and whose accepted value its author had not seen: that stands beside the event's, and is another.
fn stale_cell(changed: &Changed) -> Option<&CellKey> {
    if changed.is_created {
        return None;
    }
    let is_stale = |cell: &CellKey| {
        let path = (cell.field, cell.part.clone());
        let shown = changed.before.cells.get(&path).and_then(|siblings| siblings.first());
        let after = changed.after.cells.get(&path).map_or(&[][..], Vec::as_slice);
        // The event's own value comes first.
        shown.is_some_and(|shown| {
            let stands_still = after.iter().skip(1).any(|sibling| sibling.stamp == shown.stamp);
            stands_still && after[0].content != shown.content
        })
    };
    changed.sets.iter().map(|(cell, _)| cell).find(|cell| is_stale(cell))
}

/// The parts of a field in which a record shows a value.
pub fn cells_that_show<'a>(
    state: &'a RecordState,
    field: FieldId,
    value: &Value,
) -> impl Iterator<Item = &'a PartPath> {
    let value = Content::Value(value.encode());
    let of_field = state.cells.iter().filter(move |((of, _), _)| *of == field);
    of_field
        .filter(move |(_, siblings)| siblings.first().is_some_and(|shown| shown.content == value))
        .map(|(path, _)| &path.1)
}

/// What is said of a value that breaks what the design asks of its field.
fn breached(field: &str, breach: &Breach) -> (RefusalCode, String) {
    match breach {
        Breach::TooSmall => (RefusalCode::RANGE, format!("{field} is below the least value that it may have")),
        Breach::TooLarge => (RefusalCode::RANGE, format!("{field} is above the greatest value that it may have")),
        Breach::Pattern => (RefusalCode::PATTERN, format!("{field} does not have the form that it must have")),
        Breach::BadPattern(error) => {
            tracing::error!(field, error, "the design's pattern cannot be used: the change is refused");
            (RefusalCode::RULE_FAILED, format!("the pattern of {field} cannot be used"))
        }
    }
}

/// Whether a cell is of a field that the design does not have, and never had.
fn is_unknown(design: &Design, cell: &CellKey) -> bool {
    let is_dropped = |id: ElementId| design.elements.get(&id).is_some_and(|element| element.is_dropped());
    let was_there = is_dropped(cell.field.into()) || is_dropped(cell.record.list.into());
    !was_there && (!design.has_list(cell.record.list) || !design.has_field(cell.record.list, cell.field))
}

/// Why a field cannot hold a value.
fn misfit(design: &Design, cell: &CellKey, value: &Value) -> Option<String> {
    if !design.has_list(cell.record.list) || !design.has_field(cell.record.list, cell.field) {
        return None;
    }
    let field_type = design.field_type(cell.field)?;
    if *value == Value::Null || !is_raw(&field_type, &cell.part, value) {
        return None;
    }
    let base = field_type.base().map_or("a type of a newer version", tandem_wire::design::BaseType::name);
    Some(format!("{} holds {base}, and this value is none", field_name(design, cell.field)))
}

fn shows_nothing(design: &Design, state: &RecordState, field: FieldId) -> bool {
    let ty = design.field_type(field);
    let mut of_field = state.cells.iter().filter(|((of, _), _)| *of == field);
    !of_field.any(|((_, part), siblings)| match siblings.first() {
        Some(winner) => winner.value().is_none_or(|value| {
            value != Value::Null && ty.as_ref().is_none_or(|ty| composite::shows(ty, part, &value))
        }),
        None => false,
    })
}

fn field_name(design: &Design, field: FieldId) -> String {
    match design.name(field) {
        name if name.is_empty() => "a field".into(),
        name => name,
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Reader => "reader",
        Role::Writer => "writer",
        Role::Designer => "designer",
        Role::Manager => "manager",
    }
}

/// The start of a text that fits.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

/// As many as fit.
pub(super) fn within_limits(mut blame: Vec<Blame>) -> Vec<Blame> {
    blame.truncate(BLAME_MAX);
    blame
}
