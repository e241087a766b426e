//! Rules that travel in the design: validations, computed fields, defaults and workflows, in CEL.
//!
//! Every member evaluates them alike, and so does the server: they see nothing but the record (a workflow also the record
//! as it was), no clock, nobody's name. A rule that a node cannot read is never guessed at: it is *unchecked here*.

mod definition;

pub use definition::{EVALUATOR, Example, Expected, RuleDefinition, RuleKind, Severity};

use crate::{
    filter::{Cells, Filter, FilterError, Formula, Meta, Place, Scope, Term},
    fold::{Design, RecordState},
    form::names,
    guard::guarded,
    lens::{LensCells, MADE_MAX, StateCells},
    rule::Workflow,
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};
use tandem_wire::{ElementId, FieldId, ListId, PartPath, Value, design::ElementKind};

/// The rules of a design, by list.
#[derive(Debug, Clone, Default)]
pub struct DesignRules(BTreeMap<ListId, Vec<DesignRule>>);

/// One rule.
#[derive(Debug, Clone)]
pub struct DesignRule {
    /// Its element.
    pub id: ElementId,
    /// Its name.
    pub name: String,
    /// As the design has it.
    pub definition: RuleDefinition,
    /// Ready to run, or why not.
    pub body: Result<Body, Unread>,
}

/// What a rule does, ready to run.
#[derive(Debug, Clone)]
pub enum Body {
    /// It asks for something to hold, perhaps only of some records.
    Validation {
        /// Of which.
        when: Option<Filter>,
        /// What must hold.
        check: Filter,
    },
    /// It says what a field shows.
    Value {
        /// Which.
        field: FieldId,
        /// What.
        formula: Formula,
        /// Whatever the field holds itself.
        always: bool,
    },
    /// It sets fields when a change matches.
    Workflow(Workflow),
}

/// Why a rule is not evaluated here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It needs a later version.
    #[error("it needs evaluator {0}, and this is {EVALUATOR}")]
    Newer(u32),
    /// It cannot be meant.
    #[error("{0}")]
    Broken(String),
}

/// What a validation says of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It holds, or does not ask.
    Holds,
    /// It does not.
    Broken,
    /// It could not be told: too costly, or unread.
    Unchecked(String),
}

impl DesignRules {
    /// Of all lists of a design.
    pub fn of(design: &Design) -> Self {
        let of_list = |list| (list, rules_of(design, list));
        Self(design.lists().map(of_list).filter(|(_, rules)| !rules.is_empty()).collect())
    }

    /// The rules of a list, by their ids.
    pub fn list(&self, list: ListId) -> &[DesignRule] {
        self.0.get(&list).map_or(&[], Vec::as_slice)
    }

    /// Every rule.
    pub fn all(&self) -> impl Iterator<Item = (ListId, &DesignRule)> {
        self.0.iter().flat_map(|(list, rules)| rules.iter().map(|rule| (*list, rule)))
    }
}

fn rules_of(design: &Design, list: ListId) -> Vec<DesignRule> {
    let of_list = design.elements.iter().filter(|(_, element)| {
        element.kind == ElementKind::Rule.number() && element.parent == Some(list.into()) && !element.is_dropped()
    });
    let read = |id: ElementId| {
        let definition = RuleDefinition::of(design, id)?;
        let body = body_of(design, list, &definition);
        Some(DesignRule { id, name: design.name(id), definition, body })
    };
    of_list.filter_map(|(id, _)| read(*id)).collect()
}

fn body_of(design: &Design, list: ListId, definition: &RuleDefinition) -> Result<Body, Unread> {
    if definition.evaluator > EVALUATOR {
        return Err(Unread::Newer(definition.evaluator));
    }
    if definition.hash != definition.source_hash() {
        return Err(Unread::Broken("its source is not the one that was checked".into()));
    }
    let names = names(&definition.names);
    read(definition, design, list, &names).map_err(|error| Unread::Broken(error.to_string()))
}

/// Reads a rule for names that stand for the fields of a list.
fn read(
    definition: &RuleDefinition,
    design: &Design,
    list: ListId,
    names: &BTreeMap<String, FieldId>,
) -> Result<Body, FilterError> {
    let scope = Scope::of_named(design, list, names);
    let filter = |source: &Option<String>| source.as_ref().map(|source| Filter::parse(source, &scope)).transpose();
    let needs = |what: &str| FilterError::missing(what);
    match definition.kind {
        RuleKind::Validation => {
            let check = filter(&definition.check)?.ok_or_else(|| needs("check"))?;
            let when = filter(&definition.when)?;
            let asks = |filter: &Filter| filter.reads().iter().any(|place| matches!(place, Place::Meta(_)));
            if asks(&check) || when.as_ref().is_some_and(asks) {
                return Err(FilterError::of_record(definition.check.as_deref().unwrap_or_default()));
            }
            Ok(Body::Validation { when, check })
        }
        kind @ (RuleKind::Computed | RuleKind::Default) => {
            let source = definition.value.as_ref().ok_or_else(|| needs("value"))?;
            let formula = Formula::parse(source, &scope)?;
            if formula.reads().iter().any(|place| matches!(place, Place::Meta(_))) {
                return Err(FilterError::of_record(source));
            }
            let field = definition.field().ok_or_else(|| needs("field"))?;
            Ok(Body::Value { field, formula, always: kind == RuleKind::Computed })
        }
        RuleKind::Workflow => {
            let set = definition.set.iter().filter_map(|(id, source)| Some((id.parse().ok()?, source.clone())));
            Ok(Body::Workflow(Workflow::parse(definition.when.as_deref(), set, design, list, names)?))
        }
    }
}

