//! How a repeat waits for the first call to end: until the store tells, or until it is time to ask again.

use super::config::IdempotencyConfig;
use crate::causes::Causes;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tollgate_core::store::StoreError;

/// How much more seldom a waiter asks a store that tells: a word can be lost on its way.
const SELDOM: u32 = 20;

pin_project! {
    /// Ends when it is time to begin again.
    pub(super) struct Wait<C> {
        told: Option<C>,
        #[pin]
        sleep: Sleep,
        look_again: Duration,
        until: Instant,
    }
}

impl<C> Wait<C> {
    /// `told` is how the store tells, if it does; `until` is when the waiter's time is over, so that it is not late for that.
    pub(super) fn new(told: Option<C>, config: &IdempotencyConfig, until: Instant) -> Self {
        let pause = match told {
            Some(_) => config.look_again.saturating_mul(SELDOM),
            None => config.look_again,
        };
        Self {
            told,
            sleep: tokio::time::sleep_until(soon(pause, until)),
            look_again: config.look_again,
            until,
        }
    }
}

/// A place among those who wait, given up when dropped.
pub(super) struct Place {
    pub(super) until: Instant,
    places: Arc<AtomicUsize>,
}

impl Place {
    /// One of so many places, for so long; nothing if all are taken.
    pub(super) fn take(
        places: &Arc<AtomicUsize>,
        most: usize,
        now: Instant,
        at_most: Duration,
    ) -> Option<Self> {
        if places.fetch_add(1, Relaxed) >= most {
            places.fetch_sub(1, Relaxed);
            return None;
        }
        // a time too far away to count: a year
        let until = now
            .checked_add(at_most)
            .unwrap_or(now + Duration::from_secs(365 * 24 * 60 * 60));
        let places = Arc::clone(places);
        Some(Self { until, places })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.fetch_sub(1, Relaxed);
    }
}

fn soon(pause: Duration, until: Instant) -> Instant {
    Instant::now()
        .checked_add(pause)
        .map_or(until, |at| at.min(until))
}

impl<C: Future<Output = Result<(), StoreError>> + Unpin> Future for Wait<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(told) = this.told {
            match Pin::new(told).poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(()),
                Poll::Ready(Err(error)) => {
                    tracing::debug!(target: "tollgate::idempotency", error = %Causes(&error), "the store does not tell: asking");
                    *this.told = None;
                    this.sleep.as_mut().reset(soon(*this.look_again, *this.until));
                }
                Poll::Pending => {}
            }
        }
        this.sleep.poll(cx)
    }
}
