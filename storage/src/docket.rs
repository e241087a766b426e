//! What an authority has still to judge, and the records as far as it has accepted them.
//!
//! An event is on a term's docket when it is valid, concerns the term, and has no verdict of it. Cases are heard in causal
//! order: by lamport, then by id. An event that waits for others comes on the docket when it has become valid.

use crate::{
    engine::{EngineError, Read, Table},
    fold::{
        RecordOp, RecordState, Status,
        incremental::{Archive, EventKey, EventRow, EventState, Events, Fold, Look},
        record::{self, Content, RecordOpKind, Sibling, Stamp},
        terms::Term,
    },
    record_row,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_wire::{
    Act, ChainEnd, ChainId, Event, EventId, FieldId, ListId, Op, OpRef, Outcome, RecordKey, RefusalCode, Target, Value,
};

/// One term's docket: remembers how far it has looked.
#[derive(Debug, Clone)]
pub struct Docket {
    term: OpRef,
    looked: BTreeMap<ChainId, Looked>,
}

/// How far a chain was looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Looked {
    /// The ends of its valid events then.
    ends: BTreeSet<ChainEnd>,
    /// Where it forked then. What is exempt on a branch can change as more of the others comes.
    fork: Option<u64>,
}

/// An event to be judged.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its place in the rows.
    pub key: EventKey,
    /// The event.
    pub event: Arc<Event>,
    /// Its row.
    pub row: EventRow,
    /// What the fold makes of it as long as nobody has judged it.
    pub look: Look,
}

impl Docket {
    /// Of the term that this op made.
    pub fn new(term: OpRef) -> Self {
        Self { term, looked: BTreeMap::new() }
    }

    /// The term's name.
    pub fn term(&self) -> OpRef {
        self.term
    }

    /// What has come on the docket since the last call, in the order in which it is to be heard.
    ///
    /// What this gives is to be judged, durably, before the next call; whoever fails to begins a new docket.
    pub fn take<R: Read, E: Events>(&mut self, fold: &Fold, rows: &R, events: &E) -> Result<Vec<Case>, EngineError> {
        let mut cases = Vec::new();
        let Some(term) = fold.terms().find(&self.term) else { return Ok(cases) };
        for (chain, row) in fold.chains() {
            if chain.device == term.chain().device || row.head.is_none() {
                continue;
            }
            let ends: BTreeSet<ChainEnd> = fold.valid_ends(rows, events, *chain)?.into_iter().collect();
            let now = Looked { ends, fork: row.first_fork };
            if self.looked.get(chain) == Some(&now) {
                continue;
            }
            let mut found = BTreeSet::new();
            let before = self.looked.get(chain).filter(|_| now.fork.is_none());
            for end in &now.ends {
                self.walk_back(fold, rows, events, (term, *chain, *end, before), &mut found, &mut cases)?;
            }
            self.looked.insert(*chain, now);
        }
        cases.sort_unstable_by_key(|case| (case.event.header().lamport, case.event.id()));
        Ok(cases)
    }

    /// Back from the end of a branch to what has been judged, or need not be.
    fn walk_back<R: Read, E: Events>(
        &self,
        fold: &Fold,
        rows: &R,
        events: &E,
        (term, chain, end, before): (&Term, ChainId, ChainEnd, Option<&Looked>),
        found: &mut BTreeSet<EventKey>,
        cases: &mut Vec<Case>,
    ) -> Result<(), EngineError> {
        let exempt_to = term.bind.seen.iter().filter(|mark| mark.0.chain == chain).map(|mark| mark.0.seq).max();
        let mut at = fold.key_at(chain, end);
        while let Some(key) = at {
            let Some(row) = EventRow::get(rows, fold.prefix(), key)? else { break };
            let was_looked_at =
                before.is_some_and(|before| before.ends.contains(&ChainEnd { seq: key.seq, id: row.id }));
            if was_looked_at || found.contains(&key) {
                break;
            }
            let event = events.event(row.at)?;
            if row.is_judged && fold.verdict_of(rows, key, &self.term)?.is_some() {
                if fold.is_on_a_branch(&event) {
                    at = before_in_chain(key, &event);
                    continue;
                }
                break;
            }
            let may_be_exempt = chain.is_control() || exempt_to.is_some_and(|seq| key.seq <= seq);
            if may_be_exempt && fold.is_exempt(rows, events, term, &event)? {
                break;
            }
            found.insert(key);
            at = before_in_chain(key, &event);
            let EventState::Valid { last: Some(look), .. } = row.state else { continue };
            if term.concerns(&event) && !fold.is_never_judged(&event, &row) {
                cases.push(Case { key, event, row, look });
            }
        }
        Ok(())
    }
}

