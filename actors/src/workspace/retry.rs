//! What was refused is sent again by itself when what refused it changes: if its author asked for that, or if it was refused
//! only because its field was, and that has been taken into the design after all ([`Command::AdoptStep`]).
//!
//! A member sees a change of roles, of the design and of who judges in the workspace's own events. Rules of an authority are
//! nobody else's: it says that they changed, and which, by an event that changes nothing else ([`Core::announce`]). A wish
//! is this node's alone; it is kept beside the tables' settings, goes over to what is put in the event's place, once for each
//! change, and is gone when that is accepted, or somebody answers the refusal.

use super::{Core, Group, core::Open};
use crate::{
    authority::{Policy, shelf},
    command::{Command, Refused, Resend},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tandem_storage::{
    EngineError,
    engine::{Batch, Engine, Read, Table},
    fold::{
        design::{Element, defined_by},
        incremental::{EventRow, EventState, Events, Fold, RefusedBy, RefusedEvent},
    },
    log::LogReader,
};
use tandem_wire::{
    Act, ChainId, DesignDigest, DeviceKey, ElementId, Event, EventRef, Op, OpRef, Outcome, RefusalCode, RefusalText,
    Role, RuleName, RulesText, Target,
};

/// Wishes that a node keeps in one workspace.
const WISHES_MAX: usize = 1000;

/// A refused event that is to be sent again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wish {
    event: EventRef,
    /// What held when it was asked for, or looked at last.
    since: Circumstances,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Circumstances {
    role: Option<Role>,
    /// The whole design's digest, and that of each field at fault.
    design: DesignDigest,
    at_fault: BTreeMap<ElementId, [u8; 32]>,
    /// Of each present term, the place behind the end of its authority's chain.
    terms: BTreeMap<OpRef, u64>,
}

/// The wishes of this node; read from the tables when they are asked for first.
#[derive(Debug, Default)]
pub(super) struct Standing {
    wishes: Option<Vec<Wish>>,
    /// What held when they were looked at last.
    looked: Option<Circumstances>,
    /// The design in which it was looked for fields that were taken in after all.
    revived: Option<DesignDigest>,
}

impl<E: Engine> Core<E> {
    /// Sends a refused event again by itself once what refused it changes. Gives what is to be committed, durably; then comes
    /// [`Core::retry`], since that may have changed already.
    pub fn retry_when_changed(&mut self, event: &EventRef) -> Result<Result<Batch, Refused>, EngineError> {
        let snapshot = self.store().engine().snapshot();
        let fold = self.store().fold().clone();
        let Some(refused) = fold.refused_event(&snapshot, event)? else {
            return Ok(Err(Refused::NotRefused(event.id)));
        };
        let mut wishes = self.wishes()?;
        wishes.retain(|wish| wish.event != *event);
        if wishes.len() == WISHES_MAX {
            return Ok(Err(Refused::TooManyRetries(WISHES_MAX)));
        }
        wishes.push(Wish { event: *event, since: Circumstances::of(&fold, self.device(), Some(&refused)) });
        let mut batch = Batch::default();
        batch.put(Table::Meta, shelf::wishes_key(self.store().workspace()), row(&wishes));
        (self.standing.wishes, self.standing.looked) = (Some(wishes), None);
        Ok(Ok(batch))
    }

    /// Whether anything waits for a change, and something changed since it was looked at; once [`Core::retried`] has read it.
    pub fn waits_for_changes(&self) -> bool {
        self.standing.revived != Some(self.store().fold().design_digest()) || self.has_due_wishes()
    }

    fn has_due_wishes(&self) -> bool {
        let waits = self.standing.wishes.as_ref().is_some_and(|wishes| !wishes.is_empty());
        waits && self.standing.looked.as_ref() != Some(&Circumstances::of(self.store().fold(), self.device(), None))
    }

    /// The events that are sent again by themselves.
    pub fn retried(&mut self) -> Result<Vec<EventRef>, EngineError> {
        Ok(self.wishes()?.iter().map(|wish| wish.event).collect())
    }

    /// Sends again what waits for a change that has come, and goes on waiting for what is put in its place. Gives a group
    /// without answers, as [`Core::sit`] does, or nothing.
    pub fn retry(&mut self, now_ms: u64) -> Result<Option<Group>, EngineError> {
        if !self.waits_for_changes() {
            return Ok(None);
        }
        let wishes = self.wishes()?;
        let fold = self.store().fold().clone();
        let snapshot = self.store().engine().snapshot();
        let news = self.news(&fold, &snapshot, &wishes)?;
        let (mut due, mut kept, mut dropped) = (Vec::new(), Vec::new(), false);
        for wish in wishes {
            match fold.refused_event(&snapshot, &wish.event)? {
                Some(refused) => {
                    let by = refusing(&fold, &snapshot, &wish.event)?;
                    match wish.is_due(&fold, self.device(), (&refused, &by), &news) {
                        true => due.push(wish),
                        false => kept.push(wish.looked_at(&fold, self.device(), &refused)),
                    }
                }
                None if self.is_settled(&fold, &snapshot, &wish.event)? => dropped = true,
                // It waits for a verdict.
                None => kept.push(wish),
            }
        }
        let revived: Vec<EventRef> = match self.standing.revived == Some(fold.design_digest()) {
            true => Vec::new(),
            false => self.revived(&fold, &snapshot)?,
        };
        let revived = revived.into_iter().filter(|event| due.iter().chain(&kept).all(|wish| wish.event != *event));
        let revived: Vec<EventRef> = revived.collect();
        self.standing.looked = Some(Circumstances::of(&fold, self.device(), None));
        self.standing.revived = Some(fold.design_digest());
        if due.is_empty() && !dropped && revived.is_empty() {
            self.standing.wishes = Some(kept);
            return Ok(None);
        }
        let resend = |event| Command::Resend(Resend { event, values: Vec::new(), with_dependants: true, actor: None });
        let commands = due.iter().map(|wish| wish.event).chain(revived.iter().copied()).map(resend);
        let mut open = self.extend(self.open(), now_ms, &commands.collect::<Vec<_>>())?;
        let mut answers = open.take_answers();
        for (event, answer) in revived.into_iter().zip(answers.split_off(due.len())) {
            match answer {
                Ok(_) => tracing::info!(event = %event.id, "its field is part of the design by now: it is sent again"),
                Err(refused) => tracing::info!(event = %event.id, %refused, "it is not sent again"),
            }
        }
        for (wish, answer) in due.into_iter().zip(answers) {
            let refused = fold.refused_event(&snapshot, &wish.event)?;
            let since = Circumstances::of(&fold, self.device(), refused.as_ref());
            match answer {
                Ok(committed) => {
                    tracing::info!(event = %wish.event.id, "what refused it has changed: it is sent again");
                    let event = open.reference(&committed.events[0]).expect("just composed");
                    kept.push(Wish { event, since });
                }
                // Somebody has put all of it right, or nobody can.
                Err(refused @ (Refused::NothingLeft(_) | Refused::ValuesMissing(_) | Refused::NotRefused(_))) => {
                    tracing::info!(event = %wish.event.id, %refused, "it is not sent again");
                }
                Err(refused) => {
                    tracing::warn!(event = %wish.event.id, %refused, "it cannot be sent again now");
                    kept.push(Wish { since, ..wish });
                }
            }
        }
        open.remember(shelf::wishes_key(self.store().workspace()), row(&kept));
        self.standing.wishes = Some(kept);
        Ok(Some(self.close(open)))
    }

    /// Events of this device that were refused only because a field was that is part of the design by now.
    fn revived<R: Read>(&self, fold: &Fold, rows: &R) -> Result<Vec<EventRef>, EngineError> {
        let mut adopted = BTreeSet::new();
        for control in fold.control() {
            let mut fields: Vec<ElementId> = defined_by(&control.event).collect();
            fields.retain(|field| fold.design().elements.get(field).is_some_and(|element| !element.is_dropped()));
            if !fields.is_empty() && is_refused(fold, rows, &control.event.reference())? {
                adopted.extend(fields);
            }
        }
        if adopted.is_empty() {
            return Ok(Vec::new());
        }
        let is_of_adopted = |text: &RefusalText| {
            text.blame.iter().filter_map(|blame| blame.field).any(|field| adopted.contains(&field.into()))
        };
        let mut revived = Vec::new();
        for refused in fold.refused(rows, None) {
            let (_, refused) = refused?;
            let for_want = |by: &RefusedBy| {
                by.code == RefusalCode::DEPENDS_ON_REFUSED && by.text.as_ref().is_some_and(is_of_adopted)
            };
            if refused.event.chain.device == self.device() && refused.verdicts.iter().all(for_want) {
                revived.push(refused.event);
            }
        }
        // The oldest first: the list begins with the newest.
        revived.reverse();
        Ok(revived)
    }

    /// Whether nothing will come of an event any more that is not listed as refused: somebody answered it, or every term that
    /// it concerns has accepted it.
    fn is_settled<R: Read>(&self, fold: &Fold, rows: &R, event: &EventRef) -> Result<bool, EngineError> {
        if !fold.answers_to(rows, event)?.is_empty() {
            return Ok(true);
        }
        let Some(key) = fold.key_at(event.chain, (*event).into()) else { return Ok(false) };
        let row = EventRow::get(rows, fold.prefix(), key)?.expect("an event that has a key has a row");
        let event = LogReader::new(rows, self.store().workspace()).event(row.at)?;
        let mut is_accepted = false;
        for term in fold.present_terms().filter(|term| term.concerns(&event)) {
            if fold.verdict_of(rows, key, &term.binding)? != Some(Outcome::Accept) {
                return Ok(false);
            }
            is_accepted = true;
        }
        Ok(is_accepted)
    }

    /// Says which rules are other ones than it said last, where this node judges. Gives a group as [`Core::sit`] does, or
    /// nothing.
    pub fn announce(&mut self, now_ms: u64) -> Result<Option<Group>, EngineError> {
        let number = self.store().workspace();
        let said: Option<Policy> = shelf::announced(&**self.store().engine(), number)?;
        let policy = self.policy().clone();
        if said.as_ref() == Some(&policy) || (said.is_none() && policy == Policy::default()) {
            return Ok(None);
        }
        let changed = said.and_then(|said| policy.changed_rules(&said)).filter(|_| self.judges());
        let mut open: Open = self.open();
        if let Some(rules) = changed {
            let body = postcard::to_allocvec(&RulesText { rules }).expect("a vector takes all bytes");
            let op = |term| Op { target: Target::Workspace, preds: vec![], act: Act::RulesChanged(Box::new(term)) };
            let events = self.own_terms().into_iter().map(|term| vec![(op(term), body.clone())]).collect();
            open = self.compose_control(open, now_ms, events)?;
        }
        open.remember(shelf::announced_key(number), row(&policy));
        Ok(Some(self.close(open)))
    }

    fn wishes(&mut self) -> Result<Vec<Wish>, EngineError> {
        if self.standing.wishes.is_none() {
            let row = self.store().engine().get(Table::Meta, &shelf::wishes_key(self.store().workspace()))?;
            let wishes = row.map(|row| postcard::from_bytes(&row).expect("rows are our own")).unwrap_or_default();
            self.standing.wishes = Some(wishes);
        }
        Ok(self.standing.wishes.clone().unwrap_or_default())
    }

    /// What authorities said of their rules since these wishes: by term the place, and the rules.
    fn news<R: Read>(&self, fold: &Fold, rows: &R, wishes: &[Wish]) -> Result<News, EngineError> {
        let log = LogReader::new(rows, self.store().workspace());
        let mut news = News::new();
        for term in fold.present_terms() {
            let since = wishes.iter().filter_map(|wish| wish.since.terms.get(&term.binding)).min();
            let end = behind(fold, term.chain());
            let Some(from) = since.copied().filter(|from| *from < end) else { continue };
            for event in fold.events_from(rows, term.chain(), from) {
                let (key, row) = event?;
                let event = log.event(row.at)?;
                let said = changes_of(&event, &term.binding).map(|text| (key.seq, text));
                news.entry(term.binding).or_default().extend(said);
            }
        }
        Ok(news)
    }
}

/// By term: the place, and what was said there.
type News = BTreeMap<OpRef, Vec<(u64, RulesText)>>;

impl Wish {
    /// What the design is and what authorities have said until now was looked at.
    fn looked_at(mut self, fold: &Fold, device: DeviceKey, refused: &RefusedEvent) -> Self {
        let now = Circumstances::of(fold, device, Some(refused));
        (self.since.design, self.since.at_fault) = (now.design, now.at_fault);
        for term in fold.present_terms() {
            if let Some(since) = self.since.terms.get_mut(&term.binding) {
                *since = behind(fold, term.chain());
            }
        }
        self
    }

    /// `by` are the present terms that refused it.
    fn is_due(
        &self,
        fold: &Fold,
        device: DeviceKey,
        (refused, by): (&RefusedEvent, &BTreeSet<OpRef>),
        news: &News,
    ) -> bool {
        let now = Circumstances::of(fold, device, Some(refused));
        let list = refused.record.map(|record| record.list);
        if by.is_empty() && fold.present_terms().any(|term| term.covers(list)) {
            // Who refused it judges no more, and somebody else does.
            return true;
        }
        let is_for = |codes: &[RefusalCode]| refused.verdicts.iter().any(|by| codes.contains(&by.code));
        let has_other_role = self.since.role != now.role && is_for(&BY_ROLE);
        if has_other_role || self.since.has_other_design(&now) && is_for(&BY_DESIGN) {
            return true;
        }
        let rules = rules_of(refused);
        let concerns = |text: &RulesText| text.rules.is_empty() || text.rules.iter().any(|rule| rules.contains(rule));
        let mut by_term = self.since.terms.iter().map(|(term, since)| {
            // What was said before the verdict was known to it.
            let verdicts = refused.verdicts.iter().filter(|one| by.contains(term) && term_of(fold, one) == Some(*term));
            let from = verdicts.map(|by| by.verdict.seq + 1).max().unwrap_or(*since).max(*since);
            news.get(term).into_iter().flatten().any(|(seq, text)| *seq >= from && concerns(text))
        });
        is_for(&BY_RULES) && by_term.any(|is_changed| is_changed)
    }
}

fn is_refused<R: Read>(fold: &Fold, rows: &R, event: &EventRef) -> Result<bool, EngineError> {
    let Some(key) = fold.key_at(event.chain, (*event).into()) else { return Ok(false) };
    let row = EventRow::get(rows, fold.prefix(), key)?;
    Ok(row.is_some_and(|row| matches!(row.state, EventState::Valid { last: Some(look), .. } if look.refused)))
}

/// The present terms that refused an event.
fn refusing<R: Read>(fold: &Fold, rows: &R, event: &EventRef) -> Result<BTreeSet<OpRef>, EngineError> {
    let Some(key) = fold.key_at(event.chain, (*event).into()) else { return Ok(BTreeSet::new()) };
    let mut by = BTreeSet::new();
    for term in fold.present_terms() {
        if let Some(Outcome::Refuse(_)) = fold.verdict_of(rows, key, &term.binding)? {
            by.insert(term.binding);
        }
    }
    Ok(by)
}

/// The present term whose authority gave a verdict, in this one or one before.
fn term_of(fold: &Fold, by: &RefusedBy) -> Option<OpRef> {
    fold.present_terms().find(|term| term.chain() == by.verdict.chain).map(|term| term.binding)
}

/// The rules that an event was refused by.
fn rules_of(refused: &RefusedEvent) -> BTreeSet<RuleName> {
    let blame = refused.verdicts.iter().filter_map(|by| by.text.as_ref()).flat_map(|text| &text.blame);
    let named = blame.filter(|blame| !blame.rule.is_empty());
    named.map(|blame| RuleName { list: blame.record.list, name: blame.rule.clone() }).collect()
}

/// Another role may lift these,
const BY_ROLE: [RefusalCode; 3] = [RefusalCode::ROLE, RefusalCode::NOT_A_MEMBER, RefusalCode::CUT];

/// another design these,
const BY_DESIGN: [RefusalCode; 9] = [
    RefusalCode::TYPE,
    RefusalCode::REQUIRED,
    RefusalCode::RANGE,
    RefusalCode::PATTERN,
    RefusalCode::UNIQUE_TAKEN,
    RefusalCode::REF_MISSING,
    RefusalCode::REF_IN_USE,
    RefusalCode::RULE_FAILED,
    RefusalCode::DESIGN_OWNED,
];

/// and other rules or settings of the server these.
const BY_RULES: [RefusalCode; 4] =
    [RefusalCode::RULE, RefusalCode::RULE_FAILED, RefusalCode::STALE, RefusalCode::OVER_QUOTA];

impl Circumstances {
    fn of(fold: &Fold, device: DeviceKey, refused: Option<&RefusedEvent>) -> Self {
        let mut terms: BTreeMap<OpRef, u64> =
            fold.present_terms().map(|term| (term.binding, behind(fold, term.chain()))).collect();
        // Rules may have changed between the verdict and the wish.
        for by in refused.iter().flat_map(|refused| &refused.verdicts) {
            if let Some(since) = term_of(fold, by).and_then(|term| terms.get_mut(&term)) {
                *since = (*since).min(by.verdict.seq + 1);
            }
        }
        let blame = refused.iter().flat_map(|refused| &refused.verdicts).filter_map(|by| by.text.as_ref());
        let fields = blame.flat_map(|text| &text.blame).filter_map(|blame| blame.field);
        let elements: BTreeMap<ElementId, Option<&Element>> =
            fields.map(|field| (field.into(), fold.design().elements.get(&field.into()))).collect();
        let at_fault = elements.into_iter().map(|(field, element)| (field, digest(&element))).collect();
        Self { role: fold.role_of(device), design: fold.design_digest(), at_fault, terms }
    }

    /// Whether the fields at fault are other ones than they were. What is sent again may be refused for others than what it
    /// is put in the place of: of these nothing is known but the whole.
    fn has_other_design(&self, now: &Self) -> bool {
        match !now.at_fault.is_empty() && self.at_fault.keys().eq(now.at_fault.keys()) {
            true => self.at_fault != now.at_fault,
            false => self.design != now.design,
        }
    }
}

/// The place behind a chain's end.
fn behind(fold: &Fold, chain: ChainId) -> u64 {
    fold.head_of(chain).map_or(0, |head| head.seq + 1)
}

/// What an event says of the rules of a term.
fn changes_of(event: &Event, term: &OpRef) -> Option<RulesText> {
    let ops = event.header().ops.iter().enumerate();
    let of_term = ops.filter(|(_, op)| matches!(&op.act, Act::RulesChanged(of) if **of == *term));
    // Which ones may be missing: then it may be any.
    let texts = of_term.map(|(index, _)| event.body(index).and_then(|body| postcard::from_bytes(body).ok()));
    texts.map(Option::unwrap_or_default).next()
}

fn digest(element: &Option<&Element>) -> [u8; 32] {
    *blake3::hash(&row(element)).as_bytes()
}

fn row<T: Serialize + ?Sized>(of: &T) -> Vec<u8> {
    postcard::to_allocvec(of).expect("a vector takes all bytes")
}
