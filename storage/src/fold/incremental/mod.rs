//! The incremental fold: the view kept up to date event by event, in whatever order they arrive.
//!
//! Proof obligation: after every event the rows give what [`super::naive`] gives for the same set.
//!
//! What depends on the whole control plane (owners, terms, members, design) is small: it is kept in memory and
//! resolved anew by the rules' own functions whenever the control plane changes. What depends on the data is in
//! rows, and an event touches only its own records, unless a change of the control plane changed the standing of
//! older events; then those are looked at again, and only their records are folded again.
//!
//! An instance belongs to the rows that it was loaded from: after an error, or when the overlay is thrown away, load
//! it again.

mod archive;
mod control;
mod ends;
mod fresh;
mod frontier;
mod judging;
mod read;
mod records;
mod refused;
mod rows;
mod step;
#[cfg(test)]
mod stories;
mod together;
mod verdicts;

pub use archive::{Archive, Entry};
pub use fresh::{Fresh, makes_a_record};
pub use frontier::Tip;
pub use read::Events;
pub use refused::{RefusedBy, RefusedEvent, RefusedPlace, RefusedValue};
pub use rows::{ChainRow, EventKey, EventRow, EventState, LogPlace, Look, Prefix};
pub use step::Steps;
pub use together::Together;

use self::{
    ends::AllEnds,
    frontier::Frontier,
    read::Lookup,
    rows::{Kind, ROWS, decode, encode, with},
    step::Tail,
};
use super::{
    ControlEvent, ControlView, Design, Members, Past, RecordState, Status, Stops, Terms, Validity, View,
    counts_as_past, is_authority_written,
    members::find_invite,
    validity::{self, Place},
};
use crate::{
    engine::{EngineError, Overlay, Read, Slice, Table, prefix_end},
    record_row,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_wire::{
    Act, BindingMode, ChainEnd, ChainId, DesignDigest, DeviceKey, Event, EventId, EventRef, Invite, ListId, OpRef,
    RecordId, RecordKey, Role,
};

/// The part of the view that is kept in memory.
#[derive(Debug, Clone)]
pub struct Fold {
    prefix: Prefix,
    chains: BTreeMap<ChainId, ChainRow>,
    ends: AllEnds,
    pasts: Vec<Past>,
    past_numbers: BTreeMap<Past, u32>,
    control: Vec<ControlEvent>,
    /// Devices that a control event makes a member, an owner or an authority, whether that has effect or not.
    named: Arc<BTreeSet<DeviceKey>>,
    /// Whether any control event binds a mirror, with effect or without.
    has_mirrors: bool,
    terms: Arc<Terms>,
    stops: Stops,
    members: Arc<Members>,
    design: Arc<Design>,
    design_digest: DesignDigest,
    frontier: Frontier,
    /// At least as many as rows say that an event waits or a verdict's subject has not come: while there are none,
    /// nobody needs to look.
    waiting: u64,
}

/// What became of an event that was given to the fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It was there already.
    Known,
    /// It waits for others.
    Held,
    /// It is invalid, for ever.
    Invalid,
    /// It takes part, or is masked.
    Valid,
}

/// What a fold works on: its own rows and the events of the log.
pub(super) struct Work<'a, 'b, R: Read, E> {
    rows: &'a mut Overlay<'b, R>,
    events: &'a E,
}

