//! What an entry of a calendar is here: the columns that every iCalendar file has.
//!
//! | column | type | property |
//! |---|---|---|
//! | calendar | text | which of the file's calendars it is in: its X-WR-CALNAME, or a name made of its lines |
//! | kind | text | `event`, `todo`, `journal`, `free-busy`, `timezone`, `calendar`; else the component's name |
//! | summary | text | SUMMARY; of a time zone TZID, of a calendar X-WR-CALNAME |
//! | start, end, due, completed | date-time | DTSTART, DTEND, DUE, COMPLETED |
//! | all day | bool | whether DTSTART is a date; `start` is its midnight in UTC then |
//! | duration | duration | DURATION |
//! | location, description, status | text | LOCATION, DESCRIPTION (of a calendar X-WR-CALDESC), STATUS |
//! | priority, progress | int | PRIORITY, PERCENT-COMPLETE |
//! | organizer | user | ORGANIZER |
//! | attendees | user, many | ATTENDEE |
//! | recurrence | text | RRULE |
//! | also on, not on | date-time, many | RDATE, EXDATE |
//! | categories | text, many | CATEGORIES |
//! | url | url | URL |
//! | position | geo-point | GEO |
//! | uid | text | UID |
//! | other | text, many | every other property, as its line; components inside, as their lines |
//!
//! A time in a zone that has an IANA name, or one that is known to mean one, is an instant with that zone; any other time
//! is shown as if it were in UTC. A property that would be written otherwise is kept beside its value as its line, in the
//! part [`VERBATIM`](tandem_storage::composite::VERBATIM): it goes back unchanged for as long as it says what the value
//! says (`docs/decisions/0023-a-calendars-line-stays-beside-its-value.md`).
//!
//! A calendar's own properties are a record of the kind `calendar`, unless they are [`DEFAULT_LINES`].

use super::Column;
use tandem_wire::design::{BaseType, FieldType};

/// The properties of a calendar that has no others.
pub const DEFAULT_LINES: [&str; 2] = ["VERSION:2.0", "PRODID:-//Tandem//Tandem//EN"];

/// How the line begins that stands before all others.
pub(super) const VERSION: &str = "VERSION:";

/// The kind of a calendar itself.
pub const CALENDAR: &str = "calendar";
const TIMEZONE: &str = "timezone";

/// Kinds that have a name of their own here, with the components that they are.
const KINDS: [(&str, &str); 5] = [
    ("event", "VEVENT"),
    ("todo", "VTODO"),
    ("journal", "VJOURNAL"),
    ("free-busy", "VFREEBUSY"),
    (TIMEZONE, "VTIMEZONE"),
];

/// The kind of a component.
pub(super) fn kind_of(component: &str) -> String {
    KINDS.iter().find(|(_, name)| *name == component).map_or_else(|| component.to_owned(), |(kind, _)| (*kind).into())
}

/// The component of a kind. Those without a name of their own here are in capitals; what else somebody wrote, or did not,
/// is an event.
pub(super) fn component_of(kind: &str) -> String {
    let is_odd = |char: char| char.is_control() || char.is_ascii_lowercase();
    let can_be = !kind.is_empty() && kind.trim() == kind && !kind.contains(is_odd);
    match KINDS.iter().find(|(known, _)| *known == kind) {
        Some((_, component)) => (*component).to_owned(),
        None if can_be => kind.to_owned(),
        None => "VEVENT".to_owned(),
    }
}

/// The columns, in the order of [`Field::ALL`].
pub fn columns() -> Vec<Column> {
    Field::ALL.iter().map(|field| Column { name: field.name().to_owned(), ty: field.ty() }).collect()
}

/// A column of a calendar; its number is its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The calendar of an entry.
    Calendar,
    /// What it is.
    Kind,
    /// SUMMARY.
    Summary,
    /// DTSTART.
    Start,
    /// DTEND.
    End,
    /// Whether the start is a date.
    AllDay,
    /// DURATION.
    Duration,
    /// DUE.
    Due,
    /// COMPLETED.
    Completed,
    /// LOCATION.
    Location,
    /// DESCRIPTION.
    Description,
    /// STATUS.
    Status,
    /// PRIORITY.
    Priority,
    /// PERCENT-COMPLETE.
    Progress,
    /// ORGANIZER.
    Organizer,
    /// ATTENDEE.
    Attendees,
    /// RRULE.
    Recurrence,
    /// RDATE.
    AlsoOn,
    /// EXDATE.
    NotOn,
    /// CATEGORIES.
    Categories,
    /// URL.
    Url,
    /// GEO.
    Position,
    /// UID.
    Uid,
    /// Everything else.
    Other,
}

