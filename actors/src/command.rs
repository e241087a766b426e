//! What can be asked of a workspace, and what it answers.

use crate::undo::{Undo, Undone};
use tandem_storage::{
    Heads,
    design_file::{DesignFault, DesignFile},
    fold::RecordState,
    history::Author,
    index::ViewDefinition,
    rehearsal::Reported,
};
use tandem_wire::{
    ActorId, BatchId, BindingMode, CellKey, ChainId, DeviceKey, ElementId, EventId, EventRef, FieldId, Invite, Invited,
    ListId, MemberId, OpRef, RecordKey, Role, Value, WorkspaceId,
    design::{ElementKind, FieldType, Property},
};

/// Something to do. Each command is done whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Change records, in one event.
    Change(Transaction),
    /// Make a list with its fields.
    CreateList {
        /// Its name.
        name: String,
        /// Its fields, in their order.
        fields: Vec<(String, FieldType)>,
    },
    /// Add fields to a list, behind those that it has.
    AddFields {
        /// The list.
        list: ListId,
        /// The fields, in their order.
        fields: Vec<(String, FieldType)>,
    },
    /// Make a view of a list. One that sorts gets an index, in which its columns are stored.
    CreateView {
        /// The list.
        list: ListId,
        /// The view's name.
        name: String,
        /// How it sorts and what it shows.
        definition: ViewDefinition,
    },
    /// Add choices to a field, behind those that it has. One that it has already is no change.
    AddChoices {
        /// The field, which holds choices.
        field: FieldId,
        /// Their names, in their order.
        choices: Vec<String>,
    },
    /// Put a property on an element of the design.
    Put {
        /// Which element.
        element: ElementId,
        /// Which property.
        property: Property,
        /// Its value.
        value: Value,
    },
    /// Make the design what a file says. On the node of the authority that it belongs to this proposes it to the members.
    ApplyDesign(Box<DesignFile>),
    /// Make the design what it was before an event, as [`Command::ApplyDesign`] does.
    RevertDesign(EventId),
    /// Take a member's change of the design, which was refused, into it after all: propose it to the members. On the node of
    /// the authority that the design belongs to.
    AdoptStep(EventId),
    /// Tell what came of a rehearsal of a proposed design.
    Rehearsed {
        /// The proposal.
        proposal: OpRef,
        /// What came of it.
        outcome: RehearsalOutcome,
    },
    /// Change who is a member, and what members may do.
    Members(MemberChange),
    /// Take changes of this device back, as new changes. [`crate::Handle::undo`] makes these.
    Undo(Undo),
    /// Change who judges. Only the owner does.
    Servers(ServerChange),
    /// Put a new event in place of a refused one, with other values where that is needed.
    Resend(Resend),
    /// Give a refused event up: it is taken off every member's inbox.
    Discard(EventRef),
    /// Ask another member to put a refused event right.
    HandOn {
        /// The event.
        event: EventRef,
        /// Who shall mend it.
        to: MemberId,
    },
}

/// A change of who judges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerChange {
    /// Make a node an authority.
    Bind {
        /// The control chain that its verdicts will be in: the node tells it.
        authority: ChainId,
        /// What it judges; none: the whole workspace.
        lists: Option<Vec<ListId>>,
        /// Whether its refusals mask.
        mode: BindingMode,
        /// Bindings that this one replaces.
        replaces: Vec<OpRef>,
    },
    /// End a binding; the verdicts that were seen here stand.
    Unbind(OpRef),
}

/// See [`Command::Resend`].
#[derive(Debug, Clone, PartialEq)]
pub struct Resend {
    /// The refused event.
    pub event: EventRef,
    /// What is to be other than in it: values by cell, of the records that it is about.
    pub values: Vec<(CellKey, Value)>,
    /// Events that were refused or are held only because they need this one are put in place anew, too.
    pub with_dependants: bool,
    /// Who acts, on a shared device.
    pub actor: Option<ActorId>,
}

