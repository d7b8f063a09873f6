//! How much may still be done: quotas behind the rate-limit layer.
//!
//! One timestamp per key is all that is stored ([`rule`]: GCRA). A timestamp that lies in the past is equal to none: a store may forget
//! it at any time, and does so by itself.

pub mod rule;
#[cfg(test)]
mod tests;

use super::StoreError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// So many units per period, and how many of them at once.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use tollgate_core::store::quota::Quota;
///
/// let quota = Quota::per_minute(NonZeroU32::new(100).unwrap()).burst(NonZeroU32::new(10).unwrap());
/// assert_eq!(quota.interval(), Duration::from_millis(600)); // one unit every 600 ms
/// assert_eq!(quota.at_once(), 10);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Quota {
    units: NonZeroU32,
    period: Duration,
    burst: NonZeroU32,
}

impl Quota {
    /// So many units in every period. A period under one microsecond per unit is taken as one microsecond per unit.
    #[must_use]
    pub const fn new(units: NonZeroU32, period: Duration) -> Self {
        Self {
            units,
            period,
            burst: units,
        }
    }

    /// So many units a second.
    #[must_use]
    pub const fn per_second(units: NonZeroU32) -> Self {
        Self::new(units, Duration::from_secs(1))
    }

    /// So many units a minute.
    #[must_use]
    pub const fn per_minute(units: NonZeroU32) -> Self {
        Self::new(units, Duration::from_secs(60))
    }

    /// So many units an hour.
    #[must_use]
    pub const fn per_hour(units: NonZeroU32) -> Self {
        Self::new(units, Duration::from_secs(3600))
    }

    /// Sets how many units may be used at once after a pause (default: all of a period's).
    #[must_use]
    pub const fn burst(mut self, units: NonZeroU32) -> Self {
        self.burst = units;
        self
    }

    /// How many units.
    #[must_use]
    pub const fn units(&self) -> u32 {
        self.units.get()
    }

    /// In which period.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// How many units at once.
    #[must_use]
    pub const fn at_once(&self) -> u32 {
        self.burst.get()
    }

    /// The time between two units, in whole microseconds, rounded up: never faster than agreed.
    #[must_use]
    pub fn interval(&self) -> Duration {
        let micros = self
            .period
            .as_nanos()
            .div_ceil(u128::from(self.units.get()) * 1000);
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX).max(1))
    }
}

/// Names a quota's state: a keyed hash ([`Secrets::pseudonym`](crate::Secrets::pseudonym)), so that no card, address or
/// merchant is readable in a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaKey(pub [u8; 32]);

impl fmt::Debug for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuotaKey({}..)", crate::id::hex(&self.0[..4]))
    }
}

/// Asks for units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// Of which key.
    pub key: QuotaKey,
    /// Under which quota.
    pub quota: Quota,
    /// How many units.
    pub cost: u32,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The units were taken.
    Granted {
        /// How many are left right now, of the tightest quota.
        remaining: u32,
        /// When that quota is whole again.
        reset: Duration,
    },
    /// Nothing was taken, from any of the quotas.
    Refused {
        /// The place of the quota that said no.
        index: usize,
        /// When it makes sense to ask again; [`Duration::MAX`] when the cost is more than the quota ever allows.
        retry_after: Duration,
    },
}

/// The port.
pub trait QuotaStore: Send + Sync + 'static {
    /// How it answers.
    type Future<T: Send + 'static>: Future<Output = Result<T, StoreError>> + Send + Unpin + 'static;

    /// Takes from all the quotas or from none, atomically.
    fn take(&self, takes: &[Take]) -> Self::Future<Taken>;

    /// Gives units back that were not used, as far as they were taken.
    fn give_back(&self, take: Take) -> Self::Future<()>;
}

/// A shared store is a store.
impl<S: QuotaStore> QuotaStore for Arc<S> {
    type Future<T: Send + 'static> = S::Future<T>;

    fn take(&self, takes: &[Take]) -> Self::Future<Taken> {
        (**self).take(takes)
    }
    fn give_back(&self, take: Take) -> Self::Future<()> {
        (**self).give_back(take)
    }
}
