//! The layer over a store that seals.

use super::*;
use crate::idempotency::GuardedHttp;
use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::time::Duration;
use tollgate_core::Secret;
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_core::store::idempotency::seal::{Keyring, OVERHEAD, Sealed};
use tollgate_testkit::fault::{Faulty, When};
use tower::{Layer, ServiceExt};

fn ring(id: &str, byte: u8) -> Keyring {
    Keyring::new(id, &Secret::new(vec![byte; 32])).unwrap()
}

/// The acknowledgement of a settlement is lost, once or several times: it is written once, recognised, and replayed.
#[tokio::test(start_paused = true)]
async fn a_lost_acknowledgement_is_recognised_under_the_seal() {
    for when in When::ALL {
        for times in 1..5 {
            let rows = store().0;
            let faulty = (1..=times).fold(Faulty::new(rows.clone()), |store, at| store.failing(at, when));
            let gateway = Gateway::booking();
            let layer =
                IdempotencyLayer::dangerous_gateway(Sealed::new(faulty, ring("a", 1)), Secrets::ephemeral());
            let service = layer.layer(gateway.clone());
            let first = service.clone().oneshot(sale("k", 100)).await.unwrap();
            layer.drain(Duration::from_secs(60)).await.unwrap();
            let again = service.oneshot(sale("k", 100)).await.unwrap();
            assert_eq!((&again, gateway.booked()), (&first, 1), "{when:?}, {times} times");
            assert_eq!(
                rows.unresolved(None, 10).await.unwrap(),
                [],
                "{when:?}, {times} times"
            );
        }
    }
}

/// A key that is missing costs replays until it is back, and never a second charge.
#[tokio::test]
async fn a_missing_key_is_an_outage_and_no_second_run() {
    let rows = store().0;
    let (gateway, secrets) = (Gateway::booking(), Secrets::ephemeral());
    let guarded = |ring| {
        IdempotencyLayer::dangerous_gateway(Sealed::new(rows.clone(), ring), secrets.clone())
            .layer(gateway.clone())
    };
    let first = guarded(ring("old", 1)).oneshot(sale("k", 100)).await.unwrap();
    let refused = guarded(ring("new", 2)).oneshot(sale("k", 100)).await.unwrap_err();
    assert_eq!(refused.code(), Some("store-unavailable"));
    let both = ring("new", 2).opening("old", &Secret::new(vec![1; 32])).unwrap();
    assert_eq!(guarded(both).oneshot(sale("k", 100)).await.unwrap(), first);
    // a build that has lost its keyring altogether
    let plain = IdempotencyLayer::dangerous_gateway(rows.clone(), secrets.clone()).layer(gateway.clone());
    let unread = plain.oneshot(sale("k", 100)).await.unwrap_err();
    assert_eq!(unread.code(), Some("not-replayable"));
    assert_eq!(gateway.booked(), 1);
}

/// Over HTTP: the limit on bodies counts what the client sees, and the store takes a little more.
#[tokio::test]
async fn the_longest_answer_that_is_kept_is_kept_sealed() {
    const LIMIT: usize = 4096;
    let rows = store().0;
    for (length, kept) in [(LIMIT, true), (LIMIT + 1, false)] {
        let layer = IdempotencyLayer::dangerous_new(
            Sealed::new(rows.clone(), ring("2026-11", 1)),
            Secrets::ephemeral(),
            GuardedHttp::new().max_answer(LIMIT),
        );
        let handler = tower::service_fn(move |_: Request<Full<Bytes>>| async move {
            let answer = Response::builder().status(201).header("location", "/charges/1");
            Ok::<_, Infallible>(answer.body(Full::from(vec![b'x'; length])).unwrap())
        });
        let post = || {
            Request::post("/charges")
                .header("idempotency-key", length.to_string())
                .body(Full::default())
                .unwrap()
        };
        let service = layer.layer(handler);
        let first = service.clone().oneshot(post()).await.unwrap();
        assert_eq!(first.status(), 201);
        let again = service.oneshot(post()).await.unwrap();
        if kept {
            assert_eq!(
                (again.status().as_u16(), &again.headers()["location"]),
                (201, &"/charges/1".parse().unwrap())
            );
            assert_eq!(again.into_body().collect().await.unwrap().to_bytes().len(), LIMIT);
            const { assert!(OVERHEAD < 128) };
        } else {
            assert_eq!(again.status(), 409);
        }
    }
}
