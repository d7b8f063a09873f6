//! The general way: read the record, ask core's rule, write its change if the row is still the version that the rule was asked about.

use super::rows::{Found, Statement, Version, bind_completion, found};
use super::statements;
use crate::asking::query;
use crate::error::Failure;
use crate::session::{PATIENCE, micros, signed};
use sqlx::PgConnection;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::rule::Change;
use tollgate_core::store::idempotency::{Doubt, Phase, Record, RecordKey};

/// Runs a statement that writes what the rule would, if it would; goes the general way otherwise.
pub(super) async fn at_once<T>(
    connection: &mut PgConnection,
    statement: Statement<'_>,
    key: &RecordKey,
    written: T,
    decide: impl Fn(Option<&Record>, Timestamp) -> (Change, T),
) -> Result<T, Failure> {
    if done_at_once(connection, statement).await? {
        return Ok(written);
    }
    apply(connection, key, decide).await
}

/// Whether it wrote.
pub(super) async fn done_at_once(
    connection: &mut PgConnection,
    statement: Statement<'_>,
) -> Result<bool, Failure> {
    match statement.execute(connection).await.map_err(Failure::Write) {
        Ok(done) => Ok(done.rows_affected() == 1),
        Err(failure) if failure.is_lost_race() => Ok(false),
        Err(failure) => Err(failure),
    }
}

pub(super) async fn apply<T>(
    connection: &mut PgConnection,
    key: &RecordKey,
    decide: impl Fn(Option<&Record>, Timestamp) -> (Change, T),
) -> Result<T, Failure> {
    for _ in 0..PATIENCE {
        let found = load(connection, key).await?;
        // a standby's answer would be yesterday's, also where it changes nothing
        if found.read_only {
            return Err(Failure::ReadOnly);
        }
        let (change, answer) = decide(found.record.as_ref(), found.now);
        let written = match change {
            Change::Keep => return Ok(answer),
            // nobody is told that a claim stands that the server may forget
            Change::Put(record) if found.forgetful && is_claim(&record) => return Err(Failure::Forgetful),
            Change::Put(record) => put(connection, key, found.version.as_ref(), &record).await,
            Change::Remove => remove(connection, key, found.version.as_ref()).await,
        };
        match written {
            Ok(true) => return Ok(answer),
            Ok(false) => {}
            Err(failure) if failure.is_lost_race() => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::Contended)
}

const fn is_claim(record: &Record) -> bool {
    matches!(record.phase, Phase::Prepared | Phase::Armed)
}

pub(super) async fn load(connection: &mut PgConnection, key: &RecordKey) -> Result<Found, Failure> {
    let row = query(statements::LOAD)
        .bind(&key.as_bytes()[..])
        .fetch_one(connection)
        .await
        .map_err(Failure::Before)?;
    found(&row)
}

/// Writes the record if the row is still this version (`None`: still absent). Whether it was. If the claim that somebody waits for ends
/// with it, they are told.
async fn put(
    connection: &mut PgConnection,
    key: &RecordKey,
    version: Option<&Version>,
    record: &Record,
) -> Result<bool, Failure> {
    let statement = match version {
        Some(_) => statements::UPDATE,
        None => statements::INSERT,
    };
    let write = query(statement)
        .bind(&key.as_bytes()[..])
        .bind(record.phase.as_str())
        .bind(signed(record.epoch))
        .bind(record.owner.0.to_be_bytes())
        .bind(&record.fingerprint.as_bytes()[..])
        .bind(record.lease_until.unix_micros())
        .bind(record.expires_at.map(Timestamp::unix_micros))
        .bind(micros(record.retention))
        .bind(record.changed_at.unix_micros())
        .bind(record.doubt.map(Doubt::as_str));
    let write = bind_completion(write, record.completion.as_ref())
        .bind(record.evidence.as_ref().map(|evidence| &*evidence.actor))
        .bind(record.evidence.as_ref().map(|evidence| &*evidence.reason))
        .bind(record.tenant.0.cast_signed());
    let write = match version {
        Some(version) => write
            .bind(&*version.xmin)
            .bind(version.awaited && !is_claim(record)),
        None => write,
    };
    let done = write.execute(connection).await.map_err(Failure::Write)?;
    Ok(done.rows_affected() == 1)
}

async fn remove(
    connection: &mut PgConnection,
    key: &RecordKey,
    version: Option<&Version>,
) -> Result<bool, Failure> {
    let remove = query(statements::REMOVE)
        .bind(&key.as_bytes()[..])
        .bind(version.map(|version| &*version.xmin));
    let done = remove.execute(connection).await.map_err(Failure::Write)?;
    Ok(done.rows_affected() == 1)
}
