//! Where steps run: on the runtime of those who wait for them, and nowhere else.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap()
}

#[test]
fn a_runtime_that_ends_leaves_doubt_and_no_stuck_queue() {
    let (gates, first, second) = (Gates::default(), runtime(), runtime());
    let together = Together::new(gates.clone(), LIMITS);
    let mut alone = together.ask(1);
    let mut beside = together.ask(2);
    first.block_on(async {
        assert!(poll(&mut alone).is_pending());
        assert!(poll(&mut beside).is_pending());
    });
    let waits = second.spawn(together.ask(3));
    second.block_on(settle());
    drop(first);
    drop(alone); // what waits there is to run on a runtime that has ended
    let Poll::Ready(told) = poll(&mut beside) else {
        panic!("never told")
    };
    assert!(told.unwrap_err().may_have_happened());
    // and who waits elsewhere is none the worse
    second.block_on(settle());
    gates.0.lock().unwrap().pop().unwrap().end.send(End::Answer).ok();
    assert_eq!(second.block_on(waits).unwrap().unwrap(), 1003);
    second.block_on(settle());
    assert!(quiet(&together));
}

#[test]
fn who_asks_without_a_runtime_takes_no_turn() {
    let together = Together::new(Gates::default(), LIMITS);
    let asked = || drop(poll(&mut together.ask(1)));
    assert!(catch_unwind(AssertUnwindSafe(asked)).is_err());
    assert!(quiet(&together), "{together:?}");
}

/// Nor does who asked on one, and is polled without it when it is overdue.
#[test]
fn who_is_overdue_without_a_runtime_gets_its_batch() {
    let (gates, runtime) = (Gates::default(), runtime());
    let together = Together::new(gates.clone(), LIMITS);
    let (mut stuck, mut waits) = (together.ask(1), together.ask(2));
    runtime.block_on(async {
        assert!(poll(&mut stuck).is_pending());
        assert!(poll(&mut waits).is_pending());
        tokio::time::advance(LIMITS.patience * 2).await;
    });
    assert!(poll(&mut waits).is_pending());
    runtime.block_on(async {
        settle().await;
        assert_eq!(gates.running(), [vec![1], vec![2]]);
        gates.end(End::Answer).await;
        gates.end(End::Answer).await;
        assert_eq!((stuck.await.unwrap(), waits.await.unwrap()), (1001, 1002));
    });
    assert!(quiet(&together), "{together:?}");
}

/// A runtime that is not run for the moment holds nobody up but those who wait on it.
#[test]
fn who_waits_on_one_runtime_is_run_there() {
    let (gates, first, second) = (Gates::default(), runtime(), runtime());
    let together = Together::new(gates.clone(), LIMITS);
    let asked: Vec<_> = [(&first, 1), (&first, 2), (&second, 3), (&first, 4), (&second, 5)]
        .into_iter()
        .map(|(runtime, step)| {
            let asked = runtime.spawn(together.ask(step));
            runtime.block_on(settle());
            asked
        })
        .collect();
    first.block_on(gates.end(End::Answer));
    assert_eq!(gates.running(), [vec![2, 4]]);
    first.block_on(gates.end(End::Answer));
    // and now nobody runs the first any more
    second.block_on(settle());
    assert_eq!(gates.running(), [vec![3, 5]]);
    second.block_on(gates.end(End::Answer));
    assert_eq!(second.block_on(answers(asked)).len(), 5);
    assert!(quiet(&together));
}

/// Each turn that is passed on to a runtime that has ended comes back at once: one after the other, not one within the other.
#[test]
fn a_runtime_that_ends_under_a_long_queue() {
    let (gates, runtime) = (Gates::default(), runtime());
    let together = Together::new(gates.clone(), Limits { steps: 1, ..LIMITS });
    let mut waiting: Vec<_> = (0..50_000).map(|step| together.ask(step)).collect();
    runtime.block_on(async {
        let first = tokio::spawn(together.ask(1));
        settle().await;
        for asked in &mut waiting {
            assert!(poll(asked).is_pending());
        }
        drop(first);
    });
    drop(runtime);
    assert!(quiet(&together), "{together:?}");
    for asked in &mut waiting {
        let Poll::Ready(told) = poll(asked) else {
            panic!("never told")
        };
        assert!(told.unwrap_err().may_have_happened());
    }
}

/// Answers as soon as it was somewhere else.
struct Yields;

impl Batch for Yields {
    type Step = u32;
    type Answer = u32;

    fn run(&self, steps: Vec<u32>) -> Boxed<Vec<Result<u32, StoreError>>> {
        Box::pin(async move {
            yield_now().await;
            Ok(steps.into_iter().map(|step| Ok(step + 1000)).collect())
        })
    }

    fn size(&self, _: &u32) -> usize {
        1
    }
}

/// On real threads, of two runtimes: turns that are passed on while the last one is still being passed on.
#[test]
fn many_threads() {
    let limits = Limits {
        patience: Duration::from_secs(60),
        ..LIMITS
    };
    let together = Together::new(Yields, limits);
    let threads = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(3)
            .enable_time()
            .build()
            .unwrap()
    };
    let runtimes = [threads(), threads()];
    let asked: Vec<_> = (0..30_000)
        .map(|step| {
            (
                step,
                runtimes[usize::from(step % 5 == 0)].spawn(together.ask(step)),
            )
        })
        .collect();
    for (step, asked) in asked {
        assert_eq!(runtimes[0].block_on(asked).unwrap().unwrap(), step + 1000);
    }
    drop(runtimes); // with the last turns
    let at_rest = format!("{together:?}");
    assert!(at_rest.contains("running: 0, waiting: 0"), "{at_rest}");
}
