//! What a node does on the network: accept links and dial them, so that each of its workspaces stays connected.

mod openings;

use crate::{
    handle::Handle,
    node::{Disk, NodeError},
    outside::Outside,
    peer_link::{
        Closed, Ends, Frames, Standing,
        link::{LinkError, Opening, PeerLink, Seen, Stop, TellPeers},
        mesh::{Mesh, OldLink, keeps_new},
        transport::{Shared as Transport, Wire},
    },
    places::{Places, address_of, place_of},
    runtime::Runtime,
    server_link::{
        self, Report,
        link::{Reports, ServerLink},
    },
};
use actix::{Actor, Addr};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tandem_wire::{
    DeviceKey, Invited, MemberId, OpRef, Role, SecretKey, VersionTable, WorkspaceId,
    message::{Bye, Join, PROTOCOL, PeerPlaces, Side, tag},
};
use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Within so long a dial succeeds.
const DIAL_WITHIN: Duration = Duration::from_secs(10);
/// Streams whose first message is waited for.
const OPENINGS_MAX: usize = 64;
/// How often the node looks whom to dial, besides whenever something changes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a newcomer looks whether its link has ended.
const JOIN_LOOK_EVERY: Duration = Duration::from_millis(20);
/// A link that lasted so long was of use: the next time it is dialled at once.
const OF_USE_MS: u64 = 5_000;
/// Lists of places that wait to be taken in.
const TOLD_WAITING_MAX: usize = 64;

/// The workspaces that are open, by id.
pub(crate) type Workspaces = Arc<Mutex<BTreeMap<WorkspaceId, Handle>>>;

/// A node's links, on a thread of their own.
pub(crate) struct Network {
    net: Arc<Net>,
    runtime: Runtime,
}

/// How a peer stands.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// The device.
    pub device: DeviceKey,
    /// How the two stand.
    pub standing: Standing,
    /// By how much the other's clock is ahead, in milliseconds.
    pub clock_off_ms: i64,
    /// What the other has, as far as is known.
    pub theirs: Option<VersionTable>,
}

/// How a server stands, that judges what this node writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// The binding.
    pub binding: OpRef,
    /// The server.
    pub device: DeviceKey,
    /// What became of what was pushed since this node went on the network, oldest first.
    pub reports: Vec<Report>,
}

/// Somebody with a ticket who waits for a person's approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The device: its key is the fingerprint to compare.
    pub device: DeviceKey,
    /// The person.
    pub member: MemberId,
    /// Their name, as they say.
    pub name: String,
    /// What they would become.
    pub role: Role,
    /// It would be a further device of somebody who is a member: that person's name.
    pub further_device_of: Option<String>,
    /// The invitation and their proof.
    pub invited: Invited,
}

/// What a newcomer shows.
pub(crate) struct Ticketed {
    pub(crate) invite: OpRef,
    pub(crate) key: SecretKey,
    pub(crate) member: MemberId,
    pub(crate) name: String,
    /// Where the ticket says that the other node is.
    pub(crate) addresses: Vec<SocketAddr>,
}

struct Net {
    transport: Transport,
    outside: Outside,
    device: DeviceKey,
    workspaces: Workspaces,
    state: Mutex<State>,
    places: Places,
    openings: Arc<Semaphore>,
    /// Somebody should look whom to dial.
    look: Notify,
    /// When the node leaves the network, everything that is under way here ends.
    ending: CancellationToken,
}

#[derive(Default)]
struct State {
    links: BTreeMap<(WorkspaceId, DeviceKey), Link>,
    dialling: BTreeSet<(WorkspaceId, DeviceKey)>,
    meshes: BTreeMap<WorkspaceId, Mesh>,
    servers: BTreeMap<(WorkspaceId, OpRef), Server>,
    agreed: BTreeMap<(WorkspaceId, DeviceKey), Arc<VersionTable>>,
    requests: Vec<JoinRequest>,
    next_number: u64,
    is_over: bool,
}

struct Link {
    number: u64,
    address: Addr<PeerLink>,
    seen: Arc<Mutex<Seen>>,
    is_dialled: bool,
    since_ms: u64,
    /// Which edition of the places it was told.
    told: u64,
}

