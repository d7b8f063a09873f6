//! Who waits for a claim to end, while its end goes with others.

use crate::lane::{answer, begin, in_time};
use crate::support::{Database, block_on};
use crate::watch::{watch, watched};
use std::time::Duration;
use tollgate_core::store::idempotency::{Begin, Begun, IdempotencyStore, RecordKey, Settled, Token};

const KEYS: u8 = 48;

fn of(round: u8, number: u8) -> RecordKey {
    let mut key = [number; 32];
    key[0] = round;
    RecordKey::new(key)
}

/// Waits begin before, while and after settlements go in one statement, from another process: each is told, or finds nothing to wait
/// for, long before a lease lapses.
#[test]
fn who_waits_is_told_of_what_goes_with_others() {
    block_on(async {
        let database = Database::fresh().await;
        let (store, waits) = (database.store().await, database.store().await);
        watch(&database).await;
        for round in 0..12 {
            let mut tokens: Vec<Token> = Vec::new();
            for number in 0..KEYS {
                let key = of(round, number);
                let Begun::Acquired(token) = store.begin(Begin { key, ..begin(0, 1) }).await.unwrap() else {
                    panic!("it is new");
                };
                tokens.push(token);
            }
            let waiters: Vec<_> = (0..KEYS)
                .map(|number| {
                    let waits = waits.clone();
                    tokio::spawn(async move {
                        // one in three is early, the others come while it happens
                        let late = Duration::from_micros(u64::from(number % 3 * number) * 50);
                        tokio::time::sleep(late).await;
                        waits.changed(of(round, number)).unwrap().await
                    })
                })
                .collect();
            if round % 2 == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let settled: Vec<_> = tokens
                .iter()
                .map(|token| tokio::spawn(store.settle(*token, &answer(1, 9))))
                .collect();
            for settled in settled {
                assert_eq!(in_time(settled).await.unwrap().unwrap(), Settled::Applied);
            }
            for told in waiters {
                in_time(told).await.unwrap().unwrap();
            }
        }
        let (_, updated) = watched(&database).await;
        assert!(!updated.is_empty(), "nothing went together");
    });
}
