//! Quotas: one timestamp per key.
//!
//! One that lies in the past is equal to none, and is removed by its neighbours: see [`tidy`].

use crate::{Answer, Sqlite};
use rusqlite::{Connection, OptionalExtension, params};
use tollgate_core::Timestamp;
use tollgate_core::store::quota::{QuotaKey, QuotaStore, Take, Taken, rule};

impl QuotaStore for Sqlite {
    type Future<T: Send + 'static> = Answer<T>;

    fn take(&self, takes: &[Take]) -> Answer<Taken> {
        let takes = takes.to_vec();
        self.step(move |connection, now| {
            let arrivals = takes
                .iter()
                .map(|take| arrival(connection, &take.key))
                .collect::<Result<Vec<_>, _>>()?;
            match rule::take_all(&arrivals, &takes, now) {
                Ok((next, taken)) => {
                    for (take, arrival) in takes.iter().zip(next) {
                        put(connection, &take.key, arrival)?;
                    }
                    for (take, arrival) in takes.iter().zip(arrivals) {
                        if arrival.is_none() {
                            tidy(connection, &take.key, now)?;
                        }
                    }
                    Ok(taken)
                }
                Err(refused) => Ok(refused),
            }
        })
    }

    fn give_back(&self, take: Take) -> Answer<()> {
        self.step(move |connection, now| match arrival(connection, &take.key)? {
            Some(found) => put(
                connection,
                &take.key,
                rule::give_back(found, &take.quota, take.cost, now),
            ),
            None => Ok(()),
        })
    }
}

fn arrival(connection: &Connection, key: &QuotaKey) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("select arrival from quota where key = ?1")?
        .query_row([&key.0[..]], |row| row.get(0).map(Timestamp::from_unix_micros))
        .optional()
}

fn put(connection: &Connection, key: &QuotaKey, arrival: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("insert or replace into quota (key, arrival) values (?1, ?2)")?
        .execute(params![&key.0[..], arrival.unix_micros()])?;
    Ok(())
}

/// Whoever adds a row removes those of the next eight that lie in the past.
///
/// Keys are keyed hashes, so the neighbours of a new key are a random sample of the table: each row added removes eight times the share of
/// rows that are over. So that share stays at about an eighth, however many keys come and never come again; a key that comes again
/// costs nothing, and no index by time has to be kept.
fn tidy(connection: &Connection, key: &QuotaKey, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "delete from quota where key in (select key from \
             (select key, arrival from quota where key > ?1 order by key limit 8) where arrival <= ?2)",
        )?
        .execute(params![&key.0[..], now.unix_micros()])?;
    Ok(())
}
