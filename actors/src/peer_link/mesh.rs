//! Which links a node keeps in a workspace: pure, so that the choice can be looked at.
//!
//! With few members everybody links to everybody. With many, each keeps to those that come after it on the ring of all
//! device keys, and to those that came to it: the ring is closed whoever is away, as each passes over those that cannot
//! be reached.

use std::collections::{BTreeMap, BTreeSet};
use tandem_wire::DeviceKey;

/// Links that a node keeps in one workspace.
pub const LINKS_MAX: usize = 8;
/// How long to wait after a device could not be reached, the first time; each further time twice as long.
const RETRY_AFTER_MS: u64 = 500;
/// How long at most.
const RETRY_AFTER_MS_MAX: u64 = 60_000;
/// Of two nodes that dial each other at once the later one is through within so long.
const AT_ONCE_MS: u64 = 5_000;

/// Whom to dial, and when again.
#[derive(Debug, Default)]
pub struct Mesh {
    failed: BTreeMap<DeviceKey, (u32, u64)>,
}

impl Mesh {
    /// Whom to dial now: of `members`, besides those that are `linked` or being dialled. Servers come first, as many as there
    /// are: everything that is written is to reach them. Of the others, half are the next on the
    /// ring; the other half those who were `seen` somewhere, for among many most are away.
    pub fn to_dial(
        &self,
        own: DeviceKey,
        (members, servers): (&BTreeSet<DeviceKey>, &BTreeSet<DeviceKey>),
        linked: &BTreeSet<DeviceKey>,
        seen: impl Fn(&DeviceKey) -> bool,
        now_ms: u64,
    ) -> Vec<DeviceKey> {
        let room = LINKS_MAX.saturating_sub(linked.difference(servers).count());
        let after = members.range(own..).chain(members.range(..own)).copied();
        let is_due = |device: &DeviceKey| {
            let is_time = self.failed.get(device).is_none_or(|(_, at_ms)| *at_ms <= now_ms);
            *device != own && !linked.contains(device) && is_time
        };
        let servers_due = servers.iter().copied().filter(is_due);
        let due: Vec<_> = after.filter(|device| !servers.contains(device) && is_due(device)).collect();
        let (next, others) = due.split_at(due.len().min(room.div_ceil(2)));
        let (seen, unseen): (Vec<_>, Vec<_>) = others.iter().partition(|device| seen(device));
        servers_due.chain(next.iter().copied().chain(seen).chain(unseen).take(room)).collect()
    }

    /// A device could not be reached, or the link ended; `jitter` is any number.
    pub fn failed(&mut self, device: DeviceKey, now_ms: u64, jitter: u64) {
        let (count, _) = self.failed.get(&device).copied().unwrap_or_default();
        let wait = (RETRY_AFTER_MS << count.min(16)).min(RETRY_AFTER_MS_MAX);
        self.failed.insert(device, (count + 1, now_ms + wait / 2 + jitter % (wait / 2 + 1)));
    }

    /// A link came about and was of use.
    pub fn reached(&mut self, device: DeviceKey) {
        self.failed.remove(&device);
    }

    /// There is a new reason to hope: an address that was not known.
    pub fn hope(&mut self, device: DeviceKey) {
        if let Some((_, at_ms)) = self.failed.get_mut(&device) {
            *at_ms = 0;
        }
    }
}

/// Whether a new link stays, when there is one already between the same two nodes. Of two that came about because both
/// dialled at once both nodes keep the one that the lesser key dialled.
pub fn keeps_new(own: DeviceKey, peer: DeviceKey, new_is_dialled: bool, old: OldLink) -> bool {
    if new_is_dialled == old.is_dialled || old.lasted_ms >= AT_ONCE_MS {
        // The other end has lost the old one: who has a link does not dial.
        return true;
    }
    (own < peer) == new_is_dialled
}

/// A link that is there when another comes about.
#[derive(Debug, Clone, Copy)]
pub struct OldLink {
    /// Whether this node dialled it.
    pub is_dialled: bool,
    /// For how long it has been there.
    pub lasted_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(n: u8) -> DeviceKey {
        DeviceKey([n; 32])
    }

