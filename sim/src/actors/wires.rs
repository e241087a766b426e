//! Streams between the nodes: slow, stalled and cut.

use super::clock::now_us;
use crate::{
    chance::{Ratio, Stream},
    trace::{Trace, short},
};
use std::{
    collections::BTreeMap,
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};
use tandem_actors::peer_link::transport::{DialError, Pending, Transport, Wire};
use tandem_wire::DeviceKey;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split},
    sync::{Mutex as AsyncMutex, Notify, mpsc},
    task::spawn_local,
    time::sleep,
};

/// Bytes that may be on their way in one direction, and of those, in one piece.
const PIPE_BYTES: usize = 256 * 1024;
const PIECE_BYTES: u64 = 32 * 1024;
/// Streams that may wait to be accepted.
const WAITING_MAX: usize = 64;
/// How long a piece is on its way, at most, and how often much longer.
const DELAY_US: u64 = 8_000;
const SLOW: Ratio = Ratio(1, 40);
const SLOW_US: u64 = 600_000;
/// How often a stalled stream looks whether it may go on.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The network of one world.
#[derive(Debug, Clone)]
pub(super) struct Wires(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    nodes: BTreeMap<DeviceKey, (usize, mpsc::Sender<Wire>)>,
    /// Streams that are there, and how to cut them.
    streams: BTreeMap<u64, Between>,
    next_stream: u64,
    blocked: Vec<Blocked>,
    chance: Stream,
    trace: Trace,
}

#[derive(Debug)]
struct Between {
    ends: [usize; 2],
    cut: Arc<Cut>,
    /// Directions that still carry something.
    open: usize,
}

/// The end of a stream. Wakes in a fixed order, as tokio's `watch` does not.
#[derive(Debug, Default)]
struct Cut {
    is_done: AtomicBool,
    done: Notify,
}

/// Nothing comes from one node to the other for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocked {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) until_us: u64,
}

/// A node's place in the network.
#[derive(Debug)]
struct Port {
    wires: Wires,
    at: usize,
    device: DeviceKey,
    waiting: AsyncMutex<mpsc::Receiver<Wire>>,
}

/// One direction of a stream.
#[derive(Debug, Clone, Copy)]
struct Way {
    stream: u64,
    from: usize,
    to: usize,
}

impl Wires {
    pub(super) fn new(chance: Stream) -> Self {
        let (nodes, streams, blocked) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self(Arc::new(Mutex::new(Inner { nodes, streams, next_stream: 0, blocked, chance, trace: Trace::default() })))
    }

    /// Node `at` can be reached from now on.
    pub(super) fn join(&self, at: usize, device: DeviceKey) -> Arc<dyn Transport> {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        self.inner().nodes.insert(device, (at, sender));
        Arc::new(Port { wires: self.clone(), at, device, waiting: AsyncMutex::new(waiting) })
    }

    /// Blocks a way.
    pub(super) fn block(&self, blocked: Blocked) {
        self.inner().blocked.push(blocked);
    }

    /// All ways are open again.
    pub(super) fn heal(&self) {
        self.inner().blocked.clear();
    }

    /// Cuts one of the streams that are there, in the middle of whatever is on its way. Says between whom.
    pub(super) fn cut(&self, pick: u64) -> Option<[usize; 2]> {
        let inner = self.inner();
        let count = inner.streams.len() as u64;
        let between = inner.streams.values().nth((pick % count.max(1)) as usize)?;
        between.cut.now();
        Some(between.ends)
    }

    /// Adds a line to the trace.
    pub(super) fn line(&self, at: usize, what: &str, details: &str) {
        self.inner().trace.line(now_us(), at, what, details);
    }

    /// Counts a mark.
    pub(super) fn mark(&self, name: &'static str) {
        self.inner().trace.mark(name);
    }

    /// The trace so far.
    pub(super) fn take_trace(&self) -> Trace {
        std::mem::take(&mut self.inner().trace)
    }

    fn is_blocked(&self, from: usize, to: usize) -> bool {
        let now = now_us();
        let mut inner = self.inner();
        inner.blocked.retain(|blocked| blocked.until_us > now);
        inner.blocked.iter().any(|blocked| (blocked.from, blocked.to) == (from, to))
    }

