//! Formulas: the same language as filters, for what has any value.

use super::{
    bounds::{self, Place},
    check::Checker,
    error::{EvalError, FilterError},
    scope::Scope,
    syntax::Syntax,
    term::Term,
    tree::{Cells, Node, Run},
};
use std::collections::BTreeSet;
use tandem_wire::Value;

/// An expression over the records of one list.
#[derive(Debug, Clone)]
pub struct Formula {
    root: Node,
    reads: BTreeSet<Place>,
}

impl Formula {
    /// Reads a formula; everything that can be wrong with it is known here.
    pub fn parse(source: &str, scope: &Scope) -> Result<Self, FilterError> {
        let root = Checker::check_formula(&Syntax::parse(source)?, scope)?;
        let reads = bounds::read_by(&root);
        Ok(Self { root, reads })
    }

    /// What it gives for a record; nothing where that is no value that a cell can hold.
    pub fn value(&self, cells: &dyn Cells) -> Result<Value, EvalError> {
        Ok(to_value(Run::over(cells).eval(&self.root)?))
    }

    /// The place that it is, if it is nothing but one.
    pub fn place(&self) -> Option<Place> {
        bounds::place_of(&self.root)
    }

    /// All that it may read of a record.
    pub fn reads(&self) -> &BTreeSet<Place> {
        &self.reads
    }
}

fn to_value(term: Term<'_>) -> Value {
    match term {
        Term::Bool(yes) => Value::Bool(yes),
        Term::Int(number) => Value::Int(number),
        Term::Decimal(number) => Value::Decimal(number),
        Term::Float(number) => Value::float(number).unwrap_or(Value::Null),
        Term::Text(text) => Value::Text(text.into_owned()),
        Term::Date(days) => Value::Date(days),
        Term::DateTime(ms) => Value::DateTime { ms, zone: String::new() },
        Term::Duration { months, ms } => Value::Duration { months, ms },
        Term::Choice(choice) => Value::Choice(choice),
        Term::Null | Term::Record(_) | Term::List(_) | Term::Parts(_) | Term::Opaque => Value::Null,
    }
}
