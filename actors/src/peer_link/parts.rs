//! What a session is given and gives: who it is between, what is to be done, how the two stand, why it ends.

use tandem_storage::take::Received;
use tandem_wire::{
    ChainId, DeviceKey, VersionTable, WorkspaceId,
    message::{Bye, PeerPlaces, Side, tag},
};

/// Who talks to whom about what.
#[derive(Debug, Clone)]
pub struct Ends {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// This node.
    pub own: DeviceKey,
    /// The other one, as the transport has authenticated it.
    pub peer: DeviceKey,
    /// Which end this is.
    pub side: Side,
    /// What only the two ends of the connection know.
    pub secret: [u8; 32],
}

impl Ends {
    /// Whether the other's opening is about this workspace.
    pub fn is_meant_by(&self, opening: &[u8; 16]) -> bool {
        let other = match self.side {
            Side::Dialer => Side::Listener,
            Side::Listener => Side::Dialer,
        };
        *opening == tag(self.workspace, &self.secret, self.peer, other)
    }
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Send this frame.
    Send(Vec<u8>),
    /// Find out what a replica with this table lacks, about [`BATCH_BYTES_MAX`] of it, and hand it to
    /// [`PeerSession::fetched`].
    Fetch(VersionTable),
    /// Find out what the other lacks to see that it was removed, and hand it to [`PeerSession::parted`].
    Part(VersionTable),
    /// Find places of this chain and hand them to [`PeerSession::found`].
    Find(ChainId),
    /// Take these runs in, after those before; when they are on the disk (or left out), [`PeerSession::advanced`] and
    /// then [`PeerSession::taken`].
    Take(Vec<Received>),
    /// Both have the same now.
    Agreed,
    /// The other tells where it saw devices.
    Peers(Vec<PeerPlaces>),
    /// The link is to be closed when everything before is sent.
    Close(Closed),
}

/// Why a link is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The other says so.
    #[error("the other node closed the link: {0:?}")]
    ByPeer(Bye),
    /// What came breaks the rules of the dialogue.
    #[error("the other node broke the protocol: {0}")]
    Violation(&'static str),
    /// The other speaks a later version.
    #[error("the other node speaks version {0} of the protocol, newer than this program: update")]
    Newer(u16),
    /// Nothing was heard for too long.
    #[error("nothing was heard from the other node for too long")]
    Dead,
    /// The other is no member any more.
    #[error("the other node's device was removed from the workspace")]
    Removed,
}

/// How the two replicas stand to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They have not greeted yet.
    Greeting,
    /// Something is on its way. `lacking` events, of those that are known of, are to come here.
    Syncing {
        /// How many.
        lacking: u64,
    },
    /// Both have said that they have the same.
    UpToDate,
    /// Both have sent everything, and still they have not the same.
    Different,
}
