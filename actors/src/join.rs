//! Bringing nodes together: going on the network, inviting, joining.

use crate::{
    block::block_on,
    command::{Admission, Command, MemberChange, NameKind, NotInvited, Refused},
    handle::Handle,
    network::{JoinRequest, Network, PeerStatus, ServerStatus, Ticketed},
    node::{Node, NodeError},
    peer_link::{Closed, link::LinkError, transport::Transport},
    places::last_met,
    ticket::Ticket,
    workspace,
};
use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};
use tandem_wire::{DeviceKey, Invite, MemberId, Role, SecretKey, VersionTable, WorkspaceId, message::Bye};

/// Within so long a newcomer is let in and has what makes it a member.
const JOINED_WITHIN: Duration = Duration::from_secs(30);

/// What an invitation allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invitation {
    /// What who joins by it may do.
    pub role: Role,
    /// How many may join.
    pub uses: u32,
    /// For how long, from now.
    pub valid_for: Duration,
    /// Whether a person has to approve each. Managers are never let in otherwise.
    pub approve: bool,
}

impl Node {
    /// Goes on the network: other members' nodes find this one, and it them. Lasts until the node is closed, or
    /// [`Node::go_offline`].
    #[cfg(feature = "iroh")]
    pub fn go_online(&self, options: crate::NetworkOptions) -> Result<(), crate::NetworkError> {
        use crate::{
            peer_link::iroh::IrohTransport,
            places::{keep_port, last_port},
        };
        let (key, engine) = (self.key(), self.shared_engine());
        let make = move || -> crate::peer_link::transport::Pending<'static, _> {
            Box::pin(async move {
                let transport = IrohTransport::bind(&key, options, last_port(&*engine)).await?;
                if let Some(port) = transport.port() {
                    keep_port(&*engine, port);
                }
                Ok(Arc::new(transport) as Arc<dyn Transport>)
            })
        };
        let own = (self.device(), self.outside());
        let network = block_on(Network::start(own, self.open_workspaces(), self.shared_engine(), make));
        block_on(self.set_network(network.map_err(|error| crate::NetworkError::Bind(error.to_string()))??));
        self.open_all().map_err(|error| crate::NetworkError::Bind(error.to_string()))
    }

    /// The same over a transport of one's own. Blocks the thread.
    pub fn link_through(&self, transport: Arc<dyn Transport>) -> Result<(), NodeError> {
        block_on(self.link_through_async(transport))
    }

    /// The same for async code.
    pub async fn link_through_async(&self, transport: Arc<dyn Transport>) -> Result<(), NodeError> {
        let make = move || -> crate::peer_link::transport::Pending<'static, Result<_, NodeError>> {
            Box::pin(async move { Ok(transport) })
        };
        let own = (self.device(), self.outside());
        let network = Network::start(own, self.open_workspaces(), self.shared_engine(), make).await??;
        self.set_network(network).await;
        self.open_all()
    }

    /// Leaves the network; its links end. What is written meanwhile goes out when the node is on it again. Blocks the
    /// thread.
    pub fn go_offline(&self) {
        block_on(self.go_offline_async());
    }

    /// The same for async code.
    pub async fn go_offline_async(&self) {
        let network = self.network().take();
        if let Some(network) = network {
            network.stop().await;
        }
    }

    /// Whether it is on the network.
    pub fn is_online(&self) -> bool {
        self.network().is_some()
    }

    /// Where others find this node; nowhere while it is not on the network.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.network().as_ref().map(Network::addresses).unwrap_or_default()
    }

    /// The peers that a workspace is linked to now.
    pub fn peers(&self, workspace: WorkspaceId) -> Vec<PeerStatus> {
        self.network().as_ref().map(|network| network.peers(workspace)).unwrap_or_default()
    }

    /// The servers that judge what this node writes in a workspace, and what they said of it; nothing while it is not on the
    /// network.
    pub fn servers(&self, workspace: WorkspaceId) -> Vec<ServerStatus> {
        self.network().as_ref().map(|network| network.servers(workspace)).unwrap_or_default()
    }

    /// What each device of a workspace had when this node and it agreed last, linked or not; of the time since this node
    /// went on the network.
    pub fn agreed(&self, workspace: WorkspaceId) -> BTreeMap<DeviceKey, Arc<VersionTable>> {
        self.network().as_ref().map(|network| network.agreed(workspace)).unwrap_or_default()
    }

    /// When a device that is not linked to this one was so last, in milliseconds since 1970. After this node was
    /// killed, that is the link before.
    pub fn last_met(&self, device: DeviceKey) -> Option<u64> {
        last_met(&*self.shared_engine(), device)
    }

    /// Invites a further device of somebody who is a member: a ticket for it. A manager has to approve it, whoever
    /// invites: what it writes is as if that person had. Blocks the thread.
    pub fn invite_device(&self, workspace: &Handle, of: MemberId, valid_for: Duration) -> Result<Ticket, NodeError> {
        block_on(self.invite_device_async(workspace, of, valid_for))
    }

    /// The same for async code.
    pub async fn invite_device_async(
        &self,
        workspace: &Handle,
        of: MemberId,
        valid_for: Duration,
    ) -> Result<Ticket, NodeError> {
        let devices = workspace.members().into_iter().filter(|info| info.member == Some(of));
        let standing = devices.filter_map(|info| Some((info.role?, info.name))).max_by_key(|(role, _)| *role);
        let Some((role, name)) = standing else { return Err(Refused::UnknownPerson(of).into()) };
        let invitation = Invitation { role, uses: 1, valid_for, approve: true };
        let ticket = self.invite_async(workspace, invitation).await?;
        Ok(Ticket { person: Some((of, name)), ..ticket })
    }

    /// Invites somebody. The ticket holds a secret that is nowhere else: the log keeps only a key that is made of it.
    /// Blocks the thread.
    pub fn invite(&self, workspace: &Handle, invitation: Invitation) -> Result<Ticket, NodeError> {
        block_on(self.invite_async(workspace, invitation))
    }

    /// The same for async code.
    pub async fn invite_async(&self, workspace: &Handle, invitation: Invitation) -> Result<Ticket, NodeError> {
        let secret: [u8; 16] = self.outside().random();
        let Invitation { role, uses, valid_for, approve } = invitation;
        let expires_ms = self.outside().now_ms().saturating_add(valid_for.as_millis() as u64);
        let key = SecretKey::of_invitation(&secret).device();
        let invite = Invite { key, role, uses, expires_ms, approve };
        let committed = workspace.commit_async(Command::Members(MemberChange::Invite(invite))).await?;
        let invite = committed.made.expect("a change of members names its op");
        Ok(Ticket {
            workspace: workspace.id(),
            invite,
            secret,
            device: self.device(),
            addresses: self.addresses(),
            person: None,
        })
    }

    /// Joins a workspace by a ticket, and waits until this node is a member there. What the workspace holds may still be
    /// on its way then. Blocks the thread.
    pub fn join(&self, ticket: &Ticket, name: &str) -> Result<Handle, NodeError> {
        block_on(self.join_async(ticket, name))
    }

    /// The same for async code.
    pub async fn join_async(&self, ticket: &Ticket, name: &str) -> Result<Handle, NodeError> {
        workspace::name_among(NameKind::Member, name, std::iter::empty())?;
        if self.network().is_none() {
            return Err(NodeError::Offline);
        }
        let (workspace, is_new) = self.make_room(ticket.workspace)?;
        let joined = self.join_with(&workspace, ticket, name).await;
        if joined.is_err() && is_new {
            self.remove_async(ticket.workspace).await?;
        }
        joined.map(|()| workspace)
    }

    async fn join_with(&self, workspace: &Handle, ticket: &Ticket, name: &str) -> Result<(), NodeError> {
        let person = ticket.person.clone();
        let (member, name) = person.unwrap_or_else(|| (MemberId(self.outside().random()), name.into()));
        let ticketed =
            Ticketed { invite: ticket.invite, key: ticket.key(), member, name, addresses: ticket.addresses.clone() };
        let joining = {
            let network = self.network();
            let network = network.as_ref().ok_or(NodeError::Offline)?;
            network.join(workspace.clone(), ticket.device, ticketed, JOINED_WITHIN)
        };
        match joining.await.map_err(|_| NodeError::Stopped)? {
            Ok(()) => Ok(()),
            Err(LinkError::Closed(Closed::ByPeer(Bye::AwaitsApproval))) => {
                Err(Refused::NotInvited(NotInvited::AwaitsApproval).into())
            }
            Err(LinkError::Closed(Closed::ByPeer(Bye::NotInvited))) => {
                Err(Refused::NotInvited(NotInvited::Unknown).into())
            }
            Err(LinkError::Closed(Closed::ByPeer(Bye::Removed))) => Err(Refused::DeviceRemoved(self.device()).into()),
            Err(error) => Err(NodeError::Link(error)),
        }
    }

    /// Newcomers with tickets that need a person's approval.
    pub fn requests(&self) -> Vec<JoinRequest> {
        let mut requests = self.network().as_ref().map(Network::requests).unwrap_or_default();
        for request in &mut requests {
            let fold = self.workspace(request.workspace).map(|workspace| workspace.fold());
            let name = fold.ok().and_then(|fold| workspace::person_name(&fold, request.member).map(str::to_owned));
            request.further_device_of = name;
        }
        requests
    }

    /// Lets a newcomer in, after a person has compared the device key.
    pub fn approve(&self, workspace: &Handle, device: DeviceKey) -> Result<(), NodeError> {
        let request = self
            .requests()
            .into_iter()
            .find(|request| (request.workspace, request.device) == (workspace.id(), device))
            .ok_or(Refused::UnknownMember(device))?;
        let JoinRequest { member, name, role, invited, .. } = request;
        let admission = Admission { member, name, device, role, invited: Some(invited), approved: true };
        let admitted = workspace.commit(Command::Members(MemberChange::Admit(admission)));
        // Whoever is not let in may ask again.
        if let Some(network) = self.network().as_ref() {
            network.forget_request(workspace.id(), device);
        }
        admitted.map(drop)
    }
}
