use super::state::{Machine, Outcome};
use super::*;
use crate::Gateway;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tollgate_core::{PaymentError, Verdict};
use tower::{Layer, ServiceExt, service_fn};

const S: Duration = Duration::from_secs(1);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn end(machine: &mut Machine, outcome: Outcome, at: Duration) {
    let ticket = machine.admit(at).unwrap();
    machine.record(ticket, outcome, Duration::ZERO, at, 0, None);
}

fn opened(config: BreakerConfig) -> Machine {
    let mut machine = Machine::new(config.consecutive_failures(1));
    end(&mut machine, Outcome::Failure, Duration::ZERO);
    assert_eq!(machine.phase(), Phase::Open);
    machine
}

/// tower-resilience 5.1a: its count window never slides, so a million good calls hide an outage.
#[test]
fn a_long_good_past_does_not_hide_an_outage() {
    let mut machine = Machine::new(BreakerConfig::default().consecutive_failures(0));
    for n in 0..100_000u64 {
        end(&mut machine, Outcome::Success, Duration::from_millis(n));
    }
    let mut failures = 0u64;
    while machine.phase() == Phase::Closed {
        end(
            &mut machine,
            Outcome::Failure,
            secs(131) + Duration::from_millis(failures),
        );
        failures += 1;
    }
    assert_eq!(failures, 20); // minimum_calls, all in the window
}

/// tower-resilience 5.1b: the window's size overrode the minimum.
#[test]
fn the_minimum_is_the_minimum() {
    let mut machine = Machine::new(BreakerConfig::default().consecutive_failures(0).minimum_calls(4));
    for _ in 0..3 {
        end(&mut machine, Outcome::Failure, S);
    }
    assert_eq!(machine.phase(), Phase::Closed);
    end(&mut machine, Outcome::Failure, S);
    assert_eq!(machine.phase(), Phase::Open);
}

/// seed D17d: an 80 % failure rate never opened it if every fifth call succeeded.
#[test]
fn a_rate_trips_it_even_when_some_calls_succeed() {
    let mut machine = Machine::new(BreakerConfig::default());
    for n in 0..25u64 {
        if machine.phase() != Phase::Closed {
            break;
        }
        end(
            &mut machine,
            if n % 5 == 4 {
                Outcome::Success
            } else {
                Outcome::Failure
            },
            S,
        );
    }
    assert_eq!(machine.phase(), Phase::Open);
}

/// seed D1: fifty of fifty concurrent probes were let through.
#[test]
fn half_open_lets_one_probe_through() {
    let mut machine = opened(BreakerConfig::default());
    let probes = (0..50).filter(|_| machine.admit(secs(60)).is_ok()).count();
    assert_eq!(probes, 1);
}

/// seed D2, D3; tower-resilience 5.1d: an answer from before the outage decided the probe.
#[test]
fn a_stale_answer_decides_nothing() {
    let mut machine = Machine::new(BreakerConfig::default().consecutive_failures(1));
    let (slow_one, other) = (machine.admit(S).unwrap(), machine.admit(S).unwrap());
    machine.record(other, Outcome::Failure, S, S, 0, None);
    let _probe = machine.admit(secs(60)).unwrap();
    machine.record(slow_one, Outcome::Success, S, secs(60), 0, None);
    assert_eq!(machine.phase(), Phase::HalfOpen);
    machine.record(slow_one, Outcome::Failure, S, secs(60), 0, None);
    assert_eq!(machine.phase(), Phase::HalfOpen);
}

/// resilience4j #343, tower-resilience 5.1f: a probe that never reports left it half open for good.
#[test]
fn a_lost_probe_does_not_hold_it_half_open() {
    let mut machine = opened(BreakerConfig::default());
    let lost = machine.admit(secs(60)).unwrap();
    assert!(machine.admit(secs(61)).is_err());
    let second = machine.admit(secs(91)).unwrap();
    assert_ne!(lost, second);
    end_with(&mut machine, second, Outcome::Success);
    let third = machine.admit(secs(92)).unwrap();
    end_with(&mut machine, third, Outcome::Success);
    assert_eq!(machine.phase(), Phase::Closed);
}

fn end_with(machine: &mut Machine, ticket: state::Ticket, outcome: Outcome) {
    machine.record(ticket, outcome, Duration::ZERO, secs(92), 0, None);
}

#[test]
fn it_stays_open_longer_each_time_and_no_longer_than_the_cap() {
    let mut machine = opened(BreakerConfig::default());
    let (mut now, mut last) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..8 {
        let stay = machine.admit(now).unwrap_err();
        assert!(
            stay >= last.min(secs(270)) && stay <= secs(300),
            "{stay:?} after {last:?}"
        );
        last = stay;
        now += stay;
        let probe = machine.admit(now).unwrap();
        machine.record(probe, Outcome::Failure, S, now, 0, None);
    }
}

