//! How often, how fast and how long: per step, and separately for its compensation and its probe.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use tollgate_core::Timestamp;

/// Why sending a step again cannot make it happen twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// The peer recognises the key from [`StepContext::key`](crate::StepContext::key) and answers a repeat from memory. An attempt that
    /// ends in doubt without having taken the key is not repeated.
    ByKey,
    /// Twice is as good as once: the step sets something to a value, or removes it.
    Idempotent,
    /// Neither. Once in doubt, only the probe, the compensation or a person may decide.
    Never,
}

/// How a step's attempts are made. Reads from a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// How long one attempt may take; then it is in doubt (default: 10 s).
    pub timeout: Duration,
    /// How many attempts are made (default: 4; compensations 12; retriable steps have no limit whatever this says).
    pub attempts: u32,
    /// How long to wait after the first attempt at most; doubled after each (default: 200 ms; compensations 500 ms).
    pub backoff: Duration,
    /// How long to wait at most (default: 10 s; compensations 5 min).
    pub max_backoff: Duration,
    /// Why a repeat is safe (default: by key).
    pub repeat: Repeat,
    /// How long the peer remembers a key: past it nothing in doubt is repeated (default: 23 h, just under the 24 h of Stripe and
    /// Checkout.com; Qonto remembers 30 min).
    pub window: Duration,
    /// How long after the last attempt a probe's "not found" proves absence (default: 30 s).
    pub quiet: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            attempts: 4,
            backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(10),
            repeat: Repeat::ByKey,
            window: Duration::from_secs(23 * 3600),
            quiet: Duration::from_secs(30),
        }
    }
}

macro_rules! setters {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty;)+) => {
        impl Policy {
            $($(#[doc = $doc])+
            #[must_use]
            pub const fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            })+
        }
    };
}

setters! {
    /// Sets how long one attempt may take (default: 10 s).
    timeout: Duration;
    /// Sets how many attempts are made, at least one (default: 4; compensations 12).
    attempts: u32;
    /// Sets how long to wait after the first attempt (default: 200 ms; compensations 500 ms).
    backoff: Duration;
    /// Sets how long to wait at most (default: 10 s; compensations 5 min).
    max_backoff: Duration;
    /// Sets why a repeat is safe (default: by key).
    repeat: Repeat;
    /// Sets how long the peer remembers a key (default: 23 h).
    window: Duration;
    /// Sets how long after the last attempt "not found" proves absence (default: 30 s).
    quiet: Duration;
}

impl Policy {
    /// What a compensation has: 12 attempts over up to about half an hour. Money that must go back is worth more patience than money
    /// that is to be taken.
    #[must_use]
    pub fn undo() -> Self {
        Self::default()
            .attempts(12)
            .backoff(Duration::from_millis(500))
            .max_backoff(Duration::from_secs(300))
    }

    /// What a probe has: 8 attempts.
    #[must_use]
    pub fn probe() -> Self {
        Self::default().attempts(8).repeat(Repeat::Idempotent)
    }

    /// When to try again after this many attempts: full jitter (anywhere between now and the doubled wait), no earlier than the peer
    /// asked for. `seed` is any number.
    #[must_use]
    pub fn next_try(&self, tries: u32, said: Option<Duration>, seed: u64, now: Timestamp) -> Timestamp {
        let doubled = 1u32
            .checked_shl(tries.saturating_sub(1).min(30))
            .unwrap_or(u32::MAX);
        let ceiling = self.backoff.saturating_mul(doubled).min(self.max_backoff);
        let micros = u64::try_from(ceiling.as_micros()).unwrap_or(u64::MAX);
        let jittered = Duration::from_micros(mixed(seed) % micros.saturating_add(1).max(1));
        now.saturating_add(said.map_or(jittered, |said| said.saturating_add(jittered)))
    }
}

/// Spreads any number over all others (the finalizer of SplitMix64, Steele et al. 2014).
pub(crate) const fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
