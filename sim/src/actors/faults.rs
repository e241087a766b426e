//! What goes wrong.

use super::{
    clock,
    member::Member,
    wires::{Blocked, Wires},
};
use crate::chance::Stream;
use std::{cell::Cell, rc::Rc, time::Duration};
use tandem_actors::{Command, NodeError, command::MemberChange};
use tokio::time::sleep;

/// Time between two faults, at most.
const GAP_US: u64 = 1_500_000;
/// For how long a way is blocked, or a node away, at most: longer than a link takes to be found dead.
const AWAY_US: u64 = 30_000_000;
/// By how much clocks jump, at most.
const JUMP_MS: u64 = 4 * 3_600_000;

/// Breaks things while somebody writes.
pub(super) struct Faults {
    pub(super) members: Vec<Rc<Member>>,
    pub(super) wires: Wires,
    pub(super) stream: Stream,
    /// Nobody writes any more.
    pub(super) over: Rc<Cell<bool>>,
    /// Who was removed.
    pub(super) removed: Rc<Cell<Option<usize>>>,
    /// Whether somebody is to be.
    pub(super) removes: bool,
}

impl Faults {
    pub(super) async fn run(mut self) -> Result<(), NodeError> {
        loop {
            self.sleep(GAP_US).await;
            if self.over.get() {
                return Ok(());
            }
            self.wires.mark("fault");
            match self.stream.below(16) {
                0..5 => self.cut(),
                5..8 => self.block(true),
                8..10 => self.block(false),
                10 => self.cut_off(),
                11..13 => self.leave_the_network().await?,
                13..15 => self.restart().await?,
                _ if self.removes && self.removed.get().is_none() => self.remove().await,
                _ => self.jump(),
            }
        }
    }

    async fn sleep(&mut self, most_us: u64) {
        let us = 1 + self.stream.below(most_us);
        sleep(Duration::from_micros(us)).await;
    }

    fn one(&mut self) -> Rc<Member> {
        self.stream.pick(&self.members).expect("there are members").clone()
    }

    fn cut(&mut self) {
        let pick = self.stream.number();
        if let Some([from, to]) = self.wires.cut(pick) {
            self.wires.line(from, "cut", &format!("from n{to}"));
        }
    }

    fn block(&mut self, both: bool) {
        let (from, to) = (self.one().at, self.one().at);
        let until_us = clock::now_us() + self.stream.below(AWAY_US);
        self.wires.mark(if both { "partition" } else { "one-way-partition" });
        self.wires.line(from, "blocked", &format!("to n{to} until {until_us}, both ways: {both}"));
        self.wires.block(Blocked { from, to, until_us });
        if both {
            self.wires.block(Blocked { from: to, to: from, until_us });
        }
    }

    /// One member reaches nobody.
    fn cut_off(&mut self) {
        let at = self.one().at;
        let until_us = clock::now_us() + self.stream.below(AWAY_US);
        self.wires.mark("cut-off");
        self.wires.line(at, "cut off", &format!("until {until_us}"));
        for other in &self.members {
            self.wires.block(Blocked { from: at, to: other.at, until_us });
            self.wires.block(Blocked { from: other.at, to: at, until_us });
        }
    }

    async fn leave_the_network(&mut self) -> Result<(), NodeError> {
        let member = self.one();
        let Some(node) = member.node() else { return Ok(()) };
        self.wires.mark("left-the-network");
        self.wires.line(member.at, "offline", "");
        node.go_offline_async().await;
        self.sleep(AWAY_US / 4).await;
        self.wires.line(member.at, "online", "");
        node.link_through_async(self.wires.join(member.at, node.device())).await
    }

    async fn restart(&mut self) -> Result<(), NodeError> {
        let member = self.one();
        if member.close().await? {
            self.wires.mark("restarted");
            self.sleep(AWAY_US / 4).await;
            member.open().await?;
        }
        Ok(())
    }

    /// The founder ends the membership of whoever came last.
    async fn remove(&mut self) {
        let member = self.members.last().expect("there are members");
        let (Some(node), Some(handle)) = (member.node(), self.members[0].handle()) else { return };
        if handle.fold().role_of(node.device()).is_none() {
            return;
        }
        let done = handle.commit_async(Command::Members(MemberChange::Remove(node.device()))).await;
        self.wires.line(0, "remove", done.as_ref().err().map_or("", NodeError::code));
        if done.is_ok() {
            self.wires.mark("removed");
            self.removed.set(Some(member.at));
        }
    }

    fn jump(&mut self) {
        let off_ms = self.stream.below(2 * JUMP_MS) as i64 - JUMP_MS as i64;
        self.wires.mark("clock-jump");
        self.wires.line(0, "clocks", &format!("off by {off_ms} ms"));
        clock::jump_to(off_ms);
    }
}