/// The records as far as they have been accepted: without what is on the docket and has not been decided.
pub struct Accepted<'a, R, E> {
    fold: &'a Fold,
    rows: &'a R,
    events: &'a E,
    cases: &'a [Case],
    open: BTreeSet<EventId>,
    /// What was decided in this sitting, which the rows do not know yet: why it was refused, if it was.
    decided: BTreeMap<EventKey, Option<RefusalCode>>,
    refused: BTreeSet<EventId>,
    records: BTreeMap<RecordKey, Vec<RecordOp>>,
    /// Records that cases of this sitting are about.
    touched: BTreeMap<RecordKey, Touched>,
    /// Records that cases of this sitting change, and do not only make: the live views may lack what was accepted of them.
    altered: BTreeSet<RecordKey>,
    /// What these show in the fields that were asked for.
    shown: BTreeMap<(ListId, FieldId), ShownIn>,
    /// The event of each forked chain that stands for the branch that was taken, once it was looked for.
    branches: BTreeMap<ChainId, Option<EventKey>>,
    /// Records that the live views show with something that was refused in this sitting.
    outdated: BTreeSet<RecordKey>,
}

/// A record that cases of a sitting are about.
#[derive(Debug, Default)]
struct Touched {
    /// Which cases, as they are heard.
    cases: Vec<usize>,
    /// How many of them are not decided.
    open: usize,
}

/// Events that were refused in a sitting, and the records that they are about.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    events: BTreeSet<EventId>,
    records: BTreeSet<RecordKey>,
}

/// Of so many answers to one event it is looked whether one is what another would be: more make no sense.
const ANSWERS_MAX: usize = 64;

/// A record before and after an event.
pub type Around = (RecordState, RecordState);

impl<'a, R: Read, E: Events> Accepted<'a, R, E> {
    /// Before the first of these cases is decided.
    pub fn before(fold: &'a Fold, rows: &'a R, events: &'a E, cases: &'a [Case]) -> Self {
        let open = cases.iter().map(|case| case.event.id()).collect();
        let (mut touched, mut altered) = (BTreeMap::<_, Touched>::new(), BTreeSet::new());
        for (index, case) in cases.iter().enumerate() {
            for record in records_of(&case.event) {
                let touched = touched.entry(record).or_default();
                touched.open += 1;
                touched.cases.push(index);
                if touched.open > 1 || !makes_alone(&case.event, record) {
                    altered.insert(record);
                }
            }
        }
        let (decided, records) = (BTreeMap::new(), BTreeMap::new());
        let (refused, outdated) = (BTreeSet::new(), BTreeSet::new());
        let (branches, shown) = (BTreeMap::new(), BTreeMap::new());
        Self { fold, rows, events, cases, open, decided, refused, records, touched, altered, shown, branches, outdated }
    }

    /// The same, behind a sitting of another term that refused these.
    #[must_use]
    pub fn after(mut self, refused: Refusals) -> Self {
        (self.refused, self.outdated) = (refused.events, refused.records);
        self
    }

    /// What was refused so far.
    pub fn into_refusals(self) -> Refusals {
        Refusals { events: self.refused, records: self.outdated }
    }

