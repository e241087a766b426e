//! A node that runs, and commands through it.

use crate::{running::Running, scratch::Node};
use rustix::process::Signal;
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixDatagram, UnixStream},
    },
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

const PEOPLE: &str = "id,name,city\n1,Ada,London\n2,Noor,Nijmegen\n3,Émile,\n";

fn with_people() -> Node {
    let node = Node::with_workspace();
    node.file("people.csv", PEOPLE);
    node.ok(&["import", "people.csv", "--key", "id"]);
    node
}

fn socket(node: &Node) -> String {
    node.path("data/control.sock")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn commands_say_the_same_through_a_running_node() {
    let node = with_people();
    node.file("cards.vcf", "BEGIN:VCARD\nVERSION:4.0\nFN:Zoë\nEND:VCARD\n");
    let id = node.json(&["ls", "people", "--where", "name=Ada", "--json"])[0]["id"].as_str().unwrap().to_owned();
    let commands: &[&[&str]] = &[
        &["workspace", "ls"],
        &["lists"],
        &["lists", "--json"],
        &["ls", "people", "--sort", "name"],
        &["ls", "people", "--json", "--limit", "2"],
        &["ls", "people", "--group", "city"],
        &["ls", "people", "--where", "city == 'London'"],
        &["get", "people", &id],
        &["history", "people", &id, "--json"],
        &["log"],
        &["digest"],
        &["digest", "--json"],
        &["verify"],
        &["export", "people", "--format", "csv"],
        &["import", "people.csv", "--dry-run"],
        &["import", "cards.vcf", "--dry-run"],
        &["key", "show"],
        &["config", "show", "--origin"],
        // What cannot be done.
        &["ls", "nothing"],
        &["ls", "people", "--where", "name < 5"],
        &["ls"],
        &["get", "people", "00000000"],
        &["import", "missing.csv"],
        &["import", "-"],
        &["undo", "nonsense"],
        &["--workspace", "Other", "lists"],
        &["workspace", "rm", "Test"],
        &["workspace", "restore", "missing.backup"],
    ];
    let all = || -> Vec<Output> { commands.iter().map(|command| node.run(command)).collect() };
    let without = all();
    let running = Running::start(&node);
    let through = all();
    running.stop();
    for (command, (without, through)) in commands.iter().zip(without.iter().zip(&through)) {
        assert_eq!(text(&through.stdout), text(&without.stdout), "{command:?}");
        assert_eq!(text(&through.stderr), text(&without.stderr), "{command:?}");
        assert_eq!(through.status.code(), without.status.code(), "{command:?}");
    }
    assert!(without.iter().filter(|output| output.status.success()).count() >= 18);
}

#[test]
fn changes_are_made_where_the_client_is_and_with_its_input() {
    let node = with_people();
    let running = Running::start(&node);
    let id = node.ok(&["new", "people", "id=4", "name=Zoë"]).trim().to_owned();
    node.ok(&["set", "people", &id, "city=Köln"]);
    assert_eq!(node.ok(&["set", "people", &id, "city=Köln"]), "it is so already\n");
    node.ok(&["rm", "people", &id]);
    node.ok(&["restore", "people", &id]);
    assert_eq!(node.json(&["history", "people", &id, "--json"]).len(), 4);

    // In another folder than the node's own.
    fs::create_dir(node.path("elsewhere")).unwrap();
    let elsewhere = |args: &[&str]| {
        let output = node.command(args).current_dir(node.path("elsewhere")).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    node.file("elsewhere/pets.csv", "name,legs\nRex,4\nTweety\n");
    let (code, said, errors) = elsewhere(&["import", "pets.csv"]);
    assert_eq!(code, Some(5), "{said} {errors}");
    assert!(said.contains("imported 1 records into pets") && said.contains("are in pets.csv.errors.txt"), "{said}");
    assert!(fs::read_to_string(node.path("elsewhere/pets.csv.errors.txt")).unwrap().contains("line 3"));
    assert_eq!(elsewhere(&["export", "pets", "--format", "csv", "-o", "out.csv"]).1, "wrote 1 records to out.csv\n");
    assert_eq!(fs::read_to_string(node.path("elsewhere/out.csv")).unwrap(), "name,legs\r\nRex,4\r\n");
    assert_eq!(elsewhere(&["backup", "test.backup"]).0, Some(0));
    assert!(Path::new(&node.path("elsewhere/test.backup")).exists());

    // More than one piece of input.
    let rows: String = (0..20_000).map(|row| format!("{row},milk {row}\n")).collect();
    let output = node.run_with(&["import", "-", "--list", "errands"], format!("id,what\n{rows}").as_bytes());
    assert!(text(&output.stdout).contains("imported 20000 records into errands"), "{output:?}");

    // The name is the client's, not the node's.
    let output = node.command(&["workspace", "new", "Second"]).env("USER", "Noor").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(node.ok(&["--workspace", "Second", "log"]).contains("Noor"));
    assert!(!Path::new(&node.path("people.csv.errors.txt")).exists());
    running.stop();
    assert_eq!(node.json(&["--workspace", "Test", "ls", "errands", "--json"]).len(), 20_000, "it stays");
}

#[test]
fn several_commands_at_once() {
    let node = with_people();
    let running = Running::start(&node);
    let names = ["one", "two", "three", "four"];
    let imports = names.map(|name| {
        let rows: String = (0..2_000).map(|row| format!("{row}\n")).collect();
        let file = node.file(&format!("{name}.csv"), format!("id\n{rows}"));
        node.command(&["import", &file]).stdout(Stdio::piped()).spawn().unwrap()
    });
    for _ in 0..10 {
        assert_eq!(node.json(&["ls", "people", "--json"]).len(), 3);
    }
    for import in imports {
        let output = import.wait_with_output().unwrap();
        assert!(text(&output.stdout).contains("imported 2000 records"), "{output:?}");
    }
    for name in names {
        assert_eq!(node.json(&["ls", name, "--json"]).len(), 2_000);
    }
    running.stop();
}

#[test]
fn a_client_that_reads_slowly_holds_up_nobody_and_misses_nothing() {
    let node = with_people();
    // More than the answers that wait for a client.
    let rows: String = (0..6_000).map(|row| format!("{row},{}\n", "x".repeat(1_000))).collect();
    let file = node.file("long.csv", format!("id,text\n{rows}"));
    let running = Running::start(&node);
    node.ok(&["import", &file]);
    let slow = node.command(&["export", "long", "--format", "csv"]).stdout(Stdio::piped()).spawn().unwrap();
    for id in 0..20 {
        node.ok(&["new", "people", &format!("id=1{id}")]);
    }
    let output = slow.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 6_001);
    running.stop();
}

#[test]
fn a_second_node_is_refused_and_the_doctor_asks_the_first() {
    let node = with_people();
    let running = Running::start(&node);
    let process = format!("process {}", running.process());
    node.fails(&["node"], 4, &["runs here already", &process]);
    let healthy = node.ok(&["doctor", "--deep"]);
    for line in [&format!("ok    node: it runs, as {process}"), "ok    tables: ", "all as they should be"] {
        assert!(healthy.contains(line), "{line}: {healthy}");
    }
    running.stop();
}

#[test]
fn it_stops_in_time_even_when_a_command_does_not() {
    let node = with_people();
    let mut running = Running::start(&node);
    let mut waiting = node.command(&["import", "-", "--list", "errands"]);
    let mut waiting = waiting.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // More than a pipe holds: when it is written, the command runs, and waits for the rest.
    let mut input = waiting.stdin.take().unwrap();
    input.write_all(&[b'x'; 1 << 20]).unwrap();

    running.signal(Signal::TERM);
    // It promises 5 s; twice that is for a machine that does much else.
    let status = running.ends_within(Duration::from_secs(10)).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", running.log());
    assert!(!Path::new(&socket(&node)).exists(), "the socket is gone");
    drop(input);
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("did not finish the command: it has stopped"), "{output:?}");

    let found = node.ok(&["doctor", "--deep"]);
    assert!(found.contains("ok    tables: they open"), "{found}");
    assert_eq!(node.json(&["ls", "people", "--json"]).len(), 3);
    node.fails(&["ls", "errands"], 3, &["no list errands"]);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let node = with_people();
    let mut running = Running::start(&node);
    let mut waiting = node.command(&["import", "-", "--list", "errands"]);
    let mut waiting = waiting.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    waiting.stdin.as_mut().unwrap().write_all(&[b'x'; 1 << 20]).unwrap();
    running.signal(Signal::INT);
    // Signals of one kind that come together are one.
    running.signal(Signal::TERM);
    let status = running.ends_within(Duration::from_secs(60)).expect("it ends");
    assert_eq!(status.code(), Some(1), "{}", running.log());
    waiting.wait().unwrap();
    assert_eq!(node.json(&["ls", "people", "--json"]).len(), 3);
}

