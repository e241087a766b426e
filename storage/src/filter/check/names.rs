//! Names, and the parts behind their dots.

use super::{Checked, Checker, Local};
use crate::composite;
use crate::filter::{
    arithmetic::Comparison,
    error::{Fault, FilterError, quoted},
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
        let typed = match (of.node, of.ty) {
            (Node::Cell { field, part, .. }, Type::Kind(Kind::Composite(composite), _)) => {
                let (kind, part) = (Kind::of_part(composite, name), self.step(&part, name, &word)?);
                Typed { node: Node::Cell { field, part, kind }, ty: Type::of(kind), span }
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
        if !select.test {
            return Ok(typed);
        }
        let nodes = Box::new([typed.node, Node::Constant(Term::Null)]);
        Ok(Typed { node: Node::Compare(Comparison::NotEqual, nodes), ty: Type::BOOL, span: typed.span })
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
