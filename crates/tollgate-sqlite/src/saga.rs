//! Saga journals: the fence and the records in one transaction.

use crate::error::unreadable;
use crate::{Answer, Sqlite};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::saga::rule::{self, Row};
use tollgate_core::store::saga::{Append, Created, Fenced, Journal, NewSaga, SagaId, SagaJournal, SagaState};

impl SagaJournal for Sqlite {
    type Future<T: Send + 'static> = Answer<T>;

    fn create(&self, saga: NewSaga) -> Answer<Created> {
        self.step(move |connection, now| {
            let exists = connection
                .prepare_cached("select id from saga where name = ?1 and key = ?2")?
                .query_row([&*saga.name, &*saga.key], |row| row.get(0).map(SagaId))
                .optional()?;
            if let Some(id) = exists {
                return Ok(Created::Exists(id));
            }
            let lease_until = now.saturating_add(saga.lease).unix_micros();
            connection
                .prepare_cached(
                    "insert into saga (id, name, key, state, epoch, records, lease_until) values (?1, ?2, ?3, ?4, 1, 0, ?5)",
                )?
                .execute(params![&saga.id.0[..], &*saga.name, &*saga.key, SagaState::Running.as_str(), lease_until])?;
            add_records(connection, saga.id, 0, &saga.records)?;
            let row = Row {
                state: SagaState::Running,
                epoch: 1,
                records: u64::try_from(saga.records.len()).unwrap_or(u64::MAX),
                lease_until: Timestamp::from_unix_micros(lease_until),
            };
            put(connection, saga.id, &row)?;
            Ok(Created::Created)
        })
    }

    fn append(&self, append: Append) -> Answer<Fenced> {
        self.step(move |connection, now| {
            let Some((_, _, row)) = row_of(connection, append.id)? else {
                return Ok(Fenced::Yes);
            };
            let added = u64::try_from(append.records.len()).unwrap_or(u64::MAX);
            let (fenced, next) = rule::append(
                &row,
                append.epoch,
                append.seen,
                added,
                append.state,
                append.lease,
                now,
            );
            if fenced == Fenced::No {
                add_records(connection, append.id, append.seen, &append.records)?;
                put(connection, append.id, &next)?;
            }
            Ok(fenced)
        })
    }

    fn claim(&self, names: &[Arc<str>], lease: Duration, limit: u32) -> Answer<Vec<Journal>> {
        let names = names.to_vec();
        self.step(move |connection, now| {
            let due: Vec<SagaId> = connection
                .prepare_cached(
                    "select id from saga indexed by saga_active where state in ('running', 'unwinding') and lease_until <= ?1 order by lease_until",
                )?
                .query_map([now.unix_micros()], |row| row.get(0).map(SagaId))?
                .collect::<Result<_, _>>()?;
            let mut claimed = Vec::new();
            for id in due {
                if claimed.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                    break;
                }
                let Some((name, _, row)) = row_of(connection, id)? else { continue };
                if names.iter().any(|known| **known == *name) && rule::is_claimable(&row, now) {
                    put(connection, id, &rule::claimed(&row, lease, now))?;
                    claimed.extend(journal(connection, id)?);
                }
            }
            Ok(claimed)
        })
    }

    fn claim_one(&self, id: SagaId, lease: Duration) -> Answer<Option<Journal>> {
        self.step(move |connection, now| {
            if let Some((_, _, row)) = row_of(connection, id)? {
                put(connection, id, &rule::claimed(&row, lease, now))?;
            }
            journal(connection, id)
        })
    }

    fn renew(&self, id: SagaId, epoch: u64, lease: Duration) -> Answer<Fenced> {
        self.step(move |connection, now| match row_of(connection, id)? {
            Some((_, _, row)) if row.epoch == epoch => {
                put(
                    connection,
                    id,
                    &Row {
                        lease_until: now.saturating_add(lease),
                        ..row
                    },
                )?;
                Ok(Fenced::No)
            }
            _ => Ok(Fenced::Yes),
        })
    }

    fn load(&self, id: SagaId) -> Answer<Option<Journal>> {
        self.step(move |connection, _| journal(connection, id))
    }

    fn list(&self, state: SagaState, after: Option<SagaId>, limit: u32) -> Answer<Vec<SagaId>> {
        self.step(move |connection, _| {
            let after = after.map(|id| id.0.to_vec()).unwrap_or_default();
            connection
                .prepare_cached("select id from saga where state = ?1 and id > ?2 order by id limit ?3")?
                .query_map(params![state.as_str(), after, limit], |row| {
                    row.get(0).map(SagaId)
                })?
                .collect()
        })
    }
}

type Found = (String, String, Row);

fn row_of(connection: &Connection, id: SagaId) -> rusqlite::Result<Option<Found>> {
    connection
        .prepare_cached("select name, key, state, epoch, records, lease_until from saga where id = ?1")?
        .query_row([&id.0[..]], |row| {
            let state: String = row.get(2)?;
            let found = Row {
                state: SagaState::from_name(&state).ok_or_else(|| unreadable("state"))?,
                epoch: row
                    .get::<_, i64>(3)?
                    .try_into()
                    .map_err(|_| unreadable("epoch"))?,
                records: row
                    .get::<_, i64>(4)?
                    .try_into()
                    .map_err(|_| unreadable("records"))?,
                lease_until: Timestamp::from_unix_micros(row.get(5)?),
            };
            Ok((row.get(0)?, row.get(1)?, found))
        })
        .optional()
}

fn journal(connection: &Connection, id: SagaId) -> rusqlite::Result<Option<Journal>> {
    let Some((name, key, row)) = row_of(connection, id)? else {
        return Ok(None);
    };
    let records = connection
        .prepare_cached("select body from saga_record where saga = ?1 order by seq")?
        .query_map([&id.0[..]], |row| row.get::<_, Vec<u8>>(0).map(Into::into))?
        .collect::<Result<_, _>>()?;
    Ok(Some(Journal {
        id,
        name: name.into(),
        key: key.into(),
        state: row.state,
        epoch: row.epoch,
        records,
    }))
}

fn put(connection: &Connection, id: SagaId, row: &Row) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "update saga set state = ?2, epoch = ?3, records = ?4, lease_until = ?5 where id = ?1",
        )?
        .execute(params![
            &id.0[..],
            row.state.as_str(),
            i64::try_from(row.epoch).unwrap_or(i64::MAX),
            i64::try_from(row.records).unwrap_or(i64::MAX),
            row.lease_until.unix_micros()
        ])?;
    Ok(())
}

fn add_records(
    connection: &Connection,
    id: SagaId,
    seen: u64,
    records: &[Arc<[u8]>],
) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached("insert into saga_record (saga, seq, body) values (?1, ?2, ?3)")?;
    for (seq, body) in (seen..).zip(records) {
        insert.execute(params![
            &id.0[..],
            i64::try_from(seq).unwrap_or(i64::MAX),
            &**body
        ])?;
    }
    Ok(())
}
