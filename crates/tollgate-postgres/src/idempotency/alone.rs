//! A begin or a settlement that goes by itself: one guarded statement, and what stands under the key if that was not enough.

use super::general::{apply, done_at_once};
use super::rows::{Statement, bind_completion};
use super::statements;
use crate::asking::{query, query_scalar};
use crate::error::Failure;
use crate::session::{micros, signed};
use sqlx::PgConnection;
use tollgate_core::store::idempotency::rule;
use tollgate_core::store::idempotency::{Begin, Begun, Completion, Phase, Settled, Settlement, Token};

/// A new key is claimed by one statement; whatever else stands there is found out.
pub(super) async fn claim(connection: &mut PgConnection, begin: Begin) -> Result<Begun, Failure> {
    let cap = cap(&begin);
    let statement = match cap {
        None => statements::BEGIN,
        Some(_) => statements::BEGIN_WITHIN,
    };
    let claim = query(statement)
        .bind(&begin.key.as_bytes()[..])
        .bind(phase(&begin).as_str())
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
    find_out(connection, begin).await
}

/// What stands under a key that is not simply new.
pub(super) async fn find_out(connection: &mut PgConnection, begin: Begin) -> Result<Begun, Failure> {
    let open = count_open(connection, &begin).await?;
    apply(connection, &begin.key, |record, now| {
        rule::begin_within(record, &begin, || open, now)
    })
    .await
}

pub(super) const fn phase(begin: &Begin) -> Phase {
    if begin.arm { Phase::Armed } else { Phase::Prepared }
}

/// The cap, if there is one.
pub(super) fn cap(begin: &Begin) -> Option<i64> {
    (begin.most_open != u32::MAX).then(|| i64::from(begin.most_open))
}

/// How many outcomes of the tenant are unknown, if that matters, and as far as it does. No claim makes it more, so it may be counted
/// before the claim is made.
async fn count_open(connection: &mut PgConnection, begin: &Begin) -> Result<u32, Failure> {
    let Some(at_most) = cap(begin) else { return Ok(0) };
    let open: i64 = query_scalar(statements::OPEN_OF)
        .bind(begin.tenant.0.cast_signed())
        .bind(at_most)
        .fetch_one(connection)
        .await
        .map_err(Failure::Before)?;
    Ok(u32::try_from(open).unwrap_or(u32::MAX))
}

/// A claim that stands is settled by one statement; whatever else stands there is found out.
pub(super) async fn settle(
    connection: &mut PgConnection,
    token: &Token,
    settlement: &Settlement,
) -> Result<Settled, Failure> {
    let (phase, doubt, completion) = columns(settlement);
    let write = bind_token(query(statements::SETTLE), token)
        .bind(phase)
        .bind(doubt);
    if done_at_once(connection, bind_completion(write, completion)).await? {
        return Ok(Settled::Applied);
    }
    settle_whatever_stands(connection, token, settlement).await
}

/// Whatever stands under the key.
pub(super) async fn settle_whatever_stands(
    connection: &mut PgConnection,
    token: &Token,
    settlement: &Settlement,
) -> Result<Settled, Failure> {
    apply(connection, &token.key, |record, now| {
        rule::settle(record, token, settlement, now)
    })
    .await
}

/// Phase, doubt and outcome, as the row has them.
pub(super) fn columns(settlement: &Settlement) -> (&'static str, Option<&'static str>, Option<&Completion>) {
    match settlement {
        Settlement::Completed(completion) => (Phase::Completed.as_str(), None, Some(completion)),
        Settlement::Released => (Phase::Released.as_str(), None, None),
        Settlement::Unknown(doubt) => (Phase::Unknown.as_str(), Some(doubt.as_str()), None),
    }
}

/// Binds what a claim is recognised by.
pub(super) fn bind_token<'q>(statement: Statement<'q>, token: &'q Token) -> Statement<'q> {
    statement
        .bind(&token.key.as_bytes()[..])
        .bind(signed(token.epoch))
        .bind(token.owner.0.to_be_bytes())
}
