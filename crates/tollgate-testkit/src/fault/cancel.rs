//! Drops a future between two of its steps.

use std::future::{Future, poll_fn};
use std::task::Poll;

/// More steps than this are a future that never ends.
const MOST: usize = 100_000;

/// Polls a future up to `polls` times, as it asks to be, and then drops it. Its output, if it came that far. With 0 it is dropped
/// before it did anything.
///
/// ```
/// use tollgate_testkit::fault::cancel_after;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// async fn two_steps() -> u8 {
///     tokio::task::yield_now().await;
///     7
/// }
/// assert_eq!(cancel_after(1, two_steps()).await, None); // it stands at its await
/// assert_eq!(cancel_after(2, two_steps()).await, Some(7));
/// # }
/// ```
pub async fn cancel_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    poll_fn(move |cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // the next poll would only find out that there is none left, and might wait long for it
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Starts a future again and again and drops it one poll later each time, until it completes; after each drop it calls `check` with
/// the number of polls there were. Returns the output of the run that completed, and how many were dropped.
///
/// `start` makes the world anew for each run, `check` looks at what the dropped run left behind: the ledger, the records, the
/// readiness of a retry.
///
/// ```
/// use std::cell::Cell;
/// use tollgate_testkit::fault::cancel_at_each_await;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let steps = Cell::new(0);
/// let run = || async {
///     steps.set(1);
///     tokio::task::yield_now().await;
///     steps.set(2);
/// };
/// let ((), dropped) = cancel_at_each_await(run, async |polls| assert_eq!(steps.get(), polls.min(1))).await;
/// assert_eq!((dropped, steps.get()), (2, 2)); // before the first step, and at the await
/// # }
/// ```
///
/// # Panics
/// When the future does not complete within 100,000 polls.
pub async fn cancel_at_each_await<F: Future>(
    mut start: impl FnMut() -> F,
    mut check: impl AsyncFnMut(usize),
) -> (F::Output, usize) {
    for polls in 0..MOST {
        match cancel_after(polls, start()).await {
            Some(output) => return (output, polls),
            None => check(polls).await,
        }
    }
    panic!("the future did not complete within {MOST} polls");
}
