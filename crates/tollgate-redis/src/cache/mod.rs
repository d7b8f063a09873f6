//! Final answers in front of a durable store: a repeat of what is done costs the database nothing.
//!
//! A key that is done is asked for again by clients that did not hear the answer, by queues that deliver twice, by storms of retries
//! after an outage. Each repeat is a transaction on the database that holds the records. [`CompletedCache`] answers such repeats from
//! a Redis server and leaves everything else to the store behind it.
//!
//! ```
//! use std::time::Duration;
//! use tollgate_core::store::idempotency::{Begin, Begun, Fingerprint, IdempotencyStore, Owner, Tenant};
//! use tollgate_core::store::memory::MemoryIdempotency; // in real life: PostgreSQL
//! use tollgate_core::{Secret, Secrets};
//! use tollgate_redis::cache::{CacheSettings, CompletedCache};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secrets = Secrets::new(&Secret::new(vec![7; 32]))?; // the layer's own
//! let settings = CacheSettings::new().prefix("payments").patience(Duration::from_millis(50));
//! // nobody listens there: calls go on as if there were no cache
//! let store = CompletedCache::connect(MemoryIdempotency::new(), "redis://127.0.0.1:1", &secrets, settings).await?;
//!
//! let begin = Begin {
//!     key: secrets.record_key("shop-7/live", "order-4711"),
//!     fingerprint: Fingerprint::new([1; 32]),
//!     owner: Owner(1),
//!     lease: Duration::from_secs(30),
//!     retention: Duration::from_secs(24 * 60 * 60),
//!     arm: true,
//!     tenant: Tenant::NONE,
//!     most_open: u32::MAX,
//! };
//! assert!(matches!(store.begin(begin).await?, Begun::Acquired(_)));
//! assert_eq!(store.stats().hits, 0);
//! # Ok(()) }
//! ```
//!
//! # When it acts
//!
//! | call | what it does |
//! |---|---|
//! | `begin` | asks Redis first. A kept answer with the same fingerprint: `Replay`. With another one: `Mismatch`. Otherwise the store behind decides |
//! | `settle` | the store behind first. Once it has acknowledged a `Completed`, the answer is kept |
//! | a `Replay` by the store behind | its record is read, and kept for what is left of its retention |
//! | everything else | the store behind, untouched |
//!
//! Only final answers are kept: never that a key is absent, prepared, armed, released or unknown. Those change; a completed record
//! does not, until its retention is over. So nothing ever has to be taken out again, and no two copies can disagree.
//!
//! # What a failing cache does
//!
//! It costs time, never an answer. Whatever Redis does (down, slow, full, a replica, flushed, filled with rubbish), the store behind is
//! asked. A call waits for Redis up to [`patience`](CacheSettings::patience) and then goes on without; after that all calls go past
//! Redis for [`pause`](CacheSettings::pause), and then one of them tries again. The other way round a cache that answers keeps
//! replaying while the database is down.
//!
//! An entry names its key and is sealed with the deployment secret. One that was damaged, copied from another key, made by somebody
//! else, or is past its time is as good as none. What it holds is not encrypted: answers are personal data, and this server holds them
//! like the database does.
//!
//! # What staleness can do, and what it cannot
//!
//! * It cannot make anything run twice: a cached answer only ever stops a call from running.
//! * It cannot give a wrong answer: what is kept was acknowledged as final by the store behind, and a final record never changes.
//! * It does not outlive the retention. An entry's end is a point in the Redis server's time, counted from before the record was begun
//!   or read, and as much later as the store behind keeps it: no two clocks are compared, they only have to run equally fast. Should
//!   the Redis server's clock be set back, a repeat gets the true answer where the store behind alone would have said `Expired`, for
//!   as long as it was set back; a key that was forgotten wholly, tombstone included, and is used anew within that time would get its
//!   first answer.
//! * A database that lost its last writes (a failover with asynchronous replicas, a restored backup) would let a key run again that is
//!   done. Its kept answer still stands in the way: a help, not a promise.
//!
//! # What it needs
//!
//! A Redis server of its own, with `maxmemory` and `maxmemory-policy allkeys-lru`; no persistence. Not the one that holds records:
//! that one must never evict. Its promises are those of the store behind, `capabilities` included.
//!
//! # If a future is dropped
//!
//! As with the store behind. An answer that was about to be kept is not.

mod decorator;
mod entry;
mod settings;
#[cfg(test)]
mod tests;
mod tier;

pub use decorator::CompletedCache;
pub use settings::{CacheSettings, CacheStats};
