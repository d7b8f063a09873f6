//! Webhook events of this process.

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::store::dedup::rule::{self, Change};
use crate::store::dedup::{Claim, Claimed, DedupStore, EventKey, EventRecord, Ticket};
use crate::store::{StoreError, StoreErrorKind};
use std::collections::HashMap;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Events that were seen by this process. Clones share them. Bounded: what may be forgotten makes room, and when nothing may, new
/// events are refused (the provider sends them again).
#[derive(Clone)]
pub struct MemoryDedup(Arc<Shared>);

struct Shared {
    events: Mutex<HashMap<EventKey, EventRecord>>,
    clock: Arc<dyn Clock>,
    capacity: usize,
}

impl Default for MemoryDedup {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDedup {
    /// Room for a million events, and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(1_000_000, SystemClock)
    }

    /// Room for this many events, and this clock.
    #[must_use]
    pub fn with(capacity: usize, clock: impl Clock) -> Self {
        Self(Arc::new(Shared {
            events: Mutex::default(),
            clock: Arc::new(clock),
            capacity,
        }))
    }

    fn events(&self) -> MutexGuard<'_, HashMap<EventKey, EventRecord>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step<T>(
        &self,
        key: EventKey,
        decide: impl FnOnce(Option<&EventRecord>, Timestamp) -> (Change, T),
    ) -> Ready<Result<T, StoreError>> {
        let mut events = self.events();
        let now = self.0.clock.now();
        let (change, answer) = decide(events.get(&key), now);
        if let Change::Put(record) = change {
            if events.len() >= self.0.capacity && !events.contains_key(&key) {
                events.retain(|_, record| !rule::is_forgettable(record, now));
                if events.len() >= self.0.capacity {
                    return ready(Err(StoreError::new(
                        StoreErrorKind::Full,
                        "the in-memory events are full",
                    )));
                }
            }
            events.insert(key, record);
        }
        ready(Ok(answer))
    }
}

impl DedupStore for MemoryDedup {
    type Future<T: Send + 'static> = Ready<Result<T, StoreError>>;

    fn claim(&self, claim: Claim) -> Self::Future<Claimed> {
        self.step(claim.key, |record, now| rule::claim(record, &claim, now))
    }

    fn commit(&self, ticket: Ticket, retention: Duration) -> Self::Future<bool> {
        self.step(ticket.key, |record, now| {
            rule::commit(record, &ticket, retention, now)
        })
    }

    fn release(&self, ticket: Ticket) -> Self::Future<bool> {
        self.step(ticket.key, |record, now| rule::release(record, &ticket, now))
    }

    fn forget(&self, limit: u32) -> Self::Future<u64> {
        let mut events = self.events();
        let now = self.0.clock.now();
        // looks no further than to the last that it forgets: a small batch must not hold the lock over the whole table
        let forgotten = events
            .extract_if(|_, record| rule::is_forgettable(record, now))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .count();
        ready(Ok(u64::try_from(forgotten).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for MemoryDedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDedup")
            .field("events", &self.events().len())
            .finish_non_exhaustive()
    }
}
