//! Stores by name: the one list of them.

use crate::Error;
use crate::evidence::Files;
use crate::server::Server;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tollgate_core::store::idempotency::BoxedIdempotencyStore;
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_postgres::Postgres;
use tollgate_redis::Redis;
use tollgate_sqlite::Sqlite;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    Memory,
    Sqlite,
    Postgres,
    Redis,
}

impl StoreKind {
    pub const ALL: [Self; 4] = [Self::Memory, Self::Sqlite, Self::Postgres, Self::Redis];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }

    /// Whether what it holds outlives the merchant's process. One that does not cannot keep any promise over a kill.
    pub const fn outlives_processes(self) -> bool {
        !matches!(self, Self::Memory)
    }

    /// Where this run's store is.
    pub fn at(self, files: &Files, server: Option<&Server>) -> StoreAt {
        let url = server.map(|server| server.url.clone()).unwrap_or_default();
        match self {
            Self::Memory => StoreAt::Memory,
            Self::Sqlite => StoreAt::Sqlite(files.sqlite()),
            Self::Postgres => StoreAt::Postgres(url),
            Self::Redis => StoreAt::Redis(url),
        }
    }

    /// The script that starts its server, if it has one.
    pub const fn server(self) -> Option<&'static str> {
        match self {
            Self::Memory | Self::Sqlite => None,
            Self::Postgres => Some("postgres"),
            Self::Redis => Some("redis"),
        }
    }
}

impl FromStr for StoreKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("--store {name}: there are {names}").into()
        })
    }
}

/// Where a store is: what merchants are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreAt {
    Memory,
    Sqlite(PathBuf),
    Postgres(String),
    Redis(String),
}

impl StoreAt {
    pub async fn open_patiently(&self) -> Result<BoxedIdempotencyStore, Error> {
        patiently(async || self.open().await).await
    }

    async fn open(&self) -> Result<BoxedIdempotencyStore, Error> {
        Ok(match self {
            Self::Memory => BoxedIdempotencyStore::new(MemoryIdempotency::new()),
            Self::Sqlite(path) => BoxedIdempotencyStore::new(Sqlite::open(path)?),
            Self::Postgres(url) => {
                let settings = tollgate_postgres::Settings::new().migrate();
                BoxedIdempotencyStore::new(Postgres::connect(url, settings).await?)
            }
            Self::Redis(url) => BoxedIdempotencyStore::new(Redis::connect(url, redis_settings()).await?),
        })
    }
}

/// Opens something as patiently as whoever supervises a merchant: its server may be about to come back.
pub async fn patiently<T>(open: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 0..40 {
        match open().await {
            Ok(opened) => return Ok(opened),
            Err(error) => tracing::warn!(%error, "the store is not there"),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    open().await
}

/// Short times: a merchant whose server is being crashed should find out while the storm lasts.
fn redis_settings() -> tollgate_redis::Settings {
    tollgate_redis::Settings::new()
        .connect_timeout(Duration::from_secs(1))
        .response_timeout(Duration::from_secs(1))
}
