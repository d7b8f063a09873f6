//! Chance that can be had again: every choice of a storm follows from its seed and from what the choice is about.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to choose whom to kill.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// For one question: the same seed and the same question give the same answers, whatever else happened before.
    pub fn about(seed: u64, question: &str) -> Self {
        // FNV-1a
        let mixed = question.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut dice = Self(mixed);
        dice.roll();
        dice
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From `from` up to, but not including, `to`.
    pub fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll() % (to - from).max(1)
    }

    /// True this often in a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.roll() % 100 < chance
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        let at = usize::try_from(self.roll()).unwrap_or(usize::MAX) % from.len();
        &from[at]
    }

    /// One of these, by weight.
    pub fn weigh<T: Copy>(&mut self, table: &[(T, u64)]) -> T {
        let mut left = self.roll() % table.iter().map(|(_, weight)| weight).sum::<u64>();
        for (what, weight) in table {
            match left.checked_sub(*weight) {
                None => return *what,
                Some(rest) => left = rest,
            }
        }
        unreachable!("the roll is below the sum of the weights")
    }
}
