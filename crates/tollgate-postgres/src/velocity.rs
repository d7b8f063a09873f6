//! Velocity counters: the events of the window, one row each; the key's advisory lock is held from counting to recording.

use crate::Postgres;
use crate::error::{Failure, unreadable};
use crate::session::{clock, lock, micros};
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

const RECORD: &str = "insert into tollgate.velocity (key, at, weight) values ($1, $2, $3::numeric)";

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
    let row = sqlx::query(COUNT)
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
    sqlx::query(RECORD)
        .bind(&admit.key.0[..])
        .bind(now)
        .bind(admit.weight.to_string())
        .execute(connection)
        .await
        .map_err(Failure::Write)?;
    Ok(Admitted { within: true, total })
}
