//! Who judges in a world with servers: what the owner binds them to, and what they are asked to judge by.

use super::{
    malice::Malice,
    members,
    peer::Peer,
    policies, values,
    world::{Happening, World},
};
use crate::{
    chance::{Ratio, Stream},
    options::Profile,
};
use std::{collections::BTreeSet, sync::Arc};
use tandem_actors::{Command, command::ServerChange};
use tandem_storage::engine::Engine;
use tandem_storage::{
    fold::{Design, incremental::Fold, terms::Term},
    log::LogReader,
    outbox,
};
use tandem_wire::{BindingMode, ChainId, DeviceKey, ListId, Scope};

/// When the owner looks after its servers first, and how often from then on, at most.
pub(super) const MIND_FROM_US: u64 = 400_000;
const MIND_US: u64 = 200_000;
/// How often the owner binds a server anew or lets one go, without need, and takes it back.
const REBOUND: Ratio = Ratio(1, 30);
const LET_GO: Ratio = Ratio(1, 60);
const TAKEN_BACK: Ratio = Ratio(1, 3);
/// How often a server's operator thinks of other rules, and of some where there are none.
const OTHER_POLICY: Ratio = Ratio(1, 5);
const FIRST_POLICY: Ratio = Ratio(3, 4);

/// The servers of a world.
pub(super) struct Servers {
    pub(super) stream: Stream,
    pub(super) seats: Vec<Seat>,
}

/// A server: the node, and what it is to judge.
pub(super) struct Seat {
    pub(super) node: usize,
    mode: BindingMode,
    share: Share,
    /// How many rules a list of it has, at most.
    rules_max: u64,
    /// No link ever joins it to this node, if any: each hears of the other through others.
    avoids: Option<usize>,
    /// It lies.
    pub(super) malice: Option<Malice>,
}

/// The part of the workspace that a server judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    Whole,
    /// Every other list.
    Half(u8),
}

impl Servers {
    /// For a world of so many members, whose nodes come first.
    pub(super) fn draw(mut stream: Stream, members: usize, profile: Profile) -> Self {
        let (binding, mirror) = (BindingMode::Binding, BindingMode::Mirror);
        let posts = match stream.below(8) {
            1..=5 if profile == Profile::Designs => vec![(binding, Share::Whole)],
            1..=5 if profile == Profile::Values => vec![(binding, Share::Whole), (mirror, Share::Whole)],
            0..=3 => vec![(binding, Share::Whole)],
            4 | 5 => vec![(binding, Share::Half(0)), (binding, Share::Half(1))],
            6 => vec![(binding, Share::Whole), (mirror, Share::Whole)],
            _ => vec![(binding, Share::Half(0)), (mirror, Share::Half(0))],
        };
        let seats = posts.into_iter().enumerate().map(|(index, (mode, share))| Seat {
            node: members + index,
            mode,
            share,
            rules_max: 2 + stream.below(4),
            avoids: stream.happens(Ratio(1, 2)).then(|| 1 + stream.below(members as u64 - 1) as usize),
            malice: Malice::draw(&mut stream),
        });
        let seats = seats.collect();
        Self { stream, seats }
    }

    /// Whether this node is one.
    pub(super) fn is_one(&self, node: usize) -> bool {
        self.seats.iter().any(|seat| seat.node == node)
    }

    /// One of them.
    pub(super) fn pick(&mut self) -> usize {
        self.stream.pick(&self.seats).expect("there is one").node
    }

    /// Whether these two are never linked.
    pub(super) fn are_apart(&self, (a, b): (usize, usize)) -> bool {
        let avoids = |one, other| self.seats.iter().any(|seat| seat.node == one && seat.avoids == Some(other));
        avoids(a, b) || avoids(b, a)
    }
}

impl Seat {
    /// The lists that it is to judge; none: all there are.
    fn lists(&self, fold: &Fold) -> Option<Vec<ListId>> {
        let Share::Half(parity) = self.share else { return None };
        Some(fold.design().lists().filter(|list| list.0[0] & 1 == parity).collect())
    }

    /// What the owner must do about it before it judges what it is to judge, as the owner's node knows it.
    fn need(&self, fold: &Fold, server: &Peer) -> Option<ServerChange> {
        let authority = ChainId { device: server.device(), number: server.pair };
        let (terms, lists) = (present(fold, authority.device), self.lists(fold));
        let term = terms.first();
        if lists.as_ref().is_some_and(Vec::is_empty) {
            return None;
        }
        let is_whole = term.is_some_and(|term| match (&term.bind.scope, &lists) {
            (Scope::Workspace, None) => true,
            (Scope::Lists(own), Some(lists)) => lists.iter().all(|list| own.contains(list)),
            (Scope::Workspace, Some(_)) | (Scope::Lists(_), None) => false,
        });
        let is_proved = term.is_some_and(|term| term.chain() == authority && !fold.is_at_fault(&term.binding));
        // An owner whose chain forked may have bound it twice.
        (!is_whole || !is_proved || terms.len() > 1).then(|| self.bind(authority, lists, &terms))
    }

    fn bind(&self, authority: ChainId, lists: Option<Vec<ListId>>, terms: &[&Term]) -> ServerChange {
        let replaces = terms.iter().map(|term| term.binding).collect();
        ServerChange::Bind { authority, lists, mode: self.mode, replaces }
    }
}

