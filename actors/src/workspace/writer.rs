//! Writing groups to the disk on a thread of its own, while the actor decides what comes next.

use super::shell::{Answer, Answers, Published, stop, tell};
use crate::{
    keeper::{Keeper, Staged},
    live::Feed,
    news::Teller,
};
use std::{
    sync::{Arc, Condvar, Mutex, PoisonError, RwLock, mpsc},
    thread::{self, JoinHandle},
};
use tandem_storage::{
    EngineError,
    engine::{Batch, Durability, Engine},
    store::Views,
};

/// What a writer writes to, and tells.
pub(super) struct Place<E: Engine> {
    pub(super) engine: Arc<E>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) published: Arc<RwLock<Published<E>>>,
    pub(super) feed: Arc<Feed>,
    /// Told whenever something new is shown.
    pub(super) shown: Teller,
}

/// A group that is decided: its batch of log and views, and what is to be said when that is durable.
pub(super) struct Work {
    pub(super) batch: Arc<Batch>,
    pub(super) runs: Staged,
    /// What the rows mean then.
    pub(super) views: Views,
    /// The number of the next run.
    pub(super) applied: u64,
    pub(super) answers: Vec<(Answer<Answers>, Answers)>,
}

impl<E: Engine> Place<E> {
    /// Makes a group durable.
    pub(super) fn write(&self, batch: &Batch) -> Result<(), EngineError> {
        self.engine.commit_shared(batch, Durability::Synced)
    }

    /// Shows what is durable, and gives the answers.
    pub(super) fn show(&self, batch: &Batch, views: Views, applied: u64, answers: Vec<(Answer<Answers>, Answers)>) {
        self.feed.push(applied, batch, views.fold.prefix());
        let published = Published { snapshot: Arc::new(self.engine.snapshot()), views, applied };
        *self.published.write().expect("readers do not panic") = published;
        self.feed.wake();
        self.shown.tell();
        tell(answers);
    }

    fn perform(&self, work: Work) {
        let Work { batch, runs, views, applied, answers } = work;
        if let Err(error) = self.write(&batch) {
            self.fail(&error);
        }
        self.tell_and_keep(runs, || self.show(&batch, views, applied, answers))
            .unwrap_or_else(|error| self.fail(&error));
    }

    /// A member's own runs are kept behind the answers, an authority's before.
    pub(super) fn tell_and_keep(&self, runs: Staged, tell: impl FnOnce()) -> Result<(), EngineError> {
        if runs.is_at_once() {
            self.keep(runs)?;
            tell();
            return Ok(());
        }
        tell();
        self.keep(runs)
    }

    /// See [`Keeper::keep`].
    pub(super) fn keep(&self, runs: Staged) -> Result<(), EngineError> {
        self.keeper.keep(runs).map_err(|source| EngineError::Io { path: "HEAD".into(), source })
    }

    /// After this, only reopening tells what the disk has.
    pub(super) fn fail(&self, error: &EngineError) -> ! {
        self.keeper.note_damage(error);
        stop(error)
    }
}

/// The thread. One group is under way at a time.
pub(super) struct Writer {
    works: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
    handed: u64,
    done: Arc<Done>,
}

/// How many groups are done.
#[derive(Default)]
struct Done {
    count: Mutex<u64>,
    more: Condvar,
}

impl Writer {
    /// Starts it; `tell` is called after each group.
    pub(super) fn start<E: Engine>(place: Arc<Place<E>>, tell: impl Fn() + Send + 'static) -> Self {
        let (works, received) = mpsc::channel::<Work>();
        let done = Arc::new(Done::default());
        let counted = done.clone();
        let run = move || {
            for work in received {
                place.perform(work);
                *counted.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                counted.more.notify_all();
                tell();
            }
        };
        let thread = thread::Builder::new().name("tandem-writer".into()).spawn(run).expect("threads can be made");
        Self { works: Some(works), thread: Some(thread), handed: 0, done }
    }

    /// Whether a group is under way.
    pub(super) fn is_busy(&self) -> bool {
        *self.done.count.lock().unwrap_or_else(PoisonError::into_inner) < self.handed
    }

    /// Hands a group over; none is under way.
    pub(super) fn hand(&mut self, work: Work) {
        self.handed += 1;
        self.works.as_ref().expect("until it is dropped").send(work).expect("the thread runs until then");
    }

    /// Waits until none is under way.
    pub(super) fn wait(&self) {
        let count = self.done.count.lock().unwrap_or_else(PoisonError::into_inner);
        let _done = self.done.more.wait_while(count, |count| *count < self.handed);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.works.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was an abort.
            let _ = thread.join();
        }
    }
}
