//! The other ports.

use super::Kind::{Once, Reads, Repeatable};
use super::{Operation, acts, operations};
use std::num::NonZeroU32;
use std::time::Duration;
use tollgate_core::store::audit::AuditStore;
use tollgate_core::store::carry_over::CarryOverStore;
use tollgate_core::store::dedup::{Claim, DedupStore, EventDigest, EventKey, Ticket};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take};
use tollgate_core::store::saga::{Append, NewSaga, SagaId, SagaJournal, SagaState};
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};

const LEASE: Duration = Duration::from_secs(600);
const TICKET: Ticket = Ticket {
    key: EventKey([7; 32]),
    fence: 1,
};
const SAGA: SagaId = SagaId([7; 16]);

const fn event(lease: Duration) -> Claim {
    Claim {
        key: TICKET.key,
        digest: EventDigest([1; 32]),
        lease,
    }
}

const fn units(key: u8) -> Take {
    Take {
        key: QuotaKey([key; 32]),
        quota: Quota::per_minute(NonZeroU32::MIN.saturating_add(9)),
        cost: 3,
    }
}

const fn payment() -> Admit {
    Admit {
        key: VelocityKey([7; 32]),
        window: LEASE,
        weight: 3,
        limit: 100,
    }
}

/// Lapses as soon as it is there.
fn new_saga() -> NewSaga {
    NewSaga {
        id: SAGA,
        name: "checkout".into(),
        key: "order-7".into(),
        records: vec![b"started"[..].into(), b"first"[..].into()],
        lease: Duration::ZERO,
    }
}

fn next_records() -> Append {
    Append {
        id: SAGA,
        epoch: 1,
        seen: 2,
        records: vec![b"second"[..].into(), b"third"[..].into()],
        state: SagaState::Unwinding,
        lease: LEASE,
    }
}

acts! { DedupStore:
    claimed = |store| store.claim(event(LEASE));
    claimed_briefly = |store| store.claim(event(Duration::ZERO));
    processed = |store| store.commit(TICKET, Duration::ZERO);
}
acts! { QuotaStore: taken = |store| store.take(&[units(7)]); }
acts! { VelocityStore: admitted = |store| store.admit(payment()); }
acts! { AuditStore: chained = |store| store.append("payments", b"1"[..].into()); }
acts! { CarryOverStore: carried = |store| store.replace("daily", 0, b"one"[..].into()); }
acts! { SagaJournal: created = |store| store.create(new_saga()); }

/// The operations on webhook events.
#[must_use]
pub fn dedup<S: DedupStore>() -> Vec<Operation<S>> {
    operations! {
        // a claim has no owner: whoever lost its answer waits for the lease, and the event is not lost
        "claim an event" Repeatable("InProgress"), after []; |store| store.claim(event(LEASE));
        "claim what was left" Repeatable("InProgress"), after [claimed_briefly]; |store| store.claim(event(LEASE));
        "commit an event" Repeatable(""), after [claimed]; |store| store.commit(TICKET, LEASE);
        "release an event" Repeatable(""), after [claimed]; |store| store.release(TICKET);
        "forget events" Repeatable("0"), after [claimed, processed]; |store| store.forget(9);
    }
}

/// The operations on quotas.
#[must_use]
pub fn quota<S: QuotaStore>() -> Vec<Operation<S>> {
    operations! {
        "take" Once, after []; |store| store.take(&[units(7)]);
        "take two" Once, after []; |store| store.take(&[units(7), units(8)]);
        "give back" Once, after [taken]; |store| store.give_back(Take { cost: 1, ..units(7) });
    }
}

/// The operations on velocity counters.
#[must_use]
pub fn velocity<S: VelocityStore>() -> Vec<Operation<S>> {
    operations! {
        "admit" Once, after []; |store| store.admit(payment());
        "admit another" Once, after [admitted]; |store| store.admit(payment());
    }
}

/// The operations on audit chains.
#[must_use]
pub fn audit<S: AuditStore>() -> Vec<Operation<S>> {
    operations! {
        "append to a chain" Once, after [chained]; |store| store.append("payments", b"2"[..].into());
        "read a chain's head" Reads, after [chained]; |store| store.head("payments");
        "read a chain" Reads, after [chained]; |store| store.read("payments", 0, 9);
    }
}

/// The operations on what reconciliation runs leave.
#[must_use]
pub fn carry_over<S: CarryOverStore>() -> Vec<Operation<S>> {
    operations! {
        "carry over" Repeatable(""), after [carried]; |store| store.replace("daily", 1, b"two"[..].into());
        "load what was carried over" Reads, after [carried]; |store| store.load("daily");
    }
}

/// The operations on saga journals.
#[must_use]
pub fn saga<S: SagaJournal>() -> Vec<Operation<S>> {
    operations! {
        "create a saga" Repeatable("Exists"), after []; |store| store.create(new_saga());
        // whoever lost the answer reads the journal, and finds the records
        "append to a saga" Repeatable("Yes"), after [created]; |store| store.append(next_records());
        "claim sagas" Once, after [created]; |store| store.claim(&["checkout".into()], LEASE, 9);
        "claim one saga" Once, after [created]; |store| store.claim_one(SAGA, LEASE);
        "renew a saga" Repeatable(""), after [created]; |store| store.renew(SAGA, 1, LEASE);
        "load a saga" Reads, after [created]; |store| store.load(SAGA);
        "list sagas" Reads, after [created]; |store| store.list(SagaState::Running, None, 9);
    }
}