impl Command {
    /// The least role that may do it.
    pub fn needed_role(&self) -> Role {
        match self {
            Self::Change(_)
            | Self::Undo(_)
            | Self::Resend(_)
            | Self::Discard(_)
            | Self::HandOn { .. }
            | Self::Rehearsed { .. } => Role::Writer,
            _step if self.changes_the_design() => Role::Designer,
            _about_who_takes_part => Role::Manager,
        }
    }

    /// Whether it takes a step of the design.
    pub fn changes_the_design(&self) -> bool {
        match self {
            Self::CreateList { .. }
            | Self::AddFields { .. }
            | Self::CreateView { .. }
            | Self::AddChoices { .. }
            | Self::ApplyDesign(_)
            | Self::RevertDesign(_)
            | Self::AdoptStep(_)
            | Self::Put { .. } => true,
            Self::Change(_)
            | Self::Rehearsed { .. }
            | Self::Members(_)
            | Self::Undo(_)
            | Self::Servers(_)
            | Self::Resend(_)
            | Self::Discard(_)
            | Self::HandOn { .. } => false,
        }
    }
}

/// What came of a rehearsal.
#[derive(Debug, Clone, PartialEq)]
pub enum RehearsalOutcome {
    /// The design fits the data: it is merged.
    Valid,
    /// It does not.
    Failed(Box<Reported>),
}

impl RehearsalOutcome {
    /// Of a rehearsal that found this, and after which the design is merged, or not.
    pub(crate) fn of(reported: Reported, is_merged: bool) -> Self {
        if is_merged { Self::Valid } else { Self::Failed(Box::new(reported)) }
    }
}

impl Change {
    /// The record that it changes.
    pub fn record(&self) -> RecordKey {
        match self {
            Self::Create(record) | Self::Delete(record) | Self::Restore(record) | Self::Keep(record) => *record,
            Self::Set(cell, _) | Self::SetRaw(cell, _) | Self::Resolve(cell, _) | Self::SetText { cell, .. } => {
                cell.record
            }
        }
    }
}

/// A change of who is a member. Only managers make them.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberChange {
    /// Offer membership to who knows the secret behind a key.
    Invite(Invite),
    /// Take an invitation back. Who joined by it stays.
    Withdraw(OpRef),
    /// Make a device a member's.
    Admit(Admission),
    /// Change a device's role. What it wrote that nobody here has seen counts as by the lower role.
    SetRole {
        /// Whose.
        device: DeviceKey,
        /// The new role.
        role: Role,
    },
    /// End a device's membership. What it wrote that nobody here has seen is masked everywhere.
    Remove(DeviceKey),
    /// Let an admission stand whose author was removed.
    Keep(OpRef),
}

/// See [`MemberChange::Admit`].
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// The person.
    pub member: MemberId,
    /// Their name.
    pub name: String,
    /// Their device.
    pub device: DeviceKey,
    /// What they may do; by an invitation, what that says.
    pub role: Role,
    /// The invitation that they come with, and their proof of knowing its secret.
    pub invited: Option<Invited>,
    /// A person has said yes, where the invitation asks for that.
    pub approved: bool,
}

/// Changes that belong together. Each builds on those before it; what the last of them leaves is what is done, so that
/// a record that is made and removed again was never there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transaction {
    /// In this order.
    pub changes: Vec<Change>,
    /// The import or job that they are part of.
    pub batch: Option<BatchId>,
    /// Who acts, on a shared device.
    pub actor: Option<ActorId>,
    /// What the caller has seen of what it changes. Where something else is there when the transaction's turn comes,
    /// it is refused as stale; without, the last writer wins.
    pub expect: Vec<Expect>,
    /// It stays one event also where several authorities judge parts of it: then it is accepted when all accept it. Without,
    /// it becomes an event for each of them.
    pub is_whole: bool,
}

/// What a caller has seen, for [`Transaction::expect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// A whole record: nothing about it may have changed. Take the heads with [`RecordState::heads`]; none: the record
    /// was never there.
    Record(RecordKey, Heads),
    /// One cell, whatever became of the rest of the record. Take the heads with [`RecordState::heads_of`].
    Cell(CellKey, Heads),
}

