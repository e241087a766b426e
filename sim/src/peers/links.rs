//! Links: who dials whom, what the sessions at their ends say, and what becomes of it on the way.

use super::{
    checks, known_runs,
    net::Way,
    peer::{End, LinkId},
    world::{Happening, REDIAL_US, STEP_US, World},
};
use crate::{checks::Violation, disk::Disk, planted::Planted};
use tandem_actors::peer_link::{Closed, Ends, Frames, Output, PeerSession, Standing, framed};
use tandem_storage::Store;
use tandem_wire::message::{Message, Side, State, Taken};

/// A stream between two nodes.
pub(super) struct Link {
    pub(super) nodes: [usize; 2],
    secret: [u8; 32],
    ways: [Way; 2],
    /// Of the hostile member's links nobody knows.
    pub(super) edge: Option<usize>,
    /// Nothing comes through any more.
    is_cut: bool,
}

impl World {
    /// Hands something to the session at one end of a link, and does what it says.
    pub(super) fn tell(
        &mut self,
        link: LinkId,
        end: usize,
        input: impl FnOnce(&mut PeerSession, u64) -> Vec<Output>,
    ) -> Result<(), Violation> {
        let Some(at) = self.links.get(&link).map(|link| link.nodes[end]) else { return Ok(()) };
        if self.is_hostile(at) {
            return Ok(());
        }
        let now_ms = self.clock_ms(at);
        let Some(session) = self.peers[at].ends.get_mut(&link).and_then(|end| end.session.as_mut()) else {
            return Ok(());
        };
        let outputs = input(session, now_ms);
        self.carry_out(link, end, outputs)?;
        self.check_standing(link, end)
    }

    pub(super) fn carry_out(&mut self, link: LinkId, end: usize, outputs: Vec<Output>) -> Result<(), Violation> {
        for output in outputs {
            let Some(at) = self.links.get(&link).map(|link| link.nodes[end]) else { return Ok(()) };
            match output {
                Output::Send(message) => {
                    if let Ok(Message::Table(part)) = Message::decode(&message) {
                        if part.since_agreed {
                            self.trace.mark("resumed-with-a-delta");
                        }
                        if part.round > 0 {
                            self.trace.mark("round-again");
                        }
                    }
                    let message = match self.options.planted {
                        Some(Planted::TableAdopted) => self.adopting(link, at, message),
                        _honest => message,
                    };
                    self.send(link, end, &framed(&message));
                }
                Output::Fetch(theirs) => {
                    let in_us = 1 + self.streams.pace.below(STEP_US);
                    self.queue.plan(in_us, Happening::Fetch(link, end, theirs));
                }
                Output::Part(theirs) => {
                    self.trace.mark("parted");
                    self.queue.plan(1, Happening::Part(link, end, theirs));
                }
                Output::Peers(_) => {}
                Output::Find(chain) => self.queue.plan(1, Happening::Find(link, end, chain)),
                Output::Take(mut runs) => {
                    if self.options.planted == Some(Planted::ForkBranchDropped) {
                        let store = self.peers[at].store().expect("up");
                        runs.retain(|run| !checks::forks(store, &run.events()[0]));
                    }
                    self.peers[at].takes.push_back((link, runs));
                    self.wake(at);
                    if self.options.planted == Some(Planted::TableAdopted) {
                        self.tell(link, end, |session, _| session.taken(1))?;
                    }
                }
                Output::Agreed => {
                    self.trace.mark("agreed");
                    let peer = &mut self.peers[at];
                    let other = self.devices[self.links[&link].nodes[1 - end]];
                    let session = peer.ends[&link].session.as_ref().expect("it speaks");
                    peer.agreed.insert(other, session.agreed().expect("just agreed").clone());
                }
                Output::Close(closed) => {
                    self.trace.mark(match closed {
                        Closed::ByPeer(_) => "closed-by-peer",
                        Closed::Violation(_) if self.is_hostile(self.links[&link].nodes[1 - end]) => "hostile-caught",
                        Closed::Violation(why) => {
                            let details = format!("node {at} says: {why}");
                            return Violation::of("honest-nodes-keep-the-protocol", details);
                        }
                        Closed::Newer(_) => "closed-newer",
                        Closed::Dead => "closed-dead",
                        Closed::Removed => "closed-removed",
                    });
                    self.line(at, "close", &closed.to_string());
                    self.peers[at].ends.remove(&link);
                    self.hang_up_other(link, end);
                }
            }
        }
        Ok(())
    }

