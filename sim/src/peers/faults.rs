//! What breaks, and how it heals.

use super::{
    checks,
    net::{Blocked, Weather},
    peer::{LinkId, Step},
    planted_verdicts,
    world::{DOWN_US, Happening, LOOK_US, World},
};
use crate::{chance::Ratio, checks::Violation, planted::Planted};
use std::{collections::BTreeSet, sync::Arc};
use tandem_storage::engine::Fault;

/// How often a disk fails again at once, when the node is opened.
const FAILS_AGAIN: Ratio = Ratio(1, 8);
/// How often a server breaks rather than anybody, and then in the midst of judging.
const SERVER_BREAKS: Ratio = Ratio(1, 6);
const WHILE_JUDGING: Ratio = Ratio(1, 2);
/// How often a server is down for long.
const DOWN_LONG: Ratio = Ratio(1, 4);
const CLOCK_JUMP_MS: u64 = 400 * 24 * 3_600_000;

impl World {
    pub(super) fn break_something(&mut self) {
        let mut at = self.streams.faults.below(self.peers.len() as u64) as usize;
        if let Some(servers) = &mut self.servers
            && servers.stream.happens(SERVER_BREAKS)
        {
            at = servers.pick();
            if servers.stream.happens(WHILE_JUDGING) {
                let steps = [Step::Append, Step::Sync, Step::Apply];
                let peer = &mut self.peers[at];
                (peer.doom, peer.is_doomed_judging) = (servers.stream.pick(&steps).copied(), true);
                self.trace.mark("fault");
                return;
            }
        }
        let is_up = self.peers[at].store().is_some();
        let is_one = match self.streams.faults.below(20) {
            0 | 1 => {
                self.stop(at);
                is_up
            }
            2 | 3 => {
                let steps = [Step::Append, Step::Sync, Step::Apply, Step::Release];
                self.peers[at].doom = self.streams.faults.pick(&steps).copied();
                self.peers[at].is_doomed_judging = false;
                is_up
            }
            4 => {
                let fault = if self.streams.faults.happens(Ratio(1, 2)) { Fault::DiskFull } else { Fault::SyncFailed };
                let writes = self.streams.faults.below(6);
                self.peers[at].disk.light_fuse(writes, fault);
                self.trace.mark("disk-fault");
                self.line(at, "fuse", &format!("{fault:?} after {writes} writes"));
                true
            }
            5 | 6 => {
                let off = self.streams.faults.below(2 * CLOCK_JUMP_MS) as i64 - CLOCK_JUMP_MS as i64;
                self.peers[at].clock_off_ms = off;
                self.trace.mark("clock-jump");
                self.line(at, "clock", &format!("{off} ms"));
                true
            }
            7..=11 => {
                let links: Vec<LinkId> = self.links.keys().copied().collect();
                let link = self.streams.faults.pick(&links).copied();
                link.inspect(|link| self.cut(*link)).is_some()
            }
            12..=15 => {
                self.part(at);
                true
            }
            16 => {
                let rate = 1 + self.streams.faults.below(20);
                self.throttled.insert(at, rate);
                self.line(at, "throttle", &format!("{rate} bytes per ms"));
                true
            }
            17 => {
                self.weather = Weather::draw(&mut self.streams.faults);
                true
            }
            _old_image => self.old_image(at),
        };
        if is_one {
            self.trace.mark("fault");
        }
    }

    /// Some are cut off from the others, one way or both, for a while.
    fn part(&mut self, at: usize) {
        let now = self.queue.now_us();
        // Mostly for a moment; now and then until the end.
        let for_us_max = if self.streams.faults.happens(Ratio(1, 5)) { 3_000_000 } else { 500_000 };
        let until_us = now + 1_000 + self.streams.faults.below(for_us_max);
        let one_way = self.streams.faults.happens(Ratio(1, 3));
        let side: BTreeSet<usize> =
            (0..self.peers.len()).filter(|other| *other == at || self.streams.faults.happens(Ratio(1, 3))).collect();
        for from in 0..self.peers.len() {
            for to in 0..self.peers.len() {
                let crosses = side.contains(&from) != side.contains(&to);
                if crosses && (side.contains(&from) || !one_way) {
                    self.blocked.push(Blocked { from, to, until_us });
                }
            }
        }
        self.trace.mark(if one_way { "one-way-partition" } else { "partition" });
        self.line(at, "part", &format!("{side:?} until {until_us}"));
        self.queue.plan(until_us - now, Happening::Unblock);
    }

