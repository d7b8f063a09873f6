//! Every operation of every port, and what stands on the server before it.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::dedup::{Claim, DedupStore, EventDigest, EventKey, Ticket};
use tollgate_core::store::idempotency::{
    Begin, Completion, Doubt, Envelope, Evidence, Fingerprint, IdempotencyStore, Owner, RecordKey,
    Resolution, Resolve, Settlement, Tenant, Token,
};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take};
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};
use tollgate_redis::Redis;

pub(crate) type Act = fn(Redis) -> Pin<Box<dyn Future<Output = Result<String, StoreError>> + Send>>;

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// What happened before it.
    pub(crate) before: &'static [Act],
    pub(crate) act: Act,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It changes something here.
    Writes,
    /// It could have, and finds nothing to change.
    Looks,
    /// It never does.
    Reads,
}
use Kind::{Looks, Reads, Writes};

const LEASE: Duration = Duration::from_secs(600);
const KEY: RecordKey = RecordKey::new([7; 32]);
const TOKEN: Token = Token {
    key: KEY,
    epoch: 1,
    owner: Owner(9),
};
const EVENT: EventKey = EventKey([7; 32]);
const TICKET: Ticket = Ticket { key: EVENT, fence: 1 };

fn begin(arm: bool) -> Begin {
    Begin {
        key: KEY,
        fingerprint: Fingerprint::new([1; 32]),
        owner: TOKEN.owner,
        lease: LEASE,
        retention: LEASE,
        arm,
        tenant: Tenant::NONE,
        most_open: u32::MAX,
    }
}

/// Lapses as soon as it is there.
fn brief() -> Begin {
    Begin {
        lease: Duration::ZERO,
        ..begin(true)
    }
}

/// Its answer may be forgotten as soon as it is there.
fn unkept() -> Begin {
    Begin {
        retention: Duration::ZERO,
        ..begin(true)
    }
}

fn completion() -> Completion {
    Completion {
        executed: true,
        envelope: Some(Envelope {
            ok: true,
            status: 201,
            head: None,
            body: b"{}"[..].into(),
        }),
    }
}

fn resolve(resolution: Resolution) -> Resolve {
    Resolve {
        key: KEY,
        epoch: 1,
        as_of: Timestamp::MAX,
        resolution,
        evidence: Evidence {
            actor: "ops".into(),
            reason: "looked".into(),
        },
    }
}

fn claim(lease: Duration) -> Claim {
    Claim {
        key: EVENT,
        digest: EventDigest([1; 32]),
        lease,
    }
}

fn take(key: u8) -> Take {
    Take {
        key: QuotaKey([key; 32]),
        quota: Quota::per_minute(NonZeroU32::new(10).unwrap()),
        cost: 3,
    }
}

fn admit() -> Admit {
    Admit {
        key: VelocityKey([7; 32]),
        window: LEASE,
        weight: 3,
        limit: 100,
    }
}

macro_rules! acts {
    ($($name:ident = |$store:ident| $ask:expr;)+) => {
        $(const $name: Act = |$store| Box::pin(async move { $ask.await.map(|answer| format!("{answer:?}")) });)+
    };
}

acts! {
    PREPARED = |store| store.begin(begin(false));
    ARMED = |store| store.begin(begin(true));
    LAPSED = |store| store.begin(brief());
    UNKEPT = |store| store.begin(unkept());
    DONE = |store| IdempotencyStore::settle(&store, TOKEN, &Settlement::Completed(completion()));
    RELEASED = |store| store.settle(TOKEN, &Settlement::Released);
    DOUBTED = |store| store.settle(TOKEN, &Settlement::Unknown(Doubt::AnswerInDoubt));
    DECLARED_ABSENT = |store| store.resolve(resolve(Resolution::Released));
    CLAIMED = |store| DedupStore::claim(&store, claim(LEASE));
    CLAIMED_BRIEFLY = |store| DedupStore::claim(&store, claim(Duration::ZERO));
    PROCESSED = |store| store.commit(TICKET, Duration::ZERO);
    TAKEN = |store| store.take(&[take(7)]);
    ADMITTED = |store| store.admit(admit());
}

macro_rules! operations {
    ($($name:literal $kind:ident after [$($before:ident),*]: |$store:ident| $ask:expr;)+) => {
        vec![$({
            acts! { ACT = |$store| $ask; }
            Operation { name: $name, kind: $kind, before: &[$($before),*], act: ACT }
        }),+]
    };
}

pub(crate) fn all() -> Vec<Operation> {
    operations! {
        "begin" Writes after []: |store| store.begin(begin(false));
        "begin and arm" Writes after []: |store| store.begin(begin(true));
        "begin again, and arm" Writes after [PREPARED]: |store| store.begin(begin(true));
        "begin what was released" Writes after [ARMED, RELEASED]: |store| store.begin(begin(true));
        "begin what was lost" Writes after [LAPSED]: |store| store.begin(begin(true));
        "replay" Looks after [ARMED, DONE]: |store| store.begin(begin(true));
        "arm" Writes after [PREPARED]: |store| store.arm(TOKEN, LEASE * 2);
        "renew" Writes after [ARMED]: |store| store.renew(TOKEN, LEASE * 3);
        "complete" Writes after [ARMED]: |store| store.settle(TOKEN, &Settlement::Completed(completion()));
        "release" Writes after [ARMED]: |store| store.settle(TOKEN, &Settlement::Released);
        "doubt" Writes after [ARMED]: |store| store.settle(TOKEN, &Settlement::Unknown(Doubt::Panicked));
        "complete what was in doubt" Writes after [ARMED, DOUBTED]: |store| {
            store.settle(TOKEN, &Settlement::Completed(completion()))
        };
        "resolve" Writes after [ARMED, DOUBTED]: |store| store.resolve(resolve(Resolution::Completed(completion())));
        "resolve as absent" Writes after [LAPSED]: |store| store.resolve(resolve(Resolution::Released));
        "complete what was declared absent" Writes after [LAPSED, DECLARED_ABSENT]: |store| {
            store.settle(TOKEN, &Settlement::Completed(completion()))
        };
        "now" Reads after []: |store| async { store.now().await.map(|_| "some time") };
        "get" Reads after [ARMED]: |store| store.get(KEY);
        "unresolved" Reads after [ARMED, DOUBTED]: |store| store.unresolved(None, 9);
        "sweep" Writes after [LAPSED]: |store| store.sweep(9);
        "collect" Writes after [UNKEPT, DONE]: |store| store.collect(LEASE, 9);
        "claim an event" Writes after []: |store| store.claim(claim(LEASE));
        "commit an event" Writes after [CLAIMED]: |store| store.commit(TICKET, LEASE);
        "release an event" Writes after [CLAIMED]: |store| store.release(TICKET);
        "claim what was left" Writes after [CLAIMED_BRIEFLY]: |store| store.claim(claim(LEASE));
        "forget events" Writes after [CLAIMED, PROCESSED]: |store| store.forget(9);
        "take" Writes after []: |store| store.take(&[take(7), take(8)]);
        "give back" Writes after [TAKEN]: |store| store.give_back(Take { cost: 1, ..take(7) });
        "admit" Writes after [ADMITTED]: |store| store.admit(admit());
    }
}
