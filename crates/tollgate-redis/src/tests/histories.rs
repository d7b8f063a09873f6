//! Random histories: whatever is asked of it, in whatever order, at whatever times, the server's scripts answer as the in-memory
//! store does, to the microsecond, hold the same records, and keep indexes that agree with them.

use super::server::Server;
use tollgate_core::Timestamp;
use tollgate_testkit::histories::Histories;

/// Far ahead of the server's own time: its keys' times to live, which follow that, do not end in between.
fn histories() -> Histories {
    Histories::new().start(Timestamp::from_unix_seconds(4_100_000_000))
}

#[test]
fn idempotency_answers_as_the_rule_and_keeps_its_indexes() {
    histories().idempotency(async |_| Server::new().await.with_indexes());
}

tollgate_testkit::histories! {
    answers_as_the_rule, histories(), async |_| Server::new().await;
    dedup, quota, velocity
}
