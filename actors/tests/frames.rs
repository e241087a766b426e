//! A session, whatever frames come: what the fuzzer does (see `fuzz/README.md`), over inputs that are the same every
//! time.

#[path = "../../fuzz/src/session/mod.rs"]
mod session;

use self::session::{
    prepared::{Prepared, bob, stranger},
    session,
};
use std::{fs, path::Path};
use tandem_actors::peer_link::{Closed, Ends, Output, PeerSession};
use tandem_storage::lacking::Lacking;
use tandem_wire::{
    ChainId, DeviceKey, EventId, EventRef, Run, TableDigest,
    limits::TABLE_ENDS_MAX,
    message::{Hello, Message, PROTOCOL, RunBytes, Runs, Side, State, TablePart, tag},
};

const INPUTS: u32 = 4_000;
const BYTES: usize = 160;

/// Everything that happens to a session, but for the tables that are too large for a small input.
const EXPECTED: [&str; 33] = [
    "a frame cannot be read",
    "a run is damaged or forged",
    "agreed",
    "closed by the peer",
    "closed: dead",
    "closed: newer",
    "closed: removed",
    "fetch",
    "find",
    "it greets for another workspace",
    "it greets twice",
    "it is rounds ahead",
    "it sends more than there is room for",
    "it tells places of a chain that is not here",
    "it tells what differs from nothing",
    "it took in what was not sent",
    "its table is not in order",
    "part",
    "peers",
    "places come before the table",
    "sends Bye",
    "sends Hello",
    "sends Join",
    "sends Peers",
    "sends Ping",
    "sends Points",
    "sends Pong",
    "sends Runs",
    "sends Table",
    "sends Table again",
    "sends Taken",
    "something came before the greeting",
    "take",
];

#[test]
fn whatever_comes_a_session_keeps_its_promises() {
    let mut all = session(&from_who_never_stops());
    for number in 0..INPUTS {
        let mut bytes = [0; BYTES];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
        all.extend(session(&bytes));
    }
    // None of its promises was kept for want of an occasion.
    assert_eq!(all, EXPECTED.into());
}

/// Long runs, again and again, while the disk takes in nothing: random choices end earlier than that.
fn from_who_never_stops() -> Vec<u8> {
    let prepared = Prepared::get();
    let long = prepared.runs.iter().position(|run| run.len() > 30_000).unwrap() as u8;
    // Bob dials, his greeting says that he has something else, and the disk is stuck.
    let begin = [0, 0, 0, 0, 0, 3, 9, 0, 0, 0, 0, 255];
    // A message of 7 runs, none of them damaged, from one who has sent everything and has the same.
    let runs = [0, 0, 0, long, 7, 0, 0, 0];
    [&begin[..], &runs.repeat(20)].concat()
}

#[test]
fn seeds_break_no_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/session");
    let seeds: Vec<_> = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
    assert!(seeds.len() > 5, "{} seeds", seeds.len());
    seeds.iter().for_each(|bytes| drop(session(bytes)));
}

#[test]
fn what_is_kept_of_a_peers_chains_is_bounded() {
    let (prepared, secret) = (Prepared::get(), [7; 32]);
    let (here, peer) = (prepared.ada(), bob().device());
    let ends = Ends { workspace: prepared.workspace, own: here.device(), peer, side: Side::Listener, secret };
    let hello = Hello {
        protocol: PROTOCOL,
        tag: tag(prepared.workspace, &secret, peer, Side::Dialer),
        state: TableDigest([0; 32]),
        agreed: None,
        clock_ms: 0,
    };
    let (mut session, _) = PeerSession::listen(ends, here.core.store().fold().clone(), None, Some(&hello), 0);
    let mut hear = |message: Message| {
        let outputs = session.frame(0, &message.encode());
        let closed = outputs.iter().find_map(|output| match output {
            Output::Close(closed) => Some(*closed),
            _other => None,
        });
        for output in outputs {
            if let Output::Fetch(then) = output {
                session.fetched(Lacking { then, is_all: true, ..Lacking::default() });
            }
        }
        closed
    };
    // As many chains as a table may have: that is allowed.
    let chain = |number: usize| ChainId { device: DeviceKey([9; 32]), number: number as u32 };
    let table = (0..TABLE_ENDS_MAX).map(|number| EventRef { chain: chain(number), seq: 0, id: EventId([1; 32]) });
    let parts = TablePart::of(&table.collect(), 0, false);
    assert!(parts.len() > 1 && parts.into_iter().all(|part| hear(Message::Table(part)).is_none()));
    // A run by somebody whom nobody named is left out, and still tells of one more.
    let run = prepared.runs.iter().find(|run| by_stranger(run)).unwrap();
    let state = State { table: TableDigest([0; 32]), is_through: false };
    let runs = || Message::Runs(Runs { runs: vec![RunBytes(run.clone()); 1024], state });
    let closed: Vec<_> = (0..4).map(|_| hear(runs())).collect();
    let violation = Some(Closed::Violation("its chains are beyond all measure"));
    assert_eq!(closed, [None, None, None, violation]);
}

fn by_stranger(run: &[u8]) -> bool {
    Run::decode(run).unwrap().events()[0].header().chain.device == stranger().device()
}
