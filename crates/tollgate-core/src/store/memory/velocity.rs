//! Velocity counters of this process.

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::store::velocity::{Admit, Admitted, VelocityKey, VelocityStore};
use crate::store::{StoreError, StoreErrorKind};
use std::collections::HashMap;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Velocity counters that live and die with this process. Clones share them. Bounded: counters whose events have all left their
/// window make room, and when none has, new ones are refused.
#[derive(Clone)]
pub struct MemoryVelocity(Arc<Shared>);

struct Shared {
    counters: Mutex<HashMap<VelocityKey, Counter>>,
    clock: Arc<dyn Clock>,
    capacity: usize,
}

#[derive(Default)]
struct Counter {
    events: Vec<(Timestamp, u64)>,
    idle_at: Timestamp,
}

impl Default for MemoryVelocity {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryVelocity {
    /// Room for 100,000 counters, and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(100_000, SystemClock)
    }

    /// Room for this many counters, and this clock.
    #[must_use]
    pub fn with(capacity: usize, clock: impl Clock) -> Self {
        Self(Arc::new(Shared {
            counters: Mutex::default(),
            clock: Arc::new(clock),
            capacity,
        }))
    }

    fn counters(&self) -> MutexGuard<'_, HashMap<VelocityKey, Counter>> {
        self.0.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VelocityStore for MemoryVelocity {
    type Future<T: Send + 'static> = Ready<Result<T, StoreError>>;

    fn admit(&self, admit: Admit) -> Self::Future<Admitted> {
        let mut counters = self.counters();
        let now = self.0.clock.now();
        if counters.len() >= self.0.capacity && !counters.contains_key(&admit.key) {
            counters.retain(|_, counter| counter.idle_at > now);
            if counters.len() >= self.0.capacity {
                return ready(Err(StoreError::new(
                    StoreErrorKind::Full,
                    "the in-memory counters are full",
                )));
            }
        }
        let counter = counters.entry(admit.key).or_default();
        let from = now.saturating_sub(admit.window);
        // not only from the front: where the clock went back, what came later is dated earlier
        counter.events.retain(|(at, _)| *at > from);
        let before = counter
            .events
            .iter()
            .fold(0u64, |sum, (_, weight)| sum.saturating_add(*weight));
        let total = before.saturating_add(admit.weight);
        if total > admit.limit {
            return ready(Ok(Admitted {
                within: false,
                total: before,
            }));
        }
        counter.events.push((now, admit.weight));
        counter.idle_at = counter.idle_at.max(now.saturating_add(admit.window));
        ready(Ok(Admitted { within: true, total }))
    }
}

impl fmt::Debug for MemoryVelocity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryVelocity")
            .field("counters", &self.counters().len())
            .finish_non_exhaustive()
    }
}
