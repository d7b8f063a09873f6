//! Numbers that differ, for jitter. Not for secrets.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A cheap, shared source of numbers that spread evenly (splitmix64, Steele et al. 2014).
#[derive(Debug)]
pub(crate) struct Spread(AtomicU64);

impl Default for Spread {
    fn default() -> Self {
        let mut seed = [0; 8];
        // without randomness the numbers start at the same place; nothing but the spread depends on them
        let _ = getrandom::fill(&mut seed);
        Self(AtomicU64::new(u64::from_le_bytes(seed)))
    }
}

impl Spread {
    pub(crate) fn next(&self) -> u64 {
        let n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    /// This long, give or take a tenth.
    #[cfg(any(feature = "idempotency", feature = "webhook"))]
    pub(crate) fn around(&self, time: std::time::Duration) -> std::time::Duration {
        // 900 to 1100 thousandths
        let thousandths = u32::try_from(900 + self.next() % 201).unwrap_or(1000);
        time.checked_mul(thousandths)
            .map_or(time, |stretched| stretched / 1000)
    }
}