/// One change of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Make a record, with an id that the caller chose.
    Create(RecordKey),
    /// Give a cell a value. A value that it shows already is no change. A part of a string, such as a user's `email`,
    /// has no cell of its own: the string is written anew.
    Set(CellKey, Value),
    /// The same for a value from elsewhere: one that the field's type cannot hold is kept as it is, and flagged.
    SetRaw(CellKey, Value),
    /// Make a field, or one element of it, say a text, the way servers write it: `123;#john@x.org`, or with all its elements
    /// `1;#a;#2;#b` ([`tandem_storage::composite`]).
    SetText {
        /// The field, or the element: no part of one.
        cell: CellKey,
        /// What it is to say; nothing clears it.
        text: String,
        /// Whether a text that the field's type cannot hold is kept as it is, and flagged.
        keep_raw: bool,
    },
    /// Give a cell a value in place of everything that was written into it side by side: the conflict is over.
    Resolve(CellKey, Value),
    /// Of a record that somebody removed while somebody else edited it: the edit stands, and the removal is taken off the
    /// inbox.
    Keep(RecordKey),
    /// Remove a record.
    Delete(RecordKey),
    /// Bring a removed record back.
    Restore(RecordKey),
}

/// What a command did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The events that it became, durable and in the views; none where everything was so already.
    pub events: Vec<EventId>,
    /// The elements that it defined.
    pub elements: Vec<ElementId>,
    /// Of a change of members: the op that it became, by which an invitation or admission is named.
    pub made: Option<OpRef>,
    /// Of an undo: what was taken back and what was left.
    pub undone: Option<Box<Undone>>,
}

