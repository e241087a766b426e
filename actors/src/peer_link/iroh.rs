//! The network: QUIC by public key, by way of iroh.
//!
//! Nothing is contacted that the user did not name: iroh is used with its minimal preset, so without anybody's relays,
//! DNS or registries. Others on the local network are found by multicast (mDNS), unless that is switched off; a relay is
//! used if its address is given.

use super::transport::{DialError, Pending, Transport, Wire};
use iroh::{
    Endpoint, EndpointAddr, EndpointId, RelayMode, RelayUrl, SecretKey as IrohKey, TransportAddr, Watcher,
    endpoint::{Connection, IncomingAddr, RecvStream, SendStream, VarInt, presets},
};
use iroh_mdns_address_lookup::MdnsAddressLookup;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tandem_wire::{DeviceKey, SecretKey};
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc, watch},
    time::timeout,
};

/// Names the protocol on the network; a later one, which is not understood by earlier programs, has another name.
const ALPN: &[u8] = b"tandem/1";
/// What the connection's secret is exported for.
const SECRET_LABEL: &[u8] = b"tandem 1 connection";
/// Streams that may wait to be accepted.
const WAITING_MAX: usize = 64;
/// A connection that nothing goes over for so long is closed. What was said last has gone out by then.
const UNUSED_FOR: Duration = Duration::from_secs(5);
/// Why a connection is closed, for the other end.
const UNUSED: VarInt = VarInt::from_u32(0);
const MOVED: VarInt = VarInt::from_u32(1);

/// How a node is on the network.
#[derive(Debug, Clone, Default)]
pub struct NetworkOptions {
    /// Where to listen; without, on a free port of all interfaces.
    pub listen: Option<SocketAddr>,
    /// Whether others on the local network find this node, and it them.
    pub discovery: bool,
    /// A relay for nodes that cannot reach each other directly.
    pub relay: Option<String>,
}

/// The network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The address of the relay is none.
    #[error("{0} is no address of a relay; write it like https://relay.example.org")]
    Relay(String),
    /// The address cannot be listened at.
    #[error("cannot listen: {0}")]
    Bind(String),
    /// The local network cannot be asked.
    #[error("cannot look for others on the local network: {0}; switch it off with `network.discovery = false`")]
    Discovery(String),
}

/// See the module's doc.
#[derive(Debug)]
pub struct IrohTransport {
    endpoint: Endpoint,
    shared: Arc<Shared>,
    waiting: AsyncMutex<mpsc::Receiver<Wire>>,
}

#[derive(Debug)]
struct Shared {
    /// More than one to a device where both have dialled.
    lines: Mutex<BTreeMap<DeviceKey, Vec<Line>>>,
    accepted: mpsc::Sender<Wire>,
}

/// A connection, and how many streams that are of use go over it.
///
/// It is closed when there are none: of two between the same two devices, as they come about when both dial, one is
/// left over, and iroh takes long to find a new way for either when one of the devices has moved.
#[derive(Debug, Clone)]
struct Line {
    connection: Connection,
    streams: watch::Sender<usize>,
}

/// A stream that is of use.
struct InUse(watch::Sender<usize>);

impl IrohTransport {
    /// Begins to listen, where no port is named at `last_port` if that is free: others know it. To be called on a tokio
    /// runtime, which then carries the network's work.
    pub async fn bind(key: &SecretKey, options: NetworkOptions, last_port: Option<u16>) -> Result<Self, NetworkError> {
        let relay = relay_mode(options.relay.as_deref())?;
        let endpoint = |places: Vec<SocketAddr>| {
            let builder = Endpoint::builder(presets::Minimal)
                .secret_key(IrohKey::from_bytes(&key.to_bytes()))
                .alpns(vec![ALPN.to_vec()])
                .relay_mode(relay.clone());
            bind_at(builder, places, options.discovery)
        };
        let any_port = options.listen.is_none_or(|listen| listen.port() == 0);
        let again = last_port.filter(|_| any_port).map(|port| places_with(options.listen, port));
        let bound = match again {
            Some(places) => endpoint(places).await.ok(),
            None => None,
        };
        let endpoint = match bound {
            Some(bound) => bound,
            None => endpoint(options.listen.into_iter().collect()).await?,
        };
        let (accepted, waiting) = mpsc::channel(WAITING_MAX);
        let shared = Arc::new(Shared { lines: Mutex::default(), accepted });
        tokio::spawn(listen(endpoint.clone(), shared.clone()));
        tokio::spawn(endpoint.closed().run_until(begin_anew_elsewhere(endpoint.clone(), shared.clone())));
        Ok(Self { endpoint, shared, waiting: AsyncMutex::new(waiting) })
    }

