//! Byte streams between nodes, each authenticated by the device keys of its ends.

use std::{any::Any, fmt, future::Future, net::SocketAddr, pin::Pin, sync::Arc};
use tandem_wire::DeviceKey;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, split};

/// A future that a transport gives.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Brings byte streams about. A stream is for one workspace.
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// Opens a stream to a device; `hints` say where it was seen.
    fn dial(&self, device: DeviceKey, hints: Vec<SocketAddr>) -> Pending<'_, Result<Wire, DialError>>;

    /// The next stream that somebody opens to this node; nothing when the transport is closed.
    fn accept(&self) -> Pending<'_, Option<Wire>>;

    /// Where others find this node.
    fn addresses(&self) -> Vec<SocketAddr>;

    /// Ends all streams.
    fn close(&self) -> Pending<'_, ()>;
}

/// One stream.
pub struct Wire {
    /// The device at the other end.
    pub peer: DeviceKey,
    /// What only the two ends know.
    pub secret: [u8; 32],
    /// Where the peer was seen.
    pub address: Option<SocketAddr>,
    /// What the other sends.
    pub read: Box<dyn AsyncRead + Send + Unpin>,
    /// What the other gets.
    pub write: Box<dyn AsyncWrite + Send + Unpin>,
    /// Held for as long as the stream is of use: what carries it may go when nothing else is carried.
    pub in_use: Box<dyn Any + Send>,
}

impl Wire {
    /// Over a stream inside this process.
    pub fn inside(peer: DeviceKey, secret: [u8; 32], stream: DuplexStream) -> Self {
        let (read, write) = split(stream);
        let (read, write) = (Box::new(read), Box::new(write));
        Self { peer, secret, address: None, read, write, in_use: Box::new(()) }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire to {:?}", self.peer)
    }
}

/// A device could not be reached.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot reach device {device}: {why}")]
pub struct DialError {
    /// Which.
    pub device: DeviceKey,
    /// What the transport says.
    pub why: String,
}

/// A transport that several share.
pub type Shared = Arc<dyn Transport>;
