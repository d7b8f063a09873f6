//! Records as rows, and back.

use crate::error::{Failure, unreadable};
use crate::session::instant;
use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{
    Completion, Doubt, Envelope, Evidence, Fingerprint, Owner, Phase, Record, Tenant,
};

/// What stands under a key, and when that was.
pub(super) struct Found {
    pub(super) now: Timestamp,
    pub(super) forgetful: bool,
    pub(super) read_only: bool,
    pub(super) version: Option<Version>,
    pub(super) record: Option<Record>,
}

/// Of a row that was read.
pub(super) struct Version {
    pub(super) xmin: String,
    /// Somebody waits for its claim to end.
    pub(super) awaited: bool,
}

/// Where the columns of a record begin in the rows of `LOAD`.
const RECORD: usize = 5;

pub(super) type Statement<'q> = Query<'q, sqlx::Postgres, PgArguments>;

/// Binds the five columns of an outcome.
pub(super) fn bind_completion<'q>(
    statement: Statement<'q>,
    completion: Option<&'q Completion>,
) -> Statement<'q> {
    let envelope = completion.and_then(|completion| completion.envelope.as_ref());
    statement
        .bind(completion.map(|completion| completion.executed))
        .bind(envelope.map(|envelope| envelope.ok))
        .bind(envelope.map(|envelope| i32::from(envelope.status)))
        .bind(envelope.and_then(|envelope| envelope.head.as_deref()))
        .bind(envelope.map(|envelope| &*envelope.body))
}

pub(super) fn get<'r, T>(row: &'r PgRow, at: usize) -> Result<T, Failure>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(at).map_err(Failure::Before)
}

/// Reads the row of `LOAD`.
pub(super) fn found(row: &PgRow) -> Result<Found, Failure> {
    let version = match get(row, 3)? {
        Some(xmin) => Some(Version {
            xmin,
            awaited: get(row, 4)?,
        }),
        None => None,
    };
    Ok(Found {
        now: instant(get(row, 0)?),
        forgetful: get(row, 1)?,
        read_only: get(row, 2)?,
        record: version.as_ref().map(|_| record(row, RECORD)).transpose()?,
        version,
    })
}

pub(super) fn record(row: &PgRow, at: usize) -> Result<Record, Failure> {
    let doubt: Option<&str> = get(row, at + 8)?;
    let executed: Option<bool> = get(row, at + 9)?;
    let retention: i64 = get(row, at + 6)?;
    Ok(Record {
        phase: Phase::from_name(get(row, at)?).ok_or_else(|| unreadable("phase"))?,
        epoch: epoch(get(row, at + 1)?)?,
        owner: Owner(u128::from_be_bytes(get(row, at + 2)?)),
        fingerprint: Fingerprint::new(get(row, at + 3)?),
        lease_until: instant(get(row, at + 4)?),
        expires_at: get::<Option<i64>>(row, at + 5)?.map(instant),
        retention: Duration::from_micros(retention.try_into().map_err(|_| unreadable("retention"))?),
        changed_at: instant(get(row, at + 7)?),
        doubt: doubt
            .map(|name| Doubt::from_name(name).ok_or_else(|| unreadable("doubt")))
            .transpose()?,
        completion: executed
            .map(|executed| {
                let envelope = envelope(row, at + 10)?;
                Ok::<_, Failure>(Completion { executed, envelope })
            })
            .transpose()?,
        evidence: evidence(row, at + 14)?,
        tenant: Tenant(get::<i64>(row, at + 16)?.cast_unsigned()),
    })
}

fn epoch(stored: i64) -> Result<u64, Failure> {
    stored.try_into().map_err(|_| unreadable("epoch"))
}

fn envelope(row: &PgRow, at: usize) -> Result<Option<Envelope>, Failure> {
    let Some(ok) = get::<Option<bool>>(row, at)? else {
        return Ok(None);
    };
    Ok(Some(Envelope {
        ok,
        status: get::<i32>(row, at + 1)?
            .try_into()
            .map_err(|_| unreadable("answer_status"))?,
        head: get::<Option<&[u8]>>(row, at + 2)?.map(Into::into),
        body: get::<&[u8]>(row, at + 3)?.into(),
    }))
}

fn evidence(row: &PgRow, at: usize) -> Result<Option<Evidence>, Failure> {
    let (actor, reason): (Option<&str>, Option<&str>) = (get(row, at)?, get(row, at + 1)?);
    Ok(actor.zip(reason).map(|(actor, reason)| Evidence {
        actor: actor.into(),
        reason: reason.into(),
    }))
}
