//! Somebody who goes on writing at one node, whatever happens to it.

use crate::scratch::Node;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Between two writes.
const PAUSE: Duration = Duration::from_millis(200);

/// Writes until it is stopped, by turns a new record and the phone of a record that all write to.
pub struct Writer {
    wrote: Arc<Mutex<Wrote>>,
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

/// What became of the writes so far.
#[derive(Debug, Default, Clone)]
pub struct Wrote {
    /// The values that the program said are saved; no two are the same.
    pub acknowledged: Vec<String>,
    /// What it said instead.
    pub errors: Vec<String>,
}

impl Writer {
    /// At `node`, which is the one with this number; `shared` is the record that all write to.
    pub fn start(node: Arc<Node>, number: usize, shared: String) -> Self {
        let wrote: Arc<Mutex<Wrote>> = Arc::default();
        let (stop, stopped) = mpsc::channel();
        let into = wrote.clone();
        let thread = thread::spawn(move || {
            let mut count = 0;
            while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                let value = (1_000_000 * (number + 1) + count).to_string();
                let output = match count % 2 {
                    0 => node.run(&["new", "people", &format!("name={value}")]),
                    _odd => node.run(&["set", "people", &shared, &format!("phone={value}")]),
                };
                count += 1;
                let mut wrote = lock(&into);
                if output.status.success() {
                    wrote.acknowledged.push(value);
                } else {
                    wrote.errors.push(String::from_utf8_lossy(&output.stderr).into_owned());
                }
            }
        });
        Self { wrote, stop, thread }
    }

    pub fn wrote(&self) -> Wrote {
        lock(&self.wrote).clone()
    }

    pub fn stop(self) -> Wrote {
        self.stop.send(()).expect("it goes on until then");
        self.thread.join().expect("it only writes");
        lock(&self.wrote).clone()
    }
}

fn lock(wrote: &Mutex<Wrote>) -> MutexGuard<'_, Wrote> {
    wrote.lock().unwrap_or_else(PoisonError::into_inner)
}