    /// The fold below.
    pub fn fold(&self) -> &'a Fold {
        self.fold
    }

    /// The rows below.
    pub fn rows(&self) -> &'a R {
        self.rows
    }

    /// Those of the records that cases of this sitting change that show a value somewhere in a field, as far as they have been
    /// accepted: the live views may lack that, and have what is not decided yet.
    pub fn altered_showing(
        &mut self,
        (list, field): (ListId, FieldId),
        value: &Value,
    ) -> Result<Vec<RecordKey>, EngineError> {
        let mut shown = match self.shown.remove(&(list, field)) {
            Some(shown) => shown,
            None => {
                let outdated = self.altered.iter().filter(|record| record.list == list).copied().collect();
                ShownIn { outdated, ..ShownIn::default() }
            }
        };
        for record in std::mem::take(&mut shown.outdated) {
            let mut state = self.state(record)?;
            self.fold.design().lenses().show_state(record.list, &mut state);
            shown.put(record, values_in(&state, field));
        }
        let found = shown.by_value.get(&value.encode()).into_iter().flatten().copied().collect();
        self.shown.insert((list, field), shown);
        Ok(found)
    }

    /// A record as it was accepted.
    pub fn state(&mut self, record: RecordKey) -> Result<RecordState, EngineError> {
        if !self.touched.contains_key(&record) {
            return self.shown(record);
        }
        Ok(record::fold(self.ops(record)?.to_vec()))
    }

    /// A record as it was accepted, and as it would be if this case were, too.
    pub fn around(&mut self, case: &Case, record: RecordKey) -> Result<Around, EngineError> {
        if let Some(around) = self.quick_around(case, record)? {
            return Ok(around);
        }
        let mut ops = self.ops(record)?.to_vec();
        let before = record::fold(ops.clone());
        ops.extend(record::ops_on(&case.event, record, true, false, case.look.by_authority));
        Ok((before, record::fold(ops)))
    }

    /// The record as the live views have it.
    fn shown(&self, record: RecordKey) -> Result<RecordState, EngineError> {
        let row = self.rows.get(Table::Records, &self.fold.prefix().record(record))?;
        Ok(row.map_or_else(RecordState::default, |row| record_row::decode(&row)))
    }

    /// The same without a look into the record's history, for what is mostly done: somebody makes a record, or puts one
    /// value in place of another, nobody else has done something to it since, and all of that takes part.
    ///
    /// The live views then show it as it would be. Before, there was nothing: what makes a record replaces nothing, so
    /// that whatever took part would be shown still. Or there was, in each cell that is set, the value that it names: had
    /// somebody else replaced that as well, another value would be shown beside the event's.
    fn quick_around(&self, case: &Case, record: RecordKey) -> Result<Option<Around>, EngineError> {
        let is_alone =
            self.touched.get(&record).is_some_and(|touched| touched.open == 1) && !self.outdated.contains(&record);
        if !case.look.live || !is_alone {
            return Ok(None);
        }
        let (after, id) = (self.shown(record)?, case.event.id());
        if !after.deletes.is_empty() || after.creates.len() != 1 {
            return Ok(None);
        }
        let ops = || case.event.header().ops.iter().filter(|op| op.target.record() == Some(record));
        if ops().any(|op| op.act == Act::Create) {
            let is_alone = makes_alone(&case.event, record) && after.stamps().all(|stamp| stamp.event.id == id);
            return Ok(is_alone.then(|| (RecordState::default(), after.clone())));
        }
        let mut before = after.clone();
        for op in ops() {
            let (Act::Set, Some(cell), [pred]) = (&op.act, op.target.cell(), &op.preds[..]) else { return Ok(None) };
            let siblings = before.cells.get_mut(&(cell.field, cell.part.clone())).map(Vec::as_mut_slice);
            let Some([sibling]) = siblings.filter(|siblings| siblings[0].stamp.event.id == id) else {
                return Ok(None);
            };
            let replaced = Archive::new(self.fold, self.rows, self.events).event_of(pred)?.expect("a valid reference");
            let content = match replaced.event.body(usize::from(pred.op)) {
                Some(body) if replaced.look.is_some_and(|look| look.live) => Content::Value(body.to_vec()),
                _masked_or_removed => return Ok(None),
            };
            let wall_ms = replaced.event.header().wall_ms;
            let stamp = Stamp { event: replaced.event.reference(), op: pred.op, wall_ms };
            *sibling = Sibling { stamp, rank: 0, time_ms: wall_ms, content, covered: false };
        }
        Ok(Some((before, after)))
    }

    /// Why a valid event takes no part, before it is decided.
    pub fn status(&self, case: &Case) -> Result<Status, EngineError> {
        self.fold.status(self.rows, self.events, &case.event, &case.row)
    }

    /// Whether another branch of the event's chain was taken (rule R10): the first that was heard of, or that the binder had
    /// seen.
    pub fn is_other_branch(&mut self, term: &Term, case: &Case) -> Result<bool, EngineError> {
        let header = case.event.header();
        let Some(fork) = self.fold.first_fork(header.chain).filter(|fork| header.seq >= *fork) else {
            return Ok(false);
        };
        let taken = match self.branches.get(&header.chain) {
            Some(taken) => *taken,
            None => {
                let taken = self.taken_branch(term, header.chain, fork)?;
                self.branches.insert(header.chain, taken);
                taken
            }
        };
        let Some(taken) = taken else { return Ok(false) };
        // One of the two comes before the other, or they are on two branches.
        let (earlier, later) = if taken.seq < case.key.seq { (taken, case.key) } else { (case.key, taken) };
        let mut at = later;
        while at.seq > earlier.seq {
            at = self.fold.event_before(self.rows, self.events, at)?.expect("a place above another has one before it");
        }
        Ok(at != earlier)
    }

    /// The greatest event of a forked chain, from the fork on, that was accepted, or refused for what it says, or exempt.
    fn taken_branch(&self, term: &Term, chain: ChainId, fork: u64) -> Result<Option<EventKey>, EngineError> {
        let mut taken: Option<EventKey> = None;
        for event in self.fold.events_from(self.rows, chain, fork) {
            let (key, row) = event?;
            if !matches!(row.state, EventState::Valid { .. }) || self.open.contains(&row.id) {
                continue;
            }
            let is_taken = match self.verdict(term, key)? {
                Some(code) => code != Some(RefusalCode::EQUIVOCATION),
                None => self.fold.is_exempt(self.rows, self.events, term, &*self.events.event(row.at)?)?,
            };
            if is_taken && taken.is_none_or(|taken| taken.seq < key.seq) {
                taken = Some(key);
            }
        }
        Ok(taken)
    }

    /// What the term decided on an event, if it has: why it refused it, if it did.
    fn verdict(&self, term: &Term, key: EventKey) -> Result<Option<Option<RefusalCode>>, EngineError> {
        if let Some(decided) = self.decided.get(&key) {
            return Ok(Some(*decided));
        }
        Ok(self.fold.verdict_of(self.rows, key, &term.binding)?.map(|outcome| match outcome {
            Outcome::Accept => None,
            Outcome::Refuse(code) => Some(code),
        }))
    }

    /// Whether an event puts in place of a masked one what an accepted event has already.
    pub fn is_resent_already(&self, event: &Event) -> Result<bool, EngineError> {
        let Some(masked) = event.header().resubmits else { return Ok(false) };
        for key in self.fold.answers_to(self.rows, &masked)?.into_iter().take(ANSWERS_MAX) {
            let row = EventRow::get(self.rows, self.fold.prefix(), key)?.expect("an answer has a row");
            let EventState::Valid { last: Some(look), .. } = row.state else { continue };
            let is_open = self.open.contains(&row.id) || self.refused.contains(&row.id);
            if row.id == event.id() || !look.live || is_open {
                continue;
            }
            let other = self.events.event(row.at)?;
            if other.header().resubmits == Some(masked) && does_the_same(&other, event) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A case is decided: refused for a reason, or accepted.
    pub fn decide(&mut self, case: &Case, refused: Option<RefusalCode>) -> Result<(), EngineError> {
        let (id, is_accepted) = (case.event.id(), refused.is_none());
        self.decided.insert(case.key, refused);
        let takes_its_branch = refused != Some(RefusalCode::EQUIVOCATION);
        if let Some(taken) = self.branches.get_mut(&case.event.header().chain).filter(|_| takes_its_branch)
            && taken.is_none_or(|taken| taken.seq < case.key.seq)
        {
            *taken = Some(case.key);
        }
        self.open.remove(&id);
        if !is_accepted {
            self.refused.insert(id);
        }
        for record in records_of(&case.event) {
            self.touched.get_mut(&record).expect("a case of this sitting").open -= 1;
            if !is_accepted {
                self.outdated.insert(record);
            }
            if self.altered.contains(&record) {
                let of_list = self.shown.iter_mut().filter(|((list, _), _)| *list == record.list);
                for (_, shown) in of_list {
                    shown.outdated.insert(record);
                }
            }
            if let Some(ops) = self.records.get_mut(&record) {
                let live = is_accepted && case.look.live;
                ops.extend(record::ops_on(&case.event, record, live, !is_accepted, case.look.by_authority));
            }
        }
        Ok(())
    }

    /// The ops on a record, without those that are not decided.
    fn ops(&mut self, record: RecordKey) -> Result<&[RecordOp], EngineError> {
        if !self.records.contains_key(&record) {
            let begins_here = self.begins_here(record)?;
            let ops = if begins_here { Vec::new() } else { self.ops_in_history(record)? };
            let takes_part = |op: &RecordOp| op.live && op.kind != RecordOpKind::Answer;
            debug_assert!(!begins_here || !self.ops_in_history(record)?.iter().any(takes_part));
            self.records.insert(record, ops);
        }
        Ok(&self.records[&record])
    }

    fn ops_in_history(&self, record: RecordKey) -> Result<Vec<RecordOp>, EngineError> {
        let mut ops = Vec::new();
        for key in self.fold.events_on(self.rows, record)? {
            let row = EventRow::get(self.rows, self.fold.prefix(), key)?.expect("an event on a record has a row");
            let EventState::Valid { last: Some(look), .. } = row.state else { continue };
            if self.open.contains(&row.id) {
                continue;
            }
            let event = self.events.event(row.at)?;
            let is_refused = look.refused || self.refused.contains(&row.id);
            ops.extend(record::ops_on(&event, record, look.live && !is_refused, is_refused, look.by_authority));
        }
        Ok(ops)
    }

    /// Whether cases that are not decided are all that ever took part in a record, seen without a look into its history:
    /// nothing is shown but theirs, they only make it and set cells, and they build on nothing but each other.
    ///
    /// Whatever else took part would be shown, or be replaced, in the end by something that is shown: by one of them. But
    /// all that they reach back to, through what takes no part as well, is theirs. And what takes no part, and is reached
    /// from nowhere, changes nothing.
    fn begins_here(&self, record: RecordKey) -> Result<bool, EngineError> {
        let Some(touched) = self.touched.get(&record) else { return Ok(false) };
        let cases = || touched.cases.iter().map(|index| &self.cases[*index].event);
        if touched.open < touched.cases.len() || self.outdated.contains(&record) {
            return Ok(false);
        }
        let place = |op: &OpRef| (op.chain, op.seq, op.tag);
        let theirs: BTreeSet<_> = cases().map(|event| place(&event.reference().op(0))).collect();
        let is_theirs = |pred: &OpRef| theirs.contains(&place(pred));
        let ops =
            |event: &'a Arc<Event>| event.header().ops.iter().filter(move |op| op.target.record() == Some(record));
        let only_builds = |op: &Op| match (&op.act, &op.target) {
            (Act::Create, _) | (Act::Set, Target::Cell(_)) => op.preds.iter().all(is_theirs),
            _other => false,
        };
        if !cases().flat_map(ops).all(only_builds) {
            return Ok(false);
        }
        let shown = self.shown(record)?;
        Ok(shown.stamps().all(|stamp| self.open.contains(&stamp.event.id)))
    }
}

/// What records show in one field, and which of them are to be looked at again.
#[derive(Default)]
struct ShownIn {
    by_value: BTreeMap<Vec<u8>, BTreeSet<RecordKey>>,
    values: BTreeMap<RecordKey, BTreeSet<Vec<u8>>>,
    outdated: BTreeSet<RecordKey>,
}

impl ShownIn {
    fn put(&mut self, record: RecordKey, values: BTreeSet<Vec<u8>>) {
        for value in self.values.remove(&record).into_iter().flatten() {
            if let Some(records) = self.by_value.get_mut(&value) {
                records.remove(&record);
            }
        }
        for value in &values {
            self.by_value.entry(value.clone()).or_default().insert(record);
        }
        self.values.insert(record, values);
    }
}

/// What a record shows in the parts of a field; nothing where it does not exist.
fn values_in(state: &RecordState, field: FieldId) -> BTreeSet<Vec<u8>> {
    if !state.exists() {
        return BTreeSet::new();
    }
    let winners = state.cells.iter().filter(|((of, _), _)| *of == field).filter_map(|(_, siblings)| siblings.first());
    let values = winners.filter_map(|winner| match &winner.content {
        Content::Value(bytes) => Some(bytes.clone()),
        Content::Removed | Content::NewerVersionNeeded => None,
    });
    values.collect()
}

fn before_in_chain(key: EventKey, event: &Event) -> Option<EventKey> {
    event.header().prev.map(|id| EventKey { seq: key.seq - 1, tag: id.tag(), ..key })
}

/// Whether two events do the same to the same, whatever each of them replaces.
fn does_the_same(one: &Event, other: &Event) -> bool {
    let ops = |event: &Event| -> Vec<_> {
        let ops = event.header().ops.iter().enumerate();
        ops.map(|(index, op)| (op.target.clone(), op.act.kind(), event.body(index).map(<[u8]>::to_vec))).collect()
    };
    ops(one) == ops(other)
}

fn records_of(event: &Event) -> BTreeSet<RecordKey> {
    event.header().ops.iter().filter_map(|op| op.target.record()).collect()
}

/// Whether an event makes a record and builds on nothing there.
fn makes_alone(event: &Event, record: RecordKey) -> bool {
    let ops = || event.header().ops.iter().filter(|op| op.target.record() == Some(record));
    ops().any(|op| op.act == Act::Create) && ops().all(|op| op.preds.is_empty())
}
