//! Every storage port of tollgate on PostgreSQL: many processes, many machines, one truth.
//!
//! [`Postgres`] is one handle, cheap to clone, that implements all ports of [`tollgate_core::store`].
//!
//! ```no_run
//! use tollgate_postgres::{Postgres, Settings};
//!
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Postgres::connect("postgres://payments@db.internal/payments", Settings::new().migrate()).await?;
//! assert!(store.capabilities().guards_money());
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! * **Atomic over processes**: each transition of a key or an event is one guarded statement, whose `where` says what core's pure rule
//!   says. What is rare goes through the rule itself, and is written if the row is still the version that the rule was asked about.
//! * **Two round trips** per guarded call, with statements that are prepared once per connection; where several callers wait at the
//!   same moment, their begins go in one statement, and so do their settlements.
//! * **Durable**: a server with `synchronous_commit = off` is refused, and so are unlogged tables. One with `fsync = off` opens, and
//!   says that it is not durable.
//! * **Time is the server's** (`clock_timestamp()`), in microseconds.
//! * **Your rows and the answer commit together**, if you want: [`Postgres::settle_in`], [`Postgres::create_in`] for a saga.
//! * **Those who wait are told**, also in other processes: a settlement that somebody waits for says so (`NOTIFY`), and one connection
//!   per handle listens. A settlement that nobody waits for says nothing, because commits that notify queue for each other.
//! * A failure says whether the write may have happened, by SQLSTATE and never by message text.
//!
//! # What it does not
//!
//! * A failover to an asynchronous replica forgets the last claims, and a forgotten claim is a second charge. Where the cluster commits
//!   synchronously, say so: [`Settings::survives_failover`].
//! * Quotas, velocity counters and audit chains hold a lock over three or four round trips: what one key or chain can carry is bounded by
//!   the network. Redis counts faster.
//! * A pooler that hands out its connections per transaction is refused, because a statement that one client prepared would be run for another,
//!   unless [`Settings::transaction_pooling`] says that there is one: then each step is a transaction, four round trips instead of one.
//! * It speaks TLS only if sqlx does: turn on one of sqlx's `tls-…` features in your own `Cargo.toml`.
//!
//! # If a future is dropped
//!
//! Before its first poll nothing was sent. After it, the step happened whole or not at all, and its connection is not used again. A step
//! that goes together with others may still happen after the drop; the others are told all the same.

mod asking;
mod audit;
mod carry_over;
mod dedup;
mod ear;
mod error;
mod idempotency;
mod migrate;
mod open;
mod pool;
mod pooler;
mod quota;
mod saga;
mod session;
mod settings;
mod velocity;

pub use error::{NotSettled, OpenError};
pub use open::Postgres;
pub use settings::Settings;

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