impl Fold {
    /// The state of the rows under `prefix`; of none, the empty view.
    pub fn load<R: Read>(prefix: Prefix, rows: &R, events: &impl Events) -> Result<Self, EngineError> {
        let mut fold = Self {
            prefix,
            chains: BTreeMap::new(),
            ends: AllEnds::new(),
            pasts: Vec::new(),
            past_numbers: BTreeMap::new(),
            control: Vec::new(),
            named: Arc::default(),
            has_mirrors: false,
            terms: Arc::default(),
            stops: Stops::new(),
            members: Arc::default(),
            design: Arc::default(),
            design_digest: Design::default().digest(),
            frontier: Frontier::load(prefix, rows)?,
            waiting: 0,
        };
        fold.load_chains(rows)?;
        fold.load_ends(rows)?;
        for kind in [Kind::Awaited, Kind::Unmet] {
            fold.waiting += range(rows, prefix.kind(kind)).map(|pair| pair.map(|_| 1)).sum::<Result<u64, _>>()?;
        }
        for pair in range(rows, prefix.kind(Kind::Past)) {
            let ids: BTreeSet<EventId> = decode(&pair?.1);
            fold.intern(Arc::new(ids));
        }
        let mut control = Vec::new();
        for pair in range(rows, prefix.kind(Kind::Control)) {
            let key: EventKey = decode(&pair?.1);
            let lookup = Lookup { fold: &fold, rows, events };
            let row = lookup.row(key)?.expect("a control event has a row");
            let EventState::Valid { past, .. } = row.state else { unreachable!("only valid ones are control") };
            control.push(ControlEvent { event: events.event(row.at)?, past: fold.past(past) });
        }
        fold.named = Arc::new(control.iter().flat_map(|c| named_by(&c.event)).collect());
        fold.has_mirrors = control.iter().any(|c| binds_a_mirror(&c.event));
        fold.control = control;
        fold.resolve(&Lookup { fold: &fold.clone(), rows, events })?;
        Ok(fold)
    }

    fn load_chains<R: Read>(&mut self, rows: &R) -> Result<(), EngineError> {
        for pair in range(rows, self.prefix.kind(Kind::Chain)) {
            let (key, value) = pair?;
            let (device, number) = key[9..].split_first_chunk().expect("keys are our own");
            let number = u32::from_be_bytes(number.try_into().expect("keys are our own"));
            self.chains.insert(ChainId { device: DeviceKey(*device), number }, decode(&value));
        }
        Ok(())
    }

    /// Takes one event, whose bytes are at `at` in the log, into the view.
    pub fn apply<R: Read, E: Events>(
        &mut self,
        rows: &mut Overlay<'_, R>,
        events: &E,
        at: LogPlace,
        event: &Arc<Event>,
    ) -> Result<Applied, EngineError> {
        let mut work = Work { rows, events };
        let key = self.key_for(&mut work, event);
        if work.rows.get(ROWS, &self.prefix.event(key))?.is_some() {
            return Ok(Applied::Known);
        }
        let before = self.chains[&event.header().chain];
        let (id, lamport) = (event.id(), event.header().lamport);
        let row = EventRow { id, lamport, at, state: EventState::Held, is_judged: false };
        let applied = self.settle(&mut work, key, row, event)?;
        self.extend_ends(&mut work, event, before);
        let mut queue = self.woken_by(&mut work, Place::from(&event.reference()), applied)?;
        while let Some((key, event)) = queue.pop() {
            let row = work.lookup(self).row(key)?.expect("a held event has a row");
            if row.state != EventState::Held {
                // Woken twice, by two of the events that it waited for.
                continue;
            }
            let state = self.settle(&mut work, key, row, &event)?;
            self.settle_ends(&mut work, event.header().chain);
            queue.extend(self.woken_by(&mut work, Place::from(&event.reference()), state)?);
        }
        Ok(applied)
    }

    /// Stage 0 for one event, and the rest if it is valid. Writes its row.
    fn settle<R: Read, E: Events>(
        &mut self,
        work: &mut Work<'_, '_, R, E>,
        key: EventKey,
        row: EventRow,
        event: &Arc<Event>,
    ) -> Result<Applied, EngineError> {
        match validity::judge(event, &work.lookup(self))? {
            Validity::Held(places) => {
                work.rows.put(ROWS, self.prefix.event(key), row.encode());
                self.waiting += places.len() as u64;
                for place in places {
                    let waits = with(self.prefix.place(Kind::Awaited, place), &[&key.bytes()]);
                    work.rows.put(ROWS, waits, []);
                }
                Ok(Applied::Held)
            }
            Validity::Invalid(_) => {
                self.forget_waiting(work, key, event);
                work.rows.put(ROWS, self.prefix.event(key), EventRow { state: EventState::Invalid, ..row }.encode());
                Ok(Applied::Invalid)
            }
            Validity::Valid => {
                self.forget_waiting(work, key, event);
                self.admit(work, key, row, event)?;
                Ok(Applied::Valid)
            }
        }
    }

