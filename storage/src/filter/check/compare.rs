//! What compares with what, and what a written text is beside a value of another type.

use super::{Checked, Checker, folded, is_empty_list};
use crate::filter::{
    arithmetic::{Comparison, Operator, as_written},
    error::{Fault, FilterError, quoted, shown},
    literal,
    scope::{Kind, suggest},
    term::Term,
    tree::Node,
    types::{Family, Type, Typed},
};
use cel::common::ast::IdedExpr;
use std::ops::Range;
use tandem_wire::RecordId;

impl<'s> Checker<'s> {
    pub(super) fn compare(
        &mut self,
        comparison: Comparison,
        a: &'s IdedExpr,
        b: &'s IdedExpr,
        token: Range<usize>,
    ) -> Checked<'s> {
        let (mut a, mut b) = (self.value(a)?, self.value(b)?);
        let span = a.span.start..b.span.end;
        let (a_ty, b_ty) = (a.ty.clone(), b.ty.clone());
        self.suit(&mut a, &b_ty)?;
        self.suit(&mut b, &a_ty)?;
        let orders = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        self.comparable(&a, &b, &token, orders)?;
        let node = folded(Node::Compare(comparison, Box::new([a.node, b.node])));
        Ok(Typed { node, ty: Type::BOOL, span })
    }

    pub(super) fn is_in(&mut self, needle: &'s IdedExpr, list: &'s IdedExpr, token: Range<usize>) -> Checked<'s> {
        let (mut needle, mut list) = (self.value(needle)?, self.expression(list)?);
        let span = needle.span.start..list.span.end;
        let Type::List(of) = list.ty else {
            let message = format!(
                "`in` looks into a list, such as `[\"a\", \"b\"]`, but {} is {}",
                self.text(&list.span),
                list.ty.describe()
            );
            return Err(FilterError::new(Fault::Type, list.span, message));
        };
        if let Node::Constant(Term::List(terms)) = list.node {
            let terms = terms.into_iter().map(|term| {
                let mut typed = Typed { node: Node::Constant(term), ty: (*of).clone(), span: list.span.clone() };
                if typed.node_is_null() {
                    typed.ty = Type::Null;
                }
                self.suit(&mut typed, &needle.ty)?;
                self.comparable(&needle, &typed, &token, false)?;
                let Node::Constant(term) = typed.node else { unreachable!("constants stay constant") };
                Ok(term)
            });
            list.node = Node::Constant(Term::List(terms.collect::<Result<_, _>>()?));
        } else {
            let element = Typed { node: Node::Constant(Term::Null), ty: *of, span: list.span.clone() };
            self.suit(&mut needle, &element.ty)?;
            self.comparable(&needle, &element, &token, false)?;
        }
        Ok(Typed { node: Node::In(Box::new([needle.node, list.node])), ty: Type::BOOL, span })
    }

    pub(super) fn arithmetic(
        &mut self,
        operator: Operator,
        a: &'s IdedExpr,
        b: &'s IdedExpr,
        token: Range<usize>,
    ) -> Checked<'s> {
        let (mut a, mut b) = (self.value(a)?, self.value(b)?);
        let (a_ty, b_ty) = (a.ty.clone(), b.ty.clone());
        for (side, other) in [(&mut a, &b_ty), (&mut b, &a_ty)] {
            if side.ty.kind() == Some(Kind::Float) {
                self.suit(side, other)?;
            }
        }
        let span = a.span.start..b.span.end;
        let Some(ty) = result_type(operator, &a.ty, &b.ty) else {
            let sign = self.text(&token);
            let message =
                format!("{sign} takes no {} and {}", a.ty.describe().trim_start_matches("a "), b.ty.describe());
            return Err(FilterError::new(Fault::Type, token, message));
        };
        let node = folded(Node::Arithmetic(operator, Box::new([a.node, b.node])));
        Ok(Typed { node, ty, span })
    }

    /// Makes of a written text or number what it is compared with.
    pub(super) fn suit(&self, typed: &mut Typed<'s>, other: &Type<'s>) -> Result<(), FilterError> {
        let Some(kind) = other.kind() else { return Ok(()) };
        let Node::Constant(term) = &typed.node else { return Ok(()) };
        let (term, ty) = match (term, kind) {
            (Term::Float(number), Kind::Int | Kind::Decimal) => match as_written(*number) {
                Some(decimal) => (Term::Decimal(decimal), Type::of(Kind::Decimal)),
                None => return Ok(()),
            },
            (Term::Text(text), _) => match self.text_as(text, kind, other, &typed.span)? {
                Some(term) => (term, other.clone()),
                None => return Ok(()),
            },
            _already => return Ok(()),
        };
        (typed.node, typed.ty) = (Node::Constant(term), ty);
        Ok(())
    }

    /// What a written text means where a value of another type is; nothing where it is just a text.
    pub(super) fn text_as(
        &self,
        text: &str,
        kind: Kind,
        ty: &Type<'s>,
        span: &Range<usize>,
    ) -> Result<Option<Term<'static>>, FilterError> {
        let (term, wanted) = match kind {
            Kind::Date | Kind::DateTime => {
                let term = literal::date(text).or_else(|| literal::date_time(text));
                (term, "a date, such as `\"2024-05-01\"` or `\"2024-05-01T10:30:00Z\"`".to_owned())
            }
            Kind::Duration => (literal::duration(text), "a duration, such as `\"1h30m\"` or `\"2d\"`".to_owned()),
            Kind::Reference(_) => {
                (text.parse::<RecordId>().ok().map(Term::Record), "a record id of 32 hexadecimal digits".to_owned())
            }
            Kind::Choice => {
                let choices = match ty {
                    Type::Kind(_, Some(name)) => name.choices.as_slice(),
                    _no_field => &[],
                };
                let found = choices.iter().find(|(name, _)| name == text).map(|(_, id)| Term::Choice(*id));
                let names: Vec<&str> = choices.iter().map(|(name, _)| name.as_str()).collect();
                (found, format!("one of the choices; {}", suggest(text, &names, |name| format!("{:?}", shown(name)))))
            }
            Kind::Bool
            | Kind::Int
            | Kind::Decimal
            | Kind::Float
            | Kind::Text
            | Kind::Composite(_)
            | Kind::Opaque
            | Kind::Any => {
                return Ok(None);
            }
        };
        match term {
            Some(term) => Ok(Some(term)),
            None => Err(FilterError::new(Fault::Literal, span.clone(), format!("{} is not {wanted}", quoted(text)))),
        }
    }

    pub(super) fn comparable(
        &self,
        a: &Typed<'_>,
        b: &Typed<'_>,
        token: &Range<usize>,
        orders: bool,
    ) -> Result<(), FilterError> {
        let (left, right) = (a.ty.family(), b.ty.family());
        if orders && (a.ty == Type::Null || b.ty == Type::Null) {
            let message = "nothing is less or greater than null; write `== null` or `!= null`";
            return Err(FilterError::new(Fault::Type, token.clone(), message));
        }
        if orders && [left, right].iter().any(|family| matches!(family, Family::Choice | Family::Record)) {
            let message = "choices and records have no order here; write `==`, `!=` or `in`";
            return Err(FilterError::new(Fault::Type, token.clone(), message));
        }
        let is_null = a.ty == Type::Null || b.ty == Type::Null;
        let both_lists = matches!((&a.ty, &b.ty), (Type::List(_), Type::List(_)));
        if is_null || (both_lists && !orders) {
            return Ok(());
        }
        if left == Family::None || right == Family::None {
            let of = if left == Family::None { a } else { b };
            let message = match &of.ty {
                Type::List(_) => format!(
                    "{} holds many; write `x in {}`",
                    self.text(&of.span),
                    self.text(&of.span).trim_matches('`')
                ),
                _opaque => format!("{} can only be compared with null", self.text(&of.span)),
            };
            return Err(FilterError::new(Fault::Type, of.span.clone(), message));
        }
        if left == right || left == Family::Any || right == Family::Any {
            return Ok(());
        }
        // The constant is what was mistyped, most likely.
        let (field, wrong) = if matches!(a.node, Node::Constant(_)) { (b, a) } else { (a, b) };
        let hint = match &wrong.node {
            Node::Constant(Term::Text(text)) if left == Family::Number || right == Family::Number => {
                match text.trim().parse::<f64>() {
                    Ok(_) => format!("; write {} without quotes", shown(text.trim())),
                    Err(_) => String::new(),
                }
            }
            Node::Constant(Term::Int(_) | Term::Float(_)) if field.ty.family() == Family::Text => {
                format!("; write \"{}\" in quotes", self.text(&wrong.span).trim_matches('`'))
            }
            _another => String::new(),
        };
        let message = format!(
            "{} is {} and cannot be compared with {}, {}{hint}",
            self.text(&field.span),
            field.ty.describe(),
            self.text(&wrong.span),
            wrong.ty.describe(),
        );
        Err(FilterError::new(Fault::Type, wrong.span.clone(), message))
    }
}

