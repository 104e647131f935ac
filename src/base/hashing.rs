//! Hash tables whose keys need no hashing: numbers that the relay assigns itself, and keys that
//! carry their hash. Each message takes dozens of lookups, and the standard hasher takes hundreds
//! of instructions for each.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::LazyLock;

/// A map whose keys hash to a single number that no outsider chooses; see [`Spread`].
pub type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<Spread>>;

/// A set of such keys.
pub type QuickSet<K> = HashSet<K, BuildHasherDefault<Spread>>;

/// Spreads numbers over a table. Whoever could choose the numbers could make them collide, so
/// this is only for counters of the relay, and for [`Carried`] hashes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, number: u64) {
        /// Odd, so that consecutive numbers never collide in the low bits, and without pattern, so
        /// that the high bits differ as well; a table uses both.
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        self.0 = (self.0 ^ number).wrapping_mul(FACTOR);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The hash of a key, which is computed once and cannot be predicted outside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Carried(u64);

impl Carried {
    /// The hash of the parts of a key.
    pub fn of(parts: &impl Hash) -> Self {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(SEED.hash_one(parts))
    }
}

impl Hash for Carried {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_numbers_differ_in_the_low_and_the_high_bits() {
        let spread = BuildHasherDefault::<Spread>::default();
        let hashes: Vec<_> = (0..128_u64).map(|number| spread.hash_one(number)).collect();
        let low: HashSet<_> = hashes.iter().map(|hash| hash % 128).collect();
        let high: HashSet<_> = hashes.iter().map(|hash| hash >> 57).collect();
        assert_eq!(low.len(), 128);
        assert!(high.len() > 64, "{}", high.len());
    }

    #[test]
    fn equal_parts_carry_equal_hashes() {
        let hash = |name: &str| Carried::of(&(Some(name), 1));
        assert_eq!(hash("a"), hash("a"));
        assert_ne!(hash("a"), hash("b"));
    }
}