/// Why a command was not done. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The design has no such list.
    #[error("there is no list {0}; `tandem lists` shows those that there are")]
    UnknownList(String),
    /// The list has no such field.
    #[error("list {list} has no field {field}; its fields are: {known}")]
    UnknownField {
        /// The list's name.
        list: String,
        /// What was asked for.
        field: String,
        /// What there is.
        known: String,
    },
    /// The design has no such element.
    #[error("there is no element {0} in the design")]
    UnknownElement(ElementId),
    /// No such record exists.
    #[error("there is no record {} in list {list}", .record.record)]
    UnknownRecord {
        /// The list's name.
        list: String,
        /// The record.
        record: RecordKey,
    },
    /// The record exists already.
    #[error("record {} exists already", .0.record)]
    RecordExists(RecordKey),
    /// The value does not fit the field's type.
    #[error("field {field} holds {expected}, not {got}")]
    Type {
        /// The field's name.
        field: String,
        /// What it holds.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// The event would be beyond a limit of the format.
    #[error("too large: {0}; split it")]
    TooLarge(String),
    /// More refused events are to be sent again by themselves than a node keeps.
    #[error(
        "this node is to send {0} refused changes again by itself already; put some of them right, or give them up"
    )]
    TooManyRetries(usize),
    /// A name is empty, too long, or taken.
    #[error("{kind} name {name:?} {why}", kind = .kind.name())]
    Name {
        /// List or field.
        kind: NameKind,
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The member's role does not allow it.
    #[error("this needs the role {needed}, but you are {present}; ask a manager")]
    Role {
        /// Role needed.
        needed: String,
        /// Role held.
        present: String,
    },
    /// The disk is nearly full: the node is read-only until there is room again.
    #[error("the disk of {path} has {free_mb} MiB left, and below {needed_mb} MiB nothing is written; free some space")]
    DiskLow {
        /// The data directory.
        path: String,
        /// What is free, in MiB.
        free_mb: u64,
        /// What is needed (`storage.disk_free_mb_min`), in MiB.
        needed_mb: u64,
    },
    /// Something else is there than what the caller had seen.
    #[error("record {} was changed by {} since it was read; read it again, then decide", .0.record.record, .0.by)]
    Stale(Box<Stale>),
    /// This node knows no such event.
    #[error("there is no event {0} in this workspace")]
    UnknownEvent(EventId),
    /// This node wrote nothing in such a batch.
    #[error("there is no import or job {0} in this workspace")]
    UnknownBatch(BatchId),
    /// Only the device that made a change takes it back.
    #[error("{} is a change by {author}, from another device: only the device that made a change can undo it", short(.event))]
    NotOwn {
        /// The event.
        event: EventId,
        /// Who made it.
        author: Box<Author>,
    },
    /// It changed members or the design.
    #[error("{} changed no records, so that it cannot be undone: put the design or the role back instead", short(.0))]
    NotUndoable(EventId),
    /// No such device is a member.
    #[error("device {0} is no member; `tandem members` shows who is")]
    UnknownMember(DeviceKey),
    /// The device is a member already.
    #[error("device {0} is a member already")]
    MemberExists(DeviceKey),
    /// Nobody who is a member now has this id.
    #[error("there is no person {0} here; `tandem members --json` shows the ids")]
    UnknownPerson(MemberId),
    /// A removed device never comes back.
    #[error("device {0} was removed and cannot come back: the person joins with a new device key")]
    DeviceRemoved(DeviceKey),
    /// Nobody changes the owner, and a manager only those who are junior.
    #[error("device {0} is senior to this one: only who is senior to a manager changes what the manager may do")]
    Senior(DeviceKey),
    /// The invitation does not let the device in.
    #[error("the invitation {0}")]
    NotInvited(NotInvited),
    /// The node has the workspace already.
    #[error("this node has the workspace already; `tandem workspace rm` removes it, or use another data folder")]
    WorkspaceExists(WorkspaceId),
    /// Only the owner says who judges.
    #[error("only the owner of the workspace binds servers; `tandem members` shows who that is")]
    NotOwner,
    /// There is no such binding now.
    #[error("there is no binding {}; `tandem server` shows those that there are", &.0.tag.to_string()[..8])]
    UnknownBinding(OpRef),
    /// A list has one binding authority.
    #[error("server {0} judges some of these lists already; rebind, or bind a mirror")]
    BoundAlready(DeviceKey),
    /// The event takes part, or was never refused.
    #[error("event {} was not refused: there is nothing to put right", short(.0))]
    NotRefused(EventId),
    /// Values of the event did not come here.
    #[error("the values of event {} are not here: its author can send it again, or give them all", short(.0))]
    ValuesMissing(EventId),
    /// A binding names the chain that verdicts will be in, and this is none.
    #[error("chain {} of {} is no control chain; `tandem server code`, on the server, prints the right one", .0.number, .0.device)]
    NoControlChain(ChainId),
    /// Everything in the event has been put right since.
    #[error("what event {} did has been done since: there is nothing left to send again", short(.0))]
    NothingLeft(EventId),
    /// A rule of the design does not allow the change.
    #[error("{message} (rule {rule})")]
    Rule {
        /// The rule's name.
        rule: String,
        /// What it says to whoever breaks it.
        message: String,
        /// The field at fault; empty where it is none.
        field: String,
    },
    /// The design cannot be meant.
    #[error("{}", listed(.0))]
    Design(Vec<DesignFault>),
    /// The design belongs to a server.
    #[error(
        "the design of this workspace belongs to the server {0}: it is changed there, by `tandem design apply`; the \
         owner can detach the workspace with `tandem server unbind`"
    )]
    DesignOwned(DeviceKey),
    /// Only an authority takes refused changes into the design.
    #[error("only the server that the design belongs to takes refused changes into it, on its own node")]
    NotTheServer,
    /// The event is not about the design.
    #[error("event {} does not change the design: `tandem resolve` puts it right", short(.0))]
    NoStep(EventId),
    /// One design is tried at a time.
    #[error("a design is being rehearsed here, or too much changed meanwhile; try again")]
    Rehearsing,
    /// There is no such proposal of a design.
    #[error("there is no proposed design {}; `tandem design history` shows those that there are", &.0.tag.to_string()[..8])]
    UnknownProposal(OpRef),
    /// The workspace was left.
    #[error("this workspace was left: its copy here is for reading only")]
    Left,
}

/// Why an invitation lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotInvited {
    /// There is none, or the proof is not for it.
    #[error("is unknown, or the ticket is not for it")]
    Unknown,
    /// It was taken back.
    #[error("was withdrawn")]
    Withdrawn,
    /// Its time is over.
    #[error("has expired")]
    Expired,
    /// As many as it allows have joined by it.
    #[error("is used up")]
    UsedUp,
    /// A person has to say yes.
    #[error("needs a manager's approval: `tandem members approve`")]
    AwaitsApproval,
}

