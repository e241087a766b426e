//! The actix shell of the workspace actor.

mod designs;
mod own_accord;
mod taking;

use super::{
    Core, Group, Insert, Inserted,
    core::Open,
    insert::Planned,
    writer::{Place, Work, Writer},
};
use crate::{
    authority::Policy,
    command::{Command, Committed, Refused},
    keeper::{Keeper, Staged},
    live::{Feed, Publisher},
    news::{News, Teller},
    outside::Outside,
    schema_migrator::UnderWay,
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
    design_file::DesignFile,
    engine::{Batch, Engine},
    rehearsal::Reported,
    store::{Verified, Views},
    take::Received,
};
use tandem_wire::{ChainId, Event, EventRef, OpRef};
use tokio::sync::oneshot;

/// Does what commands ask, in groups: while one is written, the next is decided.
pub struct Workspace<E: Engine> {
    core: Core<E>,
    left: bool,
    waiting: VecDeque<(Vec<Command>, Answer<Answers>)>,
    group_commands_max: usize,
    place: Arc<Place<E>>,
    decided: Decided,
    /// Where there is none, groups are written here.
    writer: Option<Writer>,
    outside: Outside,
    /// Closed when the actor is gone.
    feed: Publisher,
    /// The rehearsal that is under way.
    rehearsing: Option<UnderWay<E>>,
    /// How many control events there were when it was last looked whether a rehearsal is due.
    designs_seen: usize,
}

/// The group that is decided while the one before it is written.
#[derive(Default)]
struct Decided {
    open: Option<Open>,
    /// Who waits for how many of the answers, in their order.
    asked: Vec<(usize, Answer<Answers>)>,
    commands: usize,
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

/// The batch of a group, and its runs for the rescue file.
type ToWrite = (Arc<Batch>, Staged);
pub(super) type Answers = Vec<Result<Committed, Refused>>;
pub(super) type Answer<T> = oneshot::Sender<T>;
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
    /// Take runs from elsewhere in, and answer when they are durable and shown, or left out.
    Take(Vec<Received>, Answer<Result<(), Refused>>),
    /// Try a design on a clone of the views, and tell what came of it.
    TryDesign(Box<DesignFile>, Progress, Answer<Result<Reported, Refused>>),
    /// Check log and views.
    Verify(Progress, Reply<Result<Verified, EngineError>>),
    /// Make the views anew.
    Rebuild(Progress, Reply<Result<(), EngineError>>),
    /// From now on, judge by this.
    SetPolicy(Box<Policy>, Answer<()>),
    /// Send a refused event again by itself once what refused it changes.
    RetryWhenChanged(EventRef, Answer<Result<(), Refused>>),
    /// Tell for which events that was asked.
    Retried(Answer<Result<Vec<EventRef>, EngineError>>),
    /// Tell how this node judges.
    Office(Answer<OfficeInfo>),
    /// From now on, this copy is for reading only.
    Leave(Answer<()>),
    /// Write nothing any more, and stop.
    Stop(Answer<()>),
}

/// What [`Perform::Office`] tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfficeInfo {
    /// The chain that this node's verdicts are in: what an owner binds.
    pub chain: ChainId,
    /// By what it judges.
    pub policy: Policy,
    /// The bindings that it judges under now.
    pub terms: Vec<OpRef>,
    /// Bindings of this device that name another chain: it cannot prove how that one went on, and does not judge under
    /// them until the owner binds it anew.
    pub unproved: Vec<OpRef>,
    /// Events accepted and refused since the workspace was opened.
    pub judged: (u64, u64),
}

/// What is on the dockets is to be judged.
#[derive(Message)]
#[rtype(result = "()")]
struct Sit;

/// A group is written.
#[derive(Message)]
#[rtype(result = "()")]
struct Written;

/// Everything that waits is to be done.
#[derive(Message)]
#[rtype(result = "()")]
struct Flush;

impl<E: Engine> Workspace<E> {
    /// Around a core; `left` for a copy that is for reading only. Groups end at `group_commands_max` commands.
    pub fn new(core: Core<E>, keeper: Arc<Keeper>, left: bool, group_commands_max: usize, outside: Outside) -> Self {
        let feed = Publisher(Arc::default());
        feed.0.begin_at(core.store().next_arrival());
        let published = Arc::new(RwLock::new(publish(&core)));
        let shown = Teller::default();
        let place = Place { engine: core.store().engine().clone(), keeper, published, feed: feed.0.clone(), shown };
        let (waiting, place, decided) = (VecDeque::new(), Arc::new(place), Decided::default());
        Self {
            core,
            left,
            waiting,
            group_commands_max,
            place,
            decided,
            writer: None,
            outside,
            feed,
            rehearsing: None,
            designs_seen: 0,
        }
    }

