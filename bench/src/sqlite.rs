//! The reference: SQLite with the same columns and indexes, as durable as we are, in one file.
//!
//! The record id is a 16-byte key that the application chooses, as whoever exchanges rows with others needs it.

use crate::city::City;
use rusqlite::{Connection, OptionalExtension, Row, params, types::Value};
use std::{path::Path, time::Duration};

/// One page of `page covering`.
const PAGE_COVERING: &str =
    "SELECT id, name, country, population FROM cities WHERE name >= ?1 ORDER BY name, id LIMIT ?2";
/// One page of `page fetching`.
const PAGE_FETCHING: &str = "SELECT geonameid, name, latitude, longitude, country, admin1, population, timezone \
     FROM cities WHERE name >= ?1 ORDER BY name, id LIMIT ?2";
/// One page of `page filtered`.
const PAGE_FILTERED: &str = "SELECT geonameid, name, latitude, longitude, country, admin1, population, timezone \
     FROM cities WHERE country = ?1 AND timezone = ?2 ORDER BY id LIMIT ?3";
const READ: &str = "SELECT geonameid, name, latitude, longitude, country, admin1, population, timezone \
     FROM cities WHERE id = ?1";
const INSERT: &str = "INSERT INTO cities VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
/// As many as ours makes durable together at most.
const EDITS_PER_GROUP: usize = 256;
/// The columns that the first index holds are those of a page of `page covering`. All end with the id, as ours do, so
/// that pages have one order.
const SCHEMA: &str = "
    CREATE TABLE cities (
        id BLOB NOT NULL PRIMARY KEY, geonameid INTEGER, name TEXT, latitude REAL, longitude REAL, country TEXT,
        admin1 TEXT, population INTEGER, timezone TEXT
    );
    CREATE INDEX by_name ON cities (name, id, country, population);
    CREATE INDEX by_country ON cities (country, id);
    CREATE INDEX by_population ON cities (population, id);";
/// Those that say how it stores.
const PRAGMAS: [&str; 6] =
    ["journal_mode", "synchronous", "cache_size", "page_size", "mmap_size", "wal_autocheckpoint"];

/// An open database.
pub struct Sqlite(Connection);

impl Sqlite {
    /// Opens the database in `folder`, which is made with its tables if there is none.
    pub fn open(folder: &Path, cache_bytes: u64) -> Self {
        let connection = Connection::open(folder.join("cities.db")).expect("a database can be opened");
        let kib = cache_bytes / 1024;
        let pragmas = format!("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-{kib};");
        connection.execute_batch(&pragmas).expect("pragmas");
        let has_tables = connection.table_exists(None, "cities").expect("a database can be read");
        if !has_tables {
            connection.execute_batch(SCHEMA).expect("tables can be made");
        }
        Self(connection)
    }

    /// Stores rows, and their ids, `commit_rows` in one transaction.
    pub fn import(&mut self, rows: impl Iterator<Item = ([u8; 16], City)>, commit_rows: usize) -> usize {
        let (mut stored, mut rows) = (0, rows.peekable());
        while rows.peek().is_some() {
            let transaction = self.0.transaction().expect("a transaction can be begun");
            {
                let mut insert = transaction.prepare_cached(INSERT).expect("a statement");
                for (id, city) in rows.by_ref().take(commit_rows) {
                    let City { geonameid, name, latitude, longitude, country, admin1, population, timezone } = city;
                    insert
                        .execute(params![
                            id, geonameid, name, latitude, longitude, country, admin1, population, timezone
                        ])
                        .expect("a row can be stored");
                    stored += 1;
                }
            }
            transaction.commit().expect("a transaction can be committed");
        }
        stored
    }

    /// One row.
    pub fn read(&self, id: &[u8; 16]) -> Option<City> {
        let mut read = self.0.prepare_cached(READ).expect("a statement");
        read.query_row([id], city).optional().expect("a row can be read")
    }

    /// The first `rows` by name from `name` on: ids, names, countries and populations, from the index alone.
    pub fn page_covering(&self, name: &str, rows: u32) -> Vec<([u8; 16], String, String, i64)> {
        let mut page = self.0.prepare_cached(PAGE_COVERING).expect("a statement");
        let of_row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        page.query_map(params![name, rows], of_row).expect("a page").collect::<Result<_, _>>().expect("rows")
    }

    /// The same with all columns.
    pub fn page_fetching(&self, name: &str, rows: u32) -> Vec<City> {
        let mut page = self.0.prepare_cached(PAGE_FETCHING).expect("a statement");
        page.query_map(params![name, rows], city).expect("a page").collect::<Result<_, _>>().expect("rows")
    }

