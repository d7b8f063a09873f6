//! The server itself crashes and comes back, over and over, in the middle of a workload.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use support::own_server::OwnServer;
use support::{Database, block_on};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, IdempotencyStore, Phase, RecordKey, Settled, Settlement, Token,
};
use tollgate_postgres::{Postgres, Settings};
use tollgate_testkit::samples;

fn key(worker: u8, number: u32) -> RecordKey {
    let mut key = [worker; 32];
    key[..4].copy_from_slice(&number.to_be_bytes());
    RecordKey::new(key)
}

fn outcome(number: u32) -> Completion {
    samples::completion(&number.to_be_bytes())
}

/// Claims and arms, however often it takes. An error that says "not written" is believed by nobody here: the same owner asks again.
async fn claim(store: &Postgres, worker: u8, number: u32) -> Token {
    let owner = u128::from(worker) << 64 | u128::from(number);
    let begin = Begin {
        lease: Duration::from_secs(600),
        ..samples::begin(key(worker, number), owner)
    };
    loop {
        match store.begin(begin).await {
            Ok(Begun::Acquired(token)) => return token,
            Ok(other) => panic!("{other:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn settle(store: &Postgres, token: Token, number: u32) {
    let mut was_lost = false;
    loop {
        match store.settle(token, &Settlement::Completed(outcome(number))).await {
            Ok(Settled::Applied) => return,
            Ok(Settled::AlreadyApplied) => {
                assert!(was_lost, "it was there before anybody had asked");
                return;
            }
            Ok(other) => panic!("{other:?}: an acknowledged claim was forgotten"),
            Err(error) => {
                was_lost |= error.may_have_happened();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

#[test]
fn a_server_that_crashes_forgets_nothing_it_has_acknowledged() {
    const WORKERS: u8 = 6;
    let (server, url) = OwnServer::start();
    block_on(async {
        let database = Database::on(url).await;
        let store = Postgres::connect(&database.url(), Settings::new().migrate())
            .await
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let settled = Arc::new(AtomicU32::new(0));
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (store, stop, settled) = (store.clone(), Arc::clone(&stop), Arc::clone(&settled));
                tokio::spawn(async move {
                    for number in 0.. {
                        if stop.load(SeqCst) {
                            return number;
                        }
                        let token = claim(&store, worker, number).await;
                        assert_eq!(token.epoch, 1, "a claim was given out twice");
                        settle(&store, token, number).await;
                        settled.fetch_add(1, SeqCst);
                    }
                    unreachable!()
                })
            })
            .collect();
        let server = Arc::new(server);
        for crash in 1..=4 {
            // in the midst of their work, however fast they get on
            while settled.load(SeqCst) < crash * 30 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let server = Arc::clone(&server);
            tokio::task::spawn_blocking(move || server.crash()).await.unwrap();
        }
        stop.store(true, SeqCst);
        let mut keys = 0;
        for (worker, ran) in (0..WORKERS).zip(workers) {
            let ran = ran.await.unwrap();
            for number in 0..ran {
                let record = store
                    .get(key(worker, number))
                    .await
                    .unwrap()
                    .expect("it is there");
                assert_eq!((record.phase, record.epoch), (Phase::Completed, 1));
                assert_eq!(record.completion, Some(outcome(number)));
            }
            keys += ran;
        }
        assert!(keys > 100, "only {keys} keys");
    });
}
