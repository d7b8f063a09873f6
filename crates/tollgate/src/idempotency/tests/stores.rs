//! Stores that fail, at each step.

use super::*;
use std::future::{Ready, pending};
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::*;
use tollgate_core::store::{Boxed, Capabilities, StoreError};
use tower::{Layer, ServiceExt};

/// Fails the steps that are named, so many times in all.
#[derive(Clone)]
pub(super) struct Flaky {
    inner: MemoryIdempotency,
    failing: Arc<AtomicU32>,
    step: &'static str,
    how: How,
}

/// How a step fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum How {
    Errs,
    /// It is done, and after a while its answer is lost.
    Loses(Duration),
    Panics,
    NeverAnswers,
}

impl Flaky {
    pub(super) fn new(step: &'static str, times: u32) -> Self {
        Self::over(store().0, step, times)
    }

    pub(super) fn over(inner: MemoryIdempotency, step: &'static str, times: u32) -> Self {
        Self {
            inner,
            failing: Arc::new(AtomicU32::new(times)),
            step,
            how: How::Errs,
        }
    }

    pub(super) fn how(self, how: How) -> Self {
        Self { how, ..self }
    }

    pub(super) fn failures_left(&self) -> u32 {
        self.failing.load(SeqCst)
    }

    fn fails(&self, step: &str) -> bool {
        self.step.split(' ').any(|failing| failing == step)
            && self
                .failing
                .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
                .is_ok()
    }

    fn or_fail<T: Send + 'static>(
        &self,
        step: &str,
        real: impl FnOnce() -> Ready<Result<T, StoreError>>,
    ) -> Boxed<T> {
        if !self.fails(step) {
            return Box::pin(real());
        }
        let how = self.how;
        if let How::Loses(_) = how {
            drop(real()); // done as soon as it is asked
        }
        Box::pin(async move {
            if let How::Loses(after) = how {
                tokio::time::sleep(after).await;
            }
            match how {
                How::Errs | How::Loses(_) => Err(StoreError::unavailable("down").possibly_applied()),
                How::Panics => panic!("the store's own"),
                How::NeverAnswers => pending().await,
            }
        })
    }
}

impl IdempotencyStore for Flaky {
    type Future<T: Send + 'static> = Boxed<T>;
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            ..Capabilities::IN_MEMORY
        }
    }
    fn now(&self) -> Self::Future<Timestamp> {
        Box::pin(self.inner.now())
    }
    fn begin(&self, begin: Begin) -> Self::Future<Begun> {
        self.or_fail("begin", || self.inner.begin(begin))
    }
    fn arm(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        self.or_fail("arm", || self.inner.arm(token, lease))
    }
    fn renew(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        self.or_fail("renew", || self.inner.renew(token, lease))
    }
    fn settle(&self, token: Token, settlement: &Settlement) -> Self::Future<Settled> {
        self.or_fail("settle", || self.inner.settle(token, settlement))
    }
    fn resolve(&self, resolve: Resolve) -> Self::Future<Resolved> {
        Box::pin(self.inner.resolve(resolve))
    }
    fn get(&self, key: RecordKey) -> Self::Future<Option<Record>> {
        self.or_fail("get", || self.inner.get(key))
    }
    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Self::Future<Vec<Unresolved>> {
        Box::pin(self.inner.unresolved(after, limit))
    }
    fn sweep(&self, limit: u32) -> Self::Future<u64> {
        Box::pin(self.inner.sweep(limit))
    }
    fn collect(&self, tombstone: Duration, limit: u32) -> Self::Future<u64> {
        Box::pin(self.inner.collect(tombstone, limit))
    }
}

#[tokio::test(start_paused = true)]
async fn before_money_moves_a_failing_store_fails_closed() {
    // a begin is asked twice, so that a claim whose answer was lost is found
    for (step, times, arm) in [
        ("begin", 2, ArmPolicy::AtBegin),
        ("arm", 1, ArmPolicy::BeforeCall),
    ] {
        let gateway = Gateway::booking();
        let layer = IdempotencyLayer::gateway(Flaky::new(step, times), Secrets::ephemeral()).unwrap();
        let service = layer
            .config(IdempotencyConfig::default().arm(arm))
            .layer(gateway.clone());
        let error = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(error.code(), Some("store-unavailable"), "{step}");
        assert_eq!(gateway.calls(), 0, "{step}");
        assert!(
            service.oneshot(sale("k", 100)).await.is_ok(),
            "{step}: the key is not burnt"
        );
    }
}

/// seed I20: the caller saw the store's error for a charge that went through, and the key stayed stuck for 24 hours.
#[tokio::test(start_paused = true)]
async fn after_money_moved_the_truth_is_told_and_kept() {
    for failures in [1, 3, 20] {
        let gateway = Gateway::booking();
        let layer = IdempotencyLayer::gateway(Flaky::new("settle", failures), Secrets::ephemeral()).unwrap();
        let service = layer.layer(gateway.clone());
        let first = service.clone().oneshot(sale("k", 100)).await.unwrap();
        layer.drain(Duration::from_secs(600)).await.unwrap(); // writing went on in the background
        assert_eq!(
            service.oneshot(sale("k", 100)).await.unwrap(),
            first,
            "{failures} failures"
        );
        assert_eq!(gateway.booked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_comes_back_leaves_the_key_armed() {
    let gateway = Gateway::booking();
    let store = Flaky::new("settle", u32::MAX);
    let layer = IdempotencyLayer::gateway(store.clone(), Secrets::ephemeral()).unwrap();
    let service = layer.layer(gateway.clone());
    assert!(service.clone().oneshot(sale("k", 100)).await.is_ok());
    layer.drain(Duration::from_secs(3600)).await.unwrap();
    let error = service.oneshot(sale("k", 100)).await.unwrap_err();
    assert_eq!(error.verdict_effect(), tollgate_core::Effect::Unknown);
    assert_eq!(gateway.booked(), 1);
}

trait VerdictEffect {
    fn verdict_effect(&self) -> tollgate_core::Effect;
}

impl VerdictEffect for PaymentError {
    fn verdict_effect(&self) -> tollgate_core::Effect {
        tollgate_core::Fault::verdict(self).effect
    }
}

/// The claim was made and its answer lost. Nothing was sent: the key must not end as an unknown outcome.
#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_asked_for_again() {
    use tollgate_testkit::fault::{Faulty, When};
    for when in [When::After, When::BeforeInDoubt] {
        let gateway = Gateway::booking();
        let store = Faulty::new(store().0).failing(0, when);
        let service = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral()).layer(gateway.clone());
        let first = service.clone().oneshot(sale("k", 100)).await;
        assert!(first.is_ok(), "{when:?}: {first:?}");
        assert_eq!(service.oneshot(sale("k", 100)).await, first);
        assert_eq!(gateway.booked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_too_long_to_count_does_not_panic() {
    let wait = IdempotencyConfig::default().while_in_flight(WhileInFlight::Wait(Duration::MAX));
    let gateway = Gateway::booking().pausing(3);
    let service = layer(store().0).config(wait).layer(gateway.clone());
    let both = tokio::join!(
        service.clone().oneshot(sale("k", 100)),
        service.oneshot(sale("k", 100))
    );
    assert_eq!(both.0, both.1);
    assert_eq!(gateway.booked(), 1);
}
