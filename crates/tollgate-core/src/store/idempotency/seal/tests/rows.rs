//! Rows of a store.

use super::*;
use crate::ManualClock;
use crate::store::idempotency::{
    Begin, Begun, Completion, Doubt, Evidence, Fingerprint, IdempotencyStore, Owner, Resolution, Resolve,
    Resolved, Settled, Settlement, Tenant, Token,
};
use crate::store::memory::MemoryIdempotency;
use crate::store::{StoreError, StoreErrorKind};
use std::error::Error;
use std::time::Duration;

fn begin(number: u8, owner: u128) -> Begin {
    Begin {
        key: record(number),
        fingerprint: Fingerprint::new([1; 32]),
        owner: Owner(owner),
        lease: Duration::from_secs(10),
        retention: Duration::from_secs(1000),
        arm: true,
        tenant: Tenant::NONE,
        most_open: u32::MAX,
    }
}

async fn claim(store: &impl IdempotencyStore, number: u8) -> Token {
    match store.begin(begin(number, 1)).await.unwrap() {
        Begun::Acquired(token) => token,
        other => panic!("{other:?}"),
    }
}

fn done(body: &[u8]) -> Settlement {
    Settlement::Completed(completion(body))
}

fn completion(body: &[u8]) -> Completion {
    Completion {
        executed: true,
        envelope: Some(answer(body)),
    }
}

fn why(error: &StoreError) -> &Unopened {
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    assert!(!error.may_have_happened());
    error.source().unwrap().downcast_ref().unwrap()
}

/// Old answers open under the new ring; the old ring and an empty one say which key is missing.
#[tokio::test]
async fn keys_rotate_and_a_missing_one_is_named() {
    let rows = MemoryIdempotency::new();
    let old = Sealed::new(rows.clone(), ring("2026-05", 5));
    let token = claim(&old, 1).await;
    old.settle(token, &done(b"old")).await.unwrap();

    let both = ring("2026-11", 11).opening("2026-05", &secret(5)).unwrap();
    let both = Sealed::new(rows.clone(), both);
    let token = claim(&both, 2).await;
    both.settle(token, &done(b"new")).await.unwrap();
    for (number, body) in [(1, b"old"), (2, b"new")] {
        let replay = both.begin(begin(number, 2)).await.unwrap();
        assert_eq!(replay, Begun::Replay(completion(body)));
        let read = both.get(record(number)).await.unwrap().unwrap();
        assert_eq!(read.completion, Some(completion(body)));
    }

    for (store, number, missing) in [
        (&old, 2, "2026-11"),
        (&Sealed::new(rows.clone(), ring("2026-11", 11)), 1, "2026-05"),
    ] {
        let before = rows.get(record(number)).await.unwrap();
        let error = store.begin(begin(number, 2)).await.unwrap_err();
        assert_eq!(why(&error), &Unopened::UnknownKey(KeyId::new(missing).unwrap()));
        assert!(
            error.to_string().contains(missing) && error.to_string().contains("Keyring::opening"),
            "{error}"
        );
        assert_eq!(why(&store.get(record(number)).await.unwrap_err()), why(&error));
        assert_eq!(
            rows.get(record(number)).await.unwrap(),
            before,
            "and the row is as it was"
        );
    }
}

#[tokio::test]
async fn another_secret_under_a_known_name_opens_nothing() {
    let rows = MemoryIdempotency::new();
    let right = Sealed::new(rows.clone(), ring("a", 1));
    let token = claim(&right, 1).await;
    right.settle(token, &done(b"x")).await.unwrap();
    let wrong = Sealed::new(rows, ring("a", 2));
    let error = wrong.begin(begin(1, 2)).await.unwrap_err();
    assert_eq!(why(&error), &Unopened::Refused(KeyId::new("a").unwrap()));
    assert!(right.begin(begin(1, 2)).await.is_ok(), "nothing was lost");
}

/// The bodies of two rows, swapped in the database: both are refused, and neither runs again.
#[tokio::test]
async fn answers_swapped_between_rows_are_refused() {
    let scratch = MemoryIdempotency::new();
    let sealing = Sealed::new(scratch.clone(), ring("a", 1));
    let rows = MemoryIdempotency::new();
    for number in [1, 2] {
        let token = claim(&sealing, number).await;
        sealing.settle(token, &done(&[number])).await.unwrap();
    }
    for (number, other) in [(1, 2), (2, 1)] {
        let swapped = scratch
            .get(record(other))
            .await
            .unwrap()
            .unwrap()
            .completion
            .unwrap();
        let token = claim(&rows, number).await;
        rows.settle(token, &Settlement::Completed(swapped)).await.unwrap();
    }
    let store = Sealed::new(rows, ring("a", 1)).accept_plain();
    for number in [1, 2] {
        let error = store.begin(begin(number, 2)).await.unwrap_err();
        assert_eq!(why(&error), &Unopened::Refused(KeyId::new("a").unwrap()));
    }
}