    fn delay(&self) -> Duration {
        let chance = &mut self.inner().chance;
        let most = if chance.happens(SLOW) { SLOW_US } else { DELAY_US };
        Duration::from_micros(1 + chance.below(most))
    }

    fn below(&self, bound: u64) -> u64 {
        self.inner().chance.below(bound)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nothing panics with it")
    }

    /// A stream from one node to another: what the two ends hold.
    fn connect(&self, from: usize, to: usize) -> [DuplexStream; 2] {
        let (here, here_net) = duplex(PIPE_BYTES);
        let (there, there_net) = duplex(PIPE_BYTES);
        let cut = Arc::<Cut>::default();
        let stream = {
            let mut inner = self.inner();
            let stream = inner.next_stream;
            inner.next_stream += 1;
            inner.streams.insert(stream, Between { ends: [from, to], cut: cut.clone(), open: 2 });
            stream
        };
        let ((here_read, here_write), (there_read, there_write)) = (split(here_net), split(there_net));
        let out = self.clone().carry(Way { stream, from, to }, here_read, there_write, cut.clone());
        let back = self.clone().carry(Way { stream, from: to, to: from }, there_read, here_write, cut);
        spawn_local(out);
        spawn_local(back);
        [here, there]
    }

    /// Carries bytes one way until the stream ends or is cut.
    async fn carry(self, way: Way, mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>, cut: Arc<Cut>) {
        let mut buffer = vec![0; PIECE_BYTES as usize];
        loop {
            let piece = 1 + self.below(PIECE_BYTES) as usize;
            let Some(read) = cut.unless(from.read(&mut buffer[..piece])).await else { break };
            let count = read.unwrap_or(0);
            if count == 0 {
                let _ = to.shutdown().await;
                break;
            }
            let arrives = async {
                sleep(self.delay()).await;
                while self.is_blocked(way.from, way.to) {
                    sleep(LOOK_EVERY).await;
                }
            };
            let mut whole = true;
            let mut count = count;
            if cut.unless(arrives).await.is_none() {
                // Part of it had come through.
                count = self.below(count as u64) as usize;
                whole = false;
                self.mark("cut-in-mid-frame");
            }
            let bytes = &buffer[..count];
            let hash = short(blake3::hash(bytes).as_bytes());
            self.line(way.to, "bytes", &format!("{} from n{}: {count} {hash}", way.stream, way.from));
            if to.write_all(bytes).await.is_err() || !whole {
                break;
            }
        }
        self.ended(way.stream);
    }

    fn ended(&self, stream: u64) {
        let mut inner = self.inner();
        let between = inner.streams.get_mut(&stream).expect("until both directions have ended");
        between.open -= 1;
        if between.open == 0 {
            inner.streams.remove(&stream);
        }
    }
}

impl Cut {
    fn now(&self) {
        self.is_done.store(true, Relaxed);
        self.done.notify_waiters();
    }

    /// What `work` gives, if it is done before the cut.
    async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut cut) = (pin!(work), pin!(self.done.notified()));
        cut.as_mut().enable();
        poll_fn(|context| {
            if self.is_done.load(Relaxed) || cut.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

impl Transport for Port {
    fn dial(&self, device: DeviceKey, _: Vec<SocketAddr>) -> Pending<'_, Result<Wire, DialError>> {
        Box::pin(async move {
            let failed = |why: &str| DialError { device, why: why.into() };
            sleep(self.wires.delay()).await;
            let found = self.wires.inner().nodes.get(&device).cloned();
            let (to, other) = found.ok_or_else(|| failed("it is not there"))?;
            // Nobody says that a way is blocked: who dials gives up at some time.
            while self.wires.is_blocked(self.at, to) || self.wires.is_blocked(to, self.at) {
                sleep(LOOK_EVERY).await;
            }
            let secret = self.wires.inner().chance.bytes();
            let [here, there] = self.wires.connect(self.at, to);
            other.send(Wire::inside(self.device, secret, there)).await.map_err(|_| failed("it has gone"))?;
            Ok(Wire::inside(device, secret, here))
        })
    }

    fn accept(&self) -> Pending<'_, Option<Wire>> {
        Box::pin(async move { self.waiting.lock().await.recv().await })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    fn close(&self) -> Pending<'_, ()> {
        self.wires.inner().nodes.remove(&self.device);
        Box::pin(async {})
    }
}
