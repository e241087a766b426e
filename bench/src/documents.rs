//! Documents in memory that merge, as the benches use them: a map of cities, each a map of what is known of it.

use crate::city::City;
use automerge::{AutoCommit, ObjId, ObjType, ROOT, ReadDoc, transaction::Transactable};
use loro::{ExportMode, LoroDoc, LoroMap, VersionVector};

/// Such a document.
pub trait Document: Sized {
    /// With these cities.
    fn new(cities: impl Iterator<Item = City>) -> Self;

    /// A copy for another author.
    fn fork(&mut self, author: u64) -> Self;

    /// Gives cities, by number, new names, so many in a change; gives the bytes that another replica needs of that.
    fn edit(&mut self, names: &[(usize, String)], edits_per_change: usize) -> Vec<u8>;

    /// Takes in what another replica did.
    fn take(&mut self, changes: &[u8]);

    /// Takes in everything of another.
    fn merge(&mut self, other: Self);

    /// All names.
    fn names(&mut self) -> Vec<String>;
}

/// By the crate `automerge`.
pub struct Automerge {
    document: AutoCommit,
    cities: Vec<ObjId>,
}

impl Document for Automerge {
    fn new(cities: impl Iterator<Item = City>) -> Self {
        let mut document = AutoCommit::new();
        let cities = cities.enumerate().map(|(number, city)| {
            let id = document.put_object(ROOT, number.to_string(), ObjType::Map).expect("a map takes a map");
            let City { geonameid, name, latitude, longitude, country, admin1, population, timezone } = city;
            for (key, text) in [("name", name), ("country", country), ("admin1", admin1), ("timezone", timezone)] {
                document.put(&id, key, text).expect("a map takes a text");
            }
            for (key, number) in [("geonameid", geonameid), ("population", population)] {
                document.put(&id, key, number).expect("a map takes a number");
            }
            for (key, degrees) in [("latitude", latitude), ("longitude", longitude)] {
                document.put(&id, key, degrees).expect("a map takes a number");
            }
            id
        });
        let cities = cities.collect();
        document.commit();
        Self { document, cities }
    }

    fn fork(&mut self, _: u64) -> Self {
        Self { document: self.document.fork(), cities: self.cities.clone() }
    }

    fn edit(&mut self, names: &[(usize, String)], edits_per_change: usize) -> Vec<u8> {
        let before = self.document.get_heads();
        for change in names.chunks(edits_per_change) {
            for (number, name) in change {
                self.document.put(&self.cities[*number], "name", name.as_str()).expect("a map takes a text");
            }
            self.document.commit();
        }
        self.document.save_after(&before)
    }

    fn take(&mut self, changes: &[u8]) {
        self.document.load_incremental(changes).expect("changes of another replica");
    }

    fn merge(&mut self, mut other: Self) {
        self.document.merge(&mut other.document).expect("a fork of the same document");
    }

    fn names(&mut self) -> Vec<String> {
        let name = |city| self.document.get(city, "name").expect("a map can be read").expect("a name").0;
        self.cities.iter().map(|city| name(city).into_string().expect("a text")).collect()
    }
}

/// By the crate `loro`.
pub struct Loro {
    document: LoroDoc,
    cities: Vec<LoroMap>,
}

const CITIES: &str = "cities";

impl Loro {
    fn of(document: LoroDoc, count: usize) -> Self {
        let all = document.get_map(CITIES);
        let city = |number: usize| {
            let found = all.get(&number.to_string()).and_then(|value| value.into_container().ok());
            found.and_then(|container| container.into_map().ok()).expect("a map of this city")
        };
        let cities = (0..count).map(city).collect();
        Self { document, cities }
    }
}

impl Document for Loro {
    fn new(cities: impl Iterator<Item = City>) -> Self {
        let document = LoroDoc::new();
        let all = document.get_map(CITIES);
        let mut count = 0;
        for city in cities {
            let map = all.insert_container(&count.to_string(), LoroMap::new()).expect("a map takes a map");
            let City { geonameid, name, latitude, longitude, country, admin1, population, timezone } = city;
            for (key, text) in [("name", name), ("country", country), ("admin1", admin1), ("timezone", timezone)] {
                map.insert(key, text).expect("a map takes a text");
            }
            for (key, number) in [("geonameid", geonameid), ("population", population)] {
                map.insert(key, number).expect("a map takes a number");
            }
            for (key, degrees) in [("latitude", latitude), ("longitude", longitude)] {
                map.insert(key, degrees).expect("a map takes a number");
            }
            count += 1;
        }
        document.commit();
        Self::of(document, count)
    }

    fn fork(&mut self, author: u64) -> Self {
        let document = self.document.fork();
        document.set_peer_id(author).expect("a number for an author");
        Self::of(document, self.cities.len())
    }

    fn edit(&mut self, names: &[(usize, String)], edits_per_change: usize) -> Vec<u8> {
        let before: VersionVector = self.document.oplog_vv();
        for change in names.chunks(edits_per_change) {
            for (number, name) in change {
                self.cities[*number].insert("name", name.as_str()).expect("a map takes a text");
            }
            self.document.commit();
        }
        self.document.export(ExportMode::updates(&before)).expect("changes can be exported")
    }

    fn take(&mut self, changes: &[u8]) {
        self.document.import(changes).expect("changes of another replica");
    }

    fn merge(&mut self, other: Self) {
        let changes = other.document.export(ExportMode::all_updates()).expect("changes can be exported");
        self.take(&changes);
    }

    fn names(&mut self) -> Vec<String> {
        let name = |city: &LoroMap| city.get("name").and_then(|value| value.into_value().ok());
        let text = |value: loro::LoroValue| value.into_string().expect("a text").to_string();
        self.cities.iter().map(|city| text(name(city).expect("a name"))).collect()
    }
}
