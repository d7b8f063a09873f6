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
    pub(super) held: Option<Standing>,
}

/// A record, and what its row knows besides.
pub(super) struct Standing {
    pub(super) record: Record,
    /// The version that it was read from.
    pub(super) version: String,
    /// Somebody waits for its claim to end.
    pub(super) awaited: bool,
}

impl Found {
    pub(super) fn record(&self) -> Option<&Record> {
        self.held.as_ref().map(|held| &held.record)
    }
}

/// The columns of `LOAD`, with which those of `BEGIN` begin.
pub(super) const AFTER_FOUND: usize = 5;

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

/// Reads the rows of `LOAD` and `BEGIN`.
pub(super) fn found(row: &PgRow) -> Result<Found, Failure> {
    Ok(Found {
        now: instant(get(row, 0)?),
        forgetful: get(row, 1)?,
        held: held(row, 2)?,
    })
}

/// The first composite: version, phase, epoch, owner, fingerprint, end of the lease, retention, last change, tenant.
type Claim = (String, String, i64, [u8; 16], [u8; 32], i64, i64, i64, i64);

/// The second: when it expires, its doubt, its outcome, whose word that is.
type Outcome = (
    Option<i64>,
    Option<String>,
    Option<bool>,
    Option<bool>,
    Option<i32>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<String>,
    Option<String>,
);

/// Reads the three columns of a row, if it is there.
pub(super) fn held(row: &PgRow, at: usize) -> Result<Option<Standing>, Failure> {
    let Some(awaited) = get(row, at)? else {
        return Ok(None);
    };
    let (version, phase, epoch, owner, fingerprint, lease_until, retention, changed_at, tenant): Claim =
        get(row, at + 1)?;
    let (expires_at, doubt, executed, ok, status, head, body, actor, reason): Outcome = get(row, at + 2)?;
    let record = Record {
        phase: Phase::from_name(&phase).ok_or_else(|| unreadable("phase"))?,
        epoch: self::epoch(epoch)?,
        owner: Owner(u128::from_be_bytes(owner)),
        fingerprint: Fingerprint::new(fingerprint),
        lease_until: instant(lease_until),
        expires_at: expires_at.map(instant),
        retention: Duration::from_micros(retention.try_into().map_err(|_| unreadable("retention"))?),
        changed_at: instant(changed_at),
        doubt: doubt
            .map(|name| Doubt::from_name(&name).ok_or_else(|| unreadable("doubt")))
            .transpose()?,
        completion: match executed {
            Some(executed) => Some(Completion {
                executed,
                envelope: ok.map(|ok| envelope(ok, status, head, body)).transpose()?,
            }),
            None => None,
        },
        evidence: actor.zip(reason).map(|(actor, reason)| Evidence {
            actor: actor.into(),
            reason: reason.into(),
        }),
        tenant: Tenant(tenant.cast_unsigned()),
    };
    Ok(Some(Standing {
        record,
        version,
        awaited,
    }))
}

pub(super) fn epoch(stored: i64) -> Result<u64, Failure> {
    stored.try_into().map_err(|_| unreadable("epoch"))
}

fn envelope(
    ok: bool,
    status: Option<i32>,
    head: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
) -> Result<Envelope, Failure> {
    Ok(Envelope {
        ok,
        status: status
            .and_then(|status| status.try_into().ok())
            .ok_or_else(|| unreadable("answer_status"))?,
        head: head.map(Into::into),
        body: body.ok_or_else(|| unreadable("answer_body"))?.into(),
    })
}
