//! Quotas: one timestamp per key.

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
