//! The ops of an event: what each does, to what, instead of what.

use crate::{
    ChainId, DesignDigest, DeviceKey, ElementId, EventRef, FieldId, ListId, MemberId, OpRef, RecordId, Signature,
    bounded, limits::*,
};
use serde::{Deserialize, Serialize};

/// One op, as far as the header tells it. Values and texts are in the event's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// What it is about.
    pub target: Target,
    /// The ops that it replaces or answers, strictly ascending.
    pub preds: Vec<OpRef>,
    /// What it does.
    pub act: Act,
}

/// What an op is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The workspace itself: all control ops.
    Workspace,
    /// A record as a whole.
    Record(RecordKey),
    /// One cell of a record.
    Cell(CellKey),
}

/// A record and the list it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// The list.
    pub list: ListId,
    /// The record.
    pub record: RecordId,
}

/// The unit of conflict: a field of a record, or one part or element of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// The record.
    pub record: RecordKey,
    /// The field.
    pub field: FieldId,
    /// Where inside the field; empty for a plain field.
    pub part: PartPath,
}

/// At most [`PART_STEPS_MAX`] byte strings of at most [`PART_STEP_BYTES_MAX`] bytes:
/// an element of a multi-value, a part of a composite, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartPath(#[serde(deserialize_with = "bounded::list::<_, _, PART_STEPS_MAX>")] Vec<PartStep>);

/// One step of a part path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartStep(
    #[serde(serialize_with = "serde_bytes::serialize", deserialize_with = "bounded::bytes::<_, PART_STEP_BYTES_MAX>")]
    Vec<u8>,
);

impl PartPath {
    /// A path of these steps; nothing when there are too many or one is too long.
    pub fn new<S: AsRef<[u8]>>(steps: impl IntoIterator<Item = S>) -> Option<Self> {
        let path = Self(steps.into_iter().map(|step| PartStep(step.as_ref().to_vec())).collect());
        path.is_within_limits().then_some(path)
    }

    /// The steps from the field inwards.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.iter().map(|step| step.0.as_slice())
    }

    /// Whether this is the field itself.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn is_within_limits(&self) -> bool {
        self.0.len() <= PART_STEPS_MAX && self.steps().all(|step| step.len() <= PART_STEP_BYTES_MAX)
    }
}

impl Target {
    /// The record that it is, or is in.
    pub fn record(&self) -> Option<RecordKey> {
        match self {
            Self::Workspace => None,
            Self::Record(record) => Some(*record),
            Self::Cell(cell) => Some(cell.record),
        }
    }

    /// The cell, if it is one.
    pub fn cell(&self) -> Option<&CellKey> {
        match self {
            Self::Cell(cell) => Some(cell),
            Self::Workspace | Self::Record(_) => None,
        }
    }
}

/// What an op does.
///
/// Kinds have numbers that are never reused; even ones go to control chains, odd ones to data chains. What is rare is
/// boxed, so that what is not stays small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    // Data.
    /// Gives a cell a value (payload: a [`crate::Value`]).
    Set,
    /// Makes a record; names the deletes that it answers.
    Create,
    /// Removes a record; names its creates, restores and siblings.
    Delete,
    /// Brings a record back; names the deletes that it answers.
    Restore,
    /// Changes a cell of a type of its own (payload: bytes that only that type reads).
    Apply {
        /// Which type.
        type_id: u32,
    },
    /// Takes the ops that it names off the inbox.
    Resolve,
    /// Gives a refused or masked event up.
    Discard(Box<EventRef>),
    /// Asks another member to put a refused event right.
    HandOn {
        /// The refused event.
        event: Box<EventRef>,
        /// Who shall mend it.
        to: MemberId,
    },

    // Control.
    /// Founds the workspace (payload: its name and its first member's).
    Genesis(Box<Genesis>),
    /// Makes a server an authority.
    Bind(Box<Bind>),
    /// Ends a binding.
    Unbind(Box<End>),
    /// Accepts or refuses events (payload: [`crate::RefusalText`]).
    Verdict(Box<Verdict>),
    /// Offers membership to who knows a secret.
    Invite(Box<Invite>),
    /// Takes an invitation back.
    Withdraw(Box<OpRef>),
    /// Makes a device a member's (payload: the member's name).
    Admit(Box<Admit>),
    /// Changes a member's role.
    SetRole(Box<SetRole>),
    /// Ends a device's membership.
    Remove(Box<Remove>),
    /// Lets an admission stand whose author was removed.
    Keep(Box<OpRef>),
    /// Makes another device the owner.
    HandOver(Box<DeviceKey>),
    /// Makes an element of the design.
    Define(Box<Define>),
    /// Gives an element's property a value (payload: a [`crate::Value`]).
    Put(Box<Put>),
    /// Proposes a design to the members.
    DesignProposed(Box<DesignProposed>),
    /// Makes a proposed design current.
    DesignMerged(Box<Rehearsed>),
    /// Reports that a proposed design does not fit the data (payload: the report).
    DesignFailed(Box<Rehearsed>),
    /// An authority judges by other rules from here on (payload: [`crate::RulesText`]). Changes nothing that is shown.
    RulesChanged(Box<OpRef>),

    /// An op of a later version: takes part in domination, and does nothing else.
    Unknown {
        /// Its number there.
        kind: u16,
        /// Its structural bytes, opaque.
        args: Vec<u8>,
    },
}

