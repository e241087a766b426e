//! Names, and the parts behind their dots.

use super::{Checked, Checker, Local};
use crate::composite;
use crate::filter::{
    arithmetic::Comparison,
    error::{Fault, FilterError, quoted},
    route::{self, LINKS_MAX, NoStep, Route},
    scope::{Kind, Meta, NoName},
    term::Term,
    tree::Node,
    types::{Type, Typed},
};
use cel::common::ast::{Expr, SelectExpr};
use std::ops::Range;
use tandem_wire::PartPath;

impl<'s> Checker<'s> {
    /// A name: of a loop's variable, a field, or what every record has.
    pub(super) fn name(&self, name: &str, span: Range<usize>) -> Checked<'s> {
        if let Some(index) = self.locals.iter().rposition(|local| local.name == name) {
            let Local { ty, is_taken, .. } = &self.locals[index];
            let node = if *is_taken { Node::Take(index) } else { Node::Local(index) };
            return Ok(Typed { node, ty: ty.clone(), span });
        }
        let (name, span) = self.syntax.word_at(span.start);
        self.field(name, span)
    }

    pub(super) fn field(&self, name: &str, span: Range<usize>) -> Checked<'s> {
        match self.scope.find(name) {
            Ok(known) => {
                let one = Type::Kind(known.kind, Some(known));
                let (field, part, kind) = (known.field, known.part.clone(), known.kind);
                let (node, ty) = if known.many {
                    (Node::Elements { field, kind }, Type::List(Box::new(one)))
                } else {
                    (Node::Cell { field, part, kind }, one)
                };
                Ok(Typed { node, ty, span })
            }
            Err(NoName::Twice) => {
                let message = format!("two fields are called {}; rename one of them first", quoted(name));
                Err(FilterError::new(Fault::UnknownField, span, message))
            }
            Err(NoName::Unknown) if let Some((_, text)) = self.scope.constants.iter().find(|(of, _)| of == name) => {
                let term = Term::Text(text.clone().into());
                Ok(Typed { node: Node::Constant(term), ty: Type::of(Kind::Text), span })
            }
            Err(NoName::Unknown) => match Meta::ALL.into_iter().find(|meta| meta.name() == name) {
                Some(meta) => {
                    let kind = meta.kind(self.scope.list);
                    Ok(Typed { node: Node::Meta(meta, kind), ty: Type::of(kind), span })
                }
                None => {
                    let message = format!("there is no field {}; {}", quoted(name), self.scope.suggest(name));
                    Err(FilterError::new(Fault::UnknownField, span, message))
                }
            },
        }
    }

    /// A part of a composite, or the test that it is there.
    pub(super) fn select(&mut self, select: &'s SelectExpr, dot: Range<usize>) -> Checked<'s> {
        if let Some(known) = self.dotted(select, &dot) {
            return known;
        }
        let of = self.expression(&select.operand)?;
        // Of the test `has(a.b)` the parser gives the word `has`.
        let after = if select.test { of.span.end } else { dot.end.max(of.span.end) };
        let (name, word) = self.syntax.word_at(after);
        let span = of.span.start..word.end.max(of.span.end);
        if let Some(step) = self.step_over(&of, name) {
            let typed = step.map_err(|why| self.no_step(&of, name, &word, why))?;
            let typed = Typed { span, ..typed };
            return Ok(if select.test { is_there(typed) } else { typed });
        }
        let typed = match (of.node, of.ty) {
            (Node::Cell { field, part, .. }, Type::Kind(Kind::Composite(composite), _)) => {
                let (kind, part) = (Kind::of_part(composite, name), self.step(&part, name, &word)?);
                Typed { node: Node::Cell { field, part, kind }, ty: Type::of(kind), span }
            }
            (Node::Through { mut route, .. }, Type::Kind(Kind::Composite(composite), _)) => {
                let kind = Kind::of_part(composite, name);
                route.cell.1 = self.step(&route.cell.1, name, &word)?;
                Typed { node: Node::Through { route, kind }, ty: Type::of(kind), span }
            }
            (Node::Cell { field, part, kind: Kind::Any }, _) if !part.is_empty() => {
                let (kind, part) = (Kind::Any, self.step(&part, name, &word)?);
                Typed { node: Node::Cell { field, part, kind }, ty: Type::of(kind), span }
            }
            (Node::Part { of, part, kind: Kind::Any }, _) => {
                let (kind, part) = (Kind::Any, self.step(&part, name, &word)?);
                Typed { node: Node::Part { of, part, kind }, ty: Type::of(kind), span }
            }
            (node, Type::Kind(Kind::Composite(composite), _)) => {
                let (kind, part) = (Kind::of_part(composite, name), self.step(&PartPath::default(), name, &word)?);
                Typed { node: Node::Part { of: Box::new(node), part, kind }, ty: Type::of(kind), span }
            }
            (_, Type::List(_)) => {
                let text = self.text(&of.span);
                let message = format!("{text} holds many; write {}.exists(x, x.{name} == …)", text.trim_matches('`'));
                return Err(FilterError::new(Fault::Type, word, message));
            }
            (_, ty) => {
                let message = format!("{} is {} and has no part {}", self.text(&of.span), ty.describe(), quoted(name));
                return Err(FilterError::new(Fault::Type, word, message));
            }
        };
        Ok(if select.test { is_there(typed) } else { typed })
    }

    /// What stands behind the dot of something that refers to another record, unless it is a part of its own.
    fn step_over(&self, of: &Typed<'s>, name: &str) -> Option<Result<Typed<'s>, NoStep>> {
        let Type::Kind(kind, known) = &of.ty else { return None };
        let list = match kind {
            Kind::Reference(list) => (*list)?,
            Kind::Composite(base) => {
                let part = composite::part(*base, name.as_bytes());
                if part.is_some_and(|part| part.home != composite::Home::Referred) {
                    return None;
                }
                (*known)?.list?
            }
            _other => return None,
        };
        let (mut links, from) = match &of.node {
            Node::Cell { field, part, .. } => (Vec::new(), (*field, part.clone())),
            Node::Through { route, .. } => (route.links.clone(), route.cell.clone()),
            _no_cell => return None,
        };
        let step = match route::step(&self.scope.related, (&from, *kind, list), name)? {
            // Without a list that can be asked, what the server wrote of it.
            Err(NoStep::NoNumber) if matches!(kind, Kind::Composite(_)) => return None,
            Err(why) => return Some(Err(why)),
            Ok(step) => step,
        };
        links.push(step.link);
        if links.len() > LINKS_MAX {
            return Some(Err(NoStep::TooFar));
        }
        let (route, kind) = (Route { links, cell: step.cell }, step.kind);
        let ty = Type::Kind(kind, step.name);
        Some(Ok(Typed { node: Node::Through { route, kind }, ty, span: of.span.clone() }))
    }

    fn no_step(&self, of: &Typed<'s>, name: &str, word: &Range<usize>, why: NoStep) -> FilterError {
        let text = self.text(&of.span);
        let message = match why {
            NoStep::Unknown(known) => {
                format!(
                    "the records that {text} refers to have no field {}; there are: {}",
                    quoted(name),
                    known.join(", ")
                )
            }
            NoStep::Many => {
                format!("{} holds many, there where {text} refers to; choose a field that holds one", quoted(name))
            }
            NoStep::NoNumber => format!("no field numbers the records that {text} refers to"),
            NoStep::TooFar => format!("no more than {LINKS_MAX} references are followed one after the other"),
        };
        FilterError::new(Fault::UnknownField, word.clone(), message)
    }

    /// A name that has a dot in it, such as that of a field as it was before a change.
    fn dotted(&self, select: &'s SelectExpr, dot: &Range<usize>) -> Option<Checked<'s>> {
        let Expr::Ident(ident) = &select.operand.expr else { return None };
        if select.test || self.locals.iter().any(|local| local.name == *ident) {
            return None;
        }
        let (before, word) = self.syntax.word_at(self.syntax.span(select.operand.id).start);
        let (name, rest) = self.syntax.word_at(dot.end.max(word.end));
        self.scope.is_dotted(before).then(|| self.field(&format!("{before}.{name}"), word.start..rest.end))
    }

    pub(super) fn step(&self, part: &PartPath, name: &str, at: &Range<usize>) -> Result<PartPath, FilterError> {
        PartPath::new(part.steps().chain([name.as_bytes()]))
            .ok_or_else(|| FilterError::new(Fault::Type, at.clone(), "no field has parts that deep, or named so long"))
    }
}

/// A part to show in an error.
pub(super) fn example_part(ty: &Type<'_>) -> &'static str {
    match ty.kind() {
        Some(Kind::Composite(base)) => composite::of(base).map_or("text", |composite| composite.parts()[0].name),
        _ => "text",
    }
}

/// Whether there is something.
fn is_there(typed: Typed<'_>) -> Typed<'_> {
    let nodes = Box::new([typed.node, Node::Constant(Term::Null)]);
    Typed { node: Node::Compare(Comparison::NotEqual, nodes), ty: Type::BOOL, span: typed.span }
}
