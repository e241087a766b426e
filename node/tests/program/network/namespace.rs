//! A network of its own for some processes, on this machine and gone with the test.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// The device that the node has, besides loopback. Its other end is there as well, and nobody listens at it.
const DEVICE: &str = "lan0";
const OTHER_END: &str = "lan0-far";
const GATEWAYS: [&str; 2] = ["10.77.0.254", "fd77::fe"];
/// Not in the resolver's own network alone: also what is asked over the default route goes out.
const NAME_SERVERS: [&str; 2] = ["10.77.0.53", "192.0.2.53"];

/// Lasts as long as its holder does, a process that ends with the test however that ends.
pub struct Namespace {
    holder: Child,
    /// What its processes find as `/etc/resolv.conf`.
    _resolver: TempDir,
}

impl Namespace {
    /// With these addresses, each with the length of its network.
    pub fn new(addresses: &[&str]) -> Self {
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
        let resolver = tempfile::tempdir().unwrap();
        let made = Self { holder, _resolver: resolver };
        made.set_up(addresses);
        made
    }

    fn set_up(&self, addresses: &[&str]) {
        let links = self.does("ip", &["-o", "link", "show", "up"]);
        assert_eq!(links, "", "a fresh network has nothing that is up: this is not one");
        let file = self._resolver.path().join("resolv.conf");
        let servers: String = NAME_SERVERS.iter().map(|server| format!("nameserver {server}\n")).collect();
        fs::write(&file, format!("{servers}options timeout:1 attempts:1\n")).unwrap();
        self.does("mount", &["--bind", file.to_str().expect("text"), "/etc/resolv.conf"]);

        self.does("ip", &["link", "add", DEVICE, "type", "veth", "peer", "name", OTHER_END]);
        // Whatever is sent goes out at once: no neighbour has to answer first.
        self.does("ip", &["link", "set", DEVICE, "arp", "off"]);
        self.does("ip", &["link", "set", OTHER_END, "arp", "off", "addrgenmode", "none"]);
        for device in ["lo", DEVICE, OTHER_END] {
            self.does("ip", &["link", "set", device, "up"]);
        }
        self.add(addresses);
    }

    /// Takes addresses away, and gives others.
    pub fn move_to(&self, from: &[&str], to: &[&str]) {
        from.iter().for_each(|address| drop(self.does("ip", &["address", "del", address, "dev", DEVICE])));
        self.add(to);
    }

    fn add(&self, addresses: &[&str]) {
        for address in addresses {
            self.does("ip", &["address", "add", address, "dev", DEVICE]);
        }
        for gateway in GATEWAYS {
            self.does("ip", &["route", "replace", "default", "via", gateway, "dev", DEVICE]);
        }
    }

    /// Asks for a name as any program does; nobody answers.
    pub fn asks_for(&self, name: &str) {
        let asked = self.enter(Command::new("getent").args(["ahosts", name])).output().expect("getent can be run");
        assert!(!asked.status.success(), "{name} is no name, and nobody answers here: {asked:?}");
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

    fn does(&self, program: &str, args: &[&str]) -> String {
        self.ok(Command::new(program).args(args))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
