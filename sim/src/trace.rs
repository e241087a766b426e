//! What happened, line by line, and how often each thing did.

use std::collections::BTreeMap;

/// The history of one run. Its hash tells whether two runs are the same.
#[derive(Debug, Default)]
pub struct Trace {
    hasher: blake3::Hasher,
    /// Fixed-width: time in microseconds, node, what, details.
    pub lines: Vec<String>,
    /// How often each named mark was hit.
    pub marks: Marks,
}

/// Counts by name.
pub type Marks = BTreeMap<&'static str, u64>;

impl Trace {
    /// Adds a line.
    pub fn line(&mut self, at_us: u64, node: usize, what: &str, details: &str) {
        let line = format!("{at_us:>12} n{node} {what:<14} {details}").trim_end().to_owned();
        self.hasher.update(line.as_bytes()).update(b"\n");
        self.lines.push(line);
    }

    /// Counts a mark.
    pub fn mark(&mut self, name: &'static str) {
        *self.marks.entry(name).or_default() += 1;
    }

    /// How often a mark was hit.
    pub fn count(&self, name: &str) -> u64 {
        self.marks.get(name).copied().unwrap_or_default()
    }

    /// The hash of all lines.
    pub fn hash(&self) -> [u8; 32] {
        *self.hasher.finalize().as_bytes()
    }
}

/// The first digits of a hash.
pub fn short(hash: &[u8; 32]) -> String {
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
