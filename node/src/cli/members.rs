//! Commands about who is a member: inviting, joining, roles, removal.

use super::{
    CliError, Console, Exit,
    args::{InviteArgs, JoinArgs, Json, MembersCommand},
    events::when,
};
use crate::show::{Column, Table, escape};
use serde_json::json;
use std::time::Duration;
use tandem_actors::{
    Command, Handle, Invitation, JoinRequest, Node, NodeError, Refused, Ticket,
    command::{MemberChange, NotInvited},
    handle::MemberInfo,
    peer_link::Standing,
};
use tandem_wire::{Act, DeviceKey, Invite, MemberId, OpRef, Role};

/// How often a newcomer looks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn invite(
    node: &Node,
    workspace: &Handle,
    invite: &InviteArgs,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let InviteArgs { role, uses, expires, approve, device_of, json } = invite;
    let ticket = match device_of {
        Some(who) => node.invite_device(workspace, person(workspace, who)?, *expires)?,
        None => {
            let invitation = Invitation { role: (*role).into(), uses: *uses, valid_for: *expires, approve: *approve };
            node.invite(workspace, invitation)?
        }
    };
    let text = ticket.to_string();
    if json.json {
        let addresses: Vec<String> = ticket.addresses.iter().map(ToString::to_string).collect();
        let fold = workspace.fold();
        let Invite { role, uses, .. } = fold.invite(&ticket.invite).expect("just made");
        let role = role_name(*role);
        console.line(json!({ "ticket": text, "role": role, "uses": uses, "addresses": addresses }))?;
        return Ok(Exit::Success);
    }
    if console.screen.width.is_some() {
        console.text(&qr_code(&text))?;
    }
    console.line(&text)?;
    if ticket.addresses.is_empty() {
        console.complain(
            "no node runs here, so that the ticket has no address: start `tandem node` and invite again, or run it on \
             the newcomer's local network",
        );
    }
    Ok(Exit::Success)
}

/// The ticket for a camera: in capitals, which take less room.
fn qr_code(text: &str) -> String {
    let code = qrcode::QrCode::new(text.to_ascii_uppercase().as_bytes());
    // One that is too long for any code is copied instead.
    code.map(|code| code.render::<qrcode::render::unicode::Dense1x2>().build() + "\n").unwrap_or_default()
}

pub(super) fn join(node: &Node, join: &JoinArgs, console: &mut Console) -> Result<Exit, CliError> {
    let ticket: Ticket = join.ticket.parse().map_err(|error| CliError::Usage(format!("{error}")))?;
    let name = match &ticket.person {
        Some((_, name)) => name.clone(),
        None => join.name.clone().or_else(|| console.user.clone()).unwrap_or_else(|| "me".into()),
    };
    let workspace = match node.join(&ticket, &name) {
        Err(NodeError::Refused(refused @ Refused::NotInvited(NotInvited::AwaitsApproval))) => {
            let text = format!(
                "{refused}. Tell a manager this node's key, so that it can be compared: {}; then join again",
                node.device()
            );
            return Err(CliError::Usage(text));
        }
        joined => joined?,
    };
    let mut progress = console.progress("catching up");
    let lacking = |peer: &tandem_actors::PeerStatus| match peer.standing {
        Standing::UpToDate => 0,
        Standing::Syncing { lacking } => lacking.max(1),
        Standing::Greeting | Standing::Different => 1,
    };
    loop {
        console.go_on()?;
        let peers = node.peers(workspace.id());
        if peers.is_empty() || peers.iter().any(|peer| lacking(peer) == 0) {
            break;
        }
        let events: u64 = workspace.fold().version_table().all().map(|end| end.seq + 1).sum();
        progress.advance(events.saturating_sub(progress.done()));
        std::thread::park_timeout(LOOK_EVERY);
    }
    drop(progress);
    let role = workspace.fold().role_of(node.device()).map_or("no member", role_name);
    console.line(format_args!("joined {} as {} ({role})", escape(&workspace.name()), escape(&name)))?;
    Ok(Exit::Success)
}

pub(super) fn members(
    node: &Node,
    workspace: &Handle,
    command: Option<&MembersCommand>,
    json: Json,
    console: &mut Console,
) -> Result<Exit, CliError> {
    let commit = |change| workspace.commit(Command::Members(change)).map(drop);
    match command {
        None => return list(node, workspace, json, console),
        Some(MembersCommand::Role { who, role }) => {
            let device = find(workspace, who)?;
            commit(MemberChange::SetRole { device, role: (*role).into() })?;
            console.line(format_args!("{} is now {}", escape(who), role.name()))?;
        }
        Some(MembersCommand::Remove { who }) => {
            let device = find(workspace, who)?;
            commit(MemberChange::Remove(device))?;
            console.line(format_args!(
                "removed {}: what that device wrote and nobody here has seen counts for nothing; its copy stays \
                 readable there",
                escape(who)
            ))?;
        }
        Some(MembersCommand::Approve { who }) => {
            let all = node.requests().into_iter().filter(|request| request.workspace == workspace.id());
            let fits = |name: &str, device: DeviceKey| name == who || is_start(who, device);
            let name = |request: &JoinRequest| request.further_device_of.clone().unwrap_or(request.name.clone());
            let fitting: Vec<_> = all.filter(|request| fits(&name(request), request.device)).collect();
            let request = one(&fitting, who, "waits for approval here")?;
            node.approve(workspace, request.device)?;
            let further = if request.further_device_of.is_some() { "a further device of " } else { "" };
            let (name, role) = (name(request), role_name(request.role));
            console.line(format_args!("{further}{} may join now, as {role}", escape(&name)))?;
        }
        Some(MembersCommand::Withdraw { invitation }) => {
            commit(MemberChange::Withdraw(find_invite(workspace, invitation)?))?;
            console.line("withdrawn: who has joined by it stays")?;
        }
    }
    Ok(Exit::Success)
}

