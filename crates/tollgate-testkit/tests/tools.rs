//! Faults happen where they are planned, cancellation reaches every await, probes see misuse, the clock follows the runtime.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::future::poll_fn;
use std::time::Duration;
use tokio::time::timeout;
use tollgate_core::gateway::{Call, LookupPayment};
use tollgate_core::id::MerchantReference;
use tollgate_core::store::audit::AuditStore;
use tollgate_core::store::memory::MemoryAudit;
use tollgate_core::{Clock, Timestamp};
use tollgate_testkit::RuntimeClock;
use tollgate_testkit::fault::{Fault, Faulty, When, cancel_after, cancel_at_each_await};
use tollgate_testkit::gateway::{Mishap, MockGateway};
use tollgate_testkit::probe::{Gate, Probe};
use tower_service::Service;

fn look_up() -> Call<LookupPayment> {
    Call::new(LookupPayment::ByReference(
        MerchantReference::new("order-1").unwrap(),
    ))
}

/// The k-th operation fails, at the moment that was planned, with an error that says as much as it can know; all others work.
#[tokio::test]
async fn a_planned_fault_happens_once_and_tells_the_truth() {
    for (when, written, in_doubt) in [
        (When::Before, 3, false),
        (When::BeforeInDoubt, 3, true),
        (When::After, 4, true),
    ] {
        for place in 0..4 {
            let store = Faulty::new(MemoryAudit::new()).failing(place, when);
            for number in 0..4 {
                let answer = store.append("c", b"entry"[..].into()).await;
                match answer {
                    Ok(_) => assert_ne!(number, place),
                    Err(error) => assert_eq!((number, error.may_have_happened()), (place, in_doubt)),
                }
            }
            assert_eq!(
                store.inner().head("c").await.unwrap().seq,
                written,
                "{when:?} at {place}"
            );
            assert_eq!(store.operations(), 4);
        }
    }
}

#[tokio::test]
async fn an_outage_lasts_until_it_ends() {
    let store = Faulty::new(MemoryAudit::new());
    store.outage(When::Before);
    for _ in 0..3 {
        assert!(store.head("c").await.is_err());
    }
    store.clone().outage(None);
    assert!(store.head("c").await.is_ok());
}

/// What each fault says of itself: whether it took effect, by when, and what the caller hears, by when.
#[tokio::test(start_paused = true)]
async fn each_fault_does_as_it_says() {
    const SOON: Duration = Duration::from_secs(1);
    const LATE: Duration = Duration::from_secs(10);
    /// Whether it is in effect at once, and at last; what is heard: nothing, an answer, or an error that is in doubt or not.
    type Case = (Fault, (bool, bool), Option<Result<(), bool>>);
    let faults: [Case; 7] = [
        (Fault::NONE, (true, true), Some(Ok(()))),
        (When::Before.into(), (false, false), Some(Err(false))),
        (When::BeforeInDoubt.into(), (false, false), Some(Err(true))),
        (When::After.into(), (true, true), Some(Err(true))),
        (Fault::queue(SOON), (false, true), Some(Ok(()))),
        (Fault::stray(LATE), (false, true), Some(Err(true))),
        (Fault::SILENCE, (false, false), None),
    ];
    for (fault, (at_once, at_last), heard) in faults {
        for takes in [Duration::ZERO, SOON] {
            let store = Faulty::new(MemoryAudit::new()).failing_at("append", [fault.heard_after(takes)]);
            let is_written = async || store.inner().head("c").await.unwrap().seq == 1;
            let mut answer = store.append("c", b"entry"[..].into());
            let early = timeout(SOON / 2, &mut answer).await.ok();
            assert_eq!(is_written().await, at_once, "{fault:?}");
            assert!(takes.is_zero() || early.is_none(), "{fault:?}: heard too early");
            let answer = match early {
                Some(answer) => Some(answer),
                None => timeout(LATE / 2, answer).await.ok(),
            };
            let answer = answer.map(|answer| answer.map(drop).map_err(|error| error.may_have_happened()));
            assert_eq!(answer, heard, "{fault:?}");
            tokio::time::sleep(LATE * 2).await;
            assert_eq!(is_written().await, at_last, "{fault:?}");
        }
    }
}

/// Who goes away in time has done nothing while it stood in the queue, and everything when the question was on its way.
#[tokio::test(start_paused = true)]
async fn what_is_dropped_early_may_have_happened_or_not() {
    let (soon, late) = (Duration::from_secs(1), Duration::from_secs(10));
    for (fault, written) in [
        (Fault::queue(late), 0),
        (Fault::NONE.heard_after(late), 1),
        (Fault::stray(late).heard_after(late), 1),
    ] {
        let store = Faulty::new(MemoryAudit::new()).failing_at("append", [fault]);
        assert!(
            timeout(soon, store.append("c", b"entry"[..].into()))
                .await
                .is_err()
        );
        tokio::time::sleep(late * 2).await;
        assert_eq!(store.inner().head("c").await.unwrap().seq, written, "{fault:?}");
    }
}

#[tokio::test]
#[should_panic(expected = "planned")]
async fn a_planned_panic_is_the_stores() {
    let store = Faulty::new(MemoryAudit::new()).failing_at("head", [Fault::PANIC]);
    drop(store.head("c").await);
}

