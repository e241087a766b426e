//! What every match satisfies, for a caller that has an index.

use super::{
    arithmetic::{Comparison, floor},
    functions::Function,
    route::Route,
    scope::{Kind, Meta},
    term::{DAY_MS, Term, day_of},
    tree::Node,
};
use std::collections::BTreeSet;
use tandem_wire::{Decimal, FieldId, PartPath, Value};

/// One condition that a match satisfies.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// What is bounded.
    pub place: Place,
    /// How.
    pub limit: Limit,
}

/// What a bound is about, and what a filter reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A cell.
    Cell(FieldId, PartPath),
    /// All cells of a field that holds many; it has no bounds.
    Cells(FieldId),
    /// A cell of a record that is referred to; it has no bounds.
    Through(Route),
    /// What every record has. The record itself is bounded as a reference.
    Meta(Meta),
}

/// A limit of values, by the order of [`crate::sort_order::compare`], which orders text by code point: an index by
/// another collation serves `Eq` and `In` only. The zone of a date-time, and the list of a reference, mean nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    /// This value.
    Eq(Value),
    /// Less than this.
    Lt(Value),
    /// At most this.
    Le(Value),
    /// Greater than this.
    Gt(Value),
    /// At least this.
    Ge(Value),
    /// One of these; of none, nothing matches.
    In(Vec<Value>),
    /// A text that begins like this.
    Prefix(String),
}

/// The bounds of a filter's top-level conjuncts, in the order in which they are written.
pub(super) fn of(node: &Node) -> Vec<Bound> {
    let mut bounds = Vec::new();
    collect(node, &mut bounds);
    bounds
}

/// Everything that a filter reads.
pub(super) fn read_by(node: &Node) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    let mut todo = vec![node];
    while let Some(node) = todo.pop() {
        match node {
            // More than any index of the list has.
            Node::Through { route, .. } => {
                places.insert(Place::Through(route.clone()));
            }
            Node::Elements { field, .. } => {
                places.insert(Place::Cells(*field));
            }
            other => places.extend(place(other).map(|(place, _)| place)),
        }
        todo.extend(node.children());
    }
    places
}

fn collect(node: &Node, bounds: &mut Vec<Bound>) {
    let limited = match node {
        Node::And(nodes) => {
            nodes.iter().for_each(|node| collect(node, bounds));
            return;
        }
        Node::Compare(comparison, nodes) => match &**nodes {
            [of, Node::Constant(term)] => compared(*comparison, of, term),
            [Node::Constant(term), of] => compared(comparison.flipped(), of, term),
            _no_constant => None,
        },
        Node::In(nodes) => match &**nodes {
            [of, Node::Constant(Term::List(terms))] => one_of(of, terms),
            _no_constant => None,
        },
        Node::Call(Function::StartsWith, arguments) => match arguments.as_slice() {
            [of, Node::Constant(Term::Text(prefix))] => {
                place(of).map(|(place, _)| (place, vec![Limit::Prefix(prefix.to_string())]))
            }
            _no_constant => None,
        },
        Node::Cell { kind: Kind::Bool, .. } => {
            place(node).map(|(place, _)| (place, vec![Limit::Eq(Value::Bool(true))]))
        }
        _anything_else => None,
    };
    if let Some((place, limits)) = limited {
        bounds.extend(limits.into_iter().map(|limit| Bound { place: place.clone(), limit }));
    }
}

/// The place that an expression is, if it is nothing but one.
pub(super) fn place_of(node: &Node) -> Option<Place> {
    match node {
        Node::Through { route, .. } => Some(Place::Through(route.clone())),
        other => place(other).map(|(place, _)| place),
    }
}

fn place(node: &Node) -> Option<(Place, Kind)> {
    match node {
        Node::Cell { field, part, kind } => Some((Place::Cell(*field, part.clone()), *kind)),
        Node::Meta(meta, kind) => Some((Place::Meta(*meta), *kind)),
        _no_place => None,
    }
}

fn compared(comparison: Comparison, of: &Node, term: &Term<'_>) -> Option<(Place, Vec<Limit>)> {
    let (place, kind) = place(of)?;
    let limits = limits(comparison, kind, term)?;
    (!limits.is_empty()).then_some((place, limits))
}

