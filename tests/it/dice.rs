//! Chance that can be repeated: with `BUREAU_SEED` a failing run falls the same way again.

use std::time::{SystemTime, UNIX_EPOCH};

/// The seed of this run.
pub fn seed() -> u64 {
    match std::env::var("BUREAU_SEED") {
        Ok(text) => text.parse().expect("BUREAU_SEED is a whole number"),
        Err(_) => u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()),
    }
}

/// How often to do something: what `variable` says, else `usual`.
pub fn times(variable: &str, usual: u32) -> u32 {
    std::env::var(variable)
        .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a whole number")))
}

/// SplitMix64.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
