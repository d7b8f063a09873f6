//! Velocity counters: the events of the window, one row each; the key's advisory lock is held from counting to recording.
//!
//! What has left its window is removed when its key is asked about again, and by its neighbours.

use crate::Postgres;
use crate::asking::query;
use crate::error::{Failure, unreadable};
use crate::session::{clock, instant, lock, micros};
use sqlx::{PgConnection, Row};
use tollgate_core::store::Boxed;
use tollgate_core::store::velocity::{Admit, Admitted, VelocityStore};

/// Forgets what has left the window, adds up what is in it. As text, because a sum may be greater than a `bigint`; at most 2^64 - 1.
const COUNT: &str = concat!(
    "with ",
    clock!(),
    ", gone as (delete from tollgate.velocity using clock where key = $1 and at <= clock.now - $2) \
     select now, least(coalesce(sum(weight), 0), 18446744073709551615)::text \
     from clock left join tollgate.velocity as event on event.key = $1 and event.at > clock.now - $2 group by now"
);

/// Records an event and removes those of the next eight, of greater keys, that have left their windows.
///
/// Keys are keyed hashes, so the neighbours of a key are a random sample of the table: each event recorded removes eight times the share
/// of keys that are over, which therefore stays at about an eighth. A key's events lie side by side: when all eight are over, it may be
/// a key with many of them, and up to 64 go at once.
///
/// Nobody can come to wait in a circle: rows are locked for removal last, and those that somebody else holds are passed over. Whoever
/// holds such a lock waits for nothing any more; whoever waits for it wants to remove the same row (in [`COUNT`]).
const RECORD: &str = "with recorded as (insert into tollgate.velocity (key, at, weight, until) values ($1, $2, $3::numeric, $4) \
        returning key), \
     near as materialized (select ctid, until from tollgate.velocity where key > $1 order by key, at limit \
        (select case when max(until) <= $2 then 64 else 8 end from \
           (select until from tollgate.velocity where key > $1 order by key, at limit 8) as next)), \
     over as materialized (select ctid from tollgate.velocity where ctid = any(array(select ctid from near where until <= $2)) \
        and (select count(*) from recorded) > 0 for update skip locked) \
     delete from tollgate.velocity where ctid = any(array(select ctid from over))";

impl VelocityStore for Postgres {
    type Future<T: Send + 'static> = Boxed<T>;

    fn admit(&self, admit: Admit) -> Boxed<Admitted> {
        let locks = vec![lock("velocity", &admit.key.0)];
        self.transaction(locks, move |connection| {
            Box::pin(async move { count_and_record(connection, admit).await })
        })
    }
}

async fn count_and_record(connection: &mut PgConnection, admit: Admit) -> Result<Admitted, Failure> {
    let row = query(COUNT)
        .bind(&admit.key.0[..])
        .bind(micros(admit.window))
        .fetch_one(&mut *connection)
        .await
        .map_err(Failure::Write)?;
    let now: i64 = row.try_get(0).map_err(Failure::Before)?;
    let before: &str = row.try_get(1).map_err(Failure::Before)?;
    let before: u64 = before.parse().map_err(|_| unreadable("weight"))?;
    let total = before.saturating_add(admit.weight);
    if total > admit.limit {
        return Ok(Admitted {
            within: false,
            total: before,
        });
    }
    query(RECORD)
        .bind(&admit.key.0[..])
        .bind(now)
        .bind(admit.weight.to_string())
        .bind(instant(now).saturating_add(admit.window).unix_micros())
        .execute(connection)
        .await
        .map_err(Failure::Write)?;
    Ok(Admitted { within: true, total })
}
