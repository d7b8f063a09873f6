use super::rule::{Attempted, Decision, Stop, decide};
use super::*;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::gateway::{Call, GetPayment, Sale};
use tollgate_core::id::PaymentId;
use tollgate_core::{
    Advice, Blame, Deadline, Effect, Fault, KeyInForce, PaymentError, RejectionKind, Verdict,
};
use tollgate_testkit::samples::sale;
use tower::{Layer, ServiceExt, service_fn};

const EFFECTS: [Effect; 5] = [
    Effect::NotSent,
    Effect::TurnedAway,
    Effect::Declined,
    Effect::Executed,
    Effect::Unknown,
];
const ADVICE: [Advice; 7] = [
    Advice::SameKey,
    Advice::NewAttempt,
    Advice::CorrectInput,
    Advice::Authenticate,
    Advice::OtherInstrument,
    Advice::QueryFirst,
    Advice::Never,
];

fn attempted(verdict: Verdict) -> Attempted {
    Attempted {
        verdict,
        moves_money: true,
        key_taken: true,
        made: 1,
        remaining: None,
    }
}

/// Every combination: what may have happened is repeated only with a key the peer knows; what is final never.
#[test]
fn nothing_unsafe_is_ever_repeated() {
    let config = RetryConfig::default();
    for effect in EFFECTS {
        for advice in ADVICE {
            for (moves_money, key_taken) in [(true, true), (true, false), (false, true), (false, false)] {
                let verdict = Verdict::new(effect, advice, Blame::Gateway);
                let attempted = Attempted {
                    moves_money,
                    key_taken,
                    ..attempted(verdict)
                };
                if let Decision::Repeat(_) = decide(&config, &attempted, 1) {
                    assert!(!effect.is_final());
                    assert!(
                        effect.nothing_happened() || !moves_money || key_taken,
                        "{attempted:?}"
                    );
                    assert_ne!(advice, Advice::Never);
                }
            }
        }
    }
}

proptest! {
    /// seed D16c: no jitter, no cap, the same 1, 3, 9, 27 s for everybody. D16b: a Retry-After that nobody read.
    #[test]
    fn waits_are_bounded_and_never_sooner_than_the_peer_said(
        made in 1u16..40, random: u64, said in proptest::option::of(0u64..60_000)
    ) {
        let config = RetryConfig::default().max_attempts(u16::MAX);
        let verdict = Verdict {
            retry_after: said.map(Duration::from_millis),
            ..Verdict::new(Effect::TurnedAway, Advice::SameKey, Blame::Caller)
        };
        match decide(&config, &Attempted { made, ..attempted(verdict) }, random) {
            Decision::Repeat(wait) => {
                prop_assert!(wait <= config.cap.max(config.retry_after_cap + config.base));
                prop_assert!(wait >= verdict.retry_after.unwrap_or_default());
            }
            Decision::Stop(stop) => {
                prop_assert_eq!(stop, Stop::WaitTooLong);
                prop_assert!(verdict.retry_after.unwrap() > config.retry_after_cap);
            }
        }
    }
}

#[test]
fn no_attempt_starts_that_cannot_end_in_time() {
    let verdict = Verdict::new(Effect::NotSent, Advice::SameKey, Blame::Network);
    let close = Attempted {
        remaining: Some(Duration::from_millis(99)),
        ..attempted(verdict)
    };
    assert_eq!(
        decide(&RetryConfig::default(), &close, 0),
        Decision::Stop(Stop::DeadlineTooClose)
    );
}

fn guarded() -> Call<Sale> {
    let mut call = sale("order-1");
    call.context.key = Some(KeyInForce::for_step(b"test"));
    call
}

struct Counted {
    layer: RetryLayer<crate::Gateway>,
    attempts: Arc<AtomicU32>,
}

impl Counted {
    fn new(config: RetryConfig) -> Self {
        Self {
            layer: RetryLayer::gateway(config),
            attempts: Arc::default(),
        }
    }

    /// Calls a gateway that takes the key, if asked to, and answers by the number of the attempt.
    async fn call(
        &self,
        call: Call<Sale>,
        takes_key: bool,
        answer: impl Fn(u32) -> Result<u32, PaymentError> + Clone + Send + 'static,
    ) -> Result<u32, PaymentError> {
        let attempts = Arc::clone(&self.attempts);
        let service = service_fn(move |call: Call<Sale>| {
            let number = attempts.fetch_add(1, SeqCst);
            assert_eq!(
                u32::from(call.context.attempt),
                number,
                "the attempt's number travels inside"
            );
            if takes_key {
                let _ = call.context.key.as_ref().unwrap().downstream_key("acme");
            }
            std::future::ready(answer(number))
        });
        self.layer.layer(service).oneshot(call).await
    }

    fn attempts(&self) -> u32 {
        self.attempts.load(SeqCst)
    }
}

