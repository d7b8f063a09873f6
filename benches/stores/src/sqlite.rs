//! SQLite: beside raw group commits of the same rows, on the driver's own connection.

use crate::Failure;
use crate::guarded::{self, bytes};
use crate::load::{Contest, Plan, Rates, slice, warm};
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_sqlite::Sqlite;

pub(crate) async fn contest(callers: u32, plan: Plan) -> Result<Contest, Failure> {
    let folder = tempfile::tempdir()?;
    let mut ours = warm(
        guarded::callers(Sqlite::open(folder.path().join("guarded.db"))?, callers)?,
        plan,
    )
    .await?;
    let mut raw = Raw::open(&folder.path().join("raw.db"))?;
    let (mut guarded, mut ceiling) = (Rates::default(), Rates::default());
    for _ in 0..plan.rounds {
        ours = slice(ours, plan.slice, &mut guarded).await?;
        raw = tokio::task::spawn_blocking(move || raw.group_commits(callers, plan.slice))
            .await??
            .noted(&mut ceiling);
    }
    Ok(Contest {
        store: "SQLite",
        callers,
        ours: guarded,
        ceilings: vec![("raw group commits", ceiling)],
        round_trips: None,
    })
}

/// A table with the store's columns and the store's settings, and nothing else.
struct Raw(Connection);

/// What came of a slice.
struct Ran {
    raw: Raw,
    calls: u64,
    time: Duration,
}

impl Ran {
    fn noted(self, rates: &mut Rates) -> Raw {
        rates.note(self.calls, self.time);
        self.raw
    }
}

impl Raw {
    fn open(path: &Path) -> Result<Self, Failure> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "pragma journal_mode = wal; pragma synchronous = full; \
             create table bare (key blob primary key, phase text, epoch integer, owner blob, fingerprint blob, lease_until integer, \
             retention integer, changed_at integer, expires_at integer, answer blob) strict",
        )?;
        Ok(Self(connection))
    }

    /// The best that grouping can do for so many callers: all of them begin in one transaction, and all of them settle in the next.
    fn group_commits(self, callers: u32, slice: Duration) -> Result<Ran, Failure> {
        let (started, mut calls) = (Instant::now(), 0);
        while started.elapsed() < slice {
            let keys: Vec<_> = (0..callers).map(|_| bytes::fresh_key()).collect();
            self.0.execute_batch("begin immediate")?;
            for key in &keys {
                self.0
                    .prepare_cached(
                        "insert into bare values (?1, 'armed', 1, ?2, ?3, ?4, ?5, ?4, null, null)",
                    )?
                    .execute(params![
                        &key[..],
                        &bytes::OWNER[..],
                        &bytes::FINGERPRINT[..],
                        bytes::NOW,
                        bytes::RETENTION
                    ])?;
            }
            self.0.execute_batch("commit; begin immediate")?;
            for key in &keys {
                self.0
                    .prepare_cached("update bare set phase = 'completed', changed_at = ?2, expires_at = ?2, answer = ?3 where key = ?1")?
                    .execute(params![&key[..], bytes::NOW, &bytes::ANSWER[..]])?;
            }
            self.0.execute_batch("commit")?;
            calls += u64::from(callers);
        }
        Ok(Ran {
            raw: self,
            calls,
            time: started.elapsed(),
        })
    }
}