    #[test]
    fn few_link_to_all_and_many_make_a_ring() {
        let mesh = Mesh::default();
        let members = |count: u8| (0..count).map(device).collect::<BTreeSet<_>>();
        let none = BTreeSet::new();
        assert_eq!(mesh.to_dial(device(1), (&members(4), &none), &none, |_| false, 0), [2, 3, 0].map(device));
        let many = mesh.to_dial(device(18), (&members(20), &none), &none, |_| false, 0);
        assert_eq!(many, [19, 0, 1, 2, 3, 4, 5, 6].map(device));
        let linked = [19, 0, 7, 8, 9, 10].map(device).into();
        assert_eq!(mesh.to_dial(device(18), (&members(20), &none), &linked, |_| false, 0), [1, 2].map(device));
    }

    #[test]
    fn servers_are_linked_to_whatever_the_ring_says() {
        let (members, none) = ((0..20).map(device).collect::<BTreeSet<_>>(), BTreeSet::new());
        let servers = [device(9), device(40)].into();
        let mut mesh = Mesh::default();
        let chosen = mesh.to_dial(device(18), (&members, &servers), &none, |_| false, 0);
        assert_eq!(chosen, [9, 40, 19, 0, 1, 2, 3, 4, 5, 6].map(device));
        let linked = [9, 40, 19, 0, 1, 2, 3, 4, 5, 6].map(device).into();
        assert!(mesh.to_dial(device(18), (&members, &servers), &linked, |_| false, 0).is_empty());
        mesh.failed(device(40), 0, 0);
        let chosen = mesh.to_dial(device(18), (&members, &servers), &none, |_| false, 0);
        assert!(!chosen.contains(&device(40)), "one that is down is waited for like anybody");
    }

    #[test]
    fn among_many_those_who_were_seen_come_first_in_half_of_the_places() {
        let members = (0..20).map(device).collect::<BTreeSet<_>>();
        let is_seen = |other: &DeviceKey| other.0[0].is_multiple_of(5);
        let chosen = Mesh::default().to_dial(device(18), (&members, &BTreeSet::new()), &BTreeSet::new(), is_seen, 0);
        assert_eq!(chosen, [19, 0, 1, 2, 5, 10, 15, 3].map(device));
    }

    #[test]
    fn who_cannot_be_reached_is_passed_over_for_longer_and_longer() {
        let (mut mesh, members, none) = (Mesh::default(), (0..3).map(device).collect(), BTreeSet::new());
        let mut waited = Vec::new();
        let mut now_ms = 0;
        for _ in 0..12 {
            mesh.failed(device(1), now_ms, 0);
            assert_eq!(mesh.to_dial(device(0), (&members, &none), &none, |_| false, now_ms), [device(2)]);
            let due = (now_ms..)
                .find(|at| mesh.to_dial(device(0), (&members, &none), &none, |_| false, *at).len() == 2)
                .unwrap();
            waited.push(due - now_ms);
            now_ms = due;
        }
        assert_eq!((waited[0], waited[1], waited[11]), (250, 500, 30_000));
        mesh.reached(device(1));
        assert_eq!(mesh.to_dial(device(0), (&members, &none), &none, |_| false, 0).len(), 2);
    }

    #[test]
    fn both_keep_the_same_of_two_links() {
        let (a, b) = (device(1), device(2));
        // a dialled one, b the other: at a the first is dialled, at b the second.
        for first_is_old in [true, false] {
            let old = |is_dialled| OldLink { is_dialled, lasted_ms: AT_ONCE_MS - 1 };
            let at_a = keeps_new(a, b, !first_is_old, old(first_is_old));
            let at_b = keeps_new(b, a, first_is_old, old(!first_is_old));
            assert_eq!(at_a, at_b, "the new one stays at both, or at neither");
            assert_eq!(at_a, !first_is_old, "what the lesser key dialled stays");
        }
    }

    #[test]
    fn who_dials_although_there_has_long_been_a_link_has_lost_it() {
        for (own, peer) in [(1, 2), (2, 1)] {
            for is_dialled in [true, false] {
                let old = OldLink { is_dialled, lasted_ms: AT_ONCE_MS };
                assert!(keeps_new(device(own), device(peer), false, old), "{own} is dialled by {peer}: {old:?}");
            }
        }
    }
}
