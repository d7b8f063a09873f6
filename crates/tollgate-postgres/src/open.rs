//! Connects, checks what the server promises and which schema it has.

use crate::asking::{query, with_names};
use crate::ear::Ear;
use crate::error::OpenError;
use crate::idempotency::{LIMITS, Steps};
use crate::migrate::{known, migrate, recognise};
use crate::pool::Pool;
use crate::settings::Settings;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Executor, PgConnection, Row};
use std::fmt;
use tollgate_core::store::Capabilities;
use tollgate_core::store::together::Together;

/// A handle to one database; clones share its connections.
#[derive(Clone)]
pub struct Postgres {
    pub(crate) pool: Pool,
    pub(crate) ear: Option<Ear>,
    pub(crate) steps: Together<Steps>,
    capabilities: Capabilities,
}

impl Postgres {
    /// Connects, and checks what the server promises.
    ///
    /// ```no_run
    /// use tollgate_postgres::{Postgres, Settings};
    ///
    /// # async fn f() -> Result<(), tollgate_postgres::OpenError> {
    /// let store = Postgres::connect("postgres://payments@db.internal/payments", Settings::new().migrate()).await?;
    /// # let _ = store;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`OpenError`]: unreachable, a standby, `synchronous_commit = off`, or a schema that is older, newer or not ours.
    pub async fn connect(url: &str, settings: Settings) -> Result<Self, OpenError> {
        Self::connect_with(url.parse()?, settings).await
    }

    /// As [`connect`](Self::connect), with what sqlx knows about an address: those of the application's own pool are
    /// `(*pool.connect_options()).clone()`. The connections are the store's own all the same: one on which the application left a
    /// transaction open would take a claim that is never committed.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect_with(options: PgConnectOptions, settings: Settings) -> Result<Self, OpenError> {
        let pool = Pool::new(options, settings.clone());
        if !settings.transaction_pooling {
            Box::pin(pool.refuse_shared()).await?;
        }
        let mut busy = pool.acquire().await?;
        // boxed, as is the look for a pooler: what is done once must not make every caller's future large
        let opening = Box::pin(open(&mut busy.connection, &settings));
        let durable = with_names(!settings.transaction_pooling, opening).await?;
        busy.give_back();
        // behind a pooler that shares its connections, what is said reaches whoever has that connection then
        let listens = settings.listen && !settings.transaction_pooling;
        Ok(Self {
            ear: listens.then(|| Ear::new(pool.options().clone())),
            steps: Together::new(Steps(pool.clone()), LIMITS),
            pool,
            capabilities: Capabilities {
                durable,
                linearizable: true,
                transactional: true,
                survives_failover: settings.survives_failover,
            },
        })
    }

    /// What this store promises. `durable` is `false` on a server with `fsync = off`.
    #[must_use]
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Closes the connections, once the steps that run on them are done. Steps that are asked for later fail.
    pub async fn close(&self) {
        if let Some(ear) = &self.ear {
            ear.close();
        }
        self.pool.close().await;
    }
}

/// Addresses may hold passwords.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("pool", &self.pool)
            .field("ear", &self.ear)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

/// Looks at the server and at the schema, and migrates if it is to. Whether what the server acknowledges is on disk. Failed or dropped, it
/// may leave a transaction open.
async fn open(connection: &mut PgConnection, settings: &Settings) -> Result<bool, OpenError> {
    // behind a pooler the connection is ours within a transaction only
    let shared = settings.transaction_pooling;
    if shared {
        connection.execute("begin isolation level read committed").await?;
    }
    let durable = check(connection).await?;
    let (found, known) = (recognise(connection).await?, known());
    if shared {
        connection.execute("commit").await?;
    }
    if found != known {
        if !settings.migrate {
            return Err(OpenError::Outdated { found, known });
        }
        migrate(connection).await?;
    }
    Ok(durable)
}

/// Whether what the server acknowledges is on disk. Refuses a server that cannot guard anything.
async fn check(connection: &mut PgConnection) -> Result<bool, OpenError> {
    let row = query(
        "select pg_is_in_recovery(), current_setting('synchronous_commit'), current_setting('fsync'), \
         current_setting('default_transaction_read_only')",
    )
    .fetch_one(connection)
    .await?;
    if row.try_get(0)? {
        return Err(OpenError::Standby);
    }
    if row.try_get::<String, _>(3)? == "on" {
        return Err(OpenError::ReadOnly);
    }
    let found: String = row.try_get(1)?;
    if found == "off" {
        return Err(OpenError::Unsafe {
            setting: "synchronous_commit",
            found,
            wanted: "on",
        });
    }
    Ok(row.try_get::<String, _>(2)? == "on")
}
