//! Idempotency records in sharded maps.

#[cfg(test)]
#[cfg(tollgate_loom)]
mod orders;

use super::sync::{Mutex, MutexGuard, shards};
use super::table::Table;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::store::idempotency::rule::{self, Change};
use crate::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Phase, Record, RecordKey, Resolve, Resolved, Settled, Settlement,
    Tenant, Token, Unresolved,
};
use crate::store::{Capabilities, StoreError, StoreErrorKind};
use std::collections::HashMap;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

const SHARDS: usize = shards(64);

/// Idempotency records of this process. Answers at once; clones share the records.
///
/// Bounded: when it is full it first forgets what may be forgotten and then refuses new keys; an open outcome is never
/// evicted to make room.
#[derive(Clone)]
pub struct MemoryIdempotency(Arc<Shared>);

struct Shared {
    shards: [Mutex<Shard>; SHARDS],
    /// How many records of a tenant are `Unknown`. Locked within a shard, and only when one becomes so or no longer is, or when a cap
    /// is asked about.
    doubtful: Mutex<HashMap<Tenant, u32>>,
    clock: Arc<dyn Clock>,
    per_shard: usize,
}

type Shard = Table<Record>;

impl Default for MemoryIdempotency {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryIdempotency {
    /// Room for a million records, and the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with(1_000_000, SystemClock)
    }

    /// Room for about this many records, and this clock.
    #[must_use]
    pub fn with(capacity: usize, clock: impl Clock) -> Self {
        Self(Arc::new(Shared {
            shards: std::array::from_fn(|_| Mutex::default()),
            doubtful: Mutex::default(),
            clock: Arc::new(clock),
            per_shard: capacity.div_ceil(SHARDS),
        }))
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn step<T>(
        &self,
        key: RecordKey,
        decide: impl FnOnce(Option<&Record>, Timestamp) -> (Change, T),
    ) -> Ready<Result<T, StoreError>> {
        let mut shard = lock(&self.0.shards[shard_of(&key)]);
        let now = self.0.clock.now();
        let place = shard.place_of(&key);
        let held = place.and_then(|place| shard.at(place));
        let before = held.and_then(doubtful_of);
        match decide(held, now) {
            (Change::Keep, answer) => ready(Ok(answer)),
            (Change::Put(record), answer) => {
                if place.is_none() && !self.0.has_room(&mut shard, now) {
                    return ready(Err(StoreError::new(
                        StoreErrorKind::Full,
                        "the in-memory store is full",
                    )));
                }
                self.0.recount(before, doubtful_of(&record));
                shard.put(key, place, record);
                ready(Ok(answer))
            }
            (Change::Remove, answer) => {
                self.0.recount(before, None);
                shard.remove(&key);
                ready(Ok(answer))
            }
        }
    }

    fn each(
        &self,
        limit: u32,
        decide: impl Fn(&Record, Timestamp) -> Change,
    ) -> Ready<Result<u64, StoreError>> {
        let mut changed = 0;
        for shard in &self.0.shards {
            let mut shard = lock(shard);
            let now = self.0.clock.now();
            let changes: Vec<_> = shard
                .iter()
                .map(|(key, record)| (*key, doubtful_of(record), decide(record, now)))
                .filter(|(_, _, change)| *change != Change::Keep)
                .take(usize::try_from(u64::from(limit) - changed).unwrap_or(usize::MAX))
                .collect();
            for (key, before, change) in changes {
                match change {
                    Change::Keep => {}
                    Change::Put(record) => {
                        self.0.recount(before, doubtful_of(&record));
                        let place = shard.place_of(&key);
                        shard.put(key, place, record);
                    }
                    Change::Remove => {
                        self.0.recount(before, None);
                        shard.remove(&key);
                    }
                }
                changed += 1;
            }
        }
        ready(Ok(changed))
    }
}

/// A keyed hash: any byte spreads.
fn shard_of(key: &RecordKey) -> usize {
    usize::from(key.as_bytes()[8]) % SHARDS
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // no rule panics, and a change is one insert: a poisoned shard is whole
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Whether there is room for one more record, if need be after what may be forgotten was.
    fn has_room(&self, shard: &mut Shard, now: Timestamp) -> bool {
        if shard.len() < self.per_shard {
            return true;
        }
        let spent: Vec<_> = shard
            .iter()
            .filter(|(_, record)| rule::collect(record, Duration::ZERO, now) != Change::Keep)
            .map(|(key, _)| *key)
            .collect();
        spent.iter().for_each(|key| shard.remove(key));
        shard.len() < self.per_shard
    }

    fn recount(&self, before: Option<Tenant>, after: Option<Tenant>) {
        if before == after {
            return;
        }
        let mut doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tenant) = after {
            let count = doubtful.entry(tenant).or_default();
            *count = count.saturating_add(1);
        }
        if let Some(tenant) = before
            && let Some(count) = doubtful.get_mut(&tenant)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                doubtful.remove(&tenant);
            }
        }
    }

    fn open_of(&self, tenant: Tenant) -> u32 {
        let doubtful = self.doubtful.lock().unwrap_or_else(PoisonError::into_inner);
        doubtful.get(&tenant).copied().unwrap_or(0)
    }
}

/// On whose account a record counts.
fn doubtful_of(record: &Record) -> Option<Tenant> {
    (record.phase == Phase::Unknown).then_some(record.tenant)
}

impl fmt::Debug for MemoryIdempotency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryIdempotency")
            .field("records", &self.len())
            .finish_non_exhaustive()
    }
}

impl IdempotencyStore for MemoryIdempotency {
    type Future<T: Send + 'static> = Ready<Result<T, StoreError>>;

    fn capabilities(&self) -> Capabilities {
        Capabilities::IN_MEMORY
    }

    fn now(&self) -> Self::Future<Timestamp> {
        ready(Ok(self.0.clock.now()))
    }

    fn begin(&self, begin: Begin) -> Self::Future<Begun> {
        let open = || self.0.open_of(begin.tenant);
        self.step(begin.key, |record, now| {
            rule::begin_within(record, &begin, open, now)
        })
    }

    fn arm(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        self.step(token.key, |record, now| rule::arm(record, &token, lease, now))
    }

    fn renew(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        self.step(token.key, |record, now| rule::renew(record, &token, lease, now))
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Self::Future<Settled> {
        self.step(token.key, |record, now| {
            rule::settle(record, &token, settlement, now)
        })
    }

    fn resolve(&self, resolve: Resolve) -> Self::Future<Resolved> {
        self.step(resolve.key, |record, now| rule::resolve(record, &resolve, now))
    }

    fn get(&self, key: RecordKey) -> Self::Future<Option<Record>> {
        self.step(key, |record, _| (Change::Keep, record.cloned()))
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Self::Future<Vec<Unresolved>> {
        let now = self.0.clock.now();
        let mut found: Vec<Unresolved> = Vec::new();
        for shard in &self.0.shards {
            found.extend(
                lock(shard)
                    .iter()
                    .filter(|(key, record)| {
                        after.is_none_or(|after| **key > after) && rule::is_unresolved(record, now)
                    })
                    .map(|(key, record)| Unresolved::of(*key, record)),
            );
        }
        found.sort_unstable_by_key(|unresolved| unresolved.key);
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        ready(Ok(found))
    }

    fn sweep(&self, limit: u32) -> Self::Future<u64> {
        self.each(limit, rule::sweep)
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Self::Future<u64> {
        self.each(limit, |record, now| rule::collect(record, tombstone, now))
    }
}
