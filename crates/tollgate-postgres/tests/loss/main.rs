//! A connection that is lost, at every point of every operation: before a request arrives, before its answer does, by the server's
//! hand, and by the caller's own (a future dropped at each of its awaits).
//!
//! Whatever is lost, the operation happened whole or not at all; an error that says "not" is right; and whoever repeats an operation
//! because its answer was lost finds it done. The clock stands still, so that "the same state" can be asked of whole tables.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod operations;
#[path = "../support/mod.rs"]
mod support;
mod world;

use operations::Operation;
use sqlx::{Connection, Executor};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use support::block_on;
use support::proxy::{Cut, Proxy};
use tokio::sync::Mutex;
use tollgate_testkit::fault::cancel_after;
use world::World;

/// Runs every operation, in a few worlds at a time.
fn for_each_operation<F>(check: fn(Arc<Mutex<World>>, Operation) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    block_on(async {
        let left = Arc::new(std::sync::Mutex::new(operations::all()));
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let left = Arc::clone(&left);
            workers.spawn(async move {
                let world = Arc::new(Mutex::new(World::new().await));
                loop {
                    let operation = left.lock().unwrap().pop();
                    let Some(operation) = operation else { break };
                    check(Arc::clone(&world), operation).await;
                }
            });
        }
        while let Some(worked) = workers.join_next().await {
            worked.unwrap();
        }
    });
}

/// More round trips than any operation has.
const MOST: usize = 40;

async fn cut_everywhere(world: Arc<Mutex<World>>, operation: Operation) {
    cut(world, operation, false).await;
}

/// Where each step is a transaction.
async fn cut_everywhere_when_pooled(world: Arc<Mutex<World>>, operation: Operation) {
    cut(world, operation, true).await;
}

async fn cut(world: Arc<Mutex<World>>, operation: Operation, is_pooled: bool) {
    let mut world = world.lock().await;
    let reference = world.reference(&operation).await;
    let proxy = Proxy::before(world.database.port()).await;
    for place in [Cut::Request as fn(usize) -> Cut, Cut::Answer] {
        for number in 0.. {
            assert!(number < MOST, "{} never ends", operation.name);
            let what = format!("{}, cut at {:?}", operation.name, place(number));
            // a fresh store: its connection and its statements are made on the way, and may be cut off too
            proxy.cut(None);
            let (port, clock) = (proxy.port, world.clock.clone());
            let store = match is_pooled {
                true => world.database.store_pooled(port, clock).await,
                false => world.database.store_by(port, clock).await.unwrap(),
            };
            world.prepare(&operation).await;
            proxy.cut(place(number));
            let answer = operation.ask(&store).await;
            let is_cut = proxy.has_cut();
            store.close().await;
            world.assert_whole(&operation, &reference, &answer, &what).await;
            if !is_cut {
                assert_eq!(answer.unwrap(), reference.answer, "{what}");
                assert!(number > 0, "{what}: there was nothing to cut");
                break;
            }
            world.assert_repeatable(&operation, &reference, &what).await;
        }
    }
}

#[test]
fn a_connection_that_is_cut_at_any_message_leaves_no_lie() {
    for_each_operation(cut_everywhere);
}

#[test]
fn nor_does_one_that_is_cut_at_any_message_of_a_pooled_step() {
    for_each_operation(cut_everywhere_when_pooled);
}

async fn drop_everywhere(world: Arc<Mutex<World>>, operation: Operation) {
    let mut world = world.lock().await;
    let reference = world.reference(&operation).await;
    for polls in 0.. {
        assert!(polls < 1_000, "{} never ends", operation.name);
        let what = format!("{}, dropped after {polls} polls", operation.name);
        world.prepare(&operation).await;
        let done = cancel_after(polls, operation.ask(&world.store)).await;
        world.until_quiet().await;
        let state = world.state().await;
        if let Some(answer) = done {
            assert_eq!(answer.unwrap(), reference.answer, "{what}");
            assert_eq!(state, reference.after, "{what}");
            break;
        }
        assert!(
            state == reference.before || state == reference.after,
            "{what}: {state}"
        );
        // also from the very pool that the dropped step's connection came from
        world.assert_repeatable(&operation, &reference, &what).await;
    }
}

#[test]
fn a_step_that_is_dropped_at_any_await_happened_whole_or_not_at_all() {
    for_each_operation(drop_everywhere);
}

/// How many steps lost their connection to the server's hand.
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// The server ends connections while steps run on them (an administrator's `pg_terminate_backend`, a fast shutdown).
async fn terminate(world: Arc<Mutex<World>>, operation: Operation) {
    let mut world = world.lock().await;
    let reference = world.reference(&operation).await;
    let mut killer = world.database.connection().await;
    for round in 0..6u64 {
        let what = format!("{}, terminated in round {round}", operation.name);
        world.prepare(&operation).await;
        // a store of its own: its idle connections may be hit too
        let (port, clock) = (world.database.port(), world.clock.clone());
        let store = world.database.store_by(port, clock).await.unwrap();
        let (answer, _) = tokio::join!(operation.ask(&store), async {
            tokio::time::sleep(Duration::from_micros(round * 300)).await;
            killer
                .execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() \
                     and state <> 'idle' and query like '%tollgate.%' and query not like '%pg_terminate%'",
                )
                .await
                .unwrap()
        });
        ENDED.fetch_add(usize::from(answer.is_err()), SeqCst);
        world.until_quiet().await;
        world.assert_whole(&operation, &reference, &answer, &what).await;
        world.assert_repeatable(&operation, &reference, &what).await;
    }
    killer.close().await.unwrap();
}

#[test]
fn a_connection_that_the_server_ends_leaves_no_lie() {
    // where the blow falls is up to the machine: once more, should it never have met a step
    for _ in 0..10 {
        for_each_operation(terminate);
        if ENDED.load(SeqCst) > 0 {
            return;
        }
    }
    panic!("no step was hit");
}
