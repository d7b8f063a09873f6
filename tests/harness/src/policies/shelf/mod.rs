//! Texts by key, with a time to live: all that the wrong policies ask of a store. A file for each.
//!
//! Every store is as safe as ours over it is: what is lost above is lost by the policy, not by the store.

mod memory;
mod postgres;
mod redis;
mod sqlite;

use crate::Error;
use crate::stores::StoreAt;
use std::time::Duration;
use tollgate_core::{Clock, SystemClock};

#[derive(Clone)]
pub enum Shelf {
    Memory(memory::Shelf),
    Sqlite(sqlite::Shelf),
    Postgres(postgres::Shelf),
    Redis(redis::Shelf),
}

impl Shelf {
    pub async fn open(store: &StoreAt) -> Result<Self, Error> {
        Ok(match store {
            StoreAt::Memory => Self::Memory(memory::Shelf::default()),
            StoreAt::Sqlite(path) => Self::Sqlite(sqlite::Shelf::open(path)?),
            StoreAt::Postgres(url) => Self::Postgres(postgres::Shelf::open(url).await?),
            StoreAt::Redis(url) => Self::Redis(redis::Shelf::open(url).await?),
        })
    }

    pub async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        match self {
            Self::Memory(shelf) => Ok(shelf.get(key)),
            Self::Sqlite(shelf) => shelf.get(key).await,
            Self::Postgres(shelf) => shelf.get(key).await,
            Self::Redis(shelf) => shelf.get(key).await,
        }
    }

    /// `SET NX PX`: whether it was absent.
    pub async fn put_if_absent(&self, key: &str, text: &str, life: Duration) -> Result<bool, Error> {
        match self {
            Self::Memory(shelf) => Ok(shelf.put_if_absent(key, text, life)),
            Self::Sqlite(shelf) => shelf.put_if_absent(key, text, life).await,
            Self::Postgres(shelf) => shelf.put_if_absent(key, text, life).await,
            Self::Redis(shelf) => shelf.put_if_absent(key, text, life).await,
        }
    }

    pub async fn put(&self, key: &str, text: &str, life: Duration) -> Result<(), Error> {
        match self {
            Self::Memory(shelf) => {
                shelf.put(key, text, life);
                Ok(())
            }
            Self::Sqlite(shelf) => shelf.put(key, text, life).await,
            Self::Postgres(shelf) => shelf.put(key, text, life).await,
            Self::Redis(shelf) => shelf.put(key, text, life).await,
        }
    }

    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        match self {
            Self::Memory(shelf) => {
                shelf.remove(key);
                Ok(())
            }
            Self::Sqlite(shelf) => shelf.remove(key).await,
            Self::Postgres(shelf) => shelf.remove(key).await,
            Self::Redis(shelf) => shelf.remove(key).await,
        }
    }
}

/// For stores that take instants: this machine's clock, which all merchants share.
fn now() -> i64 {
    SystemClock.now().unix_micros()
}

fn until(life: Duration) -> i64 {
    SystemClock.now().saturating_add(life).unix_micros()
}