/// Switching sealing on over a store that holds plain answers.
#[tokio::test]
async fn plain_answers_are_read_only_when_somebody_says_so() {
    let rows = MemoryIdempotency::new();
    let token = claim(&rows, 1).await;
    rows.settle(token, &done(b"before")).await.unwrap();
    let strict = Sealed::new(rows.clone(), ring("a", 1));
    let error = strict.begin(begin(1, 2)).await.unwrap_err();
    assert_eq!(why(&error), &Unopened::Plain);
    assert!(error.to_string().contains("accept_plain"), "{error}");

    let migrating = Sealed::new(rows, ring("a", 1)).accept_plain();
    let replay = migrating.begin(begin(1, 2)).await.unwrap();
    assert_eq!(replay, Begun::Replay(completion(b"before")));
    let token = claim(&migrating, 2).await;
    migrating.settle(token, &done(b"after")).await.unwrap();
    assert!(
        strict.begin(begin(2, 2)).await.is_ok(),
        "what is written meanwhile is sealed"
    );
}

/// The acknowledgement of a settlement was lost and the sweeper, a resolver or time came in between.
#[tokio::test]
async fn a_settlement_is_recognised_whenever_it_is_repeated() {
    let clock = ManualClock::default();
    let store = Sealed::new(MemoryIdempotency::with(100, clock.clone()), ring("a", 1));
    let token = claim(&store, 1).await;
    assert_eq!(store.settle(token, &done(b"x")).await.unwrap(), Settled::Applied);
    clock.advance(Duration::from_secs(600));
    // a clone, as another task of the process holds it
    let again = store.clone().settle(token, &done(b"x")).await.unwrap();
    assert_eq!(again, Settled::AlreadyApplied);
    let other = store.settle(token, &done(b"y")).await.unwrap();
    assert!(matches!(other, Settled::Fenced(_)), "{other:?}");
    // an answer without a body needs no seal
    let token = claim(&store, 2).await;
    let elided = Settlement::Completed(Completion {
        executed: true,
        envelope: None,
    });
    assert_eq!(store.settle(token, &elided).await.unwrap(), Settled::Applied);
    assert_eq!(
        store.settle(token, &elided).await.unwrap(),
        Settled::AlreadyApplied
    );
}

#[tokio::test]
async fn what_evidence_says_is_sealed_too() {
    let rows = MemoryIdempotency::new();
    let store = Sealed::new(rows.clone(), ring("a", 1));
    let token = claim(&store, 1).await;
    let doubt = Settlement::Unknown(Doubt::AnswerInDoubt);
    store.settle(token, &doubt).await.unwrap();
    let resolve = Resolve {
        key: token.key,
        epoch: token.epoch,
        as_of: store.now().await.unwrap(),
        resolution: Resolution::Completed(completion(b"found: Ada")),
        evidence: Evidence {
            actor: "ops".into(),
            reason: "lookup".into(),
        },
    };
    assert_eq!(store.resolve(resolve).await.unwrap(), Resolved::Resolved);
    let row = rows.get(token.key).await.unwrap().unwrap();
    let stored = row.completion.unwrap().envelope.unwrap();
    assert!(!stored.body.windows(3).any(|bytes| bytes == b"Ada"));
    assert_eq!(
        row.evidence.unwrap().actor.as_ref(),
        "ops",
        "auditors read without a key"
    );
    let replay = store.begin(begin(1, 2)).await.unwrap();
    assert_eq!(replay, Begun::Replay(completion(b"found: Ada")));
}

/// `seal` gives what `settle` writes, for a transaction that goes past the port.
#[tokio::test]
async fn a_settlement_sealed_by_hand_is_the_same() {
    let rows = MemoryIdempotency::new();
    let store = Sealed::new(rows.clone(), ring("a", 1));
    let token = claim(&store, 1).await;
    let by_hand = store.seal(&token.key, &done(b"x")).unwrap();
    rows.settle(token, &by_hand).await.unwrap();
    assert_eq!(
        store.settle(token, &done(b"x")).await.unwrap(),
        Settled::AlreadyApplied
    );
    assert_eq!(store.get_ref().len(), 1);
}
