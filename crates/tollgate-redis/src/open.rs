//! Connects, and checks what the server promises.

use crate::connection::Connection;
use crate::error::{ConnectError, Failure, Weakness};
use crate::idempotency::Together;
use crate::script::Scripts;
use crate::server::{Server, key};
use redis::Cmd;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::store::Capabilities;

const CLOCK: &str = include_str!("lua/clock.lua");

/// How a server is used.
///
/// ```
/// use std::time::Duration;
/// use tollgate_redis::Settings;
///
/// let settings = Settings::new().prefix("payments").response_timeout(Duration::from_secs(2));
/// # let _ = settings;
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    prefix: String,
    connect_timeout: Duration,
    response_timeout: Duration,
    forget_after: Duration,
    may_forget: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// The defaults, which each setter names.
    #[must_use]
    pub fn new() -> Self {
        Self {
            prefix: "tollgate".into(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(5),
            forget_after: Duration::from_secs(400 * 24 * 60 * 60),
            may_forget: false,
        }
    }

    /// What every key begins with (default: `tollgate`): 1 to 64 letters, digits, `.`, `:`, `_`, `-`. Processes with one prefix share
    /// their records. It is the keys' hash tag, so that in a cluster everything of one prefix lies in one slot, on one node.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long connecting may take (default: 2 s).
    #[must_use]
    pub const fn connect_timeout(mut self, time: Duration) -> Self {
        self.connect_timeout = time;
        self
    }

    /// How long an answer may take (default: 5 s). After it the question *may have been carried out*.
    #[must_use]
    pub const fn response_timeout(mut self, time: Duration) -> Self {
        self.response_timeout = time;
        self
    }

    /// How long the server keeps a completed record beyond its retention when nobody collects (default: 400 days). Until then its key
    /// answers `Expired`; after it the key is free again.
    #[must_use]
    pub const fn forget_after(mut self, time: Duration) -> Self {
        self.forget_after = time;
        self
    }

    /// Takes a server that may forget what it acknowledged (default: it is refused). Good enough for quotas and counters. The store
    /// then says that it is not [durable](Capabilities::durable), and a layer that guards money refuses it in its turn.
    #[must_use]
    pub const fn dangerous_may_forget(mut self) -> Self {
        self.may_forget = true;
        self
    }
}

/// A handle to one server; clones share its connection, which is made again whenever it was lost.
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
}

struct Shared {
    server: Server,
    together: Together,
    weaknesses: Vec<Weakness>,
}

impl Redis {
    /// Connects (`redis://[user:password@]host[:port][/db]`, `unix:///path`) and checks that the server keeps what it acknowledges:
    /// `appendonly yes`, `appendfsync always`, `no-appendfsync-on-rewrite no`, `maxmemory-policy noeviction`, and that it is no
    /// replica; and that it is Redis 6.2 or later. It is checked now and not again: who changes the configuration later changes the promise.
    ///
    /// # Errors
    /// [`ConnectError`], naming the server, everything that is wrong with it, and the way out.
    pub async fn connect(url: &str, settings: Settings) -> Result<Self, ConnectError> {
        Self::connect_with(url, settings, CLOCK).await
    }

    pub(crate) async fn connect_with(
        url: &str,
        settings: Settings,
        clock: &str,
    ) -> Result<Self, ConnectError> {
        check_prefix(&settings.prefix)?;
        let connection = connection(url, settings.connect_timeout, settings.response_timeout)?;
        let server = connection.server();
        let forbidden = |failure| ConnectError::Forbidden {
            server: server.clone(),
            failure,
            keys: format!("~{{{}}}:*", settings.prefix),
        };
        let unreachable = |failure| match failure {
            Failure::Forbidden(code) if code == "NOPERM" => forbidden(Failure::Forbidden(code)),
            failure => ConnectError::Unreachable {
                server: server.clone(),
                failure,
            },
        };
        // in a cluster: is this prefix here?
        ask::<i64>(
            &connection,
            redis::cmd("EXISTS").arg(key(&settings.prefix, "watch")),
        )
        .await
        .map_err(unreachable)?;
        let info: String = ask(&connection, redis::cmd("INFO").arg("server"))
            .await
            .map_err(unreachable)?;
        if let Some(version) = too_old(&info) {
            let version = version.to_owned();
            return Err(ConnectError::TooOld { server, version });
        }
        // may this user run scripts, and ask for the time in them?
        let now = Scripts::new(CLOCK).now;
        ask::<redis::Value>(&connection, now.text().arg(1).arg(key(&settings.prefix, "watch")))
            .await
            .map_err(|failure| match failure {
                Failure::Other(_) | Failure::Forbidden(_) => forbidden(failure),
                failure => unreachable(failure),
            })?;
        let weaknesses = weaknesses(&connection, &server, settings.may_forget).await?;
        if !weaknesses.is_empty() && !settings.may_forget {
            return Err(ConnectError::Weak { server, weaknesses });
        }
        let server = Server::new(connection, clock, settings.prefix, settings.forget_after);
        Ok(Self {
            shared: Arc::new(Shared {
                together: Together::at(&server),
                server,
                weaknesses,
            }),
        })
    }

