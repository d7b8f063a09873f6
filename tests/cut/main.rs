//! Cut everywhere: a whole stack under the idempotency layer whose call is dropped after any number of polls, aborted at any step,
//! whose service panics at any poll, or whose runtime ends. Then the same key is tried again until there is an answer for good.
//!
//! After each cut there is at most one charge; a caller that goes away leaves no doubt behind at all; what a panic or a runtime's end
//! leaves in doubt is listed, and one look at the gateway ends it.
//!
//! | file | cuts |
//! |---|---|
//! | [`typed`] | typed calls through `PaymentStack`: the first one, one that is repeated inside, a replay, a waiter |
//! | [`http`] | HTTP requests whose bodies come piece by piece |
//! | [`process`] | tasks that are aborted, runtimes that end |
//! | [`stepping`] | the service behind: it takes its time, and panics where it is told to |
//!
//! `tests/interleavings` takes the layer apart into every order of two callers' steps; here the stack is whole.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod http;
mod process;
mod stepping;
mod typed;

use std::time::Duration;
use tokio::task::JoinHandle;
use tollgate_testkit::fault::cancel_after;

pub(crate) const LEASE: Duration = Duration::from_secs(60);

/// More steps than a call has.
const MOST: usize = 500;

/// Starts a call in a new world again and again, drops it one poll later each time, and checks what it leaves behind. At how many
/// places it was dropped.
async fn every_cut<W: Clone, F: Future>(
    world: impl Fn() -> W,
    call: impl Fn(W) -> F,
    mut check: impl AsyncFnMut(W, usize),
) -> usize {
    for polls in 0..MOST {
        let world = world();
        let output = cancel_after(polls, call(world.clone())).await;
        check(world, polls).await;
        if output.is_some() {
            return polls;
        }
    }
    panic!("a call that never ends");
}

/// Starts a call in a new world again and again, with a panic one poll later each time, and checks what it leaves behind. How many
/// panics there were.
async fn every_panic<W: Clone, T>(
    world: impl Fn() -> W,
    call: impl Fn(W, usize) -> JoinHandle<T>,
    calm_down: impl Fn(&W) -> bool,
    mut check: impl AsyncFnMut(W, usize),
) -> usize {
    for poll in 0..MOST {
        let world = world();
        let _answered_or_panicked = call(world.clone(), poll).await;
        let panicked = calm_down(&world);
        check(world, poll).await;
        if !panicked {
            return poll;
        }
    }
    panic!("a call that never ends");
}
