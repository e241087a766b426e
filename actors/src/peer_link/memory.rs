//! Streams inside one process, for tests, demonstrations and measurements: the same session, without a network.

use super::transport::{DialError, Pending, Transport, Wire};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tandem_wire::DeviceKey;
use tokio::{
    io::duplex,
    sync::{Mutex as AsyncMutex, mpsc},
};

/// Bytes that may be on their way in one direction.
const PIPE_BYTES: usize = 1 << 20;
/// Streams that may wait to be accepted.
const WAITING_MAX: usize = 64;

/// Where nodes of one process find each other.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whoever can be reached.
    nodes: BTreeMap<DeviceKey, mpsc::Sender<Wire>>,
    /// Pairs that cannot reach each other, the lesser key first.
    apart: BTreeSet<[DeviceKey; 2]>,
}

/// One node's place in an [`Exchange`].
#[derive(Debug)]
pub struct MemoryTransport {
    device: DeviceKey,
    exchange: Exchange,
    waiting: AsyncMutex<mpsc::Receiver<Wire>>,
    fresh: fn() -> [u8; 32],
}

impl Exchange {
    /// Makes a device reachable; `fresh` gives random bytes.
    pub fn join(&self, device: DeviceKey, fresh: fn() -> [u8; 32]) -> MemoryTransport {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        self.inner().nodes.insert(device, sender);
        MemoryTransport { device, exchange: self.clone(), waiting: AsyncMutex::new(waiting), fresh }
    }

    /// From now on neither of the two reaches the other, as if no way led from one's network to the other's. Streams
    /// that they have stay: take one of them off the network to end those.
    pub fn keep_apart(&self, one: DeviceKey, other: DeviceKey) {
        self.inner().apart.insert(pair(one, other));
    }

    fn reach(&self, from: DeviceKey, to: DeviceKey) -> Result<mpsc::Sender<Wire>, &'static str> {
        let inner = self.inner();
        if inner.apart.contains(&pair(from, to)) {
            return Err("no way leads there");
        }
        inner.nodes.get(&to).cloned().ok_or("it is not there")
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pair(one: DeviceKey, other: DeviceKey) -> [DeviceKey; 2] {
    [one.min(other), one.max(other)]
}

impl Transport for MemoryTransport {
    fn dial(&self, device: DeviceKey, _: Vec<SocketAddr>) -> Pending<'_, Result<Wire, DialError>> {
        Box::pin(async move {
            let failed = |why: &str| DialError { device, why: why.into() };
            let other = self.exchange.reach(self.device, device).map_err(failed)?;
            let (here, there) = duplex(PIPE_BYTES);
            let secret = (self.fresh)();
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
        self.exchange.inner().nodes.remove(&self.device);
        Box::pin(async {})
    }
}