    /// The port that it listens at, the first where there are several.
    pub fn port(&self) -> Option<u16> {
        self.endpoint.bound_sockets().first().map(SocketAddr::port)
    }

    async fn line(&self, device: DeviceKey, hints: Vec<SocketAddr>) -> Result<Line, DialError> {
        let known =
            self.shared.lines().get(&device).and_then(|lines| lines.iter().find(|line| line.is_in_use()).cloned());
        if let Some(line) = known {
            return Ok(line);
        }
        let failed = |why: String| DialError { device, why };
        let id = EndpointId::from_bytes(&device.0).map_err(|error| failed(error.to_string()))?;
        let address = EndpointAddr::from_parts(id, hints.into_iter().map(TransportAddr::Ip));
        let connection = self.endpoint.connect(address, ALPN).await.map_err(|error| failed(format!("{error:#}")))?;
        let line = self.shared.keep(connection);
        tokio::spawn(accept_streams(line.clone(), None, self.shared.clone()));
        Ok(line)
    }
}

impl Transport for IrohTransport {
    fn dial(&self, device: DeviceKey, hints: Vec<SocketAddr>) -> Pending<'_, Result<Wire, DialError>> {
        Box::pin(async move {
            let line = self.line(device, hints).await?;
            let failed = |error: String| DialError { device, why: error };
            let streams = line.connection.open_bi().await.map_err(|error| failed(error.to_string()))?;
            line.wire(streams, None).ok_or_else(|| failed("the connection has no secret".into()))
        })
    }

    fn accept(&self) -> Pending<'_, Option<Wire>> {
        Box::pin(async move { self.waiting.lock().await.recv().await })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.endpoint.addr().ip_addrs().copied().collect()
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(self.endpoint.close())
    }
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, BTreeMap<DeviceKey, Vec<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, connection: Connection) -> Line {
        let line = Line { connection, streams: watch::Sender::new(0) };
        let mut lines = self.lines();
        lines.retain(|_, of_device| {
            of_device.retain(|kept| kept.connection.close_reason().is_none());
            !of_device.is_empty()
        });
        lines.entry(DeviceKey(*line.connection.remote_id().as_bytes())).or_default().push(line.clone());
        drop(lines);
        tokio::spawn(line.clone().close_unused());
        line
    }
}

impl Line {
    /// Else it may be one whose other end has gone, unnoticed.
    fn is_in_use(&self) -> bool {
        self.connection.close_reason().is_none() && *self.streams.borrow() > 0
    }

    /// A stream over it; `address` is where the other end was seen, should it not be seen now.
    fn wire(&self, (write, read): (SendStream, RecvStream), address: Option<SocketAddr>) -> Option<Wire> {
        let mut secret = [0; 32];
        self.connection.export_keying_material(&mut secret, SECRET_LABEL, &[]).ok()?;
        let peer = DeviceKey(*self.connection.remote_id().as_bytes());
        let address = address_of(&self.connection).or(address);
        let in_use = Box::new(InUse::of(&self.streams));
        Some(Wire { peer, secret, address, read: Box::new(read), write: Box::new(write), in_use })
    }

    /// Closes it when nothing has gone over it for a while.
    async fn close_unused(self) {
        let mut streams = self.streams.subscribe();
        while streams.wait_for(|count| *count == 0).await.is_ok()
            && timeout(UNUSED_FOR, streams.wait_for(|count| *count > 0)).await.is_ok()
        {}
        self.connection.close(UNUSED, b"unused");
    }
}

