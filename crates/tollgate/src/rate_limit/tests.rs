use super::*;
use crate::Gateway;
use std::future::Ready;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::gateway::{Call, GetPayment};
use tollgate_core::id::PaymentId;
use tollgate_core::store::StoreError;
use tollgate_core::store::memory::MemoryQuota;
use tollgate_core::store::quota::{Quota, QuotaStore, Take, Taken};
use tollgate_core::{Deadline, Effect, Fault, ManualClock, PaymentError, Secrets};
use tower::{Layer, ServiceExt, service_fn};

fn per_second(units: u32) -> Quota {
    Quota::per_second(NonZeroU32::new(units).unwrap())
}

fn get() -> Call<GetPayment> {
    Call::new(GetPayment {
        payment: PaymentId::new("pay_1").unwrap(),
    })
}

async fn once<L: Limit + Clone>(layer: &RateLimitLayer<Gateway, L>) -> Result<(), PaymentError> {
    layer
        .layer(service_fn(|_: Call<GetPayment>| async { Ok(()) }))
        .oneshot(get())
        .await
}

/// tower #764, axum #2634: a limit per clone or per route is no limit.
#[tokio::test(start_paused = true)]
async fn services_of_one_layer_share_the_limit() {
    let layer = RateLimitLayer::gateway(LocalLimit::new(per_second(3)));
    let mut ok = 0;
    for _ in 0..10 {
        match once(&layer).await {
            Ok(()) => ok += 1,
            Err(error) => assert_eq!(error.verdict().effect, Effect::NotSent),
        }
    }
    assert_eq!(ok, 3);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(once(&layer).await.is_ok());
}

/// tower-resilience 5.1h: it slept the whole time-out and refused then.
#[tokio::test(start_paused = true)]
async fn it_waits_when_that_helps_and_refuses_at_once_when_it_does_not() {
    let layer =
        RateLimitLayer::gateway(LocalLimit::new(per_second(1))).wait_at_most(Duration::from_millis(1500));
    let start = Instant::now();
    assert!(once(&layer).await.is_ok());
    assert!(once(&layer).await.is_ok());
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    let patient = layer.clone();
    let waiting = tokio::spawn(async move { once(&patient).await });
    tokio::task::yield_now().await;
    assert!(waiting.await.unwrap().is_ok());
    let hurried = layer.wait_at_most(Duration::from_millis(10));
    let start = Instant::now();
    assert!(once(&hurried).await.unwrap_err().verdict().retry_after.is_some());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_wait_past_the_deadline_is_refused_at_once() {
    let layer = RateLimitLayer::gateway(LocalLimit::new(per_second(1))).wait_at_most(Duration::from_secs(60));
    assert!(once(&layer).await.is_ok());
    let mut call = get();
    call.context.deadline = Some(Deadline::at(
        (Instant::now() + Duration::from_millis(100)).into_std(),
    ));
    let service = layer.layer(service_fn(|_: Call<GetPayment>| async {
        Ok::<(), PaymentError>(())
    }));
    let start = Instant::now();
    assert!(service.oneshot(call).await.is_err());
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// seed D8: two functions of one name shared a bucket; here keys and names are kept apart.
#[tokio::test]
async fn keys_and_names_have_quotas_of_their_own() {
    let (store, secrets) = (
        MemoryQuota::with(100, ManualClock::default()),
        Secrets::ephemeral(),
    );
    let layer = |name: &str| {
        let limit = StoredLimit::new(store.clone(), per_second(1), name, secrets.clone());
        RateLimitLayer::gateway(limit)
            .keyed(|call: &Call<GetPayment>| Some(call.message.payment.as_str().to_owned()))
    };
    let service = |name| {
        layer(name).layer(service_fn(|_: Call<GetPayment>| async {
            Ok::<(), PaymentError>(())
        }))
    };
    let other = || {
        Call::new(GetPayment {
            payment: PaymentId::new("pay_2").unwrap(),
        })
    };
    assert!(service("a").oneshot(get()).await.is_ok());
    assert!(service("a").oneshot(other()).await.is_ok());
    assert!(service("b").oneshot(get()).await.is_ok());
    assert!(service("a").oneshot(get()).await.is_err());
}

#[derive(Clone, Debug)]
struct Down;

impl QuotaStore for Down {
    type Future<T: Send + 'static> = Ready<Result<T, StoreError>>;
    fn take(&self, _: &[Take]) -> Self::Future<Taken> {
        std::future::ready(Err(StoreError::unavailable("down")))
    }
    fn give_back(&self, _: Take) -> Self::Future<()> {
        std::future::ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_does_what_was_said() {
    let closed = StoredLimit::new(Down, per_second(1), "a", Secrets::ephemeral());
    let error = once(&RateLimitLayer::gateway(closed)).await.unwrap_err();
    assert_eq!(error.code(), Some("store-unavailable"));
    let local = StoreDown::GoBy(LocalLimit::new(per_second(1)));
    let open = StoredLimit::with_store_down(Down, per_second(1), "a", Secrets::ephemeral(), local);
    let layer = RateLimitLayer::gateway(open);
    assert!(once(&layer).await.is_ok());
    assert!(once(&layer).await.is_err());
}

/// seed D9: 100,000 keys stayed in memory for good.
#[tokio::test]
async fn idle_keys_make_room_for_new_ones() {
    let clock = ManualClock::default();
    let store = MemoryQuota::with(64, clock.clone());
    for key in 0..10_000u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&key.to_le_bytes());
        let take = Take {
            key: tollgate_core::store::quota::QuotaKey(bytes),
            quota: per_second(1),
            cost: 1,
        };
        assert!(matches!(store.take(&[take]).await, Ok(Taken::Granted { .. })));
        clock.advance(Duration::from_secs(1));
    }
    assert!(format!("{store:?}").contains("keys: "));
}
