//! Calls of functions.

use super::{Checked, Checker};
use crate::filter::{
    error::{Fault, FilterError, quoted},
    functions::{Function, Signature},
    literal, pattern,
    scope::{Kind, suggest, written},
    term::Term,
    tree::Node,
    types::{Family, Type, Typed},
};
use cel::common::ast::{Expr, IdedExpr, LiteralValue};
use std::ops::Range;

impl<'s> Checker<'s> {
    pub(super) fn function(
        &mut self,
        name: &str,
        target: Option<&'s IdedExpr>,
        arguments: &'s [IdedExpr],
        token: Range<usize>,
    ) -> Checked<'s> {
        // Of a call behind a dot the parser gives the bracket; the name is before it.
        let before = self.syntax.source().get(..token.start).unwrap_or("").trim_end();
        let named =
            if target.is_some() { before.len().saturating_sub(name.len())..before.len() } else { token.clone() };
        match (name, target, arguments) {
            ("field", None, [name]) => {
                let span = self.syntax.span(name.id);
                let Expr::Literal(LiteralValue::String(name)) = &name.expr else {
                    return Err(FilterError::new(Fault::Type, span, "`field` takes a field's name in quotes"));
                };
                let found = self.field(name.inner(), span)?;
                Ok(Typed { span: token.start..found.span.end + 1, ..found })
            }
            ("date" | "timestamp" | "duration", None, [text]) => self.time_literal(name, text, token),
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => self.matches(text, pattern),
            ("exists" | "all" | "exists_one" | "map" | "filter" | "has", ..) => {
                let message = format!("`{name}` is written `many.{name}(x, …)`, with a condition on the element `x`");
                let message =
                    if name == "has" { "`has` takes one part, as in `has(address.city)`".to_owned() } else { message };
                Err(FilterError::new(Fault::Syntax, named, message))
            }
            _ => {
                let Some((function, count)) = Function::find(name) else {
                    let known = Function::NAMES.iter().copied().chain(SPECIAL).collect::<Vec<_>>();
                    let message = format!("there is no function {}; {}", quoted(name), suggest(name, &known, written));
                    return Err(FilterError::new(Fault::UnknownFunction, named, message));
                };
                self.known_function(function, count, target.into_iter().chain(arguments), named)
            }
        }
    }

    pub(super) fn known_function(
        &mut self,
        function: Function,
        count: usize,
        arguments: impl Iterator<Item = &'s IdedExpr>,
        named: Range<usize>,
    ) -> Checked<'s> {
        let arguments = arguments.map(|argument| self.expression(argument)).collect::<Result<Vec<_>, _>>()?;
        let signature = function.signature();
        if arguments.len() != count {
            let message = if signature == Signature::OfTime {
                "times are in UTC; write it without a time zone".to_owned()
            } else {
                format!(
                    "{} takes {count} here, what is before the dot included, not {}",
                    self.text(&named),
                    arguments.len()
                )
            };
            return Err(FilterError::new(Fault::Type, named, message));
        }
        let takes: fn(&Type<'_>) -> bool = match signature {
            Signature::TextTest | Signature::TextToText => |ty| ty.may_be(Family::Text),
            Signature::Size => |ty| ty.may_be(Family::Text) || matches!(ty, Type::List(_)),
            Signature::ToInt | Signature::ToFloat => |ty| ty.may_be(Family::Number) || ty.may_be(Family::Text),
            Signature::OfTime => |ty| ty.may_be(Family::Time),
        };
        if let Some(wrong) = arguments.iter().find(|argument| !takes(&argument.ty)) {
            let message = format!(
                "{} is {}, which {} does not take",
                self.text(&wrong.span),
                wrong.ty.describe(),
                self.text(&named)
            );
            return Err(FilterError::new(Fault::Type, wrong.span.clone(), message));
        }
        let kind = match signature {
            Signature::TextTest => Kind::Bool,
            Signature::TextToText => Kind::Text,
            Signature::Size | Signature::ToInt | Signature::OfTime => Kind::Int,
            Signature::ToFloat => Kind::Float,
        };
        let ends = arguments.iter().map(|argument| argument.span.end).max().unwrap_or(named.end);
        let start = arguments.first().map_or(named.start, |first| first.span.start.min(named.start));
        let nodes = arguments.into_iter().map(|argument| argument.node).collect();
        Ok(Typed {
            node: Node::Call(function, nodes),
            ty: Type::of(kind),
            span: start..self.closing(ends.max(named.end)),
        })
    }

    /// `timestamp("…")` and the like: constants.
    pub(super) fn time_literal(&self, name: &str, text: &IdedExpr, token: Range<usize>) -> Checked<'s> {
        let span = self.syntax.span(text.id);
        let Expr::Literal(LiteralValue::String(text)) = &text.expr else {
            let message = format!("`{name}` takes a text in quotes; a field is compared as it is");
            return Err(FilterError::new(Fault::Type, span, message));
        };
        let (term, kind, example) = match name {
            "date" => (literal::date(text.inner()), Kind::Date, "2024-05-01"),
            "timestamp" => (literal::date_time(text.inner()), Kind::DateTime, "2024-05-01T10:30:00Z"),
            _duration => (literal::duration(text.inner()), Kind::Duration, "1h30m"),
        };
        let Some(term) = term else {
            let message = format!("{} is no {name}; write it like `{name}(\"{example}\")`", quoted(text.inner()));
            return Err(FilterError::new(Fault::Literal, span, message));
        };
        Ok(Typed { node: Node::Constant(term), ty: Type::of(kind), span: token.start..self.closing(span.end) })
    }

    pub(super) fn matches(&mut self, text: &'s IdedExpr, pattern: &'s IdedExpr) -> Checked<'s> {
        let (text, source) = (self.value(text)?, self.value(pattern)?);
        if !text.ty.may_be(Family::Text) {
            let message = format!("{} is {}, which `matches` does not take", self.text(&text.span), text.ty.describe());
            return Err(FilterError::new(Fault::Type, text.span, message));
        }
        let Node::Constant(Term::Text(pattern)) = &source.node else {
            return Err(FilterError::new(Fault::Pattern, source.span, "the pattern of `matches` is a text in quotes"));
        };
        let regex =
            pattern::compile(pattern).map_err(|why| FilterError::new(Fault::Pattern, source.span.clone(), why))?;
        let span = text.span.start..self.closing(source.span.end);
        Ok(Typed { node: Node::Matches(Box::new(text.node), regex), ty: Type::BOOL, span })
    }

    /// Just behind the bracket that closes what ends here.
    pub(super) fn closing(&self, at: usize) -> usize {
        let rest = self.syntax.source().get(at..).unwrap_or("");
        let blank = rest.len() - rest.trim_start().len();
        if rest[blank..].starts_with([')', ']']) { at + blank + 1 } else { at }
    }
}

/// What is not looked up among the functions.
const SPECIAL: [&str; 11] =
    ["field", "date", "timestamp", "duration", "matches", "has", "exists", "all", "exists_one", "map", "filter"];
