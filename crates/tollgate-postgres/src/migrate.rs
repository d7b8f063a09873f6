//! The schema: what version it is, and how it is brought up to date.

use crate::asking::query;
use crate::error::OpenError;
use sqlx::{Executor, PgConnection, Row};

/// What each version adds; never changed once published.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_ports.sql")];

/// The advisory lock of those who migrate ("tollgate" in ASCII).
const MIGRATING: i64 = 0x746f_6c6c_6761_7465;

/// The newest version that this build knows.
pub(crate) fn known() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// The schema's version, 0 when there is none. Refuses schemas of a newer build, and of others, before anything is written.
pub(crate) async fn recognise(connection: &mut PgConnection) -> Result<i32, OpenError> {
    let row = query(
        "select to_regclass('tollgate.migration') is not null, \
         exists (select from pg_class where relnamespace = to_regnamespace('tollgate')), \
         (select relname::text from pg_class where relnamespace = to_regnamespace('tollgate') and relkind = 'r' \
          and relpersistence <> 'p' limit 1), \
         (select string_agg(relname::text, ', ' order by relname) from pg_class where relnamespace = to_regnamespace('tollgate') \
          and relkind = 'r' and relname <> 'migration' and not (has_table_privilege(oid, 'select') \
          and has_table_privilege(oid, 'insert') and has_table_privilege(oid, 'update') and has_table_privilege(oid, 'delete'))), \
         (select relname::text from pg_class where relnamespace = to_regnamespace('tollgate') and relkind = 'r' \
          and row_security_active(oid) limit 1)",
    )
    .fetch_one(&mut *connection)
    .await?;
    let (ours, inhabited): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
    if !ours {
        return if inhabited { Err(OpenError::Foreign) } else { Ok(0) };
    }
    if let Some(found) = row.try_get::<Option<String>, _>(2)? {
        return Err(OpenError::Unsafe {
            setting: "an unlogged table",
            found,
            wanted: "logged",
        });
    }
    if let Some(tables) = row.try_get::<Option<String>, _>(3)? {
        return Err(OpenError::Forbidden {
            what: format!("the tables {tables} of the schema tollgate"),
        });
    }
    if let Some(found) = row.try_get::<Option<String>, _>(4)? {
        return Err(OpenError::Hidden { table: found });
    }
    let found = query("select coalesce(max(version), 0) from tollgate.migration")
        .fetch_one(connection)
        .await?
        .try_get(0)?;
    let known = known();
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    Ok(found)
}

/// Brings the schema up to date in one transaction. Dropped or failed halfway, it leaves that open: the connection must be closed.
pub(crate) async fn migrate(connection: &mut PgConnection) -> Result<(), OpenError> {
    connection
        .execute("begin isolation level read committed read write")
        .await?;
    // the second of two processes waits here, and then finds nothing left to do
    query("select pg_advisory_xact_lock($1)")
        .bind(MIGRATING)
        .execute(&mut *connection)
        .await?;
    let found = recognise(connection).await?;
    if found == 0 {
        prepare(connection).await?;
    }
    for (version, migration) in (1..).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
        connection.execute(migration).await?;
        query("insert into tollgate.migration (version) values ($1)")
            .bind(version)
            .execute(&mut *connection)
            .await?;
    }
    connection.execute("commit").await?;
    Ok(())
}

/// The schema itself, which a database administrator may have made, and the table of its versions.
async fn prepare(connection: &mut PgConnection) -> Result<(), OpenError> {
    let row = query("select to_regnamespace('tollgate') is null, to_regclass('tollgate.migration') is null")
        .fetch_one(&mut *connection)
        .await?;
    if row.try_get(0)? {
        connection.execute("create schema tollgate").await?;
    }
    if row.try_get(1)? {
        connection
            .execute(
                "create table tollgate.migration (version integer primary key, at timestamptz not null default now())",
            )
            .await?;
    }
    Ok(())
}
