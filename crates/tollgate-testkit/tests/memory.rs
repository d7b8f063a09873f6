//! The in-memory stores keep every property, boxed and wrapped too.

use std::sync::Arc;
use tollgate_core::Secret;
use tollgate_core::store::idempotency::BoxedIdempotencyStore;
use tollgate_core::store::idempotency::seal::{Keyring, Sealed};
use tollgate_core::store::memory::{
    MemoryAudit, MemoryCarryOver, MemoryDedup, MemoryIdempotency, MemoryQuota, MemorySaga, MemoryVelocity,
};
use tollgate_testkit::conformance::Subject;
use tollgate_testkit::fault::Faulty;

fn keys() -> Keyring {
    match Keyring::new("2026-11", &Secret::new(vec![7; 32])) {
        Ok(keys) => keys,
        Err(bad) => panic!("{bad}"),
    }
}

tollgate_testkit::idempotency_conformance!(
    idempotency,
    Subject::manual(|clock| MemoryIdempotency::with(10_000, clock))
);
tollgate_testkit::idempotency_conformance!(
    boxed,
    Subject::manual(|clock| BoxedIdempotencyStore::new(MemoryIdempotency::with(10_000, clock)))
);
tollgate_testkit::idempotency_conformance!(
    unharmed_by_a_wrapper_that_plans_nothing,
    Subject::manual(|clock| Faulty::new(Arc::new(MemoryIdempotency::with(10_000, clock))))
);
tollgate_testkit::idempotency_conformance!(
    sealed,
    Subject::manual(|clock| Sealed::new(MemoryIdempotency::with(10_000, clock), keys()))
);
tollgate_testkit::idempotency_conformance!(
    sealed_around_a_boxed_store,
    Subject::manual(|clock| Sealed::new(
        BoxedIdempotencyStore::new(MemoryIdempotency::with(10_000, clock)),
        keys()
    ))
);
tollgate_testkit::dedup_conformance!(dedup, Subject::manual(|clock| MemoryDedup::with(1_000, clock)));
tollgate_testkit::quota_conformance!(quota, Subject::manual(|clock| MemoryQuota::with(10_000, clock)));
tollgate_testkit::velocity_conformance!(
    velocity,
    Subject::manual(|clock| MemoryVelocity::with(1_000, clock))
);
tollgate_testkit::audit_conformance!(audit, Subject::manual(MemoryAudit::with));
tollgate_testkit::carry_over_conformance!(carry_over, Subject::manual(|_| MemoryCarryOver::new()));
tollgate_testkit::saga_conformance!(saga, Subject::manual(MemorySaga::with));
