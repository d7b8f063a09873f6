//! Every operation of every port, and what stands in the database before it.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::audit::AuditStore;
use tollgate_core::store::carry_over::CarryOverStore;
use tollgate_core::store::dedup::{Claim, DedupStore, EventDigest, EventKey, Ticket};
use tollgate_core::store::idempotency::{
    Begin, Completion, Doubt, Envelope, Evidence, Fingerprint, IdempotencyStore, Owner, RecordKey,
    Resolution, Resolve, Settlement, Tenant, Token,
};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take};
use tollgate_core::store::saga::{Append, NewSaga, SagaId, SagaJournal, SagaState};
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};
use tollgate_postgres::Postgres;

pub(crate) type Act = fn(Postgres) -> Pin<Box<dyn Future<Output = Result<String, StoreError>> + Send>>;

/// An operation.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// What happened before it.
    pub(crate) before: &'static [Act],
    /// How much later it is.
    pub(crate) later: Duration,
    pub(crate) act: Act,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It writes, and whoever repeats it because its answer was lost finds it done, and gets the same answer, or this one.
    Repeatable(&'static str),
    /// It writes, each time anew.
    Once,
    /// It finds that there is nothing to write.
    Finds,
    /// It writes nothing, whatever it finds.
    Reads,
}
use Kind::{Finds, Once, Reads, Repeatable};

const LEASE: Duration = Duration::from_secs(10);
const KEY: RecordKey = RecordKey::new([7; 32]);
const TOKEN: Token = Token {
    key: KEY,
    epoch: 1,
    owner: Owner(9),
};
const EVENT: EventKey = EventKey([7; 32]);
const TICKET: Ticket = Ticket { key: EVENT, fence: 1 };
const SAGA: SagaId = SagaId([7; 16]);

