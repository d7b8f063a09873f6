//! Idempotency records, webhook deduplication, quotas and velocity counters of tollgate on Redis.
//!
//! [`Redis`] is one handle, cheap to clone, that implements the ports of [`tollgate_core::store`] that Redis takes. [`cache`] is another
//! use of a Redis server: answers that are final, kept in front of a store that guards money better.
//!
//! ```no_run
//! use tollgate_redis::{Redis, Settings};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Redis::connect("redis://127.0.0.1:6379", Settings::new().prefix("payments")).await?;
//! assert!(store.capabilities().guards_money()); // a server that cannot would have been refused
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! * **Atomic over processes**: every transition is one Lua script, which reads the record, decides by core's rule, and writes record
//!   and indexes. The scripts are files in `src/lua`, run by their hash, and by their text on a server that does not know them.
//! * **What waits together goes together**: begins and settlements that come while others are under way share one script, which decides
//!   each as if it were alone. Nobody waits for that: who finds the server idle asks at once.
//! * **Time is the server's** (`TIME`), in microseconds.
//! * **Armed and unknown records never expire**: they are written without a time to live, whatever they had before. The folk recipe,
//!   `SET NX PX`, lets a claim lapse while the charge is on its way.
//! * **Durable on one machine**, with `appendonly yes` and `appendfsync always`: a server that is configured otherwise is refused when
//!   it is connected to ([`ConnectError::Weak`]), unless [`Settings::dangerous_may_forget`] says so.
//! * A failure says whether the write may have happened, and why, as a [`Failure`] behind
//!   [`StoreError`](tollgate_core::store::StoreError).
//!
//! # What it does not
//!
//! * **It does not survive a failover.** Redis replicates after it has answered, so a replica that takes over may lack the last writes:
//!   a lost `Armed` or `Completed` makes a key free that is not. Then only the peer's own deduplication, by the downstream key, stands
//!   between a retry and a second charge. `WAIT` and `min-replicas-to-write` make the gap smaller and do not close it. Where that is
//!   not enough, keep the records in PostgreSQL and use Redis for quotas, velocity, webhooks, and as a [`cache`] in front.
//! * The checks are made once. Who changes the configuration later, or puts another server behind the address, changes the promise.
//! * Everything of one prefix lies in one slot of a cluster (`{prefix}` is the hash tag), because an index changes together with its
//!   records. This crate speaks to one node; connect to the one that has the slot. To spread over nodes, use several prefixes.
//! * Instants end in the year 2255, where Lua's numbers end.
//! * It speaks TLS (`rediss://…`) only if the driver does: turn on the feature `tokio-rustls-comp` of the crate `redis` in your own
//!   `Cargo.toml`, and install one of rustls' crypto providers when your process starts.
//!
//! # Ports that it does not take
//!
//! * **Audit chain, saga journal**: they are the record of what happened. What a failover may forget does not belong into either.
//! * **Reconciliation carry-over**: what one run leaves for the next is rows of money. Forgotten, or brought back as an older version,
//!   they would be matched twice or never, and unlike a charge no peer deduplicates them. It is one small write per run, so there is
//!   nothing to win either: any of the SQL stores takes it.
//!
//! # If a future is dropped
//!
//! Before its first poll nothing was sent. After it, the step may or may not have happened. The others in one script with it are not
//! touched.

pub mod cache;
mod connection;
mod dedup;
mod error;
mod idempotency;
mod open;
mod quota;
mod record;
mod reply;
mod script;
mod server;
#[cfg(test)]
mod tests;
mod velocity;

pub use error::{ConnectError, Failure, Weakness};
pub use open::{Redis, Settings};

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
