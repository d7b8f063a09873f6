//! A violated property fails its test, unless the machine was so late that it proves nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tollgate_core::store::memory::MemoryDedup;
use tollgate_testkit::conformance::{Subject, prove};

const UNIT: Duration = Duration::from_millis(200);

async fn real() -> Subject<MemoryDedup> {
    Subject::real(MemoryDedup::new(), UNIT)
}

async fn manual() -> Subject<MemoryDedup> {
    Subject::manual(|clock| MemoryDedup::with(100, clock))
}

/// The units of all tries of a property whose store takes this long for its one answer, before and after a wait, and that holds from this
/// unit on; and whether it passed.
async fn tries(
    make: impl AsyncFn() -> Subject<MemoryDedup>,
    takes: Duration,
    holds_from: Duration,
) -> (Vec<Duration>, bool) {
    let seen = RefCell::new(Vec::new());
    let proving = prove(make, async |subject: &Subject<MemoryDedup>| {
        seen.borrow_mut().push(subject.unit());
        subject.pass(3).await;
        tokio::time::sleep(takes).await;
        assert!(subject.unit() >= holds_from);
    });
    let ended = passes(proving).await;
    (seen.into_inner(), ended)
}

/// Whether it ended without a panic.
async fn passes(future: impl Future<Output = ()>) -> bool {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(
        |cx| match std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(|()| true),
            Err(_) => std::task::Poll::Ready(false),
        },
    )
    .await
}

#[tokio::test(start_paused = true)]
async fn a_violation_in_good_time_stands() {
    assert_eq!(tries(real, UNIT / 8, UNIT * 2).await, (vec![UNIT], false));
    assert_eq!(tries(real, UNIT / 8, UNIT).await, (vec![UNIT], true));
}

#[tokio::test(start_paused = true)]
async fn a_late_machine_gets_more_time() {
    assert_eq!(
        tries(real, UNIT / 2, UNIT * 2).await,
        (vec![UNIT, UNIT * 4], true)
    );
    assert_eq!(
        tries(real, UNIT / 2, UNIT).await,
        (vec![UNIT], true),
        "it held all the same"
    );
}

#[tokio::test(start_paused = true)]
async fn the_last_try_stands_in_any_case() {
    let (units, passed) = tries(real, UNIT * 100, UNIT * 100).await;
    assert_eq!((units, passed), (vec![UNIT, UNIT * 4, UNIT * 16], false));
}

/// Nothing is late by a clock that the property moves.
#[tokio::test(start_paused = true)]
async fn a_manual_clock_is_never_late() {
    let (units, passed) = tries(manual, UNIT * 1000, Duration::MAX).await;
    assert_eq!((units.len(), passed), (1, false));
}