#[test]
fn what_a_killed_node_leaves_is_in_nobodys_way() {
    let node = with_people();
    let mut running = Running::start(&node);
    node.ok(&["new", "people", "id=4"]);
    running.signal(Signal::KILL);
    running.ends_within(Duration::from_secs(60)).expect("it ends");
    assert!(fs::symlink_metadata(socket(&node)).unwrap().file_type().is_socket(), "left behind");
    assert_eq!(node.json(&["ls", "people", "--json"]).len(), 4, "without a node");
    node.ok(&["new", "people", "id=5"]);

    let running = Running::start(&node);
    assert_eq!(node.json(&["ls", "people", "--json"]).len(), 5, "through the new one");
    assert_eq!(fs::metadata(socket(&node)).unwrap().permissions().mode() & 0o777, 0o600);
    running.stop();
}

#[test]
fn a_command_whose_client_went_away_takes_nothing_half() {
    let node = with_people();
    let running = Running::start(&node);
    let mut client = node.command(&["import", "-", "--list", "errands"]);
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let rows = "what\n".to_owned() + &"milk\n".repeat(300_000);
    client.stdin.as_mut().unwrap().write_all(rows.as_bytes()).unwrap();
    client.kill().unwrap();
    client.wait().unwrap();
    // Whoever has seen enough goes as well.
    let mut head = node.command(&["log", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(head.stdout.take());
    head.wait().unwrap();
    // Stopping waits for the two.
    running.stop();
    node.fails(&["ls", "errands"], 3, &["no list errands"]);
}

#[test]
fn garbage_ends_its_connection_and_nothing_else() {
    let node = with_people();
    let running = Running::start(&node);
    let mut hello = vec![0, 0, 0, 8, 1, 5];
    hello.extend(b"9.9.9\x01");
    let mut words = vec![0xff; 70_000];
    words[..5].copy_from_slice(&[0, 1, 0, 0, 0]);
    let garbage: [&[u8]; 6] = [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        // Longer than any frame may be; a frame of nothing; one that means nothing; one of another version.
        b"\xff\xff\xff\xff",
        b"\0\0\0\0",
        &words,
        &hello,
    ];
    for garbage in garbage {
        let mut stream = UnixStream::connect(socket(&node)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let _ = stream.write_all(garbage);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{garbage:?}"),
        }
        let says_who_it_is = text(&answer).contains(env!("CARGO_PKG_VERSION"));
        assert_eq!(says_who_it_is, garbage == hello.as_slice(), "{garbage:?}: {answer:?}");
    }
    assert_eq!(node.json(&["ls", "people", "--json"]).len(), 3);
    running.stop();
}

#[test]
fn a_changed_configuration_is_taken_on() {
    let node = with_people();
    let config = |content: &str| node.file("node.toml", content);
    let file = config("log.level = 'warn'\n");
    let running = Running::spawn(node.command(&["node", "--offline", "--config", &file]));
    assert!(!running.log().contains("the node runs"), "{}", running.log());

    config("log.level = 'info'\nstorage.cache_mb = 32\n");
    running.signal(Signal::HUP);
    running.says("the configuration was read again");
    running.says("these settings hold after a restart: storage.cache_mb");

    config("log.level = 'loud'\n");
    running.signal(Signal::HUP);
    running.says("`log.level` is \"loud\"");
    running.says("the configuration stays as it was");
    assert_eq!(node.json(&["ls", "people", "--json"]).len(), 3);

    config("[log]\nlevel = 'info'\nformat = 'json'\n");
    running.signal(Signal::HUP);
    running.says("\"message\":\"the configuration was read again\"");
    running.stop();
}

#[test]
fn systemd_is_told() {
    let node = with_people();
    let path = node.path("notify.sock");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut command = node.command(&["node", "--offline"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000").env_remove("WATCHDOG_PID");
    let mut running = Running::spawn(command);
    // Watchdog or not, what comes next besides.
    let told = |is_watchdog: bool| loop {
        let mut buffer = [0; 4096];
        let length = systemd.recv(&mut buffer).unwrap();
        let said = text(&buffer[..length]);
        if (said.trim() == "WATCHDOG=1") == is_watchdog {
            return said;
        }
    };
    assert_eq!(told(false).trim(), "READY=1");
    told(true);
    told(true);
    running.signal(Signal::HUP);
    let reloading = told(false);
    let (first, since) = reloading.trim().split_once('\n').unwrap();
    assert_eq!(first, "RELOADING=1");
    assert!(since.strip_prefix("MONOTONIC_USEC=").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(told(false).trim(), "READY=1");
    running.signal(Signal::TERM);
    assert_eq!(told(false).trim(), "STOPPING=1");
    assert!(running.ends_within(Duration::from_secs(60)).unwrap().success(), "{}", running.log());
}

#[test]
fn a_path_may_be_longer_than_the_address_of_a_socket() {
    let node = Node::new();
    let dir = Path::new(&node.path("a")).join("b".repeat(120)).join("c".repeat(120));
    let command = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        command.args(args).env("TANDEM_DATA_DIR", &dir);
        command
    };
    let running = Running::spawn(command(&["node", "--offline"]));
    assert!(running.ready.contains("control.sock"), "{}", running.ready);
    let made = command(&["workspace", "new", "Deep"]).output().unwrap();
    assert!(text(&made.stdout).contains("made workspace Deep"), "{made:?}");
    running.stop();
}