/// seed I5: three bookings in one call, because the record sits outside the retry.
#[tokio::test(start_paused = true)]
async fn a_doubtful_charge_is_repeated_only_under_a_key_the_gateway_knows() {
    let timeout = |_| Err(PaymentError::timeout("10 s"));
    for (call, takes_key, expected) in [
        (sale("order-1"), false, 1),
        (guarded(), false, 1),
        (guarded(), true, 3),
    ] {
        let counted = Counted::new(RetryConfig::default());
        assert!(counted.call(call, takes_key, timeout).await.is_err());
        assert_eq!(counted.attempts(), expected);
        assert_eq!(
            counted.layer.stats().refused_without_key,
            u64::from(expected == 1)
        );
    }
}

/// seed D16: a card decline was retried by default.
#[tokio::test(start_paused = true)]
async fn a_decline_is_an_answer() {
    let counted = Counted::new(RetryConfig::default());
    let declined = counted
        .call(guarded(), true, |_| {
            Err(PaymentError::declined("no", "do_not_honor"))
        })
        .await;
    assert!(declined.is_err());
    assert_eq!(counted.attempts(), 1);
}

/// seed D5: it slept and retried against an open breaker.
#[tokio::test(start_paused = true)]
async fn an_open_breaker_is_not_waited_for() {
    let counted = Counted::new(RetryConfig::default());
    let open = || {
        PaymentError::refused(
            tollgate_core::Rejection::new(RejectionKind::CircuitOpen).after(Duration::from_secs(30)),
        )
    };
    assert!(
        counted
            .call(sale("order-1"), false, move |_| Err(open()))
            .await
            .is_err()
    );
    assert_eq!(counted.attempts(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_goes_into_the_ledger() {
    let counted = Counted::new(RetryConfig::default());
    let call = guarded();
    let key = call.context.key.clone().unwrap();
    let answer = counted
        .call(call, true, |number| match number {
            0 => Err(PaymentError::timeout("10 s")),
            _ => Err(PaymentError::not_connected("refused")),
        })
        .await;
    assert_eq!(answer.unwrap_err().verdict().effect, Effect::NotSent); // the last one alone would lie
    assert_eq!(key.ledger().total(Effect::NotSent), Effect::Unknown);
}

/// The gateway captured, its answer was lost, and the repeat hears "captured already": no final no.
#[tokio::test(start_paused = true)]
async fn done_already_after_a_doubt_is_still_a_doubt() {
    use tollgate_core::PaymentErrorKind::AlreadyDone;
    for (doubtful, total) in [(true, Effect::Unknown), (false, Effect::Declined)] {
        let counted = Counted::new(RetryConfig::default());
        let call = guarded();
        let key = call.context.key.clone().unwrap();
        let answer = counted.call(call, true, move |number| match number {
            0 if doubtful => Err(PaymentError::timeout("10 s")),
            _ => Err(PaymentError::new(AlreadyDone, "captured")),
        });
        let last = answer.await.unwrap_err().verdict().effect;
        assert_eq!(key.ledger().total(last), total);
    }
}

#[tokio::test(start_paused = true)]
async fn the_budget_bounds_a_storm() {
    let counted = Counted::new(RetryConfig::default());
    for _ in 0..200 {
        counted.attempts.store(0, SeqCst);
        let _ = counted
            .call(guarded(), true, |_| Err(PaymentError::not_connected("refused")))
            .await;
        // an outage: calls come faster than the budget refills
        if counted.layer.stats().refused_by_budget > 0 {
            break;
        }
    }
    let budget = RetryBudget::new(20, 0);
    for _ in 0..100 {
        budget.deposit();
    }
    assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 10); // holds no more than ten
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_kept() {
    let counted = Counted::new(RetryConfig::default().max_attempts(100));
    let mut call = guarded();
    let start = Instant::now();
    call.context.deadline = Some(Deadline::at((start + Duration::from_secs(3)).into_std()));
    let _ = counted
        .call(call, true, |_| Err(PaymentError::not_connected("refused")))
        .await;
    assert!(start.elapsed() <= Duration::from_secs(3));
    assert!(counted.attempts() > 1);
}

/// The readied service is the one called, also for attempts after the first (tower-resilience #362, seatbelt).
#[tokio::test(start_paused = true)]
async fn readiness_is_acquired_before_each_attempt() {
    let attempts = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&attempts);
    let inner = service_fn(move |_: Call<GetPayment>| {
        let number = count.fetch_add(1, SeqCst);
        async move {
            if number < 2 {
                Err(PaymentError::not_connected("refused"))
            } else {
                Ok(number)
            }
        }
    });
    let limited = tower::limit::ConcurrencyLimit::new(inner, 1); // panics when called without readiness
    let service = RetryLayer::gateway(RetryConfig::default()).layer(limited);
    let get = Call::new(GetPayment {
        payment: PaymentId::new("pay_1").unwrap(),
    });
    assert_eq!(service.oneshot(get).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_budget_refills_as_fast_as_it_says_however_often_it_is_asked() {
    for step in [1, 7, 19, 110] {
        let budget = RetryBudget::new(0, 1);
        let mut granted = 0;
        for _ in 0..(60_000 / step) {
            tokio::time::sleep(Duration::from_millis(step)).await;
            granted += u32::from(budget.withdraw());
        }
        assert!((60..=61).contains(&granted), "every {step} ms: {granted}");
    }
}
