//! Idempotency records: load, ask the rule, write the change.

use crate::error::unreadable;
use crate::{Answer, Sqlite};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::Capabilities;
use tollgate_core::store::idempotency::rule::{self, Change};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Envelope, Evidence, Fingerprint, Held, IdempotencyStore, Owner, Phase,
    Record, RecordKey, Resolve, Resolved, Settled, Settlement, Tenant, Token, Unresolved,
};

macro_rules! columns {
    () => {
        "phase, epoch, owner, fingerprint, lease_until, expires_at, retention, changed_at, doubt, executed, \
         answer_ok, answer_status, answer_head, answer_body, actor, reason, tenant"
    };
}

const LOAD: &str = concat!("select ", columns!(), " from idempotency where key = ?1");

/// Two looks, each at an index of what is rare: what is unknown, and whose lease lapsed while it was armed.
const UNRESOLVED: &str = concat!(
    "select key, ",
    columns!(),
    " from idempotency where key in ( \
        select key from (select key from idempotency where phase = 'unknown' and key > ?1 order by key limit ?3) \
        union all \
        select key from idempotency where phase in ('prepared', 'armed') and lease_until < ?2 and phase = 'armed' and key > ?1) \
     order by key limit ?3"
);

const LAPSED: &str = concat!(
    "select key, ",
    columns!(),
    " from idempotency where phase in ('prepared', 'armed') and lease_until < ?1 and phase = 'armed' limit ?2"
);

/// Two looks, since one that asks for either reads the whole table: what has ended, and what was claimed and never armed.
const SPENT: &str = concat!(
    "select key, ",
    columns!(),
    " from idempotency where expires_at <= ?1 union all select key, ",
    columns!(),
    " from idempotency where phase in ('prepared', 'armed') and lease_until < ?1 \
     and phase = 'prepared' and lease_until + retention < ?1 limit ?2"
);

/// A new record, or all of one that is there, where it stands: `insert or replace` would take that one out of every index first.
const PUT: &str = concat!(
    "insert into idempotency (key, ",
    columns!(),
    ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) \
     on conflict (key) do update set phase = ?2, epoch = ?3, owner = ?4, fingerprint = ?5, lease_until = ?6, expires_at = ?7, \
     retention = ?8, changed_at = ?9, doubt = ?10, executed = ?11, answer_ok = ?12, answer_status = ?13, answer_head = ?14, \
     answer_body = ?15, actor = ?16, reason = ?17, tenant = ?18"
);

impl IdempotencyStore for Sqlite {
    type Future<T: Send + 'static> = Answer<T>;

    fn capabilities(&self) -> Capabilities {
        Self::capabilities()
    }

    fn now(&self) -> Answer<Timestamp> {
        self.step(|_, now| Ok(now))
    }

    fn begin(&self, begin: Begin) -> Answer<Begun> {
        self.step(move |connection, now| {
            let record = load(connection, &begin.key)?;
            let mut counted = Ok(0);
            let open = || {
                counted = count_open(connection, begin.tenant, begin.most_open);
                counted.as_ref().copied().unwrap_or(u32::MAX)
            };
            let (change, begun) = rule::begin_within(record.as_ref(), &begin, open, now);
            counted?;
            write(connection, &begin.key, change)?;
            Ok(begun)
        })
    }

    fn arm(&self, token: Token, lease: Duration) -> Answer<Held> {
        self.apply(token.key, move |record, now| {
            rule::arm(record, &token, lease, now)
        })
    }

