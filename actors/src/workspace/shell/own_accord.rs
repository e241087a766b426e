//! What the actor writes of its own accord: verdicts, what changed of its rules, and what it sends again by itself.

use super::Workspace;
use crate::{command::Refused, workspace::Group};
use std::collections::BTreeMap;
use tandem_storage::{EngineError, engine::Engine, log::RunEvents, rescue::WorkspaceHead};
use tandem_wire::EventRef;

impl<E: Engine> Workspace<E> {
    /// When it begins: what a crash came before. With the disk full, what comes next sees to it.
    pub(super) fn see_to_what_is_open(&mut self) {
        let done = self.core.retried().and_then(|_now_they_are_read| {
            if self.refusal().is_some() {
                return Ok(false);
            }
            self.announce()?;
            Ok(self.sit(&BTreeMap::new())? | self.retry()?)
        });
        self.show_if(done);
    }

    /// Judges what is on this node's dockets, and writes the verdicts. Says whether there were any.
    pub(super) fn sit(&mut self, decoded: &BTreeMap<u64, RunEvents>) -> Result<bool, EngineError> {
        let mut any = false;
        while let Some(group) = self.core.sit(self.outside.now_ms(), decoded)? {
            any = true;
            self.write_own(group)?;
        }
        Ok(any)
    }

    /// Writes a group that nobody asked for.
    pub(super) fn write_own(&mut self, group: Group) -> Result<(), EngineError> {
        if group.log.is_empty() {
            // A setting alone.
            let (batch, _) = self.core.settle(group)?;
            return self.place.write(&batch);
        }
        if let (Some((batch, runs)), _) = self.settle(group)? {
            self.place.write(&batch)?;
            self.core.upkeep()?;
            self.feed.0.push(self.core.store().next_arrival(), &batch, self.core.store().fold().prefix());
            self.place.keep(runs)?;
        }
        Ok(())
    }

    /// Says which of this authority's rules changed.
    pub(super) fn announce(&mut self) -> Result<(), EngineError> {
        if !self.left
            && let Some(group) = self.core.announce(self.outside.now_ms())?
        {
            self.write_own(group)?;
            self.show_anew();
        }
        Ok(())
    }

    pub(super) fn retry_when_changed(&mut self, event: &EventRef) -> Result<(), Refused> {
        self.refusal().map_or(Ok(()), Err)?;
        let batch = self.core.retry_when_changed(event);
        let batch = batch.unwrap_or_else(|error| self.place.fail(&error))?;
        self.place.write(&batch).unwrap_or_else(|error| self.place.fail(&error));
        // What refused it may have changed already.
        let done = self.retry();
        self.show_if(done);
        Ok(())
    }

    /// Sends again what waits for a change that has come. Says whether there was any. With the disk full it waits on.
    pub(super) fn retry(&mut self) -> Result<bool, EngineError> {
        if !self.core.waits_for_changes() || self.refusal().is_some() {
            return Ok(false);
        }
        let group = self.core.retry(self.outside.now_ms())?;
        Ok(group.map(|group| self.write_own(group)).transpose()?.is_some())
    }

    /// While this node judges, its head is to be proved also after a power cut.
    pub(super) fn sync_while_it_judges(&self) -> Result<(), EngineError> {
        let (keeper, workspace, judges) = (&self.place.keeper, self.core.workspace(), self.core.judges());
        if keeper.syncs_at_once(workspace) == judges {
            return Ok(());
        }
        let said = keeper.sync_at_once(workspace, judges);
        said.map_err(|source| EngineError::Io { path: "HEAD".into(), source })
    }

    /// What this node wrote comes back to it from others: its disk is older than what it once sent, so that its chains may
    /// go on elsewhere. It never writes them again.
    pub(super) fn begin_afresh(&mut self) -> Result<(), EngineError> {
        let pair = u32::from_le_bytes(self.outside.random()) & !1;
        tracing::warn!("this node's own events came back from others: it begins new chains");
        let workspace = self.core.workspace();
        let said = self.place.keeper.set(workspace, |head| Some(WorkspaceHead { pair, synced: false, ..head }));
        said.map_err(|source| EngineError::Io { path: "HEAD".into(), source })?;
        self.core.begin_pair(pair);
        Ok(())
    }
}
