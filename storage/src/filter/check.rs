//! From the parser's tree to one that runs: names become ids, texts become what they are compared with, and what cannot
//! fit together is an error with its place.

mod calls;
mod compare;
mod names;

use super::{
    arithmetic::{Comparison, Operator},
    error::{Fault, FilterError},
    limits::*,
    scope::{Kind, Meta, Scope},
    syntax::{Syntax, is_mask, too_many_nodes},
    term::Term,
    tree::{Cells, Loop, Node, Run},
    types::{Family, Type, Typed},
};
use crate::composite;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, operators,
};
use std::ops::Range;
use tandem_wire::{FieldId, PartPath};

type Checked<'s> = Result<Typed<'s>, FilterError>;

/// Checks one filter.
pub(super) struct Checker<'s> {
    syntax: &'s Syntax<'s>,
    scope: &'s Scope,
    /// The variables of the loops around.
    locals: Vec<Local<'s>>,
}

/// A variable of a loop.
struct Local<'s> {
    name: String,
    ty: Type<'s>,
    /// Whether who reads it may have it: the result so far, where the next one is made of it.
    is_taken: bool,
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

    /// The tree of a formula: something that has a value.
    pub(super) fn check_formula(syntax: &'s Syntax<'s>, scope: &'s Scope) -> Result<Node, FilterError> {
        let mut nodes = 0;
        count(&syntax.root, &mut nodes, syntax)?;
        let mut checker = Self { syntax, scope, locals: Vec::new() };
        Ok(checker.value(&syntax.root)?.node)
    }

    /// An expression that has a value.
    fn value(&mut self, expr: &'s IdedExpr) -> Checked<'s> {
        let typed = self.expression(expr)?;
        match (typed.ty.kind(), typed.node) {
            // One string, whatever parts it has.
            (Some(Kind::Composite(base)), Node::Cell { field, part, .. }) if composite::is_atom(base) => {
                let node = Node::Cell { field, part, kind: Kind::Text };
                Ok(Typed { node, ty: Type::of(Kind::Text), span: typed.span })
            }
            (Some(Kind::Composite(base)), Node::Through { route, .. }) if composite::is_atom(base) => Ok(Typed {
                node: Node::Through { route, kind: Kind::Text },
                ty: Type::of(Kind::Text),
                span: typed.span,
            }),
            (Some(Kind::Composite(_)), node) => Err(self.made_of_parts(&Typed { node, ..typed })),
            (_, node) => Ok(Typed { node, ..typed }),
        }
    }

    fn made_of_parts(&self, typed: &Typed<'_>) -> FilterError {
        let text = typed.text(self.syntax);
        let (name, part) = (text.trim_matches('`'), names::example_part(&typed.ty));
        let message = format!("{text} is made of parts; name one of them, such as `{name}.{part}`");
        FilterError::new(Fault::Type, typed.span.clone(), message)
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

    fn list(&mut self, elements: &'s [IdedExpr], bracket: Range<usize>) -> Checked<'s> {
        let mut span = bracket;
        let mut nodes = Vec::new();
        let mut ty = Type::ANY;
        for element in elements {
            let element = self.expression(element)?;
            if let (Node::Cell { .. }, Some(Kind::Composite(_))) = (&element.node, element.ty.kind()) {
                return Err(self.made_of_parts(&element));
            }
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
        self.locals.push(Local { name: looped.accu_var.clone(), ty: start.ty, is_taken: false });
        self.locals.push(Local { name: looped.iter_var.clone(), ty: element, is_taken: false });
        let condition = self.value(&looped.loop_cond)?.node;
        // Its name cannot be written, and what the macros stand for reads it once on each way.
        self.locals[depth].is_taken = true;
        let step = self.expression(&looped.loop_step)?;
        self.locals[depth].ty = step.ty;
        let result = self.value(&looped.result)?;
        self.locals.truncate(depth);
        let (range, start, step) = (range.node, start.node, step.node);
        let looped = Loop { range, start, condition, step, result: result.node };
        Ok(Typed { node: Node::Loop(Box::new(looped)), ty: result.ty, span })
    }

    fn text(&self, span: &Range<usize>) -> String {
        Typed { node: Node::Constant(Term::Null), ty: Type::Null, span: span.clone() }.text(self.syntax)
    }
}

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

fn entries(entries: &[IdedEntryExpr]) -> impl Iterator<Item = &IdedExpr> {
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

fn is_empty_list(ty: &Type<'_>) -> bool {
    matches!(ty, Type::List(of) if **of == Type::ANY)
}

/// What needs no record, computed once.
fn folded(node: Node) -> Node {
    struct NoRecord;
    impl Cells for NoRecord {
        fn cell(&self, _: FieldId, _: &PartPath) -> Term<'_> {
            Term::Null
        }
        fn cells(&self, _: FieldId) -> Vec<(PartPath, Term<'_>)> {
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
    match Run::over(&NoRecord).eval(&node).map(Term::into_owned) {
        Ok(term) => Node::Constant(term),
        // Too large: an error on each record.
        Err(_) => node,
    }
}
