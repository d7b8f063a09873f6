//! Every storage port of tollgate on one SQLite file that survives a crash.
//!
//! [`Sqlite`] is one handle, cheap to clone, that implements all ports of [`tollgate_core::store`]. It is the embedded default: no
//! server to run, several processes on one machine may share the file, and what was acknowledged is on disk.
//!
//! ```
//! use tollgate_core::store::audit::AuditStore;
//! use tollgate_sqlite::Sqlite;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("payments.sqlite");
//! let store = Sqlite::open(&path)?;
//! store.append("payments", b"charged"[..].into()).await?;
//! drop(store);
//!
//! let again = Sqlite::open(&path)?;
//! assert_eq!(again.head("payments").await?.seq, 1);
//! # Ok(()) }
//! ```
//!
//! # What it promises
//!
//! * **Durable**: WAL with `synchronous=FULL`, read back and asserted when the file is opened. With `NORMAL`, SQLite's default advice
//!   for WAL, a committed transaction may vanish at a power loss, and a vanished `Armed` is a double charge.
//! * **Atomic over processes**: every step runs in `BEGIN IMMEDIATE`, loads the record, asks core's pure rule, and writes the change.
//! * **Group commit**: one writer thread; what waits together shares one transaction and one flush. A step that fails is rolled back
//!   alone; when the commit fails, every step of the batch is told that it may have happened.
//! * Time is this machine's clock, read by the writer.
//!
//! # What it does not
//!
//! * It does not survive the loss of the machine, and the file must not lie on a network file system: SQLite's locks do not hold there.
//! * A process that has the store open must not open the file by other means (`std::fs::copy` for a backup, say): when that handle is
//!   closed, POSIX drops the process's locks. Back it up from another process, with SQLite's own tools.
//! * It takes no file that another application has written ([`OpenError::Foreign`]).
//!
//! # If a future is dropped
//!
//! The step runs all the same; its answer is lost.

mod audit;
mod carry_over;
mod dedup;
mod error;
mod idempotency;
mod open;
mod quota;
mod saga;
#[cfg(test)]
mod tests;
mod velocity;
mod writer;

pub use error::OpenError;
pub use open::Sqlite;
pub use writer::Answer;

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
