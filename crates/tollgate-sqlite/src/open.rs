//! Opens a file, checks what it promises, brings its schema up to date.

use crate::error::OpenError;
use crate::writer::{Answer, Writer};
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::store::Capabilities;
use tollgate_core::{Clock, SystemClock, Timestamp};

/// What each version adds; never changed once published.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_ports.sql")];

/// How long a step waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// A handle to one file; clones share its writer. The writer ends, after what was asked of it, with the last clone.
#[derive(Clone, Debug)]
pub struct Sqlite {
    writer: Arc<Writer>,
}

impl Sqlite {
    /// Opens the file, or makes it, and brings its schema up to date; safe when several processes do so at once. Blocks for the time of
    /// a few flushes: call it when the process starts.
    ///
    /// # Errors
    /// [`OpenError`], naming the file and the way out.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::open_with(path, SystemClock)
    }

    /// As [`open`](Self::open), with this clock.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(path: impl AsRef<Path>, clock: impl Clock) -> Result<Self, OpenError> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() || path.as_os_str() == ":memory:" {
            return Err(OpenError::InMemory { path: path.into() });
        }
        let unopenable = |source| OpenError::Unopenable {
            path: path.into(),
            source,
        };
        let mut connection = Connection::open(path).map_err(unopenable)?;
        connection.busy_timeout(BUSY).map_err(unopenable)?;
        make_safe(&connection, path)?;
        migrate(&mut connection, path)?;
        let writer = Writer::start(connection, Arc::new(clock)).map_err(OpenError::Thread)?;
        Ok(Self {
            writer: Arc::new(writer),
        })
    }

    /// What this store promises.
    #[must_use]
    pub const fn capabilities() -> Capabilities {
        Capabilities {
            durable: true,
            linearizable: true,
            transactional: false,
            survives_failover: false,
        }
    }

    /// Runs one step in the writer, inside a transaction that is committed before the answer is given.
    pub(crate) fn step<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection, Timestamp) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<T> {
        self.writer.submit(step)
    }
}

/// Sets what keeps money safe, and reads it back: a file that does not take a setting says so only then.
fn make_safe(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let unopenable = |source| OpenError::Unopenable {
        path: path.into(),
        source,
    };
    for (setting, set, get, expected) in [
        (
            "journal_mode=WAL",
            "pragma journal_mode = wal",
            "pragma journal_mode",
            "wal",
        ),
        (
            "synchronous=FULL",
            "pragma synchronous = full",
            "pragma synchronous",
            "2",
        ),
        (
            "foreign_keys=ON",
            "pragma foreign_keys = on",
            "pragma foreign_keys",
            "1",
        ),
    ] {
        // some pragmas answer with a row, some do not
        connection
            .prepare(set)
            .and_then(|mut set| set.query([]).and_then(|mut rows| rows.next().map(|_| ())))
            .map_err(unopenable)?;
        let found: String = connection
            .query_row(get, [], |row| {
                Ok(match row.get_ref(0)? {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    other => other.as_str().unwrap_or_default().to_owned(),
                })
            })
            .map_err(unopenable)?;
        if found != expected {
            return Err(OpenError::Unsafe {
                path: path.into(),
                setting,
                found,
            });
        }
    }
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let unopenable = |source| OpenError::Unopenable {
        path: path.into(),
        source,
    };
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    // immediate: the second of two processes waits here, and then finds nothing left to do
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unopenable)?;
    let found: i64 = transaction
        .query_row("pragma user_version", [], |row| row.get(0))
        .map_err(unopenable)?;
    if found > known {
        return Err(OpenError::Newer {
            path: path.into(),
            found,
            known,
        });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration).map_err(unopenable)?;
    }
    transaction
        .pragma_update(None, "user_version", known)
        .map_err(unopenable)?;
    transaction.commit().map_err(unopenable)
}
