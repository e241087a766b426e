//! Where devices were seen on the network: an address book. What is in it is a hint, never a proof: who answers at an
//! address shows its key.

use crate::node::Disk;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tandem_storage::{
    EngineError,
    engine::{Batch, Durability, Engine, Read, Table, prefix_end},
};
use tandem_wire::{DeviceKey, limits::PLACES_MAX, message::Place};

/// Keys of the rows; no workspace has number 0.
const PREFIX: &[u8] = b"\0\0\0\0place";
/// Keys of the rows that tell when a device was linked last.
const MET: &[u8] = b"\0\0\0\0met";
/// Where the node's own port is written down.
#[cfg(feature = "iroh")]
const PORT: &[u8] = b"\0\0\0\0port";
/// Devices that are kept in mind.
const DEVICES_MAX: usize = 4096;

/// An address as messages have it.
pub(crate) fn place_of(address: SocketAddr) -> Place {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    Place { ip: ip.octets(), port: address.port() }
}

/// The address that a message has.
pub(crate) fn address_of(place: Place) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(place.ip)).to_canonical(), place.port)
}

/// When a device was linked to this one last, in any workspace, in milliseconds since 1970.
pub(crate) fn last_met<E: Engine>(engine: &E, device: DeviceKey) -> Option<u64> {
    let row = engine.get(Table::Meta, &[MET, &device.0].concat()).ok().flatten()?;
    Some(u64::from_be_bytes(row[..].try_into().ok()?))
}

/// The port that this node had the last time.
#[cfg(feature = "iroh")]
pub(crate) fn last_port<E: Engine>(engine: &E) -> Option<u16> {
    let row = engine.get(Table::Meta, PORT).ok().flatten()?;
    Some(u16::from_be_bytes(row[..].try_into().ok()?))
}

/// This is the node's port now.
#[cfg(feature = "iroh")]
pub(crate) fn keep_port<E: Engine>(engine: &E, port: u16) {
    if last_port(engine) == Some(port) {
        return;
    }
    let mut batch = Batch::default();
    batch.put(Table::Meta, PORT, port.to_be_bytes());
    if let Err(error) = engine.commit(batch, Durability::Buffered) {
        tracing::warn!(%error, "the node's port cannot be written down");
    }
}

/// By device, the addresses at which it was reached, and those that others tell.
pub(crate) struct Places {
    engine: Arc<Disk>,
    book: Mutex<BTreeMap<DeviceKey, Vec<SocketAddr>>>,
    edition: AtomicU64,
}

impl Places {
    pub(crate) fn load(engine: Arc<Disk>) -> Result<Self, EngineError> {
        let mut book = BTreeMap::new();
        for row in engine.range(Table::Meta, PREFIX, prefix_end(PREFIX).as_deref()) {
            let (key, value) = row?;
            let device = DeviceKey(*key.last_chunk().expect("keys are our own"));
            book.insert(device, postcard::from_bytes(&value).expect("rows are our own"));
        }
        Ok(Self { engine, book: Mutex::new(book), edition: AtomicU64::new(1) })
    }

    /// Where a device may be, the best first.
    pub(crate) fn of(&self, device: DeviceKey) -> Vec<SocketAddr> {
        self.book().get(&device).cloned().unwrap_or_default()
    }

    /// Everything.
    pub(crate) fn all(&self) -> Vec<(DeviceKey, Vec<SocketAddr>)> {
        self.book().iter().map(|(device, places)| (*device, places.clone())).collect()
    }

    /// Grows whenever there is news.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Relaxed)
    }

    /// The device was reached there.
    pub(crate) fn see(&self, device: DeviceKey, address: SocketAddr) {
        let mut book = self.book();
        let places = book.entry(device).or_default();
        let is_news = places.first() != Some(&address);
        places.retain(|other| *other != address);
        places.insert(0, address);
        places.truncate(PLACES_MAX);
        let (key, row) =
            ([PREFIX, &device.0].concat(), postcard::to_allocvec(&*places).expect("a vector takes all bytes"));
        drop(book);
        if is_news {
            self.edition.fetch_add(1, Relaxed);
        }
        // What was only heard of so far is not written down.
        if self.engine.get(Table::Meta, &key).is_ok_and(|before| before.is_some_and(|before| *before == row[..])) {
            return;
        }
        let mut batch = Batch::default();
        batch.put(Table::Meta, key, row);
        if let Err(error) = self.engine.commit(batch, Durability::Buffered) {
            tracing::warn!(%error, "where a device was seen cannot be written down");
        }
    }

    /// The device is linked to this one at this time.
    pub(crate) fn met(&self, device: DeviceKey, now_ms: u64) {
        let mut batch = Batch::default();
        batch.put(Table::Meta, [MET, &device.0].concat(), now_ms.to_be_bytes());
        if let Err(error) = self.engine.commit(batch, Durability::Buffered) {
            tracing::warn!(%error, "when a device was linked cannot be written down");
        }
    }

    /// Somebody says so. Whether that is news.
    pub(crate) fn hear(&self, device: DeviceKey, address: SocketAddr) -> bool {
        let mut book = self.book();
        let is_full = book.len() >= DEVICES_MAX && !book.contains_key(&device);
        if is_full || address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
            return false;
        }
        let places = book.entry(device).or_default();
        // Nobody pushes out what was found to be true.
        if places.contains(&address) || places.len() >= PLACES_MAX {
            return false;
        }
        places.push(address);
        drop(book);
        self.edition.fetch_add(1, Relaxed);
        true
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<DeviceKey, Vec<SocketAddr>>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
