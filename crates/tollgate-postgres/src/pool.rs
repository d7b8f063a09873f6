//! The store's connections.
//!
//! sqlx has a pool too. It asks every connection that comes back whether it still lives, before anybody else may have it, and that
//! cannot be turned off: a round trip more for every step, half of what a server can carry. Here a connection is asked only when it has
//! been idle for a while.

use crate::error::OpenError;
use crate::pooler::{process, refuse_shared};
use crate::settings::Settings;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, Executor, PgConnection};
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
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
    /// The server's process that it led to when it was made; `None` behind a pooler that shares it.
    process: Option<i32>,
    born: Instant,
    since: Instant,
}

/// A connection at work. Whoever knows that nothing is left on it gives it back; otherwise it is closed, and the server rolls back
/// what was open.
pub(crate) struct Busy {
    pub(crate) connection: PgConnection,
    process: Option<i32>,
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

    /// Refuses a pooler that hands our connections to others, where nobody has said that there is one.
    ///
    /// That takes two connections at once. Where there are few, several who open at the same time could each hold one and wait for the
    /// other: so nobody holds one for long, and whoever found no second one lets go and tries again, each at another time.
    pub(crate) async fn refuse_shared(&self) -> Result<(), OpenError> {
        let looking = async {
            let mut patience = PROMPT;
            loop {
                if let Ok(found) = timeout(patience, refuse_shared(|| connect(&self.0.options))).await {
                    let ours = self.settled_down(found?).await?;
                    self.0.idle().push_back(ours);
                    return Ok(());
                }
                sleep(some(LONGEST_PAUSE)).await;
                patience *= 2;
            }
        };
        timeout(self.0.settings.acquire_timeout, looking)
            .await
            .unwrap_or(Err(OpenError::Unreachable(Error::PoolTimedOut)))
    }

    /// Whether a pooler hands our connections to others between one transaction and the next.
    pub(crate) fn shares_connections(&self) -> bool {
        self.0.settings.transaction_pooling
    }

    /// What a transaction begins with, where a connection is nobody's before that.
    pub(crate) fn before_each_transaction(&self) -> Option<String> {
        let settings = &self.0.settings;
        settings
            .before_each_step()
            .filter(|_| settings.transaction_pooling)
    }

    /// What a connection of one's own is told before each step.
    fn before_each_step(&self) -> Option<String> {
        let settings = &self.0.settings;
        settings
            .before_each_step()
            .filter(|_| !settings.transaction_pooling)
    }

    /// A connection that lives, as far as can be known; within the time that the settings allow.
    pub(crate) async fn acquire(&self) -> Result<Busy, Error> {
        let deadline = Instant::now()
            .checked_add(self.0.settings.acquire_timeout)
            .ok_or(Error::PoolTimedOut)?;
        let acquire = async {
            let permit = Arc::clone(&self.0.permits).acquire_owned().await;
            let permit = permit.map_err(|_| Error::PoolClosed)?;
            let Idle {
                mut connection,
                process,
                born,
                ..
            } = match self.lively().await? {
                Some(idle) => idle,
                None => Box::pin(self.idle_or_new()).await?,
            };
            if let Some(sql) = self.before_each_step() {
                connection.execute(AssertSqlSafe(sql)).await?;
            }
            Ok(Busy {
                connection,
                process,
                born,
                shared: Arc::clone(&self.0),
                _permit: permit,
            })
        };
        timeout_at(deadline, acquire)
            .await
            .unwrap_or(Err(Error::PoolTimedOut))
    }

    /// A new connection, or one that became idle while the server took no more of them.
    async fn idle_or_new(&self) -> Result<Idle, Error> {
        let mut pause = PAUSE;
        loop {
            match self.0.options.connect().await {
                Err(error) if is_passing(&error) => sleep(pause).await,
                made => return self.settled_down(made?).await,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            if let Some(idle) = self.lively().await? {
                return Ok(idle);
            }
        }
    }

    /// A new connection, made ready. A statement that commits by itself shall do so as it was written for, whatever isolation the server, the
    /// database or the role has as its default.
    async fn settled_down(&self, mut connection: PgConnection) -> Result<Idle, Error> {
        let process = match self.shares_connections() {
            true => None,
            false => {
                connection
                    .execute("set session characteristics as transaction isolation level read committed")
                    .await?;
                Some(process(&mut connection).await?)
            }
        };
        let now = Instant::now();
        Ok(Idle {
            connection,
            process,
            born: now,
            since: now,
        })
    }

    /// The last used of the idle connections that live. Fails if one leads to another process of the server than it did: a pooler has begun
    /// to share it.
    async fn lively(&self) -> Result<Option<Idle>, Error> {
        loop {
            let Some(mut idle) = self.0.idle().pop_back() else {
                return Ok(None);
            };
            if idle.since.elapsed() <= FRESH {
                return Ok(Some(idle));
            }
            let Some(before) = idle.process else {
                if let Ok(Ok(())) = timeout(PROMPT, idle.connection.ping()).await {
                    return Ok(Some(idle));
                }
                continue;
            };
            match timeout(PROMPT, process(&mut idle.connection)).await {
                Ok(Ok(now)) if now == before => return Ok(Some(idle)),
                Ok(Ok(_)) => return Err(Error::Configuration(OpenError::SharedConnections.into())),
                _ => {}
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
            process: self.process,
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

/// A connection. A server that is starting, or restarting, takes none for a moment: worth the wait that the caller bounds.
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

/// Some of this time: chance keeps those apart who would do the same at the same moments.
fn some(time: Duration) -> Duration {
    let chance = RandomState::new().hash_one(time) % 256;
    time * u32::try_from(chance).unwrap_or(0) / 256
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