/// By name: one after the other, endlessly if so planned, and behind what is planned by number.
#[tokio::test]
async fn faults_of_a_name_queue_up() {
    let store = Faulty::new(MemoryAudit::new())
        .failing_at("append", [Fault::NONE, When::After.into()])
        .failing_at("append", std::iter::repeat(When::Before))
        .failing(3, When::BeforeInDoubt); // 0 is the look at the head
    assert!(store.head("c").await.is_ok());
    let mut told = Vec::new();
    for _ in 0..5 {
        let appended = store.append("c", b"entry"[..].into()).await;
        told.push(appended.err().map(|error| error.may_have_happened()));
    }
    assert_eq!(told, [None, Some(true), Some(true), Some(false), Some(false)]);
    assert_eq!(store.inner().head("c").await.unwrap().seq, 2);
    assert_eq!((store.operations_of("append"), store.operations()), (5, 6));
}

/// A name that nothing answers to would make a test that tests nothing.
#[test]
#[should_panic(expected = "no port has an operation `setle`")]
fn a_misspelt_operation_is_refused() {
    drop(Faulty::new(MemoryAudit::new()).failing_at("setle", [When::After]));
}

/// Every prefix of a future's steps is left behind once, from nothing at all to all but its end.
#[tokio::test(start_paused = true)]
async fn cancellation_reaches_every_await() {
    let steps = RefCell::new(Vec::new());
    let seen = RefCell::new(Vec::new());
    let run = || {
        steps.borrow_mut().clear();
        async {
            for step in 0..4 {
                steps.borrow_mut().push(step);
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            "done"
        }
    };
    let (output, dropped) = cancel_at_each_await(run, async |polls| {
        assert_eq!(steps.borrow().len(), polls, "each poll goes on to the next await");
        seen.borrow_mut().push(polls);
    })
    .await;
    assert_eq!(
        (output, dropped, seen.into_inner()),
        ("done", 5, vec![0, 1, 2, 3, 4])
    );
    assert_eq!(
        cancel_after(0, async { panic!("it was polled") }).await,
        None::<()>
    );
}

/// A future that waits for ever is dropped when its polls are used up, not waited for.
#[tokio::test]
async fn cancellation_does_not_wait_for_a_wake_that_never_comes() {
    assert_eq!(cancel_after(1, std::future::pending::<()>()).await, None);
}

/// The defect of several published layers: one instance is made ready, its fresh clone is called.
#[tokio::test]
async fn a_probe_sees_a_clone_that_is_called_in_place_of_the_ready_one() {
    let mut service = Probe::new(MockGateway::new());
    let seen = service.observed();
    poll_fn(|cx| Service::<Call<LookupPayment>>::poll_ready(&mut service, cx))
        .await
        .unwrap();
    let mut clone = service.clone();
    clone.call(look_up()).await.unwrap();
    assert_eq!(
        (seen.calls(), seen.calls_while_unready(), seen.ready_but_unused()),
        (1, 1, 0)
    );
    drop(service);
    assert_eq!(seen.ready_but_unused(), 1);

    // the right way: the readied one is called, the clone stays behind
    poll_fn(|cx| Service::<Call<LookupPayment>>::poll_ready(&mut clone, cx))
        .await
        .unwrap();
    let rest = clone.clone();
    let mut ready = std::mem::replace(&mut clone, rest);
    ready.call(look_up()).await.unwrap();
    drop((ready, clone));
    assert_eq!(
        (seen.calls(), seen.calls_while_unready(), seen.ready_but_unused()),
        (2, 1, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_tells_answered_calls_from_dropped_ones() {
    let gateway = MockGateway::new();
    gateway.otherwise(Mishap::Slow(Duration::from_secs(10)));
    let mut service = Probe::new(gateway);
    let seen = service.observed();
    let (first, second) = (service.call(look_up()), service.call(look_up()));
    assert_eq!((seen.in_flight(), seen.most_in_flight()), (2, 2));
    first.await.unwrap();
    assert!(timeout(Duration::from_secs(1), second).await.is_err());
    assert_eq!(
        (
            seen.completed(),
            seen.cancelled(),
            seen.in_flight(),
            seen.most_in_flight()
        ),
        (1, 1, 0, 2)
    );
}

#[tokio::test]
async fn a_gate_holds_and_lets_through() {
    let (mut service, gate) = Gate::closed(MockGateway::new());
    let waits = cancel_after(
        1,
        poll_fn(|cx| Service::<Call<LookupPayment>>::poll_ready(&mut service, cx)),
    )
    .await;
    assert!(waits.is_none());
    let mut waiter = service.clone();
    let waiting = tokio::spawn(async move {
        poll_fn(|cx| Service::<Call<LookupPayment>>::poll_ready(&mut waiter, cx))
            .await
            .unwrap();
        waiter.call(look_up()).await.unwrap();
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    gate.open();
    waiting.await.unwrap();
    gate.close();
    let waits = cancel_after(
        1,
        poll_fn(|cx| Service::<Call<LookupPayment>>::poll_ready(&mut service, cx)),
    )
    .await;
    assert!(waits.is_none());
}

/// Paused time moves it, and it shows the same time on a thread that knows nothing of the runtime.
#[tokio::test(start_paused = true)]
async fn the_clock_follows_paused_time_on_every_thread() {
    let clock = RuntimeClock::at(Timestamp::from_unix_seconds(1_000));
    tokio::time::advance(Duration::from_secs(3_600)).await;
    let elsewhere = clock.clone();
    let seen = std::thread::spawn(move || elsewhere.now()).join().unwrap();
    assert_eq!((clock.now().unix_seconds(), seen.unix_seconds()), (4_600, 4_600));
}

/// For stores whose time is their server's, properties wait in real time.
#[test]
fn a_subject_can_wait_in_real_time() {
    use tollgate_core::store::memory::MemoryDedup;
    use tollgate_testkit::conformance::{Subject, dedup, run};
    run(async {
        let subject = Subject::real(MemoryDedup::new(), Duration::from_millis(100));
        dedup::an_event_is_not_lost_when_its_process_dies(&subject).await;
    });
}
