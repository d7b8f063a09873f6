//! Texts by key, with a time to live: all that the wrong policies ask of a store.

use crate::Error;
use crate::stores::StoreAt;
use redis::aio::ConnectionManager;
use redis::cmd;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tollgate_core::{Clock, SystemClock};

#[derive(Clone)]
pub enum Shelf {
    /// Text, and the instant until which it is there.
    Memory(Arc<Mutex<HashMap<String, (String, i64)>>>),
    Sqlite(Arc<Mutex<Connection>>),
    Redis(ConnectionManager),
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> i64 {
    SystemClock.now().unix_micros()
}

fn until(life: Duration) -> i64 {
    SystemClock.now().saturating_add(life).unix_micros()
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}

impl Shelf {
    pub async fn open(store: &StoreAt) -> Result<Self, Error> {
        Ok(match store {
            StoreAt::Memory => Self::Memory(Arc::default()),
            StoreAt::Sqlite(path) => Self::Sqlite(Arc::new(Mutex::new(connect(path)?))),
            StoreAt::Postgres(_) => return Err("nobody keeps these policies' keys in PostgreSQL".into()),
            StoreAt::Redis(url) => {
                let client = redis::Client::open(url.as_str())?;
                Self::Redis(ConnectionManager::new(client).await?)
            }
        })
    }

    pub async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        let key = key.to_owned();
        match self {
            Self::Memory(texts) => {
                let texts = locked(texts);
                let found = texts.get(&key).filter(|(_, until)| *until > now());
                Ok(found.map(|(text, _)| text.clone()))
            }
            Self::Sqlite(file) => {
                let sql = "select text from shelf where key = ?1 and until > ?2";
                let get = move |file: &Connection| {
                    file.query_row(sql, params![key, now()], |row| row.get(0))
                        .optional()
                };
                run(file, get).await
            }
            Self::Redis(server) => Ok(cmd("GET").arg(key).query_async(&mut server.clone()).await?),
        }
    }

    /// `SET NX PX`: whether it was absent.
    pub async fn put_if_absent(&self, key: &str, text: &str, life: Duration) -> Result<bool, Error> {
        let (key, text) = (key.to_owned(), text.to_owned());
        match self {
            Self::Memory(texts) => {
                let mut texts = locked(texts);
                let absent = texts.get(&key).is_none_or(|(_, until)| *until <= now());
                if absent {
                    texts.insert(key, (text, until(life)));
                }
                Ok(absent)
            }
            Self::Sqlite(file) => {
                let sql = "insert into shelf values (?1, ?2, ?3) on conflict (key) do update \
                           set text = excluded.text, until = excluded.until where until <= ?4";
                let put = move |file: &Connection| file.execute(sql, params![key, text, until(life), now()]);
                Ok(run(file, put).await? == 1)
            }
            Self::Redis(server) => {
                let mut set = cmd("SET");
                set.arg(key).arg(text).arg("NX").arg("PX").arg(millis(life));
                let put: Option<String> = set.query_async(&mut server.clone()).await?;
                Ok(put.is_some())
            }
        }
    }

    pub async fn put(&self, key: &str, text: &str, life: Duration) -> Result<(), Error> {
        let (key, text) = (key.to_owned(), text.to_owned());
        match self {
            Self::Memory(texts) => {
                locked(texts).insert(key, (text, until(life)));
                Ok(())
            }
            Self::Sqlite(file) => {
                let sql = "insert or replace into shelf values (?1, ?2, ?3)";
                let put = move |file: &Connection| file.execute(sql, params![key, text, until(life)]);
                run(file, put).await.map(drop)
            }
            Self::Redis(server) => {
                let mut set = cmd("SET");
                set.arg(key).arg(text).arg("PX").arg(millis(life));
                Ok(set.exec_async(&mut server.clone()).await?)
            }
        }
    }

    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        let key = key.to_owned();
        match self {
            Self::Memory(texts) => {
                locked(texts).remove(&key);
                Ok(())
            }
            Self::Sqlite(file) => {
                let sql = "delete from shelf where key = ?1";
                run(file, move |file| file.execute(sql, [key])).await.map(drop)
            }
            Self::Redis(server) => Ok(cmd("DEL").arg(key).exec_async(&mut server.clone()).await?),
        }
    }
}

/// A file as safe as ours: what is lost above is lost by the policy, not by SQLite.
fn connect(path: &Path) -> Result<Connection, Error> {
    let file = Connection::open(path)?;
    file.busy_timeout(Duration::from_secs(10))?;
    file.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; \
         create table if not exists shelf (key text primary key, text text not null, until integer not null) strict;",
    )?;
    Ok(file)
}

async fn run<T: Send + 'static>(
    file: &Arc<Mutex<Connection>>,
    step: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let file = Arc::clone(file);
    let done = tokio::task::spawn_blocking(move || step(&locked(&file)));
    Ok(done.await??)
}
