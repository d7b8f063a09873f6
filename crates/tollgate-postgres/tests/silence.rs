//! A server that takes a question and does not answer: a network that swallows it, a table that somebody holds. Whoever asks is told in
//! time, and told the truth: it may have been carried out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;
use support::{Database, begin, block_on};
use tollgate_core::store::StoreErrorKind::Unavailable;
use tollgate_core::store::idempotency::{Begun, Completion, IdempotencyStore, Phase, Settled, Settlement};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take};
use tollgate_postgres::{Postgres, Settings};

const SOON: Duration = Duration::from_millis(200);

/// A store that waits for ever fails this test by name, instead of hanging with it.
async fn in_time<T>(step: impl Future<Output = T>) -> T {
    let answer = tokio::time::timeout(Duration::from_secs(60), step).await;
    answer.expect("told in time")
}

/// Through one connection, so that a step that held on to it would be seen.
#[test]
fn a_held_table_keeps_nobody_for_ever() {
    block_on(async {
        let database = Database::fresh().await;
        let patient = Settings::new().migrate().max_connections(1);
        let store = Postgres::connect(&database.url(), patient.clone()).await.unwrap();
        let Begun::Acquired(token) = begin(&store).await.unwrap() else {
            panic!("taken");
        };
        let hasty = Postgres::connect(&database.url(), patient.response_timeout(SOON))
            .await
            .unwrap();
        let mut holder = database.connection().await;
        sqlx::raw_sql("begin; lock table tollgate.idempotency, tollgate.quota in access exclusive mode")
            .execute(&mut holder)
            .await
            .unwrap();

        let completed = Settlement::Completed(Completion {
            executed: true,
            envelope: None,
        });
        let told = in_time(hasty.settle(token, &completed)).await.unwrap_err();
        assert_eq!((told.kind(), told.may_have_happened()), (Unavailable, true));
        // in a transaction that was never committed nothing can have happened
        let take = Take {
            key: QuotaKey([1; 32]),
            quota: Quota::per_second(NonZeroU32::MIN),
            cost: 1,
        };
        let told = in_time(hasty.take(&[take])).await.unwrap_err();
        assert_eq!((told.kind(), told.may_have_happened()), (Unavailable, false));

        sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
        // it was carried out or not, and asking again finds out
        let again = hasty.settle(token, &completed).await.unwrap();
        assert!(
            matches!(again, Settled::Applied | Settled::AlreadyApplied),
            "{again:?}"
        );
        let record = store.get(token.key).await.unwrap().unwrap();
        assert_eq!(record.phase, Phase::Completed);
    });
}
