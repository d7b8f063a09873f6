//! Finds out whether a connection of ours stays the same connection of the server.
//!
//! Two connections ask, in turns, which process of the server they talk to. A connection of one's own always talks to the same one, and no
//! two of them to the same. A pooler that hands its server's connections out per transaction gives one that is free: when it is idle the
//! same to both, when it is busy now this one and now that, when it takes them in turns another one each time. Nothing is prepared for
//! the question, so it cannot meet what it looks for.

use crate::error::OpenError;
use sqlx::{Connection, Executor, PgConnection, Row};

#[derive(Clone, Copy)]
enum Turn {
    First,
    Second,
}
use Turn::{First, Second};

/// Who asks again: each of both also twice in a row.
const TURNS: [Turn; 10] = [
    Second, First, First, Second, Second, First, Second, First, First, Second,
];

/// Refuses a pooler that shares connections. Where there is none, one of the two is left to be used.
pub(crate) async fn refuse_shared<C>(connect: impl Fn() -> C) -> Result<PgConnection, OpenError>
where
    C: Future<Output = Result<PgConnection, sqlx::Error>>,
{
    let (mut first, mut second) = (connect().await?, connect().await?);
    let ours = process(&mut first).await?;
    let theirs = process(&mut second).await?;
    for turn in TURNS {
        let (asked, before) = match turn {
            First => (&mut first, ours),
            Second => (&mut second, theirs),
        };
        if ours == theirs || process(asked).await? != before {
            return Err(OpenError::SharedConnections);
        }
    }
    second.close().await?;
    Ok(first)
}

/// The process of the server that this connection talks to.
pub(crate) async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    connection.fetch_one("select pg_backend_pid()").await?.try_get(0)
}
