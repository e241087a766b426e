//! What is known of values before a record is read.

use super::{
    error::quoted,
    scope::{Kind, Name},
    syntax::Syntax,
    tree::Node,
};
use std::ops::Range;

/// A checked expression.
pub(super) struct Typed<'s> {
    pub(super) node: Node,
    pub(super) ty: Type<'s>,
    pub(super) span: Range<usize>,
}

/// The type of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type<'s> {
    Null,
    /// Of one value, for choices with the field that they belong to.
    Kind(Kind, Option<&'s Name>),
    /// Any number of values.
    List(Box<Type<'s>>),
}

/// Types whose values compare with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Bool,
    Number,
    Text,
    Time,
    Duration,
    Choice,
    Record,
    /// Decided when the record is read.
    Any,
    /// Nothing compares with it.
    None,
}

impl<'s> Type<'s> {
    pub(super) const BOOL: Self = Self::Kind(Kind::Bool, None);
    pub(super) const ANY: Self = Self::Kind(Kind::Any, None);

    pub(super) fn of(kind: Kind) -> Self {
        Self::Kind(kind, None)
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Kind(kind, _) => Some(*kind),
            Self::Null | Self::List(_) => None,
        }
    }

    pub(super) fn family(&self) -> Family {
        match self {
            Self::Null => Family::Any,
            Self::List(_) => Family::None,
            Self::Kind(kind, _) => match kind {
                Kind::Bool => Family::Bool,
                Kind::Int | Kind::Decimal | Kind::Float => Family::Number,
                Kind::Text => Family::Text,
                Kind::Date | Kind::DateTime => Family::Time,
                Kind::Duration => Family::Duration,
                Kind::Choice => Family::Choice,
                Kind::Reference(_) => Family::Record,
                Kind::Any => Family::Any,
                Kind::Composite(_) | Kind::Opaque => Family::None,
            },
        }
    }

    pub(super) fn may_be(&self, family: Family) -> bool {
        self.family() == family || self.family() == Family::Any
    }

    /// What it is called in errors.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Kind(kind, _) => kind.describe(),
            Self::List(_) => "a list",
        }
    }
}

impl Typed<'_> {
    pub(super) fn node_is_null(&self) -> bool {
        matches!(self.node, Node::Constant(super::term::Term::Null))
    }

    /// The text that it was read from, for errors.
    pub(super) fn text(&self, syntax: &Syntax<'_>) -> String {
        quoted(syntax.source().get(self.span.clone()).unwrap_or(""))
    }
}
