//! The actix shell of a session: carries frames between a stream and the session, runs between it and the workspace.

use super::{
    frames::{Frames, framed},
    parts::{Closed, Ends, Output, Standing},
    session::PeerSession,
    transport::Wire,
};
use crate::{handle::Handle, outside::Outside, workspace::Perform};
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use std::{
    any::Any,
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tandem_storage::{
    EngineError,
    lacking::{farewell, lacking, points},
    take::Received,
};
use tandem_wire::{
    DeviceKey, VersionTable,
    limits::BATCH_BYTES_MAX,
    message::{Bye, Hello, Join, Message as WireMessage, PeerPlaces},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
};

/// Frames, and bytes of them, that may wait to be written; a peer that takes in less than it is sent loses the link.
const FRAMES_WAITING_MAX: usize = 4096;
const BYTES_WAITING_MAX: usize = 64 << 20;
/// Frames that came in and wait for the session.
const FRAMES_COMING_MAX: usize = 16;
/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;
const TICK: Duration = Duration::from_secs(1);

/// One link: one workspace, one peer, one stream.
pub struct PeerLink {
    workspace: Handle,
    outside: Outside,
    session: Option<PeerSession>,
    opening: Option<Opening>,
    ends: Ends,
    wire: Option<(Wire, Frames)>,
    write: mpsc::Sender<Vec<u8>>,
    /// Bytes that wait to be written.
    unwritten: Arc<AtomicUsize>,
    written: Option<mpsc::Receiver<Vec<u8>>>,
    /// Runs that wait for the workspace, and how many batches they are.
    coming: (Vec<Received>, usize),
    /// How many batches the workspace takes in now.
    taking: usize,
    shown: Arc<Mutex<Seen>>,
    over: Option<oneshot::Sender<Closed>>,
    places: mpsc::Sender<Vec<PeerPlaces>>,
}

/// How a session begins.
#[derive(Debug)]
pub enum Opening {
    /// This node dials, as a member or with a ticket.
    Dial {
        /// What both had when they agreed last.
        agreed: Option<Arc<VersionTable>>,
        /// The ticket's proof.
        join: Option<Join>,
    },
    /// This node is dialled by a member, or by a newcomer that it has admitted.
    Listen {
        /// What both had when they agreed last.
        agreed: Option<Arc<VersionTable>>,
        /// The member's greeting.
        hello: Option<Hello>,
    },
}

/// What a link shows of itself.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The device at the other end.
    pub peer: DeviceKey,
    /// How the two stand.
    pub standing: Standing,
    /// By how much the other's clock is ahead, in milliseconds.
    pub clock_off_ms: i64,
    /// What both had when they agreed last.
    pub agreed: Option<Arc<VersionTable>>,
    /// What the other has, as far as is known.
    pub theirs: Option<VersionTable>,
}

/// A frame came in whole.
#[derive(Message)]
#[rtype(result = "()")]
struct Frame(Vec<u8>);

