//! A handler whose rows and whose answer commit together, through the HTTP layer, on a real server: whatever fails, is lost or dies,
//! every key has its row once, and nothing is ever in doubt.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use sqlx::postgres::{PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, Row};
use std::time::Duration;
use support::app::{Answer, App, Plan, config};
use support::proxy::{Cut, Proxy};
use support::{Database, begin, block_on};
use tollgate::idempotency::ArmPolicy;
use tollgate_core::store::idempotency::{Begun, Held, IdempotencyStore, Phase, Settlement};
use tollgate_postgres::{NotSettled, Postgres, Settings};

/// How many credits there are, in which phase the record is, and whether one transaction wrote both last.
async fn found(database: &Database) -> (i64, Option<String>, bool) {
    let mut connection = database.connection().await;
    let row = sqlx::query(
        "select (select count(*) from credit), (select phase from tollgate.idempotency), \
         exists (select from credit join tollgate.idempotency as record on record.xmin = credit.xmin)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

fn done() -> (i64, Option<String>, bool) {
    (1, Some("completed".into()), true)
}

fn created(replayed: bool) -> Answer {
    Answer {
        status: 201,
        replayed,
        body: "credit 1".into(),
    }
}

/// The layer's own settlement, which comes after the commit, finds the answer there: the record is of the handler's transaction.
#[test]
fn rows_and_answer_commit_together() {
    block_on(async {
        for arm in [
            ArmPolicy::InTransaction,
            ArmPolicy::AtBegin,
            ArmPolicy::BeforeCall,
        ] {
            let database = Database::fresh().await;
            let app = App::on(&database, config().arm(arm)).await;
            assert_eq!(app.post("k").await, created(false));
            assert_eq!(found(&database).await, done(), "{arm:?}");
            assert_eq!(app.post("k").await, created(true));
            assert_eq!(found(&database).await, done(), "{arm:?}");
        }
    });
}

/// A handler that fails rolls both back, and its key runs again at once: the one case in which a 500 may.
#[test]
fn what_is_rolled_back_runs_again() {
    block_on(async {
        for plan in [Plan::FailEarly, Plan::FailLate, Plan::Panic] {
            let database = Database::fresh().await;
            let app = App::on(&database, config()).await;
            assert!(app.plan(plan).post("k").await.status >= 400, "{plan:?}");
            assert_eq!(
                found(&database).await,
                (0, Some("released".into()), false),
                "{plan:?}"
            );
            assert_eq!(app.post("k").await, created(false), "{plan:?}");
            assert_eq!(found(&database).await, done(), "{plan:?}");
        }
    });
}

/// Without the policy the layer cannot know that a 500 was rolled back: the outcome is in doubt, and nothing runs again.
#[test]
fn without_the_policy_a_failure_is_a_doubt() {
    block_on(async {
        let database = Database::fresh().await;
        let app = App::on(&database, config().arm(ArmPolicy::AtBegin)).await;
        assert_eq!(app.plan(Plan::FailLate).post("k").await.status, 500);
        assert_eq!(found(&database).await, (0, Some("unknown".into()), false));
        assert_eq!(app.post("k").await.status, 409);
    });
}

/// Runs one call in a runtime of its own, and ends that runtime without a word once the handler hangs: as much of a crash as one process
/// can make of itself (no `settle` of the layer, connections cut).
fn crash(database: &Database, plan: Plan, lease: Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let app = App::on(database, config().lease(lease)).await;
        app.plan(plan);
        let there = app.there.clone();
        tokio::spawn(async move { app.post("k").await });
        there.notified().await;
    });
    runtime.shutdown_background();
}

/// The process dies after the commit and before the layer has settled: the repeat gets the stored answer from another process.
#[test]
fn a_crash_after_the_commit_leaves_the_answer() {
    let database = block_on(Database::fresh());
    crash(&database, Plan::HangAfter, Duration::from_secs(60));
    block_on(async {
        assert_eq!(found(&database).await, done());
        let other = App::on(&database, config()).await;
        assert_eq!(other.post("k").await, created(true));
        assert_eq!(found(&database).await, done());
    });
}

/// The process dies before the commit: neither row nor answer, and no doubt. Once its lease has lapsed, another process makes the credit.
#[test]
fn a_crash_before_the_commit_leaves_nothing() {
    let database = block_on(Database::fresh());
    crash(&database, Plan::HangBefore, Duration::from_millis(400));
    block_on(async {
        let other = App::on(&database, config()).await;
        assert_eq!(other.insist("k").await, created(false));
        assert_eq!(found(&database).await, done());
    });
}

