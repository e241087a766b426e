//! From the parser's tree to one that runs: names become ids, texts become what they are compared with, and what cannot
//! fit together is an error with its place.

use super::{
    arithmetic::{Comparison, Operator, as_written},
    error::{Fault, FilterError, shown},
    functions::{Function, Signature},
    limits::*,
    literal, pattern,
    scope::{Kind, Meta, NoName, Scope, suggest, written},
    syntax::{Syntax, is_mask, too_many_nodes},
    term::Term,
    tree::{Loop, Node},
    types::{Family, Type, Typed},
};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use std::ops::Range;
use tandem_wire::{PartPath, RecordId};

type Checked<'s> = Result<Typed<'s>, FilterError>;

/// Checks one filter.
pub(super) struct Checker<'s> {
    syntax: &'s Syntax<'s>,
    scope: &'s Scope,
    /// The variables of the loops around.
    locals: Vec<(String, Type<'s>)>,
}

impl<'s> Checker<'s> {
    /// The tree of a filter: something that is true or false.
    pub(super) fn check(syntax: &'s Syntax<'s>, scope: &'s Scope) -> Result<Node, FilterError> {
        let mut nodes = 0;
        count(&syntax.root, &mut nodes, syntax)?;
        let mut checker = Self { syntax, scope, locals: Vec::new() };
        let root = checker.value(&syntax.root)?;
        checker.expect_bool(&root)?;
        Ok(root.node)
    }

    /// An expression that has a value.
    fn value(&mut self, expr: &'s IdedExpr) -> Checked<'s> {
        let typed = self.expression(expr)?;
        if let Some(Kind::Composite(_)) = typed.ty.kind() {
            let text = typed.text(self.syntax);
            let name = text.trim_matches('`');
            let message =
                format!("{text} is made of parts; name one of them, such as `{name}.{}`", example_part(&typed.ty));
            return Err(FilterError::new(Fault::Type, typed.span, message));
        }
        Ok(typed)
    }

    fn expression(&mut self, expr: &'s IdedExpr) -> Checked<'s> {
        let span = self.syntax.span(expr.id);
        match &expr.expr {
            Expr::Literal(value) => self.literal(value, span),
            Expr::Ident(name) => self.name(name, span),
            Expr::Select(select) => self.select(select, span),
            Expr::List(list) => self.list(&list.elements, span),
            Expr::Call(call) => self.call(call, span),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, span),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                let message = "filters have no maps and messages; write the condition without";
                Err(FilterError::new(Fault::Unsupported, span, message))
            }
        }
    }

