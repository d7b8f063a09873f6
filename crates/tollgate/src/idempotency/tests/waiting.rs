//! When a waiter begins again.

use crate::idempotency::IdempotencyConfig;
use crate::idempotency::wait::Wait;
use std::future::{Ready, pending, ready};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::store::StoreError;

type Told = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

const MINUTE: Duration = Duration::from_secs(60);

/// How long a wait takes by paused time.
async fn waits<C>(told: Option<C>, look_again: Duration, at_most: Duration) -> Duration
where
    C: Future<Output = Result<(), StoreError>> + Unpin,
{
    let began = Instant::now();
    let config = IdempotencyConfig::default().look_again(look_again);
    Wait::new(told, &config, began + at_most).await;
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_tells_is_asked_from_time_to_time() {
    let never = None::<Ready<Result<(), StoreError>>>;
    let pause = Duration::from_millis(50);
    assert_eq!(waits(never, pause, MINUTE).await, pause);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_tells_is_waited_for_and_asked_seldom() {
    let after = Duration::from_millis(300);
    let told: Told = Box::pin(async move {
        tokio::time::sleep(after).await;
        Ok(())
    });
    assert_eq!(waits(Some(told), MINUTE, MINUTE).await, after);

    // a word that was lost on its way
    let lost: Told = Box::pin(pending());
    let pause = Duration::from_millis(50);
    assert_eq!(waits(Some(lost), pause, MINUTE).await, pause * 20);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_tell_any_more_is_asked_as_often_as_one_that_never_does() {
    let (heard, pause) = (Duration::from_millis(300), Duration::from_millis(50));
    let deaf: Told = Box::pin(async move {
        tokio::time::sleep(heard).await;
        Err(StoreError::unavailable("the connection is lost"))
    });
    assert_eq!(waits(Some(deaf), pause, MINUTE).await, heard + pause);
}

/// The waiter's own bound comes first, however seldom it asks.
#[tokio::test(start_paused = true)]
async fn a_waiter_is_not_late_for_its_own_end() {
    let at_most = Duration::from_secs(5);
    let never = None::<Ready<Result<(), StoreError>>>;
    assert_eq!(waits(never, Duration::MAX, at_most).await, at_most);
    let silent: Told = Box::pin(pending());
    assert_eq!(waits(Some(silent), MINUTE, at_most).await, at_most);
    assert_eq!(waits(Some(ready(Ok(()))), MINUTE, at_most).await, Duration::ZERO);
}
