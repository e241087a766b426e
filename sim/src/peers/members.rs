//! Who is admitted, promoted and removed, and what the removers had seen.

use super::{checks, peer::Peer};
use crate::chance::{Ratio, Stream};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_actors::{
    Command,
    command::{Admission, MemberChange},
};
use tandem_wire::{Act, DeviceKey, Event, EventId, MemberId, Role};

/// A device was removed.
#[derive(Debug, Clone)]
pub(super) struct Removal {
    pub(super) device: DeviceKey,
    pub(super) event: EventId,
    /// The device's events that the remover had.
    pub(super) seen: BTreeSet<EventId>,
}

/// Everybody but the owner, in the roles that this seed gives them.
pub(super) fn admissions(stream: &mut Stream, devices: &[DeviceKey]) -> Vec<Command> {
    let admit = |(index, device): (usize, &DeviceKey)| {
        let role = match stream.below(8) {
            0 => Role::Reader,
            1..=4 => Role::Writer,
            5 | 6 => Role::Designer,
            _ => Role::Manager,
        };
        Command::Members(MemberChange::Admit(Admission {
            member: MemberId([index as u8; 16]),
            name: format!("member {index}"),
            device: *device,
            role,
            invited: None,
            approved: true,
        }))
    };
    devices.iter().enumerate().map(admit).collect()
}

/// Makes an admission a reader's.
pub(super) fn as_reader(command: &mut Command) {
    let Command::Members(MemberChange::Admit(admission)) = command else { unreachable!("an admission") };
    admission.role = Role::Reader;
}

/// A change of members that a manager might make.
pub(super) fn draw(stream: &mut Stream, peer: &Peer, devices: &[DeviceKey]) -> Option<Command> {
    let fold = peer.store()?.fold();
    if fold.role_of(peer.device()) != Some(Role::Manager) {
        return None;
    }
    let others: Vec<DeviceKey> =
        devices.iter().copied().filter(|device| *device != peer.device() && fold.role_of(*device).is_some()).collect();
    let device = *stream.pick(&others)?;
    let change = if stream.happens(Ratio(1, 2)) {
        MemberChange::Remove(device)
    } else {
        let roles = [Role::Reader, Role::Writer, Role::Designer, Role::Manager];
        MemberChange::SetRole { device, role: *stream.pick(&roles)? }
    };
    Some(Command::Members(change))
}

/// The removal that an event of a node's own is, with what it had of the removed device.
pub(super) fn removal(peer: &Peer, id: EventId) -> Option<Removal> {
    let events = checks::events(&peer.disk);
    let event = events.iter().find(|event| event.id() == id)?;
    let Act::Remove(remove) = &event.header().ops[0].act else { return None };
    let by_id: BTreeMap<EventId, &Arc<Event>> = events.iter().map(|event| (event.id(), event)).collect();
    let mut seen = BTreeSet::new();
    for mark in &remove.cuts {
        let mut at = Some(mark.0.id);
        while let Some(event) = at.and_then(|id| by_id.get(&id)) {
            seen.insert(event.id());
            at = event.header().prev;
        }
    }
    Some(Removal { device: remove.device, event: id, seen })
}
