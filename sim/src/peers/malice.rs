//! Servers that lie: they say a second thing about an event, write two chains, or say nothing for a while.
//!
//! Members must see the first two, everywhere alike; nobody can tell the third from a server that is slow.

use super::{checks, peer::Peer, world::World};
use crate::{
    chance::{Ratio, Stream},
    node::WORKSPACE,
};
use std::collections::{BTreeMap, BTreeSet};
use tandem_storage::{
    EngineError,
    engine::{Batch, Durability, Engine, Table},
    log,
};
use tandem_wire::{Act, DeviceKey, Event, Header, Outcome, Payload, Run, Verdict};

/// How often a server is one of these, and how often it lies after it has judged.
const MALICIOUS: Ratio = Ratio(1, 4);
const LIE: Ratio = Ratio(1, 8);
/// How often one that keeps silent does so, each time the owner looks after its servers.
const SILENCE: Ratio = Ratio(1, 2);

/// What a server does on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malice {
    /// It accepts what it refused, or once more what it accepted.
    Contradicts,
    /// It puts another event at the place of its last verdict, and goes on in new chains.
    Forks,
    /// It judges nothing for a while.
    Withholds,
}

impl Malice {
    pub(super) fn draw(stream: &mut Stream) -> Option<Self> {
        if !stream.happens(MALICIOUS) {
            return None;
        }
        stream.pick(&[Self::Contradicts, Self::Contradicts, Self::Forks, Self::Withholds]).copied()
    }
}

impl World {
    /// Servers that say what is not so; who keeps silent says nothing wrong.
    pub(super) fn liars(&self) -> BTreeSet<DeviceKey> {
        let seats = self.servers.iter().flat_map(|servers| &servers.seats);
        seats
            .filter(|seat| seat.malice.is_some_and(|malice| malice != Malice::Withholds))
            .map(|seat| self.devices[seat.node])
            .collect()
    }

    /// After a server has judged.
    pub(super) fn lie(&mut self, at: usize) -> Result<(), EngineError> {
        let Some(servers) = &mut self.servers else { return Ok(()) };
        let Some(seat) = servers.seats.iter().find(|seat| seat.node == at) else { return Ok(()) };
        let Some(malice) = seat.malice.filter(|_| !self.is_healed && servers.stream.happens(LIE)) else {
            return Ok(());
        };
        let peer = &mut self.peers[at];
        if peer.is_judging() || !peer.judges() {
            return Ok(());
        }
        let said = match malice {
            Malice::Contradicts => say_again(peer, false)?.then_some("contradicted"),
            Malice::Forks if say_again(peer, true)? => {
                peer.begin_pair();
                Some("forked-verdicts")
            }
            Malice::Forks | Malice::Withholds => None,
        };
        if let Some(mark) = said {
            self.trace.mark(mark);
            self.line(at, "lie", mark);
        }
        Ok(())
    }

    /// Each time the owner looks after its servers.
    pub(super) fn keep_silent(&mut self, stream: &mut Stream, at: usize) {
        let is_silent = !self.is_healed && stream.happens(SILENCE);
        if is_silent {
            self.trace.mark("withheld");
        }
        let peer = &mut self.peers[at];
        (peer.is_silent, peer.must_sit) = (is_silent, true);
        self.wake(at);
    }
}

/// Has a server accept the event that its last verdict is about, after that or in its place. Says whether it could.
pub(super) fn say_again(peer: &mut Peer, in_its_place: bool) -> Result<bool, EngineError> {
    let Some(core) = &mut peer.core else { return Ok(false) };
    let own = checks::events(&peer.disk).into_iter().filter(|event| event.header().chain == core.control_chain());
    let Some(last) = own.max_by_key(|event| event.header().seq) else { return Ok(false) };
    let verdict = last.header().ops.iter().rev().find_map(|op| match &op.act {
        Act::Verdict(verdict) => Some((op.clone(), **verdict)),
        _other => None,
    });
    let Some((mut op, verdict)) = verdict else { return Ok(false) };
    op.act = Act::Verdict(Box::new(Verdict { count: 1, outcome: Outcome::Accept, ..verdict }));
    let header = if in_its_place {
        Header { wall_ms: last.header().wall_ms + 1, ops: vec![op], ..last.header().clone() }
    } else {
        let (seq, lamport) = (last.header().seq + 1, last.header().lamport + 1);
        Header { seq, prev: Some(last.id()), deps: vec![], lamport, ops: vec![op], ..last.header().clone() }
    };
    let event = Event::new(header, Payload::of([Vec::new()])).expect("as the one before");
    peer.kept.insert(event.id());
    let mut batch = Batch::default();
    let run = Run::seal(&[event], &peer.key).expect("one event");
    batch.put(Table::Log, log::key(WORKSPACE, core.store().next_arrival()), run);
    peer.disk.commit(batch, Durability::Synced)?;
    core.catch_up(BTreeMap::new(), &mut |_, _| {})?;
    Ok(true)
}
