//! Idempotency records.

use super::Kind::{Finds, Reads, Repeatable};
use super::{Operation, acts, operations};
use crate::samples;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{
    Begin, Doubt, IdempotencyStore, Owner, Resolution, Resolve, Settlement, Token,
};

const LEASE: Duration = Duration::from_secs(600);

const TOKEN: Token = Token {
    key: samples::key(7),
    epoch: 1,
    owner: Owner(9),
};

fn begin(arm: bool) -> Begin {
    Begin {
        lease: LEASE,
        retention: LEASE,
        arm,
        ..samples::begin(TOKEN.key, TOKEN.owner.0)
    }
}

/// Lapses as soon as it is there.
fn brief(arm: bool) -> Begin {
    Begin {
        lease: Duration::ZERO,
        ..begin(arm)
    }
}

/// Its answer may be forgotten as soon as it is there.
fn unkept() -> Begin {
    Begin {
        retention: Duration::ZERO,
        ..begin(true)
    }
}

fn done() -> Settlement {
    Settlement::Completed(samples::completion(b"{}"))
}

fn found() -> Resolution {
    Resolution::Completed(samples::completion(b"{}"))
}

fn resolve(resolution: Resolution) -> Resolve {
    // in the year 2100: later than any lease here
    let as_of = Timestamp::from_unix_seconds(4_102_444_800);
    samples::resolve(TOKEN, as_of, resolution)
}

acts! { IdempotencyStore:
    prepared = |store| store.begin(begin(false));
    prepared_and_lapsed = |store| store.begin(brief(false));
    armed = |store| store.begin(begin(true));
    armed_and_lapsed = |store| store.begin(brief(true));
    armed_unkept = |store| store.begin(unkept());
    completed = |store| store.settle(TOKEN, &done());
    released = |store| store.settle(TOKEN, &Settlement::Released);
    doubted = |store| store.settle(TOKEN, &Settlement::Unknown(Doubt::AnswerInDoubt));
    declared_absent = |store| store.resolve(resolve(Resolution::Released));
}

/// The operations on idempotency records.
#[must_use]
pub fn idempotency<S: IdempotencyStore>() -> Vec<Operation<S>> {
    operations! {
        "begin" Repeatable(""), after []; |store| store.begin(begin(false));
        "begin and arm" Repeatable(""), after []; |store| store.begin(begin(true));
        "begin again and arm" Repeatable(""), after [prepared]; |store| store.begin(begin(true));
        "begin what was released" Repeatable(""), after [armed, released]; |store| store.begin(begin(true));
        "take over" Repeatable(""), after [prepared_and_lapsed]; |store| store.begin(begin(true));
        "begin what was lost" Repeatable(""), after [armed_and_lapsed]; |store| store.begin(begin(true));
        "replay" Finds, after [armed, completed]; |store| store.begin(begin(true));
        "arm" Repeatable(""), after [prepared]; |store| store.arm(TOKEN, LEASE * 2);
        "renew" Repeatable(""), after [armed]; |store| store.renew(TOKEN, LEASE * 3);
        "complete" Repeatable("AlreadyApplied"), after [armed]; |store| store.settle(TOKEN, &done());
        "complete what was in doubt" Repeatable("AlreadyApplied"), after [armed, doubted]; |store| store.settle(TOKEN, &done());
        "complete what was declared absent" Repeatable("AlreadyApplied"), after [armed_and_lapsed, declared_absent]; |store| {
            store.settle(TOKEN, &done())
        };
        "release" Repeatable("AlreadyApplied"), after [armed]; |store| store.settle(TOKEN, &Settlement::Released);
        "doubt" Repeatable("AlreadyApplied"), after [armed]; |store| store.settle(TOKEN, &Settlement::Unknown(Doubt::Panicked));
        "resolve" Repeatable("Stale"), after [armed, doubted]; |store| store.resolve(resolve(found()));
        "declare absent" Repeatable("Stale"), after [armed_and_lapsed]; |store| store.resolve(resolve(Resolution::Released));
        "now" Reads, after []; |store| async { store.now().await.map(|_| "some time") };
        "get" Reads, after [armed]; |store| store.get(TOKEN.key);
        "unresolved" Reads, after [armed, doubted]; |store| store.unresolved(None, 9);
        "sweep" Repeatable("0"), after [armed_and_lapsed]; |store| store.sweep(9);
        "collect" Repeatable("0"), after [armed_unkept, completed]; |store| store.collect(LEASE, 9);
    }
}
