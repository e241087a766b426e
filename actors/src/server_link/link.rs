//! The actor of a server link.

use super::pushes::{Pushes, Report};
use crate::{handle::Handle, outside::Outside};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tandem_wire::{EventId, OpRef};

/// Between two looks, while much is written: a look costs as much as waits.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Watches what a server, bound by one binding, says of what this node wrote.
pub(crate) struct ServerLink {
    workspace: Handle,
    outside: Outside,
    binding: OpRef,
    /// Where this device's chains ended at the last look.
    ends: Option<BTreeSet<EventId>>,
    pushes: Pushes,
    reports: Reports,
}

/// What it shows.
pub(crate) type Reports = Arc<Mutex<Vec<Report>>>;

/// The workspace shows something new.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

/// The binding has ended, or the node leaves the network.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

impl ServerLink {
    pub(crate) fn new((workspace, outside): (Handle, Outside), binding: OpRef) -> (Self, Reports) {
        let reports = Reports::default();
        let (ends, pushes) = (None, Pushes::default());
        (Self { workspace, outside, binding, ends, pushes, reports: reports.clone() }, reports)
    }

    fn look(&mut self) {
        let (workspace, binding) = (&self.workspace, self.binding);
        let pushed = workspace.pushed(&binding, self.ends.as_ref());
        let advanced = pushed.and_then(|(ends, written)| {
            self.ends = Some(ends);
            self.pushes.advance(self.outside.now_ms(), written, |event| workspace.verdict(event, &binding))
        });
        match advanced {
            Ok(true) => {
                let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
                *reports = self.pushes.reports().copied().collect();
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the outbox cannot be read"),
        }
    }

    /// Looks when the workspace has moved on.
    fn wait(&self, ctx: &mut Context<Self>) {
        let mut shown = self.workspace.shown.clone();
        shown.mark_seen();
        let news = async move {
            let goes_on = shown.next().await;
            if goes_on {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            goes_on
        };
        let then = |goes_on: bool, _: &mut Self, ctx: &mut Context<Self>| match goes_on {
            true => ctx.notify(Look),
            // The workspace is gone.
            false => ctx.stop(),
        };
        ctx.spawn(news.into_actor(self).map(then));
    }
}

impl Actor for ServerLink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Before the first look, so that nothing that comes meanwhile is missed.
        self.wait(ctx);
        self.look();
    }
}

impl Handler<Look> for ServerLink {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Context<Self>) {
        self.wait(ctx);
        self.look();
    }
}

impl Handler<Stop> for ServerLink {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
