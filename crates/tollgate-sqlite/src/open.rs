//! Opens a file, checks what it promises, brings its schema up to date.

use crate::error::OpenError;
use crate::writer::{Answer, Writer};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::store::Capabilities;
use tollgate_core::{Clock, SystemClock, Timestamp};

/// What each version adds; never changed once published.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_ports.sql")];

/// More statements than all ports together have.
const STATEMENTS: usize = 64;

/// Marks a file as ours ("tlgt" in ASCII), as SQLite's `application_id` is meant for.
const APPLICATION: i64 = 0x746c_6774;

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
        Self::over(patiently(|| prepare(path))?, clock)
    }

    /// Over a connection that is prepared.
    pub(crate) fn over(connection: Connection, clock: impl Clock) -> Result<Self, OpenError> {
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

/// How long to wait before another try, where SQLite itself does not wait.
const PAUSE: Duration = Duration::from_millis(5);

/// Tries again while another process is in the way. SQLite's own busy timeout does not reach everywhere: while one process
/// switches a new file to WAL, or recovers it after a crash, others are turned away at once.
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "opening blocks its thread anyway, and there need not be a runtime yet"
)]
fn patiently(open: impl Fn() -> Result<Connection, OpenError>) -> Result<Connection, OpenError> {
    let start = std::time::Instant::now();
    loop {
        match open() {
            Err(OpenError::Unopenable { source, .. }) if is_busy(&source) && start.elapsed() < BUSY => {
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// Asks again every millisecond. SQLite's own handler soon sleeps for 100 ms at a time, and a process that writes without a pause
/// never leaves the lock for so long: the others would hardly ever get it. It goes by the time that has passed, since a millisecond's
/// sleep takes several on a busy machine.
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "SQLite asks on a thread that has nothing else to do, and there need not be a runtime"
)]
fn wait_for_the_lock() -> impl FnMut(i32) -> bool + Send {
    let mut since = std::time::Instant::now();
    move |asked| {
        if asked == 0 {
            since = std::time::Instant::now();
        }
        std::thread::sleep(Duration::from_millis(1));
        since.elapsed() < BUSY
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

pub(crate) fn prepare(path: &Path) -> Result<Connection, OpenError> {
    let unopenable = |source| OpenError::Unopenable {
        path: path.into(),
        source,
    };
    // without SQLITE_OPEN_URI: a path is a path, and cannot ask for memory, for no locks, or for another file system
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(unopenable)?;
    connection
        .busy_handler(Some(wait_for_the_lock()))
        .map_err(unopenable)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // before anything is written to a file that is not ours to write
    recognise(&connection, path)?;
    make_safe(&connection, path)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Sets what keeps money safe, and reads it back: a file that does not take a setting says so only then.
pub(crate) fn make_safe(connection: &Connection, path: &Path) -> Result<(), OpenError> {
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
        // on macOS a plain flush stops at the drive's own cache
        ("fullfsync=ON", "pragma fullfsync = on", "pragma fullfsync", "1"),
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
    // immediate: the second of two processes waits here, and then finds nothing left to do
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(unopenable)?;
    let (found, known) = recognise(&transaction, path)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(migration).map_err(unopenable)?;
    }
    for (pragma, value) in [("user_version", known), ("application_id", APPLICATION)] {
        transaction
            .pragma_update(None, pragma, value)
            .map_err(unopenable)?;
    }
    transaction.commit().map_err(unopenable)
}

/// The file's schema and the newest one this build knows. Refuses files of a newer build, and of other applications.
fn recognise(connection: &Connection, path: &Path) -> Result<(i64, i64), OpenError> {
    let ask = |sql: &str| -> Result<i64, OpenError> {
        connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|source| OpenError::Unopenable {
                path: path.into(),
                source,
            })
    };
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found = ask("pragma user_version")?;
    let empty = found == 0 && ask("select count(*) from sqlite_schema")? == 0;
    if !empty && ask("pragma application_id")? != APPLICATION {
        return Err(OpenError::Foreign { path: path.into() });
    }
    if found > known {
        return Err(OpenError::Newer {
            path: path.into(),
            found,
            known,
        });
    }
    Ok((found, known))
}