    /// The first `rows` of a country, by id, that are in a time zone.
    pub fn page_filtered(&self, country: &str, timezone: &str, rows: u32) -> Vec<City> {
        let mut page = self.0.prepare_cached(PAGE_FILTERED).expect("a statement");
        let found = page.query_map(params![country, timezone, rows], city).expect("a page");
        found.collect::<Result<_, _>>().expect("rows")
    }

    /// Gives one row a name, in a transaction of its own.
    pub fn edit(&self, id: &[u8; 16], name: &str) {
        let mut edit = self.0.prepare_cached("UPDATE cities SET name = ?2 WHERE id = ?1").expect("a statement");
        assert_eq!(edit.execute(params![id, name]).expect("a row can be changed"), 1);
    }

    /// The same for many names, in transactions of 256.
    pub fn edit_grouped(&self, id: &[u8; 16], names: &mut dyn Iterator<Item = String>) {
        let mut names = names.peekable();
        while names.peek().is_some() {
            let transaction = self.0.unchecked_transaction().expect("a transaction can be begun");
            names.by_ref().take(EDITS_PER_GROUP).for_each(|name| self.edit(id, &name));
            transaction.commit().expect("a transaction can be committed");
        }
    }

    /// Adds a column with an index; gives how long that takes.
    pub fn new_index(&self) -> Duration {
        let add = "ALTER TABLE cities ADD COLUMN grade INTEGER DEFAULT 1; CREATE INDEX by_grade ON cities (grade, id);";
        crate::clock::time(|| self.0.execute_batch(add).expect("a column can be added")).0
    }

    /// Makes a column of texts one of numbers, with an index; gives how long that takes.
    pub fn text_to_number(&self) -> Duration {
        let change = "BEGIN; UPDATE cities SET admin1 = CAST(NULLIF(admin1, '') AS INTEGER);
            CREATE INDEX by_admin1 ON cities (admin1, id); COMMIT;";
        crate::clock::time(|| self.0.execute_batch(change).expect("a column can be changed")).0
    }

    /// Writes everything into the one file and closes it.
    pub fn close(self) {
        self.0.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
        self.0.close().expect("a database can be closed");
    }

    /// How it stores, for who reads the figures.
    pub fn facts(folder: &Path, cache_bytes: u64) -> String {
        let database = Self::open(folder, cache_bytes);
        let pragma = |name: &str| {
            let value: Value = database.0.pragma_query_value(None, name, |row| row.get(0)).expect("a pragma");
            match value {
                Value::Integer(number) => format!("{name}={number}"),
                Value::Text(text) => format!("{name}={text}"),
                other => format!("{name}={other:?}"),
            }
        };
        format!("SQLite {}: {}", rusqlite::version(), PRAGMAS.map(pragma).join(" "))
    }
}

fn city(row: &Row<'_>) -> rusqlite::Result<City> {
    Ok(City {
        geonameid: row.get(0)?,
        name: row.get(1)?,
        latitude: row.get(2)?,
        longitude: row.get(3)?,
        country: row.get(4)?,
        admin1: row.get(5)?,
        population: row.get(6)?,
        timezone: row.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a statement reads, in SQLite's words.
    fn plan(database: &Sqlite, statement: &str) -> String {
        let mut plan = database.0.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).expect("a plan");
        let count = plan.parameter_count();
        let rows = plan.query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get::<_, String>(3));
        rows.expect("a plan").collect::<Result<Vec<_>, _>>().expect("a plan").join("; ")
    }

    #[test]
    fn the_reference_uses_its_indexes() {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Sqlite::open(folder.path(), 1 << 20);
        let check = |statement, expect| assert_eq!(plan(&database, statement), expect);
        check(READ, "SEARCH cities USING INDEX sqlite_autoindex_cities_1 (id=?)");
        check(PAGE_COVERING, "SEARCH cities USING COVERING INDEX by_name (name>?)");
        check(PAGE_FETCHING, "SEARCH cities USING INDEX by_name (name>?)");
        check(PAGE_FILTERED, "SEARCH cities USING INDEX by_country (country=?)");
    }

    #[test]
    fn the_reference_is_as_durable_as_we_are() {
        let folder = tempfile::tempdir().expect("a folder");
        let facts = Sqlite::facts(folder.path(), 64 << 20);
        assert!(facts.contains("journal_mode=wal synchronous=2 cache_size=-65536"), "{facts}");
    }

    #[test]
    fn rows_come_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut database = Sqlite::open(folder.path(), 1 << 20);
        let rows = (0..100).map(|number| (crate::city::id(number), City::made_up(number)));
        assert_eq!(database.import(rows, 7), 100);
        assert_eq!(database.read(&crate::city::id(99)), Some(City::made_up(99)));
        assert_eq!(database.page_covering("", 10).len(), 10);
    }
}
