//! One connection for one step: how a step begins, commits, fails, and is dropped.
//!
//! A connection goes back to the others only when nothing of its step can be left on it. In particular not when the step's future was
//! dropped halfway: whoever got that connection next would write into a transaction that nobody ever commits. Such a connection is
//! closed, and the server rolls back.

use crate::Postgres;
use crate::asking::with_names;
use crate::error::Failure;
use crate::pool::{Busy, Pool};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::timeout;
use tollgate_core::Timestamp;
use tollgate_core::store::{Boxed, StoreError};

/// How often a step that lost a race asks again. Each loss is somebody else's success on the same key.
pub(crate) const PATIENCE: u32 = 100;

/// A step at work.
pub(crate) type Running<'c, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'c>>;

/// The server's time, in whole microseconds. It goes on within a statement: who needs it twice reads it once, in [`clock`] or [`read_once`].
macro_rules! time {
    () => {
        "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
    };
}
pub(crate) use time;

/// Whether the server would forget what it has just acknowledged.
macro_rules! forgetful {
    () => {
        "current_setting('synchronous_commit') = 'off'"
    };
}
pub(crate) use forgetful;

/// Whether the server takes no writes, as a standby does: what it knows may be of yesterday.
macro_rules! read_only {
    () => {
        "current_setting('transaction_read_only') = 'on'"
    };
}
pub(crate) use read_only;

/// The server's time and whether it would forget, once per statement. A part of a `with`.
macro_rules! clock {
    () => {
        concat!(
            "clock as materialized (select ",
            crate::session::time!(),
            " as now, ",
            crate::session::forgetful!(),
            " as forgetful)"
        )
    };
}
pub(crate) use clock;

/// The server's time, once per statement, where that is all it needs: cheaper than a `with`, which keeps its rows. A part of a `from`.
macro_rules! read_once {
    () => {
        concat!("(select ", crate::session::time!(), " as now) as clock")
    };
}
pub(crate) use read_once;

/// So many microseconds later, as far as time goes.
macro_rules! later {
    ($by:literal) => {
        concat!("clock.now + least(", $by, ", 9223372036854775807 - clock.now)")
    };
}
pub(crate) use later;

/// As the database keeps durations.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// As the database keeps counts.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// As the rules know instants.
pub(crate) fn instant(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(micros)
}

impl Pool {
    /// Runs statements of which each commits by itself; all in one transaction where a pooler takes the connection away after each.
    pub(crate) fn step<T: Send + 'static>(
        &self,
        run: impl for<'c> FnOnce(&'c mut PgConnection) -> Running<'c, T> + Send + 'static,
    ) -> Boxed<T> {
        if self.shares_connections() {
            return self.transaction(Vec::new(), run);
        }
        self.by_itself(run)
    }

    /// Runs statements that only read. Once they have, whether their transaction is committed matters to nobody.
    fn look<T: Send + 'static>(
        &self,
        run: impl for<'c> FnOnce(&'c mut PgConnection) -> Running<'c, T> + Send + 'static,
    ) -> Boxed<T> {
        if !self.shares_connections() {
            return self.by_itself(run);
        }
        let pool = self.clone();
        Box::pin(async move {
            let mut session = open(&pool).await?;
            let read = within(&pool, async {
                begin(&pool, &mut session.connection, Vec::new()).await?;
                run(&mut session.connection).await
            });
            let answer = read.await.map_err(Failure::inside)?;
            if let Ok(Ok(_)) = timeout(pool.response_timeout(), session.connection.execute("commit")).await {
                session.give_back();
            }
            Ok(answer)
        })
    }

    fn by_itself<T: Send + 'static>(
        &self,
        run: impl for<'c> FnOnce(&'c mut PgConnection) -> Running<'c, T> + Send + 'static,
    ) -> Boxed<T> {
        let pool = self.clone();
        Box::pin(async move {
            let mut session = open(&pool).await?;
            let done = within(&pool, run(&mut session.connection)).await;
            if done
                .as_ref()
                .err()
                .is_none_or(Failure::leaves_the_connection_whole)
            {
                session.give_back();
            }
            done.map_err(Failure::alone)
        })
    }

    /// Runs statements in one transaction, which holds these locks from its first statement on. Processes that need the same locks
    /// queue for them.
    pub(crate) fn transaction<T: Send + 'static>(
        &self,
        locks: Vec<i64>,
        run: impl for<'c> FnOnce(&'c mut PgConnection) -> Running<'c, T> + Send + 'static,
    ) -> Boxed<T> {
        let pool = self.clone();
        Box::pin(async move {
            let mut session = open(&pool).await?;
            let done = within(&pool, async {
                begin(&pool, &mut session.connection, locks).await?;
                run(&mut session.connection).await
            })
            .await;
            end(&pool, session, done).await
        })
    }
}

