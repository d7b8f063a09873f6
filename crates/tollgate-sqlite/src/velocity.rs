//! Velocity counters: the events of the window, one row each.

use crate::{Answer, Sqlite};
use rusqlite::params;
use tollgate_core::store::velocity::{Admit, Admitted, VelocityStore};

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
            connection
                .prepare_cached("insert into velocity (key, at, weight) values (?1, ?2, ?3)")?
                .execute(params![key, now.unix_micros(), admit.weight.cast_signed()])?;
            Ok(Admitted { within: true, total })
        })
    }
}
