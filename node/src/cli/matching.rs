//! A record as filters see it.

use super::events::Authors;
use std::borrow::Cow;
use tandem_storage::{
    filter::{Cells, Meta, Term},
    fold::{Design, record::Stamp},
    query::{Record, winner},
};
use tandem_wire::{FieldId, PartPath, Value};

/// A record, with what its names need.
pub struct Shown<'a> {
    /// The record.
    pub record: &'a Record,
    /// What its fields are.
    pub design: &'a Design,
    /// Who its authors are.
    pub authors: &'a Authors,
}

impl Cells for Shown<'_> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_> {
        winner(&self.record.state, field, part).map_or(Term::Null, |value| self.term(field, value))
    }

    fn cells(&self, field: FieldId) -> Vec<(PartPath, Term<'_>)> {
        let of_field = self.record.state.cells.keys().filter(|(of, _)| *of == field);
        let shown = of_field.filter_map(|(_, part)| Some((part, winner(&self.record.state, field, part)?)));
        shown.map(|(part, value)| (part.clone(), self.term(field, value))).collect()
    }

    fn meta(&self, meta: Meta) -> Term<'_> {
        let stamp = match meta {
            Meta::Id => return Term::Record(self.record.id),
            Meta::Created | Meta::CreatedBy => self.record.state.creates.first().map(|edit| edit.stamp),
            Meta::Modified | Meta::ModifiedBy => self.last(),
        };
        let Some(stamp) = stamp else { return Term::Null };
        match meta {
            Meta::CreatedBy | Meta::ModifiedBy => Term::Text(self.authors.name(stamp.event.chain.device).into()),
            Meta::Id | Meta::Created | Meta::Modified => Term::DateTime(stamp.wall_ms as i64),
        }
    }
}

impl Shown<'_> {
    /// The latest of what shows.
    fn last(&self) -> Option<Stamp> {
        let state = &self.record.state;
        let edits = state.creates.iter().chain(&state.restores).map(|edit| edit.stamp);
        let winners = state.cells.values().filter_map(|siblings| Some(siblings.first()?.stamp));
        edits.chain(winners).max_by_key(|stamp| (stamp.wall_ms, *stamp))
    }

    /// A value that is not its field's has no meaning for a filter.
    fn term(&self, field: FieldId, value: Value) -> Term<'static> {
        let base = self.design.field_type(field).and_then(|ty| ty.base());
        let fits = base.is_some_and(|base| base.is_composite() || tandem_storage::field_type::is_of(base, &value));
        match value {
            _ if !fits => Term::Opaque,
            Value::Null => Term::Null,
            Value::Bool(yes) => Term::Bool(yes),
            Value::Int(number) => Term::Int(number),
            Value::Decimal(number) => Term::Decimal(number),
            Value::Float(number) => Term::Float(number),
            Value::Text(text) => Term::Text(Cow::Owned(text)),
            Value::Date(day) => Term::Date(day),
            Value::DateTime { ms, .. } => Term::DateTime(ms),
            Value::Duration { months, ms } => Term::Duration { months, ms },
            Value::Choice(choice) => Term::Choice(choice),
            Value::Reference { record, .. } => Term::Record(record),
            Value::Rank(_) | Value::Bytes(_) | Value::Blob { .. } | Value::Other { .. } => Term::Opaque,
        }
    }
}
