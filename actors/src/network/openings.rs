//! What somebody says first on a stream that they have opened: that they are a member, or that they have a ticket. Strangers
//! get no answer at all.

use super::{JoinRequest, Net};
use crate::{
    command::{Admission, Command, MemberChange, NotInvited, Refused},
    handle::Handle,
    node::NodeError,
    peer_link::{Frames, framed, link::Opening, transport::Wire},
};
use std::{sync::Arc, time::Duration};
use tandem_wire::{
    Invited,
    message::{BadMessage, Bye, Hello, Join, Message, Side, tag},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// Within so long whoever dials says what it wants.
const OPENING_WITHIN: Duration = Duration::from_secs(10);
/// Bytes that are read at once of somebody who has shown nothing yet.
const OPENING_READ_BYTES: usize = 4096;
/// Newcomers that wait for a person's approval.
const REQUESTS_MAX: usize = 64;

impl Net {
    pub(super) async fn accept(self: Arc<Self>) {
        // While so many have said nothing, the next wait in the transport.
        while let Ok(permit) = self.openings.clone().acquire_owned().await {
            let Some(wire) = self.transport.accept().await else { return };
            let net = self.clone();
            self.spawn(async move {
                let opened = timeout(OPENING_WITHIN, read_opening(wire)).await;
                drop(permit);
                if let Ok(Some((wire, frames, opening))) = opened {
                    net.answer(wire, frames, opening).await;
                }
            });
        }
    }

    /// What somebody wants who dialled. Strangers get no answer at all.
    async fn answer(self: Arc<Self>, wire: Wire, frames: Frames, opening: Result<Message, BadMessage>) {
        match opening {
            Ok(Message::Hello(hello)) => self.answer_hello(wire, frames, hello).await,
            Ok(Message::Join(join)) => self.answer_join(wire, frames, join).await,
            Err(BadMessage::Newer(_)) => say_bye(wire, Bye::Newer).await,
            Ok(_) | Err(BadMessage::Damaged) => {}
        }
    }

    async fn answer_hello(self: Arc<Self>, wire: Wire, frames: Frames, hello: Hello) {
        let Some(workspace) = self.meant(&wire, &hello.tag) else { return };
        let fold = workspace.fold();
        if !fold.members().knows(wire.peer) && !fold.is_authority(wire.peer) {
            // Who never was a member learns nothing; who was is told that it is none any more.
            return;
        }
        if fold.takes_part(wire.peer) {
            self.saw(&wire);
        }
        let agreed = self.state().agreed.get(&(workspace.id(), wire.peer)).cloned();
        self.begin(workspace, (wire, frames), Opening::Listen { agreed, hello: Some(hello) }, false);
    }

    async fn answer_join(self: Arc<Self>, wire: Wire, frames: Frames, join: Join) {
        let Some(workspace) = self.meant(&wire, &join.tag) else { return };
        let Some(role) = crate::workspace::invited_role(&workspace.fold(), workspace.id(), wire.peer, &join) else {
            return;
        };
        let invited = Invited { invite: join.invite, proof: join.proof };
        let admission = Admission {
            member: join.member,
            name: join.name.clone(),
            device: wire.peer,
            role,
            invited: Some(invited.clone()),
            approved: false,
        };
        let admitted = workspace.commit_async(Command::Members(MemberChange::Admit(admission))).await;
        match admitted {
            // Also when the answer to an earlier attempt was lost.
            Ok(_) | Err(NodeError::Refused(Refused::MemberExists(_))) => {}
            Err(NodeError::Refused(Refused::NotInvited(NotInvited::AwaitsApproval))) => {
                let (workspace, device, name) = (workspace.id(), wire.peer, join.name);
                let member = join.member;
                self.ask_a_person(JoinRequest {
                    workspace,
                    device,
                    member,
                    name,
                    role,
                    further_device_of: None,
                    invited,
                });
                return say_bye(wire, Bye::AwaitsApproval).await;
            }
            Err(NodeError::Refused(Refused::DeviceRemoved(_))) => return say_bye(wire, Bye::Removed).await,
            Err(NodeError::Refused(_)) => return say_bye(wire, Bye::NotInvited).await,
            Err(_) => return say_bye(wire, Bye::Busy).await,
        }
        self.saw(&wire);
        self.begin(workspace, (wire, frames), Opening::Listen { agreed: None, hello: None }, false);
    }

    fn ask_a_person(&self, request: JoinRequest) {
        let mut state = self.state();
        // The first stays until it is answered: a person may be looking at it.
        let is_same = |other: &JoinRequest| (other.workspace, other.device) == (request.workspace, request.device);
        if state.requests.len() < REQUESTS_MAX && !state.requests.iter().any(is_same) {
            tracing::info!(device = %request.device, name = request.name, "somebody waits for approval to join");
            state.requests.push(request);
        }
    }

    /// The workspace that an opening's tag names.
    fn meant(&self, wire: &Wire, opening: &[u8; 16]) -> Option<Handle> {
        let is_meant = |workspace: &Handle| tag(workspace.id(), &wire.secret, wire.peer, Side::Dialer) == *opening;
        self.open_workspaces().into_iter().find(is_meant)
    }
}

/// The first message on a stream.
async fn read_opening(mut wire: Wire) -> Option<(Wire, Frames, Result<Message, BadMessage>)> {
    let mut frames = Frames::new();
    let mut buffer = [0; OPENING_READ_BYTES];
    loop {
        let count = wire.read.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        frames.push(&buffer[..count]);
        if let Some(frame) = frames.take().ok()? {
            return Some((wire, frames, Message::decode(&frame)));
        }
    }
}

async fn say_bye(mut wire: Wire, bye: Bye) {
    let frame = framed(&Message::Bye(bye).encode());
    if timeout(OPENING_WITHIN, wire.write.write_all(&frame)).await.is_ok_and(|done| done.is_ok()) {
        let _ = timeout(OPENING_WITHIN, wire.write.shutdown()).await;
    }
    // The other end reads it before it closes the stream.
    let mut rest = [0; 64];
    let _ = timeout(OPENING_WITHIN, wire.read.read(&mut rest)).await;
}
