//! A database for each test, on the server that `tests/run` starts.
#![allow(dead_code, reason = "each test file uses what it needs of it")]

pub(crate) mod app;
pub(crate) mod own_server;
pub(crate) mod proxy;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{Begun, IdempotencyStore};
use tollgate_core::{Clock, ManualClock};
use tollgate_postgres::{OpenError, Postgres, Settings};
use tollgate_testkit::samples;

/// The server's URL.
const SERVER: &str = "TOLLGATE_TEST_POSTGRES";

/// Every table of the schema; what refers to another one stands before it.
pub(crate) const TABLES: [&str; 8] = [
    "idempotency",
    "dedup",
    "quota",
    "velocity",
    "audit",
    "carry_over",
    "saga_record",
    "saga",
];

pub(crate) fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| {
        panic!(
            "{SERVER} is not set: these tests need a PostgreSQL server. Run them by `tests/run` (it starts a private one), \
             or: export {SERVER}=$(tests/postgres start /tmp/some-folder)"
        )
    })
}

/// An empty database, dropped with this handle.
#[derive(Debug)]
pub(crate) struct Database {
    server: String,
    pub(crate) name: String,
}

impl Database {
    /// On the server that `tests/run` starts.
    pub(crate) async fn fresh() -> Self {
        Self::on(server()).await
    }

    /// On this server.
    pub(crate) async fn on(server: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tollgate_{}_{}", std::process::id(), COUNT.fetch_add(1, SeqCst));
        let mut connection = PgConnection::connect(&server).await.expect("the server answers");
        let create = format!("create database {name}");
        connection.execute(AssertSqlSafe(create)).await.unwrap();
        connection.close().await.unwrap();
        Self { server, name }
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::from_str(&self.server)
            .unwrap()
            .database(&self.name)
    }

    pub(crate) fn url(&self) -> String {
        self.options().to_url_lossy().to_string()
    }

    /// Through another address: a proxy's.
    pub(crate) fn url_by(&self, port: u16) -> String {
        self.by(port).to_url_lossy().to_string()
    }

    fn by(&self, port: u16) -> PgConnectOptions {
        self.options().port(port).ssl_mode(PgSslMode::Disable)
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.options().get_port()
    }

    /// A connection past the store.
    pub(crate) async fn connection(&self) -> PgConnection {
        self.options().connect().await.unwrap()
    }

    /// Runs statements past the store.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = self.connection().await;
        connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A store with its tables.
    pub(crate) async fn store(&self) -> Postgres {
        Postgres::connect(&self.url(), Settings::new().migrate())
            .await
            .unwrap()
    }

    /// A store with its tables, whose server follows this clock. PostgreSQL looks for functions in `pg_catalog` first, unless the
    /// search path says otherwise: here it finds another `clock_timestamp()` before. Every step brings the clock's time along.
    pub(crate) async fn store_with(&self, clock: ManualClock) -> Postgres {
        self.store_as(self.options(), clock).await
    }

    /// The same, connected as these options say.
    pub(crate) async fn store_as(&self, options: PgConnectOptions, clock: ManualClock) -> Postgres {
        self.run(
            "create schema if not exists testing; \
             create or replace function testing.clock_timestamp() returns timestamptz language sql volatile as \
             $$ select timestamptz 'epoch' + current_setting('testing.now')::bigint * interval '1 microsecond' $$",
        )
        .await;
        store_of(options, clock, Settings::new().migrate()).await.unwrap()
    }

    /// As `store_with`, on tables that are there already, through a pooler that shares its connections.
    pub(crate) async fn store_pooled(&self, port: u16, clock: ManualClock) -> Postgres {
        let settings = Settings::new().transaction_pooling();
        store_of(self.by(port), clock, settings).await.unwrap()
    }

    /// As `store_with`, on tables that are there already, through another address.
    pub(crate) async fn store_by(&self, port: u16, clock: ManualClock) -> Result<Postgres, OpenError> {
        store_of(self.by(port), clock, Settings::new()).await
    }
}

async fn store_of(
    options: PgConnectOptions,
    clock: ManualClock,
    settings: Settings,
) -> Result<Postgres, OpenError> {
    let settings = settings.dangerous_before_each_step(move || {
        let now = clock.now().unix_micros();
        format!("set search_path = testing, pg_catalog; set testing.now = '{now}'")
    });
    Postgres::connect_with(options, settings).await
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, drop) = (
            self.server.clone(),
            format!("drop database if exists {} with (force)", self.name),
        );
        // a runtime of its own: this one may be about to end
        let dropping = std::thread::spawn(move || {
            block_on(async move {
                if let Ok(mut connection) = PgConnection::connect(&server).await {
                    let _ = connection.execute(AssertSqlSafe(drop)).await;
                }
            });
        });
        let _ = dropping.join();
    }
}

/// Claims some key.
pub(crate) async fn begin(store: &Postgres) -> Result<Begun, StoreError> {
    store.begin(samples::begin(samples::key(7), 9)).await
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// What the server has counted about each of our tables, once everybody who worked on them has left: it counts a session's work at the
/// latest when that ends.
pub(crate) async fn statistics(database: &Database, column: &str) -> BTreeMap<String, i64> {
    let mut connection = database.connection().await;
    let others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                  and backend_type = 'client backend'";
    while sqlx::query_scalar::<_, i64>(others)
        .fetch_one(&mut connection)
        .await
        .unwrap()
        > 0
    {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let counted =
        format!("select relname::text, {column} from pg_stat_user_tables where schemaname = 'tollgate'");
    let counted = sqlx::query_as(AssertSqlSafe(counted))
        .fetch_all(&mut connection)
        .await;
    connection.close().await.unwrap();
    counted.unwrap().into_iter().collect()
}
