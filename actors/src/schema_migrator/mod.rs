//! The actor that rehearses designs: it looks through a new design at a clone of the live views, beside the workspace
//! actor, which goes on meanwhile.
//!
//! One rehearsal is one actor, on a thread of its own where the node has threads; others help it to look at rows, and all
//! of them give way to who edits. The steps are those of [`tandem_storage::rehearsal`]: *compare* the designs, *clone* (a
//! snapshot), *load* the present design and *incorporate* the new one in it, *validate* on every row, then bring the
//! result up to the present and hand it to the workspace, which *merges* the design, or tells everybody why not and
//! *waits* for the next one. Nothing that is live is touched before that.

use crate::{command::Refused, outside::Outside, runtime::Runtime, workspace::Progress};
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Recipient};
use std::{
    collections::BTreeSet,
    iter,
    panic::resume_unwind,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    thread::{self, available_parallelism},
};
use tandem_storage::{
    EngineError,
    engine::{Batch, Durability, Engine, Key, Read},
    rehearsal::{Looked, Part, Rehearsal, Reported},
};
use tandem_wire::OpRef;
use tokio::sync::oneshot;

/// Rows that a thread looks at at a time, and parts of lists that are looked at in one step, for each thread.
const ROWS_AT_A_TIME: usize = 65_536;
const PARTS_PER_STEP: usize = 4;

/// Threads that look at rows, where there are so many cores: beside them the members' work goes on.
const THREADS_MAX: usize = 4;

/// Records that may have changed meanwhile for the workspace to bring the rest up itself: that takes it no longer than a
/// small group.
const LAST_RECORDS_MAX: usize = 64;

/// Times that changes are caught up with; after that the workspace does the rest, however much it is.
const ROUNDS_MAX: u32 = 20;

/// What a rehearsal is for.
pub(crate) enum Purpose {
    /// A proposal of a server: what comes of it is told to everybody.
    Proposal(OpRef),
    /// Somebody wants to know.
    Trial(oneshot::Sender<Result<Reported, Refused>>),
}

/// Asks the workspace what changed since the clone was made, or since it was last asked.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Meanwhile;

/// A rehearsal is done but for the last changes.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Rehearsed<E: Engine> {
    pub(crate) rehearsal: Rehearsal,
    /// The state that it has been brought up to.
    pub(crate) clone: Arc<E::Snapshot>,
}

/// The rehearsal cannot go on: the engine failed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Failed(pub(crate) EngineError);

/// The records that changed, and the state that they have now; nothing: too much did, the rehearsal is given up.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Changed<E: Engine>(pub(crate) Option<(BTreeSet<Key>, Arc<E::Snapshot>)>);

/// Nothing is merged: what was written for it is to be cleared.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Discard(pub(crate) Rehearsal);

/// That is done.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Cleared;

/// The next step is due.
#[derive(Message)]
#[rtype(result = "()")]
struct Step;

/// What it tells the workspace by.
pub(crate) struct Tells<E: Engine> {
    pub(crate) meanwhile: Recipient<Meanwhile>,
    pub(crate) rehearsed: Recipient<Rehearsed<E>>,
    pub(crate) failed: Recipient<Failed>,
    pub(crate) cleared: Recipient<Cleared>,
}

/// The actor.
pub(crate) struct SchemaMigrator<E: Engine> {
    engine: Arc<E>,
    work: Option<(Rehearsal, Arc<E::Snapshot>)>,
    stage: Stage,
    rounds: u32,
    threads: usize,
    progress: Progress,
    tells: Tells<E>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Clearing,
    Scanning,
    Ingesting,
    CatchingUp,
}

/// A rehearsal under way, as the workspace holds it.
pub(crate) struct UnderWay<E: Engine> {
    /// Until it has come to something; then what is left of it is being cleared.
    pub(crate) purpose: Option<Purpose>,
    pub(crate) migrator: Addr<SchemaMigrator<E>>,
    runtime: Runtime,
    pub(crate) began_ms: u64,
}

impl<E: Engine> UnderWay<E> {
    pub(crate) fn start(
        (engine, purpose): (Arc<E>, Purpose),
        work: (Rehearsal, Arc<E::Snapshot>),
        progress: Progress,
        tells: Tells<E>,
        outside: Outside,
    ) -> Self {
        let runtime = Runtime::start("tandem-migrator", outside.is_here());
        runtime.give_way();
        let threads = if outside.is_here() { 1 } else { available_parallelism().map_or(1, usize::from) };
        let (work, threads) = (Some(work), threads.min(THREADS_MAX));
        let actor = SchemaMigrator { engine, work, stage: Stage::Clearing, rounds: 0, threads, progress, tells };
        let migrator = runtime.call(move || actor.start());
        let purpose = Some(purpose);
        Self { purpose, migrator, runtime, began_ms: outside.now_ms() }
    }

