//! What people do, and the operators of servers.

use super::{answers, designs, members, values, world::World};
use crate::{chance::Ratio, options::Profile, workload};
use tandem_actors::workspace::Core;
use tandem_wire::{DeviceKey, Role};

/// How often somebody acts who may not write.
const OUT_OF_ROLE: Ratio = Ratio(1, 60);
/// How often a manager does something about members.
const MEMBER_CHANGE: Ratio = Ratio(1, 100);
/// Where there are servers, how often somebody answers a refusal, and a field is made unique or required.
const ANSWER: Ratio = Ratio(1, 7);
/// How often somebody wants a refused event to be sent again by itself.
const WISH: Ratio = Ratio(1, 30);
const CONSTRAINT: Ratio = Ratio(1, 40);
/// How often the operator of a server wants another design.
const OTHER_DESIGN: Ratio = Ratio(1, 2);
const NEW_LIST: Ratio = Ratio(1, 8);

impl World {
    /// Somebody whose node is up does something; now and then somebody who may not.
    pub(super) fn commands(&mut self, count: u64) {
        let stream = &mut self.streams.workload;
        let least = if stream.happens(OUT_OF_ROLE) { None } else { Some(Role::Writer) };
        let able: Vec<usize> = (0..self.peers.len())
            .filter(|at| self.may_write(*at, least) && self.peers[*at].has_something_to_do())
            .collect();
        let Some(at) = self.streams.workload.pick(&able).copied() else {
            self.trace.mark("nobody-there");
            return;
        };
        for _ in 0..count {
            self.command(at);
        }
        self.wake(at);
    }

    /// Whether somebody at this node may do something: as who has at least this role, or as a server in its lists.
    fn may_write(&self, at: usize, least: Option<Role>) -> bool {
        let peer = &self.peers[at];
        let is_server = || self.servers.as_ref().is_some_and(|servers| servers.is_one(at));
        peer.role() >= least
            || is_server() && peer.store().is_some_and(|store| store.fold().is_authority(peer.device()))
    }

    /// Now and then somebody wants a refused event to be sent again by itself.
    fn wish(&mut self, at: usize) {
        let Some(servers) = &mut self.servers else { return };
        if servers.stream.happens(WISH)
            && let Some(event) = answers::listed(&mut servers.stream, &self.peers[at])
            && self.peers[at].retry_when_changed(&event)
        {
            self.line(at, "wish", "to send it again by itself");
        }
    }

    /// Now and then a server's operator wants another design. Says whether this time.
    fn design(&mut self, at: usize) -> bool {
        let Some(servers) = &mut self.servers else { return false };
        let proposes = self.peers[at].core.as_ref().is_some_and(Core::proposes_designs);
        let often = if self.options.profile == Profile::Designs { OTHER_DESIGN } else { NEW_LIST };
        if !proposes || !servers.stream.happens(often) {
            return false;
        }
        let command = match self.options.profile {
            Profile::Values => values::design(&mut servers.stream, &self.peers[at]),
            Profile::Peers | Profile::Server | Profile::Designs => designs::draw(&mut servers.stream, &self.peers[at]),
        };
        let Some(command) = command else { return false };
        self.line(at, "command", &workload::describe(&command));
        self.peers[at].commands.push_back(command);
        true
    }

    fn command(&mut self, at: usize) {
        self.wish(at);
        if self.design(at) {
            return;
        }
        let is_server = self.servers.as_ref().is_some_and(|servers| servers.is_one(at));
        if self.options.profile == Profile::Values
            && is_server
            && let Some(command) = self.row_from_outside(at)
        {
            self.line(at, "command", "a row from outside");
            self.peers[at].commands.push_back(command);
            return;
        }
        let stream = &mut self.streams.workload;
        if let Some(servers) = &mut self.servers {
            let (stream, peer) = (&mut servers.stream, &self.peers[at]);
            let members = self.peers.len() - servers.seats.len();
            let proposes = peer.core.as_ref().is_some_and(Core::proposes_designs);
            let command = if stream.happens(ANSWER) {
                answers::draw(stream, peer, members)
            } else if stream.happens(CONSTRAINT) && (peer.role() >= Some(Role::Designer) || proposes) {
                answers::constrain(stream, peer)
            } else {
                None
            };
            if let Some(command) = command {
                self.line(at, "command", &workload::describe(&command));
                self.peers[at].commands.push_back(command);
                return;
            }
        }
        let members = self.devices.iter().enumerate();
        let members = members.filter(|(node, _)| self.servers.as_ref().is_none_or(|servers| !servers.is_one(*node)));
        let members: Vec<DeviceKey> = members.map(|(_, device)| *device).collect();
        let change = stream.happens(MEMBER_CHANGE).then(|| members::draw(stream, &self.peers[at], &members));
        let (role, peer) = (self.peers[at].role(), &mut self.peers[at]);
        let types = self.options.profile.types();
        let command = match change.flatten() {
            Some(command) => command,
            None => {
                let shown = peer.shown().expect("up");
                let mut command = workload::draw(stream, shown, types);
                // Lists are made once and then worked with, and few try again and again what they may not.
                for _ in 0..3 {
                    let needed = command.needed_role();
                    let again = if role < Some(needed) { Ratio(9, 10) } else { Ratio(1, 2) };
                    if needed == Role::Writer || !stream.happens(again) {
                        break;
                    }
                    command = workload::draw(stream, shown, types);
                }
                command
            }
        };
        self.line(at, "command", &workload::describe(&command));
        self.peers[at].commands.push_back(command);
    }
}
