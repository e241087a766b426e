//! The actix shell of the workspace actor.

use super::{Core, Group, Insert, Inserted, insert::Planned};
use crate::{
    command::{Command, Committed, Refused},
    keeper::Keeper,
    live::{Feed, Publisher},
};
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use std::{
    collections::VecDeque,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
};
use tandem_storage::{
    EngineError, Load,
    engine::{Batch, Durability, Engine},
    store::{Verified, Views},
};
use tandem_wire::{Event, EventRef};
use tokio::sync::oneshot;

/// Does what commands ask, in groups.
pub struct Workspace<E: Engine> {
    core: Core<E>,
    keeper: Arc<Keeper>,
    left: bool,
    waiting: VecDeque<(Vec<Command>, Answer<Answers>)>,
    group_commands_max: usize,
    published: Arc<RwLock<Published<E>>>,
    feed: Publisher,
}

/// The state that readers see: the last one whose answers were released.
pub struct Published<E: Engine> {
    /// The rows.
    pub snapshot: Arc<E::Snapshot>,
    /// What they mean.
    pub views: Views,
    /// How much of the log they reflect: the number of the next run.
    pub applied: u64,
}

/// Runs that are composed and not yet signed.
const RUNS_UNDER_WAY: usize = 8;

type Answers = Vec<Result<Committed, Refused>>;
type Answer<T> = oneshot::Sender<T>;
/// Answers who blocks, on whatever thread.
type Reply<T> = mpsc::SyncSender<T>;

/// How many events a long piece of work has come to.
pub type Progress = Arc<AtomicU64>;

/// A message to the actor.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Perform {
    /// Do these, each on its own, and answer when they are durable and shown.
    Commands(Vec<Command>, Answer<Answers>),
    /// Make these records, and answer when they are durable and shown.
    Insert(Box<Insert>, Answer<Result<Inserted, Refused>>),
    /// Check log and views.
    Verify(Progress, Reply<Result<Verified, EngineError>>),
    /// Make the views anew.
    Rebuild(Progress, Reply<Result<(), EngineError>>),
    /// From now on, this copy is for reading only.
    Leave(Reply<()>),
    /// Write nothing any more, and stop.
    Stop(Reply<()>),
}

/// Everything that waits is to be done.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl<E: Engine> Workspace<E> {
    /// Around a core; `left` for a copy that is for reading only. Groups end at `group_commands_max` commands.
    pub fn new(core: Core<E>, keeper: Arc<Keeper>, left: bool, group_commands_max: usize) -> Self {
        let feed = Publisher(Arc::default());
        feed.0.begin_at(core.store().next_arrival());
        let published = Arc::new(RwLock::new(publish(&core)));
        Self { core, keeper, left, waiting: VecDeque::new(), group_commands_max, published, feed }
    }

    /// Where subscribers find what was touched.
    pub(crate) fn feed(&self) -> Arc<Feed> {
        self.feed.0.clone()
    }

    /// Where readers find the state.
    pub fn published(&self) -> Arc<RwLock<Published<E>>> {
        self.published.clone()
    }

    /// One group: as many of the waiting commands as fit.
    fn flush(&mut self) {
        let mut group: Vec<(Vec<Command>, Answer<Answers>)> = Vec::new();
        let mut commands = 0;
        while let Some((next, _)) = self.waiting.front() {
            if commands > 0 && commands + next.len() > self.group_commands_max {
                break;
            }
            commands += next.len();
            group.extend(self.waiting.pop_front());
        }
        let all: Vec<Command> = group.iter().flat_map(|(commands, _)| commands.iter().cloned()).collect();
        let mut answers = match self.left {
            true => all.iter().map(|_| Err(Refused::Left)).collect(),
            false => self.commit(&all),
        };
        for (commands, answer) in group {
            let rest = answers.split_off(commands.len());
            // Who asked may have gone; what was done stays done.
            let _ = answer.send(std::mem::replace(&mut answers, rest));
        }
    }

    fn commit(&mut self, commands: &[Command]) -> Answers {
        if let Err(full) = self.keeper.room() {
            return commands.iter().map(|_| Err(full.clone())).collect();
        }
        self.try_commit(commands).unwrap_or_else(|error| self.fail(&error))
    }

    fn unless_fatal<T>(&self, done: Result<T, EngineError>) -> Result<T, EngineError> {
        match done {
            Err(error) if error.is_fatal() => stop(&error),
            done => done.inspect_err(|error| self.keeper.note_damage(error)),
        }
    }

    /// Decide → append → durable → apply; the caller releases the answers.
    fn try_commit(&mut self, commands: &[Command]) -> Result<Answers, EngineError> {
        let mut group: Group = self.core.decide(now_ms(), commands)?;
        let engine = self.core.store().engine().clone();
        if group.log.is_empty() {
            return Ok(group.answers);
        }
        let runs = self.keeper.stage(self.core.workspace(), &group.log, std::mem::take(&mut group.tips));
        engine.commit(std::mem::take(&mut group.log), Durability::Synced)?;
        self.keeper.keep(runs);
        let (views, answers) = self.core.settle(group)?;
        self.feed.0.push(self.core.store().next_arrival(), &views, self.core.store().fold().prefix());
        engine.commit(views, Durability::Buffered)?;
        self.core.upkeep()?;
        *self.published.write().expect("readers do not panic") = publish(&self.core);
        self.feed.0.wake();
        Ok(answers)
    }
}

