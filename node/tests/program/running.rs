//! A node that runs until it is stopped, for tests.

use crate::{
    scratch::Node,
    waiting::{PATIENCE, until},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

/// `tandem node`, which is ready; killed if a test ends without stopping it.
pub struct Running {
    child: Child,
    /// The line that says that it is ready.
    pub ready: String,
    log: Arc<Mutex<String>>,
}

impl Running {
    /// Off the network.
    pub fn start(node: &Node) -> Self {
        Self::start_with(node, &["--offline"])
    }

    pub fn start_with(node: &Node, options: &[&str]) -> Self {
        Self::spawn(node.command(&[&["node"], options].concat()))
    }

    /// As the kernel does when memory runs out.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (mut errors, into) = (child.stderr.take().unwrap(), log.clone());
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = errors.read(&mut piece) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        let (tell, told) = mpsc::channel();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut line = String::new();
            let _ = output.read_line(&mut line);
            let _ = tell.send(line);
        });
        let mut running = Self { child, ready: String::new(), log };
        running.ready = told.recv_timeout(PATIENCE).expect("it says something");
        assert!(running.ready.starts_with("ready: "), "{:?} {}", running.ready, running.log());
        running
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until its log says this.
    pub fn says(&self, text: &str) {
        until(PATIENCE, || self.log().contains(text).then_some(()))
            .unwrap_or_else(|| panic!("it should say {text:?}: {}", self.log()));
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How it ended, if it does within this time.
    pub fn ends_within(&mut self, time: Duration) -> Option<ExitStatus> {
        until(time, || self.child.try_wait().unwrap())
    }

    /// Stops it as one should.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ends_within(PATIENCE).expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
