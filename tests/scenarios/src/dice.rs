//! Chance that is the same on every machine.

use anyhow::{Context, Result};

/// A small generator (splitmix64): the same seed makes the same world, or the same attempt, everywhere.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`, of which there is at least one.
    pub fn roll(&mut self, sides: usize) -> Result<usize> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let sides = u64::try_from(sides)?;
        Ok(usize::try_from((z ^ (z >> 31)) % sides)?)
    }

    /// One of two.
    pub fn coin(&mut self) -> Result<bool> {
        Ok(self.roll(2)? == 0)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Result<&'a T> {
        let at = self.roll(from.len())?;
        from.get(at).context("a side of the dice")
    }
}