fn list(node: &Node, workspace: &Handle, json: Json, console: &mut Console) -> Result<Exit, CliError> {
    let fold = workspace.fold();
    let owner = fold.terms().owners.last().map(|owner| owner.device);
    let mut table = Table::new([Column::text("NAME"), Column::text("ROLE"), Column::text("DEVICE")]);
    for MemberInfo { device, member, name, role } in workspace.members() {
        let is_owner = owner == Some(device);
        let role = if is_owner { "owner" } else { role.map_or("removed", role_name) };
        let this = if device == node.device() { " (this node)" } else { "" };
        match json.json {
            true => console.line(json!({
                "device": device.to_string(),
                "member": member.map(|member| member.to_string()),
                "name": name,
                "role": role,
            }))?,
            false => table.row([name, role.to_owned(), format!("{device}{this}")]),
        }
    }
    for request in node.requests().into_iter().filter(|request| request.workspace == workspace.id()) {
        match json.json {
            true => console.line(json!({
                "device": request.device.to_string(),
                "name": request.name,
                "role": "awaits approval",
                "asks_for": role_name(request.role),
                "further_device_of": request.further_device_of,
            }))?,
            false => {
                let (name, role) = match request.further_device_of {
                    Some(owner) => (owner, "awaits approval, as a further device"),
                    None => (request.name, "awaits approval"),
                };
                table.row([name, role.to_owned(), request.device.to_string()]);
            }
        }
    }
    if !json.json {
        console.table(table)?;
    }
    for (op, invite, is_open) in invitations(workspace) {
        let id = op.tag.to_string()[..8].to_owned();
        let expires = when(invite.expires_ms);
        match json.json {
            true => console.line(json!({
                "invitation": id,
                "role": role_name(invite.role),
                "uses": invite.uses,
                "expires_ms": invite.expires_ms,
                "withdrawn": !is_open,
            }))?,
            false if is_open => console.line(format_args!(
                "invitation {id}: {} for {}, until {expires}",
                role_name(invite.role),
                invite.uses
            ))?,
            false => {}
        }
    }
    Ok(Exit::Success)
}

/// The invitations of a workspace, and whether each was not withdrawn.
fn invitations(workspace: &Handle) -> Vec<(OpRef, tandem_wire::Invite, bool)> {
    let fold = workspace.fold();
    let (mut found, mut withdrawn) = (Vec::new(), Vec::new());
    for event in fold.control().map(|control| &control.event) {
        for (index, op) in event.header().ops.iter().enumerate() {
            match &op.act {
                Act::Invite(invite) => found.push((event.op_ref(index as u16), **invite)),
                Act::Withdraw(op) => withdrawn.push(**op),
                _other => {}
            }
        }
    }
    found.into_iter().map(|(op, invite)| (op, invite, !withdrawn.contains(&op))).collect()
}

fn find_invite(workspace: &Handle, text: &str) -> Result<OpRef, CliError> {
    let all = invitations(workspace).into_iter().map(|(op, ..)| op);
    let fitting: Vec<OpRef> = all.filter(|op| text.len() >= 4 && op.tag.to_string().starts_with(text)).collect();
    one(&fitting, text, "is an invitation").copied()
}

/// The device of the member with this name, or whose key starts like this.
fn find(workspace: &Handle, who: &str) -> Result<DeviceKey, CliError> {
    let present = workspace.members().into_iter().filter(|member| member.role.is_some());
    let fitting: Vec<DeviceKey> = present
        .filter(|member| member.name == who || is_start(who, member.device))
        .map(|member| member.device)
        .collect();
    one(&fitting, who, "is a member").copied()
}

/// A person who is a member, by name or by the start of a device's key.
pub(super) fn person(workspace: &Handle, who: &str) -> Result<MemberId, CliError> {
    let present = workspace.members().into_iter().filter(|member| member.role.is_some());
    let fitting = present.filter(|member| member.name == who || is_start(who, member.device));
    let mut people: Vec<MemberId> = fitting.filter_map(|member| member.member).collect();
    people.sort_unstable();
    people.dedup();
    one(&people, who, "is a member").copied()
}

pub(super) fn is_start(text: &str, device: DeviceKey) -> bool {
    text.len() >= 4 && device.to_string().starts_with(text)
}

pub(super) fn one<'a, T>(fitting: &'a [T], text: &str, what: &str) -> Result<&'a T, CliError> {
    match fitting {
        [one] => Ok(one),
        [] => Err(CliError::NotFound(format!("nobody and nothing called {text} {what}; `tandem members` shows all"))),
        _several => Err(CliError::Usage(format!("{text} fits several; give the start of a key or id"))),
    }
}

pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Reader => "reader",
        Role::Writer => "writer",
        Role::Designer => "designer",
        Role::Manager => "manager",
    }
}
