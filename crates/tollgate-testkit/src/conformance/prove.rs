//! From a property to a verdict: a machine that is late proves nothing.

use super::Subject;
use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::task::Poll;

/// How many times its unit a subject gets, one try after the other. The last one's verdict stands in any case.
const TRIES: [u32; 3] = [1, 4, 16];

/// Tries a property on a store that `make` makes anew for each try. What the macros of this module expand to.
///
/// A [`Subject::real`] shares its time with everything else that the machine does. When the property is violated, and answers took so
/// long that leases may have lapsed behind its back, that proves nothing: it is tried again, with a unit four and then sixteen times as
/// long. A violation in good time, and one by a [`Subject::manual`], stands at once.
///
/// ```
/// use tollgate_core::store::memory::MemoryDedup;
/// use tollgate_testkit::conformance::{Subject, dedup, prove, run};
///
/// run(prove(
///     async || Subject::manual(|clock| MemoryDedup::with(1_000, clock)),
///     dedup::a_new_event_is_claimed,
/// ));
/// ```
///
/// # Panics
/// If the property is violated.
pub async fn prove<S>(make: impl AsyncFn() -> Subject<S>, property: impl AsyncFn(&Subject<S>))
where
    S: Send + Sync + 'static,
{
    let mut tries = TRIES.iter().peekable();
    while let Some(&times) = tries.next() {
        let subject = make().await.begun(times);
        let Err(violated) = caught(property(&subject)).await else {
            return;
        };
        match subject.late() {
            Some(late) if tries.peek().is_some() => {
                #[allow(
                    clippy::print_stderr,
                    reason = "whoever reads the test's output should know why it took so long"
                )]
                {
                    eprintln!(
                        "the machine was {late:?} late, which proves nothing: once more, with more time"
                    );
                }
            }
            _ => resume_unwind(violated),
        }
    }
}

/// The future's output, or what it panicked with.
async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}

/// Runs a property to its end on a runtime of its own with several threads, so that what races really does.
///
/// # Panics
/// If the property is violated, or no runtime can be made.
pub fn run(property: impl Future<Output = ()>) {
    match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(property),
        Err(error) => panic!("cannot start a runtime: {error}"),
    }
}
