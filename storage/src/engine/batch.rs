//! Writes that become visible and durable together.

use std::collections::BTreeMap;

use super::{Bytes, KEY_BYTES_MAX, Key, Table};

/// Puts and deletes over all tables, at most one for a key: the later replaces the earlier.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Batch {
    /// By table, in the order of [`Table::ALL`]; `None` deletes.
    tables: [BTreeMap<Key, Option<Bytes>>; Table::ALL.len()],
}

impl Batch {
    /// Sets the value of `key`.
    ///
    /// # Panics
    /// If the key is empty or longer than [`KEY_BYTES_MAX`].
    pub fn put(&mut self, table: Table, key: impl Into<Key>, value: impl Into<Bytes>) {
        self.set(table, key.into(), Some(value.into()));
    }

    /// Removes `key`, whether it exists or not.
    ///
    /// # Panics
    /// If the key is empty or longer than [`KEY_BYTES_MAX`].
    pub fn delete(&mut self, table: Table, key: impl Into<Key>) {
        self.set(table, key.into(), None);
    }

    /// Takes a put of `key` out, if there is one.
    pub(super) fn retract(&mut self, table: Table, key: &[u8]) -> bool {
        let writes = &mut self.tables[table as usize];
        let is_put = writes.get(key).is_some_and(Option::is_some);
        if is_put {
            writes.remove(key);
        }
        is_put
    }

    fn set(&mut self, table: Table, key: Key, value: Option<Bytes>) {
        check_key(&key);
        self.tables[table as usize].insert(key, value);
    }

    /// Adds the writes of another batch, which come after its own.
    pub fn extend(&mut self, later: Self) {
        for (own, later) in self.tables.iter_mut().zip(later.tables) {
            own.extend(later);
        }
    }

    /// How many keys it writes.
    pub fn len(&self) -> usize {
        self.tables.iter().map(BTreeMap::len).sum()
    }

    /// Whether it writes nothing.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(BTreeMap::is_empty)
    }

    /// Its writes by table and key, ascending; `None` is a delete.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &Key, Option<&Bytes>)> {
        Table::ALL
            .into_iter()
            .zip(&self.tables)
            .flat_map(|(table, writes)| writes.iter().map(move |(key, value)| (table, key, value.as_ref())))
    }

    /// The writes to one table, ascending; `None` is a delete.
    pub fn writes(&self, table: Table) -> impl Iterator<Item = (&Key, Option<&Bytes>)> {
        self.table(table).iter().map(|(key, value)| (key, value.as_ref()))
    }

    /// The writes to one table.
    pub(super) fn table(&self, table: Table) -> &BTreeMap<Key, Option<Bytes>> {
        &self.tables[table as usize]
    }
}

/// Asserts what every engine demands of a key. Keys are built by us, so a bad one is a bug.
pub(super) fn check_key(key: &[u8]) {
    assert!(
        !key.is_empty() && key.len() <= KEY_BYTES_MAX,
        "a key has 1 to {KEY_BYTES_MAX} bytes, this one {}",
        key.len()
    );
}

#[cfg(test)]
mod tests {
    use super::{super::conformance::Write, *};

    #[test]
    fn the_last_write_of_a_key_counts() {
        let mut batch = Batch::default();
        batch.put(Table::Log, b"k", b"1");
        batch.put(Table::Meta, b"k", b"2");
        batch.delete(Table::Log, b"k");
        batch.delete(Table::Meta, b"a");
        batch.put(Table::Meta, b"a", b"3");
        let writes: Vec<_> = batch.iter().map(|(table, key, value)| (table, &key[..], value.map(|v| &v[..]))).collect();
        let expect: [Write<'_>; 3] =
            [(Table::Meta, b"a", Some(b"3")), (Table::Meta, b"k", Some(b"2")), (Table::Log, b"k", None)];
        assert_eq!(writes, expect);
        assert_eq!(batch.len(), 3);
        assert!(!batch.is_empty());
    }

    #[test]
    #[should_panic(expected = "a key has 1 to 1024 bytes, this one 1025")]
    fn long_keys_are_a_bug() {
        Batch::default().delete(Table::Log, [0; KEY_BYTES_MAX + 1]);
    }

    #[test]
    #[should_panic(expected = "a key has 1 to 1024 bytes, this one 0")]
    fn empty_keys_are_a_bug() {
        Batch::default().put(Table::Log, [], b"v");
    }
}
