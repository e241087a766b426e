//! Live queries: a result, and what changes in it, as a stream or a blocking iterator.
//!
//! ```
//! use tandem_actors::{Change, Command, Node, Options, RowChange, Begin, Transaction, Update, fresh_record};
//! use tandem_storage::Query;
//! use tandem_wire::RecordKey;
//!
//! # let dir = tempfile::tempdir()?;
//! let node = Node::open(dir.path(), Options::default())?;
//! let workspace = node.create_workspace("Field notes", "Ada")?;
//! let list = workspace.commit(Command::CreateList { name: "Notes".into(), fields: vec![] })?.elements[0].as_list();
//!
//! let mut updates = workspace.subscribe(list, Query::default(), Begin::Rows)?.blocking();
//! // First comes what is there …
//! let Update::Reset { rows, .. } = updates.next().unwrap()? else { unreachable!() };
//! assert!(rows.is_empty());
//!
//! let record = RecordKey { list, record: fresh_record() };
//! let changes = vec![Change::Create(record)];
//! workspace.commit(Command::Change(Transaction { changes, ..Transaction::default() }))?;
//! // … then what changes, each time with a cursor to go on from, even after a restart.
//! let Update::Changes { changes, cursor } = updates.next().unwrap()? else { unreachable!() };
//! assert!(matches!(&changes[..], [RowChange::Upsert { record: shown, .. }] if shown.id == record.record));
//! let _later = workspace.subscribe(list, Query::default(), Begin::After(cursor))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Nobody waits for a subscriber: what changed is kept for the slow ones in a bounded list and, beyond that, is read from
//! the log; who is too far behind even for that gets the result anew ([`Update::Reset`]).

use crate::{
    block::{block_on, block_until},
    handle::Handle,
    node::{Disk, NodeError},
};
use futures_core::Stream;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};
pub use tandem_storage::live::{BadCursor, Cursor, Reset, RowChange};
use tandem_storage::{
    EngineError, Query, Reader,
    engine::{Batch, Engine},
    fold::incremental::Prefix,
    live::{Watch, touched_by},
    query::Record,
    store::Views,
};
use tandem_wire::{DesignDigest, ListId, RecordId, RecordKey};

/// Touched records that are kept for subscribers that have not come to them.
const KEPT_RECORDS_MAX: usize = 1 << 16;

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With everything that fits now.
    Rows,
    /// With what changes from now on.
    Now,
    /// Where an earlier one was: with what has changed since, or, where that cannot be told, with everything.
    After(Cursor),
}

/// What a subscription gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Update {
    /// Forget what you have: this is the result, in order.
    Reset {
        /// Why.
        why: Reset,
        /// Everything that fits.
        rows: Vec<Record>,
        /// Where to go on.
        cursor: Cursor,
    },
    /// What changed, from one state of the workspace to a later one. Never empty.
    Changes {
        /// All of it.
        changes: Vec<RowChange>,
        /// Where to go on.
        cursor: Cursor,
    },
}

/// Somebody who follows a query. A [`Stream`], or with [`Subscription::blocking`] an iterator; ends when the node is
/// closed or the workspace is removed.
///
/// The rows are read on the thread that polls: a few reads for each touched record, for a [`Update::Reset`] the query.
pub struct Subscription {
    workspace: Handle,
    number: u64,
    list: ListId,
    query: Query,
    begin_at: Begin,
    following: Option<Following>,
}

/// A subscription that has begun.
struct Following {
    watch: Watch,
    cursor: Cursor,
    generation: u32,
    design: DesignDigest,
}

impl Handle {
    /// Follows a query over one list. What is there now is read when the first update is asked for.
    pub fn subscribe(&self, list: ListId, query: Query, begin: Begin) -> Result<Subscription, NodeError> {
        let reader = self.read();
        if !reader.design().lists().any(|known| known == list) {
            return Err(crate::Refused::UnknownList(list.to_string()).into());
        }
        let number = self.feed().subscribe();
        let mut subscription =
            Subscription { workspace: self.clone(), number, list, query, begin_at: begin, following: None };
        if begin == Begin::Now {
            let now = self.now();
            let watch = Watch::from_now(&now.reader(), list, subscription.query.clone())?;
            subscription.follow(watch, &now);
        }
        Ok(subscription)
    }

