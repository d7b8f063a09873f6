//! Sealed answers on a real file, and somebody who writes to the file past the store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rusqlite::Connection;
use std::error::Error;
use std::path::Path;
use tollgate_core::Secret;
use tollgate_core::store::idempotency::seal::{KeyId, Keyring, Sealed, Unopened};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Envelope, IdempotencyStore, Settled, Settlement, Token,
};
use tollgate_sqlite::Sqlite;
use tollgate_testkit::samples;

const HOLDER: &str = "Ada Lovelace, iban GB33BUKB20201555555555";

fn secret(byte: u8) -> Secret<Vec<u8>> {
    Secret::new(vec![byte; 32])
}

fn open(path: &Path, ring: Keyring) -> Sealed<Sqlite> {
    Sealed::new(Sqlite::open(path).unwrap(), ring)
}

fn ring() -> Keyring {
    Keyring::new("2026-11", &secret(11)).unwrap()
}

fn begin(number: u8, owner: u128) -> Begin {
    samples::begin(samples::key(number), owner)
}

fn done(number: u8) -> Completion {
    Completion {
        executed: true,
        envelope: Some(Envelope {
            ok: true,
            status: 201,
            head: Some((*b"content-type: text/plain").into()),
            body: format!("{number}: {HOLDER}").into_bytes().into(),
        }),
    }
}

/// Begins and settles a key.
async fn charge(store: &impl IdempotencyStore, number: u8) -> Token {
    let token = samples::claim(store, begin(number, 1)).await;
    let settlement = Settlement::Completed(done(number));
    assert_eq!(store.settle(token, &settlement).await.unwrap(), Settled::Applied);
    token
}

/// Why a repeat of the key is refused.
async fn refused(store: &impl IdempotencyStore, number: u8) -> Unopened {
    let error = store.begin(begin(number, 2)).await.unwrap_err();
    let why: &Unopened = error.source().unwrap().downcast_ref().unwrap();
    why.clone()
}

#[tokio::test]
async fn the_file_holds_no_answer_and_a_reopened_store_replays_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let token = {
        let store = open(&path, ring());
        charge(&store, 1).await
    };
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for part in ["Lovelace", "GB33", "text/plain"] {
            assert!(
                !bytes.windows(part.len()).any(|window| window == part.as_bytes()),
                "{part}"
            );
        }
    }
    let store = open(&path, ring());
    assert_eq!(store.begin(begin(1, 2)).await.unwrap(), Begun::Replay(done(1)));
    let again = Settlement::Completed(done(1));
    assert_eq!(
        store.settle(token, &again).await.unwrap(),
        Settled::AlreadyApplied,
        "after a restart too: one answer has one sealed form"
    );
}

#[tokio::test]
async fn keys_rotate_on_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    let old = Keyring::new("2026-05", &secret(5)).unwrap();
    charge(&open(&path, old), 1).await;
    let rotated = open(&path, ring().opening("2026-05", &secret(5)).unwrap());
    charge(&rotated, 2).await;
    for number in [1, 2] {
        let replay = rotated.begin(begin(number, 2)).await.unwrap();
        assert_eq!(replay, Begun::Replay(done(number)));
    }
    let too_soon = open(&path, ring());
    let missing = Unopened::UnknownKey(KeyId::new("2026-05").unwrap());
    assert_eq!(refused(&too_soon, 1).await, missing);
    assert_eq!(too_soon.begin(begin(2, 2)).await.unwrap(), Begun::Replay(done(2)));
}

/// Whoever can write to the file can break an answer, and cannot make another one of it.
#[tokio::test]
async fn what_is_changed_in_the_file_is_refused() {
    let wrong = Unopened::Refused(KeyId::new("2026-11").unwrap());
    let cases: [(&str, &str, Unopened); 6] = [
        (
            "bodies swapped",
            // from a copy: a statement that reads what it writes would give the second row its own body back
            "create temp table copy as select key, answer_body from idempotency; \
             update idempotency set answer_body = (select body.answer_body from copy body where body.key <> idempotency.key)",
            wrong.clone(),
        ),
        (
            "a decline made of it",
            "update idempotency set executed = 0",
            wrong.clone(),
        ),
        (
            "an error made of it",
            "update idempotency set answer_ok = 0",
            wrong.clone(),
        ),
        (
            "another status",
            "update idempotency set answer_status = 402",
            wrong,
        ),
        (
            "a plain answer in its place",
            "update idempotency set answer_head = null, answer_body = x'7b7d'",
            Unopened::Plain,
        ),
        (
            "cut off",
            "update idempotency set answer_body = substr(answer_body, 1, 20)",
            Unopened::Malformed,
        ),
    ];
    for (what, sql, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let store = open(&path, ring());
        charge(&store, 1).await;
        charge(&store, 2).await;
        let elsewhere = Connection::open(&path).unwrap();
        elsewhere.execute_batch(sql).unwrap();
        assert_eq!(elsewhere.changes(), 2, "{what}");
        for number in [1, 2] {
            assert_eq!(refused(&store, number).await, expected, "{what}");
        }
    }
}