    /// A node's disk is put back to what it was, without its knowing: its chains fork. The first time an image is made.
    fn old_image(&mut self, at: usize) -> bool {
        let peer = &mut self.peers[at];
        let Some((image, kept)) = peer.image.take() else {
            peer.image = Some((Arc::new(peer.disk.crash(0)), peer.kept.clone()));
            self.line(at, "image", "");
            return false;
        };
        self.stop(at);
        let peer = &mut self.peers[at];
        let lost = peer.own_chain_events_lost(&image);
        (peer.disk, peer.kept, peer.unanswered) = (image, kept, BTreeSet::new());
        self.trace.mark(if lost { "old-image-lost-own" } else { "old-image" });
        self.line(at, "old-image", "");
        true
    }

    pub(super) fn stop(&mut self, at: usize) {
        if self.peers[at].store().is_none() {
            return;
        }
        let links: Vec<LinkId> = self.peers[at].ends.keys().copied().collect();
        let unsynced = self.peers[at].disk.unsynced();
        let keep = self.streams.disk.below(unsynced as u64 + 1) as usize;
        let mark = self.peers[at].crash(keep);
        self.trace.mark(mark);
        self.trace.mark("crash");
        self.line(at, "crash", &format!("keeps {keep} of {unsynced} commits"));
        for link in links {
            let end = self.end_of(link, at);
            self.hang_up_other(link, end);
        }
        if !self.is_healed && self.streams.disk.happens(FAILS_AGAIN) {
            let writes = self.streams.disk.below(2);
            self.peers[at].disk.light_fuse(writes, Fault::SyncFailed);
        }
        let mut in_us = self.streams.pace.below(DOWN_US);
        if let Some(servers) = &mut self.servers
            && servers.is_one(at)
            && servers.stream.happens(DOWN_LONG)
        {
            in_us *= 4;
            self.trace.mark("server-down-long");
        }
        self.queue.plan(in_us, Happening::Open(at));
    }

    pub(super) fn open(&mut self, at: usize) -> Result<(), Violation> {
        if self.peers[at].store().is_some() {
            return Ok(());
        }
        if let Err(error) = self.peers[at].open() {
            self.trace.mark("crash-in-open");
            self.line(at, "failed", &format!("open: {error}"));
            let peer = &mut self.peers[at];
            let unsynced = peer.disk.unsynced();
            peer.disk = Arc::new(peer.disk.crash(unsynced));
            self.queue.plan(DOWN_US, Happening::Open(at));
            return Ok(());
        }
        if self.options.planted == Some(Planted::RefusedReturns) {
            planted_verdicts::return_refused(self.peers[at].store().expect("just opened"));
        }
        let there = checks::acknowledged_is_kept(&self.peers[at])?;
        let peer = &mut self.peers[at];
        let found = std::mem::take(&mut peer.unanswered);
        peer.kept.extend(found.intersection(&there));
        let store = peer.store().expect("just opened");
        let table = store.fold().version_table().digest();
        if self.is_watched {
            self.views.compare(store)?;
        }
        self.peers[at].had.insert(table);
        self.line(at, "open", &format!("{table:?}"));
        if self.peers[at].is_busy() {
            self.wake(at);
        }
        Ok(())
    }

    /// No more faults: everything must get on.
    pub(super) fn heal(&mut self) {
        self.is_healed = true;
        self.weather = Weather::clear();
        self.blocked.clear();
        self.throttled.clear();
        for at in 0..self.peers.len() {
            self.peers[at].disk.put_fuse_out();
            self.peers[at].clock_off_ms = 0;
            self.queue.plan(DOWN_US, Happening::Open(at));
            self.line(at, "heal", "");
        }
        self.queue.plan(LOOK_US, Happening::Look);
        self.let_through();
        // Whoever linked two members may have been removed meanwhile: everybody finds the owner.
        for at in 1..self.peers.len() {
            if !self.edges.contains(&(at, 0)) {
                self.edges.push((at, 0));
                self.queue.plan(DOWN_US, Happening::Dial(self.edges.len() - 1));
            }
        }
    }
}
