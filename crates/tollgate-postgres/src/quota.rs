//! Quotas: one timestamp per key; the keys' advisory locks are held while core's rule decides.
//!
//! One that lies in the past is equal to none, and is removed by its neighbours.

use crate::Postgres;
use crate::asking::query;
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

/// Writes arrivals.
macro_rules! put {
    () => {
        "insert into tollgate.quota (key, arrival) select * from unnest($1::bytea[], $2::bigint[]) \
         on conflict (key) do update set arrival = excluded.arrival"
    };
}

const PUT: &str = put!();

/// The same, for some keys ($3) that are new to the table: whoever adds a row removes those of the next eight that lie in the past.
///
/// Keys are keyed hashes, so the neighbours of a new key are a random sample of the table: each row added removes eight times the share of
/// rows that are over. So that share stays at about an eighth, however many keys come and never come again; a key that comes again
/// costs nothing, and no index by time has to be kept.
///
/// Nobody can come to wait in a circle, although two may each write what the other removes. A neighbour is locked only once everything of
/// ours is written (the count of what was written has to be known first), and passed over if somebody else holds it: whoever holds
/// such a lock waits for nothing any more. Whoever waits for it, to write that row, loses nothing: what he writes counts what stood there
/// when he read it.
const PUT_AND_TIDY: &str = concat!(
    "with written as (",
    put!(),
    " returning key), \
     near as materialized (select near.key from unnest($3::bytea[]) as mine (key) cross join lateral \
        (select key, arrival from tollgate.quota where key > mine.key order by key limit 8) as near \
        where near.arrival <= $4), \
     over as materialized (select key from tollgate.quota where key = any(array(select key from near)) and arrival <= $4 \
        and (select count(*) from written) > 0 for update skip locked) \
     delete from tollgate.quota where key = any(array(select key from over)) and arrival <= $4"
);

impl QuotaStore for Postgres {
    type Future<T: Send + 'static> = Boxed<T>;

    fn take(&self, takes: &[Take]) -> Boxed<Taken> {
        let takes = takes.to_vec();
        self.with_quotas(takes, |connection, takes| {
            Box::pin(async move {
                let (now, arrivals) = arrivals(connection, &takes).await?;
                match rule::take_all(&arrivals, &takes, now) {
                    Ok((next, taken)) => {
                        let keys = || takes.iter().map(|take| take.key);
                        let new = keys().zip(arrivals).filter(|(_, arrival)| arrival.is_none());
                        let new = new.map(|(key, _)| key).collect();
                        put(connection, keys().zip(next), new, now).await?;
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
                put(connection, [(take.key, arrival)], Vec::new(), now).await
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
    let rows = query(ARRIVALS)
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

/// Writes the arrivals, and tidies beside those of the keys that are new. Of several arrivals for one key the last one counts: it has seen
/// the others.
async fn put(
    connection: &mut PgConnection,
    arrivals: impl IntoIterator<Item = (QuotaKey, Timestamp)>,
    new: Vec<QuotaKey>,
    now: Timestamp,
) -> Result<(), Failure> {
    let last: BTreeMap<QuotaKey, Timestamp> = arrivals.into_iter().collect();
    let keys: Vec<&[u8]> = last.keys().map(|key| &key.0[..]).collect();
    let arrivals: Vec<i64> = last.values().map(|arrival| arrival.unix_micros()).collect();
    let put = query(if new.is_empty() { PUT } else { PUT_AND_TIDY });
    let mut put = put.bind(keys).bind(arrivals);
    if !new.is_empty() {
        let new: Vec<&[u8]> = new.iter().map(|key| &key.0[..]).collect();
        put = put.bind(new).bind(now.unix_micros());
    }
    put.execute(connection).await.map(drop).map_err(Failure::Write)
}
