//! The rows that are measured with: populated places, from a file or made up, always the same ones.

use serde::Deserialize;
use std::{fs::File, io::BufWriter, path::Path};

/// Rows of a made-up file, as many as the real one has.
pub const ROWS_OF_FILE: usize = 234_908;

/// One row.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct City {
    /// Number in its source.
    pub geonameid: i64,
    /// In many scripts.
    pub name: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// Two letters.
    pub country: String,
    /// A code inside the country, often empty.
    pub admin1: String,
    /// People.
    pub population: i64,
    /// An IANA name.
    pub timezone: String,
}

/// The id of row `number`: the same on both sides, and in no order.
pub fn id(number: usize) -> [u8; 16] {
    let mut chance = Chance(number as u64);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&chance.next().to_be_bytes());
    id[8..].copy_from_slice(&chance.next().to_be_bytes());
    id
}

/// The rows of a CSV file with a header line.
pub fn read(file: &Path) -> impl Iterator<Item = City> {
    let reader = csv::Reader::from_path(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    reader.into_deserialize().map(|row| row.expect("a row of a city"))
}

/// Writes `rows` made-up rows as such a file.
pub fn write(file: &Path, rows: usize) {
    let mut writer = csv::Writer::from_writer(BufWriter::new(File::create(file).expect("a file can be made")));
    let header = ["geonameid", "name", "latitude", "longitude", "country", "admin1", "population", "timezone"];
    writer.write_record(header).expect("a file can be written");
    for number in 0..rows {
        let City { geonameid, name, latitude, longitude, country, admin1, population, timezone } =
            City::made_up(number);
        let numbers = [geonameid.to_string(), latitude.to_string(), longitude.to_string(), population.to_string()];
        let [geonameid, latitude, longitude, population] = numbers;
        writer
            .write_record([geonameid, name, latitude, longitude, country, admin1, population, timezone])
            .expect("a file can be written");
    }
    writer.flush().expect("a file can be written");
}

impl City {
    /// Row `number` of the made-up ones: lengths, repeats and scripts about as in the real file.
    pub fn made_up(number: usize) -> Self {
        let mut chance = Chance(!(number as u64));
        let country = country(&mut chance);
        // Small places are many, large ones few.
        let population = 500 + 20_000_000 / (1 + chance.below(40_000)) as i64;
        Self {
            geonameid: 12 + 7 * number as i64,
            name: name(&mut chance),
            latitude: degrees(&mut chance, 90),
            longitude: degrees(&mut chance, 180),
            admin1: if chance.below(10) == 0 { String::new() } else { format!("{:02}", chance.below(40)) },
            timezone: chance.of(&ZONES).to_string(),
            country,
            population,
        }
    }
}

fn country(chance: &mut Chance) -> String {
    // The lesser of two draws: some countries have many places.
    let at = chance.below(240).min(chance.below(240));
    String::from_utf8(vec![b'A' + (at / 16) as u8, b'A' + (at % 16) as u8]).expect("letters")
}

fn name(chance: &mut Chance) -> String {
    let mut name = String::new();
    for word in 0..1 + chance.below(2) {
        if word > 0 {
            name.push(' ');
        }
        name.push_str(chance.of(&STARTS));
        for _ in 0..1 + chance.below(3) {
            name.push_str(chance.of(&SYLLABLES));
        }
    }
    name
}

fn degrees(chance: &mut Chance, most: usize) -> f64 {
    chance.below(most * 200_000) as f64 / 100_000.0 - most as f64
}

/// A fixed sequence of numbers without a pattern (SplitMix64).
pub struct Chance(pub u64);

impl Chance {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

const STARTS: [&str; 28] = [
    "Al", "Bar", "Ber", "Cal", "Dar", "El", "Fu", "Gor", "Hà", "Ily", "Jö", "Ka", "La", "Mar", "Nov", "Öst", "Pra",
    "Qal", "Rī", "San", "Ta", "Ul", "Vá", "Wes", "Xi", "Yu", "Zār", "Ş",
];
const SYLLABLES: [&str; 28] = [
    "ab", "an", "ār", "bad", "burg", "dal", "eh", "eş", "field", "gar", "hei", "ing", "ka", "lo", "mir", "na", "ovo",
    "pur", "qa", "ro", "sk", "ton", "u", "ville", "wang", "ya", "zhou", "ñe",
];
const ZONES: [&str; 12] = [
    "Africa/Lagos",
    "America/Bogota",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tehran",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Moscow",
    "Europe/Paris",
    "Pacific/Auckland",
];