impl DesignRule {
    /// What a validation says of a record; other rules ask nothing.
    pub fn judge(&self, cells: &dyn Cells) -> Finding {
        let (when, check) = match &self.body {
            Ok(Body::Validation { when, check }) => (when, check),
            Ok(Body::Value { .. } | Body::Workflow(_)) => return Finding::Holds,
            Err(why) => return Finding::Unchecked(why.to_string()),
        };
        let holds = guarded(|| match when {
            Some(when) if !when.matches(cells)? => Ok(true),
            _asked => check.matches(cells),
        });
        match holds {
            Ok(Ok(true)) => Finding::Holds,
            Ok(Ok(false)) => Finding::Broken,
            Ok(Err(error)) => Finding::Unchecked(error.to_string()),
            Err(panicked) => Finding::Unchecked(panicked.to_string()),
        }
    }

    /// What a validation says of a record, as it was written.
    pub fn judge_state(&self, design: &Design, state: &RecordState) -> Finding {
        self.judge(&LensCells::new(design, &StateCells(state), &Cell::new(MADE_MAX)))
    }

    /// Whether it cannot be read here: it needs a later version, or a field that it reads is gone, as where one
    /// dropped it while another made the rule. Such a rule is not guessed at, and stops nobody.
    pub fn is_unread(&self) -> bool {
        self.body.is_err()
    }

    /// Whether it needs a later version.
    pub fn is_newer(&self) -> bool {
        matches!(self.body, Err(Unread::Newer(_)))
    }

    /// The fields that it reads.
    pub fn reads(&self) -> BTreeSet<FieldId> {
        let places = match &self.body {
            Ok(Body::Validation { when, check }) => {
                when.iter().flat_map(Filter::reads).chain(check.reads()).cloned().collect()
            }
            Ok(Body::Value { formula, .. }) => formula.reads().clone(),
            Ok(Body::Workflow(_)) | Err(_) => BTreeSet::new(),
        };
        fields_of(&places)
    }

    /// The examples that come out otherwise than they should, each with what came out.
    pub fn wrong_examples(&self) -> Vec<(usize, String)> {
        let examples = self.definition.examples.iter().enumerate();
        examples.filter_map(|(index, example)| Some((index, self.try_example(example).err()?))).collect()
    }

    fn try_example(&self, example: &Example) -> Result<(), String> {
        let cells = ExampleCells(&example.record);
        match (&self.body, &example.expect) {
            (Err(why), _) => Err(why.to_string()),
            (Ok(Body::Validation { .. }), Expected::Holds(expected)) => match self.judge(&cells) {
                Finding::Holds if *expected => Ok(()),
                Finding::Broken if !*expected => Ok(()),
                Finding::Holds => Err("it holds".into()),
                Finding::Broken => Err("it is broken".into()),
                Finding::Unchecked(why) => Err(why),
            },
            (Ok(Body::Value { formula, .. }), Expected::Gives(expected)) => {
                let value = formula.value(&cells).map_err(|error| error.to_string())?;
                let given = Term::decode(expected);
                if Term::from(&value).equals(&given) { Ok(()) } else { Err(format!("it gives {value:?}")) }
            }
            _mixed_up => Err("it expects what this kind of rule does not say".into()),
        }
    }
}

/// The fields of some places.
pub(crate) fn fields_of(places: &BTreeSet<Place>) -> BTreeSet<FieldId> {
    let field = |place: &Place| match place {
        Place::Cell(field, _) | Place::Cells(field) => Some(*field),
        Place::Through(route) => Some(route.links[0].from.0),
        Place::Meta(_) => None,
    };
    places.iter().filter_map(field).collect()
}

/// The record of an example.
struct ExampleCells<'a>(&'a BTreeMap<String, Vec<u8>>);

impl Cells for ExampleCells<'_> {
    fn cell(&self, field: FieldId, part: &PartPath) -> Term<'_> {
        let found = self.0.get(&field.to_string()).filter(|_| part.is_empty());
        // Examples come from outside: bytes that are no value are nothing.
        found.filter(|bytes| Value::decode(bytes).is_ok()).map_or(Term::Null, |bytes| Term::decode(bytes))
    }

    fn cells(&self, field: FieldId) -> Vec<(PartPath, Term<'_>)> {
        let whole = PartPath::default();
        let term = self.cell(field, &whole);
        if term == Term::Null { Vec::new() } else { vec![(whole, term)] }
    }

    fn meta(&self, _meta: Meta) -> Term<'_> {
        Term::Null
    }
}