impl Field {
    /// All of them, by index.
    pub const ALL: [Self; 24] = [
        Self::Calendar,
        Self::Kind,
        Self::Summary,
        Self::Start,
        Self::End,
        Self::AllDay,
        Self::Duration,
        Self::Due,
        Self::Completed,
        Self::Location,
        Self::Description,
        Self::Status,
        Self::Priority,
        Self::Progress,
        Self::Organizer,
        Self::Attendees,
        Self::Recurrence,
        Self::AlsoOn,
        Self::NotOn,
        Self::Categories,
        Self::Url,
        Self::Position,
        Self::Uid,
        Self::Other,
    ];

    /// The index of its column.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its column's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calendar => "calendar",
            Self::Kind => "kind",
            Self::Summary => "summary",
            Self::Start => "start",
            Self::End => "end",
            Self::AllDay => "all day",
            Self::Duration => "duration",
            Self::Due => "due",
            Self::Completed => "completed",
            Self::Location => "location",
            Self::Description => "description",
            Self::Status => "status",
            Self::Priority => "priority",
            Self::Progress => "progress",
            Self::Organizer => "organizer",
            Self::Attendees => "attendees",
            Self::Recurrence => "recurrence",
            Self::AlsoOn => "also on",
            Self::NotOn => "not on",
            Self::Categories => "categories",
            Self::Url => "url",
            Self::Position => "position",
            Self::Uid => "uid",
            Self::Other => "other",
        }
    }

    /// Its column's type.
    pub fn ty(self) -> FieldType {
        match self {
            Self::Calendar
            | Self::Kind
            | Self::Summary
            | Self::Location
            | Self::Description
            | Self::Status
            | Self::Recurrence
            | Self::Uid => FieldType::one(BaseType::Text),
            Self::Start | Self::End | Self::Due | Self::Completed => FieldType::one(BaseType::DateTime),
            Self::AllDay => FieldType::one(BaseType::Bool),
            Self::Duration => FieldType::one(BaseType::Duration),
            Self::Priority | Self::Progress => FieldType::one(BaseType::Int),
            Self::Organizer => FieldType::one(BaseType::User),
            Self::Attendees => FieldType::many(BaseType::User),
            Self::AlsoOn | Self::NotOn => FieldType::many(BaseType::DateTime),
            Self::Categories | Self::Other => FieldType::many(BaseType::Text),
            Self::Url => FieldType::one(BaseType::Url),
            Self::Position => FieldType::one(BaseType::GeoPoint),
        }
    }

    /// The property that it is in an entry of a kind.
    pub(super) fn property(self, kind: &str) -> Option<&'static str> {
        match (self, kind) {
            (Self::Calendar | Self::Kind | Self::AllDay | Self::Other, _) => None,
            (Self::Summary, CALENDAR) => Some("X-WR-CALNAME"),
            (Self::Description, CALENDAR) => Some("X-WR-CALDESC"),
            (Self::Summary, TIMEZONE) => Some("TZID"),
            (_, CALENDAR | TIMEZONE) => None,
            (Self::Summary, _) => Some("SUMMARY"),
            (Self::Start, _) => Some("DTSTART"),
            (Self::End, _) => Some("DTEND"),
            (Self::Duration, _) => Some("DURATION"),
            (Self::Due, _) => Some("DUE"),
            (Self::Completed, _) => Some("COMPLETED"),
            (Self::Location, _) => Some("LOCATION"),
            (Self::Description, _) => Some("DESCRIPTION"),
            (Self::Status, _) => Some("STATUS"),
            (Self::Priority, _) => Some("PRIORITY"),
            (Self::Progress, _) => Some("PERCENT-COMPLETE"),
            (Self::Organizer, _) => Some("ORGANIZER"),
            (Self::Attendees, _) => Some("ATTENDEE"),
            (Self::Recurrence, _) => Some("RRULE"),
            (Self::AlsoOn, _) => Some("RDATE"),
            (Self::NotOn, _) => Some("EXDATE"),
            (Self::Categories, _) => Some("CATEGORIES"),
            (Self::Url, _) => Some("URL"),
            (Self::Position, _) => Some("GEO"),
            (Self::Uid, _) => Some("UID"),
        }
    }

    /// The field that a property is in an entry of a kind.
    pub(super) fn of(property: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.property(kind).is_some_and(|own| own.eq_ignore_ascii_case(property)))
    }

    /// Whether an entry may have its property several times.
    pub(super) fn is_repeated(self) -> bool {
        matches!(self, Self::Attendees | Self::AlsoOn | Self::NotOn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_numbered_as_they_stand() {
        assert!(Field::ALL.iter().enumerate().all(|(index, field)| field.index() == index));
        let names: std::collections::BTreeSet<_> = columns().into_iter().map(|column| column.name).collect();
        assert_eq!(names.len(), Field::ALL.len());
    }

    #[test]
    fn kinds_and_components_are_each_others() {
        for component in ["VEVENT", "VTODO", "VTIMEZONE", "X-LIFE", "VALARM"] {
            assert_eq!(component_of(&kind_of(component)), component);
        }
        assert_eq!(["MEET:\nBEGIN:VEVENT", "meeting", ""].map(component_of), ["VEVENT"; 3]);
    }
}
