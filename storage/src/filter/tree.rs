//! A filter ready to run, and the run over one record.

use super::{
    arithmetic::{Comparison, Operator, negate},
    error::EvalError,
    functions::Function,
    limits::*,
    route::Route,
    scope::{Kind, Meta},
    term::Term,
};
use crate::composite::VERBATIM;
use regex::Regex;
use tandem_wire::{ElementId, FieldId, PartPath};

/// What an element of a list counts.
const ELEMENT_BYTES: usize = 16;

/// What a filter reads of a record.
pub trait Cells {
    /// What a cell shows; [`Term::Null`] where it shows nothing.
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_>;

    /// What every cell of a field shows, for fields that hold many, in the order of their parts.
    fn cells(&self, field: FieldId) -> Vec<(PartPath, Term<'_>)>;

    /// What a cell of another record shows; nothing where that cannot be looked at.
    fn through(&self, _route: &Route) -> Term<'_> {
        Term::Null
    }

    /// What is known about the record besides its cells: [`Term::Record`], [`Term::DateTime`] or [`Term::Text`].
    fn meta(&self, meta: Meta) -> Term<'_>;
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Constant(Term<'static>),
    Cell {
        field: FieldId,
        part: PartPath,
        kind: Kind,
    },
    /// A cell of a record that this one refers to.
    Through {
        route: Route,
        kind: Kind,
    },
    /// The elements of a field that holds many.
    Elements {
        field: FieldId,
        kind: Kind,
    },
    Meta(Meta, Kind),
    /// A variable of a loop, counted from the outermost.
    Local(usize),
    /// The same, read for the last time.
    Take(usize),
    /// A part of an element.
    Part {
        of: Box<Node>,
        part: PartPath,
        kind: Kind,
    },
    Index(Box<[Node; 2]>),
    Not(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    In(Box<[Node; 2]>),
    Arithmetic(Operator, Box<[Node; 2]>),
    Negate(Box<Node>),
    List(Vec<Node>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Regex),
    Loop(Box<Loop>),
}

impl Node {
    /// The nodes right below.
    pub(super) fn children(&self) -> Vec<&Self> {
        match self {
            Self::Constant(_)
            | Self::Cell { .. }
            | Self::Through { .. }
            | Self::Elements { .. }
            | Self::Meta(..)
            | Self::Local(_)
            | Self::Take(_) => Vec::new(),
            Self::Part { of, .. } | Self::Not(of) | Self::Negate(of) | Self::Matches(of, _) => vec![of],
            Self::Index(nodes)
            | Self::And(nodes)
            | Self::Or(nodes)
            | Self::Compare(_, nodes)
            | Self::In(nodes)
            | Self::Arithmetic(_, nodes) => nodes.iter().collect(),
            Self::If(nodes) => nodes.iter().collect(),
            Self::List(nodes) | Self::Call(_, nodes) => nodes.iter().collect(),
            Self::Loop(looped) => {
                vec![&looped.range, &looped.start, &looped.condition, &looped.step, &looped.result]
            }
        }
    }
}

/// What the macros `exists`, `all`, `map` … stand for: its two variables are the result so far and the element.
#[derive(Debug, Clone)]
pub(super) struct Loop {
    pub(super) range: Node,
    pub(super) start: Node,
    pub(super) condition: Node,
    pub(super) step: Node,
    pub(super) result: Node,
}

/// One run over one record.
pub(super) struct Run<'a> {
    cells: &'a dyn Cells,
    locals: Vec<Term<'a>>,
    built_bytes: usize,
    steps: usize,
}

impl<'a> Run<'a> {
    pub(super) fn over(cells: &'a dyn Cells) -> Self {
        Self { cells, locals: Vec::new(), built_bytes: 0, steps: 0 }
    }

    /// Whether a condition holds; what is no truth value does not.
    pub(super) fn holds(&mut self, node: &'a Node) -> Result<bool, EvalError> {
        Ok(match node {
            Node::Not(of) => !self.holds(of)?,
            Node::And(nodes) => self.holds(&nodes[0])? && self.holds(&nodes[1])?,
            Node::Or(nodes) => self.holds(&nodes[0])? || self.holds(&nodes[1])?,
            Node::Compare(comparison, nodes) => match &**nodes {
                // Constants are compared where they are.
                [of, Node::Constant(term)] => comparison.holds(&self.eval(of)?, term),
                [Node::Constant(term), of] => comparison.holds(term, &self.eval(of)?),
                [a, b] => comparison.holds(&self.eval(a)?, &self.eval(b)?),
            },
            Node::In(nodes) => self.contains(&nodes[0], &nodes[1])?,
            Node::Matches(of, pattern) => {
                let term = self.eval(of)?;
                self.look_through(&term)?;
                matches!(term, Term::Text(text) if pattern.is_match(&text))
            }
            value => self.eval(value)?.is_true(),
        })
    }

