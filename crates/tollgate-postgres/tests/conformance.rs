//! The PostgreSQL store keeps every property of every port, by a clock that the property moves; and those in which leases lapse also by
//! the server's own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;
use support::{Database, block_on};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tollgate_core::Secret;
use tollgate_core::store::idempotency::seal::{Keyring, Sealed};
use tollgate_postgres::Postgres;
use tollgate_testkit::conformance::{Subject, dedup, idempotency, prove, quota, saga, velocity};

/// A database of its own, whose clock the property moves.
async fn fresh() -> Subject<Postgres> {
    let database = Database::fresh().await;
    Subject::manual(|clock| block_in_place(|| Handle::current().block_on(database.store_with(clock))))
        .keeping(database)
}

/// The same, its answers sealed.
async fn sealed() -> Subject<Sealed<Postgres>> {
    let database = Database::fresh().await;
    let keys = Keyring::new("2026-11", &Secret::new(vec![7; 32])).unwrap();
    let store = |clock| block_in_place(|| Handle::current().block_on(database.store_with(clock)));
    Subject::manual(|clock| Sealed::new(store(clock), keys)).keeping(database)
}

tollgate_testkit::idempotency_conformance!(idempotency_records, fresh().await);
tollgate_testkit::idempotency_conformance!(sealed_idempotency_records, sealed().await);
tollgate_testkit::dedup_conformance!(webhook_events, fresh().await);
tollgate_testkit::quota_conformance!(quotas, fresh().await);
tollgate_testkit::velocity_conformance!(counters, fresh().await);
tollgate_testkit::audit_conformance!(audit_chains, fresh().await);
tollgate_testkit::carry_over_conformance!(carry_over, fresh().await);
tollgate_testkit::saga_conformance!(saga_journals, fresh().await);

/// A database of its own, whose clock is the server's.
async fn waiting() -> Subject<Postgres> {
    let database = Database::fresh().await;
    let store = database.store().await;
    Subject::real(store, Duration::from_millis(250)).keeping(database)
}

/// The same properties by the server's own clock: these wait.
macro_rules! by_the_servers_clock {
    ($($module:ident::$property:ident,)+) => {
        mod by_the_servers_clock {
            use super::*;
            $(#[test]
            fn $property() {
                block_on(prove(waiting, $module::$property));
            })+
        }
    };
}

by_the_servers_clock! {
    idempotency::an_absent_key_is_claimed,
    idempotency::a_live_claim_cannot_be_taken_over,
    idempotency::a_lapsed_claim_is_taken_over_and_its_owner_fenced,
    idempotency::an_armed_key_never_runs_again_by_time_alone,
    idempotency::arming_needs_a_live_lease,
    idempotency::a_renewal_extends_the_lease,
    idempotency::absence_needs_a_lapsed_lease,
    idempotency::the_sweep_marks_lost_owners_and_nobody_else,
    idempotency::an_answer_is_kept_for_its_retention,
    idempotency::collecting_leaves_a_tombstone,
    idempotency::one_effect_under_contention,
    dedup::an_event_is_not_lost_when_its_process_dies,
    dedup::a_late_owner_may_commit_if_nobody_took_over,
    quota::units_come_back_one_by_one,
    velocity::the_window_slides,
    saga::a_lapsed_saga_is_claimed_and_its_engine_fenced,
    saga::appending_and_renewing_extend_the_lease,
}