fn one_of(of: &Node, terms: &[Term<'_>]) -> Option<(Place, Vec<Limit>)> {
    let (place, kind) = place(of)?;
    let mut values = Vec::new();
    for term in terms {
        // One that is no exact value, such as a whole day of instants, leaves the list without a bound.
        match limits(Comparison::Equal, kind, term)?.as_slice() {
            [Limit::Eq(value)] => values.push(value.clone()),
            [Limit::In(none)] if none.is_empty() => {}
            _not_exact => return None,
        }
    }
    Some((place, vec![Limit::In(values)]))
}

/// The limits of a comparison with a constant; nothing where there is none that is exact enough.
fn limits(comparison: Comparison, kind: Kind, term: &Term<'_>) -> Option<Vec<Limit>> {
    let value = match (kind, term) {
        (_, Term::Null) => return None,
        (Kind::Int, Term::Decimal(number)) => return beside_whole(comparison, *number),
        (Kind::Date, Term::DateTime(ms)) => Value::Date(i32::try_from(day_of(*ms)).ok()?),
        (Kind::DateTime, Term::Date(day)) => return beside_day(comparison, *day),
        (Kind::Bool | Kind::Any, Term::Bool(yes)) => Value::Bool(*yes),
        (Kind::Int | Kind::Any, Term::Int(number)) => Value::Int(*number),
        (Kind::Decimal, Term::Int(number)) => Value::Decimal(Decimal::new((*number).into(), 0)?),
        (Kind::Decimal | Kind::Any, Term::Decimal(number)) => Value::Decimal(*number),
        (Kind::Float, Term::Int(number)) => Value::float(exact_float(*number)?)?,
        (Kind::Float | Kind::Any, Term::Float(number)) => Value::float(*number)?,
        (Kind::Text | Kind::Any, Term::Text(text)) => Value::Text(text.to_string()),
        (Kind::Date, Term::Date(day)) => Value::Date(*day),
        (Kind::DateTime, Term::DateTime(ms)) => Value::DateTime { ms: *ms, zone: String::new() },
        (Kind::Duration | Kind::Any, Term::Duration { months, ms }) => Value::Duration { months: *months, ms: *ms },
        (Kind::Choice, Term::Choice(choice)) => Value::Choice(*choice),
        (Kind::Reference(Some(list)), Term::Record(record)) => Value::Reference { list, record: *record },
        _none => return None,
    };
    Some(vec![match comparison {
        Comparison::Equal => Limit::Eq(value),
        Comparison::NotEqual => return None,
        Comparison::Less => Limit::Lt(value),
        Comparison::LessOrEqual => Limit::Le(value),
        Comparison::Greater => Limit::Gt(value),
        Comparison::GreaterOrEqual => Limit::Ge(value),
    }])
}

/// Whole numbers beside a number that is none.
fn beside_whole(comparison: Comparison, number: Decimal) -> Option<Vec<Limit>> {
    let (floor, is_whole) = floor(number);
    let below = Value::Int(i64::try_from(floor).ok()?);
    let above = Value::Int(i64::try_from(floor + 1).ok()?);
    Some(vec![match comparison {
        Comparison::Equal if is_whole => Limit::Eq(below),
        Comparison::Equal => Limit::In(Vec::new()),
        Comparison::NotEqual => return None,
        Comparison::Less if is_whole => Limit::Lt(below),
        Comparison::Less | Comparison::LessOrEqual => Limit::Le(below),
        Comparison::GreaterOrEqual if is_whole => Limit::Ge(below),
        Comparison::Greater if is_whole => Limit::Gt(below),
        Comparison::Greater | Comparison::GreaterOrEqual => Limit::Ge(above),
    }])
}

/// Instants beside a day: those on it are equal to it.
fn beside_day(comparison: Comparison, day: i32) -> Option<Vec<Limit>> {
    let at = |day: i64| Value::DateTime { ms: day * DAY_MS, zone: String::new() };
    let (begins, ends) = (at(day.into()), at(i64::from(day) + 1));
    Some(match comparison {
        Comparison::Equal => vec![Limit::Ge(begins), Limit::Lt(ends)],
        Comparison::NotEqual => return None,
        Comparison::Less => vec![Limit::Lt(begins)],
        Comparison::LessOrEqual => vec![Limit::Lt(ends)],
        Comparison::Greater => vec![Limit::Ge(ends)],
        Comparison::GreaterOrEqual => vec![Limit::Ge(begins)],
    })
}

/// The binary number of the same size, if there is one.
fn exact_float(number: i64) -> Option<f64> {
    (number.unsigned_abs() <= 1 << 53).then_some(number as f64)
}