/// See [`Act::Genesis`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genesis {
    /// What, with the device key, the workspace id is derived from.
    pub nonce: [u8; 16],
    /// The owner's member id.
    pub member: MemberId,
}

/// The end of a chain as somebody saw it: everything up to this event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark(pub EventRef);

/// What an authority judges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Everything, control events included.
    Workspace,
    /// These lists, strictly ascending.
    Lists(#[serde(deserialize_with = "bounded::list::<_, _, SCOPE_LISTS_MAX>")] Vec<ListId>),
}

/// Whether refusals mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BindingMode {
    /// What it refuses is masked everywhere.
    Binding,
    /// What it refuses is listed, and masks nothing.
    Mirror,
}

/// See [`Act::Bind`]. One binding is one *term*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The control chain that its verdicts will be in.
    pub authority: ChainId,
    /// What it judges.
    pub scope: Scope,
    /// Whether its refusals mask.
    pub mode: BindingMode,
    /// Ends of the data chains that the binder has seen, strictly ascending: these events are not judged.
    #[serde(deserialize_with = "bounded::list::<_, _, MARKS_MAX>")]
    pub seen: Vec<Mark>,
    /// Bindings that this one replaces, strictly ascending.
    #[serde(deserialize_with = "bounded::list::<_, _, BINDING_ENDS_MAX>")]
    pub ends: Vec<End>,
}

/// The end of a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The op that made it.
    pub binding: OpRef,
    /// Verdicts up to here stand; nothing: none do.
    pub at: Option<Mark>,
}

/// See [`Act::Verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The binding that it is given under.
    pub term: OpRef,
    /// The last of the events that it is about.
    pub last: EventRef,
    /// How many events it is about, 1 to [`VERDICT_EVENTS_MAX`]: `last` and those before it in its chain.
    pub count: u32,
    /// Accept or refuse.
    pub outcome: Outcome,
}

/// What an authority says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It stands.
    Accept,
    /// It is masked, for this reason.
    Refuse(RefusalCode),
}

/// Why an event was refused. Numbers are never reused; unknown ones are shown as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RefusalCode(pub u16);

macro_rules! refusal_codes {
    ($($number:literal $name:ident $doc:literal;)*) => {
        impl RefusalCode {
            $(#[doc = $doc] pub const $name: Self = Self($number);)*

            /// Its stable name, where this version knows it.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

refusal_codes! {
    1 NOT_A_MEMBER "The author was no member at that place.";
    2 ROLE "The author's role does not allow it.";
    3 CUT "It comes after the author's removal.";
    4 EQUIVOCATION "The other branch of a fork was taken.";
    5 TYPE "The value does not fit the field's type.";
    6 REQUIRED "A required field has no value.";
    7 RANGE "The value is out of range.";
    8 PATTERN "The value does not match the field's pattern.";
    9 UNIQUE_TAKEN "Another record has this value already.";
    10 REF_MISSING "The record referred to does not exist.";
    11 STALE "It was written without having seen the accepted value.";
    12 OVER_QUOTA "The member sent more than its share.";
    13 RULE "A rule of the server is broken.";
    14 RULE_FAILED "A rule of the server could not be evaluated.";
    15 DEPENDS_ON_REFUSED "It needs what was refused.";
    16 ALREADY_RESENT "An equal resubmission was taken already.";
    17 OTHER_AUTHORITY "Another authority of the same event refused it.";
    18 DESIGN_OWNED "The design belongs to the server.";
    19 REF_IN_USE "Other records refer to the record that it removes.";
}

/// What a member may do. Each may do what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Reads.
    Reader,
    /// Changes records.
    Writer,
    /// Changes the design.
    Designer,
    /// Changes who is a member.
    Manager,
}

/// See [`Act::Invite`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Public half of the key derived from the secret.
    pub key: DeviceKey,
    /// What the invited become.
    pub role: Role,
    /// How many may join.
    pub uses: u32,
    /// When it expires, by the admitting node's clock, in milliseconds since 1970.
    pub expires_ms: u64,
    /// Whether a person must approve.
    pub approve: bool,
}

/// See [`Act::Admit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admit {
    /// The person.
    pub member: MemberId,
    /// The person's device.
    pub device: DeviceKey,
    /// What the person may do.
    pub role: Role,
    /// The invitation, with the invited key's signature over workspace, invitation and device.
    pub invited: Option<Invited>,
}

/// Proof of having been invited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// The [`Act::Invite`].
    pub invite: OpRef,
    /// The signature.
    #[serde(with = "serde_bytes")]
    pub proof: Signature,
}