/// Nothing more comes in.
#[derive(Message)]
#[rtype(result = "()")]
struct HungUp(Option<&'static str>);

/// The workspace shows something new.
#[derive(Message)]
#[rtype(result = "()")]
struct Moved;

/// Tell the other where devices were seen.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TellPeers(pub Vec<PeerPlaces>);

/// End the link.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

impl PeerLink {
    /// A link over `wire`; `frames` has what was read of it already. Tells `over` why it ended,
    /// and `places` what the other says of where devices are.
    pub fn new(
        (workspace, outside): (Handle, Outside),
        ends: Ends,
        opening: Opening,
        (wire, frames): (Wire, Frames),
        over: oneshot::Sender<Closed>,
        places: mpsc::Sender<Vec<PeerPlaces>>,
    ) -> Self {
        let (write, written) = mpsc::channel(FRAMES_WAITING_MAX);
        let seen = Seen { peer: ends.peer, standing: Standing::Greeting, clock_off_ms: 0, agreed: None, theirs: None };
        Self {
            workspace,
            outside,
            session: None,
            opening: Some(opening),
            ends,
            wire: Some((wire, frames)),
            write,
            unwritten: Arc::default(),
            written: Some(written),
            coming: (Vec::new(), 0),
            taking: 0,
            shown: Arc::new(Mutex::new(seen)),
            over: Some(over),
            places,
        }
    }

    /// Where others see how it stands.
    pub fn seen(&self) -> Arc<Mutex<Seen>> {
        self.shown.clone()
    }

    fn input(&mut self, ctx: &mut Context<Self>, input: impl FnOnce(&mut PeerSession, u64) -> Vec<Output>) {
        let Some(session) = &mut self.session else { return };
        let outputs = input(session, self.outside.now_ms());
        self.carry_out(ctx, outputs);
    }

    fn carry_out(&mut self, ctx: &mut Context<Self>, outputs: Vec<Output>) {
        let mut outputs: VecDeque<Output> = outputs.into();
        while let Some(output) = outputs.pop_front() {
            match output {
                Output::Send(message) => {
                    if !self.send(&message) {
                        return self.end(ctx, Closed::ByPeer(Bye::Busy));
                    }
                }
                Output::Fetch(theirs) => match self.lacking(&theirs) {
                    Ok(lacking) => outputs.extend(self.session.as_mut().expect("it asked").fetched(lacking)),
                    Err(error) => return self.fail(ctx, &error),
                },
                Output::Part(theirs) => {
                    let (snapshot, views) = self.workspace.state();
                    match farewell(&snapshot, &views.fold, &theirs, self.ends.peer) {
                        Ok(runs) => outputs.extend(self.session.as_mut().expect("it asked").parted(&runs)),
                        Err(error) => return self.fail(ctx, &error),
                    }
                }
                Output::Find(chain) => {
                    let (snapshot, views) = self.workspace.state();
                    match points(&snapshot, &views.fold, chain) {
                        Ok(found) => outputs.extend(self.session.as_mut().expect("it asked").found(chain, found)),
                        Err(error) => return self.fail(ctx, &error),
                    }
                }
                Output::Take(runs) => self.take(ctx, runs),
                // Of too much that it says the rest is dropped: it says it again.
                Output::Peers(peers) => drop(self.places.try_send(peers)),
                Output::Agreed => tracing::debug!(peer = ?self.ends.peer, "up to date"),
                Output::Close(closed) => return self.end(ctx, closed),
            }
        }
        self.show();
    }

    /// Whether there is room for a message to wait.
    fn send(&self, message: &[u8]) -> bool {
        let frame = framed(message);
        let waiting = self.unwritten.fetch_add(frame.len(), Relaxed);
        waiting <= BYTES_WAITING_MAX && self.write.try_send(frame).is_ok()
    }

    fn lacking(&self, theirs: &VersionTable) -> Result<tandem_storage::lacking::Lacking, EngineError> {
        let (snapshot, views) = self.workspace.state();
        lacking(&snapshot, &views.fold, theirs, BATCH_BYTES_MAX)
    }

    /// What comes while the workspace is at it goes to it together.
    fn take(&mut self, ctx: &mut Context<Self>, runs: Vec<Received>) {
        self.coming.0.extend(runs);
        self.coming.1 += 1;
        self.hand_over(ctx);
    }

    fn hand_over(&mut self, ctx: &mut Context<Self>) {
        if self.taking > 0 || self.coming.1 == 0 {
            return;
        }
        let (runs, count) = std::mem::take(&mut self.coming);
        self.taking = count;
        let (answer, answered) = oneshot::channel();
        let address = self.workspace.address.clone();
        let (tell, told) = oneshot::channel();
        // Not the link's own: actix drops a message whose sender no longer waits, and the last that came before a link
        // ends is as good as any.
        actix::spawn(async move {
            let sent = address.send(Perform::Take(runs, answer)).await;
            let _ = tell.send(sent.is_ok() && matches!(answered.await, Ok(Ok(()))));
        });
        let done = async move { told.await.unwrap_or(false) };
        ctx.spawn(done.into_actor(self).map(|done, link, ctx| link.taken_in(ctx, done)));
    }

    fn taken_in(&mut self, ctx: &mut Context<Self>, done: bool) {
        if !done {
            return self.end(ctx, Closed::ByPeer(Bye::Busy));
        }
        let (fold, count) = (self.workspace.fold(), std::mem::take(&mut self.taking));
        self.hand_over(ctx);
        self.input(ctx, |session, _| session.advanced(fold));
        self.input(ctx, |session, _| session.taken(count));
    }

    fn fail(&mut self, ctx: &mut Context<Self>, error: &EngineError) {
        tracing::error!(%error, "a link ends: the log cannot be read");
        self.end(ctx, Closed::ByPeer(Bye::Busy));
    }

    fn end(&mut self, ctx: &mut Context<Self>, closed: Closed) {
        tracing::debug!(peer = ?self.ends.peer, %closed, "a link ends");
        let (runs, _) = std::mem::take(&mut self.coming);
        if !runs.is_empty() {
            // What came is good, whoever ends the link; if there is no room for it now, it comes again.
            let (answer, _) = oneshot::channel();
            let _ = self.workspace.address.try_send(Perform::Take(runs, answer));
        }
        if let Some(over) = self.over.take() {
            let _ = over.send(closed);
        }
        ctx.stop();
    }

    fn show(&self) {
        let Some(session) = &self.session else { return };
        let mut seen = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        seen.standing = session.standing();
        seen.clock_off_ms = session.clock_off_ms();
        seen.agreed = session.agreed().cloned();
        seen.theirs = session.theirs().cloned();
    }
}

impl Actor for PeerLink {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(FRAMES_COMING_MAX);
        let (Some((wire, mut frames)), Some(written)) = (self.wire.take(), self.written.take()) else { return };
        let Wire { read, write, in_use, .. } = wire;
        actix::spawn(write_frames((write, in_use), written, self.unwritten.clone()));
        frames.open();
        actix::spawn(read_frames(read, frames, ctx.address()));
        let (own, mut shown) = (ctx.address(), self.workspace.shown.clone());
        shown.mark_seen();
        actix::spawn(async move { while shown.next().await && own.send(Moved).await.is_ok() {} });
        ctx.run_interval(TICK, |link, ctx| link.input(ctx, PeerSession::tick));
        let (fold, now_ms, ends) = (self.workspace.fold(), self.outside.now_ms(), self.ends.clone());
        let (session, outputs) = match self.opening.take().expect("begun once") {
            Opening::Dial { agreed, join } => PeerSession::dial(ends, fold, agreed, join, now_ms),
            Opening::Listen { agreed, hello } => PeerSession::listen(ends, fold, agreed, hello.as_ref(), now_ms),
        };
        self.session = Some(session);
        self.carry_out(ctx, outputs);
    }
}

