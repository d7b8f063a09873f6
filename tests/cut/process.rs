//! A task that is aborted, and a runtime that ends, at every step. What a runtime takes with it is a process that dies, seen from the
//! store: nothing of the layer runs any more, not even its destructors' tasks.

use super::typed::{Meets, Shop, every_case};
use tokio::runtime::Runtime;

/// More steps than a call has.
const MOST: usize = 500;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Goes through every step at which `cut` is done to the task of a call; `doubts` says whether that may leave a doubt.
fn every_step(doubts: bool, cut: impl Fn(Runtime, tokio::task::JoinHandle<super::typed::Answer>) -> Runtime) {
    for (arm, meets) in every_case() {
        for step in 0.. {
            assert!(step < MOST, "a call that never ends");
            let shop = Shop::new(arm);
            let first = runtime();
            let task = first.spawn(shop.clone().call(meets));
            let done = first.block_on(async {
                for _ in 0..step {
                    tokio::task::yield_now().await;
                    if meets == Meets::ALostAnswer || meets == Meets::ARunningCall {
                        // who sleeps between attempts or looks goes on
                        tokio::time::advance(std::time::Duration::from_millis(20)).await;
                    }
                }
                task.is_finished()
            });
            let next = cut(first, task);
            next.block_on(shop.ends(doubts, &format!("{arm:?}, {meets:?}, cut at step {step}")));
            if done {
                break;
            }
        }
    }
}

/// Aborted while the runtime lives: as a caller that hangs up.
#[test]
fn aborted_at_every_step() {
    every_step(false, |runtime, task| {
        task.abort();
        runtime
    });
}

/// The runtime ends: what was armed stays armed, and is known to be unknown once its lease has lapsed.
#[test]
fn a_runtime_that_ends_at_every_step() {
    every_step(true, |first, task| {
        drop(task);
        drop(first);
        runtime()
    });
}