    fn forget_waiting<R: Read, E: Events>(&self, work: &mut Work<'_, '_, R, E>, key: EventKey, event: &Event) {
        if self.waiting == 0 {
            return;
        }
        for place in validity::references(event) {
            work.rows.delete(ROWS, with(self.prefix.place(Kind::Awaited, place), &[&key.bytes()]));
        }
    }

    /// The held events that waited for this place, which has come to `state`: those that now wait for nothing, or need
    /// not wait any longer. An event with many references is judged once, not once for each of them.
    fn woken_by<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        place: Place,
        state: Applied,
    ) -> Result<Vec<(EventKey, Arc<Event>)>, EngineError> {
        let mut woken = Vec::new();
        if self.waiting == 0 || state == Applied::Held {
            return Ok(woken);
        }
        for waits in work.lookup(self).keys_after(self.prefix.place(Kind::Awaited, place))? {
            let key = EventKey::at_end_of(&waits);
            work.rows.delete(ROWS, waits);
            let event = work.lookup(self).event(key)?;
            if state == Applied::Invalid || !self.waits_still(work, key, &event)? {
                woken.push((key, event));
            }
        }
        Ok(woken)
    }

    fn waits_still<R: Read, E: Events>(
        &self,
        work: &Work<'_, '_, R, E>,
        key: EventKey,
        event: &Event,
    ) -> Result<bool, EngineError> {
        for place in validity::references(event) {
            if work.rows.get(ROWS, &with(self.prefix.place(Kind::Awaited, place), &[&key.bytes()]))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stages 1 to 5 for an event that has become valid.
    fn admit<R: Read, E: Events>(
        &mut self,
        work: &mut Work<'_, '_, R, E>,
        key: EventKey,
        row: EventRow,
        event: &Arc<Event>,
    ) -> Result<(), EngineError> {
        let past = self.past_of(work, event)?;
        let past_number = self.number_of(work, past.clone());
        let row = EventRow { state: EventState::Valid { past: past_number, last: None }, ..row };
        work.rows.put(ROWS, self.prefix.event(key), row.encode());
        let mut control_changed = self.extend_chain(work, key, event)?;
        self.frontier.extend(self.prefix, work.rows, event);
        let mut again = BTreeSet::new();
        if counts_as_past(event) {
            self.add_control(work, key, event, &past);
            control_changed = true;
        }
        control_changed |= self.take_verdicts(work, key, event, past_number, &mut again)?;
        if control_changed {
            self.control_changed(work, &[event], &mut again)?;
        }
        // A verdict that waited for it has come first.
        let row = if again.remove(&key) { work.lookup(self).row(key)?.expect("just written") } else { row };
        self.look_at(work, key, row, event, &past)?;
        for key in again {
            self.look_again(work, key)?;
        }
        Ok(())
    }

    fn add_control<R: Read, E: Events>(
        &mut self,
        work: &mut Work<'_, '_, R, E>,
        key: EventKey,
        event: &Arc<Event>,
        past: &Past,
    ) {
        let number = self.control.len() as u32;
        work.put(&self.prefix.number(Kind::Control, number), &key);
        self.control.push(ControlEvent { event: event.clone(), past: past.clone() });
        Arc::make_mut(&mut self.named).extend(named_by(event));
        self.has_mirrors |= binds_a_mirror(event);
    }

    /// What the event had seen of the control plane: all that its direct past had, and that itself.
    fn past_of<R: Read, E: Events>(&self, work: &Work<'_, '_, R, E>, event: &Event) -> Result<Past, EngineError> {
        let header = event.header();
        let prev = header.prev.map(|id| EventRef { chain: header.chain, seq: header.seq - 1, id });
        let mut past: Option<Past> = None;
        for before in prev.iter().chain(&header.deps) {
            let lookup = work.lookup(self);
            let key = lookup.key_of(before.chain, before.seq, before.id.tag()).expect("a valid event's past is known");
            let row = lookup.row(key)?.expect("a valid event's past is known");
            let EventState::Valid { past: number, .. } = row.state else { unreachable!("a valid event's past is") };
            let seen = self.past(number);
            let counts = before.chain.is_control() && counts_as_past(&*work.events.event(row.at)?);
            if past.is_none() && !counts {
                past = Some(seen);
            } else if past.as_ref().is_none_or(|past| *past != seen) || counts {
                let mut union = past.map_or_else(BTreeSet::new, |past| (*past).clone());
                union.extend(seen.iter().copied());
                union.extend(counts.then_some(before.id));
                past = Some(Arc::new(union));
            }
        }
        Ok(past.unwrap_or_default())
    }

    /// The key of an event; its chain gets a number with its first event.
    fn key_for<R: Read, E: Events>(&mut self, work: &mut Work<'_, '_, R, E>, event: &Event) -> EventKey {
        let header = event.header();
        let count = self.chains.len() as u32;
        let prefix = self.prefix;
        let chain = self.chains.entry(header.chain).or_insert_with(|| {
            let row = ChainRow { number: count, head: None, first_fork: None };
            work.put(&prefix.chain(header.chain), &row);
            row
        });
        EventKey { chain: chain.number, seq: header.seq, tag: event.id().tag() }
    }

    /// Moves the chain's head, and says whether the control plane is concerned: by a fork of a control chain, or
    /// because the event tells which branch somebody meant.
    fn extend_chain<R: Read, E: Events>(
        &mut self,
        work: &mut Work<'_, '_, R, E>,
        key: EventKey,
        event: &Event,
    ) -> Result<bool, EngineError> {
        let header = event.header();
        // Chains have no gaps: whatever is not above the head has another one beside it.
        let forked_here = self.chains[&header.chain].head.is_some_and(|(seq, _)| header.seq <= seq);
        let chain = self.chains.get_mut(&header.chain).expect("numbered");
        let is_head = chain.head.is_none_or(|(seq, id)| header.seq > seq || (header.seq == seq && event.id() < id));
        if is_head {
            chain.head = Some((header.seq, event.id()));
        }
        if forked_here {
            chain.first_fork = Some(chain.first_fork.map_or(key.seq, |first| first.min(key.seq)));
            let place: &[&[u8]] = &[&header.chain.device.0, &header.chain.number.to_be_bytes(), &key.seq.to_be_bytes()];
            work.rows.put(ROWS, with(self.prefix.kind(Kind::Fork), place), []);
        }
        let row = *chain;
        work.put(&self.prefix.chain(header.chain), &row);
        Ok((forked_here && header.chain.is_control()) || self.names_a_branch(event))
    }

    /// Rule R4 anew for an event that was looked at before, and its records if something changed.
    fn look_again<R: Read, E: Events>(&self, work: &mut Work<'_, '_, R, E>, key: EventKey) -> Result<(), EngineError> {
        let row = work.lookup(self).row(key)?.expect("a known event has a row");
        let EventState::Valid { past, last: Some(_) } = row.state else { return Ok(()) };
        let event = work.events.event(row.at)?;
        self.look_at(work, key, row, &event, &self.past(past))
    }

    /// Rule R4 for an event; its records are folded with the result.
    fn look_at<R: Read, E: Events>(
        &self,
        work: &mut Work<'_, '_, R, E>,
        key: EventKey,
        row: EventRow,
        event: &Arc<Event>,
        past: &Past,
    ) -> Result<(), EngineError> {
        let EventState::Valid { past: number, last } = row.state else {
            unreachable!("only valid events are looked at")
        };
        let status = work.lookup(self).status_of(event, past)?;
        let look = Look::of(&status, is_authority_written(event, past, &self.terms));
        match &status {
            Status::Live => {
                if last.is_some_and(|last| !last.live) {
                    work.rows.delete(ROWS, self.prefix.masked(event.id()));
                }
            }
            masked => work.put(&self.prefix.masked(event.id()), masked),
        }
        self.note_refusals(work, (key, row.lamport), event, past, (last, look))?;
        if last == Some(look) {
            return Ok(());
        }
        let state = EventState::Valid { past: number, last: Some(look) };
        work.rows.put(ROWS, self.prefix.event(key), EventRow { state, ..row }.encode());
        match last {
            None => self.absorb(work, key, event, look),
            Some(_) => self.refold(work, event),
        }
    }

    fn past(&self, number: u32) -> Past {
        self.pasts[number as usize].clone()
    }

    fn number_of<R: Read, E: Events>(&mut self, work: &mut Work<'_, '_, R, E>, past: Past) -> u32 {
        if let Some(number) = self.past_numbers.get(&past) {
            return *number;
        }
        let number = self.pasts.len() as u32;
        work.put(&self.prefix.number(Kind::Past, number), &*past);
        self.intern(past);
        number
    }

    fn intern(&mut self, past: Past) {
        self.past_numbers.insert(past.clone(), self.pasts.len() as u32);
        self.pasts.push(past);
    }

    /// Where its rows are.
    pub fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// The current design.
    pub fn design(&self) -> &Arc<Design> {
        &self.design
    }

    /// Its name.
    pub fn design_digest(&self) -> DesignDigest {
        self.design_digest
    }

    /// Who may do what.
    pub fn members(&self) -> &Arc<Members> {
        &self.members
    }

    /// Owners and bindings.
    pub fn terms(&self) -> &Arc<Terms> {
        &self.terms
    }

    /// The role of `device` after everything that is known; owners are managers.
    pub fn role_of(&self, device: DeviceKey) -> Option<Role> {
        self.members.role_now(device)
    }

    /// The last event of a chain, with its lamport.
    pub fn head<R: Read>(&self, chain: ChainId, rows: &R, events: &impl Events) -> Result<Option<Tip>, EngineError> {
        let Some((seq, id)) = self.chains.get(&chain).and_then(|row| row.head) else { return Ok(None) };
        if let Some(tip) = self.frontier.find(id) {
            return Ok(Some(*tip));
        }
        let lookup = Lookup { fold: self, rows, events };
        let key = lookup.key_of(chain, seq, id.tag()).expect("a head is known");
        let lamport = lookup.row(key)?.expect("a head has a row").lamport;
        Ok(Some(Tip { event: EventRef { chain, seq, id }, lamport }))
    }

    /// What a new event has to name as its past.
    pub fn frontier(&self, control: bool) -> impl Iterator<Item = &Tip> {
        self.frontier.tips(control)
    }

    /// Whether nobody has anything but this event's past and itself.
    pub fn ends_with(&self, event: EventId) -> bool {
        self.frontier.is_only(event)
    }

    /// Whether a control event makes this device a member, an owner or an authority, with effect or without. Once it is
    /// so, it stays so.
    pub fn names(&self, device: DeviceKey) -> bool {
        self.named.contains(&device)
    }

    /// The valid control events, without those that only hold verdicts, in the order in which they came to be valid.
    pub fn control(&self) -> impl ExactSizeIterator<Item = &ControlEvent> {
        self.control.iter()
    }

    /// The invitation that this op made, by whomever.
    pub fn invite(&self, op: &OpRef) -> Option<&Invite> {
        find_invite(&self.control, op)
    }

    /// Whether a valid event takes no part: refused, by somebody who may not, or beyond a cut.
    pub fn is_masked<R: Read>(&self, rows: &R, event: EventId) -> Result<bool, EngineError> {
        Ok(rows.get(ROWS, &self.prefix.masked(event))?.is_some())
    }

    /// Whether an event waits for others.
    pub fn has_held(&self) -> bool {
        self.waiting > 0
    }

    /// The greatest valid event of a chain.
    pub fn head_of(&self, chain: ChainId) -> Option<ChainEnd> {
        self.chains.get(&chain)?.head.map(|(seq, id)| ChainEnd { seq, id })
    }

    /// The chains that have events, with their heads.
    pub fn chains(&self) -> impl Iterator<Item = (&ChainId, &ChainRow)> {
        self.chains.iter()
    }

    /// The control plane as the rows have it.
    pub fn control_view<R: Read>(&self, rows: &R) -> Result<ControlView, EngineError> {
        let mut fates = self.refusals_in(rows)?;
        for pair in range(rows, self.prefix.kind(Kind::Masked)) {
            let (key, value) = pair?;
            fates.masked.insert(EventId(*key.last_chunk().expect("keys are our own")), decode(&value));
        }
        for pair in range(rows, self.prefix.kind(Kind::Awaited)) {
            let key = EventKey::at_end_of(&pair?.0);
            let row = rows.get(ROWS, &self.prefix.event(key))?.expect("a held event has a row");
            fates.held.insert(EventRow::decode(&row).id);
        }
        let mut forks = BTreeSet::new();
        for pair in range(rows, self.prefix.kind(Kind::Fork)) {
            let key = pair?.0;
            let (device, rest) = key[9..].split_first_chunk().expect("keys are our own");
            let (number, seq) = rest.split_first_chunk().expect("keys are our own");
            let chain = ChainId { device: DeviceKey(*device), number: u32::from_be_bytes(*number) };
            forks.insert((chain, u64::from_be_bytes(seq.try_into().expect("keys are our own"))));
        }
        Ok(ControlView::of(&self.terms, &self.members, (*self.design).clone(), fates, forks))
    }

    /// The whole view, for tests and small workspaces.
    pub fn view<R: Read>(&self, rows: &R) -> Result<View, EngineError> {
        let control = self.control_view(rows)?;
        let records = records_in(rows, self.prefix).collect::<Result<_, _>>()?;
        Ok(View { control, records })
    }
}

/// The devices that a control event brings in.
fn named_by(event: &Event) -> impl Iterator<Item = DeviceKey> + '_ {
    event.header().ops.iter().filter_map(|op| match &op.act {
        Act::Genesis(_) => Some(event.header().chain.device),
        Act::Admit(admit) => Some(admit.device),
        Act::HandOver(device) => Some(**device),
        Act::Bind(bind) => Some(bind.authority.device),
        _names_nobody => None,
    })
}

