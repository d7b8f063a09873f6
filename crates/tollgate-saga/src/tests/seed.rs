//! What the Python original got wrong, one by one, by the number of the demonstration (`seed_values.rs` has the rest).

use super::{Fault, LEASE, Shop, World, alone, checkout, engine, settle, shared};
use crate::{Definition, DefinitionError, Effected, Policy, Settled, StartError, StepContext, Undone, step};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_core::store::memory::MemorySaga;
use tollgate_core::store::saga::SagaJournal;
use tollgate_core::{PaymentError, Timestamp};

/// S1: a caller that hung up killed the saga between two steps, and nothing was undone.
#[tokio::test(start_paused = true)]
async fn s1_a_caller_that_hangs_up_stops_nothing() {
    for patience in 0..30 {
        let shop = Shop::new(true);
        shop.world.always_fails("ship", Fault::Refuses);
        let caller = tokio::spawn({
            let (sagas, checkout) = (shop.sagas.clone(), shop.checkout.clone());
            async move { settle(&sagas, &checkout).await }
        });
        for _ in 0..patience {
            tokio::task::yield_now().await;
        }
        caller.abort();
        let _ = caller.await;
        let drained = shop.sagas.shutdown(Duration::from_secs(60)).await;
        assert_eq!(drained.running, 0);
        assert_eq!(
            shop.world.count("reserve"),
            shop.world.count("release"),
            "hung up after {patience} turns"
        );
        assert_eq!(
            shop.world.count("capture"),
            shop.world.count("refund"),
            "hung up after {patience} turns"
        );
    }
}

/// S2: a step that raised after its effect was never undone (`auth: 1, void: 0`), and the saga ended "compensated".
#[tokio::test(start_paused = true)]
async fn s2_a_lost_answer_is_not_an_absent_effect() {
    for probes in [true, false] {
        let shop = Shop::new(probes);
        shop.world
            .always_fails("authorize", Fault::AnswerLost)
            .always_fails("capture", Fault::Refuses);
        let (_, settled) = shop.settle().await;
        assert!(matches!(settled, Settled::Compensated(_)), "{settled:?}");
        assert_eq!((shop.world.count("authorize"), shop.world.count("void")), (1, 1));
    }
}

/// S3: three tries after 2, 4 and 6 seconds for everybody, and a sleep after the last that nobody needed.
#[tokio::test(start_paused = true)]
async fn s3_compensations_are_patient_jittered_and_stop_when_they_stop() {
    let mut waited = BTreeSet::new();
    for _ in 0..8 {
        let shop = Shop::new(false);
        shop.world
            .always_fails("authorize", Fault::Refuses)
            .fails("release", Fault::NotSent, 11);
        let began = tokio::time::Instant::now();
        let (_, settled) = shop.settle().await;
        assert!(matches!(settled, Settled::Compensated(_)), "{settled:?}");
        assert_eq!(shop.world.asked("release"), 12);
        waited.insert(began.elapsed());
    }
    assert_eq!(waited.len(), 8, "no two sagas wait in step");
    let undo = Policy::undo();
    let first: Vec<Timestamp> = (1..=12)
        .map(|tries| undo.next_try(tries, None, 7, Timestamp::EPOCH))
        .collect();
    assert!(
        first
            .iter()
            .all(|at| at.since(Timestamp::EPOCH) <= undo.max_backoff)
    );
}