/// The type of a sum, product …; nothing where there is none.
fn result_type<'s>(operator: Operator, a: &Type<'s>, b: &Type<'s>) -> Option<Type<'s>> {
    use Family::{Any, Duration, Number, Text, Time};
    if let (Operator::Add, Type::List(_), Type::List(_)) = (operator, a, b) {
        return Some(if is_empty_list(a) { b.clone() } else { a.clone() });
    }
    if *a == Type::Null || *b == Type::Null {
        return None;
    }
    let both_whole = a.kind() == Some(Kind::Int) && b.kind() == Some(Kind::Int);
    match (operator, a.family(), b.family()) {
        (Operator::Remainder, _, _) => both_whole.then_some(Type::of(Kind::Int)),
        (_, Any, Any | Number) | (_, Number, Any) => Some(Type::ANY),
        (Operator::Add | Operator::Subtract, Any, _) | (Operator::Add | Operator::Subtract, _, Any) => Some(Type::ANY),
        (_, Number, Number) if both_whole => Some(Type::of(Kind::Int)),
        (_, Number, Number) if a.kind() == Some(Kind::Float) || b.kind() == Some(Kind::Float) => {
            Some(Type::of(Kind::Float))
        }
        (_, Number, Number) => Some(Type::of(Kind::Decimal)),
        (Operator::Add, Text, Text) => Some(Type::of(Kind::Text)),
        (Operator::Add, Time, Duration) | (Operator::Subtract, Time, Duration) => Some(Type::of(Kind::DateTime)),
        (Operator::Add, Duration, Time) => Some(Type::of(Kind::DateTime)),
        (Operator::Subtract, Time, Time) => Some(Type::of(Kind::Duration)),
        (Operator::Add | Operator::Subtract, Duration, Duration) => Some(Type::of(Kind::Duration)),
        _ => None,
    }
}
