//! A network of its own for some processes, on this machine and gone with the test.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

/// Lasts as long as its holder does, a process that ends with the test however that ends. Mounts are its own as well.
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    /// With nothing in it but loopback.
    pub fn new() -> Self {
        let is_root = rustix::process::geteuid().is_root();
        assert!(is_root, "namespaces are made by root only: run this test as root, or in a container that lets you");
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--mount", "--", "sh", "-c", "echo made; exec cat"]);
        let holder = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut holder = holder.unwrap_or_else(|error| panic!("unshare (of util-linux) cannot be run: {error}"));
        let mut said = String::new();
        BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut said).expect("a pipe");
        if said.trim() != "made" {
            let mut why = String::new();
            let _ = holder.stderr.take().expect("piped").read_to_string(&mut why);
            panic!("no network namespace can be made here: {}", why.trim());
        }
        let made = Self { holder };
        let links = made.does("ip", &["-o", "link", "show", "up"]);
        assert_eq!(links, "", "a fresh network has nothing that is up: this is not one");
        made.ip("link set lo up");
        made
    }

    /// Its holder, by which a device is moved into it.
    pub fn process(&self) -> u32 {
        self.holder.id()
    }

    /// The same command, in this network.
    pub fn enter(&self, command: &Command) -> Command {
        let mut entered = Command::new("nsenter");
        entered.arg(format!("--target={}", self.holder.id())).args(["--net", "--mount", "--"]);
        entered.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => entered.env(name, value),
                None => entered.env_remove(name),
            };
        }
        entered
    }

    /// What it prints; it has to succeed.
    pub fn ok(&self, command: &Command) -> String {
        let output = self.enter(command).output().unwrap_or_else(|error| panic!("nsenter cannot be run: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} failed here: {errors}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn does(&self, program: &str, args: &[&str]) -> String {
        self.ok(Command::new(program).args(args))
    }

    /// Changes something about its devices, addresses or routes.
    pub fn ip(&self, words: &str) {
        self.does("ip", &words.split(' ').collect::<Vec<_>>());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
