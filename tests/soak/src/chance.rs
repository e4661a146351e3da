//! Numbers that look random, the same in every run.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }

    pub fn of<'a, T>(&mut self, some: &'a [T]) -> &'a T {
        &some[self.below(some.len())]
    }

    /// Between half of it and one and a half.
    pub fn about(&mut self, duration: Duration) -> Duration {
        duration / 2 + duration.mul_f64(self.below(1000) as f64 / 1000.0)
    }

    /// A payload of `len` bytes, of few different ones so that it compresses; ASCII.
    pub fn text(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| b"etaoin shrdlu{}:"[self.below(16)]).collect()
    }
}
