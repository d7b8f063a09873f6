//! A server that takes a question and does not answer: a network that swallows it, a table that somebody holds. Whoever asks is told in
//! time, and told the truth: it may have been carried out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;
use support::proxy::Proxy;
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
        let again = in_time(async {
            loop {
                // a machine that is busy takes longer than this store waits
                if let Ok(settled) = hasty.settle(token, &completed).await {
                    break settled;
                }
            }
        })
        .await;
        assert!(
            matches!(again, Settled::Applied | Settled::AlreadyApplied),
            "{again:?}"
        );
        let record = store.get(token.key).await.unwrap().unwrap();
        assert_eq!(record.phase, Phase::Completed);
    });
}

/// A network that swallows everything. Whoever asks is told in time, and the truth; and when the network is back, so is the store.
#[test]
fn a_network_that_swallows_everything_keeps_nobody_for_ever() {
    block_on(async {
        let database = Database::fresh().await;
        let direct = Postgres::connect(&database.url(), Settings::new().migrate())
            .await
            .unwrap();
        let Begun::Acquired(token) = begin(&direct).await.unwrap() else {
            panic!("taken");
        };
        let proxy = Proxy::before(database.options().get_port()).await;
        let settings = Settings::new()
            .max_connections(1)
            .response_timeout(Duration::from_secs(1))
            .acquire_timeout(Duration::from_secs(2));
        let store = in_time(async {
            loop {
                // a machine that is busy takes longer than these settings allow
                if let Ok(store) = Postgres::connect(&database.url_by(proxy.port), settings.clone()).await {
                    break store;
                }
            }
        })
        .await;

        proxy.swallow(true);
        let mut in_doubt = 0;
        // the first is in the middle of something, unless this machine stood still for a second; the others need a new connection
        for _ in 0..3 {
            let told = in_time(store.settle(token, &Settlement::Released))
                .await
                .unwrap_err();
            assert_eq!(told.kind(), Unavailable);
            in_doubt += u32::from(told.may_have_happened());
            let record = direct.get(token.key).await.unwrap().unwrap();
            assert_eq!(record.phase, Phase::Armed, "nothing came through");
        }
        assert!(in_doubt <= 1, "what has no connection yet has written nothing");

        proxy.swallow(false);
        let settled = in_time(async {
            loop {
                if let Ok(settled) = store.settle(token, &Settlement::Released).await {
                    break settled;
                }
            }
        });
        let settled = settled.await;
        assert!(
            matches!(settled, Settled::Applied | Settled::AlreadyApplied),
            "{settled:?}"
        );
        let record = direct.get(token.key).await.unwrap().unwrap();
        assert_eq!(record.phase, Phase::Released);
    });
}
