//! Who is admitted, promoted and removed, and what the removers had seen.

use super::peer::Peer;
use crate::chance::{Ratio, Stream};
use std::collections::BTreeSet;
use tandem_actors::{
    Command,
    command::{Admission, MemberChange},
};
use tandem_wire::{DeviceKey, EventId, MemberId, Role};

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