/// See [`Act::SetRole`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRole {
    /// Whose.
    pub device: DeviceKey,
    /// The new role.
    pub role: Role,
    /// Ends of the device's chains, strictly ascending: what it wrote beyond them counts as by the lower role.
    #[serde(deserialize_with = "bounded::list::<_, _, MARKS_MAX>")]
    pub cuts: Vec<Mark>,
}

/// See [`Act::Remove`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// Whose membership ends.
    pub device: DeviceKey,
    /// Ends of the device's chains, strictly ascending: what it wrote beyond them is masked; a chain not named is cut at its start.
    #[serde(deserialize_with = "bounded::list::<_, _, MARKS_MAX>")]
    pub cuts: Vec<Mark>,
}

/// See [`Act::Define`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Define {
    /// List, field, view … (see [`crate::design::ElementKind`]).
    pub kind: u16,
    /// The list of a field, the field of a choice …
    pub parent: Option<ElementId>,
}

/// See [`Act::Put`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// Which element.
    pub element: ElementId,
    /// Which property (see [`crate::design::Property`]).
    pub property: u16,
}

/// See [`Act::DesignProposed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesignProposed {
    /// The binding of the authority that proposes.
    pub term: OpRef,
    /// What the members will call it.
    pub design: DesignDigest,
    /// The authority's events whose steps make it up, strictly ascending; this event's own steps belong to it too.
    #[serde(deserialize_with = "bounded::list::<_, _, DESIGN_STEPS_MAX>")]
    pub steps: Vec<EventRef>,
    /// What the authority had seen, strictly ascending.
    #[serde(deserialize_with = "bounded::list::<_, _, MARKS_MAX>")]
    pub table: Vec<Mark>,
}

/// See [`Act::DesignMerged`] and [`Act::DesignFailed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsed {
    /// The [`Act::DesignProposed`].
    pub proposal: OpRef,
    /// What it was rehearsed on, strictly ascending.
    #[serde(deserialize_with = "bounded::list::<_, _, MARKS_MAX>")]
    pub covers: Vec<Mark>,
}

/// A known kind whose structural bytes are not its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadArgs;

macro_rules! kinds {
    (unit: $($u:ident = $un:literal),*; args: $($a:ident = $an:literal),* $(,)?) => {
        impl Act {
            /// The number of its kind: odd for data, even for control.
            pub fn kind(&self) -> u16 {
                match self {
                    $(Self::$u => $un,)*
                    $(Self::$a(_) => $an,)*
                    Self::Apply { .. } => 9,
                    Self::HandOn { .. } => 15,
                    Self::Unknown { kind, .. } => *kind,
                }
            }

            /// Its structural bytes, as the header holds them.
            pub(crate) fn args(&self) -> Vec<u8> {
                match self {
                    $(Self::$u => Vec::new(),)*
                    $(Self::$a(args) => to_bytes(args),)*
                    Self::Apply { type_id } => to_bytes(type_id),
                    Self::HandOn { event, to } => to_bytes(&(event, to)),
                    Self::Unknown { args, .. } => args.clone(),
                }
            }

            /// Whether this version knows the kind with this number.
            pub fn is_known(kind: u16) -> bool {
                matches!(kind, $($un)|* | $($an)|* | 9 | 15)
            }

            /// Reads what [`Act::kind`] and [`Act::args`] gave, and nothing else.
            pub(crate) fn parse(kind: u16, args: &[u8]) -> Result<Self, BadArgs> {
                let act = match kind {
                    $($un => Self::$u,)*
                    $($an => Self::$a(from_bytes(args)?),)*
                    9 => Self::Apply { type_id: from_bytes(args)? },
                    15 => from_bytes(args).map(|(event, to)| Self::HandOn { event, to })?,
                    kind => Self::Unknown { kind, args: args.to_vec() },
                };
                if act.args() == args { Ok(act) } else { Err(BadArgs) }
            }
        }
    };
}

