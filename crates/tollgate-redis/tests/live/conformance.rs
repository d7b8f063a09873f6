//! The Redis store keeps every property of every port that it has.

use crate::server::fresh;
use std::time::Duration;
use tollgate_redis::Redis;
use tollgate_testkit::conformance::Subject;

/// Longer than the slowest answer, also when other tests keep the machine busy.
const UNIT: Duration = Duration::from_millis(300);

/// An empty store: a prefix of its own on the server under test.
async fn subject() -> Subject<Redis> {
    Subject::real(fresh().await, UNIT)
}

tollgate_testkit::idempotency_conformance!(idempotency, subject().await);
tollgate_testkit::dedup_conformance!(dedup, subject().await);
tollgate_testkit::quota_conformance!(quota, subject().await);
tollgate_testkit::velocity_conformance!(velocity, subject().await);
