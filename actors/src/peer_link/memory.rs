//! Streams inside one process, for tests, demonstrations and measurements: the same session, without a network.

use super::transport::{DialError, Pending, Transport, Wire};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tandem_wire::DeviceKey;
use tokio::{
    io::{duplex, split},
    sync::{Mutex as AsyncMutex, mpsc},
};

/// Bytes that may be on their way in one direction.
const PIPE_BYTES: usize = 1 << 20;
/// Streams that may wait to be accepted.
const WAITING_MAX: usize = 64;

/// Where nodes of one process find each other.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    nodes: Arc<Mutex<BTreeMap<DeviceKey, mpsc::Sender<Wire>>>>,
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
        self.nodes().insert(device, sender);
        MemoryTransport { device, exchange: self.clone(), waiting: AsyncMutex::new(waiting), fresh }
    }

    fn nodes(&self) -> std::sync::MutexGuard<'_, BTreeMap<DeviceKey, mpsc::Sender<Wire>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for MemoryTransport {
    fn dial(&self, device: DeviceKey, _: Vec<SocketAddr>) -> Pending<'_, Result<Wire, DialError>> {
        Box::pin(async move {
            let failed = |why: &str| DialError { device, why: why.into() };
            let other = self.exchange.nodes().get(&device).cloned().ok_or_else(|| failed("it is not there"))?;
            let (here, there) = duplex(PIPE_BYTES);
            let secret = (self.fresh)();
            let wire = |peer, stream| {
                let (read, write) = split(stream);
                Wire { peer, secret, address: None, read: Box::new(read), write: Box::new(write) }
            };
            other.send(wire(self.device, there)).await.map_err(|_| failed("it has gone"))?;
            Ok(wire(device, here))
        })
    }

    fn accept(&self) -> Pending<'_, Option<Wire>> {
        Box::pin(async move { self.waiting.lock().await.recv().await })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        Vec::new()
    }

    fn close(&self) -> Pending<'_, ()> {
        self.exchange.nodes().remove(&self.device);
        Box::pin(async {})
    }
}
