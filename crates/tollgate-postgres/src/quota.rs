//! Quotas: one timestamp per key; the keys' advisory locks are held while core's rule decides.

use crate::Postgres;
use crate::error::Failure;
use crate::session::{Running, clock, instant, lock};
use sqlx::{PgConnection, Row};
use std::collections::BTreeMap;
use tollgate_core::Timestamp;
use tollgate_core::store::Boxed;
use tollgate_core::store::quota::{QuotaKey, QuotaStore, Take, Taken, rule};

/// The arrivals of the keys, in the order asked, and the time.
const ARRIVALS: &str = concat!(
    "with ",
    clock!(),
    " select now, arrival from clock cross join unnest($1::bytea[]) with ordinality as asked (key, place) \
     left join tollgate.quota on quota.key = asked.key order by place"
);

const PUT: &str = "insert into tollgate.quota (key, arrival) select * from unnest($1::bytea[], $2::bigint[]) \
     on conflict (key) do update set arrival = excluded.arrival";

impl QuotaStore for Postgres {
    type Future<T: Send + 'static> = Boxed<T>;

    fn take(&self, takes: &[Take]) -> Boxed<Taken> {
        let takes = takes.to_vec();
        self.with_quotas(takes, |connection, takes| {
            Box::pin(async move {
                let (now, arrivals) = arrivals(connection, &takes).await?;
                match rule::take_all(&arrivals, &takes, now) {
                    Ok((next, taken)) => {
                        put(connection, takes.iter().map(|take| take.key).zip(next)).await?;
                        Ok(taken)
                    }
                    Err(refused) => Ok(refused),
                }
            })
        })
    }

    fn give_back(&self, take: Take) -> Boxed<()> {
        self.with_quotas(vec![take], move |connection, takes| {
            Box::pin(async move {
                let (now, arrivals) = arrivals(connection, &takes).await?;
                let Some(found) = arrivals.first().copied().flatten() else {
                    return Ok(());
                };
                let arrival = rule::give_back(found, &take.quota, take.cost, now);
                put(connection, [(take.key, arrival)]).await
            })
        })
    }
}

impl Postgres {
    fn with_quotas<T: Send + 'static>(
        &self,
        takes: Vec<Take>,
        run: impl for<'c> FnOnce(&'c mut PgConnection, Vec<Take>) -> Running<'c, T> + Send + 'static,
    ) -> Boxed<T> {
        let locks = takes.iter().map(|take| lock("quota", &take.key.0)).collect();
        self.transaction(locks, move |connection| run(connection, takes))
    }
}

async fn arrivals(
    connection: &mut PgConnection,
    takes: &[Take],
) -> Result<(Timestamp, Vec<Option<Timestamp>>), Failure> {
    let keys: Vec<&[u8]> = takes.iter().map(|take| &take.key.0[..]).collect();
    let rows = sqlx::query(ARRIVALS)
        .bind(keys)
        .fetch_all(connection)
        .await
        .map_err(Failure::Before)?;
    let mut now = Timestamp::EPOCH; // stays so only when nothing is asked
    let mut arrivals = Vec::with_capacity(rows.len());
    for row in &rows {
        now = instant(row.try_get(0).map_err(Failure::Before)?);
        let arrival: Option<i64> = row.try_get(1).map_err(Failure::Before)?;
        arrivals.push(arrival.map(instant));
    }
    Ok((now, arrivals))
}

/// Writes the arrivals. Of several for one key the last one counts: it has seen the others.
async fn put(
    connection: &mut PgConnection,
    arrivals: impl IntoIterator<Item = (QuotaKey, Timestamp)>,
) -> Result<(), Failure> {
    let last: BTreeMap<QuotaKey, Timestamp> = arrivals.into_iter().collect();
    let keys: Vec<&[u8]> = last.keys().map(|key| &key.0[..]).collect();
    let arrivals: Vec<i64> = last.values().map(|arrival| arrival.unix_micros()).collect();
    sqlx::query(PUT)
        .bind(keys)
        .bind(arrivals)
        .execute(connection)
        .await
        .map(drop)
        .map_err(Failure::Write)
}
