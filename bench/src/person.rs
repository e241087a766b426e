//! Tasks of people, as a server writes them: made up, always the same ones.

use crate::city::Chance;

/// People that tasks belong to.
pub const PEOPLE: usize = 1_000;

/// One task: its title, and three strings that say several things.
#[derive(Debug, Clone)]
pub struct Row {
    /// Who does it, by their row number.
    pub owner: usize,
    strings: [String; 4],
}

impl Row {
    /// Task `number`.
    pub fn made_up(number: usize) -> Self {
        let mut chance = Chance(!(number as u64));
        let owner = chance.below(PEOPLE);
        let (whole, cents) = (chance.below(5_000), chance.below(100));
        let currency = ["EUR", "USD", "GBP"][chance.below(3)];
        let strings = [
            format!("Task {number} of {}", chance.below(100)),
            format!("{owner};#person.{owner}@example.org"),
            format!("{whole}.{cents:02} {currency}"),
            format!("https://example.org/pages/{}, Page {}", chance.below(100_000), chance.below(1_000)),
        ];
        Self { owner, strings }
    }

    /// What its columns say.
    pub fn strings(&self) -> impl Iterator<Item = &String> {
        self.strings.iter()
    }

    /// What the person with this number is called.
    pub fn name(number: usize) -> String {
        format!("Person {}", number % (PEOPLE / 2))
    }
}
