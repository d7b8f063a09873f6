//! In one file of SQLite for all merchants.

use super::{now, until};
use crate::Error;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Clone)]
pub struct Shelf(Arc<Mutex<Connection>>);

impl Shelf {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = Connection::open(path)?;
        file.busy_timeout(Duration::from_secs(10))?;
        file.execute_batch(
            "pragma journal_mode = wal; pragma synchronous = full; \
             create table if not exists shelf (key text primary key, text text not null, until integer not null) strict;",
        )?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    async fn run<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let file = Arc::clone(&self.0);
        let done =
            tokio::task::spawn_blocking(move || step(&file.lock().unwrap_or_else(PoisonError::into_inner)));
        Ok(done.await??)
    }

    pub async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        let key = key.to_owned();
        let sql = "select text from shelf where key = ?1 and until > ?2";
        let get = move |file: &Connection| {
            file.query_row(sql, params![key, now()], |row| row.get(0))
                .optional()
        };
        self.run(get).await
    }

    pub async fn put_if_absent(&self, key: &str, text: &str, life: Duration) -> Result<bool, Error> {
        let (key, text) = (key.to_owned(), text.to_owned());
        let sql = "insert into shelf values (?1, ?2, ?3) on conflict (key) do update \
                   set text = excluded.text, until = excluded.until where until <= ?4";
        let put = move |file: &Connection| file.execute(sql, params![key, text, until(life), now()]);
        Ok(self.run(put).await? == 1)
    }

    pub async fn put(&self, key: &str, text: &str, life: Duration) -> Result<(), Error> {
        let (key, text) = (key.to_owned(), text.to_owned());
        let sql = "insert or replace into shelf values (?1, ?2, ?3)";
        let put = move |file: &Connection| file.execute(sql, params![key, text, until(life)]);
        self.run(put).await.map(drop)
    }

    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        let key = key.to_owned();
        let remove = move |file: &Connection| file.execute("delete from shelf where key = ?1", [key]);
        self.run(remove).await.map(drop)
    }
}