fn begin(arm: bool, lease: Duration) -> Begin {
    Begin {
        key: KEY,
        fingerprint: Fingerprint::new([1; 32]),
        owner: TOKEN.owner,
        lease,
        retention: Duration::ZERO,
        arm,
        tenant: Tenant::NONE,
        most_open: u32::MAX,
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

fn done() -> Settlement {
    Settlement::Completed(completion())
}

fn found() -> Resolution {
    Resolution::Completed(completion())
}

fn take() -> Take {
    Take {
        key: QuotaKey([7; 32]),
        quota: Quota::per_minute(NonZeroU32::new(10).unwrap()),
        cost: 3,
    }
}

fn saga() -> NewSaga {
    NewSaga {
        id: SAGA,
        name: "checkout".into(),
        key: "order-7".into(),
        records: vec![b"started"[..].into(), b"first"[..].into()],
        lease: Duration::ZERO,
    }
}

macro_rules! act {
    (|$store:ident| $ask:expr) => {{
        let act: Act = |$store| Box::pin(async move { $ask.await.map(|answer| format!("{answer:?}")) });
        act
    }};
}

macro_rules! operations {
    ($($name:literal $kind:expr, after [$($before:ident),*] $(and $later:expr)?; |$store:ident| $ask:expr;)+) => {
        vec![$(Operation {
            name: $name,
            kind: $kind,
            before: &[$($before),*],
            later: Duration::ZERO $(+ $later)?,
            act: act!(|$store| $ask),
        }),+]
    };
}

const PREPARED: Act =
    |store| Box::pin(async move { store.begin(begin(false, LEASE)).await.map(|_| String::new()) });
const ARMED: Act =
    |store| Box::pin(async move { store.begin(begin(true, LEASE)).await.map(|_| String::new()) });
const DONE: Act = |store| {
    Box::pin(async move {
        IdempotencyStore::settle(&store, TOKEN, &done())
            .await
            .map(|_| String::new())
    })
};
const DOUBTED: Act = |store| {
    Box::pin(async move {
        let doubt = Settlement::Unknown(Doubt::AnswerInDoubt);
        store.settle(TOKEN, &doubt).await.map(|_| String::new())
    })
};
const RELEASED: Act = |store| {
    Box::pin(async move {
        store
            .settle(TOKEN, &Settlement::Released)
            .await
            .map(|_| String::new())
    })
};
const CARRIED: Act = |store| {
    Box::pin(async move {
        store
            .replace("daily", 0, b"one"[..].into())
            .await
            .map(|_| String::new())
    })
};
const CLAIMED: Act =
    |store| Box::pin(async move { DedupStore::claim(&store, claim()).await.map(|_| String::new()) });
const PROCESSED: Act =
    |store| Box::pin(async move { store.commit(TICKET, Duration::ZERO).await.map(|_| String::new()) });
const TAKEN: Act = |store| Box::pin(async move { store.take(&[take()]).await.map(|_| String::new()) });
const CHAINED: Act = |store| {
    Box::pin(async move {
        AuditStore::append(&store, "payments", b"1"[..].into())
            .await
            .map(|_| String::new())
    })
};
const CREATED: Act = |store| Box::pin(async move { store.create(saga()).await.map(|_| String::new()) });

fn claim() -> Claim {
    Claim {
        key: EVENT,
        digest: EventDigest([1; 32]),
        lease: LEASE,
    }
}

fn resolve(resolution: Resolution) -> Resolve {
    Resolve {
        key: KEY,
        epoch: 1,
        as_of: Timestamp::from_unix_seconds(1_800_000_000), // the clock of the test is behind
        resolution,
        evidence: Evidence {
            actor: "ops".into(),
            reason: "looked".into(),
        },
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

fn append() -> Append {
    Append {
        id: SAGA,
        epoch: 1,
        seen: 2,
        records: vec![b"second"[..].into(), b"third"[..].into()],
        state: SagaState::Unwinding,
        lease: LEASE,
    }
}

const LATER: Duration = Duration::from_secs(11);

pub(crate) fn all() -> Vec<Operation> {
    let mut all = records();
    all.extend(others());
    all
}

fn records() -> Vec<Operation> {
    operations! {
        "begin" Repeatable(""), after []; |store| store.begin(begin(false, LEASE));
        "begin and arm" Repeatable(""), after []; |store| store.begin(begin(true, LEASE));
        "begin again and arm" Repeatable(""), after [PREPARED]; |store| store.begin(begin(true, LEASE));
        "begin what was released" Repeatable(""), after [ARMED, RELEASED]; |store| store.begin(begin(true, LEASE));
        "take over" Repeatable(""), after [PREPARED] and LATER; |store| store.begin(begin(true, LEASE));
        "begin what is in doubt" Repeatable(""), after [ARMED] and LATER; |store| store.begin(begin(true, LEASE));
        "replay" Finds, after [ARMED, DONE]; |store| store.begin(begin(true, LEASE));
        "arm" Repeatable(""), after [PREPARED]; |store| store.arm(TOKEN, LEASE * 2);
        "renew" Repeatable(""), after [ARMED]; |store| IdempotencyStore::renew(&store, TOKEN, LEASE * 3);
        "settle" Repeatable("AlreadyApplied"), after [ARMED]; |store| store.settle(TOKEN, &done());
        "settle a doubt" Repeatable("AlreadyApplied"), after [ARMED, DOUBTED]; |store| store.settle(TOKEN, &done());
        "release" Repeatable("AlreadyApplied"), after [ARMED]; |store| store.settle(TOKEN, &Settlement::Released);
        "resolve" Repeatable("Stale"), after [ARMED, DOUBTED]; |store| store.resolve(resolve(found()));
        "declare absent" Repeatable("Stale"), after [ARMED] and LATER; |store| store.resolve(resolve(Resolution::Released));
        "now" Reads, after []; |store| store.now();
        "get" Reads, after [ARMED]; |store| store.get(KEY);
        "unresolved" Reads, after [ARMED, DOUBTED]; |store| store.unresolved(None, 9);
        "sweep" Repeatable("0"), after [ARMED] and LATER; |store| store.sweep(9);
        "collect" Repeatable("0"), after [ARMED, DONE] and LATER; |store| store.collect(LEASE, 9);
    }
}

fn others() -> Vec<Operation> {
    operations! {
        // a claim has no owner: whoever lost its answer waits for the lease, and the event is not lost
        "claim an event" Repeatable("InProgress"), after []; |store| DedupStore::claim(&store, claim());
        "commit an event" Repeatable(""), after [CLAIMED]; |store| store.commit(TICKET, LEASE);
        "release an event" Repeatable(""), after [CLAIMED]; |store| store.release(TICKET);
        "forget events" Repeatable("0"), after [CLAIMED, PROCESSED]; |store| store.forget(9);
        "take" Once, after []; |store| store.take(&[take()]);
        "take two" Once, after []; |store| store.take(&[take(), Take { key: QuotaKey([8; 32]), ..take() }]);
        "give back" Once, after [TAKEN]; |store| store.give_back(Take { cost: 1, ..take() });
        "admit" Once, after []; |store| store.admit(admit());
        "append to a chain" Once, after [CHAINED]; |store| AuditStore::append(&store, "payments", b"2"[..].into());
        "read a chain's head" Reads, after [CHAINED]; |store| store.head("payments");
        "read a chain" Reads, after [CHAINED]; |store| store.read("payments", 0, 9);
        "carry over" Repeatable(""), after [CARRIED]; |store| store.replace("daily", 1, b"two"[..].into());
        "load what was carried over" Reads, after [CARRIED]; |store| CarryOverStore::load(&store, "daily");
        "create a saga" Repeatable("Exists"), after []; |store| store.create(saga());
        // whoever lost the answer reads the journal, and finds the records
        "append to a saga" Repeatable("Yes"), after [CREATED]; |store| SagaJournal::append(&store, append());
        "claim sagas" Once, after [CREATED]; |store| SagaJournal::claim(&store, &["checkout".into()], LEASE, 9);
        "claim one saga" Once, after [CREATED]; |store| store.claim_one(SAGA, LEASE);
        "renew a saga" Repeatable(""), after [CREATED]; |store| SagaJournal::renew(&store, SAGA, 1, LEASE);
        "load a saga" Reads, after [CREATED]; |store| SagaJournal::load(&store, SAGA);
        "list sagas" Reads, after [CREATED]; |store| store.list(SagaState::Running, None, 9);
    }
}