    /// Ends the actor, and gives what the rehearsal was for, if it has not come to anything.
    pub(crate) fn end(self) -> Option<Purpose> {
        self.runtime.stop();
        self.purpose
    }
}

/// What is seen in some parts, by so many threads, this one among them.
fn look_through<R: Read + Sync>(
    rehearsal: &Rehearsal,
    clone: &R,
    parts: Vec<Part>,
    threads: usize,
) -> Result<Vec<Looked>, EngineError> {
    let parts = Mutex::new(parts);
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let look = || -> Result<Vec<Looked>, EngineError> {
        iter::from_fn(next).map(|part| rehearsal.look_through(clone, part, ROWS_AT_A_TIME)).collect()
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(look)).collect();
        let mut looked = look()?;
        for other in others {
            looked.append(&mut other.join().unwrap_or_else(|why| resume_unwind(why))?);
        }
        Ok(looked)
    })
}

#[expect(clippy::disallowed_methods, reason = "one message is under way at a time: they do not pile up")]
impl<E: Engine> SchemaMigrator<E> {
    fn step(&mut self, ctx: &mut Context<Self>) -> Result<(), EngineError> {
        let Some((rehearsal, clone)) = &mut self.work else { return Ok(()) };
        match self.stage {
            Stage::Clearing => {
                rehearsal.clear(&*self.engine)?;
                self.stage = Stage::Scanning;
            }
            Stage::Scanning => {
                let parts = iter::from_fn(|| rehearsal.take_part()).take(PARTS_PER_STEP * self.threads).collect();
                for looked in look_through(rehearsal, &**clone, parts, self.threads)? {
                    rehearsal.add(looked);
                }
                if !rehearsal.has_more_rows() {
                    self.stage = Stage::Ingesting;
                }
                self.progress.store(rehearsal.report().records, Relaxed);
            }
            Stage::Ingesting => {
                rehearsal.ingest(&*self.engine)?;
                self.stage = Stage::CatchingUp;
                self.tells.meanwhile.do_send(Meanwhile);
                return Ok(());
            }
            Stage::CatchingUp => return Ok(()),
        }
        ctx.notify(Step);
        Ok(())
    }

    fn catch_up(&mut self, changed: &BTreeSet<Key>, now: Arc<E::Snapshot>) -> Result<(), EngineError> {
        let Some((mut rehearsal, clone)) = self.work.take() else { return Ok(()) };
        let mut batch = Batch::default();
        rehearsal.bring_up((&*clone, &*now), changed, &mut batch)?;
        if !batch.is_empty() {
            self.engine.commit(batch, Durability::Buffered)?;
        }
        self.rounds += 1;
        if changed.len() <= LAST_RECORDS_MAX || self.rounds >= ROUNDS_MAX {
            self.tells.rehearsed.do_send(Rehearsed { rehearsal, clone: now });
        } else {
            self.work = Some((rehearsal, now));
            self.tells.meanwhile.do_send(Meanwhile);
        }
        Ok(())
    }

    fn discard(&mut self, rehearsal: &Rehearsal) -> Result<(), EngineError> {
        rehearsal.clear(&*self.engine)?;
        self.tells.cleared.do_send(Cleared);
        Ok(())
    }

    fn unless_failed(&mut self, done: Result<(), EngineError>, ctx: &mut Context<Self>) {
        if let Err(error) = done {
            self.tells.failed.do_send(Failed(error));
            ctx.stop();
        }
    }
}

impl<E: Engine> Actor for SchemaMigrator<E> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.notify(Step);
    }
}

impl<E: Engine> Handler<Step> for SchemaMigrator<E> {
    type Result = ();

    fn handle(&mut self, _: Step, ctx: &mut Context<Self>) {
        let done = self.step(ctx);
        self.unless_failed(done, ctx);
    }
}

impl<E: Engine> Handler<Changed<E>> for SchemaMigrator<E> {
    type Result = ();

    fn handle(&mut self, Changed(changed): Changed<E>, ctx: &mut Context<Self>) {
        let done = match changed {
            Some((changed, now)) => self.catch_up(&changed, now),
            None => {
                ctx.stop();
                Ok(())
            }
        };
        self.unless_failed(done, ctx);
    }
}

impl<E: Engine> Handler<Discard> for SchemaMigrator<E> {
    type Result = ();

    fn handle(&mut self, Discard(rehearsal): Discard, ctx: &mut Context<Self>) {
        let done = self.discard(&rehearsal);
        self.unless_failed(done, ctx);
    }
}
