//! What actors run on: a thread of their own, or the system of the thread that is here.

use actix::System;
use std::{
    sync::mpsc,
    thread::{self, JoinHandle},
};
use tokio::sync::oneshot;

/// Where actors run.
pub(crate) enum Runtime {
    /// On a thread of their own.
    Own { system: System, thread: JoinHandle<()> },
    /// On the system of the thread that uses this.
    Here,
}

impl Runtime {
    /// A thread, or with `is_here` none.
    pub(crate) fn start(name: &str, is_here: bool) -> Self {
        if is_here {
            return Self::Here;
        }
        let (tell, told) = mpsc::channel();
        let run = move || {
            let runner = System::new();
            tell.send(System::current()).expect("the starter waits");
            runner.run().expect("the system runs until it is stopped");
        };
        let thread = thread::Builder::new().name(name.into()).spawn(run).expect("threads can be made");
        Self::Own { system: told.recv().expect("the thread starts"), thread }
    }

    /// Runs `work` there and waits for it: it is short.
    pub(crate) fn call<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let Self::Own { system, .. } = self else { return work() };
        let (tell, told) = mpsc::channel();
        system.arbiter().spawn_fn(move || drop(tell.send(work())));
        told.recv().expect("the thread runs")
    }

    /// Runs what `work` begins there; the future is done when that is.
    pub(crate) async fn run<T: Send + 'static, F: Future<Output = T> + 'static>(
        &self,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        let (tell, told) = oneshot::channel();
        self.spawn(move || {
            let done = work();
            async move { drop(tell.send(done.await)) }
        });
        told.await.expect("the thread runs")
    }

    /// Runs what `work` begins there.
    pub(crate) fn spawn<F: Future<Output = ()> + 'static>(&self, work: impl FnOnce() -> F + Send + 'static) {
        match self {
            Self::Own { system, .. } => drop(system.arbiter().spawn_fn(move || drop(actix::spawn(work())))),
            Self::Here => drop(actix::spawn(work())),
        }
    }

    /// Has a thread of its own give way to the process's others, as do those that it starts from now on.
    pub(crate) fn give_way(&self) {
        if let Self::Own { .. } = self {
            self.call(give_way);
        }
    }

    /// Ends the thread, and what runs there.
    pub(crate) fn stop(self) {
        if let Self::Own { system, thread } = self {
            system.stop();
            // A panic there was an abort; there is nothing more to learn from the thread.
            let _ = thread.join();
        }
    }
}

/// The priority of threads that give way, where others have 0 and the least is 19.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Only Linux has priorities of threads by this call; elsewhere it would be the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICE);
}