#[test]
fn the_peers_word_on_how_long_is_heard_and_capped() {
    let mut machine = Machine::new(BreakerConfig::default().consecutive_failures(1));
    let ticket = machine.admit(S).unwrap();
    machine.record(ticket, Outcome::Failure, S, S, 0, Some(secs(120)));
    assert_eq!(machine.admit(S).unwrap_err(), secs(120));
    let mut machine = Machine::new(BreakerConfig::default().consecutive_failures(1));
    let ticket = machine.admit(S).unwrap();
    machine.record(ticket, Outcome::Failure, S, S, 0, Some(secs(99_999)));
    assert_eq!(machine.admit(S).unwrap_err(), secs(300));
}

#[test]
fn slow_calls_trip_it_when_asked() {
    let config = BreakerConfig::default()
        .slow_after(Some(S))
        .slow_percent(50)
        .minimum_calls(4);
    let mut machine = Machine::new(config);
    for n in 0..4u64 {
        let ticket = machine.admit(S).unwrap();
        machine.record(
            ticket,
            Outcome::Success,
            if n % 2 == 1 { secs(2) } else { Duration::ZERO },
            S,
            0,
            None,
        );
    }
    assert_eq!(machine.phase(), Phase::Open);
}

proptest! {
    /// Against a naive window that remembers every call.
    #[test]
    fn the_window_counts_what_a_list_counts(
        calls in proptest::collection::vec((0u64..500, any::<bool>()), 0..300)
    ) {
        let mut machine = Machine::new(BreakerConfig::default().consecutive_failures(0).minimum_calls(u32::MAX));
        let (mut now, mut list) = (0u64, Vec::new());
        for (step, failed) in calls {
            now += step;
            let at = Duration::from_millis(now);
            end(&mut machine, if failed { Outcome::Failure } else { Outcome::Success }, at);
            list.push((now / 3000, failed));
            let live: Vec<_> = list.iter().filter(|(bucket, _)| bucket + 10 > now / 3000).collect();
            let (total, failures, _) = machine.counted(at);
            prop_assert_eq!(total as usize, live.len());
            prop_assert_eq!(failures as usize, live.iter().filter(|(_, failed)| *failed).count());
        }
    }

    /// Whatever happens, no more probes run at once than allowed, and it always comes back.
    #[test]
    fn probes_are_bounded_and_it_recovers(
        events in proptest::collection::vec((0u64..20_000, 0u8..4), 0..200), probes in 1u32..4
    ) {
        let mut machine = Machine::new(BreakerConfig::default().probes(probes).consecutive_failures(2));
        let (mut now, mut running) = (Duration::ZERO, Vec::new());
        for (step, event) in events {
            now += Duration::from_millis(step);
            match (event, running.pop()) {
                (0, ticket) => {
                    running.extend(ticket);
                    running.extend(machine.admit(now).ok());
                }
                (_, None) => {}
                (1, Some(t)) => machine.record(t, Outcome::Success, S, now, 7, None),
                (2, Some(t)) => machine.record(t, Outcome::Failure, S, now, 7, None),
                (_, Some(t)) => machine.record(t, Outcome::Ignored, S, now, 7, None),
            }
            let mut probe = machine.clone();
            if probe.phase() == Phase::HalfOpen {
                let more = (0..10).filter(|_| probe.admit(now).is_ok()).count();
                // those that run, or as many again once all of them are overdue
                prop_assert!(more <= 2 * probes as usize);
            }
        }
        now += secs(10_000);
        for _ in 0..4 {
            let ticket = machine.admit(now);
            prop_assert!(ticket.is_ok());
            machine.record(ticket.unwrap(), Outcome::Success, Duration::ZERO, now, 0, None);
        }
        prop_assert_eq!(machine.phase(), Phase::Closed);
    }
}

async fn call(breaker: &Breaker, answer: Result<(), PaymentError>) -> Result<(), PaymentError> {
    let service = service_fn(move |()| std::future::ready(answer.clone()));
    CircuitBreakerLayer::new(breaker.clone(), Gateway)
        .layer(service)
        .oneshot(())
        .await
}

/// seed I18: five declined cards opened it for everybody. seed I17: so did our own rate limit.
#[tokio::test(start_paused = true)]
async fn declines_and_our_own_refusals_do_not_open_it() {
    let breaker = Breaker::new(BreakerConfig::default());
    for _ in 0..50 {
        let _ = call(&breaker, Err(PaymentError::declined("no", "do_not_honor"))).await;
        let limited: PaymentError =
            tollgate_core::Fault::refused(tollgate_core::RejectionKind::RateLimited.into());
        let _ = call(&breaker, Err(limited)).await;
        let _ = call(&breaker, Err(PaymentError::rate_limited("429", None))).await;
    }
    assert_eq!(breaker.snapshot().phase, Phase::Closed);
    assert_eq!(breaker.snapshot().calls, 50); // the declines, as successes
}

