//! Numbers that look random and are not: each is told by the seed, the kind and the place of what it is for.

/// A stream of numbers for one thing.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The stream of the thing at a place of a kind.
    pub fn new(seed: u64, kind: u64, index: u64) -> Self {
        let mut random = Self { state: seed };
        for part in [kind, index] {
            random.state = random.next() ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        random
    }

    /// Steele, Lea and Flood's `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias is below what anybody could see: bounds are small.
        self.next() % bound.max(1)
    }

    /// A number below a bound, small ones much more often.
    pub(super) fn skewed(&mut self, bound: u64) -> u64 {
        let (one, other) = (self.below(bound), self.below(bound));
        one.min(other)
    }

    /// A number from 0 to 1, without 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// One of some words.
    pub(super) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let index = self.below(words.len() as u64) as usize;
        words.get(index).copied().unwrap_or_default()
    }

    /// One of some words, the first ones much more often.
    pub(super) fn pick_skewed<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let index = self.skewed(words.len() as u64) as usize;
        words.get(index).copied().unwrap_or_default()
    }
}