    pub(super) fn eval(&mut self, node: &'a Node) -> Result<Term<'a>, EvalError> {
        Ok(match node {
            Node::Constant(term) => borrowed(term),
            Node::Cell { field, part, kind } => kind.check(self.cells.cell(*field, part)),
            Node::Through { route, kind } => kind.check(self.cells.through(route)),
            Node::Elements { field, kind } => self.elements(*field, *kind)?,
            Node::Meta(meta, kind) => kind.check(self.cells.meta(*meta)),
            Node::Local(index) => self.locals[*index].clone(),
            Node::Take(index) => std::mem::replace(&mut self.locals[*index], Term::Null),
            Node::Part { of, part, kind } => kind.check(part_of(self.eval(of)?, part)),
            Node::Index(nodes) => index(self.eval(&nodes[0])?, &self.eval(&nodes[1])?),
            Node::If(nodes) => {
                let chosen = if self.holds(&nodes[0])? { &nodes[1] } else { &nodes[2] };
                self.eval(chosen)?
            }
            Node::Arithmetic(operator, nodes) => {
                let (a, b) = (self.eval(&nodes[0])?, self.eval(&nodes[1])?);
                self.arithmetic(*operator, a, b)?
            }
            Node::Negate(of) => negate(&self.eval(of)?),
            Node::List(nodes) => Term::List(nodes.iter().map(|node| self.eval(node)).collect::<Result<_, _>>()?),
            Node::Call(function, arguments) => self.call(*function, arguments)?,
            Node::Not(_) | Node::And(_) | Node::Or(_) | Node::Compare(..) | Node::In(_) | Node::Matches(..) => {
                Term::Bool(self.holds(node)?)
            }
            Node::Loop(looped) => self.run_loop(looped)?,
        })
    }

    /// Counts what loops do.
    fn step(&mut self, steps: usize) -> Result<(), EvalError> {
        self.steps += steps;
        if self.steps > STEPS_MAX { Err(EvalError::TooManySteps { max: STEPS_MAX }) } else { Ok(()) }
    }

    /// Counts a text that is looked through within a loop.
    fn look_through(&mut self, term: &Term<'_>) -> Result<(), EvalError> {
        match term {
            Term::Text(text) if !self.locals.is_empty() => self.step(text.len() / STEP_BYTES),
            _outside_or_short => Ok(()),
        }
    }

    /// Counts what the filter builds.
    fn count(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.built_bytes = self.built_bytes.saturating_add(bytes);
        if self.built_bytes > RESULT_BYTES_MAX {
            return Err(EvalError::ResultTooLarge { max: RESULT_BYTES_MAX });
        }
        Ok(())
    }

    fn call(&mut self, function: Function, arguments: &'a [Node]) -> Result<Term<'a>, EvalError> {
        let [first, rest @ ..] = arguments else { return Ok(Term::Null) };
        let first = self.eval(first)?;
        self.look_through(&first)?;
        let result = match rest {
            [] => function.call(&[first]),
            // No function takes more than two.
            [second, ..] => function.call(&[first, self.eval(second)?]),
        };
        if let Term::Text(text) = &result {
            self.count(text.len())?;
        }
        Ok(result)
    }

    fn contains(&mut self, needle: &'a Node, list: &'a Node) -> Result<bool, EvalError> {
        let needle = self.eval(needle)?;
        if let Node::Constant(Term::List(list)) = list {
            return Ok(list.iter().any(|item| item.equals(&needle)));
        }
        match self.eval(list)? {
            Term::List(list) => Ok(list.iter().any(|item| item.equals(&needle))),
            _no_list => Ok(false),
        }
    }

    fn arithmetic(&mut self, operator: Operator, a: Term<'a>, b: Term<'a>) -> Result<Term<'a>, EvalError> {
        match (operator, a, b) {
            (Operator::Add, Term::Text(a), Term::Text(b)) => {
                self.count(a.len() + b.len())?;
                Ok(Term::Text((a.into_owned() + &b).into()))
            }
            (Operator::Add, Term::List(mut a), Term::List(b)) => {
                // What is added counts, not what was there: a loop adds one by one.
                self.count(b.len() * ELEMENT_BYTES)?;
                a.extend(b);
                check_length(a.len())?;
                Ok(Term::List(a))
            }
            (operator, a, b) => Ok(operator.apply(&a, &b)),
        }
    }

    fn run_loop(&mut self, looped: &'a Loop) -> Result<Term<'a>, EvalError> {
        let Term::List(range) = self.eval(&looped.range)? else { return Ok(Term::Null) };
        let start = self.eval(&looped.start)?;
        let depth = self.locals.len();
        self.locals.extend([start, Term::Null]);
        for element in range {
            self.step(1)?;
            if !self.holds(&looped.condition)? {
                break;
            }
            self.locals[depth + 1] = element;
            self.locals[depth] = self.eval(&looped.step)?;
        }
        let result = self.eval(&looped.result)?;
        self.locals.truncate(depth);
        Ok(result)
    }

    /// The elements of a field that holds many: plain ones as they are, composites by their parts.
    fn elements(&mut self, field: FieldId, kind: Kind) -> Result<Term<'a>, EvalError> {
        let mut elements: Vec<Term<'a>> = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        for (path, term) in self.cells.cells(field) {
            let mut steps = path.steps();
            let Some(element) = steps.next() else { continue };
            // How somebody wrote an element is none.
            if term == Term::Null || path.steps().last() == Some(VERBATIM.as_bytes()) {
                continue;
            }
            let Kind::Composite(_) = kind else {
                if let Some(term) = plain_element(kind, element, term) {
                    elements.push(term);
                }
                continue;
            };
            let part = PartPath::new(steps).expect("shorter than it was");
            match (elements.last_mut(), &last) {
                (Some(Term::Parts(parts)), Some(of)) if of == element => parts.push((part, term)),
                _another => {
                    last = Some(element.to_vec());
                    elements.push(Term::Parts(vec![(part, term)]));
                }
            }
        }
        check_length(elements.len())?;
        Ok(Term::List(elements))
    }
}

/// One of many; a choice may be marked as present by `true`, its own id being the element.
fn plain_element<'a>(kind: Kind, element: &[u8], term: Term<'a>) -> Option<Term<'a>> {
    match (kind, term) {
        (Kind::Choice, Term::Bool(present)) => {
            let id = ElementId(element.try_into().ok()?);
            present.then_some(Term::Choice(id))
        }
        (kind, term) => Some(kind.check(term)),
    }
}