/// The present terms of a server.
fn present(fold: &Fold, server: DeviceKey) -> Vec<&Term> {
    fold.present_terms().filter(|term| term.chain().device == server).collect()
}

impl World {
    /// The owner looks after its servers, and their operators after the rules.
    pub(super) fn mind_servers(&mut self) {
        let Some(mut servers) = self.servers.take() else { return };
        let in_us = 1 + servers.stream.below(MIND_US);
        self.queue.plan(in_us, Happening::Mind);
        for index in 0..servers.seats.len() {
            self.mind(&servers.seats[index], &mut servers.stream);
            if servers.seats[index].malice == Some(Malice::Withholds) {
                self.keep_silent(&mut servers.stream, servers.seats[index].node);
            }
            let thinks = if self.has_rules(&servers.seats[index]) { OTHER_POLICY } else { FIRST_POLICY };
            if !self.is_healed && servers.stream.happens(thinks) {
                self.think_of_rules(&servers.seats[index], &mut servers.stream);
            }
        }
        self.servers = Some(servers);
    }

    fn mind(&mut self, seat: &Seat, stream: &mut Stream) {
        let Some(owner) = self.peers[0].store() else { return };
        if self.peers[0].commands.iter().any(|command| matches!(command, Command::Servers(_))) {
            return;
        }
        let (fold, server) = (owner.fold(), &self.peers[seat.node]);
        if fold.role_of(server.device()).is_none() {
            // A crash took the owner's first commands.
            if !self.peers[0].is_busy() {
                let again = members::admissions(stream, &self.devices[1..]).swap_remove(seat.node - 1);
                self.peers[0].commands.push_back(again);
                members::as_reader(self.peers[0].commands.back_mut().expect("just put there"));
                self.wake(0);
            }
            return;
        }
        let terms = present(fold, server.device());
        let term = terms.first();
        let may_change = !self.is_healed && term.is_some();
        let need = seat.need(fold, server).filter(|_| term.is_some() || self.is_healed || stream.happens(TAKEN_BACK));
        let change = match need {
            Some(change) => change,
            None if may_change && stream.happens(REBOUND) => {
                let authority = ChainId { device: server.device(), number: server.pair };
                seat.bind(authority, seat.lists(fold), &terms)
            }
            None if may_change && stream.happens(LET_GO) => ServerChange::Unbind(term.expect("it may").binding),
            None => return,
        };
        if term.is_some_and(|term| term.chain().number != server.pair) {
            self.trace.mark("server-fresh-pair");
        }
        self.trace.mark(match &change {
            ServerChange::Bind { replaces, .. } if replaces.is_empty() => "bound",
            ServerChange::Bind { .. } => "rebound",
            ServerChange::Unbind(_) => "unbound",
        });
        let command = Command::Servers(change);
        self.line(0, "command", &crate::workload::describe(&command));
        self.peers[0].commands.push_back(command);
        self.wake(0);
    }

    /// Whether it has a rule for each list that there is.
    fn has_rules(&self, seat: &Seat) -> bool {
        let (Some(design), Some(policy)) = (self.ruled(seat), &self.peers[seat.node].policy) else { return true };
        design.lists().all(|list| policy.rules.iter().any(|rule| rule.list == list))
    }

    /// What an operator reads to write rules: the owner tells of lists before the server hears of them.
    fn ruled(&self, seat: &Seat) -> Option<&Arc<Design>> {
        let stores = [0, seat.node].into_iter().filter_map(|at| self.peers[at].store());
        stores.map(|store| store.fold().design()).find(|design| design.lists().next().is_some())
    }

    fn think_of_rules(&mut self, seat: &Seat, stream: &mut Stream) {
        let Some(design) = self.ruled(seat).cloned() else { return };
        let policy = if self.options.profile == Profile::Values {
            let words = &mut self.peers[seat.node].words;
            values::name_all(stream, seat.node, &design, words);
            values::policy(stream, &design, words, seat.rules_max)
        } else {
            policies::draw(stream, &design, seat.rules_max)
        };
        let rules = policy.rules.len();
        let peer = &mut self.peers[seat.node];
        if let Some(core) = &mut peer.core {
            core.set_policy(policy.clone());
        }
        (peer.policy, peer.must_sit) = (Some(policy), true);
        self.line(seat.node, "policy", &format!("{rules} rules"));
        self.wake(seat.node);
    }

    /// What is still to be done before everything is judged, in words.
    pub(super) fn unjudged(&self) -> Option<String> {
        let (servers, owner) = (self.servers.as_ref()?, self.peers[0].store()?);
        let fold = owner.fold();
        if let Some(seat) = servers.seats.iter().find(|seat| seat.need(fold, &self.peers[seat.node]).is_some()) {
            return Some(format!("n{} is not bound", seat.node));
        }
        let snapshot = owner.engine().snapshot();
        let log = LogReader::new(&snapshot, owner.workspace());
        let devices: BTreeSet<DeviceKey> = fold.chains().map(|(chain, _)| chain.device).collect();
        for term in fold.present_terms() {
            for device in &devices {
                let waiting = outbox::waiting(fold, &snapshot, &log, term, *device).expect("memory can be read");
                if let Some(first) = waiting.first() {
                    let by = self.devices.iter().position(|other| other == device);
                    return Some(format!("{} events of {by:?} are not judged, as {first:?}", waiting.len()));
                }
            }
        }
        None
    }
}
