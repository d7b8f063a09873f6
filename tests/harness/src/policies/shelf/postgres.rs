//! In one table of PostgreSQL for all merchants. Times are the server's.

use crate::Error;
use crate::stores::patiently;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::time::Duration;

/// Microseconds since the Unix epoch, as the server says.
macro_rules! now {
    () => {
        "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
    };
}

/// Two merchants that make the table at once would be in each other's way: the second waits.
const TABLE: &str = "do $$ begin perform pg_advisory_xact_lock(4711); \
     create table if not exists shelf (key text primary key, text text not null, until bigint not null); end $$";

#[derive(Clone)]
pub struct Shelf(PgPool);

impl Shelf {
    pub async fn open(url: &str) -> Result<Self, Error> {
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_secs(1))
            .connect_lazy(url)?;
        patiently(async || Ok(sqlx::query(TABLE).execute(&pool).await?)).await?;
        Ok(Self(pool))
    }

    pub async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        let sql = concat!("select text from shelf where key = $1 and until > ", now!());
        let get = sqlx::query_scalar(sql).bind(key);
        Ok(get.fetch_optional(&self.0).await?)
    }

    pub async fn put_if_absent(&self, key: &str, text: &str, life: Duration) -> Result<bool, Error> {
        let sql = concat!(
            "insert into shelf values ($1, $2, ",
            now!(),
            " + $3) on conflict (key) do update set text = excluded.text, until = excluded.until where shelf.until <= ",
            now!()
        );
        let put = sqlx::query(sql).bind(key).bind(text).bind(micros(life));
        Ok(put.execute(&self.0).await?.rows_affected() == 1)
    }

    pub async fn put(&self, key: &str, text: &str, life: Duration) -> Result<(), Error> {
        let sql = concat!(
            "insert into shelf values ($1, $2, ",
            now!(),
            " + $3) on conflict (key) do update set text = excluded.text, until = excluded.until"
        );
        let put = sqlx::query(sql).bind(key).bind(text).bind(micros(life));
        put.execute(&self.0).await?;
        Ok(())
    }

    pub async fn remove(&self, key: &str) -> Result<(), Error> {
        let remove = sqlx::query("delete from shelf where key = $1").bind(key);
        remove.execute(&self.0).await?;
        Ok(())
    }
}

fn micros(life: Duration) -> i64 {
    i64::try_from(life.as_micros()).unwrap_or(i64::MAX)
}
