//! Everything that is sent and received in a network, by tcpdump.

use super::packet::Packet;
use crate::network::namespace::Namespace;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, Stdio},
};
use tempfile::TempDir;

/// Goes on until it is stopped; killed if a test ends without that.
pub struct Capture {
    tcpdump: Child,
    says: BufReader<ChildStderr>,
    folder: TempDir,
}

impl Capture {
    /// On all devices, from when this returns.
    pub fn start(net: &Namespace) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("packets");
        let mut command = Command::new("tcpdump");
        command.args(["-i", "any", "-n", "-U", "-Z", "root", "--immediate-mode", "-B", "16384", "-w"]).arg(file);
        let mut tcpdump = net.enter(&command).stderr(Stdio::piped()).spawn().expect("nsenter can be run");
        let mut says = BufReader::new(tcpdump.stderr.take().expect("piped"));
        let mut said = String::new();
        while !said.contains("listening on") {
            let length = says.read_line(&mut said).expect("a pipe");
            assert!(length > 0, "tcpdump does not listen; is it installed? {said}");
        }
        Self { tcpdump, says, folder }
    }

    /// All packets, in their order.
    pub fn stop(mut self) -> Vec<Packet> {
        kill_process(Pid::from_child(&self.tcpdump), Signal::INT).expect("it runs");
        let said: Vec<String> = self.says.by_ref().lines().map(|line| line.expect("text")).collect();
        assert!(self.tcpdump.wait().expect("it ends").success(), "{said:?}");
        assert!(said.iter().any(|line| line.starts_with("0 packets dropped")), "all were captured: {said:?}");
        Packet::all(&fs::read(self.folder.path().join("packets")).expect("tcpdump wrote it"))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.tcpdump.kill();
        let _ = self.tcpdump.wait();
    }
}
