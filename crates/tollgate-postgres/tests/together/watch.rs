//! Which rows a statement writes together, as the server itself sees it.
#![allow(dead_code, reason = "each test file uses what it needs of it")]

use crate::support::Database;
use tollgate_core::store::idempotency::RecordKey;

/// Has the server note which keys each statement writes.
pub(crate) async fn watch(database: &Database) {
    database
        .run(
            "create table public.watched (what text, keys bytea[]); \
             create function public.watch() returns trigger language plpgsql as \
             $$ begin insert into public.watched select tg_op, array_agg(key) from touched; return null; end $$; \
             create trigger inserted after insert on tollgate.idempotency referencing new table as touched \
             for each statement execute function public.watch(); \
             create trigger updated after update on tollgate.idempotency referencing new table as touched \
             for each statement execute function public.watch()",
        )
        .await;
}

/// How many rows each statement has inserted, and updated, the most first; those of one row, or none, left out.
pub(crate) async fn watched(database: &Database) -> (Vec<i64>, Vec<i64>) {
    let mut eye = database.connection().await;
    let mut of = async |what: &str| -> Vec<i64> {
        sqlx::query_scalar("select cardinality(keys)::bigint as rows from public.watched where what = $1 and cardinality(keys) > 1 order by rows desc")
            .bind(what)
            .fetch_all(&mut eye)
            .await
            .unwrap()
    };
    (of("INSERT").await, of("UPDATE").await)
}

/// How many statements have written this key together with others.
pub(crate) async fn together_with_others(database: &Database, key: RecordKey) -> i64 {
    let mut eye = database.connection().await;
    sqlx::query_scalar("select count(*) from public.watched where cardinality(keys) > 1 and $1 = any (keys)")
        .bind(&key.as_bytes()[..])
        .fetch_one(&mut eye)
        .await
        .unwrap()
}