struct Server {
    device: DeviceKey,
    address: Addr<ServerLink>,
    reports: Reports,
}

impl Link {
    /// Whether the two have greeted.
    fn was_open(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).standing != Standing::Greeting
    }
}

impl Network {
    /// Begins, with a transport that `make` gives where the network's actors run.
    pub(crate) async fn start<X: Send + 'static>(
        (device, outside): (DeviceKey, Outside),
        workspaces: Workspaces,
        engine: Arc<Disk>,
        make: impl FnOnce() -> crate::peer_link::transport::Pending<'static, Result<Transport, X>> + Send + 'static,
    ) -> Result<Result<Self, X>, NodeError> {
        let (places, runtime) = (Places::load(engine)?, Runtime::start("tandem-network", outside.is_here()));
        let transport = match runtime.run(make).await {
            Ok(transport) => transport,
            Err(error) => {
                runtime.stop();
                return Ok(Err(error));
            }
        };
        let net = Arc::new(Net {
            transport,
            outside,
            device,
            workspaces,
            state: Mutex::default(),
            places,
            openings: Arc::new(Semaphore::new(OPENINGS_MAX)),
            look: Notify::new(),
            ending: CancellationToken::new(),
        });
        let (accepting, looking) = (net.clone(), net.clone());
        runtime.spawn(move || until_the_end(accepting.ending.clone(), accepting.accept()));
        runtime.spawn(move || until_the_end(looking.ending.clone(), looking.keep_linked()));
        Ok(Ok(Self { net, runtime }))
    }

    /// Ends all links, and the transport.
    pub(crate) async fn stop(self) {
        let net = self.net.clone();
        let end = move || async move {
            let links = {
                let mut state = net.state();
                state.is_over = true;
                for server in std::mem::take(&mut state.servers).into_values() {
                    server.address.try_send(server_link::link::Stop).ok();
                }
                std::mem::take(&mut state.links)
            };
            let now_ms = net.outside.now_ms();
            links
                .iter()
                .filter(|(_, link)| link.was_open())
                .for_each(|((_, device), _)| net.places.met(*device, now_ms));
            let links: Vec<Addr<PeerLink>> = links.into_values().map(|link| link.address).collect();
            for link in links {
                let _ = link.send(Stop).await;
            }
            net.ending.cancel();
            // What was said last goes out.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = timeout(Duration::from_secs(2), net.transport.close()).await;
        };
        self.runtime.run(end).await;
        self.runtime.stop();
    }

    /// Where others find this node.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.net.transport.addresses()
    }

    /// The peers that a workspace is linked to.
    pub(crate) fn peers(&self, workspace: WorkspaceId) -> Vec<PeerStatus> {
        let state = self.net.state();
        let links = state.links.iter().filter(|((of, _), _)| *of == workspace);
        links
            .map(|(_, link)| {
                let seen = link.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let Seen { peer, standing, clock_off_ms, theirs, .. } = seen;
                PeerStatus { device: peer, standing, clock_off_ms, theirs }
            })
            .collect()
    }

    /// The servers that judge what this node writes in a workspace.
    pub(crate) fn servers(&self, workspace: WorkspaceId) -> Vec<ServerStatus> {
        let state = self.net.state();
        let of_it = state.servers.iter().filter(|((of, _), _)| *of == workspace);
        of_it
            .map(|((_, binding), server)| {
                let reports = server.reports.lock().unwrap_or_else(PoisonError::into_inner).clone();
                ServerStatus { binding: *binding, device: server.device, reports }
            })
            .collect()
    }

    /// What each device had when this one and it agreed last, also of those that are not linked now.
    pub(crate) fn agreed(&self, workspace: WorkspaceId) -> BTreeMap<DeviceKey, Arc<VersionTable>> {
        let state = self.net.state();
        let of_it = state.agreed.iter().filter(|((of, _), _)| *of == workspace);
        of_it.map(|((_, device), table)| (*device, table.clone())).collect()
    }

    /// Newcomers that wait for a person's approval.
    pub(crate) fn requests(&self) -> Vec<JoinRequest> {
        self.net.state().requests.clone()
    }

    /// A request was answered.
    pub(crate) fn forget_request(&self, workspace: WorkspaceId, device: DeviceKey) {
        let mut state = self.net.state();
        state.requests.retain(|request| (request.workspace, request.device) != (workspace, device));
    }

    /// Ends the links of a workspace, which takes no part any more.
    pub(crate) fn forget(&self, workspace: WorkspaceId) {
        let state = self.net.state();
        let links = state.links.iter().filter(|((of, _), _)| *of == workspace);
        // A full mailbox is that of a link whose workspace is gone: it ends by itself.
        links.for_each(|(_, link)| drop(link.address.try_send(Stop)));
    }

    /// Dials with a ticket, and tells when this node has become a member, or why it has not within that time.
    pub(crate) fn join(
        &self,
        workspace: Handle,
        device: DeviceKey,
        ticketed: Ticketed,
        within: Duration,
    ) -> oneshot::Receiver<Result<(), LinkError>> {
        let (tell, told) = oneshot::channel();
        let net = self.net.clone();
        self.runtime.spawn(move || async move {
            let late = LinkError::Closed(Closed::Dead);
            let ending = net.ending.clone();
            let joined = timeout(within, net.join(workspace, device, ticketed));
            let joined = ending.run_until_cancelled(joined).await;
            let _ = tell.send(joined.and_then(Result::ok).unwrap_or(Err(late)));
        });
        told
    }
}