fn binds_a_mirror(event: &Event) -> bool {
    let mut acts = event.header().ops.iter().map(|op| &op.act);
    acts.any(|act| matches!(act, Act::Bind(bind) if bind.mode == BindingMode::Mirror))
}

/// Every record of a view, in the order of their keys, empty states left out.
pub fn records_in<R: Read>(
    rows: &R,
    prefix: Prefix,
) -> impl Iterator<Item = Result<(RecordKey, RecordState), EngineError>> + '_ {
    let records = record_rows(rows, prefix.bytes().to_vec());
    records.map(|pair| pair.map(|(key, row)| (key, record_row::decode(&row))))
}

/// The rows of one list's records (see [`record_row`]), in the order of their ids.
pub fn rows_of_list<R: Read>(
    rows: &R,
    prefix: Prefix,
    list: ListId,
) -> impl Iterator<Item = Result<(RecordKey, Slice), EngineError>> + '_ {
    record_rows(rows, with(prefix.bytes().to_vec(), &[&list.0]))
}

fn record_rows<R: Read>(rows: &R, from: Vec<u8>) -> impl Iterator<Item = Result<(RecordKey, Slice), EngineError>> + '_ {
    let pairs = rows.range(Table::Records, &from, prefix_end(&from).as_deref());
    pairs.map(|pair| {
        let (key, value) = pair?;
        let (list, record) = key[8..].split_first_chunk().expect("keys are our own");
        let record = RecordId(record.try_into().expect("keys are our own"));
        Ok((RecordKey { list: ListId(*list), record }, value))
    })
}

fn range<R: Read>(rows: &R, from: Vec<u8>) -> impl Iterator<Item = Result<(Slice, Slice), EngineError>> + '_ {
    let to = prefix_end(&from);
    rows.range(ROWS, &from, to.as_deref())
}

impl<'b, R: Read, E: Events> Work<'_, 'b, R, E> {
    fn lookup<'c>(&'c self, fold: &'c Fold) -> Lookup<'c, Overlay<'b, R>, E> {
        Lookup { fold, rows: self.rows, events: self.events }
    }

    fn put_event(&mut self, prefix: Prefix, key: EventKey, row: EventRow) {
        self.rows.put(ROWS, prefix.event(key), row.encode());
    }

    fn put<T: serde::Serialize>(&mut self, key: &[u8], row: &T) {
        self.rows.put(ROWS, key, encode(row));
    }
}

#[cfg(test)]
mod tests;
