//! A node's place in the world: the node, and what is known of it from outside.

use crate::{
    checks::{self, Violation},
    ledger::Ledger,
    model::Model,
    node::{Flight, Node, WORKSPACE},
    workload::describe,
};
use std::collections::BTreeSet;
use tandem_actors::{Command, Committed, Refused};
use tandem_wire::{EventId, ListId, Value};

/// The name of the list that must come through when everything has healed.
pub(crate) const LAST: &str = "the last";

/// A node, and what the world knows of it.
pub(crate) struct Site {
    pub(crate) node: Node,
    pub(crate) model: Model,
    /// Events that were acknowledged, or found after a crash that left their fate open.
    pub(crate) kept: BTreeSet<EventId>,
    /// A group that a crash took the answers of, until the log shows what became of it.
    pub(crate) unanswered: Option<Flight>,
    /// The log as it is read.
    pub(crate) log: Ledger,
    /// The log as a power cut would leave it.
    pub(crate) durable: Ledger,
}

impl Site {
    /// A node that is down, and whose log holds its founding event.
    pub(crate) fn new(node: Node) -> Self {
        let (mut log, durable) = (Ledger::default(), Ledger::default());
        log.read(&node.disk, WORKSPACE).expect("the founding event is good");
        Self { kept: log.ids(), node, model: Model::default(), unanswered: None, log, durable }
    }

    /// What an answer says must be what the model says; the model then goes on from there.
    pub(crate) fn take_answer(
        &mut self,
        command: &Command,
        answer: &Result<Committed, Refused>,
    ) -> Result<(), Violation> {
        let made = answer.as_ref().map_or(&[][..], |done| &done.elements);
        let wrong = |expected: &str| {
            let details = format!("{} must be {expected}, but was {answer:?}", describe(command));
            Violation::of("answers-are-the-models", details)
        };
        match (self.model.after(command, made), answer) {
            (Err(code), Err(refused)) if refused.code() == code => Ok(()),
            (Err(code), _) => wrong(&format!("refused as {code}")),
            (Ok(after), Ok(done)) if (after == self.model) == done.events.is_empty() => {
                self.model = after;
                self.kept.extend(&done.events);
                Ok(())
            }
            (Ok(after), _) => wrong(if after == self.model { "nothing" } else { "done" }),
        }
    }

    /// A crash took the answers of a group: it is in the log whole, or not at all. Says which, if there was one.
    pub(crate) fn resolve_unanswered(&mut self) -> Result<Option<bool>, Violation> {
        let Some(flight) = self.unanswered.take() else { return Ok(None) };
        let events = flight.events();
        checks::log_is_what_was_promised(&self.log, &self.kept, &events)?;
        let found = !events.is_empty() && events.is_subset(&self.log.ids());
        if found {
            for (command, answer) in flight.commands.iter().zip(&flight.answers) {
                self.take_answer(command, answer)?;
            }
        }
        Ok(Some(found))
    }

    /// What is durable now stays at its place for ever.
    pub(crate) fn settle(&mut self) -> Result<(), Violation> {
        self.durable.read(&self.node.disk.crash(0), WORKSPACE)?;
        self.durable.settle()
    }

    /// The views of a node that is up and has no group on its way. Gives their digest.
    pub(crate) fn check_views(&mut self) -> Result<[u8; 32], Violation> {
        self.log.read(&self.node.disk, WORKSPACE)?;
        let store = self.node.store().expect("up");
        checks::views_reflect_the_log(store, &self.log)?;
        checks::views_are_the_naive_fold(store, &self.log)?;
        checks::views_are_the_rebuilt_ones(store)?;
        checks::opening_finds_nothing_to_do(store)?;
        checks::shown_is_what_the_model_says(store, &self.model)?;
        Ok(store.digest().expect("memory can be read"))
    }

    /// What it still lacks when everything must be done.
    pub(crate) fn missing(&self) -> Option<String> {
        if self.node.store().is_none() {
            return Some("is down".into());
        }
        if let Some(flight) = &self.node.flight {
            return Some(format!(
                "has {} commands between {} and their answers",
                flight.commands.len(),
                flight.done.name()
            ));
        }
        if !self.node.waiting.is_empty() {
            return Some(format!("has {} commands waiting", self.node.waiting.len()));
        }
        let is_last = |list: ListId| self.model.elements[&list.into()].name() == Some(&Value::Text(LAST.into()));
        (!self.model.lists().any(is_last)).then(|| "has not done the last command".into())
    }
}
