//! Waiters in another process are told when a claim ends, and ask from time to time while nobody can tell them.
//!
//! Two stores with connections of their own are two processes, as far as they can tell. Where a test shows that somebody was told, the
//! time between two questions is hours.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, Row};
use std::time::Duration;
use support::app::{App, Plan, config};
use support::proxy::Proxy;
use support::{Database, block_on};
use tokio::task::JoinHandle;
use tollgate::idempotency::{IdempotencyConfig, WhileInFlight};
use tollgate_core::store::idempotency::{Begin, IdempotencyStore, RecordKey, Settlement, Token};
use tollgate_postgres::{Postgres, Settings};
use tollgate_testkit::samples;

const HOURS: Duration = Duration::from_secs(5 * 3600);

/// Longer than anything here takes, shorter than any waiter asks by itself.
const SOON: Duration = Duration::from_secs(20);

/// Waits for hours, and asks by itself as often.
fn patient() -> IdempotencyConfig {
    config()
        .lease(HOURS)
        .while_in_flight(WhileInFlight::Wait(HOURS))
        .look_again(HOURS)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("woken soon")
}

/// Until this is so in the database.
async fn until(database: &Database, condition: &str) {
    let mut connection = database.connection().await;
    let ask = format!("select {condition}");
    soon(async {
        while !sqlx::query(AssertSqlSafe(ask.clone()))
            .fetch_one(&mut connection)
            .await
            .unwrap()
            .get::<bool, _>(0)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    connection.close().await.unwrap();
}

const AWAITED: &str = "exists (select from tollgate.idempotency where awaited)";
const LISTENING: &str =
    "exists (select from pg_stat_activity where datname = current_database() and query like 'LISTEN%')";

/// A call that stands in its handler, in a process of its own.
async fn running(database: &Database) -> (App, JoinHandle<u16>) {
    let app = App::on(database, patient()).await;
    app.plan(Plan::Pause);
    let call = tokio::spawn({
        let app = app.clone();
        async move { app.post("k").await.status }
    });
    app.there.notified().await;
    (app, call)
}

#[test]
fn a_waiter_in_another_process_is_told() {
    block_on(async {
        let database = Database::fresh().await;
        let (first, call) = running(&database).await;
        let other = App::on(&database, patient()).await;
        let waiters: Vec<_> = (0..20)
            .map(|_| {
                let other = other.clone();
                tokio::spawn(async move { other.post("k").await })
            })
            .collect();
        until(&database, AWAITED).await;
        first.go.notify_one();
        assert_eq!(soon(call).await.unwrap(), 201);
        for waiter in waiters {
            let answer = soon(waiter).await.unwrap();
            assert_eq!((answer.status, answer.replayed), (201, true));
        }
        // nobody waits any more: the next settlement says nothing
        until(&database, &format!("not {AWAITED}")).await;
    });
}

/// The control: with the ear closed the same waiter hears nothing.
#[test]
fn a_waiter_that_does_not_listen_is_not_told() {
    block_on(async {
        let database = Database::fresh().await;
        let (first, call) = running(&database).await;
        let pool = PgPoolOptions::new()
            .connect_with(database.options())
            .await
            .unwrap();
        let deaf = Postgres::connect(&database.url(), Settings::new().listen(false))
            .await
            .unwrap();
        assert!(deaf.changed(RecordKey::new([0; 32])).is_none());
        let other = App::start(deaf, pool, patient()).await;
        let waiter = tokio::spawn(async move { other.post("k").await });
        tokio::time::sleep(Duration::from_millis(300)).await;
        first.go.notify_one();
        assert_eq!(soon(call).await.unwrap(), 201);
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!waiter.is_finished(), "somebody told it");
        waiter.abort();
    });
}

/// The server ends the listening connection, and lets no other in: the waiter asks. Once it lets one in, waiters are told again.
#[test]
fn without_its_ear_a_waiter_asks_until_the_ear_is_back() {
    block_on(async {
        let database = Database::fresh().await;
        let (first, call) = running(&database).await;
        let proxy = Proxy::before(database.port()).await;
        let pool = PgPoolOptions::new()
            .connect_with(database.options())
            .await
            .unwrap();
        let store = Postgres::connect(&database.url_by(proxy.port), Settings::new())
            .await
            .unwrap();
        let curious = patient().look_again(Duration::from_millis(20));
        let other = App::start(store.clone(), pool.clone(), curious).await;
        let waiter = tokio::spawn({
            let other = other.clone();
            async move { other.post("k").await }
        });
        until(&database, AWAITED).await;
        proxy.close(true);
        let end = "select pg_terminate_backend(pid) from pg_stat_activity \
                   where datname = current_database() and query like 'LISTEN%'";
        database.run(end).await;
        until(&database, &format!("not {LISTENING}")).await;
        first.go.notify_one();
        assert_eq!(soon(call).await.unwrap(), 201);
        assert_eq!(soon(waiter).await.unwrap().status, 201);
        until(&database, &format!("not {LISTENING}")).await;

        // back: it is told once more, and would ask only after hours
        proxy.close(false);
        until(&database, LISTENING).await;
        let (patient, first) = (App::start(store, pool, patient()).await, first);
        first.plan(Plan::Pause);
        let call = tokio::spawn({
            let first = first.clone();
            async move { first.post("another").await.status }
        });
        first.there.notified().await;
        let waiter = tokio::spawn(async move { patient.post("another").await });
        until(&database, AWAITED).await;
        first.go.notify_one();
        assert_eq!(soon(call).await.unwrap(), 201);
        assert_eq!(soon(waiter).await.unwrap().status, 201);
    });
}

const KEY: RecordKey = samples::key(7);

async fn claimed(store: &Postgres, lease: Duration) -> Token {
    let begin = Begin {
        lease,
        retention: HOURS,
        ..samples::begin(KEY, 9)
    };
    samples::claim(store, begin).await
}

/// Nothing in flight, or a lease that lapses: the waiter is told without anybody's settlement.
#[test]
fn what_is_over_by_itself_is_told_too() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        soon(store.changed(KEY).unwrap()).await.unwrap();
        claimed(&store, Duration::from_millis(200)).await;
        soon(store.changed(KEY).unwrap()).await.unwrap();
        assert_eq!(store.sweep(9).await.unwrap(), 1, "not before the lease lapsed");
    });
}

/// However the claim ends: by a release, by a doubt, by the sweep of another process.
#[test]
fn every_end_of_a_claim_is_told() {
    block_on(async {
        let database = Database::fresh().await;
        let (owner, waiter) = (database.store().await, database.store().await);
        for settlement in [
            Settlement::Released,
            Settlement::Unknown(tollgate_core::store::idempotency::Doubt::Panicked),
        ] {
            let token = claimed(&owner, HOURS).await;
            let told = tokio::spawn(waiter.changed(KEY).unwrap());
            until(&database, AWAITED).await;
            owner.settle(token, &settlement).await.unwrap();
            soon(told).await.unwrap().unwrap();
        }
    });
}

/// A waiter that gives up leaves its place; what it waited for is untouched.
#[test]
fn a_waiter_that_is_dropped_changes_nothing() {
    block_on(async {
        let database = Database::fresh().await;
        let store = database.store().await;
        let token = claimed(&store, HOURS).await;
        let before = store.get(KEY).await.unwrap();
        let told = tokio::spawn(store.changed(KEY).unwrap());
        until(&database, AWAITED).await;
        told.abort();
        assert_eq!(store.get(KEY).await.unwrap(), before);
        assert!(store.settle(token, &Settlement::Released).await.is_ok());
    });
}