impl Kind {
    /// A value of another type than the field's is kept raw, and has no meaning here.
    fn check(self, term: Term<'_>) -> Term<'_> {
        let fits = match (self, &term) {
            (_, Term::Null) | (Self::Any, _) => true,
            (Self::Bool, Term::Bool(_))
            | (Self::Int, Term::Int(_))
            | (Self::Decimal, Term::Decimal(_) | Term::Int(_))
            | (Self::Float, Term::Float(_))
            | (Self::Text, Term::Text(_))
            | (Self::Date, Term::Date(_))
            | (Self::DateTime, Term::DateTime(_))
            | (Self::Duration, Term::Duration { .. })
            | (Self::Choice, Term::Choice(_))
            | (Self::Reference(_), Term::Record(_)) => true,
            _raw => false,
        };
        if fits { term } else { Term::Opaque }
    }
}

fn check_length(found: usize) -> Result<(), EvalError> {
    if found > LIST_MAX { Err(EvalError::ListTooLong { found, max: LIST_MAX }) } else { Ok(()) }
}

fn part_of<'a>(element: Term<'a>, part: &PartPath) -> Term<'a> {
    let Term::Parts(parts) = element else { return Term::Null };
    parts.into_iter().find(|(at, _)| at == part).map_or(Term::Null, |(_, term)| term)
}

/// The element at a place from 0; nothing beyond the end.
fn index<'a>(list: Term<'a>, at: &Term<'_>) -> Term<'a> {
    let (Term::List(list), Term::Int(at)) = (list, at) else { return Term::Null };
    usize::try_from(*at).ok().and_then(|at| list.into_iter().nth(at)).unwrap_or(Term::Null)
}

/// A constant without copying its text.
fn borrowed<'a>(term: &'a Term<'static>) -> Term<'a> {
    match term {
        Term::Text(text) => Term::Text(text.as_ref().into()),
        Term::List(list) => Term::List(list.iter().map(borrowed).collect()),
        term => term.clone(),
    }
}