kinds! {
    unit: Set = 1, Create = 3, Delete = 5, Restore = 7, Resolve = 11;
    args: Discard = 13, Genesis = 2, Bind = 4, Unbind = 6, Verdict = 8, Invite = 10, Withdraw = 12, Admit = 14,
        SetRole = 16, Remove = 18, Keep = 20, HandOver = 22, Define = 24, Put = 26, DesignProposed = 28,
        DesignMerged = 30, DesignFailed = 32, RulesChanged = 34,
}

fn to_bytes<T: Serialize>(args: &T) -> Vec<u8> {
    postcard::to_allocvec(args).expect("a vector takes all bytes")
}

fn from_bytes<'a, T: Deserialize<'a>>(args: &'a [u8]) -> Result<T, BadArgs> {
    postcard::from_bytes(args).map_err(|_| BadArgs)
}

impl Act {
    /// Whether it belongs in a control chain.
    pub fn is_control(&self) -> bool {
        self.kind().is_multiple_of(2)
    }

    /// Its name in listings: `set`, `create`, `design-merged` …
    pub fn name(&self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Apply { .. } => "apply",
            Self::Resolve => "resolve",
            Self::Discard(_) => "discard",
            Self::HandOn { .. } => "hand-on",
            Self::Genesis(_) => "genesis",
            Self::Bind(_) => "bind",
            Self::Unbind(_) => "unbind",
            Self::Verdict(_) => "verdict",
            Self::Invite(_) => "invite",
            Self::Withdraw(_) => "withdraw",
            Self::Admit(_) => "admit",
            Self::SetRole(_) => "role",
            Self::Remove(_) => "remove",
            Self::Keep(_) => "keep",
            Self::HandOver(_) => "hand-over",
            Self::Define(_) => "define",
            Self::Put(_) => "put",
            Self::DesignProposed(_) => "design-proposed",
            Self::DesignMerged(_) => "design-merged",
            Self::DesignFailed(_) => "design-failed",
            Self::RulesChanged(_) => "rules-changed",
            Self::Unknown { .. } => "unknown",
        }
    }
}

impl Op {
    /// Every op that must be known before this one can be understood.
    pub fn references(&self) -> impl Iterator<Item = OpRef> + '_ {
        let named: Vec<OpRef> = match &self.act {
            Act::Bind(bind) => bind.ends.iter().map(|end| end.binding).collect(),
            Act::Unbind(end) => vec![end.binding],
            Act::Verdict(verdict) => vec![verdict.term],
            Act::Withdraw(op) | Act::Keep(op) | Act::RulesChanged(op) => vec![**op],
            Act::Admit(admit) => admit.invited.iter().map(|invited| invited.invite).collect(),
            Act::DesignProposed(proposed) => vec![proposed.term],
            Act::DesignMerged(rehearsed) | Act::DesignFailed(rehearsed) => vec![rehearsed.proposal],
            Act::Set
            | Act::Create
            | Act::Delete
            | Act::Restore
            | Act::Apply { .. }
            | Act::Resolve
            | Act::Discard(_)
            | Act::HandOn { .. }
            | Act::Genesis(_)
            | Act::Invite(_)
            | Act::SetRole(_)
            | Act::Remove(_)
            | Act::HandOver(_)
            | Act::Define(_)
            | Act::Put(_)
            | Act::Unknown { .. } => Vec::new(),
        };
        self.preds.iter().copied().chain(named)
    }

    /// Every event that must be known before this op can be understood, besides those of [`Op::references`].
    pub fn event_references(&self) -> &[EventRef] {
        match &self.act {
            Act::Discard(event) | Act::HandOn { event, .. } => std::slice::from_ref(event),
            Act::DesignProposed(proposed) => &proposed.steps,
            Act::Set
            | Act::Create
            | Act::Delete
            | Act::Restore
            | Act::Apply { .. }
            | Act::Resolve
            | Act::Genesis(_)
            | Act::Bind(_)
            | Act::Unbind(_)
            | Act::Verdict(_)
            | Act::Invite(_)
            | Act::Withdraw(_)
            | Act::Admit(_)
            | Act::SetRole(_)
            | Act::Remove(_)
            | Act::Keep(_)
            | Act::HandOver(_)
            | Act::Define(_)
            | Act::Put(_)
            | Act::DesignMerged(_)
            | Act::DesignFailed(_)
            | Act::RulesChanged(_)
            | Act::Unknown { .. } => &[],
        }
    }
}