impl Postgres {
    /// Runs statements of which each commits by itself.
    pub(crate) fn step<T: Send + 'static>(
        &self,
        run: impl for<'c> FnOnce(&'c mut PgConnection) -> Running<'c, T> + Send + 'static,
    ) -> Boxed<T> {
        self.pool.step(run)
    }

    /// Runs statements that only read.
    pub(crate) fn look<T: Send + 'static>(
        &self,
        run: impl for<'c> FnOnce(&'c mut PgConnection) -> Running<'c, T> + Send + 'static,
    ) -> Boxed<T> {
        self.pool.look(run)
    }

    /// Runs statements in one transaction, which holds these locks from its first statement on.
    pub(crate) fn transaction<T: Send + 'static>(
        &self,
        locks: Vec<i64>,
        run: impl for<'c> FnOnce(&'c mut PgConnection) -> Running<'c, T> + Send + 'static,
    ) -> Boxed<T> {
        self.pool.transaction(locks, run)
    }
}

async fn open(pool: &Pool) -> Result<Busy, StoreError> {
    pool.acquire()
        .await
        .map_err(|error| Failure::Before(error).alone())
}

/// What comes of it, if it comes in time. Otherwise the connection is in the middle of something, and must not be given back.
async fn within<T>(pool: &Pool, run: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(
        pool.response_timeout(),
        with_names(!pool.shares_connections(), run),
    )
    .await
    .unwrap_or(Err(Failure::Silent))
}

/// Commits, or rolls back; what was silent is left to the server, which rolls back when its connection is closed.
async fn end<T>(pool: &Pool, mut session: Busy, done: Result<T, Failure>) -> Result<T, StoreError> {
    if let Err(Failure::Silent) = done {
        return Err(Failure::Silent.inside());
    }
    let end = if done.is_ok() { "commit" } else { "rollback" };
    let ended = within(pool, async {
        session.connection.execute(end).await.map_err(Failure::Write)
    })
    .await;
    match (done, ended) {
        (Ok(answer), Ok(_)) => {
            session.give_back();
            Ok(answer)
        }
        (Ok(_), Err(failure)) => Err(failure.alone()),
        (Err(failure), ended) => {
            if ended.is_ok() && failure.leaves_the_connection_whole() {
                session.give_back();
            }
            Err(failure.inside())
        }
    }
}

/// Begins, with the locks, in one round trip. A lock is asked for before anything is read, so what is read afterwards is what the
/// last holder wrote. The timeouts bound the harm that a frozen holder does to the others.
async fn begin(pool: &Pool, connection: &mut PgConnection, mut locks: Vec<i64>) -> Result<(), Failure> {
    // always in the same order, or two steps could wait for each other
    locks.sort_unstable();
    locks.dedup();
    let mut sql = String::from(
        "begin isolation level read committed read write; set local lock_timeout = '10s'; \
         set local idle_in_transaction_session_timeout = '10s'",
    );
    if let Some(before) = pool.before_each_transaction() {
        sql.push_str(&format!("; {before}"));
    }
    for lock in locks {
        sql.push_str(&format!("; select pg_advisory_xact_lock({lock})"));
    }
    connection
        .execute(AssertSqlSafe(sql)) // numbers only
        .await
        .map(drop)
        .map_err(Failure::Before)
}

/// The advisory lock of a name: FNV-1a, which every version of this crate must compute alike. Two names that share a lock wait for
/// each other and nothing else.
pub(crate) fn lock(port: &str, name: &[u8]) -> i64 {
    let bytes = b"tollgate/".iter().chain(port.as_bytes()).chain(b"/").chain(name);
    bytes
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
        .cast_signed()
}