/// An owner that was slower than its lease, and has not renewed it, is fenced inside its own transaction, before anything is committed.
#[test]
fn a_late_owner_commits_nothing() {
    block_on(async {
        let database = Database::fresh().await;
        let frozen = config()
            .lease(Duration::from_millis(200))
            .renew_for(Duration::ZERO);
        let slow = App::on(&database, frozen).await;
        let other = App::on(&database, config()).await;
        slow.plan(Plan::Pause);
        let late = tokio::spawn({
            let slow = slow.clone();
            async move { slow.post("k").await }
        });
        slow.there.notified().await;
        assert_eq!(other.insist("k").await, created(false));
        slow.go.notify_one();
        assert_eq!(late.await.unwrap().status, 500);
        assert_eq!(found(&database).await, done());
    });
}

/// The application's connection is cut at every message of the handler's transaction, the commit's own answer among them. Whoever
/// repeats the key ends with one row, and the answer to it.
#[test]
fn a_connection_cut_anywhere_in_the_transaction_leaves_one_row() {
    block_on(async {
        for place in [Cut::Request as fn(usize) -> Cut, Cut::Answer] {
            for number in 0.. {
                assert!(number < 40, "the transaction never ends");
                let what = format!("{:?}", place(number));
                let database = Database::fresh().await;
                let proxy = Proxy::before(database.port()).await;
                let options = database.options().port(proxy.port).ssl_mode(PgSslMode::Disable);
                let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
                let app = App::start(database.store().await, pool, config()).await;
                proxy.cut(place(number));
                let first = app.post("k").await;
                let is_cut = proxy.has_cut();
                assert_eq!(app.insist("k").await.body, "credit 1", "{what}");
                assert_eq!(found(&database).await, done(), "{what}");
                if !is_cut {
                    assert_eq!(first, created(false));
                    assert!(
                        number >= 4,
                        "begin, insert, settle and commit were there to be cut"
                    );
                    break;
                }
            }
        }
    });
}

/// A handler that settles and does not come to its commit holds its row, and so whoever renews its lease. That must not use up the
/// store's connections, on which every other key depends.
#[test]
fn a_handler_that_never_commits_stops_no_other_key() {
    block_on(async {
        let database = Database::fresh().await;
        database.store().await.close().await;
        let one = Settings::new().max_connections(1);
        let store = Postgres::connect(&database.url(), one).await.unwrap();
        let pool = PgPoolOptions::new().connect_with(database.options()).await;
        let app = App::start(store, pool.unwrap(), config().lease(Duration::from_secs(3))).await;
        let there = app.plan(Plan::HangBefore).there.clone();
        let hangs = tokio::spawn({
            let app = app.clone();
            async move { app.post("hangs").await }
        });
        there.notified().await;
        let mut waiting = database.connection().await;
        let renews = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        while sqlx::query_scalar::<_, i64>(renews)
            .fetch_one(&mut waiting)
            .await
            .unwrap()
            == 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(app.post("another").await.status, 201);
        hangs.abort();
    });
}

/// A claim that is renewed while a handler's transaction runs is settled in it all the same; only a snapshot that is older than the
/// renewal cannot, and then nothing of it is committed.
#[test]
fn a_renewal_in_between_hinders_snapshots_only() {
    block_on(async {
        for (level, settles) in [("read committed", true), ("repeatable read", false)] {
            let database = Database::fresh().await;
            let store = database.store().await;
            let Begun::Acquired(claim) = begin(&store).await.unwrap() else {
                panic!("taken");
            };
            let mut connection = database.connection().await;
            let mut transaction = connection.begin().await.unwrap();
            for sql in [
                format!("set transaction isolation level {level}"),
                "select from tollgate.idempotency".into(),
            ] {
                sqlx::query(AssertSqlSafe(sql))
                    .execute(&mut *transaction)
                    .await
                    .unwrap();
            }
            let renewed = store.renew(claim, Duration::from_secs(60)).await;
            assert_eq!(renewed.unwrap(), Held::Held);
            let settled = Postgres::settle_in(&mut transaction, claim, &Settlement::Released).await;
            transaction.commit().await.unwrap();
            let found = store.get(claim.key).await.unwrap().unwrap().phase;
            if settles {
                settled.unwrap();
                assert_eq!(found, Phase::Released);
            } else {
                assert!(matches!(settled, Err(NotSettled::Store(_))), "{settled:?}");
                assert_eq!(found, Phase::Armed);
            }
        }
    });
}