    fn now(&self) -> Now {
        let published = self.published();
        Now { snapshot: published.snapshot.clone(), views: published.views.clone(), applied: published.applied }
    }
}

/// The state that the last answers spoke of.
struct Now {
    snapshot: Arc<<Disk as Engine>::Snapshot>,
    views: Views,
    applied: u64,
}

impl Now {
    fn reader(&self) -> Reader<Arc<<Disk as Engine>::Snapshot>> {
        Reader::new(self.snapshot.clone(), self.views.clone())
    }
}

impl Subscription {
    /// Where to go on, after everything that was given so far; none before the first update.
    pub fn cursor(&self) -> Option<Cursor> {
        self.following.as_ref().map(|following| following.cursor)
    }

    /// Waits for the next update; none when there will be no more.
    pub async fn next_update(&mut self) -> Option<Result<Update, NodeError>> {
        poll_fn(|context| self.poll_update(context)).await
    }

    /// As a blocking iterator.
    pub fn blocking(self) -> Updates {
        Updates(self)
    }

    fn poll_update(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Update, NodeError>>> {
        // What comes from here on wakes us, so that nothing comes between looking and waiting.
        let open = self.workspace.feed().wake_later(self.number, context.waker());
        let now = self.workspace.now();
        match self.step(&now) {
            Err(error) => Poll::Ready(Some(Err(error.into()))),
            Ok(Some(update)) => Poll::Ready(Some(Ok(update))),
            Ok(None) if open => Poll::Pending,
            Ok(None) => Poll::Ready(None),
        }
    }

    /// On to this state; nothing where nothing changed in the result.
    fn step(&mut self, now: &Now) -> Result<Option<Update>, EngineError> {
        let Some(following) = &mut self.following else { return self.begin(now) };
        if following.cursor.applied() == now.applied && following.generation == now.views.fold.prefix().generation {
            return Ok(None);
        }
        if following.generation != now.views.fold.prefix().generation {
            return self.begin_anew(now, Reset::Rebuilt).map(Some);
        }
        if following.design != now.views.fold.design_digest() {
            return self.begin_anew(now, Reset::Control).map(Some);
        }
        let feed = self.workspace.feed();
        let is_untouched =
            |list| feed.since(following.cursor.applied(), now.applied, list).is_some_and(|it| it.is_empty());
        if !self.query.related_lists().into_iter().all(is_untouched) {
            return self.begin_anew(now, Reset::Related).map(Some);
        }
        let kept = feed.since(following.cursor.applied(), now.applied, self.list);
        let touched = match kept {
            Some(touched) => touched,
            None => match following.cursor.touched(&now.reader(), now.applied, self.list, &self.query)? {
                Ok(touched) => touched,
                Err(why) => return self.begin_anew(now, why).map(Some),
            },
        };
        let changes = following.watch.advance(&now.reader(), &touched)?;
        following.cursor = Cursor::new(&now.views.fold, now.applied, self.list, &self.query);
        let cursor = following.cursor;
        Ok((!changes.is_empty()).then_some(Update::Changes { changes, cursor }))
    }

    fn begin(&mut self, now: &Now) -> Result<Option<Update>, EngineError> {
        let Begin::After(cursor) = self.begin_at else {
            return self.begin_anew(now, Reset::Start).map(Some);
        };
        let reader = now.reader();
        // What was touched in other lists the log does not tell.
        if cursor.applied() != now.applied && !self.query.related_lists().is_empty() {
            return self.begin_anew(now, Reset::Related).map(Some);
        }
        let touched = match cursor.touched(&reader, now.applied, self.list, &self.query)? {
            Ok(touched) => touched,
            Err(why) => return self.begin_anew(now, why).map(Some),
        };
        let mut watch = Watch::from_now(&reader, self.list, self.query.clone())?;
        let changes = watch.advance(&reader, &touched)?;
        let cursor = self.follow(watch, now);
        Ok((!changes.is_empty()).then_some(Update::Changes { changes, cursor }))
    }

    fn begin_anew(&mut self, now: &Now, why: Reset) -> Result<Update, EngineError> {
        let (watch, rows) = Watch::start(&now.reader(), self.list, self.query.clone())?;
        let cursor = self.follow(watch, now);
        Ok(Update::Reset { why, rows, cursor })
    }

    fn follow(&mut self, watch: Watch, now: &Now) -> Cursor {
        let cursor = Cursor::new(&now.views.fold, now.applied, self.list, &self.query);
        let (generation, design) = (now.views.fold.prefix().generation, now.views.fold.design_digest());
        self.following = Some(Following { watch, cursor, generation, design });
        cursor
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.workspace.feed().unsubscribe(self.number);
    }
}

impl Stream for Subscription {
    type Item = Result<Update, NodeError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_update(context)
    }
}