    fn literal(&self, value: &LiteralValue, span: Range<usize>) -> Checked<'s> {
        let (term, ty) = match value {
            LiteralValue::Null => (Term::Null, Type::Null),
            LiteralValue::Boolean(yes) => (Term::Bool(*yes.inner()), Type::BOOL),
            LiteralValue::Int(number) => (Term::Int(*number.inner()), Type::of(Kind::Int)),
            LiteralValue::UInt(number) => match i64::try_from(*number.inner()) {
                Ok(number) => (Term::Int(number), Type::of(Kind::Int)),
                Err(_) => {
                    let message = format!("{} is beyond the whole numbers of 64 bits", number.inner());
                    return Err(FilterError::new(Fault::Literal, span, message));
                }
            },
            LiteralValue::Double(number) => (Term::Float(*number.inner() + 0.0), Type::of(Kind::Float)),
            LiteralValue::String(text) => (Term::Text(text.inner().to_owned().into()), Type::of(Kind::Text)),
            LiteralValue::Bytes(_) => {
                return Err(FilterError::new(Fault::Unsupported, span, "filters have no bytes; write a text"));
            }
        };
        // A negative number's node is its sign.
        let span = if self.syntax.source().get(span.clone()) == Some("-") {
            let rest = &self.syntax.source()[span.end..];
            let digits = rest.trim_start().find(|char: char| !char.is_ascii_alphanumeric() && char != '.');
            let end = digits.map_or(self.syntax.source().len(), |digits| {
                span.end + (rest.len() - rest.trim_start().len()) + digits
            });
            span.start..end
        } else {
            span
        };
        Ok(Typed { node: Node::Constant(term), ty, span })
    }

    /// A name: of a loop's variable, a field, or what every record has.
    fn name(&self, name: &str, span: Range<usize>) -> Checked<'s> {
        if let Some(index) = self.locals.iter().rposition(|(local, _)| local == name) {
            return Ok(Typed { node: Node::Local(index), ty: self.locals[index].1.clone(), span });
        }
        let (name, span) = self.syntax.word_at(span.start);
        self.field(name, span)
    }

    fn field(&self, name: &str, span: Range<usize>) -> Checked<'s> {
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
                let message = format!("two fields are called `{}`; rename one of them first", shown(name));
                Err(FilterError::new(Fault::UnknownField, span, message))
            }
            Err(NoName::Unknown) => match Meta::ALL.into_iter().find(|meta| meta.name() == name) {
                Some(meta) => {
                    let kind = meta.kind(self.scope.list);
                    Ok(Typed { node: Node::Meta(meta, kind), ty: Type::of(kind), span })
                }
                None => {
                    let message = format!("there is no field `{}`; {}", shown(name), self.scope.suggest(name));
                    Err(FilterError::new(Fault::UnknownField, span, message))
                }
            },
        }
    }

    /// A part of a composite, or the test that it is there.
    fn select(&mut self, select: &'s SelectExpr, dot: Range<usize>) -> Checked<'s> {
        let of = self.expression(&select.operand)?;
        let (name, word) = if select.test { (select.field.as_str(), dot) } else { self.syntax.word_at(dot.end) };
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
                let message = format!("{} is {} and has no part `{name}`", self.text(&of.span), ty.describe());
                return Err(FilterError::new(Fault::Type, word, message));
            }
        };
        if !select.test {
            return Ok(typed);
        }
        let nodes = Box::new([typed.node, Node::Constant(Term::Null)]);
        Ok(Typed { node: Node::Compare(Comparison::NotEqual, nodes), ty: Type::BOOL, span: typed.span })
    }

    fn step(&self, part: &PartPath, name: &str, at: &Range<usize>) -> Result<PartPath, FilterError> {
        PartPath::new(part.steps().chain([name.as_bytes()]))
            .ok_or_else(|| FilterError::new(Fault::Type, at.clone(), "no field has parts within parts that deep"))
    }

    fn list(&mut self, elements: &'s [IdedExpr], bracket: Range<usize>) -> Checked<'s> {
        let mut span = bracket;
        let mut nodes = Vec::new();
        let mut ty = Type::ANY;
        for element in elements {
            let element = self.value(element)?;
            span.end = span.end.max(element.span.end);
            if ty == Type::ANY {
                ty = element.ty;
            } else if element.ty != Type::Null && element.ty.family() != ty.family() {
                let message = format!(
                    "{} is {}, but what is before it in the list is {}",
                    self.text(&element.span),
                    element.ty.describe(),
                    ty.describe()
                );
                return Err(FilterError::new(Fault::Type, element.span, message));
            }
            nodes.push(element.node);
        }
        Ok(Typed { node: folded(Node::List(nodes)), ty: Type::List(Box::new(ty)), span })
    }

    fn call(&mut self, call: &'s CallExpr, token: Range<usize>) -> Checked<'s> {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_AND, None, [a, b]) => self.logic(a, b, Node::And),
            (operators::LOGICAL_OR, None, [a, b]) => self.logic(a, b, Node::Or),
            (operators::LOGICAL_NOT, None, [of]) => {
                let of = self.value(of)?;
                self.expect_bool(&of)?;
                Ok(Typed { node: Node::Not(Box::new(of.node)), ty: Type::BOOL, span: token.start..of.span.end })
            }
            (operators::NOT_STRICTLY_FALSE, None, [of]) => self.value(of),
            (operators::CONDITIONAL, None, [condition, a, b]) => self.conditional(condition, a, b),
            (operators::NEGATE, None, [of]) => self.negate(of, token),
            (operators::INDEX, None, [list, at]) => self.index(list, at),
            (operators::IN, None, [needle, list]) => self.is_in(needle, list, token),
            (name, None, [a, b]) if comparison(name).is_some() => {
                self.compare(comparison(name).expect("looked up"), a, b, token)
            }
            (name, None, [a, b]) if operator(name).is_some() => {
                self.arithmetic(operator(name).expect("looked up"), a, b, token)
            }
            (name, target, arguments) => self.function(name, target, arguments, token),
        }
    }

    fn logic(&mut self, a: &'s IdedExpr, b: &'s IdedExpr, node: fn(Box<[Node; 2]>) -> Node) -> Checked<'s> {
        let (a, b) = (self.value(a)?, self.value(b)?);
        self.expect_bool(&a)?;
        self.expect_bool(&b)?;
        let span = a.span.start.min(b.span.start)..a.span.end.max(b.span.end);
        Ok(Typed { node: node(Box::new([a.node, b.node])), ty: Type::BOOL, span })
    }

    fn expect_bool(&self, typed: &Typed<'_>) -> Result<(), FilterError> {
        if typed.ty.may_be(Family::Bool) && typed.ty != Type::Null {
            return Ok(());
        }
        let text = typed.text(self.syntax);
        let message = format!(
            "{text} is {}, where a condition is needed that is true or false, such as `{} == …`",
            typed.ty.describe(),
            text.trim_matches('`')
        );
        Err(FilterError::new(Fault::Type, typed.span.clone(), message))
    }

    fn conditional(&mut self, condition: &'s IdedExpr, a: &'s IdedExpr, b: &'s IdedExpr) -> Checked<'s> {
        let (condition, a, b) = (self.value(condition)?, self.value(a)?, self.value(b)?);
        self.expect_bool(&condition)?;
        let ty = match (&a.ty, &b.ty) {
            (Type::Null, ty) | (ty, Type::Null) => ty.clone(),
            (Type::List(_), Type::List(_)) => {
                if is_empty_list(&a.ty) {
                    b.ty.clone()
                } else {
                    a.ty.clone()
                }
            }
            (a, b) if a.family() == Family::Any || b.family() == Family::Any => Type::ANY,
            (a, b) if a.family() == b.family() && a.family() != Family::None => match a.family() {
                Family::Number if a.kind() != b.kind() => Type::of(Kind::Decimal),
                Family::Time if a.kind() != b.kind() => Type::of(Kind::DateTime),
                _same => a.clone(),
            },
            (ty, other) => {
                let message = format!(
                    "both outcomes must be alike, but one is {} and this is {}",
                    ty.describe(),
                    other.describe()
                );
                return Err(FilterError::new(Fault::Type, b.span, message));
            }
        };
        let span = condition.span.start.min(a.span.start)..b.span.end;
        Ok(Typed { node: Node::If(Box::new([condition.node, a.node, b.node])), ty, span })
    }

    fn negate(&mut self, of: &'s IdedExpr, token: Range<usize>) -> Checked<'s> {
        let of = self.value(of)?;
        let span = token.start..of.span.end;
        if !of.ty.may_be(Family::Number) && of.ty.family() != Family::Duration {
            let message = format!("{} is {}, and has no negative", self.text(&of.span), of.ty.describe());
            return Err(FilterError::new(Fault::Type, span, message));
        }
        Ok(Typed { node: folded(Node::Negate(Box::new(of.node))), ty: of.ty, span })
    }

    fn index(&mut self, list: &'s IdedExpr, at: &'s IdedExpr) -> Checked<'s> {
        let (list, at) = (self.expression(list)?, self.value(at)?);
        let span = list.span.start..at.span.end + 1;
        let Type::List(of) = list.ty else {
            let message = format!("{} is {}, and has no elements", self.text(&list.span), list.ty.describe());
            return Err(FilterError::new(Fault::Type, list.span, message));
        };
        if at.ty.kind() != Some(Kind::Int) {
            let message = format!("an element is named by a whole number from 0, not by {}", at.ty.describe());
            return Err(FilterError::new(Fault::Type, at.span, message));
        }
        Ok(Typed { node: Node::Index(Box::new([list.node, at.node])), ty: *of, span })
    }

    fn is_in(&mut self, needle: &'s IdedExpr, list: &'s IdedExpr, token: Range<usize>) -> Checked<'s> {
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

    fn compare(
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

    /// Makes of a written text or number what it is compared with.
    fn suit(&self, typed: &mut Typed<'s>, other: &Type<'s>) -> Result<(), FilterError> {
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
    fn text_as(
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
            None => Err(FilterError::new(Fault::Literal, span.clone(), format!("`{}` is not {wanted}", shown(text)))),
        }
    }

    fn comparable(&self, a: &Typed<'_>, b: &Typed<'_>, token: &Range<usize>, orders: bool) -> Result<(), FilterError> {
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

    fn arithmetic(&mut self, operator: Operator, a: &'s IdedExpr, b: &'s IdedExpr, token: Range<usize>) -> Checked<'s> {
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

    fn comprehension(&mut self, looped: &'s ComprehensionExpr, span: Range<usize>) -> Checked<'s> {
        let range = self.expression(&looped.iter_range)?;
        let span = range.span.start..span.end.max(range.span.end);
        let element = match range.ty {
            Type::List(of) => *of,
            Type::Kind(Kind::Any, _) => Type::ANY,
            ty => {
                let message = format!(
                    "{} is {}; `exists`, `all`, `map` and `filter` go through what holds many",
                    self.text(&range.span),
                    ty.describe()
                );
                return Err(FilterError::new(Fault::Type, range.span, message));
            }
        };
        // Two variables for each loop around.
        if self.locals.len() / 2 >= MACRO_DEPTH_MAX {
            let message = format!("`exists`, `all`, `map` … nest deeper than {MACRO_DEPTH_MAX}");
            return Err(FilterError::new(Fault::TooCostly, span, message));
        }
        if is_mask(&looped.iter_var) {
            let message = "the variable of `exists`, `all`, `map` … is a name of plain letters, such as `x`";
            return Err(FilterError::new(Fault::Unsupported, span, message));
        }
        let start = self.value(&looped.accu_init)?;
        let depth = self.locals.len();
        self.locals.push((looped.accu_var.clone(), start.ty));
        self.locals.push((looped.iter_var.clone(), element));
        let condition = self.value(&looped.loop_cond)?.node;
        let step = self.expression(&looped.loop_step)?;
        self.locals[depth].1 = step.ty;
        let result = self.value(&looped.result)?;
        self.locals.truncate(depth);
        let (range, start, step) = (range.node, start.node, step.node);
        let looped = Loop { range, start, condition, step, result: result.node };
        Ok(Typed { node: Node::Loop(Box::new(looped)), ty: result.ty, span })
    }

    fn function(
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
            _ => {
                let Some((function, count)) = Function::find(name) else {
                    let known = Function::NAMES.iter().copied().chain(SPECIAL).collect::<Vec<_>>();
                    let message = format!("there is no function `{}`; {}", shown(name), suggest(name, &known, written));
                    return Err(FilterError::new(Fault::UnknownFunction, named, message));
                };
                self.known_function(function, count, target.into_iter().chain(arguments), named)
            }
        }
    }

    fn known_function(
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
    fn time_literal(&self, name: &str, text: &IdedExpr, token: Range<usize>) -> Checked<'s> {
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
            let message = format!("`{}` is no {name}; write it like `{name}(\"{example}\")`", shown(text.inner()));
            return Err(FilterError::new(Fault::Literal, span, message));
        };
        Ok(Typed { node: Node::Constant(term), ty: Type::of(kind), span: token.start..self.closing(span.end) })
    }

    fn matches(&mut self, text: &'s IdedExpr, pattern: &'s IdedExpr) -> Checked<'s> {
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
    fn closing(&self, at: usize) -> usize {
        let rest = self.syntax.source().get(at..).unwrap_or("");
        let blank = rest.len() - rest.trim_start().len();
        if rest[blank..].starts_with([')', ']']) { at + blank + 1 } else { at }
    }

    fn text(&self, span: &Range<usize>) -> String {
        Typed { node: Node::Constant(Term::Null), ty: Type::Null, span: span.clone() }.text(self.syntax)
    }
}

/// What is not looked up among the functions.
const SPECIAL: [&str; 11] =
    ["field", "date", "timestamp", "duration", "matches", "has", "exists", "all", "exists_one", "map", "filter"];

fn count(expr: &IdedExpr, nodes: &mut usize, syntax: &Syntax<'_>) -> Result<(), FilterError> {
    *nodes += 1;
    if *nodes > NODES_MAX {
        return Err(too_many_nodes(syntax.span(expr.id)));
    }
    let mut each = |expr: &IdedExpr| count(expr, nodes, syntax);
    match &expr.expr {
        Expr::Literal(_) | Expr::Ident(_) | Expr::Unspecified => Ok(()),
        Expr::Select(select) => each(&select.operand),
        Expr::List(list) => list.elements.iter().try_for_each(each),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).try_for_each(each),
        Expr::Comprehension(c) => {
            [&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result].into_iter().try_for_each(each)
        }
        Expr::Map(map) => entries(&map.entries).try_for_each(each),
        Expr::Struct(message) => entries(&message.entries).try_for_each(each),
    }
}

