//! A transport that counts what is sent.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};
use tandem_actors::peer_link::{
    memory::MemoryTransport,
    transport::{DialError, Pending, Transport, Wire},
};
use tandem_wire::DeviceKey;
use tokio::io::AsyncWrite;

/// Who sent how many bytes, one after the other, over all transports that count here.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Mutex<Vec<(DeviceKey, u64)>>>);

impl Counts {
    /// The most bytes that one device sent, and the round trips: how often the first to speak heard something in answer.
    pub fn said(&self) -> (u64, u64) {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((first, _)) = sent.first() else { return (0, 0) };
        let of =
            |is_first: bool| sent.iter().filter(|(who, _)| (who == first) == is_first).map(|(_, bytes)| bytes).sum();
        let answers = sent.windows(2).filter(|pair| pair[0].0 == *first && pair[1].0 != *first).count() as u64;
        (u64::max(of(true), of(false)), answers)
    }

    fn count(&self, who: DeviceKey, bytes: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((who, bytes as u64));
    }
}

/// Through memory.
#[derive(Debug)]
pub struct Counted {
    pub inner: MemoryTransport,
    pub device: DeviceKey,
    pub counts: Counts,
}

impl Counted {
    fn wrap(&self, wire: Wire) -> Wire {
        let write = Writer { inner: wire.write, who: self.device, counts: self.counts.clone() };
        Wire { write: Box::new(write), ..wire }
    }
}

impl Transport for Counted {
    fn dial(&self, device: DeviceKey, hints: Vec<SocketAddr>) -> Pending<'_, Result<Wire, DialError>> {
        Box::pin(async move { Ok(self.wrap(self.inner.dial(device, hints).await?)) })
    }

    fn accept(&self) -> Pending<'_, Option<Wire>> {
        Box::pin(async move { Some(self.wrap(self.inner.accept().await?)) })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.inner.addresses()
    }

    fn close(&self) -> Pending<'_, ()> {
        self.inner.close()
    }
}

struct Writer {
    inner: Box<dyn AsyncWrite + Send + Unpin>,
    who: DeviceKey,
    counts: Counts,
}

impl AsyncWrite for Writer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = &written {
            self.counts.count(self.who, *count);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
