//! Quotas in sharded maps.

#[cfg(test)]
#[cfg(tollgate_loom)]
mod orders;

use super::sync::{Mutex, MutexGuard, shards};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::store::quota::{QuotaKey, QuotaStore, Take, Taken, rule};
use crate::store::{StoreError, StoreErrorKind};
use std::collections::HashMap;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, PoisonError};

const SHARDS: usize = shards(16);

type Shard = HashMap<QuotaKey, Timestamp>;

/// Quotas of this process. Answers at once; clones share the state. Bounded: keys whose quota is whole again are forgotten when
/// room is needed, and a key is refused when none of them is.
#[derive(Clone)]
pub struct MemoryQuota(Arc<Shared>);

struct Shared {
    shards: [Mutex<Shard>; SHARDS],
    clock: Arc<dyn Clock>,
    per_shard: usize,
}

impl Default for MemoryQuota {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryQuota {
    /// Room for a million keys, and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(1_000_000, SystemClock)
    }

    /// Room for about this many keys, and this clock.
    #[must_use]
    pub fn with(capacity: usize, clock: impl Clock) -> Self {
        Self(Arc::new(Shared {
            shards: std::array::from_fn(|_| Mutex::default()),
            clock: Arc::new(clock),
            per_shard: capacity.div_ceil(SHARDS),
        }))
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.0.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn take_now(&self, takes: &[Take]) -> Result<Taken, StoreError> {
        // in one order, so that two callers never wait for each other
        let mut places: Vec<usize> = takes.iter().map(|take| shard_of(&take.key)).collect();
        places.sort_unstable();
        places.dedup();
        let mut shards: Vec<_> = places.iter().map(|place| self.lock(*place)).collect();
        let now = self.0.clock.now();
        let at = |key: &QuotaKey| places.binary_search(&shard_of(key)).unwrap_or(0);

        let arrivals: Vec<_> = takes
            .iter()
            .map(|take| shards[at(&take.key)].get(&take.key).copied())
            .collect();
        let (next, taken) = match rule::take_all(&arrivals, takes, now) {
            Ok(granted) => granted,
            Err(refused) => return Ok(refused),
        };
        for take in takes {
            let shard = &mut shards[at(&take.key)];
            if shard.len() >= self.0.per_shard && !shard.contains_key(&take.key) {
                shard.retain(|_, arrival| *arrival > now);
                if shard.len() >= self.0.per_shard {
                    return Err(StoreError::new(
                        StoreErrorKind::Full,
                        "the in-memory quotas are full",
                    ));
                }
            }
        }
        for (take, arrival) in takes.iter().zip(next) {
            shards[at(&take.key)].insert(take.key, arrival);
        }
        Ok(taken)
    }
}

fn shard_of(key: &QuotaKey) -> usize {
    usize::from(key.0[0]) % SHARDS
}

impl QuotaStore for MemoryQuota {
    type Future<T: Send + 'static> = Ready<Result<T, StoreError>>;

    fn take(&self, takes: &[Take]) -> Self::Future<Taken> {
        ready(self.take_now(takes))
    }

    fn give_back(&self, take: Take) -> Self::Future<()> {
        if let Some(arrival) = self.lock(shard_of(&take.key)).get_mut(&take.key) {
            let now = self.0.clock.now();
            *arrival = rule::give_back(*arrival, &take.quota, take.cost, now);
        }
        ready(Ok(()))
    }
}

impl fmt::Debug for MemoryQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: usize = (0..SHARDS).map(|shard| self.lock(shard).len()).sum();
        f.debug_struct("MemoryQuota")
            .field("keys", &keys)
            .finish_non_exhaustive()
    }
}