/// S3b: `compensation_retries=0` never compensated and said nothing.
#[tokio::test(start_paused = true)]
async fn s3b_no_budget_means_one_attempt() {
    let (clock, journal) = shared();
    let undone = Arc::new(AtomicU32::new(0));
    type Cx = StepContext<Arc<AtomicU32>>;
    let none = Policy::default().attempts(0);
    let definition = Definition::new("none", 1, Arc::clone(&undone), |mut flow, order| {
        let first = step("first", |_: Cx, order: u64| async move {
            Ok::<_, PaymentError>(order)
        })
        .undo(|cx: Cx, _, _| async move {
            cx.deps().fetch_add(1, SeqCst);
            Ok::<_, PaymentError>(Undone::Reverted)
        })
        .policy(none)
        .undo_policy(none);
        let first = flow.step(first, order);
        let no = step("no", |_: Cx, _: u64| async {
            Err::<u64, _>(PaymentError::declined("no", "05"))
        });
        let (out, flow) = flow.pivot(no, first);
        flow.finish(out)
    })
    .unwrap();
    let settled = alone(&definition, journal, clock).await;
    assert!(matches!(settled, Settled::Compensated(_)));
    assert_eq!(undone.load(SeqCst), 1);
}

/// S4: two steps with one name, and the result of one was written to the other.
#[test]
fn s4_names_are_unique() {
    async fn same(_: StepContext<()>, order: u64) -> Result<u64, PaymentError> {
        Ok(order)
    }
    let twice = Definition::new("twice", 1, (), |mut flow, order| {
        let out = flow.step(step("same", same).without_effect(), order);
        let (out, flow) = flow.pivot(step("same", same), out);
        flow.finish(out)
    });
    let (saga, step) = ("twice".to_owned(), "same".to_owned());
    assert_eq!(twice.unwrap_err(), DefinitionError::DuplicateStep { saga, step });
}