    /// The message of a node that takes the other's word for what it has itself.
    fn adopting(&self, link: LinkId, at: usize, message: Vec<u8>) -> Vec<u8> {
        let heard = self.peers[at].ends.get(&link).and_then(|end| end.heard);
        match (Message::decode(&message), heard) {
            (Ok(Message::Taken(taken)), Some(table)) => {
                Message::Taken(Taken { state: State { table, is_through: true }, ..taken }).encode()
            }
            _other => message,
        }
    }

    pub(super) fn check_standing(&mut self, link: LinkId, end: usize) -> Result<(), Violation> {
        let Some(nodes) = self.links.get(&link).map(|link| link.nodes) else { return Ok(()) };
        if nodes.into_iter().any(|node| self.is_hostile(node)) {
            return Ok(());
        }
        let (peer, other) = (&self.peers[nodes[end]], &self.peers[nodes[1 - end]]);
        let Some(session) = peer.ends.get(&link).and_then(|end| end.session.as_ref()) else { return Ok(()) };
        if session.standing() == Standing::Different {
            self.trace.mark("different");
        }
        if peer.store().is_some() { checks::up_to_date_is_true(peer, session.standing(), other) } else { Ok(()) }
    }

    pub(super) fn send(&mut self, link: LinkId, end: usize, bytes: &[u8]) {
        let Some(found) = self.links.get_mut(&link).filter(|found| !found.is_cut) else { return };
        let (from, to) = (found.nodes[end], found.nodes[1 - end]);
        let blocked = self.blocked.iter().filter(|blocked| (blocked.from, blocked.to) == (from, to));
        let until = blocked.map(|blocked| blocked.until_us).max().unwrap_or(0);
        let now = self.queue.now_us();
        let cap = self.throttled.get(&from).or(self.throttled.get(&to)).copied();
        let passage = self.weather.pass(&mut self.streams.net, &mut found.ways[end], (now, until), bytes.len(), cap);
        passage.marks.iter().for_each(|mark| self.trace.mark(mark));
        self.queue.plan(passage.at_us - now, Happening::Bytes(link, 1 - end, bytes.to_vec()));
    }

