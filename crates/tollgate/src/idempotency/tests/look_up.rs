//! Doubts that end because somebody asked.

use super::*;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tollgate_core::store::idempotency::{Completion, IdempotencyStore, Phase, Unresolved};
use tower::{Layer, ServiceExt};

/// A gateway that books and loses its first answer.
fn losing() -> Gateway {
    Gateway::new(|number, payment| match number {
        0 => Scripted::Book(Err(PaymentError::connection_lost("reset"))),
        _ => Scripted::Book(Ok(payment)),
    })
}

async fn found() -> Finding {
    let payment = layer(MemoryIdempotency::new())
        .layer(Gateway::booking())
        .oneshot(sale("k", 100))
        .await
        .unwrap();
    let completion: Completion =
        stored_answer::<Call<Sale>, _, _, PaymentError>(&crate::Gateway, Ok(payment)).await;
    Finding::Settled {
        completion,
        reason: "lookup found it".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_ends_the_doubt_it_meets() {
    let gateway = losing();
    let looks = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&looks);
    let layer = layer(store().0).resolver("test", move |open: Unresolved| {
        assert_eq!(open.phase, Phase::Unknown);
        counter.fetch_add(1, SeqCst);
        async {
            sleep(Duration::from_millis(300)).await;
            found().await
        }
    });
    let service = layer.layer(gateway.clone());
    assert!(service.clone().oneshot(sale("k", 100)).await.is_err());
    // ten at once: one look, ten answers
    let asked: Vec<_> = (0..10)
        .map(|_| tokio::spawn(service.clone().oneshot(sale("k", 100))))
        .collect();
    for answer in asked {
        assert!(answer.await.unwrap().is_ok());
    }
    assert_eq!((looks.load(SeqCst), gateway.booked()), (1, 1));
}

/// The gateway is asked once a second and not at every retry, and nobody waits longer than the patience.
#[tokio::test(start_paused = true)]
async fn a_doubt_that_stays_costs_a_look_a_second_and_a_bounded_wait() {
    let looks = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&looks);
    let layer = layer(store().0).resolver("test", move |_| {
        counter.fetch_add(1, SeqCst);
        async { Finding::StillOpen }
    });
    let service = layer.layer(losing());
    assert!(service.clone().oneshot(sale("k", 100)).await.is_err());
    let began = Instant::now();
    let refused = service.oneshot(sale("k", 100)).await.unwrap_err();
    assert_eq!(refused.code(), Some("outcome-unknown"));
    assert!(began.elapsed() < Duration::from_millis(2_200));
    assert!(looks.load(SeqCst) <= 3, "{}", looks.load(SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_panics_or_never_comes_back_blocks_nobody() {
    for never in [false, true] {
        let tries = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&tries);
        let layer = layer(store().0).resolver("test", move |_| {
            let first = counter.fetch_add(1, SeqCst) == 0;
            async move {
                match (first, never) {
                    (true, true) => std::future::pending().await,
                    (true, false) => panic!("a bug in the look-up"),
                    (false, _) => found().await,
                }
            }
        });
        let service = layer.layer(losing());
        assert!(service.clone().oneshot(sale("k", 100)).await.is_err());
        let answer = service.clone().oneshot(sale("k", 100)).await;
        assert_eq!(
            answer.is_ok(),
            !never,
            "a panic is tried again, a look under way is not doubled"
        );
        sleep(Duration::from_secs(61)).await;
        let answer = service.oneshot(sale("k", 100)).await;
        assert!(answer.is_ok(), "one that hangs is given up");
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_background_nobody_has_to_ask() {
    let (store, _) = store();
    let actors = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&actors);
    let layer = layer(store.clone()).resolver("background", move |open| {
        seen.lock().unwrap().push(open.key);
        found()
    });
    let service = layer.layer(losing());
    assert!(service.clone().oneshot(sale("k", 100)).await.is_err());
    let task = tokio::spawn(layer.keep_resolving(Duration::from_secs(60)));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(store.unresolved(None, 10).await.unwrap(), []);
    let key = actors.lock().unwrap()[0];
    let evidence = store.get(key).await.unwrap().unwrap().evidence.unwrap();
    assert_eq!(
        (&*evidence.actor, &*evidence.reason),
        ("background", "lookup found it")
    );
    assert!(service.oneshot(sale("k", 100)).await.is_ok());
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn in_the_background_a_look_that_hangs_is_given_up() {
    let (store, _) = store();
    let looks = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&looks);
    let layer = layer(store.clone()).resolver("background", move |_| {
        let first = counter.fetch_add(1, SeqCst) == 0;
        async move {
            match first {
                true => std::future::pending().await,
                false => found().await,
            }
        }
    });
    for key in ["k", "l"] {
        assert!(layer.layer(losing()).oneshot(sale(key, 100)).await.is_err());
    }
    let task = tokio::spawn(layer.keep_resolving(Duration::from_secs(300)));
    sleep(Duration::from_secs(100)).await;
    assert_eq!(
        store.unresolved(None, 10).await.unwrap().len(),
        1,
        "the other one's look is not kept up"
    );
    sleep(Duration::from_secs(300)).await;
    assert_eq!(store.unresolved(None, 10).await.unwrap(), []);
    task.abort();
}

/// One key whose look panics must not end the task that looks for all the others.
#[tokio::test(start_paused = true)]
async fn the_background_goes_on_after_a_look_that_panics() {
    let (store, _) = store();
    let first = Arc::new(Mutex::new(None));
    let poison = Arc::clone(&first);
    let layer = layer(store.clone()).resolver("test", move |open: Unresolved| {
        let panics = *poison.lock().unwrap().get_or_insert(open.key) == open.key;
        async move {
            assert!(!panics, "a bug in the look-up");
            found().await
        }
    });
    let gateway = Gateway::new(|_, _| Scripted::Book(Err(PaymentError::connection_lost("reset"))));
    let service = layer.layer(gateway);
    for key in ["a", "b", "c"] {
        assert!(service.clone().oneshot(sale(key, 100)).await.is_err());
    }
    let task = tokio::spawn(layer.keep_resolving(Duration::from_secs(60)));
    sleep(Duration::from_secs(90)).await;
    assert!(!task.is_finished(), "it looks for as long as the process lives");
    let open: Vec<_> = store
        .unresolved(None, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|open| open.key)
        .collect();
    assert_eq!(open, Vec::from_iter(*first.lock().unwrap()));
}
