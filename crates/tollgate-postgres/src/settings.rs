//! How a store is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How a store is opened.
///
/// ```
/// use std::time::Duration;
/// use tollgate_postgres::Settings;
///
/// let settings = Settings::new().migrate().max_connections(20).acquire_timeout(Duration::from_secs(2));
/// # let _ = settings;
/// ```
#[derive(Clone)]
pub struct Settings {
    pub(crate) migrate: bool,
    pub(crate) max_connections: u32,
    pub(crate) acquire_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) listen: bool,
    pub(crate) survives_failover: bool,
    pub(crate) transaction_pooling: bool,
    before_each_step: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("migrate", &self.migrate)
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("listen", &self.listen)
            .field("survives_failover", &self.survives_failover)
            .field("transaction_pooling", &self.transaction_pooling)
            .finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// No migration; ten connections, and one more that listens once somebody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            migrate: false,
            max_connections: 10,
            acquire_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(10),
            listen: true,
            survives_failover: false,
            transaction_pooling: false,
            before_each_step: None,
        }
    }

    /// SQL that a connection runs before each step, a round trip of its own. For tests that set the server's clock.
    #[doc(hidden)]
    #[must_use]
    pub fn dangerous_before_each_step(mut self, sql: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.before_each_step = Some(Arc::new(sql));
        self
    }

    pub(crate) fn before_each_step(&self) -> Option<String> {
        self.before_each_step.as_ref().map(|sql| sql())
    }

    /// Brings the schema `tollgate` up to date, or makes it, when the store is opened (default: a schema that is not up to date is
    /// refused). Safe when several processes do so at once, and while others are at work. With nothing to do it writes nothing and
    /// needs no right to. Dropped halfway, it leaves the schema as it was.
    #[must_use]
    pub fn migrate(mut self) -> Self {
        self.migrate = true;
        self
    }

    /// Sets how many connections work at most (default: 10).
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets how long a step waits for a connection, a server that restarts included (default: 10 s). After that it answers
    /// `Unavailable`, and nothing was written.
    #[must_use]
    pub fn acquire_timeout(mut self, time: Duration) -> Self {
        self.acquire_timeout = time;
        self
    }

    /// Sets how long a step may take once it has its connection (default: 10 s): a network that swallows the answer, or a row that somebody
    /// holds, must not keep a caller for as long as TCP does. After it the step *may have been carried out*, as its error says, and its
    /// connection is closed. Steps that go together share the time.
    #[must_use]
    pub fn response_timeout(mut self, time: Duration) -> Self {
        self.response_timeout = time;
        self
    }

    /// Sets whether those who wait for a claim to end are told by the server (default: `true`, over one more connection). Otherwise
    /// they ask from time to time.
    #[must_use]
    pub fn listen(mut self, listen: bool) -> Self {
        self.listen = listen;
        self
    }

    /// States that a pooler stands before the database and hands out its connections per transaction, as pgbouncer does with `pool_mode =
    /// transaction` (default: `false`, and such a pooler is refused when the store is opened). Each step is then a transaction, with
    /// statements that have no name: four round trips where there would be one, eight for a guarded call. Nobody listens, so those who wait
    /// for a claim to end ask from time to time. Works over any address, also the database's own.
    ///
    /// Session pooling needs none of this. Statement pooling cannot be used: it knows no transactions.
    #[must_use]
    pub fn transaction_pooling(mut self) -> Self {
        self.transaction_pooling = true;
        self
    }

    /// States that the cluster acknowledges a commit only once a standby has it too, and fails over to such a standby only (default:
    /// `false`; with asynchronous replicas a failover forgets the last claims, and a forgotten claim is a second charge).
    #[must_use]
    pub fn survives_failover(mut self, survives: bool) -> Self {
        self.survives_failover = survives;
        self
    }
}