impl InUse {
    fn of(streams: &watch::Sender<usize>) -> Self {
        streams.send_modify(|count| *count += 1);
        Self(streams.clone())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Binds to these addresses; of none, to free ports of all interfaces.
async fn bind_at(
    mut builder: iroh::endpoint::Builder,
    places: Vec<SocketAddr>,
    discovery: bool,
) -> Result<Endpoint, NetworkError> {
    if !places.is_empty() {
        builder = builder.clear_ip_transports();
    }
    for place in places {
        builder = builder.bind_addr(place).map_err(|error| NetworkError::Bind(error.to_string()))?;
    }
    if discovery {
        builder = builder.address_lookup(MdnsAddressLookup::builder().service_name("tandem"));
    }
    builder.bind().await.map_err(|error| NetworkError::Bind(format!("{error:#}")))
}

fn places_with(listen: Option<SocketAddr>, port: u16) -> Vec<SocketAddr> {
    match listen {
        Some(listen) => vec![SocketAddr::new(listen.ip(), port)],
        None => vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()],
    }
}

fn relay_mode(relay: Option<&str>) -> Result<RelayMode, NetworkError> {
    let Some(relay) = relay else { return Ok(RelayMode::Disabled) };
    let url = RelayUrl::from_str(relay).map_err(|_| NetworkError::Relay(relay.into()))?;
    Ok(RelayMode::custom([url]))
}

async fn listen(endpoint: Endpoint, shared: Arc<Shared>) {
    while let Some(incoming) = endpoint.accept().await {
        let address = match incoming.remote_addr() {
            IncomingAddr::Ip(address) => Some(address),
            _through_others => None,
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            match incoming.await {
                Ok(connection) => {
                    let line = shared.keep(connection);
                    accept_streams(line, address, shared).await;
                }
                Err(error) => tracing::debug!(%error, "a connection did not come about"),
            }
        });
    }
}

/// Closes all connections when this machine has lost an address. What is under way on them would stand still for long,
/// although iroh finds another way for what comes after; those who dial anew are linked at once.
async fn begin_anew_elsewhere(endpoint: Endpoint, shared: Arc<Shared>) {
    let mut own = endpoint.watch_addr();
    let mut before = addresses_of(&own.get());
    while let Ok(now) = own.updated().await {
        let now = addresses_of(&now);
        if !before.is_subset(&now) {
            shared.lines().values().flatten().for_each(|line| line.connection.close(MOVED, b"moved"));
        }
        before = now;
    }
}

/// Where others on the network find a node.
fn addresses_of(node: &EndpointAddr) -> BTreeSet<IpAddr> {
    node.ip_addrs().map(SocketAddr::ip).filter(|address| !address.is_loopback()).collect()
}

/// Goes on for as long as the line is open.
async fn accept_streams(line: Line, address: Option<SocketAddr>, shared: Arc<Shared>) {
    while let Ok(streams) = line.connection.accept_bi().await {
        let Some(wire) = line.wire(streams, address) else { return };
        if shared.accepted.send(wire).await.is_err() {
            return;
        }
    }
}

/// Where the other end is seen now, if not through a relay.
fn address_of(connection: &Connection) -> Option<SocketAddr> {
    connection.paths().iter().find_map(|path| match path.remote_addr() {
        TransportAddr::Ip(address) => Some(*address),
        _through_others => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn here(number: u8) -> IrohTransport {
        let options = NetworkOptions { listen: Some((Ipv4Addr::LOCALHOST, 0).into()), ..NetworkOptions::default() };
        IrohTransport::bind(&SecretKey::from_bytes(&[number; 32]), options, None).await.unwrap()
    }

    /// Both ends of a stream; the other end hears of one when something comes over it.
    async fn dial(from: &IrohTransport, to: &IrohTransport) -> (Wire, Wire) {
        let device = DeviceKey(*to.endpoint.id().as_bytes());
        let mut near = from.dial(device, to.addresses()).await.unwrap();
        near.write.write_all(b"hello").await.unwrap();
        (near, to.accept().await.unwrap())
    }

    #[tokio::test]
    async fn a_connection_is_shared_while_it_is_used_and_closed_when_it_is_not() {
        let (a, b) = (here(1).await, here(2).await);
        let (first, mut first_there) = dial(&a, &b).await;
        let (second, second_there) = dial(&b, &a).await;
        assert_eq!(first.secret, second.secret, "one connection for both");
        drop((first.in_use, second_there.in_use));
        let (third, third_there) = dial(&a, &b).await;
        assert_ne!(third.secret, first.secret, "whether anybody is at the other end of the old one is not known");
        let mut said = Vec::new();
        let ended = timeout(2 * UNUSED_FOR, first_there.read.read_to_end(&mut said)).await;
        assert!(ended.expect("it is closed").is_err(), "with what goes over it");
        let (fourth, _fourth_there) = dial(&b, &a).await;
        assert_eq!(fourth.secret, third_there.secret, "what is used stays");
    }
}
