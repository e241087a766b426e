//! The references without a database: a file that is synced, and fjall alone.

use crate::machine::write_synced;
use fjall::Database;
use std::{fs::File, path::Path};

/// Writes `pieces` pieces of `bytes` bytes to a new file, each synced before the next.
pub fn append_synced(path: &Path, pieces: usize, bytes: usize) {
    let mut file = File::create(path).expect("a file can be made");
    let piece = vec![7; bytes];
    for _ in 0..pieces {
        write_synced(&mut file, &piece);
    }
}

/// Opens the tables in `folder` and reads the first entry of each.
pub fn open_tables(folder: &Path, cache_bytes: u64) -> Database {
    let database = Database::builder(folder).cache_size(cache_bytes).open().expect("tables can be opened");
    let names = database.list_keyspace_names();
    assert!(!names.is_empty(), "tables in {}", folder.display());
    for name in names {
        let table = database.keyspace(&name, Default::default).expect("a table can be opened");
        let first = table.iter().next().map(fjall::Guard::into_inner);
        assert!(first.is_none_or(|entry| entry.is_ok()), "{name} can be read");
    }
    database
}