/// What is there instead of what a caller had seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    /// The record.
    pub record: RecordKey,
    /// Who changed it last, of those changes that the caller had not seen.
    pub by: Author,
    /// The record as it is now.
    pub now: RecordState,
}

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameKind {
    /// A list.
    List,
    /// A field.
    Field,
    /// A choice.
    Choice,
    /// A workspace.
    Workspace,
    /// A member.
    Member,
    /// A rule.
    Rule,
}

impl NameKind {
    fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Rule => "rule",
            Self::Field => "field",
            Self::Choice => "choice",
            Self::Workspace => "workspace",
            Self::Member => "member",
        }
    }
}

impl Refused {
    /// A code for programs, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownList(_) => "unknown-list",
            Self::UnknownField { .. } => "unknown-field",
            Self::UnknownElement(_) => "unknown-element",
            Self::UnknownRecord { .. } => "unknown-record",
            Self::RecordExists(_) => "record-exists",
            Self::Type { .. } => "type",
            Self::TooLarge(_) => "too-large",
            Self::TooManyRetries(_) => "too-many-retries",
            Self::Name { .. } => "name",
            Self::Role { .. } => "role",
            Self::DiskLow { .. } => "disk-low",
            Self::Stale(_) => "stale",
            Self::UnknownEvent(_) => "unknown-event",
            Self::UnknownBatch(_) => "unknown-batch",
            Self::NotOwn { .. } => "not-own",
            Self::NotUndoable(_) => "not-undoable",
            Self::UnknownMember(_) => "unknown-member",
            Self::MemberExists(_) => "member-exists",
            Self::UnknownPerson(_) => "unknown-person",
            Self::DeviceRemoved(_) => "device-removed",
            Self::Senior(_) => "senior",
            Self::NotInvited(why) => why.code(),
            Self::NotOwner => "not-owner",
            Self::UnknownBinding(_) => "unknown-binding",
            Self::BoundAlready(_) => "bound-already",
            Self::NotRefused(_) => "not-refused",
            Self::NothingLeft(_) => "nothing-left",
            Self::ValuesMissing(_) => "values-missing",
            Self::NoControlChain(_) => "no-control-chain",
            Self::WorkspaceExists(_) => "workspace-exists",
            Self::Rule { .. } => "rule",
            Self::Design(_) => "design",
            Self::DesignOwned(_) => "design-owned",
            Self::NotTheServer => "not-the-server",
            Self::NoStep(_) => "no-step",
            Self::Rehearsing => "rehearsing",
            Self::UnknownProposal(_) => "unknown-proposal",
            Self::Left => "left",
        }
    }

    pub(crate) fn role(needed: Role, present: Option<Role>) -> Self {
        let name = |role: Option<Role>| {
            match role {
                None => "no member",
                Some(Role::Reader) => "reader",
                Some(Role::Writer) => "writer",
                Some(Role::Designer) => "designer",
                Some(Role::Manager) => "manager",
            }
            .to_owned()
        };
        Self::Role { needed: name(Some(needed)), present: name(present) }
    }
}

impl NotInvited {
    /// A code for programs, which never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "invite-unknown",
            Self::Withdrawn => "invite-withdrawn",
            Self::Expired => "invite-expired",
            Self::UsedUp => "invite-used-up",
            Self::AwaitsApproval => "invite-awaits-approval",
        }
    }
}

/// Everything that is wrong, one below the other.
fn listed(faults: &[DesignFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Enough of an event's id to find it by.
fn short(event: &EventId) -> String {
    event.to_string()[..12].to_owned()
}

impl From<ElementKind> for NameKind {
    fn from(kind: ElementKind) -> Self {
        match kind {
            ElementKind::List => Self::List,
            ElementKind::Choice => Self::Choice,
            ElementKind::Field | ElementKind::View | ElementKind::Form | ElementKind::Rule => Self::Field,
        }
    }
}