/// S5: nothing was recorded when a step began, so nobody could know what was on its way.
#[tokio::test(start_paused = true)]
async fn s5_the_intent_is_written_before_the_effect() {
    struct Deps {
        journal: MemorySaga,
        seen: Mutex<Vec<(&'static str, String)>>,
    }
    type Cx = StepContext<Arc<Deps>>;
    /// What the journal's last record is while the step runs.
    async fn look(cx: &Cx) {
        let records = cx.deps().journal.load(cx.saga()).await.unwrap().unwrap().records;
        let last = String::from_utf8(records.last().unwrap().to_vec()).unwrap();
        cx.deps().seen.lock().unwrap().push((cx.step(), last));
    }
    let (clock, journal) = shared();
    let deps = Arc::new(Deps {
        journal: journal.clone(),
        seen: Mutex::default(),
    });
    let definition = Definition::new("look", 1, Arc::clone(&deps), |mut flow, order| {
        let first = step("first", |cx: Cx, order: u64| async move {
            look(&cx).await;
            Ok::<_, PaymentError>(order)
        })
        .undo(|cx: Cx, _, _| async move {
            look(&cx).await;
            Ok::<_, PaymentError>(Undone::Reverted)
        });
        let first = flow.step(first, order);
        let second = step("second", |cx: Cx, _: u64| async move {
            look(&cx).await;
            Err::<u64, _>(PaymentError::declined("no", "05"))
        });
        let (out, flow) = flow.pivot(second, first);
        flow.finish(out)
    })
    .unwrap();
    let _ = alone(&definition, journal, clock).await;
    let seen = deps.seen.lock().unwrap();
    let expected = [
        ("first", 0, "forward"),
        ("second", 1, "forward"),
        ("first", 0, "undo"),
    ];
    assert_eq!(seen.len(), expected.len());
    for ((name, last), (step, at, direction)) in seen.iter().zip(expected) {
        assert_eq!(*name, step);
        let wanted = format!(r#"{{"kind":"intended","step":{at},"direction":"{direction}""#);
        assert!(last.starts_with(&wanted), "{last}");
    }
}

/// S6: with the log down the saga went on and moved money without any record. S5b: there was no way to go on later.
#[tokio::test(start_paused = true)]
async fn s6_no_journal_no_effect() {
    let (clock, journal) = shared();
    let world = World::new();
    let checkout = checkout(&world, 1, true);
    let dead = super::crash::dead(&journal, 0);
    let sagas = engine(dead, &checkout, clock.clone());
    let refused = sagas.start(&checkout, "order-1", &7).await.unwrap_err();
    assert!(matches!(refused, StartError::Journal(_)), "{refused:?}");
    assert_eq!(world.asked("reserve"), 0);

    // down after the first step: its result cannot be written, so the second is not begun
    let sagas = engine(super::crash::dead(&journal, 1), &checkout, clock.clone());
    let run = sagas.start(&checkout, "order-2", &7).await.unwrap();
    tokio::time::sleep(LEASE * 3).await;
    assert_eq!((world.asked("reserve"), world.asked("authorize")), (1, 0));
    assert_eq!(sagas.running(), 0, "it has let go");

    // S5b: and another engine goes on
    let next = engine(journal, &checkout, clock);
    assert_eq!(next.recover().await.unwrap().resumed, [run.id()]);
    tokio::time::sleep(LEASE).await;
    assert_eq!((world.count("reserve"), world.count("ship")), (1, 1));
}

/// S8: one saga object with one id ran twice.
#[tokio::test(start_paused = true)]
async fn s8_one_key_is_one_saga() {
    let shop = Shop::new(true);
    let (first, second) = (shop.settle().await, shop.settle().await);
    assert_eq!(first, second);
    assert_eq!(shop.world.asked("capture"), 1);
}

/// S9: an action that was not async ran, and was then reported as failed. Here it does not compile; what is left of the trap is code that
/// panics before it gives its future, and that is a doubt, not a failure.
#[tokio::test(start_paused = true)]
async fn s9_a_panic_before_the_first_await_is_a_doubt() {
    let (clock, journal) = shared();
    let definition = Definition::new("panics", 1, (), |mut flow, input| {
        let undo = |_: StepContext<()>, _: u64, effect: Effected<u64>| async move {
            assert_eq!(effect, Effected::InDoubt);
            Ok::<_, PaymentError>(Undone::NothingThere)
        };
        let run = |cx: StepContext<()>, input: u64| {
            let _key = cx.key("peer");
            assert!(input > 1, "not this one");
            async move { Ok::<_, PaymentError>(input) }
        };
        let out = flow.step(step("panics", run).undo(undo), input);
        flow.finish(out)
    })
    .unwrap();
    let settled = alone(&definition, journal, clock).await;
    assert!(
        matches!(&settled, Settled::Compensated(cause) if cause.why == "it panicked"),
        "{settled:?}"
    );
}

/// S10: a completed step without a compensation, and the saga still called itself compensated. Such a step does not compile before the pivot
/// (see `Flow::step`); one that says it has no effect is nothing to undo.
#[tokio::test(start_paused = true)]
async fn s10_what_cannot_be_undone_is_never_called_compensated() {
    let (clock, journal) = shared();
    let definition = Definition::new("check", 1, (), |mut flow, input| {
        let check = step("check", |_: StepContext<()>, input: u64| async move {
            Ok::<_, PaymentError>(input)
        });
        let checked = flow.step(check.without_effect(), input);
        let (out, mut flow) = flow.pivot(
            step("pay", |_: StepContext<()>, input: u64| async move {
                Ok::<_, PaymentError>(input)
            }),
            checked,
        );
        // behind the pivot there is no refusal: a person has to look
        let no = step("tell", |_: StepContext<()>, _: u64| async {
            Err::<(), _>(PaymentError::declined("no", "05"))
        });
        let _ = flow.retriable(no, out);
        flow.finish(out)
    })
    .unwrap();
    let settled = alone(&definition, journal, clock).await;
    assert!(
        matches!(&settled, Settled::Parked(cases) if cases[0].step == "tell"),
        "{settled:?}"
    );
}

/// S11: a compensation that hung, hung for ever.
#[tokio::test(start_paused = true)]
async fn s11_what_hangs_has_an_end() {
    let shop = Shop::new(false);
    shop.world
        .always_fails("authorize", Fault::HangsAfter)
        .always_fails("release", Fault::HangsBefore);
    let (_, settled) = shop.settle().await;
    assert!(
        matches!(&settled, Settled::Parked(cases) if cases[0].step == "reserve"),
        "{settled:?}"
    );
    assert_eq!(shop.world.count("void"), 1);
}