    /// Where subscribers find what was touched.
    pub(crate) fn feed(&self) -> Arc<Feed> {
        self.feed.0.clone()
    }

    /// Tells whenever readers see something new.
    pub(crate) fn shown(&self) -> News {
        self.place.shown.news()
    }

    /// Where readers find the state.
    pub fn published(&self) -> Arc<RwLock<Published<E>>> {
        self.place.published.clone()
    }

    /// Decides what waits. A group that is written meanwhile is waited for only when the next one is full.
    fn flush(&mut self) {
        loop {
            let is_alone = self.waiting.len() == 1 && self.decided.asked.is_empty();
            self.decide();
            if self.decided.asked.is_empty() {
                return;
            }
            if self.is_writing() && self.decided.commands < self.group_commands_max {
                return;
            }
            self.hand_over(is_alone);
        }
    }

    /// Takes as many of the waiting commands as fit into the group.
    fn decide(&mut self) {
        let mut commands: Vec<Command> = Vec::new();
        while let Some((next, _)) = self.waiting.front() {
            let count = next.len();
            if self.decided.commands > 0 && self.decided.commands + count > self.group_commands_max {
                break;
            }
            let (next, asked) = self.waiting.pop_front().expect("just seen");
            match self.refusal() {
                Some(refused) => drop(asked.send(next.iter().map(|_| Err(refused.clone())).collect())),
                None => {
                    self.decided.commands += count;
                    self.decided.asked.push((count, asked));
                    commands.extend(next);
                }
            }
        }
        // Who asks for nothing waits for what was asked before.
        if !self.decided.asked.is_empty() {
            let open = self.decided.open.take().unwrap_or_else(|| self.core.open());
            match self.core.extend(open, self.outside.now_ms(), &commands) {
                Ok(open) => self.decided.open = Some(open),
                Err(error) => self.place.fail(&error),
            }
        }
    }

    /// Why nothing at all is done.
    fn refusal(&self) -> Option<Refused> {
        if self.left { Some(Refused::Left) } else { self.place.keeper.room().err() }
    }

    /// Has the decided group written after the one under way, by the writer if it is worth the way there.
    fn hand_over(&mut self, is_alone: bool) {
        self.wait();
        let Decided { open, asked, .. } = std::mem::take(&mut self.decided);
        let Some(open) = open else { return };
        let group = self.core.close(open);
        let (work, answers) = match self.settle(group) {
            Ok(settled) => settled,
            Err(error) => self.place.fail(&error),
        };
        let mut answers = answers.into_iter();
        let answers = asked.into_iter().map(|(count, asked)| (asked, answers.by_ref().take(count).collect())).collect();
        match (work, &mut self.writer) {
            (None, _) => tell(answers),
            (Some((batch, runs)), Some(writer)) if !is_alone && !self.core.store().needs_upkeep() => {
                self.core.goes_ahead_of(batch.clone());
                let (views, applied) = (self.core.store().views(), self.core.store().next_arrival());
                writer.hand(Work { batch, runs, views, applied, answers });
            }
            (Some(work), _) => self.write(work, answers).unwrap_or_else(|error| self.place.fail(&error)),
        }
    }

    /// Writes a group here and now.
    fn write(&mut self, (batch, runs): ToWrite, answers: Vec<(Answer<Answers>, Answers)>) -> Result<(), EngineError> {
        self.place.write(&batch)?;
        self.core.upkeep()?;
        let (views, applied) = (self.core.store().views(), self.core.store().next_arrival());
        self.place.tell_and_keep(runs, || self.place.show(&batch, views, applied, answers))
    }

    /// What is to be written of a group, if anything, and the answers.
    fn settle(&mut self, mut group: Group) -> Result<(Option<ToWrite>, Answers), EngineError> {
        if group.log.is_empty() {
            return Ok((None, group.answers));
        }
        self.sync_while_it_judges()?;
        let runs = self.place.keeper.stage(self.core.workspace(), &group.log, std::mem::take(&mut group.tips));
        let (batch, answers) = self.core.settle(group)?;
        Ok((Some((Arc::new(batch), runs)), answers))
    }

