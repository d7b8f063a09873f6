//! Why a database was not taken, and what a failed step knows about itself.
//!
//! Failures are told apart by SQLSTATE, never by their text: text is translated and reworded.

use sqlx::error::DatabaseError;
use std::fmt;
use tollgate_core::store::idempotency::Phase;
use tollgate_core::store::{StoreError, StoreErrorKind};

/// Why a database was not taken. Each says what is the matter and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It cannot be reached, or fails.
    #[error("cannot reach the database: is the address right, the server up, and the role allowed in?")]
    Unreachable(#[source] sqlx::Error),
    /// It does not keep what it acknowledges.
    #[error(
        "the server has {setting} = {found}: acknowledged claims would be lost in a crash; set it to {wanted}"
    )]
    Unsafe {
        /// Which setting.
        setting: &'static str,
        /// What it says.
        found: String,
        /// What guards money.
        wanted: &'static str,
    },
    /// It is a standby, which cannot take a claim and answers with yesterday's.
    #[error("the server is a read-only standby: give the address of the primary")]
    Standby,
    /// A pooler stands between, and gives the server's connections to one client after the other: what one has prepared another would call.
    #[error(
        "a pooler gives the connections of the database to one client after the other (`pool_mode = transaction` or `statement`), and \
         prepared statements of one would be run for another: set it to session pooling, give the address of the database itself, or \
         say `Settings::transaction_pooling` where it pools per transaction"
    )]
    SharedConnections,
    /// The role may not use the schema `tollgate`, or what is in it.
    #[error(
        "the role lacks rights on {what}: grant it usage on the schema tollgate, and select, insert, update, delete on all of its tables"
    )]
    Forbidden {
        /// On what.
        what: String,
    },
    /// Row security hides records from this role: what it cannot see it would take for absent.
    #[error(
        "row security hides rows of tollgate.{table} from this role: disable it there, or give the role bypassrls"
    )]
    Hidden {
        /// Of which table.
        table: String,
    },
    /// It lets this role read only.
    #[error("the database takes no writes from this role: it has default_transaction_read_only = on")]
    ReadOnly,
    /// Its tables are missing, or of an older version, and nobody asked to migrate.
    #[error(
        "the database has schema {found} of tollgate, this build needs {known}: open it once with `Settings::migrate`, by a role that may create tables"
    )]
    Outdated {
        /// Its schema; 0 when there is none.
        found: i32,
        /// The schema this build needs.
        known: i32,
    },
    /// A newer version of tollgate wrote it.
    #[error(
        "the database was written by a newer tollgate (schema {found}, this build knows {known}): upgrade this process"
    )]
    Newer {
        /// Its schema.
        found: i32,
        /// The newest schema this build knows.
        known: i32,
    },
    /// Somebody else has a schema of our name.
    #[error("the database has a schema \"tollgate\" that is not ours: give tollgate a database without one")]
    Foreign,
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        match &*sqlstate(&error) {
            "42501" => Self::Forbidden {
                what: "the schema tollgate".into(),
            },
            _ => Self::Unreachable(error),
        }
    }
}

/// Why an answer was not written into the caller's transaction. Whatever it is, roll the transaction back.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotSettled {
    /// This very settlement is committed already, by an earlier transaction, and so are that transaction's other rows.
    #[error("the answer was committed before")]
    AlreadyApplied,
    /// Somebody else decided meanwhile; the record stands at this phase.
    #[error("the claim was lost: the record is {}", .0.as_str())]
    Fenced(Phase),
    /// There is no such record.
    #[error("there is no such record")]
    Gone,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const READ_ONLY: &str = "the database is read-only: is it a standby?";

/// A failed step, and how far it had come.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Before anything of it was sent that writes.
    Before(sqlx::Error),
    /// After a write was sent.
    Write(sqlx::Error),
    /// It was sent, and nothing came back in time.
    Silent,
    /// It lost too many races.
    Contended,
    /// The server would forget the claim in a crash.
    Forgetful,
    /// The server takes no writes, and need not know the latest.
    ReadOnly,
}

impl Failure {
    /// As the answer of a step whose statements commit by themselves.
    pub(crate) fn alone(self) -> StoreError {
        let lost = match &self {
            Self::Write(error) => is_answer_lost(error),
            Self::Silent => true,
            Self::Before(_) | Self::Contended | Self::Forgetful | Self::ReadOnly => false,
        };
        let error = self.inside();
        if lost { error.possibly_applied() } else { error }
    }

