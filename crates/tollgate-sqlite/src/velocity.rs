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
            let before: i64 = connection
                .prepare_cached("select coalesce(sum(weight), 0) from velocity where key = ?1")?
                .query_row([key], |row| row.get(0))?;
            let before = u64::try_from(before).unwrap_or(0);
            let total = before.saturating_add(admit.weight);
            if total > admit.limit {
                return Ok(Admitted {
                    within: false,
                    total: before,
                });
            }
            let weight = i64::try_from(admit.weight).unwrap_or(i64::MAX);
            connection
                .prepare_cached("insert into velocity (key, at, weight) values (?1, ?2, ?3)")?
                .execute(params![key, now.unix_micros(), weight])?;
            Ok(Admitted { within: true, total })
        })
    }
}