    fn is_writing(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::is_busy)
    }

    /// Waits until no group is under way.
    fn wait(&mut self) {
        if let Some(writer) = &self.writer {
            writer.wait();
        }
        self.core.goes_ahead_no_more();
    }

    /// Does everything that waits, so that the core stands alone.
    fn finish(&mut self) {
        while !self.waiting.is_empty() || !self.decided.asked.is_empty() {
            self.flush();
            self.hand_over(false);
        }
        self.wait();
    }

    fn unless_fatal<T>(&self, done: Result<T, EngineError>) -> Result<T, EngineError> {
        match done {
            Err(error) if error.is_fatal() => stop(&error),
            done => done.inspect_err(|error| self.place.keeper.note_damage(error)),
        }
    }

    /// A few commands, at once.
    fn commit(&mut self, commands: &[Command]) -> Result<Answers, EngineError> {
        let group = self.core.decide(self.outside.now_ms(), commands)?;
        let (work, answers) = self.settle(group)?;
        if let Some(work) = work {
            self.write(work, vec![])?;
        }
        Ok(answers)
    }
}

impl<E: Engine> Workspace<E> {
    fn insert(&mut self, insert: Insert) -> Result<Inserted, Refused> {
        if self.left {
            return Err(Refused::Left);
        }
        self.place.keeper.room()?;
        self.try_insert(&insert).unwrap_or_else(|error| self.place.fail(&error))
    }

    fn try_insert(&mut self, insert: &Insert) -> Result<Result<Inserted, Refused>, EngineError> {
        let plan = match self.core.plan_insert(insert)? {
            Ok(plan) => plan,
            Err(refused) => return Ok(Err(refused)),
        };
        let (few, many, mut left) = match plan {
            Planned::Few { commands, left } => (commands, vec![], left),
            Planned::Many { places, left } if self.core.loader()?.goes_on() => (vec![], places, left),
            Planned::Many { mut places, left } => {
                let first = places.remove(0);
                (vec![(first, insert.command(first))], places, left)
            }
        };
        let (places, commands): (Vec<usize>, Vec<Command>) = few.into_iter().unzip();
        let answers = self.commit(&commands)?;
        let refused = places.into_iter().zip(&answers).filter(|(_, answer)| answer.is_err()).map(|(place, _)| place);
        let mut made = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
        left.extend(refused);
        if !many.is_empty() {
            match self.compose(insert, &many)? {
                Some((load, tip, too_large)) => {
                    made += (many.len() - too_large.len()) as u64;
                    left.extend(too_large);
                    let last = self.core.store().next_arrival() + load.runs() - 1;
                    self.core.load(load)?;
                    let place = &self.place;
                    place.keep(place.keeper.stage(self.core.workspace(), &Batch::default(), vec![(last, tip)]))?;
                    self.show_anew();
                }
                None => left.extend(many),
            }
        }
        left.sort_unstable();
        Ok(Ok(Inserted { made, left }))
    }

    /// Composes the events of an insert here, and signs and folds them on another thread meanwhile.
    fn compose(&self, insert: &Insert, places: &[usize]) -> Result<Option<(Load, EventRef, Vec<usize>)>, EngineError> {
        let mut loader = self.core.loader()?;
        thread::scope(|scope| {
            let (runs, composed) = mpsc::sync_channel::<Vec<Event>>(RUNS_UNDER_WAY);
            let loaded = scope.spawn(move || -> Result<Option<Load>, EngineError> {
                for run in composed {
                    if !loader.take(&run)? {
                        return Ok(None);
                    }
                }
                Ok(Some(loader.finish()))
            });
            let composed =
                self.core.compose((insert, places), self.outside.now_ms(), &mut |run| runs.send(run).is_ok());
            drop(runs);
            let load = loaded.join().expect("a panic there is an abort")?;
            Ok(load.zip(composed?).map(|(load, (tip, too_large))| (load, tip, too_large)))
        })
    }

    /// Shows what was written, if anything was.
    fn show_if(&mut self, written: Result<bool, EngineError>) {
        match written {
            Ok(true) => self.show_anew(),
            Ok(false) => {}
            Err(error) => self.place.fail(&error),
        }
    }

