//! The port.

use super::alone::{bind_token, cap, claim, find_out, settle_whatever_stands};
use super::general::{at_once, load};
use super::rows::{bind_completion, get, record};
use super::statements;
use super::together::{Done, Step};
use crate::Postgres;
use crate::asking::{query, query_scalar};
use crate::error::Failure;
use crate::session::{instant, micros, signed};
use sqlx::PgConnection;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::rule;
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Phase, Record, RecordKey, Resolution, Resolve, Resolved, Settled,
    Settlement, Token, Unresolved,
};
use tollgate_core::store::{Boxed, Capabilities};

impl IdempotencyStore for Postgres {
    type Future<T: Send + 'static> = Boxed<T>;

    fn capabilities(&self) -> Capabilities {
        self.capabilities()
    }

    fn now(&self) -> Boxed<Timestamp> {
        self.look(|connection| {
            Box::pin(async move {
                let now = query_scalar(statements::NOW).fetch_one(connection).await;
                now.map(instant).map_err(Failure::Before)
            })
        })
    }

    fn begin(&self, begin: Begin) -> Boxed<Begun> {
        if cap(&begin).is_some() {
            return self.step(move |connection| Box::pin(async move { claim(connection, begin).await }));
        }
        let asked = self.clone();
        Box::pin(async move {
            if let Some(Done::Begun(begun)) = asked.steps.ask(Step::Begin(begin)).await? {
                return Ok(begun);
            }
            let find_out = asked.step(move |connection| Box::pin(find_out(connection, begin)));
            find_out.await
        })
    }

    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        self.step(move |connection| {
            Box::pin(async move {
                let arm = bind_token(query(statements::ARM), &token).bind(micros(lease));
                let decide = |record: Option<&Record>, now| rule::arm(record, &token, lease, now);
                at_once(connection, arm, &token.key, Held::Held, decide).await
            })
        })
    }

    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        self.step(move |connection| {
            Box::pin(async move {
                let renew = bind_token(query(statements::RENEW), &token).bind(micros(lease));
                let decide = |record: Option<&Record>, now| rule::renew(record, &token, lease, now);
                at_once(connection, renew, &token.key, Held::Held, decide).await
            })
        })
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Boxed<Settled> {
        let (asked, settlement) = (self.clone(), settlement.clone());
        Box::pin(async move {
            let step = Step::Settle(token, settlement.clone());
            if let Some(Done::Settled(settled)) = asked.steps.ask(step).await? {
                return Ok(settled);
            }
            let find_out = asked.step(move |connection| {
                Box::pin(async move { settle_whatever_stands(connection, &token, &settlement).await })
            });
            find_out.await
        })
    }

    fn resolve(&self, resolve: Resolve) -> Boxed<Resolved> {
        self.step(move |connection| Box::pin(async move { end_doubt(connection, &resolve).await }))
    }

    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        self.look(move |connection| Box::pin(async move { Ok(load(connection, &key).await?.record) }))
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
        self.look(move |connection| {
            Box::pin(async move {
                let after = after.as_ref().map_or(&[][..], |key| &key.as_bytes()[..]);
                let rows = query(statements::UNRESOLVED)
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
                let sweep = query(statements::SWEEP).bind(i64::from(limit));
                let swept = sweep.execute(connection).await.map_err(Failure::Write)?;
                Ok(swept.rows_affected())
            })
        })
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        self.step(move |connection| {
            Box::pin(async move {
                let collect = query_scalar::<i64>(statements::COLLECT)
                    .bind(micros(tombstone))
                    .bind(i64::from(limit));
                let collected = collect.fetch_one(connection).await.map_err(Failure::Write)?;
                Ok(collected.unsigned_abs())
            })
        })
    }
}

async fn end_doubt(connection: &mut PgConnection, resolve: &Resolve) -> Result<Resolved, Failure> {
    let (phase, completion) = match &resolve.resolution {
        Resolution::Completed(completion) => (Phase::Completed, Some(completion)),
        Resolution::Released => (Phase::Released, None),
    };
    let write = query(statements::RESOLVE)
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
    let left: Option<i64> = query_scalar(statements::AWAIT)
        .bind(&key.as_bytes()[..])
        .fetch_optional(connection)
        .await
        .map_err(Failure::Write)?;
    Ok(left.map(|left| Duration::from_micros(left.unsigned_abs())))
}