#[tokio::test(start_paused = true)]
async fn it_opens_refuses_at_once_and_recovers() {
    let breaker = Breaker::new(BreakerConfig::default());
    for _ in 0..5 {
        let _ = call(&breaker, Err(PaymentError::timeout("10 s"))).await;
    }
    let refused = call(&breaker, Ok(())).await.unwrap_err();
    let wait = tollgate_core::Fault::verdict(&refused).retry_after.unwrap();
    tokio::time::advance(wait).await;
    assert!(call(&breaker, Ok(())).await.is_ok());
    assert!(call(&breaker, Ok(())).await.is_ok());
    assert_eq!(breaker.snapshot().phase, Phase::Closed);
}

/// tower-resilience 5.1e: with a time-out outside the breaker, a hung gateway never tripped it.
#[tokio::test(start_paused = true)]
async fn a_call_abandoned_late_counts_and_one_abandoned_early_does_not() {
    for (waited, expected) in [(secs(4), Phase::Closed), (secs(6), Phase::Open)] {
        let breaker = Breaker::new(BreakerConfig::default());
        for _ in 0..5 {
            let hung = service_fn(|()| std::future::pending::<Result<(), PaymentError>>());
            let guarded = CircuitBreakerLayer::gateway(breaker.clone()).layer(hung);
            assert!(tokio::time::timeout(waited, guarded.oneshot(())).await.is_err());
        }
        assert_eq!(breaker.snapshot().phase, expected);
    }
}

/// Polly #717: an unhandled exception ate the trial.
#[tokio::test(start_paused = true)]
async fn a_panic_counts_as_a_failure_and_frees_its_place() {
    let breaker = Breaker::new(BreakerConfig::default().consecutive_failures(1));
    for _ in 0..2 {
        let layer = CircuitBreakerLayer::gateway(breaker.clone());
        let task = tokio::spawn(async move {
            let panics = service_fn(|()| async {
                if true {
                    panic!("scripted")
                } else {
                    Ok::<(), PaymentError>(())
                }
            });
            layer.layer(panics).oneshot(()).await
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(breaker.snapshot().phase, Phase::Open);
        tokio::time::advance(secs(400)).await;
    }
}

/// An open breaker answers although the inner service is not ready, and never calls it unready.
#[tokio::test(start_paused = true)]
async fn open_does_not_wait_for_a_dead_service() {
    let breaker = Breaker::new(BreakerConfig::default());
    breaker.force_open(Duration::MAX);
    let held = tower::limit::ConcurrencyLimit::new(
        service_fn(|()| std::future::pending::<Result<(), PaymentError>>()),
        1,
    );
    let mut busy = held.clone();
    let _running = busy.ready().await.unwrap();
    let refused = CircuitBreakerLayer::gateway(breaker.clone())
        .layer(held)
        .oneshot(())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("circuit-open"));
}

/// Govcraft/acton-service #33: one breaker per route, each seeing too little to trip.
#[tokio::test(start_paused = true)]
async fn services_of_one_layer_share_the_breaker() {
    let layer = CircuitBreakerLayer::gateway(Breaker::new(BreakerConfig::default()));
    let calls = Arc::new(AtomicU32::new(0));
    for _ in 0..7 {
        let calls = Arc::clone(&calls);
        let failing = service_fn(move |()| {
            calls.fetch_add(1, SeqCst);
            async { Err::<(), _>(PaymentError::timeout("10 s")) }
        });
        let _ = layer.layer(failing).oneshot(()).await;
    }
    assert_eq!(calls.load(SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn shadow_mode_counts_and_lets_pass() {
    let breaker = Breaker::new(BreakerConfig::default());
    breaker.force_open(Duration::MAX);
    breaker.set_shadow(true);
    assert!(call(&breaker, Ok(())).await.is_ok());
    assert_eq!(breaker.snapshot().refused, 1);
    breaker.admit().unwrap().settle(&Verdict::EXECUTED);
}

/// A layer inside that refuses (fraud, a missing key) never reached the peer.
#[tokio::test(start_paused = true)]
async fn what_never_left_does_not_close_it() {
    let breaker = Breaker::new(BreakerConfig::default().consecutive_failures(1));
    breaker.admit().unwrap().settle(&Verdict::UNKNOWN);
    tokio::time::sleep(secs(40)).await;
    for _ in 0..2 {
        let blocked = tollgate_core::RejectionKind::FraudBlocked.verdict();
        breaker.admit().unwrap().settle(&blocked);
    }
    assert_eq!(breaker.snapshot().phase, Phase::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn shadow_mode_waits_for_a_busy_service() {
    let breaker = Breaker::new(BreakerConfig::default());
    breaker.set_shadow(true);
    breaker.force_open(secs(100));
    let inner = service_fn(|()| async { Ok::<_, PaymentError>(()) });
    let (busy, gate) = tollgate_testkit::probe::Gate::closed(inner);
    let call = tokio::spawn(CircuitBreakerLayer::gateway(breaker).layer(busy).oneshot(()));
    tokio::time::sleep(S).await;
    gate.open();
    call.await.unwrap().unwrap();
}

#[test]
fn a_stay_too_long_to_count_does_not_panic() {
    let mut machine = opened(BreakerConfig::default().open_for(Duration::MAX).max_open_for(S));
    machine.admit(secs(2)).unwrap();
    assert!(machine.admit(secs(2)).is_err());
}