impl Handler<Frame> for PeerLink {
    type Result = ();

    fn handle(&mut self, Frame(bytes): Frame, ctx: &mut Context<Self>) {
        self.input(ctx, |session, now_ms| session.frame(now_ms, &bytes));
    }
}

impl Handler<HungUp> for PeerLink {
    type Result = ();

    fn handle(&mut self, HungUp(why): HungUp, ctx: &mut Context<Self>) {
        self.end(ctx, why.map_or(Closed::ByPeer(Bye::Done), Closed::Violation));
    }
}

impl Handler<Moved> for PeerLink {
    type Result = ();

    fn handle(&mut self, _: Moved, ctx: &mut Context<Self>) {
        let fold = self.workspace.fold();
        self.input(ctx, |session, _| session.advanced(fold));
    }
}

impl Handler<TellPeers> for PeerLink {
    type Result = ();

    fn handle(&mut self, TellPeers(peers): TellPeers, ctx: &mut Context<Self>) {
        self.input(ctx, |session, _| session.tell_peers(peers));
    }
}

impl Handler<Stop> for PeerLink {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        self.send(&WireMessage::Bye(Bye::Done).encode());
        self.end(ctx, Closed::ByPeer(Bye::Done));
    }
}

/// Until everything has gone out: what carries the stream is in use so long.
async fn write_frames(
    (mut write, _in_use): (Box<dyn AsyncWrite + Send + Unpin>, Box<dyn Any + Send>),
    mut frames: mpsc::Receiver<Vec<u8>>,
    unwritten: Arc<AtomicUsize>,
) {
    while let Some(frame) = frames.recv().await {
        unwritten.fetch_sub(frame.len(), Relaxed);
        if write.write_all(&frame).await.is_err() {
            return;
        }
        if frames.is_empty() && write.flush().await.is_err() {
            return;
        }
    }
    // The reading end hears of it, and everything before it has come.
    let _ = write.shutdown().await;
}

async fn read_frames(mut read: Box<dyn AsyncRead + Send + Unpin>, mut frames: Frames, link: actix::Addr<PeerLink>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        loop {
            match frames.take() {
                Ok(Some(frame)) => {
                    if link.send(Frame(frame.to_vec())).await.is_err() {
                        return;
                    }
                }
                Ok(None) => break,
                Err(_) => {
                    let _ = link.send(HungUp(Some("a frame is longer than it may be"))).await;
                    return;
                }
            }
        }
        match read.read(&mut buffer).await {
            Ok(count) if count > 0 => frames.push(&buffer[..count]),
            Ok(_) | Err(_) => {
                let _ = link.send(HungUp(None)).await;
                return;
            }
        }
    }
}

/// Why a link cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LinkError {
    /// The device cannot be reached.
    #[error(transparent)]
    Dial(#[from] super::transport::DialError),
    /// The link was there and ended.
    #[error(transparent)]
    Closed(#[from] Closed),
}