impl<E: Engine> Workspace<E> {
    fn insert(&mut self, insert: Insert) -> Result<Inserted, Refused> {
        if self.left {
            return Err(Refused::Left);
        }
        self.keeper.room()?;
        self.try_insert(insert).unwrap_or_else(|error| self.fail(&error))
    }

    fn try_insert(&mut self, mut insert: Insert) -> Result<Result<Inserted, Refused>, EngineError> {
        let plan = match self.core.plan_insert(&mut insert)? {
            Ok(plan) => plan,
            Err(refused) => return Ok(Err(refused)),
        };
        let (few, many, mut left) = match plan {
            Planned::Few { commands, left } => (commands, vec![], left),
            Planned::Many { first, places, left } => (vec![*first], places, left),
        };
        let (places, commands): (Vec<usize>, Vec<Command>) = few.into_iter().unzip();
        let answers = self.try_commit(&commands)?;
        let refused = places.into_iter().zip(&answers).filter(|(_, answer)| answer.is_err()).map(|(place, _)| place);
        let mut made = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
        left.extend(refused);
        if !many.is_empty() {
            match self.compose(&insert)? {
                Some((load, tip, too_large)) => {
                    made += (many.len() - too_large.len()) as u64;
                    left.extend(too_large.into_iter().map(|index| many[index]));
                    let last = self.core.store().next_arrival() + load.runs() - 1;
                    self.core.load(load)?;
                    let tips = self.keeper.stage(self.core.workspace(), &Batch::default(), vec![(last, tip)]);
                    self.keeper.keep(tips);
                    self.feed.0.begin_at(self.core.store().next_arrival());
                    *self.published.write().expect("readers do not panic") = publish(&self.core);
                    self.feed.0.wake();
                }
                None => left.extend(many),
            }
        }
        left.sort_unstable();
        Ok(Ok(Inserted { made, left }))
    }

    /// Composes the events of an insert here, and signs and folds them on another thread meanwhile.
    fn compose(&self, insert: &Insert) -> Result<Option<(Load, EventRef, Vec<usize>)>, EngineError> {
        let snapshot = self.core.store().engine().snapshot();
        let mut sealer = self.core.sealer(&snapshot)?;
        thread::scope(|scope| {
            let (runs, composed) = mpsc::sync_channel::<Vec<Event>>(RUNS_UNDER_WAY);
            let sealed = scope.spawn(move || -> Result<Option<Load>, EngineError> {
                for run in composed {
                    if !sealer.take(run)? {
                        return Ok(None);
                    }
                }
                Ok(Some(sealer.finish()))
            });
            let composed = self.core.compose(insert, now_ms(), &mut |run| runs.send(run).is_ok());
            drop(runs);
            let load = sealed.join().expect("a panic there is an abort")?;
            Ok(load.zip(composed?).map(|(load, (tip, too_large))| (load, tip, too_large)))
        })
    }

    /// After this, only reopening tells what the disk has.
    fn fail(&self, error: &EngineError) -> ! {
        self.keeper.note_damage(error);
        stop(error)
    }
}

fn publish<E: Engine>(core: &Core<E>) -> Published<E> {
    let store = core.store();
    Published { snapshot: Arc::new(store.engine().snapshot()), views: store.views(), applied: store.next_arrival() }
}

/// After a failed write only reopening tells what the disk kept: nothing more may be shown as saved.
fn stop(error: &EngineError) -> ! {
    tracing::error!(%error, "stopping: what is on the disk can no longer be known");
    eprintln!("tandem: {error}");
    std::process::abort();
}

#[expect(clippy::disallowed_methods, reason = "the shell reads the clock, once for each group")]
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

impl<E: Engine> Actor for Workspace<E> {
    type Context = Context<Self>;
}

impl<E: Engine> Handler<Perform> for Workspace<E> {
    type Result = ();

    fn handle(&mut self, message: Perform, ctx: &mut Context<Self>) {
        match message {
            Perform::Commands(commands, answer) => {
                if self.waiting.is_empty() {
                    // Comes after everything that is in the mailbox now: that makes the group.
                    ctx.notify(Flush);
                }
                self.waiting.push_back((commands, answer));
                // What waits here is no more than a group; the rest waits in the mailbox, which is bounded.
                if self.waiting.iter().map(|(commands, _)| commands.len()).sum::<usize>() >= self.group_commands_max {
                    self.flush();
                }
            }
            Perform::Insert(insert, answer) => {
                while !self.waiting.is_empty() {
                    self.flush();
                }
                let _ = answer.send(self.insert(*insert));
            }
            Perform::Verify(done, answer) => {
                let checked = self.core.store().verify(&mut |events| done.store(events, Relaxed));
                let _ = answer.send(self.unless_fatal(checked));
            }
            Perform::Rebuild(progress, answer) => {
                let done = self.core.rebuild(&mut |events| progress.store(events, Relaxed));
                let done = self.unless_fatal(done);
                self.feed.0.begin_at(self.core.store().next_arrival());
                *self.published.write().expect("readers do not panic") = publish(&self.core);
                self.feed.0.wake();
                let _ = answer.send(done);
            }
            Perform::Leave(answer) => {
                self.left = true;
                let _ = answer.send(());
            }
            Perform::Stop(answer) => {
                self.waiting.clear();
                ctx.stop();
                let _ = answer.send(());
            }
        }
    }
}

impl<E: Engine> Handler<Flush> for Workspace<E> {
    type Result = ();

    fn handle(&mut self, _: Flush, _: &mut Context<Self>) {
        while !self.waiting.is_empty() {
            self.flush();
        }
    }
}
