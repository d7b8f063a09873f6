//! The store's connections.
//!
//! sqlx has a pool too. It asks every connection that comes back whether it still lives, before anybody else may have it, and that
//! cannot be turned off: a round trip more for every step, half of what a server can carry. Here a connection is asked only when it has
//! been idle for a while.

use crate::settings::Settings;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, Executor, PgConnection};
use std::collections::VecDeque;
use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// A connection that was idle for longer is asked whether it still lives.
const FRESH: Duration = Duration::from_secs(1);

/// How long that answer may take: a network that swallows it must not use up the time to make another connection.
const PROMPT: Duration = Duration::from_secs(2);

/// A connection that nobody needed for so long is closed.
const UNUSED: Duration = Duration::from_secs(10 * 60);

/// A connection is closed at this age: servers move, and sessions grow.
const AGE: Duration = Duration::from_secs(30 * 60);

/// The first pause while a server that starts takes no connections; doubled up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Clones share the connections.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    options: PgConnectOptions,
    settings: Settings,
    permits: Arc<Semaphore>,
    /// The last used at the back.
    idle: Mutex<VecDeque<Idle>>,
}

struct Idle {
    connection: PgConnection,
    born: Instant,
    since: Instant,
}

/// A connection at work. Whoever knows that nothing is left on it gives it back; otherwise it is closed, and the server rolls back
/// what was open.
pub(crate) struct Busy {
    pub(crate) connection: PgConnection,
    born: Instant,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(options: PgConnectOptions, settings: Settings) -> Self {
        let most = usize::try_from(settings.max_connections.max(1)).unwrap_or(Semaphore::MAX_PERMITS);
        Self(Arc::new(Shared {
            options,
            permits: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            settings,
            idle: Mutex::default(),
        }))
    }

    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.0.options
    }

    /// How long a step may take.
    pub(crate) fn response_timeout(&self) -> Duration {
        self.0.settings.response_timeout
    }

    /// A connection that lives, as far as can be known; within the time that the settings allow.
    pub(crate) async fn acquire(&self) -> Result<Busy, Error> {
        let deadline = Instant::now()
            .checked_add(self.0.settings.acquire_timeout)
            .ok_or(Error::PoolTimedOut)?;
        let acquire = async {
            let permit = Arc::clone(&self.0.permits).acquire_owned().await;
            let permit = permit.map_err(|_| Error::PoolClosed)?;
            let (mut connection, born) = match self.lively().await {
                Some(idle) => (idle.connection, idle.born),
                None => (connect(&self.0.options).await?, Instant::now()),
            };
            if let Some(sql) = self.0.settings.before_each_step() {
                connection.execute(AssertSqlSafe(sql)).await?;
            }
            Ok(Busy {
                connection,
                born,
                shared: Arc::clone(&self.0),
                _permit: permit,
            })
        };
        timeout_at(deadline, acquire)
            .await
            .unwrap_or(Err(Error::PoolTimedOut))
    }

    /// The last used of the idle connections that live.
    async fn lively(&self) -> Option<Idle> {
        loop {
            let mut idle = self.0.idle().pop_back()?;
            if idle.since.elapsed() <= FRESH {
                return Some(idle);
            }
            if let Ok(Ok(())) = timeout(PROMPT, idle.connection.ping()).await {
                return Some(idle);
            }
        }
    }

    /// Waits for the steps that run, closes the connections, and gives none any more.
    pub(crate) async fn close(&self) {
        let most = self.0.settings.max_connections.max(1);
        let all = self.0.permits.acquire_many(most).await;
        self.0.permits.close();
        drop(all);
        let idle = std::mem::take(&mut *self.0.idle());
        for idle in idle {
            let _ = idle.connection.close().await;
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("idle", &self.0.idle().len())
            .field("free", &self.0.permits.available_permits())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<Idle>> {
        // nothing panics while it holds it
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    /// For the next step.
    pub(crate) fn give_back(self) {
        if self.born.elapsed() > AGE {
            return farewell(self.connection);
        }
        let since = Instant::now();
        let mut idle = self.shared.idle();
        idle.push_back(Idle {
            connection: self.connection,
            born: self.born,
            since,
        });
        let unused = match idle.front() {
            Some(first) if first.since.elapsed() > UNUSED => idle.pop_front(),
            _ => None,
        };
        drop(idle);
        if let Some(unused) = unused {
            farewell(unused.connection);
        }
        // the permit goes last: whoever gets it finds the connection
    }
}

/// Closes as the protocol wants it, in the background.
fn farewell(connection: PgConnection) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(timeout(PROMPT, connection.close()));
    } // no runtime: dropping it closes the socket
}

/// A new connection. A server that is starting, or restarting, takes none for a moment: worth the wait that the caller bounds.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    let mut pause = PAUSE;
    loop {
        match options.connect().await {
            Err(error) if is_passing(&error) => sleep(pause).await,
            done => return done,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn is_passing(error: &Error) -> bool {
    match error {
        Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
        ),
        // cannot_connect_now; too_many_connections
        Error::Database(error) => matches!(DatabaseError::code(&**error).as_deref(), Some("57P03" | "53300")),
        _ => false,
    }
}