/// The updates of a subscription, one after the other; waits on the calling thread.
pub struct Updates(Subscription);

impl Updates {
    /// Waits no longer than this; nothing where nothing came, or nothing will.
    pub fn next_within(&mut self, longest: Duration) -> Option<Result<Update, NodeError>> {
        block_until(self.0.next_update(), longest).flatten()
    }

    /// See [`Subscription::cursor`].
    pub fn cursor(&self) -> Option<Cursor> {
        self.0.cursor()
    }
}

impl Iterator for Updates {
    type Item = Result<Update, NodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next_update())
    }
}

/// What was touched lately, and who is to be told.
#[derive(Default)]
pub(crate) struct Feed(Mutex<State>);

#[derive(Default)]
struct State {
    /// By the number of the run behind each group.
    groups: VecDeque<(u64, Vec<RecordKey>)>,
    /// Groups behind this run are all there.
    from: u64,
    records: usize,
    subscribers: BTreeMap<u64, Option<Waker>>,
    next_subscriber: u64,
    closed: bool,
}

impl Feed {
    /// A group is in the views now that ends before run `applied`. Cheap where nobody listens.
    pub(crate) fn push(&self, applied: u64, views: &Batch, live: Prefix) {
        let mut state = self.state();
        if state.subscribers.is_empty() {
            return state.begin_at(applied);
        }
        let touched = touched_by(views, live);
        state.records += touched.len();
        state.groups.push_back((applied, touched));
        while state.records > KEPT_RECORDS_MAX
            && let Some((behind, dropped)) = state.groups.pop_front()
        {
            state.records -= dropped.len();
            state.from = behind;
        }
    }

    /// Everything was made anew, up to this run.
    pub(crate) fn begin_at(&self, applied: u64) {
        self.state().begin_at(applied);
    }

    /// Wakes all who wait.
    pub(crate) fn wake(&self) {
        let wakers: Vec<Waker> = self.state().subscribers.values_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Nothing will come any more.
    fn close(&self) {
        self.state().closed = true;
        self.wake();
    }

    fn subscribe(&self) -> u64 {
        let mut state = self.state();
        state.next_subscriber += 1;
        let number = state.next_subscriber;
        state.subscribers.insert(number, None);
        number
    }

    fn unsubscribe(&self, number: u64) {
        self.state().subscribers.remove(&number);
    }

    /// Whether anything can still come.
    fn wake_later(&self, number: u64, waker: &Waker) -> bool {
        let mut state = self.state();
        state.subscribers.insert(number, Some(waker.clone()));
        !state.closed
    }

    /// The records of a list that were touched from one run to another, if all of that is still there.
    fn since(&self, from: u64, to: u64, list: ListId) -> Option<BTreeSet<RecordId>> {
        let state = self.state();
        if from < state.from {
            return None;
        }
        let groups = state.groups.iter().filter(|(behind, _)| *behind > from && *behind <= to);
        let records = groups.flat_map(|(_, records)| records).filter(|record| record.list == list);
        Some(records.map(|record| record.record).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds the feed")
    }
}

impl State {
    fn begin_at(&mut self, applied: u64) {
        self.groups.clear();
        (self.records, self.from) = (0, applied);
    }
}

/// The writer's end of a feed: closed when the writer is gone.
pub(crate) struct Publisher(pub(crate) Arc<Feed>);

impl Drop for Publisher {
    fn drop(&mut self) {
        self.0.close();
    }
}
