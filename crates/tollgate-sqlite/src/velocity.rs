//! Velocity counters: the events of the window, one row each.
//!
//! What has left its window is removed when its key is asked about again, and by its neighbours: see [`tidy`].

use crate::{Answer, Sqlite};
use rusqlite::{Connection, params};
use tollgate_core::Timestamp;
use tollgate_core::store::velocity::{Admit, Admitted, VelocityKey, VelocityStore};

impl VelocityStore for Sqlite {
    type Future<T: Send + 'static> = Answer<T>;

    fn admit(&self, admit: Admit) -> Answer<Admitted> {
        self.step(move |connection, now| {
            let key = &admit.key.0[..];
            let from = now.saturating_sub(admit.window).unix_micros();
            connection
                .prepare_cached("delete from velocity where key = ?1 and at <= ?2")?
                .execute(params![key, from])?;
            // added up here: SQLite's sum fails once it passes the end of its range
            let before = connection
                .prepare_cached("select weight from velocity where key = ?1")?
                .query_map([key], |row| row.get::<_, i64>(0))?
                .try_fold(0u64, |sum, weight| {
                    Ok::<_, rusqlite::Error>(sum.saturating_add(weight?.cast_unsigned()))
                })?;
            let total = before.saturating_add(admit.weight);
            if total > admit.limit {
                return Ok(Admitted {
                    within: false,
                    total: before,
                });
            }
            record(connection, &admit, now)?;
            tidy(connection, &admit.key, now)?;
            Ok(Admitted { within: true, total })
        })
    }
}

fn record(connection: &Connection, admit: &Admit, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("insert into velocity (key, at, weight, until) values (?1, ?2, ?3, ?4)")?
        .execute(params![
            &admit.key.0[..],
            now.unix_micros(),
            admit.weight.cast_signed(),
            now.saturating_add(admit.window).unix_micros(),
        ])?;
    Ok(())
}

/// Whoever records an event removes those of the next eight, of greater keys, that have left their windows.
///
/// Keys are keyed hashes, so the neighbours of a key are a random sample of the table: each event recorded removes eight times the share
/// of keys that are over, which therefore stays at about an eighth. A key's events lie side by side: when all eight are over, it may be
/// a key with many of them, and up to 64 go at once.
fn tidy(connection: &Connection, key: &VelocityKey, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "delete from velocity where rowid in (select id from \
             (select rowid as id, until from velocity where key > ?1 order by key, at limit \
                (select case when max(until) <= ?2 then 64 else 8 end from \
                   (select until from velocity where key > ?1 order by key, at limit 8))) \
             where until <= ?2)",
        )?
        .execute(params![&key.0[..], now.unix_micros()])?;
    Ok(())
}