    /// What this server promises, as far as it was seen when it was connected to. It never says that it survives a failover: replicas
    /// get writes after they were acknowledged.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: self.shared.weaknesses.is_empty(),
            linearizable: !self.shared.weaknesses.contains(&Weakness::Replica),
            transactional: false,
            survives_failover: false,
        }
    }

    /// Why it is not durable: what [`Settings::dangerous_may_forget`] accepted.
    #[must_use]
    pub fn weaknesses(&self) -> &[Weakness] {
        &self.shared.weaknesses
    }

    /// What asks it.
    pub(crate) fn server(&self) -> &Server {
        &self.shared.server
    }

    /// What waits for it together.
    pub(crate) fn together(&self) -> &Together {
        &self.shared.together
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("server", &self.server().name())
            .field("prefix", &self.server().prefix())
            .field("weaknesses", &self.shared.weaknesses)
            .finish_non_exhaustive()
    }
}

/// A connection to the server at this URL.
pub(crate) fn connection(
    url: &str,
    connect_timeout: Duration,
    response_timeout: Duration,
) -> Result<Connection, ConnectError> {
    Connection::to(url, connect_timeout, response_timeout).map_err(|error| ConnectError::Url {
        reason: error.category().to_owned(),
    })
}

/// A prefix with braces in it would move the hash tag, and one key would lie elsewhere than the next.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), ConnectError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:_-".contains(c);
    if prefix.is_empty() || prefix.len() > 64 || !prefix.chars().all(plain) {
        return Err(ConnectError::Prefix {
            prefix: prefix.to_owned(),
        });
    }
    Ok(())
}

async fn ask<T: redis::FromRedisValue>(connection: &Connection, command: &Cmd) -> Result<T, Failure> {
    let found = connection.send(command).await;
    found
        .and_then(|value| Ok(redis::from_redis_value(value)?))
        .map_err(|error| Failure::of(&error))
}

/// The version that a server tells of itself, if that is before 6.2. One that tells none is taken: it fails at the first script, before
/// anything is sent.
pub(crate) fn too_old(info: &str) -> Option<&str> {
    let version = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"))?
        .trim();
    let mut parts = version.split('.').map(|part| part.parse().ok());
    let (major, minor): (u32, u32) = (parts.next()??, parts.next()??);
    ((major, minor) < (6, 2)).then_some(version)
}

/// All that may make this server forget. When it does not say: an error, or one more weakness.
async fn weaknesses(
    connection: &Connection,
    server: &str,
    may_forget: bool,
) -> Result<Vec<Weakness>, ConnectError> {
    let info: String = ask(connection, redis::cmd("INFO").arg("replication"))
        .await
        .map_err(|failure| ConnectError::Unreachable {
            server: server.to_owned(),
            failure,
        })?;
    let mut found = Vec::new();
    if !info.lines().any(|line| line.trim_end() == "role:master") {
        found.push(Weakness::Replica);
    }
    match configuration(connection).await {
        Ok(configuration) => found.extend(configuration),
        Err(_) if may_forget => found.push(Weakness::Unknown),
        Err(failure) => {
            return Err(ConnectError::Unknown {
                server: server.to_owned(),
                failure,
            });
        }
    }
    Ok(found)
}

async fn configuration(connection: &Connection) -> Result<Vec<Weakness>, Failure> {
    let appendonly = setting(connection, "appendonly").await?;
    let appendfsync = setting(connection, "appendfsync").await?;
    let pauses = setting(connection, "no-appendfsync-on-rewrite").await?;
    let policy = setting(connection, "maxmemory-policy").await?;
    let mut found = Vec::new();
    if appendonly != "yes" {
        found.push(Weakness::NoLog);
    }
    if appendfsync != "always" {
        found.push(Weakness::LateFlush { appendfsync });
    }
    if pauses != "no" {
        found.push(Weakness::NoFlushDuringRewrite);
    }
    if policy != "noeviction" {
        found.push(Weakness::Evicts { policy });
    }
    Ok(found)
}

async fn setting(connection: &Connection, name: &str) -> Result<String, Failure> {
    let mut found: HashMap<String, String> =
        ask(connection, redis::cmd("CONFIG").arg("GET").arg(name)).await?;
    // some managed servers answer, but not with this
    found
        .remove(name)
        .ok_or_else(|| Failure::Other(format!("nothing about {name}")))
}
