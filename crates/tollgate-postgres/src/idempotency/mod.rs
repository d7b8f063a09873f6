//! Idempotency records.
//!
//! Two ways to make a change, both of one guarded statement that commits by itself:
//!
//! * What every guarded effect goes through (begin on a new key, arm, renew, settle, resolve) is one round trip: the statement's `where`
//!   says what core's rule says, and random histories compare the two.
//! * Whatever else they meet goes the general way: read the record, ask core's rule, and write its change *if the row is still the
//!   version that the rule was asked about*. Who finds another version has lost a race and asks again. An answer that changes nothing
//!   needs no write: it was true when the record was read.

mod in_transaction;
mod rows;
mod statements;

use crate::Postgres;
use crate::error::Failure;
use crate::session::{PATIENCE, instant, micros, signed};
use rows::{Found, Statement, Version, bind_completion, found, get, record};
use sqlx::PgConnection;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::rule::{self, Change};
use tollgate_core::store::idempotency::{
    Begin, Begun, Doubt, Held, IdempotencyStore, Phase, Record, RecordKey, Resolution, Resolve, Resolved,
    Settled, Settlement, Token, Unresolved,
};
use tollgate_core::store::{Boxed, Capabilities};

impl IdempotencyStore for Postgres {
    type Future<T: Send + 'static> = Boxed<T>;

    fn capabilities(&self) -> Capabilities {
        self.capabilities()
    }

    fn now(&self) -> Boxed<Timestamp> {
        self.step(|connection| {
            Box::pin(async move {
                let now = sqlx::query_scalar(statements::NOW).fetch_one(connection).await;
                now.map(instant).map_err(Failure::Before)
            })
        })
    }

    fn begin(&self, begin: Begin) -> Boxed<Begun> {
        self.step(move |connection| Box::pin(async move { claim(connection, begin).await }))
    }

    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        self.step(move |connection| {
            Box::pin(async move {
                let arm = bind_token(sqlx::query(statements::ARM), &token).bind(micros(lease));
                let decide = |record: Option<&Record>, now| rule::arm(record, &token, lease, now);
                at_once(connection, arm, &token.key, Held::Held, decide).await
            })
        })
    }

    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        self.step(move |connection| {
            Box::pin(async move {
                let renew = bind_token(sqlx::query(statements::RENEW), &token).bind(micros(lease));
                let decide = |record: Option<&Record>, now| rule::renew(record, &token, lease, now);
                at_once(connection, renew, &token.key, Held::Held, decide).await
            })
        })
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Boxed<Settled> {
        let settlement = settlement.clone();
        self.step(move |connection| Box::pin(async move { settle(connection, &token, &settlement).await }))
    }

    fn resolve(&self, resolve: Resolve) -> Boxed<Resolved> {
        self.step(move |connection| Box::pin(async move { end_doubt(connection, &resolve).await }))
    }

    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        self.step(move |connection| Box::pin(async move { Ok(load(connection, &key).await?.record) }))
    }

    fn changed(&self, key: RecordKey) -> Option<Boxed<()>> {
        let ear = self.ear.clone()?;
        let asked = self.clone();
        Some(Box::pin(async move {
            // enlisted before the row is marked: from then on no word is missed
            let word = ear.enlist(key).await?;
            let marked = asked.step(move |connection| Box::pin(async move { mark(connection, &key).await }));
            match marked.await? {
                Some(left) => word.or_after(left).await,
                None => Ok(()),
            }
        }))
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Boxed<Vec<Unresolved>> {
        self.step(move |connection| {
            Box::pin(async move {
                let after = after.as_ref().map_or(&[][..], |key| &key.as_bytes()[..]);
                let rows = sqlx::query(statements::UNRESOLVED)
                    .bind(after)
                    .bind(i64::from(limit))
                    .fetch_all(connection)
                    .await
                    .map_err(Failure::Before)?;
                rows.iter()
                    .map(|row| {
                        let key = RecordKey::new(get(row, 0)?);
                        Ok(Unresolved::of(key, &record(row, 1)?))
                    })
                    .collect()
            })
        })
    }

    fn sweep(&self, limit: u32) -> Boxed<u64> {
        self.step(move |connection| {
            Box::pin(async move {
                let sweep = sqlx::query(statements::SWEEP).bind(i64::from(limit));
                let swept = sweep.execute(connection).await.map_err(Failure::Write)?;
                Ok(swept.rows_affected())
            })
        })
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        self.step(move |connection| {
            Box::pin(async move {
                let collect = sqlx::query_scalar::<_, i64>(statements::COLLECT)
                    .bind(micros(tombstone))
                    .bind(i64::from(limit));
                let collected = collect.fetch_one(connection).await.map_err(Failure::Write)?;
                Ok(collected.unsigned_abs())
            })
        })
    }
}

