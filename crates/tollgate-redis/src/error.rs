//! Why a server could not be used, and what its answers mean.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::fmt;
use tollgate_core::store::{StoreError, StoreErrorKind};

/// Why a server could not be used. Each names the server and the way out; none repeats the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be read.
    #[error(
        "this is no Redis URL that can be used (redis://host:port/db, or rediss://… where the driver was built with TLS): {reason}"
    )]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// The prefix cannot be used.
    #[error("a prefix is 1 to 64 letters, digits, '.', ':', '_' or '-', but not {prefix:?}")]
    Prefix {
        /// Which.
        prefix: String,
    },
    /// It does not answer, or not as a Redis server would.
    #[error("{server} cannot be used: {failure}. Is it running, reachable, and are user and password right?")]
    Unreachable {
        /// Which.
        server: String,
        /// What it says.
        failure: Failure,
    },
    /// This user may not do what the store does.
    #[error(
        "{server} does not let this user do what the store does ({failure}): allow it the keys `{keys}` and the commands that the README \
         of tollgate-redis lists"
    )]
    Forbidden {
        /// Which.
        server: String,
        /// What it says.
        failure: Failure,
        /// The pattern of the keys, as `ACL SETUSER` wants it.
        keys: String,
    },
    /// Its scripts cannot run there.
    #[error("{server} is Redis {version}; 6.2 or a later one is needed (SET with PXAT)")]
    TooOld {
        /// Which.
        server: String,
        /// What it is.
        version: String,
    },
    /// It may forget what it acknowledged.
    #[error(
        "{server} cannot guard money: {}. Set what is named, or accept the loss with Settings::dangerous_may_forget",
        list(.weaknesses)
    )]
    Weak {
        /// Which.
        server: String,
        /// All that was found.
        weaknesses: Vec<Weakness>,
    },
    /// It does not say how it is configured, as managed servers do not.
    #[error(
        "{server} does not let CONFIG GET be asked ({failure}), so nobody knows whether it keeps what it acknowledges. Allow this \
         user CONFIG GET, use a server of your own or the PostgreSQL store, or accept the loss with Settings::dangerous_may_forget"
    )]
    Unknown {
        /// Which.
        server: String,
        /// What it says.
        failure: Failure,
    },
}

/// Why a server may forget what it acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Weakness {
    /// It keeps no log of writes: everything since the last snapshot goes with the process.
    NoLog,
    /// It flushes its log later than it answers: up to a second goes with the machine, and a lost `Armed` is a second charge.
    LateFlush {
        /// The `appendfsync` that it has.
        appendfsync: String,
    },
    /// It does not flush its log while it rewrites it, whatever `appendfsync` says.
    NoFlushDuringRewrite,
    /// It drops keys when memory runs out: a dropped `Armed` is a second charge.
    Evicts {
        /// The `maxmemory-policy` that it has.
        policy: String,
    },
    /// It is a replica: it takes no writes, and what it reads may be old.
    Replica,
    /// It does not say how it is configured.
    Unknown,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLog => f.write_str("appendonly is no, and must be yes"),
            Self::LateFlush { appendfsync } => {
                write!(f, "appendfsync is {appendfsync}, and must be always")
            }
            Self::NoFlushDuringRewrite => f.write_str("no-appendfsync-on-rewrite is yes, and must be no"),
            Self::Evicts { policy } => write!(f, "maxmemory-policy is {policy}, and must be noeviction"),
            Self::Replica => f.write_str("it is a replica; connect to its primary"),
            Self::Unknown => f.write_str("it does not say how it is configured"),
        }
    }
}

fn list(weaknesses: &[Weakness]) -> String {
    let all: Vec<_> = weaknesses.iter().map(Weakness::to_string).collect();
    all.join("; ")
}

/// What went wrong, as the [source](std::error::Error::source) of a [`StoreError`].
///
/// Only the server's own code word is kept of its message: the rest may quote arguments, and arguments are answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Nobody listens there: nothing was sent.
    #[error("nobody listens there")]
    Refused,
    /// The connection was lost, or no answer came in time. What was asked may have been done.
    #[error("the connection was lost, or no answer came in time")]
    Lost,
    /// `READONLY`, `MASTERDOWN`: it is a replica, after a failover for instance.
    #[error("it is a replica and takes no writes (READONLY)")]
    ReadOnly,
    /// `LOADING`: it is reading its data after a start.
    #[error("it is still loading its data (LOADING)")]
    Loading,
    /// `CLUSTERDOWN`, `TRYAGAIN`: the cluster does not serve this slot now.
    #[error("the cluster does not serve this slot now (CLUSTERDOWN)")]
    ClusterDown,
    /// `MOVED`, `ASK`: another node of the cluster has this prefix.
    #[error("another node of the cluster has this prefix (MOVED): connect to that one")]
    Elsewhere,
    /// `OOM`: it has no memory left, and takes no writes.
    #[error("it has no memory left (OOM)")]
    OutOfMemory,
    /// `MISCONF`, `NOREPLICAS`, `BUSY`: it takes no writes now.
    #[error("it takes no writes now ({0})")]
    NotNow(String),
    /// `NOAUTH`, `WRONGPASS`, `NOPERM`: this user may not.
    #[error("this user may not ({0})")]
    Forbidden(String),
    /// What it holds cannot be read by this build, or is not ours.
    #[error("it holds something under this key that this build cannot read")]
    Unreadable,
    /// Anything else. What was asked may have been done.
    #[error("it answered {0}")]
    Other(String),
}

impl Failure {
    pub(crate) fn of(error: &RedisError) -> Self {
        match error.kind() {
            // only a refused connection proves that nothing was sent
            ErrorKind::Io if error.is_connection_refusal() => Self::Refused,
            // an answer that ends in the middle cannot be parsed
            ErrorKind::Io | ErrorKind::Parse => Self::Lost,
            ErrorKind::AuthenticationFailed => Self::Forbidden("NOAUTH".into()),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => Self::ReadOnly,
            ErrorKind::Server(ServerErrorKind::BusyLoading) => Self::Loading,
            ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::TryAgain) => Self::ClusterDown,
            ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => Self::Elsewhere,
            _ => Self::of_code(error.code().unwrap_or(error.category())),
        }
    }

    fn of_code(code: &str) -> Self {
        match code {
            "OOM" => Self::OutOfMemory,
            "MISCONF" | "NOREPLICAS" | "BUSY" => Self::NotNow(code.into()),
            "NOAUTH" | "WRONGPASS" | "NOPERM" => Self::Forbidden(code.into()),
            "UNREADABLE" | "WRONGTYPE" => Self::Unreadable,
            other => Self::Other(other.into()),
        }
    }

    const fn kind(&self) -> StoreErrorKind {
        match self {
            Self::OutOfMemory => StoreErrorKind::Full,
            Self::Unreadable => StoreErrorKind::Unreadable,
            Self::Forbidden(_) => StoreErrorKind::Unsupported,
            _ => StoreErrorKind::Unavailable,
        }
    }

    /// Whether the server may have done what was asked. The other failures are answers that a server gives before it writes.
    const fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Lost | Self::Other(_))
    }

    /// As the answer to a question that would have written, or only read.
    pub(crate) fn into_store_error(self, writes: bool) -> StoreError {
        let doubt = writes && self.leaves_doubt();
        let error = StoreError::new(self.kind(), "the Redis store failed").with_source(self);
        if doubt { error.possibly_applied() } else { error }
    }
}

/// An answer that a script of ours does not give: another version's, or not a Redis server's.
pub(crate) fn unreadable() -> StoreError {
    Failure::Unreadable.into_store_error(false)
}
