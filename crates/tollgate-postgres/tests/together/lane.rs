//! A store whose turn is taken, so that what is asked meanwhile waits and goes together.

use crate::support::Database;
use sqlx::{Connection, Executor, PgConnection, Row};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::task::JoinHandle;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Envelope, IdempotencyStore, Owner, Settled, Settlement, Token,
};
use tollgate_core::store::{Boxed, StoreError};
use tollgate_postgres::Postgres;
use tollgate_testkit::samples;
pub(crate) use tollgate_testkit::samples::key;

const LEASE: Duration = Duration::from_secs(600);

pub(crate) fn begin(number: u8, owner: u128) -> Begin {
    Begin {
        lease: LEASE,
        retention: LEASE,
        ..samples::begin(key(number), owner)
    }
}

pub(crate) fn token(number: u8, owner: u128) -> Token {
    Token {
        key: key(number),
        epoch: 1,
        owner: Owner(owner),
    }
}

/// An answer of so many bytes, different for each number.
pub(crate) fn answer(number: u8, bytes: usize) -> Settlement {
    Settlement::Completed(Completion {
        executed: true,
        envelope: Some(Envelope {
            ok: true,
            status: 201,
            head: number.is_multiple_of(2).then(|| [number; 3][..].into()),
            body: vec![number; bytes].into(),
        }),
    })
}

pub(crate) async fn claimed(store: &Postgres, numbers: impl IntoIterator<Item = u8>) {
    for number in numbers {
        let begun = store.begin(begin(number, 1)).await.unwrap();
        assert_eq!(begun, Begun::Acquired(token(number, 1)));
    }
}

/// A test that would wait for ever fails by name.
pub(crate) async fn in_time<T>(step: impl Future<Output = T>) -> T {
    let answer = tokio::time::timeout(Duration::from_secs(60), step).await;
    answer.expect("told in time")
}

/// Asks all of them in one go, so that they wait together, and waits for all.
pub(crate) async fn all<T>(asked: impl IntoIterator<Item = Boxed<T>>) -> Vec<Result<T, StoreError>> {
    let mut asked: Vec<_> = asked.into_iter().map(|step| (step, None)).collect();
    in_time(std::future::poll_fn(|context| {
        for (step, answer) in &mut asked {
            if answer.is_none()
                && let Poll::Ready(told) = Pin::new(step).poll(context)
            {
                *answer = Some(told);
            }
        }
        match asked.iter().all(|(_, answer)| answer.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }))
    .await;
    asked.into_iter().map(|(_, answer)| answer.unwrap()).collect()
}

/// The turn, taken by a settlement that waits for a row that somebody holds.
pub(crate) struct Taken {
    holder: PgConnection,
    waits: JoinHandle<Result<Settled, StoreError>>,
}

/// A key that no test asks for.
const STUCK: u8 = 255;

impl Taken {
    pub(crate) async fn turn(database: &Database, store: &Postgres) -> Self {
        claimed(store, [STUCK]).await;
        let holder = hold(database, STUCK).await;
        let waits = tokio::spawn(store.settle(token(STUCK, 1), &answer(STUCK, 1)));
        until_somebody_waits(database).await;
        Self { holder, waits }
    }

    /// Gives it back.
    pub(crate) async fn end(self) {
        self.holder.close().await.unwrap();
        assert_eq!(in_time(self.waits).await.unwrap().unwrap(), Settled::Applied);
    }
}

/// A transaction that holds a row until its connection is closed.
pub(crate) async fn hold(database: &Database, number: u8) -> PgConnection {
    let mut holder = database.connection().await;
    holder.execute("begin").await.unwrap();
    let row = sqlx::query("select from tollgate.idempotency where key = $1 for update")
        .bind(&key(number).as_bytes()[..]);
    assert!(row.fetch_optional(&mut holder).await.unwrap().is_some());
    holder
}

pub(crate) async fn until_somebody_waits(database: &Database) {
    let mut eye = database.connection().await;
    let waits = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    in_time(async {
        while !eye.fetch_one(waits).await.unwrap().get::<bool, _>(0) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    eye.close().await.unwrap();
}