impl Net {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_workspaces(&self) -> Vec<Handle> {
        let open = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().filter(|workspace| !workspace.is_left()).cloned().collect()
    }

    /// Begins something that ends when the node leaves the network.
    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        actix::spawn(until_the_end(self.ending.clone(), work));
    }

    fn jitter(&self) -> u64 {
        u64::from_le_bytes(self.outside.random())
    }

    fn saw(&self, wire: &Wire) {
        if let Some(address) = wire.address {
            self.places.see(wire.peer, address);
        }
    }

    /// Dials whoever is to be dialled, for as long as the node is on the network.
    async fn keep_linked(self: Arc<Self>) {
        while !self.state().is_over {
            for workspace in self.open_workspaces() {
                self.watch_servers(&workspace);
                for device in self.to_dial(&workspace) {
                    let (net, workspace) = (self.clone(), workspace.clone());
                    self.spawn(net.dial(workspace, device));
                }
                self.tell_places(&workspace).await;
            }
            let _ = timeout(LOOK_EVERY, self.look.notified()).await;
        }
    }

    /// Has a server link for each server that judges what this node writes, and for no other.
    fn watch_servers(&self, workspace: &Handle) {
        let fold = workspace.fold();
        let present: BTreeMap<OpRef, DeviceKey> = fold
            .present_terms()
            .map(|term| (term.binding, term.chain().device))
            .filter(|(_, device)| *device != self.device)
            .collect();
        let mut state = self.state();
        if state.is_over {
            return;
        }
        let id = workspace.id();
        let is_over = |(of, binding): &(WorkspaceId, OpRef)| *of == id && !present.contains_key(binding);
        for (_, server) in state.servers.extract_if(.., |key, _| is_over(key)) {
            server.address.try_send(server_link::link::Stop).ok();
        }
        for (binding, device) in present {
            state.servers.entry((id, binding)).or_insert_with(|| {
                let (link, reports) = ServerLink::new((workspace.clone(), self.outside), binding);
                Server { device, address: link.start(), reports }
            });
        }
    }

    /// Whom to dial now in a workspace; they count as being dialled from here on.
    fn to_dial(&self, workspace: &Handle) -> Vec<DeviceKey> {
        let fold = workspace.fold();
        if !fold.takes_part(self.device) {
            return Vec::new();
        }
        let members = fold.members().grants.keys().copied().filter(|device| fold.role_of(*device).is_some());
        let servers: BTreeSet<DeviceKey> = fold.present_terms().map(|term| term.chain().device).collect();
        let (members, id) = (members.collect(), workspace.id());
        let mut state = self.state();
        let busy = state.links.keys().chain(&state.dialling).filter(|(of, _)| *of == id);
        let linked = busy.map(|(_, device)| *device).collect();
        let is_seen = |device: &DeviceKey| !self.places.of(*device).is_empty();
        let mesh = state.meshes.entry(id).or_default();
        let devices = mesh.to_dial(self.device, (&members, &servers), &linked, is_seen, self.outside.now_ms());
        state.dialling.extend(devices.iter().map(|device| (id, *device)));
        devices
    }

    async fn dial(self: Arc<Self>, workspace: Handle, device: DeviceKey) {
        let id = workspace.id();
        let dialled = self.clone().dial_with(workspace, device, None).await;
        let mut state = self.state();
        state.dialling.remove(&(id, device));
        if let Err(error) = dialled {
            tracing::debug!(%error, "no link");
            state.meshes.entry(id).or_default().failed(device, self.outside.now_ms(), self.jitter());
            // It is somebody else's turn at once.
            self.look.notify_one();
        }
    }

    async fn dial_with(
        self: Arc<Self>,
        workspace: Handle,
        device: DeviceKey,
        ticketed: Option<Ticketed>,
    ) -> Result<oneshot::Receiver<Closed>, LinkError> {
        let mut hints = ticketed.as_ref().map(|ticketed| ticketed.addresses.clone()).unwrap_or_default();
        hints.extend(self.places.of(device));
        let late = || crate::peer_link::transport::DialError { device, why: "it did not answer in time".into() };
        let dialled = self.transport.dial(device, hints.clone());
        let wire = timeout(DIAL_WITHIN, dialled).await.map_err(|_| late())??;
        match wire.address {
            Some(address) => self.places.see(device, address),
            // One of them was right.
            None => hints.iter().rev().for_each(|address| self.places.see(device, *address)),
        }
        let join = ticketed.map(|ticketed| Join {
            protocol: PROTOCOL,
            tag: tag(workspace.id(), &wire.secret, self.device, Side::Dialer),
            invite: ticketed.invite,
            proof: ticketed.key.sign_join(workspace.id(), &ticketed.invite, self.device),
            member: ticketed.member,
            name: ticketed.name,
        });
        let agreed = self.state().agreed.get(&(workspace.id(), device)).cloned();
        Ok(self.begin(workspace, (wire, Frames::new()), Opening::Dial { agreed, join }, true))
    }

    async fn join(self: Arc<Self>, workspace: Handle, device: DeviceKey, ticketed: Ticketed) -> Result<(), LinkError> {
        let mut shown = workspace.shown.clone();
        shown.mark_seen();
        let mut ended = self.clone().dial_with(workspace.clone(), device, Some(ticketed)).await?;
        loop {
            if workspace.fold().role_of(self.device).is_some() {
                return Ok(());
            }
            if let Ok(closed) = ended.try_recv() {
                return Err(closed.into());
            }
            // Whichever comes first is looked for; the end of a link shows within a moment.
            if timeout(JOIN_LOOK_EVERY, shown.next()).await == Ok(false) {
                // The workspace was removed meanwhile.
                return Err(Closed::Dead.into());
            }
        }
    }

    /// Begins a link; the receiver is told why it ended.
    fn begin(
        self: Arc<Self>,
        workspace: Handle,
        (wire, frames): (Wire, Frames),
        opening: Opening,
        is_dialled: bool,
    ) -> oneshot::Receiver<Closed> {
        let (id, peer) = (workspace.id(), wire.peer);
        let (over, ended) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let mut state = self.state();
        let is_open = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id);
        if state.is_over || !is_open {
            let _ = tell.send(Closed::ByPeer(Bye::Done));
            return told;
        }
        if let Some(old) = state.links.get(&(id, peer)) {
            let lasted_ms = self.outside.now_ms().saturating_sub(old.since_ms);
            if !keeps_new(self.device, peer, is_dialled, OldLink { is_dialled: old.is_dialled, lasted_ms }) {
                let _ = tell.send(Closed::ByPeer(Bye::Done));
                return told;
            }
            old.address.try_send(Stop).ok();
        }
        let side = if is_dialled { Side::Dialer } else { Side::Listener };
        let ends = Ends { workspace: id, own: self.device, peer, side, secret: wire.secret };
        let (places, heard) = mpsc::channel(TOLD_WAITING_MAX);
        let link = PeerLink::new((workspace.clone(), self.outside), ends, opening, (wire, frames), over, places);
        let (seen, number) = (link.seen(), state.next_number);
        state.next_number += 1;
        let address = link.start();
        let since_ms = self.outside.now_ms();
        let entry = Link { number, address, seen: seen.clone(), is_dialled, since_ms, told: 0 };
        state.links.insert((id, peer), entry);
        drop(state);
        self.look.notify_one();
        self.spawn(self.clone().hear_places(workspace, heard));
        let net = self.clone();
        self.spawn(async move {
            let closed = ended.await.unwrap_or(Closed::Dead);
            net.ended((id, peer), number, &seen, closed);
            let _ = tell.send(closed);
        });
        told
    }

    fn ended(&self, key: (WorkspaceId, DeviceKey), number: u64, seen: &Mutex<Seen>, closed: Closed) {
        let agreed = seen.lock().unwrap_or_else(PoisonError::into_inner).agreed.clone();
        let mut state = self.state();
        if let Some(agreed) = agreed {
            state.agreed.insert(key, agreed);
        }
        let Some(link) = state.links.get(&key).filter(|link| link.number == number) else { return };
        let lasted_ms = self.outside.now_ms().saturating_sub(link.since_ms);
        let was_open = link.was_open();
        state.links.remove(&key);
        let mesh = state.meshes.entry(key.0).or_default();
        if lasted_ms >= OF_USE_MS && !matches!(closed, Closed::Violation(_)) {
            mesh.reached(key.1);
        }
        mesh.failed(key.1, self.outside.now_ms(), self.jitter());
        drop(state);
        self.look.notify_one();
        if was_open {
            self.places.met(key.1, self.outside.now_ms());
        }
    }

    /// Tells the links of a workspace where its members' devices were seen, if there is news.
    async fn tell_places(&self, workspace: &Handle) {
        let edition = self.places.edition();
        let fold = workspace.fold();
        let links: Vec<Addr<PeerLink>> = {
            let mut state = self.state();
            let links = state.links.iter_mut().filter(|((of, _), _)| *of == workspace.id());
            let is_open = |link: &&mut Link| {
                let seen = link.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.standing != Standing::Greeting
            };
            links
                .map(|(_, link)| link)
                .filter(|link| link.told < edition)
                .filter(is_open)
                .map(|link| {
                    link.told = edition;
                    link.address.clone()
                })
                .collect()
        };
        if links.is_empty() {
            return;
        }
        let is_member = |device: &DeviceKey| fold.takes_part(*device);
        let own = (self.device, self.transport.addresses());
        let known = self.places.all().into_iter().filter(|(device, _)| is_member(device) && *device != self.device);
        let peers: Vec<PeerPlaces> = known
            .chain([own])
            .map(|(device, places)| PeerPlaces {
                device,
                places: places.into_iter().take(tandem_wire::limits::PLACES_MAX).map(place_of).collect(),
            })
            .take(tandem_wire::limits::PEERS_MAX)
            .collect();
        for link in links {
            let _ = link.send(TellPeers(peers.clone())).await;
        }
    }

    /// What a peer says of where others are: a hint, believed of members only, and tried.
    async fn hear_places(self: Arc<Self>, workspace: Handle, mut heard: mpsc::Receiver<Vec<PeerPlaces>>) {
        while let Some(peers) = heard.recv().await {
            let fold = workspace.fold();
            for PeerPlaces { device, places } in peers {
                if device == self.device || !fold.takes_part(device) {
                    continue;
                }
                let is_news =
                    places.into_iter().filter(|place| self.places.hear(device, address_of(*place))).count() > 0;
                if is_news {
                    self.state().meshes.entry(workspace.id()).or_default().hope(device);
                    self.look.notify_one();
                }
            }
        }
    }
}

async fn until_the_end(ending: CancellationToken, work: impl Future<Output = ()>) {
    ending.run_until_cancelled(work).await;
}
