//! What the scripts answer to a step.

use crate::error::unreadable;
use crate::record;
use crate::reply::Reply;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{Begin, Begun, Held, Phase, Resolved, Settled, Token};

/// A key that was free is acquired for the first time.
pub(super) fn first(begin: &Begin) -> Begun {
    Begun::Acquired(Token {
        key: begin.key,
        epoch: 1,
        owner: begin.owner,
    })
}

pub(super) fn begun(mut reply: Reply, begin: &Begin) -> Result<Begun, StoreError> {
    if reply.is_one() {
        return Ok(first(begin));
    }
    Ok(match reply.word()?.as_str() {
        "acquired" => Begun::Acquired(Token {
            key: begin.key,
            epoch: reply.number()?,
            owner: begin.owner,
        }),
        "replay" => Begun::Replay(record::completion(&reply.bytes()?)?.ok_or_else(unreadable)?),
        "in_flight" => Begun::InFlight {
            retry_after: Duration::from_micros(reply.number()?),
        },
        "mismatch" => Begun::Mismatch,
        "unknown" => Begun::Unknown {
            since: Timestamp::from_unix_micros(reply.number()?),
        },
        "expired" => Begun::Expired,
        "too_many_open" => Begun::TooManyOpen,
        _ => return Err(unreadable()),
    })
}

pub(super) fn held(mut reply: Reply) -> Result<Held, StoreError> {
    match reply.word()?.as_str() {
        "held" => Ok(Held::Held),
        "fenced" => Ok(Held::Fenced),
        _ => Err(unreadable()),
    }
}

pub(super) fn settled(mut reply: Reply) -> Result<Settled, StoreError> {
    if reply.is_one() {
        return Ok(Settled::Applied);
    }
    match reply.word()?.as_str() {
        "applied" => Ok(Settled::Applied),
        "already_applied" => Ok(Settled::AlreadyApplied),
        "fenced" => Phase::from_name(&reply.word()?)
            .map(Settled::Fenced)
            .ok_or_else(unreadable),
        "gone" => Ok(Settled::Gone),
        _ => Err(unreadable()),
    }
}

pub(super) fn resolved(mut reply: Reply) -> Result<Resolved, StoreError> {
    match reply.word()?.as_str() {
        "resolved" => Ok(Resolved::Resolved),
        "stale" => Ok(Resolved::Stale),
        "too_early" => Ok(Resolved::TooEarly {
            retry_after: Duration::from_micros(reply.number()?),
        }),
        _ => Err(unreadable()),
    }
}
