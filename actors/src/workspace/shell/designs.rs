//! Rehearsals of proposed designs, and what becomes of them.

use super::{super::rehearsing::Concluded, Answer, Progress, Workspace};
use crate::{
    command::{Command, Refused, RehearsalOutcome},
    schema_migrator::{Changed, Cleared, Discard, Failed, Meanwhile, Purpose, Rehearsed, Tells, UnderWay},
};
use actix::{AsyncContext, Context, Handler};
use std::sync::Arc;
use tandem_storage::{EngineError, design_file::DesignFile, engine::Engine, fold::Design, rehearsal::Reported};

impl<E: Engine> Workspace<E> {
    /// Begins to rehearse what a server proposes, if that is due and none is under way.
    pub(super) fn see_to_designs(&mut self, ctx: &mut Context<Self>) {
        if self.rehearsing.is_some() || self.refusal().is_some() {
            return;
        }
        self.designs_seen = self.core.store().fold().control().len();
        match self.core.due_rehearsal() {
            Ok(Some((proposal, design))) => {
                self.finish();
                self.rehearse(Purpose::Proposal(proposal), design, Progress::default(), ctx);
            }
            Ok(None) => {}
            Err(error) => self.place.fail(&error),
        }
    }

    /// The same, after what was done here: who may rehearse what hangs on events about members and servers, too.
    pub(super) fn see_to_designs_anew(&mut self, ctx: &mut Context<Self>) {
        if self.designs_seen != self.core.store().fold().control().len() {
            self.see_to_designs(ctx);
        }
    }

    /// Tries a file's design, and tells who asks what came of it; nothing is merged.
    pub(super) fn try_design(
        &mut self,
        file: &DesignFile,
        progress: Progress,
        answer: Answer<Result<Reported, Refused>>,
        ctx: &mut Context<Self>,
    ) {
        if self.rehearsing.is_some() {
            let _ = answer.send(Err(Refused::Rehearsing));
            return;
        }
        match self.core.design_of(file) {
            Ok(design) => self.rehearse(Purpose::Trial(answer), design, progress, ctx),
            Err(refused) => drop(answer.send(Err(refused))),
        }
    }

    fn rehearse(&mut self, purpose: Purpose, design: Arc<Design>, progress: Progress, ctx: &mut Context<Self>) {
        let (rehearsal, clone) = self.core.begin_rehearsal(design);
        let work = (rehearsal, Arc::new(clone));
        let own = ctx.address();
        let tells = Tells {
            meanwhile: own.clone().recipient(),
            rehearsed: own.clone().recipient(),
            failed: own.clone().recipient(),
            cleared: own.recipient(),
        };
        let engine = self.place.engine.clone();
        self.rehearsing = Some(UnderWay::start((engine, purpose), work, progress, tells, self.outside));
    }

    /// Brings a rehearsal up to the present, merges its design or tells why not.
    #[expect(clippy::disallowed_methods, reason = "one message is under way at a time: they do not pile up")]
    fn settle_rehearsal(&mut self, rehearsed: Rehearsed<E>) -> Result<(), EngineError> {
        let Some(under_way) = &mut self.rehearsing else { return Ok(()) };
        let Some(purpose) = under_way.purpose.take() else { return Ok(()) };
        let (migrator, began_ms) = (under_way.migrator.clone(), under_way.began_ms);
        let took_ms = self.outside.now_ms().saturating_sub(began_ms);
        let Rehearsed { rehearsal, clone } = rehearsed;
        let may_merge = match &purpose {
            Purpose::Proposal(proposal) => self.refusal().is_none() && self.core.is_due(proposal)?,
            Purpose::Trial(_) => false,
        };
        let concluded = self.core.conclude(rehearsal, &clone, took_ms, |fits| fits && may_merge)?;
        let (told, left) = match concluded {
            Some(Concluded { reported, fits, left }) => (Some((reported, fits)), left),
            None => (None, None),
        };
        match left {
            Some(left) => migrator.do_send(Discard(left)),
            None => drop(self.rehearsing.take().map(UnderWay::end)),
        }
        match (purpose, told) {
            (Purpose::Trial(answer), told) => {
                let _ = answer.send(told.map(|(reported, _)| reported).ok_or(Refused::Rehearsing));
            }
            (Purpose::Proposal(proposal), Some((reported, fits))) if may_merge => {
                let outcome = RehearsalOutcome::of(reported, fits);
                let answers = self.commit(&[Command::Rehearsed { proposal, outcome }])?;
                if let Some(Err(refused)) = answers.first() {
                    tracing::warn!(%refused, "what came of a rehearsal cannot be told");
                }
                let retried = self.retry();
                self.show_if(retried);
                self.show_anew();
            }
            (Purpose::Proposal(_), _overtaken) => {}
        }
        Ok(())
    }

    /// Too much changed, or the engine failed: the rehearsal is tried again when something new is seen.
    fn give_up(&mut self) {
        self.core.end_rehearsal();
        if let Some(Purpose::Trial(answer)) = self.rehearsing.take().and_then(UnderWay::end) {
            let _ = answer.send(Err(Refused::Rehearsing));
        }
    }
}

impl<E: Engine> Handler<Meanwhile> for Workspace<E> {
    type Result = ();

    #[expect(clippy::disallowed_methods, reason = "one message is under way at a time: they do not pile up")]
    fn handle(&mut self, _: Meanwhile, ctx: &mut Context<Self>) {
        self.wait();
        let changed = self.core.changed_meanwhile().map(|(changed, now)| (changed, Arc::new(now)));
        let is_lost = changed.is_none();
        if let Some(under_way) = &self.rehearsing {
            under_way.migrator.do_send(Changed(changed));
        }
        if is_lost {
            self.give_up();
            self.see_to_designs(ctx);
        }
    }
}

impl<E: Engine> Handler<Rehearsed<E>> for Workspace<E> {
    type Result = ();

    fn handle(&mut self, rehearsed: Rehearsed<E>, ctx: &mut Context<Self>) {
        self.finish();
        self.settle_rehearsal(rehearsed).unwrap_or_else(|error| self.place.fail(&error));
        self.see_to_designs(ctx);
    }
}

impl<E: Engine> Handler<Failed> for Workspace<E> {
    type Result = ();

    fn handle(&mut self, Failed(error): Failed, _: &mut Context<Self>) {
        tracing::error!(%error, "a rehearsal cannot go on");
        self.give_up();
    }
}

impl<E: Engine> Handler<Cleared> for Workspace<E> {
    type Result = ();

    fn handle(&mut self, _: Cleared, ctx: &mut Context<Self>) {
        drop(self.rehearsing.take().map(UnderWay::end));
        self.see_to_designs(ctx);
    }
}