    /// As the answer of a step inside a transaction that was not committed: nothing was written.
    pub(crate) fn inside(self) -> StoreError {
        match self {
            Self::Before(error) | Self::Write(error) => store_error(error),
            Self::Silent => StoreError::unavailable("the database did not answer in time"),
            Self::Contended => StoreError::unavailable("too many others write the same record"),
            Self::ReadOnly => StoreError::unavailable(READ_ONLY),
            Self::Forgetful => StoreError::new(
                StoreErrorKind::Unsupported,
                "the server has synchronous_commit = off: it would forget an acknowledged claim in a crash",
            ),
        }
    }

    /// Whether the next step may have the connection: the server is waiting for a statement, outside of any transaction.
    pub(crate) fn leaves_the_connection_whole(&self) -> bool {
        match self {
            Self::Before(error) | Self::Write(error) => {
                let alive = matches!(error, sqlx::Error::Database(_)) && !is_answer_lost(error);
                alive && !is_read_only(&sqlstate(error)) // as below
            }
            // after a failover the address leads elsewhere, and the connection still to what has become a standby
            Self::Silent | Self::ReadOnly => false,
            Self::Contended | Self::Forgetful => true,
        }
    }

    /// The statement was rolled back because somebody else's came first; asking again is all it takes.
    pub(crate) fn is_lost_race(&self) -> bool {
        // serialization_failure, deadlock_detected
        matches!(self, Self::Before(error) | Self::Write(error) if matches!(&*sqlstate(error), "40001" | "40P01"))
    }
}

/// What a standby says to a write, and to a transaction that is to write: read_only_sql_transaction, feature_not_supported.
fn is_read_only(code: &str) -> bool {
    matches!(code, "25006" | "0A000")
}

fn sqlstate(error: &sqlx::Error) -> String {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.unwrap_or_default().into_owned()
}

/// Whether a statement that was sent may have been committed all the same. When in doubt it may.
fn is_answer_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => {
            let code = sqlstate(error);
            // connection_exception, operator_intervention that ends the session, statement_completion_unknown
            code.starts_with("08") || code.starts_with("57P") || code == "40003"
        }
        // never left this process
        sqlx::Error::Configuration(_)
        | sqlx::Error::InvalidArgument(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => false,
        _ => true,
    }
}

fn store_error(error: sqlx::Error) -> StoreError {
    let (kind, message) = match &error {
        sqlx::Error::Database(_) => kind_of(&sqlstate(&error)),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. } => (
            StoreErrorKind::Unreadable,
            "the database holds something this build cannot read",
        ),
        // what the pool found out about a connection that was idle
        sqlx::Error::Configuration(_) => (
            StoreErrorKind::Unsupported,
            "a pooler has begun to share the database's connections",
        ),
        sqlx::Error::InvalidArgument(_) | sqlx::Error::Encode(_) => {
            (StoreErrorKind::Unsupported, "the database cannot hold this")
        }
        _ => (StoreErrorKind::Unavailable, "the database does not answer"),
    };
    let plain = StoreError::new(kind, message);
    match error {
        sqlx::Error::Database(said) => plain.with_source(Said::of(&*said)),
        other => plain.with_source(other),
    }
}

fn kind_of(code: &str) -> (StoreErrorKind, &'static str) {
    match code {
        "53100" => (StoreErrorKind::Full, "the database's disk is full"),
        "XX001" | "XX002" => (StoreErrorKind::Unreadable, "the database is damaged"),
        "3F000" | "42P01" | "42703" => (
            StoreErrorKind::Unsupported,
            "the database lacks our tables, or their columns: open the store with `Settings::migrate` once",
        ),
        "42501" => (
            StoreErrorKind::Unsupported,
            "the database role lacks a right on our tables",
        ),
        // a saga's id that belongs to another saga
        "23505" => (StoreErrorKind::Unsupported, "the id belongs to another record"),
        // text that PostgreSQL cannot hold (a zero byte), or that is too long for an index
        _ if code.starts_with("22") || code.starts_with("54") => {
            (StoreErrorKind::Unsupported, "the database cannot hold this")
        }
        _ if is_read_only(code) => (StoreErrorKind::Unavailable, READ_ONLY),
        _ => (StoreErrorKind::Unavailable, "the database failed"),
    }
}

/// What the server said, without the detail: that quotes the row, and rows are personal data.
#[derive(Debug)]
struct Said {
    code: String,
    message: String,
}

impl Said {
    fn of(error: &dyn DatabaseError) -> Self {
        Self {
            code: error.code().unwrap_or_default().into_owned(),
            message: error.message().to_owned(),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL says {}: {}", self.code, self.message)
    }
}

impl std::error::Error for Said {}

/// A column that holds something this build cannot read: never treated as absent.
pub(crate) fn unreadable(column: &'static str) -> Failure {
    let what = format!("{column} holds something this build cannot read");
    Failure::Before(sqlx::Error::Decode(what.into()))
}