    fn renew(&self, token: Token, lease: Duration) -> Answer<Held> {
        self.apply(token.key, move |record, now| {
            rule::renew(record, &token, lease, now)
        })
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Answer<Settled> {
        let settlement = settlement.clone();
        self.apply(token.key, move |record, now| {
            rule::settle(record, &token, &settlement, now)
        })
    }

    fn resolve(&self, resolve: Resolve) -> Answer<Resolved> {
        self.apply(resolve.key, move |record, now| {
            rule::resolve(record, &resolve, now)
        })
    }

    fn get(&self, key: RecordKey) -> Answer<Option<Record>> {
        self.step(move |connection, _| load(connection, &key))
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Answer<Vec<Unresolved>> {
        self.step(move |connection, now| {
            let after = after.map(|key| key.as_bytes().to_vec()).unwrap_or_default();
            let found = keyed(connection, UNRESOLVED, params![after, now.unix_micros(), limit])?;
            Ok(found
                .iter()
                .map(|(key, record)| Unresolved::of(*key, record))
                .collect())
        })
    }

    fn sweep(&self, limit: u32) -> Answer<u64> {
        self.step(move |connection, now| {
            let found = keyed(connection, LAPSED, params![now.unix_micros(), limit])?;
            apply_all(connection, &found, |record| rule::sweep(record, now))
        })
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Answer<u64> {
        self.step(move |connection, now| {
            let found = keyed(connection, SPENT, params![now.unix_micros(), limit])?;
            apply_all(connection, &found, |record| rule::collect(record, tombstone, now))
        })
    }
}

impl Sqlite {
    fn apply<T: Send + 'static>(
        &self,
        key: RecordKey,
        decide: impl FnOnce(Option<&Record>, Timestamp) -> (Change, T) + Send + 'static,
    ) -> Answer<T> {
        self.step(move |connection, now| {
            let record = load(connection, &key)?;
            let (change, answer) = decide(record.as_ref(), now);
            write(connection, &key, change)?;
            Ok(answer)
        })
    }
}

fn apply_all(
    connection: &Connection,
    found: &[(RecordKey, Record)],
    decide: impl Fn(&Record) -> Change,
) -> rusqlite::Result<u64> {
    let mut changed = 0;
    for (key, record) in found {
        let change = decide(record);
        changed += u64::from(change != Change::Keep);
        write(connection, key, change)?;
    }
    Ok(changed)
}

/// How many outcomes of the tenant are unknown, at most so many.
fn count_open(connection: &Connection, tenant: Tenant, at_most: u32) -> rusqlite::Result<u32> {
    connection
        .prepare_cached(
            "select count(*) from (select 1 from idempotency where tenant = ?1 and phase = 'unknown' limit ?2)",
        )?
        .query_row(params![tenant.0.cast_signed(), at_most], |row| row.get(0))
}

fn load(connection: &Connection, key: &RecordKey) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached(LOAD)?
        .query_row([&key.as_bytes()[..]], |row| record(row, 0))
        .optional()
}

fn keyed(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<(RecordKey, Record)>> {
    connection
        .prepare_cached(sql)?
        .query_map(params, |row| Ok((RecordKey::new(row.get(0)?), record(row, 1)?)))?
        .collect()
}

fn record(row: &Row<'_>, at: usize) -> rusqlite::Result<Record> {
    let phase: String = row.get(at)?;
    let doubt: Option<String> = row.get(at + 8)?;
    let executed: Option<bool> = row.get(at + 9)?;
    Ok(Record {
        phase: Phase::from_name(&phase).ok_or_else(|| unreadable("phase"))?,
        epoch: row
            .get::<_, i64>(at + 1)?
            .try_into()
            .map_err(|_| unreadable("epoch"))?,
        owner: Owner(u128::from_be_bytes(row.get(at + 2)?)),
        fingerprint: Fingerprint::new(row.get(at + 3)?),
        lease_until: Timestamp::from_unix_micros(row.get(at + 4)?),
        expires_at: row
            .get::<_, Option<i64>>(at + 5)?
            .map(Timestamp::from_unix_micros),
        retention: Duration::from_micros(
            row.get::<_, i64>(at + 6)?
                .try_into()
                .map_err(|_| unreadable("retention"))?,
        ),
        changed_at: Timestamp::from_unix_micros(row.get(at + 7)?),
        doubt: doubt
            .map(|name| Doubt::from_name(&name).ok_or_else(|| unreadable("doubt")))
            .transpose()?,
        completion: executed
            .map(|executed| {
                Ok::<_, rusqlite::Error>(Completion {
                    executed,
                    envelope: envelope(row, at + 10)?,
                })
            })
            .transpose()?,
        evidence: evidence(row, at + 14)?,
        tenant: Tenant(row.get::<_, i64>(at + 16)?.cast_unsigned()),
    })
}

fn envelope(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Envelope>> {
    let Some(ok) = row.get::<_, Option<bool>>(at)? else {
        return Ok(None);
    };
    let head: Option<Vec<u8>> = row.get(at + 2)?;
    let body: Vec<u8> = row.get(at + 3)?;
    Ok(Some(Envelope {
        ok,
        status: row.get(at + 1)?,
        head: head.map(Into::into),
        body: body.into(),
    }))
}

fn evidence(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Evidence>> {
    let (actor, reason): (Option<String>, Option<String>) = (row.get(at)?, row.get(at + 1)?);
    Ok(actor.zip(reason).map(|(actor, reason)| Evidence {
        actor: actor.into(),
        reason: reason.into(),
    }))
}

fn write(connection: &Connection, key: &RecordKey, change: Change) -> rusqlite::Result<()> {
    let key = &key.as_bytes()[..];
    let record = match change {
        Change::Keep => return Ok(()),
        Change::Remove => {
            connection
                .prepare_cached("delete from idempotency where key = ?1")?
                .execute([key])?;
            return Ok(());
        }
        Change::Put(record) => record,
    };
    let envelope = record
        .completion
        .as_ref()
        .and_then(|completion| completion.envelope.as_ref());
    connection.prepare_cached(PUT)?.execute(params![
        key,
        record.phase.as_str(),
        i64::try_from(record.epoch).unwrap_or(i64::MAX),
        &record.owner.0.to_be_bytes()[..],
        &record.fingerprint.as_bytes()[..],
        record.lease_until.unix_micros(),
        record.expires_at.map(Timestamp::unix_micros),
        i64::try_from(record.retention.as_micros()).unwrap_or(i64::MAX),
        record.changed_at.unix_micros(),
        record.doubt.map(Doubt::as_str),
        record.completion.as_ref().map(|completion| completion.executed),
        envelope.map(|envelope| envelope.ok),
        envelope.map(|envelope| envelope.status),
        envelope.and_then(|envelope| envelope.head.as_deref()),
        envelope.map(|envelope| &*envelope.body),
        record.evidence.as_ref().map(|evidence| &*evidence.actor),
        record.evidence.as_ref().map(|evidence| &*evidence.reason),
        record.tenant.0.cast_signed(),
    ])?;
    Ok(())
}
