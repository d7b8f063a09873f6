//! Statements with a name, and without.
//!
//! sqlx prepares a statement under a name, once per connection, and then calls the name: one round trip. It prepares in one round trip
//! and calls in the next, and numbers the names of each connection from one on. Where a pooler hands the server's connections from
//! client to client, that name may be another client's, and mean something else: a claim that was to be armed is renewed instead, and
//! both are told that all is well. So there a statement goes without a name, which the next one replaces, and always
//! within a transaction, which the pooler does not tear apart.

use sqlx::postgres::PgArguments;
use sqlx::query::{Query, QueryScalar};
use sqlx::{Connection, PgConnection, Postgres};
use std::future::Future;

tokio::task_local! {
    /// Whether the connection at work is this process's own, so that names mean what they meant.
    static NAMES_HOLD: bool;
}

fn names_hold() -> bool {
    NAMES_HOLD.try_with(|hold| *hold).unwrap_or(true)
}

/// Runs what asks on a connection where names hold, or do not.
pub(crate) fn with_names<F: Future>(hold: bool, asks: F) -> impl Future<Output = F::Output> {
    NAMES_HOLD.scope(hold, asks)
}

/// Runs what asks on a connection that somebody else made. Where nothing has a name yet, we do not begin with it: behind a pooler that
/// is how it has to be, and elsewhere it costs a round trip.
pub(crate) async fn as_on<T, E>(
    connection: &mut PgConnection,
    asks: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
) -> Result<T, E> {
    let hold = connection.cached_statements_size() > 0;
    with_names(hold, asks(connection)).await
}

/// As sqlx's, by a name where that holds.
pub(crate) fn query<'q>(sql: &'static str) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(sql).persistent(names_hold())
}

/// As sqlx's, by a name where that holds.
pub(crate) fn query_scalar<'q, T>(sql: &'static str) -> QueryScalar<'q, Postgres, T, PgArguments>
where
    (T,): for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
{
    sqlx::query_scalar(sql).persistent(names_hold())
}
