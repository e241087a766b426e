//! Chance that can be repeated, as far as what is done goes: when it happens is up to the machine.

/// Numbers that depend on the seed, and on how many were drawn before.
pub struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    pub fn of(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A number less than `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        let both = [self.seed.to_le_bytes(), self.drawn.to_le_bytes()].concat();
        self.drawn += 1;
        let number = u64::from_le_bytes(*blake3::hash(&both).as_bytes().first_chunk().expect("32 bytes"));
        (number % bound as u64) as usize
    }

    /// All numbers less than `count`, in any order.
    pub fn order(&mut self, count: usize) -> Vec<usize> {
        let mut left: Vec<usize> = (0..count).collect();
        (0..count).map(|_| left.remove(self.below(left.len()))).collect()
    }
}
