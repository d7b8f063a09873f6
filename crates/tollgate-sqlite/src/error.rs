//! Why a file could not be opened.

use std::path::PathBuf;
use tollgate_core::store::{StoreError, StoreErrorKind};

/// Why a file could not be opened. Each names the file and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It lives only in memory, so it cannot guard money.
    #[error("{path:?} would live only in memory: give a path, or use tollgate_core::store::memory for tests")]
    InMemory {
        /// Which.
        path: PathBuf,
    },
    /// SQLite cannot open it.
    #[error("cannot open {path:?}: is the folder there, writable, and the file a SQLite database?")]
    Unopenable {
        /// Which.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file does not take the settings that keep money safe.
    #[error(
        "{path:?} does not take {setting}: it answers {found:?}. Is it on a network file system, or opened read-only?"
    )]
    Unsafe {
        /// Which.
        path: PathBuf,
        /// Which setting.
        setting: &'static str,
        /// What the file says instead.
        found: String,
    },
    /// A newer version of tollgate wrote it.
    #[error(
        "{path:?} was written by a newer tollgate (schema {found}, this build knows {known}): upgrade this process"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema this build knows.
        known: i64,
    },
    /// It is somebody else's database.
    #[error("{path:?} is another application's database: give tollgate a file of its own")]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// The writer's thread could not be started.
    #[error("cannot start the writer's thread")]
    Thread(#[source] std::io::Error),
}

/// A failed step: nothing of it was written.
pub(crate) fn step_failed(error: rusqlite::Error) -> StoreError {
    let kind = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            rusqlite::ErrorCode::DiskFull => StoreErrorKind::Full,
            // a saga's id that belongs to another saga
            rusqlite::ErrorCode::ConstraintViolation => StoreErrorKind::Unsupported,
            rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase => {
                StoreErrorKind::Unreadable
            }
            _ => StoreErrorKind::Unavailable,
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => StoreErrorKind::Unreadable,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, "the SQLite store failed").with_source(error)
}

/// A column that holds something this build cannot read: never treated as absent.
pub(crate) fn unreadable(column: &'static str) -> rusqlite::Error {
    let what = format!("{column} holds something this build cannot read");
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, what.into())
}