    /// Shows a state of which subscribers cannot be told what was touched.
    fn show_anew(&self) {
        self.feed.0.begin_at(self.core.store().next_arrival());
        *self.place.published.write().expect("readers do not panic") = publish(&self.core);
        self.feed.0.wake();
        self.place.shown.tell();
    }
}

pub(super) fn tell(answers: Vec<(Answer<Answers>, Answers)>) {
    for (asked, answers) in answers {
        // Who asked may have gone; what was done stays done.
        let _ = asked.send(answers);
    }
}

fn publish<E: Engine>(core: &Core<E>) -> Published<E> {
    let store = core.store();
    Published { snapshot: Arc::new(store.engine().snapshot()), views: store.views(), applied: store.next_arrival() }
}

/// After a failed write only reopening tells what the disk kept: nothing more may be shown as saved.
pub(super) fn stop(error: &EngineError) -> ! {
    tracing::error!(%error, "stopping: what is on the disk can no longer be known");
    eprintln!("tandem: {error}");
    std::process::abort();
}

impl<E: Engine> Actor for Workspace<E> {
    type Context = Context<Self>;

    #[expect(clippy::disallowed_methods, reason = "one for each group, one after the other: they do not pile up")]
    fn started(&mut self, ctx: &mut Context<Self>) {
        // A crash may have come between an event and the verdict on it, or between a change and what waited for it.
        ctx.notify(Sit);
        if self.outside.is_here() {
            return;
        }
        let own = ctx.address().downgrade();
        let tell = move || {
            if let Some(own) = own.upgrade() {
                own.do_send(Written);
            }
        };
        self.writer = Some(Writer::start(self.place.clone(), tell));
    }
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
                self.finish();
                let _ = answer.send(self.insert(*insert));
            }
            Perform::Take(runs, answer) => {
                self.finish();
                let _ = answer.send(self.take(runs));
                self.see_to_designs(ctx);
            }
            Perform::TryDesign(file, progress, answer) => {
                self.finish();
                self.try_design(&file, progress, answer, ctx);
            }
            Perform::Verify(done, answer) => {
                self.finish();
                let checked = self.core.store().verify(&mut |events| done.store(events, Relaxed));
                let _ = answer.send(self.unless_fatal(checked));
            }
            Perform::Rebuild(progress, answer) => {
                self.finish();
                let done = self.core.rebuild(&mut |events| progress.store(events, Relaxed));
                let done = self.unless_fatal(done);
                self.show_anew();
                let _ = answer.send(done);
            }
            Perform::SetPolicy(policy, answer) => {
                self.finish();
                self.core.set_policy(*policy);
                self.announce().unwrap_or_else(|error| self.place.fail(&error));
                let _ = answer.send(());
            }
            Perform::RetryWhenChanged(event, answer) => {
                self.finish();
                let _ = answer.send(self.retry_when_changed(&event));
            }
            Perform::Retried(answer) => {
                let retried = self.core.retried();
                let _ = answer.send(self.unless_fatal(retried));
            }
            Perform::Office(answer) => {
                let _ = answer.send(self.core.office_info());
            }
            Perform::Leave(answer) => {
                self.finish();
                self.left = true;
                let _ = answer.send(());
            }
            Perform::Stop(answer) => {
                self.wait();
                drop(self.rehearsing.take().map(UnderWay::end));
                self.waiting.clear();
                self.decided = Decided::default();
                ctx.stop();
                let _ = answer.send(());
            }
        }
    }
}

impl<E: Engine> Handler<Flush> for Workspace<E> {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Context<Self>) {
        self.flush();
        if self.core.waits_for_changes() {
            self.finish();
            let done = self.retry();
            self.show_if(done);
        }
        self.see_to_designs_anew(ctx);
    }
}

impl<E: Engine> Handler<Sit> for Workspace<E> {
    type Result = ();

    fn handle(&mut self, _: Sit, ctx: &mut Context<Self>) {
        self.finish();
        self.see_to_what_is_open();
        self.see_to_designs(ctx);
    }
}

impl<E: Engine> Handler<Written> for Workspace<E> {
    type Result = ();

    fn handle(&mut self, _: Written, ctx: &mut Context<Self>) {
        if !self.is_writing() {
            self.hand_over(false);
        }
        self.see_to_designs_anew(ctx);
    }
}
