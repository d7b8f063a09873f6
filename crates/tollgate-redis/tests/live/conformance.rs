//! The Redis store keeps every property of every port that it has.

use crate::server::fresh;
use std::time::Duration;
use tollgate_core::Secret;
use tollgate_core::store::idempotency::seal::{Keyring, Sealed};
use tollgate_redis::Redis;
use tollgate_testkit::conformance::Subject;

/// Longer than the slowest answer, also when other tests keep the machine busy.
const UNIT: Duration = Duration::from_millis(300);

/// An empty store: a prefix of its own on the server under test.
async fn subject() -> Subject<Redis> {
    Subject::real(fresh().await, UNIT)
}

/// The same, its answers sealed.
async fn sealed() -> Subject<Sealed<Redis>> {
    let keys = Keyring::new("2026-11", &Secret::new(vec![7; 32])).unwrap();
    Subject::real(Sealed::new(fresh().await, keys), UNIT)
}

tollgate_testkit::idempotency_conformance!(idempotency, subject().await);
tollgate_testkit::idempotency_conformance!(sealed_idempotency, sealed().await);
tollgate_testkit::dedup_conformance!(dedup, subject().await);
tollgate_testkit::quota_conformance!(quota, subject().await);
tollgate_testkit::velocity_conformance!(velocity, subject().await);
