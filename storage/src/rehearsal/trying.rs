//! What a store keeps of rehearsals: which records change while one goes on, and the indexes that stand ready.

use crate::{
    engine::{Batch, EngineError, Key, Read, Table},
    fold::{Design, incremental::Prefix},
    index::{
        Index,
        entry::{Before, follow},
    },
};
use std::{collections::BTreeSet, sync::Arc};

/// Keys of changed records that are kept; a rehearsal that falls behind by more is given up.
const TOUCHED_MAX: usize = 1_000_000;

/// See above.
#[derive(Default)]
pub(crate) struct Trying {
    touched: Option<BTreeSet<Key>>,
    ready: Option<(Arc<Design>, Vec<Index>)>,
    /// Numbers of indexes below this one are, or were, some rehearsal's.
    reserved: u32,
}

impl Trying {
    /// Begins one whose indexes have numbers below `reserved`.
    pub(crate) fn begin(&mut self, reserved: u32) {
        self.touched = Some(BTreeSet::new());
        self.reserved = self.reserved.max(reserved);
    }

    /// The least number that no rehearsal has used.
    pub(crate) fn reserved(&self) -> u32 {
        self.reserved
    }

    pub(crate) fn end(&mut self, ready: Option<(Arc<Design>, Vec<Index>)>) {
        self.touched = None;
        self.ready = ready;
    }

    /// The records that changed since it began, or since this was last asked; nothing where it was given up.
    pub(crate) fn take_touched(&mut self) -> Option<BTreeSet<Key>> {
        self.touched.as_mut().map(std::mem::take)
    }

    /// The indexes that stand ready.
    pub(crate) fn prepared(&self) -> &[Index] {
        self.ready.as_ref().map_or(&[], |(_, indexes)| indexes)
    }

    /// The design has changed: what became live is not followed here any more.
    pub(crate) fn settle(&mut self, live: &[Index]) {
        // What goes on was begun from another one.
        self.touched = None;
        if let Some((_, ready)) = &mut self.ready {
            ready.retain(|index| live.iter().all(|other| other.number != index.number));
        }
        self.ready = self.ready.take().filter(|(_, ready)| !ready.is_empty());
    }

    /// Takes note of a batch that changes records, and adds to it what it changes in the indexes that stand ready.
    pub(crate) fn follow<R: Read>(
        &mut self,
        batch: &mut Batch,
        base: (&R, &Before),
        generation: Prefix,
    ) -> Result<(), EngineError> {
        if let Some(touched) = &mut self.touched {
            touched.extend(batch.writes(Table::Records).map(|(key, _)| key.clone()));
            self.touched = self.touched.take().filter(|touched| touched.len() <= TOUCHED_MAX);
        }
        match &self.ready {
            Some((design, indexes)) => follow(batch, base, generation, indexes, design),
            None => Ok(()),
        }
    }
}
