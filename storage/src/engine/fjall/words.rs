//! The words that packed rows name by numbers ([`super::packed`]), in a keyspace of their own: number to word.
//!
//! A word is on the disk before the first row that names it by its number, and in a table's file: a flush may bring the row
//! there before its journal, and a broken journal is cut. Words are never taken back; there are so few that all are in
//! memory, and once there are many, further ones get no numbers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, Readable};

/// The id of a field, or half of a device's.
pub(super) type Word = [u8; 16];

/// The name of the keyspace on disk. Part of the format: never changes.
const NAME: &str = "words";

/// Fields and devices of a large node. Each may take a file's sync; what a stranger makes up beyond takes more space, and
/// nothing else.
const WORDS_MAX: usize = 4096;

/// All words that have numbers, at some time.
#[derive(Debug, Default, Clone)]
pub(super) struct Words {
    list: Vec<Word>,
    numbers: BTreeMap<Word, u32>,
}

impl Words {
    /// The number of a word.
    pub(super) fn number(&self, word: &Word) -> Option<u32> {
        self.numbers.get(word).copied()
    }

    /// The word of a number.
    pub(super) fn word(&self, number: u64) -> Option<&Word> {
        self.list.get(usize::try_from(number).ok()?)
    }

    /// Whether further ones get numbers.
    pub(super) fn takes_more(&self) -> bool {
        self.list.len() < WORDS_MAX
    }

    fn add(&mut self, word: Word) -> Option<u32> {
        if !self.takes_more() || self.numbers.contains_key(&word) {
            return None;
        }
        let number = self.list.len() as u32;
        self.list.push(word);
        self.numbers.insert(word, number);
        Some(number)
    }

    #[cfg(test)]
    pub(super) fn of(words: impl IntoIterator<Item = Word>) -> Self {
        let mut own = Self::default();
        for word in words {
            own.add(word).expect("a new word");
        }
        own
    }
}

/// The words of a database.
pub(super) struct Dictionary {
    keyspace: Keyspace,
    words: RwLock<Arc<Words>>,
    adding: Mutex<()>,
}

impl Dictionary {
    /// Reads all of them.
    pub(super) fn open(database: &Database) -> Result<Self, fjall::Error> {
        let keyspace = database.keyspace(NAME, KeyspaceCreateOptions::default)?;
        let mut words = Words::default();
        for row in database.snapshot().iter(&keyspace) {
            let (number, word) = row.into_inner()?;
            // A gap would give numbers anew that rows have: what is behind it is unknown, and said so where it is read.
            let is_next = number[..] == (words.list.len() as u32).to_be_bytes();
            match Word::try_from(&word[..]) {
                Ok(word) if is_next && words.add(word).is_some() => {}
                _damaged => return Err(fjall::Error::Io(std::io::ErrorKind::InvalidData.into())),
            }
        }
        Ok(Self { keyspace, words: RwLock::new(Arc::new(words)), adding: Mutex::new(()) })
    }

    #[cfg(test)]
    pub(super) fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    /// Those there are now: at least all that the rows name that can be read now.
    pub(super) fn words(&self) -> Arc<Words> {
        self.words.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives words numbers, as long as there are any. They are on the disk when this returns. Nothing is committed
    /// meanwhile.
    pub(super) fn add(&self, new: &[Word]) -> Result<Arc<Words>, fjall::Error> {
        let _one_at_a_time = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = (*self.words()).clone();
        let numbered: Vec<(u32, Word)> = new.iter().filter_map(|word| Some((words.add(*word)?, *word))).collect();
        if !numbered.is_empty() {
            let mut ingestion = self.keyspace.start_ingestion()?;
            for (number, word) in numbered {
                ingestion.write(number.to_be_bytes(), word)?;
            }
            ingestion.finish()?;
        }
        let words = Arc::new(words);
        *self.words.write().unwrap_or_else(PoisonError::into_inner) = words.clone();
        Ok(words)
    }
}
