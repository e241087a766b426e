//! Chance that can be repeated: a root seed, and one stream of numbers for each name.

/// Numbers that only depend on the root seed, the stream's name, and how many were drawn before (SplitMix64).
#[derive(Debug, Clone)]
pub struct Stream(u64);

/// How often something happens: so many times in so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio(pub u64, pub u64);

impl Stream {
    /// The stream called `name` of a seed.
    pub fn of(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(name.as_bytes());
        Self(u64::from_le_bytes(*hasher.finalize().as_bytes().first_chunk().expect("32 bytes")))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number less than `bound`, which is at least 1.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether it happens this time.
    pub fn happens(&mut self, Ratio(times, of): Ratio) -> bool {
        self.below(of) < times
    }

    /// One of several; nothing of none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.below(of.len() as u64) as usize) }
    }

    /// Bytes for ids and keys.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.number() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_seed_and_name() {
        let draw = |seed, name| Stream::of(seed, name).number();
        assert_eq!(draw(1, "disk"), draw(1, "disk"));
        assert_ne!(draw(1, "disk"), draw(2, "disk"));
        assert_ne!(draw(1, "disk"), draw(1, "clock"));
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut stream = Stream::of(7, "bound");
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[stream.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|count| (150..250).contains(count)), "{seen:?}");
        let hits = (0..1000).filter(|_| stream.happens(Ratio(1, 4))).count();
        assert!((200..300).contains(&hits), "{hits}");
    }
}