    pub(super) fn bytes(&mut self, link: LinkId, end: usize, bytes: &[u8]) -> Result<(), Violation> {
        let Some(found) = self.links.get(&link) else { return Ok(()) };
        let at = found.nodes[end];
        if let Some(hostile) = self.hostile.as_mut().filter(|_| at == self.peers.len()) {
            let answer = hostile.hear(link, bytes);
            if !answer.is_empty() {
                self.send(link, end, &answer);
            }
            return Ok(());
        }
        let Some(half) = self.peers[at].ends.get_mut(&link) else { return Ok(()) };
        half.frames.push(bytes);
        loop {
            let Some(half) = self.peers[at].ends.get_mut(&link) else { return Ok(()) };
            let frame = match half.frames.take() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error) => return self.refuse(link, end, &error.to_string()),
            };
            if self.options.planted == Some(Planted::TableAdopted)
                && let Ok(Message::Runs(runs)) = Message::decode(&frame)
            {
                half.heard = Some(runs.state.table);
            }
            if half.session.is_some() {
                self.tell(link, end, |session, now_ms| session.frame(now_ms, &frame))?;
            } else {
                self.answer(link, end, &frame)?;
            }
        }
    }

    /// What came is no dialogue at all: it costs the link.
    fn refuse(&mut self, link: LinkId, end: usize, why: &str) -> Result<(), Violation> {
        let nodes = self.links[&link].nodes;
        if !self.is_hostile(nodes[1 - end]) {
            return Violation::of("honest-nodes-keep-the-protocol", why);
        }
        self.trace.mark("hostile-caught");
        self.line(nodes[end], "refuse", why);
        self.peers[nodes[end]].ends.remove(&link);
        self.hang_up_other(link, end);
        Ok(())
    }

    /// Somebody dialled, and this is the first that is heard of it.
    pub(super) fn answer(&mut self, link: LinkId, end: usize, frame: &[u8]) -> Result<(), Violation> {
        let (at, ends) = (self.links[&link].nodes[end], self.ends(link, end));
        let now_ms = self.clock_ms(at);
        let fold = self.peers[at].store().expect("a node that is down has no ends").fold().clone();
        let hello = match Message::decode(frame) {
            Ok(Message::Hello(hello)) if ends.is_meant_by(&hello.tag) => hello,
            other => return self.refuse(link, end, &format!("{other:?} comes first")),
        };
        if !fold.members().knows(ends.peer) {
            self.trace.mark("stranger");
            self.peers[at].ends.remove(&link);
            self.hang_up_other(link, end);
            return Ok(());
        }
        let agreed = self.peers[at].agreed.get(&ends.peer).cloned();
        let (session, outputs) = PeerSession::listen(ends, fold, agreed, Some(&hello), now_ms);
        let half = self.peers[at].ends.get_mut(&link).expect("it has this end");
        half.frames.open();
        half.session = Some(session.verifying_by(known_runs::verify));
        self.carry_out(link, end, outputs)
    }

    pub(super) fn dial(&mut self, edge: usize) -> Result<(), Violation> {
        let (dialer, listener) = self.edges[edge];
        let is_up = |at: usize| self.peers[at].store().is_some();
        let is_blocked =
            self.blocked.iter().any(|b| (b.from, b.to) == (dialer, listener) || (b.from, b.to) == (listener, dialer));
        let is_linked = self.links.values().any(|link| link.edge == Some(edge));
        if is_linked {
            return Ok(());
        }
        if !is_up(dialer) || !is_up(listener) || is_blocked {
            self.redial(edge);
            return Ok(());
        }
        let link = self.new_link([dialer, listener], Some(edge));
        let mut frames = Frames::new();
        frames.open();
        let (ends, now_ms) = (self.ends(link, 0), self.clock_ms(dialer));
        let (fold, agreed) = {
            let peer = &self.peers[dialer];
            (peer.store().expect("up").fold().clone(), peer.agreed.get(&ends.peer).cloned())
        };
        if agreed.is_some() {
            self.trace.mark("dialled-again");
        }
        let (session, outputs) = PeerSession::dial(ends, fold, agreed, None, now_ms);
        self.peers[dialer]
            .ends
            .insert(link, End { session: Some(session.verifying_by(known_runs::verify)), frames, heard: None });
        self.peers[listener].ends.insert(link, End { session: None, frames: Frames::new(), heard: None });
        self.line(dialer, "dial", &format!("n{listener}"));
        self.carry_out(link, 0, outputs)
    }

    pub(super) fn new_link(&mut self, nodes: [usize; 2], edge: Option<usize>) -> LinkId {
        let (link, secret) = (self.next_link, self.streams.net.bytes());
        self.next_link += 1;
        self.links.insert(link, Link { nodes, secret, ways: [Way::default(); 2], edge, is_cut: false });
        link
    }

    pub(super) fn is_hostile(&self, node: usize) -> bool {
        node == self.peers.len()
    }

    fn drop_end(&mut self, link: LinkId, node: usize) {
        match self.hostile.as_mut().filter(|_| node == self.peers.len()) {
            Some(hostile) => drop(hostile.talks.remove(&link)),
            None => drop(self.peers[node].ends.remove(&link)),
        }
    }

    pub(super) fn redial(&mut self, edge: usize) {
        let in_us = 1 + self.streams.pace.below(REDIAL_US);
        self.queue.plan(in_us, Happening::Dial(edge));
    }

    pub(super) fn ends(&self, link: LinkId, end: usize) -> Ends {
        let Link { nodes, secret, .. } = &self.links[&link];
        Ends {
            workspace: self.workspace,
            own: self.devices[nodes[end]],
            peer: self.devices[nodes[1 - end]],
            side: if end == 0 { Side::Dialer } else { Side::Listener },
            secret: *secret,
        }
    }

    pub(super) fn session_at(&self, link: LinkId, end: usize) -> Option<(&Store<Disk>, &PeerSession)> {
        let peer = &self.peers[self.links.get(&link)?.nodes[end]];
        Some((peer.store()?, peer.ends.get(&link)?.session.as_ref()?))
    }

    pub(super) fn end_of(&self, link: LinkId, at: usize) -> usize {
        self.links.get(&link).map_or(0, |link| usize::from(link.nodes[1] == at))
    }

    /// What is under way, behind whatever held it up, comes out at once, in its order.
    pub(super) fn let_through(&mut self) {
        let held_up = self.queue.retract(|what| matches!(what, Happening::Bytes(..) | Happening::Hangup(..)));
        let last_us = self.queue.now_us() + held_up.len() as u64;
        held_up.into_iter().enumerate().for_each(|(index, what)| self.queue.plan(1 + index as u64, what));
        // A stream keeps its order: what is sent from now on comes behind them.
        self.links.values_mut().for_each(|link| link.ways = [Way::busy_until(last_us); 2]);
    }

    /// One end is gone; the other hears of it after what is on its way.
    pub(super) fn hang_up_other(&mut self, link: LinkId, end: usize) {
        let Some(found) = self.links.get(&link) else { return };
        let now = self.queue.now_us();
        let at_us = found.ways[end].busy_until_us().max(now) + 1;
        self.queue.plan(at_us - now, Happening::Hangup(link, 1 - end));
    }

    pub(super) fn hang_up(&mut self, link: LinkId, end: usize) {
        let Some(found) = self.links.get(&link) else { return };
        let (at, other, edge) = (found.nodes[end], found.nodes[1 - end], found.edge);
        self.drop_end(link, at);
        let is_held = match self.hostile.as_ref().filter(|_| self.is_hostile(other)) {
            Some(hostile) => hostile.talks.contains_key(&link),
            None => self.peers[other].ends.contains_key(&link),
        };
        if is_held {
            self.hang_up_other(link, end);
        } else {
            self.links.remove(&link);
            edge.into_iter().for_each(|edge| self.redial(edge));
        }
    }

    /// A link is cut: of what is on its way, some comes out in part, the rest is lost.
    pub(super) fn cut(&mut self, link: LinkId) {
        let Some(found) = self.links.get_mut(&link).filter(|found| !found.is_cut) else { return };
        found.is_cut = true;
        let nodes = found.nodes;
        let lost = self.queue.retract(|happening| matches!(happening, Happening::Bytes(other, ..) if *other == link));
        if let Some(Happening::Bytes(_, end, mut bytes)) = lost.into_iter().next() {
            bytes.truncate(bytes.len() / 2);
            self.trace.mark("cut-in-mid-frame");
            self.queue.plan(1, Happening::Bytes(link, end, bytes));
        }
        self.trace.mark("cut");
        self.line(nodes[0], "cut", &format!("n{}", nodes[1]));
        for end in 0..2 {
            let in_us = 2 + self.streams.net.below(REDIAL_US);
            self.queue.plan(in_us, Happening::Hangup(link, end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::{Blocked, Weather};
    use super::*;
    use crate::options::Options;

    #[test]
    fn what_is_sent_after_healing_does_not_overtake_what_was_held_up() {
        let mut world = World::new(1, Options::default());
        let link = world.new_link([0, 1], None);
        world.weather = Weather::clear();
        world.blocked.push(Blocked { from: 0, to: 1, until_us: 1_000_000 });
        // More than what is sent then takes microseconds on its way.
        (0..3000_u16).for_each(|number| world.send(link, 0, &number.to_be_bytes()));
        world.blocked.clear();
        world.let_through();
        world.send(link, 0, &3000_u16.to_be_bytes());
        let out = std::iter::from_fn(|| world.queue.advance()).filter_map(|happening| match happening {
            Happening::Bytes(of, _, bytes) if of == link => Some(u16::from_be_bytes([bytes[0], bytes[1]])),
            _another => None,
        });
        assert!(out.eq(0..=3000));
    }
}