fn entries(entries: &[cel::common::ast::IdedEntryExpr]) -> impl Iterator<Item = &IdedExpr> {
    entries.iter().flat_map(|entry| match &entry.expr {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    })
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        operators::ADD => Operator::Add,
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Remainder,
        _ => return None,
    })
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

fn is_empty_list(ty: &Type<'_>) -> bool {
    matches!(ty, Type::List(of) if **of == Type::ANY)
}

/// What needs no record, computed once.
fn folded(node: Node) -> Node {
    struct NoRecord;
    impl super::tree::Cells for NoRecord {
        fn cell(&self, _: tandem_wire::FieldId, _: &PartPath) -> Term<'_> {
            Term::Null
        }
        fn cells(&self, _: tandem_wire::FieldId) -> Vec<(PartPath, Term<'_>)> {
            Vec::new()
        }
        fn meta(&self, _: Meta) -> Term<'_> {
            Term::Null
        }
    }
    let constant = |node: &Node| matches!(node, Node::Constant(_));
    let is_constant = match &node {
        Node::List(nodes) => nodes.iter().all(constant),
        Node::Negate(of) => constant(of),
        Node::Arithmetic(_, nodes) | Node::Compare(_, nodes) => nodes.iter().all(constant),
        _ => false,
    };
    if !is_constant {
        return node;
    }
    match super::tree::Run::over(&NoRecord).eval(&node).map(Term::into_owned) {
        Ok(term) => Node::Constant(term),
        // Too large: an error on each record.
        Err(_) => node,
    }
}

fn example_part(ty: &Type<'_>) -> &'static str {
    use tandem_wire::design::BaseType;
    match ty.kind() {
        Some(Kind::Composite(base)) => match base {
            BaseType::PersonName => "family",
            BaseType::Phone => "number",
            BaseType::Email => "address",
            BaseType::PostalAddress => "city",
            BaseType::User => "name",
            BaseType::Url => "url",
            BaseType::Currency => "amount",
            BaseType::GeoPoint => "lat",
            BaseType::DateRange => "from",
            _text => "text",
        },
        _ => "text",
    }
}