async fn claim(connection: &mut PgConnection, begin: Begin) -> Result<Begun, Failure> {
    let (phase, cap) = (
        if begin.arm { Phase::Armed } else { Phase::Prepared },
        cap(&begin),
    );
    let statement = match cap {
        None => statements::BEGIN,
        Some(_) => statements::BEGIN_WITHIN,
    };
    let claim = sqlx::query(statement)
        .bind(&begin.key.as_bytes()[..])
        .bind(phase.as_str())
        .bind(begin.owner.0.to_be_bytes())
        .bind(&begin.fingerprint.as_bytes()[..])
        .bind(micros(begin.lease))
        .bind(micros(begin.retention))
        .bind(begin.tenant.0.cast_signed());
    let claim = match cap {
        None => claim,
        Some(at_most) => claim.bind(at_most),
    };
    if done_at_once(connection, claim).await? {
        return Ok(Begun::Acquired(Token {
            key: begin.key,
            epoch: 1,
            owner: begin.owner,
        }));
    }
    let open = count_open(connection, &begin).await?;
    apply(connection, &begin.key, |record, now| {
        rule::begin_within(record, &begin, || open, now)
    })
    .await
}

/// The cap, if there is one.
fn cap(begin: &Begin) -> Option<i64> {
    (begin.most_open != u32::MAX).then(|| i64::from(begin.most_open))
}

/// How many outcomes of the tenant are unknown, if that matters, and as far as it does. No claim makes it more, so it may be counted
/// before the claim is made.
async fn count_open(connection: &mut PgConnection, begin: &Begin) -> Result<u32, Failure> {
    let Some(at_most) = cap(begin) else { return Ok(0) };
    let open: i64 = sqlx::query_scalar(statements::OPEN_OF)
        .bind(begin.tenant.0.cast_signed())
        .bind(at_most)
        .fetch_one(connection)
        .await
        .map_err(Failure::Before)?;
    Ok(u32::try_from(open).unwrap_or(u32::MAX))
}

async fn settle(
    connection: &mut PgConnection,
    token: &Token,
    settlement: &Settlement,
) -> Result<Settled, Failure> {
    let (phase, doubt, completion) = match settlement {
        Settlement::Completed(completion) => (Phase::Completed, None, Some(completion)),
        Settlement::Released => (Phase::Released, None, None),
        Settlement::Unknown(doubt) => (Phase::Unknown, Some(doubt.as_str()), None),
    };
    let settle = bind_token(sqlx::query(statements::SETTLE), token)
        .bind(phase.as_str())
        .bind(doubt);
    let settle = bind_completion(settle, completion);
    let decide = |record: Option<&Record>, now| rule::settle(record, token, settlement, now);
    at_once(connection, settle, &token.key, Settled::Applied, decide).await
}

async fn end_doubt(connection: &mut PgConnection, resolve: &Resolve) -> Result<Resolved, Failure> {
    let (phase, completion) = match &resolve.resolution {
        Resolution::Completed(completion) => (Phase::Completed, Some(completion)),
        Resolution::Released => (Phase::Released, None),
    };
    let write = sqlx::query(statements::RESOLVE)
        .bind(&resolve.key.as_bytes()[..])
        .bind(signed(resolve.epoch))
        .bind(phase.as_str());
    let write = bind_completion(write, completion)
        .bind(&*resolve.evidence.actor)
        .bind(&*resolve.evidence.reason)
        .bind(resolve.as_of.unix_micros());
    let decide = |record: Option<&Record>, now| rule::resolve(record, resolve, now);
    at_once(connection, write, &resolve.key, Resolved::Resolved, decide).await
}

/// Has the row's next settlement tell. How long its claim still runs; `None` when nothing is in flight.
async fn mark(connection: &mut PgConnection, key: &RecordKey) -> Result<Option<Duration>, Failure> {
    let left: Option<i64> = sqlx::query_scalar(statements::AWAIT)
        .bind(&key.as_bytes()[..])
        .fetch_optional(connection)
        .await
        .map_err(Failure::Write)?;
    Ok(left.map(|left| Duration::from_micros(left.unsigned_abs())))
}

/// Runs a statement that writes what the rule would, if it would; goes the general way otherwise.
async fn at_once<T>(
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
async fn done_at_once(connection: &mut PgConnection, statement: Statement<'_>) -> Result<bool, Failure> {
    match statement.execute(connection).await.map_err(Failure::Write) {
        Ok(done) => Ok(done.rows_affected() == 1),
        Err(failure) if failure.is_lost_race() => Ok(false),
        Err(failure) => Err(failure),
    }
}

async fn apply<T>(
    connection: &mut PgConnection,
    key: &RecordKey,
    decide: impl Fn(Option<&Record>, Timestamp) -> (Change, T),
) -> Result<T, Failure> {
    for _ in 0..PATIENCE {
        let found = load(connection, key).await?;
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

async fn load(connection: &mut PgConnection, key: &RecordKey) -> Result<Found, Failure> {
    let row = sqlx::query(statements::LOAD)
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
    let write = sqlx::query(statement)
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
    let remove = sqlx::query(statements::REMOVE)
        .bind(&key.as_bytes()[..])
        .bind(version.map(|version| &*version.xmin));
    let done = remove.execute(connection).await.map_err(Failure::Write)?;
    Ok(done.rows_affected() == 1)
}

/// Binds what a claim is recognised by.
fn bind_token<'q>(statement: Statement<'q>, token: &'q Token) -> Statement<'q> {
    statement
        .bind(&token.key.as_bytes()[..])
        .bind(signed(token.epoch))
        .bind(token.owner.0.to_be_bytes())
}
