//! Pending writes over a reader.

use std::{cmp::Ordering, iter::Peekable, sync::Arc};

use super::{Batch, Bytes, EngineError, Key, RangeIter, Read, Slice, Table, bounds};

/// Reads what `base` would hold if the pending writes were committed to it.
///
/// Folds run against it, event after event, and the whole group is committed as one batch. A clone has the
/// same base and its own copy of the pending writes: a trial that may be thrown away.
#[derive(Debug)]
pub struct Overlay<'a, R: Read + ?Sized> {
    base: &'a R,
    pending: Arc<Batch>,
}

impl<'a, R: Read + ?Sized> Overlay<'a, R> {
    /// Nothing pending over `base`.
    pub fn new(base: &'a R) -> Self {
        Self::with(base, Arc::default())
    }

    /// These writes pending over `base`, of which some or all may be in it already.
    pub fn with(base: &'a R, pending: Arc<Batch>) -> Self {
        Self { base, pending }
    }

    /// Sets the value of `key`. Panics as [`Batch::put`] does.
    pub fn put(&mut self, table: Table, key: impl Into<Key>, value: impl Into<Bytes>) {
        Arc::make_mut(&mut self.pending).put(table, key, value);
    }

    /// Removes `key`, whether it exists or not. Panics as [`Batch::delete`] does.
    pub fn delete(&mut self, table: Table, key: impl Into<Key>) {
        Arc::make_mut(&mut self.pending).delete(table, key);
    }

    /// Removes a key that is only ever put once: where the put is still pending, `base` does not have it, and nothing is
    /// written at all.
    pub fn delete_put_once(&mut self, table: Table, key: impl Into<Key>) {
        let (key, pending) = (key.into(), Arc::make_mut(&mut self.pending));
        if !pending.retract(table, &key) {
            pending.delete(table, key);
        }
    }

    /// Whether a key is written or removed by what is pending.
    pub fn is_pending(&self, table: Table, key: &[u8]) -> bool {
        self.pending.table(table).contains_key(key)
    }

    /// The pending writes.
    pub fn pending(&self) -> &Batch {
        &self.pending
    }

    /// The pending writes, to be committed.
    pub fn into_batch(self) -> Batch {
        Arc::unwrap_or_clone(self.pending)
    }
}

impl<R: Read + ?Sized> Clone for Overlay<'_, R> {
    fn clone(&self) -> Self {
        Self { base: self.base, pending: self.pending.clone() }
    }
}

impl<R: Read + ?Sized> Read for Overlay<'_, R> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Slice>, EngineError> {
        match self.pending.table(table).get(key) {
            Some(written) => Ok(written.as_ref().map(Slice::from)),
            None => self.base.get(table, key),
        }
    }

    fn range<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        let Some(bounds) = bounds(from, to) else { return Box::new(std::iter::empty()) };
        let pending = self.pending.table(table);
        let base = self.base.range(table, from, to);
        if pending.is_empty() {
            return base;
        }
        Box::new(Merged::new(base, pending.range::<[u8], _>(bounds), <[u8]>::cmp))
    }

    fn range_rev<'a>(&'a self, table: Table, from: &[u8], to: Option<&[u8]>) -> RangeIter<'a> {
        let Some(bounds) = bounds(from, to) else { return Box::new(std::iter::empty()) };
        let pending = self.pending.table(table);
        let base = self.base.range_rev(table, from, to);
        if pending.is_empty() {
            return base;
        }
        Box::new(Merged::new(base, pending.range::<[u8], _>(bounds).rev(), |a, b| b.cmp(a)))
    }
}

/// Two sequences in the same order made one; where both have a key, the pending write counts.
struct Merged<'a, P: Iterator> {
    base: Peekable<RangeIter<'a>>,
    pending: Peekable<P>,
    /// Orders keys as both sequences do.
    order: fn(&[u8], &[u8]) -> Ordering,
}

impl<'a, P: Iterator> Merged<'a, P> {
    fn new(base: RangeIter<'a>, pending: P, order: fn(&[u8], &[u8]) -> Ordering) -> Self {
        Self { base: base.peekable(), pending: pending.peekable(), order }
    }
}

impl<'a, P: Iterator<Item = (&'a Key, &'a Option<Bytes>)>> Iterator for Merged<'a, P> {
    type Item = Result<(Slice, Slice), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let base_to_pending = match (self.base.peek(), self.pending.peek()) {
                (Some(Ok((base, _))), Some((pending, _))) => (self.order)(base, pending),
                (Some(_), _) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            match base_to_pending {
                Ordering::Less => return self.base.next(),
                Ordering::Equal => drop(self.base.next()),
                Ordering::Greater => {}
            }
            let (key, written) = self.pending.next()?;
            if let Some(value) = written {
                return Some(Ok((key.into(), value.into())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Durability, Engine, MemoryEngine};

    #[test]
    fn what_was_put_once_and_is_pending_leaves_nothing_behind() {
        let engine = MemoryEngine::default();
        let mut stored = Batch::default();
        stored.put(Table::Events, b"stored", b"1");
        engine.commit(stored, Durability::Synced).unwrap();
        let mut rows = Overlay::new(&engine);
        rows.put(Table::Events, b"pending", b"2");
        rows.delete_put_once(Table::Events, b"pending");
        rows.delete_put_once(Table::Events, b"stored");
        let writes: Vec<_> = rows.pending().iter().map(|(_, key, value)| (key.as_slice(), value)).collect();
        assert_eq!(writes, [(&b"stored"[..], None)]);
    }
}
