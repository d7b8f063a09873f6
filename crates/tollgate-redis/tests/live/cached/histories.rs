//! Random histories: with the cache and without it the same store gives the same answers and holds the same records, and whatever is
//! kept is the record's own final answer.

use super::*;
use crate::server::url;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tollgate_core::ManualClock;
use tollgate_core::store::idempotency::Phase;
use tollgate_testkit::histories::{Histories, Trial, record_keys};

/// A store with the cache before it, and a hand in the server where the answers are kept.
struct Cached {
    store: CompletedCache<MemoryIdempotency>,
    prefix: String,
    hand: redis::Connection,
    damaged: Vec<RecordKey>,
    /// How often the cache answered, in all histories.
    hits: Arc<AtomicU64>,
}

impl Cached {
    async fn new(clock: ManualClock, hits: Arc<AtomicU64>) -> Self {
        let prefix = prefix();
        let settings = settings().prefix(&prefix);
        Self {
            store: before(MemoryIdempotency::with(1_000, clock), &url(), settings).await,
            prefix,
            hand: redis::Client::open(url()).unwrap().get_connection().unwrap(),
            damaged: Vec::new(),
            hits,
        }
    }
}

impl Drop for Cached {
    fn drop(&mut self) {
        self.hits.fetch_add(self.store.stats().hits, SeqCst);
    }
}

impl Trial for Cached {
    type Store = CompletedCache<MemoryIdempotency>;

    fn store(&self) -> &Self::Store {
        &self.store
    }

    /// The server forgets what is kept of one key, or it is damaged.
    async fn disturb(&mut self, how: u8) {
        let key = record_keys().nth(usize::from(how / 2 % 3)).unwrap();
        let name = name(&self.prefix, key);
        self.damaged.retain(|damaged| *damaged != key);
        if how.is_multiple_of(2) {
            redis::cmd("DEL").arg(name).exec(&mut self.hand).unwrap();
        } else {
            let damage = redis::cmd("SETRANGE").arg(name).arg(33).arg("x").to_owned();
            damage.exec(&mut self.hand).unwrap();
            self.damaged.push(key);
        }
    }

    async fn inspect(&mut self) {
        for key in record_keys() {
            let record = self.store.get(key).await.unwrap();
            let is_final = record.is_some_and(|record| record.phase == Phase::Completed);
            let name = name(&self.prefix, key);
            let is_kept: bool = redis::cmd("EXISTS").arg(name).query(&mut self.hand).unwrap();
            assert!(
                is_final || self.damaged.contains(&key) || !is_kept,
                "something is kept of {key:?} that is not final"
            );
        }
    }
}

#[test]
fn nobody_can_tell() {
    let hits = Arc::new(AtomicU64::new(0));
    // no record reaches the end of its retention here: the two clocks differ on purpose, by years
    Histories::new()
        .retention(HOUR * 10)
        .idempotency(async |clock| Cached::new(clock, Arc::clone(&hits)).await);
    assert!(
        hits.load(SeqCst) > 0,
        "the cache answered nothing: this proves nothing"
    );
}
