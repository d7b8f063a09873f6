//! What a step is given, and what its answers are taken for.

use super::runtime_clock;
use crate::{
    Case, Definition, Direction, Effected, Policy, Repeat, Sagas, Settled, StepContext, Undone, step, via,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_core::gateway::{Call, Capture, GetPayment};
use tollgate_core::id::PaymentId;
use tollgate_core::store::memory::MemorySaga;
use tollgate_core::{Effect, Fault, PaymentError};
use tower::service_fn;

#[derive(Debug, Default)]
struct Seen {
    keys: Mutex<Vec<String>>,
    effects: Mutex<Vec<Effected<u64>>>,
}

type Cx = StepContext<Arc<Seen>>;

async fn remember(cx: Cx, _: u64, effect: Effected<u64>) -> Result<Undone, PaymentError> {
    cx.deps().effects.lock().unwrap().push(effect);
    cx.deps().keys.lock().unwrap().push(cx.key("peer").to_string());
    Ok(Undone::NothingThere)
}

async fn settled<T: Send + 'static>(definition: &Definition<u64, T>) -> Settled<T> {
    let clock = runtime_clock();
    let journal = MemorySaga::with(clock.clone());
    let sagas = Sagas::on(journal)
        .register(definition)
        .clock(clock)
        .open()
        .unwrap();
    sagas
        .start(definition, "a", &5)
        .await
        .unwrap()
        .wait()
        .await
        .unwrap()
}

/// A gateway client is a step as it is; all of its attempts carry one key, a number and a deadline.
#[tokio::test(start_paused = true)]
async fn a_tower_service_is_a_step() {
    type Told = Arc<Mutex<Vec<(String, u16, bool)>>>;
    let told: Told = Arc::default();
    let client = {
        let told = Arc::clone(&told);
        service_fn(move |call: Call<Capture>| {
            let key = call
                .context
                .key
                .as_ref()
                .unwrap()
                .downstream_key("gateway")
                .to_string();
            let mut told = told.lock().unwrap();
            told.push((key, call.context.attempt, call.context.deadline.is_some()));
            let lost = told.len() < 3;
            async move {
                if lost {
                    Err(PaymentError::timeout("lost"))
                } else {
                    Ok(call.message.payment.as_str().to_owned())
                }
            }
        })
    };
    let capture = |cx: &StepContext<_>, cents: u64| {
        cx.call(Capture {
            key: cx.idempotency_key().unwrap(),
            payment: PaymentId::new(format!("pay_{cents}")).unwrap(),
            amount: None,
        })
    };
    let definition = Definition::new("capture", 1, client, |flow, cents| {
        let (out, flow) = flow.pivot(step("capture", via(Clone::clone, capture)), cents);
        flow.finish(out)
    })
    .unwrap();
    assert_eq!(settled(&definition).await, Settled::Completed("pay_5".to_owned()));
    let told = told.lock().unwrap();
    let keys: BTreeSet<_> = told.iter().map(|(key, ..)| key).collect();
    assert_eq!(
        (keys.len(), keys.first().unwrap().len()),
        (1, 32),
        "short enough for Adyen's 64 and Square's 45"
    );
    assert_eq!(
        told.iter().map(|(_, attempt, _)| *attempt).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert!(told.iter().all(|(.., deadline)| *deadline));
}

/// A service that is dead says so from `poll_ready`: nothing was sent.
#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_become_ready() {
    let dead = || tower::util::MapErr::new(Closed, |()| PaymentError::not_connected("closed"));
    let definition = Definition::new("dead", 1, (), |flow, cents| {
        let read = via(
            move |&()| dead(),
            |cx: &StepContext<()>, _: u64| {
                cx.call(GetPayment {
                    payment: PaymentId::new("p").unwrap(),
                })
            },
        );
        let (out, flow) = flow.pivot(step("read", read), cents);
        flow.finish(out)
    })
    .unwrap();
    assert!(
        matches!(settled(&definition).await, Settled::Compensated(cause) if cause.why == "network: closed")
    );
}

struct Closed;

impl tower_service::Service<Call<GetPayment>> for Closed {
    type Response = ();
    type Error = ();
    type Future = std::future::Ready<Result<(), ()>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), ()>> {
        std::task::Poll::Ready(Err(()))
    }

    fn call(&mut self, _: Call<GetPayment>) -> Self::Future {
        panic!("it was not ready");
    }
}

/// A retry layer inside the step: its first attempt was lost, its second met an open breaker. The last error alone says "not sent".
#[tokio::test(start_paused = true)]
async fn the_last_error_does_not_hide_the_ones_before() {
    let seen = Arc::new(Seen::default());
    let definition = Definition::new("ledger", 1, Arc::clone(&seen), |mut flow, input| {
        let run = |cx: Cx, _: u64| async move {
            let call = cx.call(());
            let key = call.context.key.unwrap();
            let _sent = key.downstream_key("peer");
            key.ledger().record(Effect::Unknown);
            Err::<u64, _>(PaymentError::not_connected("circuit open"))
        };
        let out = flow.step(step("pay", run).undo(remember), input);
        flow.finish(out)
    })
    .unwrap();
    assert!(matches!(settled(&definition).await, Settled::Compensated(_)));
    assert_eq!(*seen.effects.lock().unwrap(), [Effected::InDoubt]);
}

/// Sent without a key, and the answer lost: a second request would be a second payment.
#[tokio::test(start_paused = true)]
async fn what_took_no_key_is_sent_once() {
    for (repeat, sent) in [(Repeat::ByKey, 1), (Repeat::Never, 1), (Repeat::Idempotent, 4)] {
        let seen = Arc::new(Seen::default());
        let definition = Definition::new("bare", 1, Arc::clone(&seen), |mut flow, input| {
            let run = |cx: Cx, _: u64| async move {
                cx.deps().keys.lock().unwrap().push("bare".to_owned());
                Err::<u64, _>(PaymentError::timeout("lost"))
            };
            let pay = step("pay", run)
                .undo(remember)
                .policy(Policy::default().repeat(repeat));
            let out = flow.step(pay, input);
            flow.finish(out)
        })
        .unwrap();
        assert!(matches!(settled(&definition).await, Settled::Compensated(_)));
        let bare = seen
            .keys
            .lock()
            .unwrap()
            .iter()
            .filter(|key| *key == "bare")
            .count();
        assert_eq!(bare, sent, "{repeat:?}");
        assert_eq!(*seen.effects.lock().unwrap(), [Effected::InDoubt], "{repeat:?}");
    }
}

/// An error that says "executed" (the gateway did something else than was asked) is no refusal.
#[tokio::test(start_paused = true)]
async fn an_effect_that_was_not_asked_for_is_undone() {
    use tollgate_core::PaymentErrorKind::IntegrityMismatch;
    assert_eq!(
        PaymentError::new(IntegrityMismatch, "-").verdict().effect,
        Effect::Executed
    );
    let seen = Arc::new(Seen::default());
    let definition = Definition::new("mismatch", 1, Arc::clone(&seen), |mut flow, input| {
        let run = |cx: Cx, _: u64| async move {
            let _key = cx.key("peer");
            Err::<u64, _>(PaymentError::new(IntegrityMismatch, "another amount"))
        };
        let out = flow.step(step("pay", run).undo(remember), input);
        flow.finish(out)
    })
    .unwrap();
    assert!(matches!(settled(&definition).await, Settled::Compensated(_)));
    assert_eq!(*seen.effects.lock().unwrap(), [Effected::InDoubt]);
}

#[tokio::test(start_paused = true)]
async fn a_step_may_wait_for_a_person_instead() {
    let seen = Arc::new(Seen::default());
    let definition = Definition::new("careful", 1, Arc::clone(&seen), |mut flow, input| {
        let run = |_: Cx, _: u64| async move { Err::<u64, _>(PaymentError::timeout("lost")) };
        let out = flow.step(step("pay", run).undo(remember).park_in_doubt(), input);
        flow.finish(out)
    })
    .unwrap();
    let case = Case {
        step: "pay",
        direction: Direction::Forward,
        why: "timeout: lost".to_owned(),
    };
    assert_eq!(settled(&definition).await, Settled::Parked(vec![case]));
    assert!(seen.effects.lock().unwrap().is_empty());
}

/// Every saga, step, direction and peer has a key of its own.
#[tokio::test(start_paused = true)]
async fn keys_are_shared_by_nothing_but_attempts() {
    let seen = Arc::new(Seen::default());
    let definition = Definition::new("keys", 1, Arc::clone(&seen), |mut flow, input| {
        let note = |cx: &Cx| {
            let keys = [cx.key("a").to_string(), cx.key("b").to_string()];
            cx.deps().keys.lock().unwrap().extend(keys);
        };
        for name in ["one", "two"] {
            let run = move |cx: Cx, input: u64| {
                note(&cx);
                async move { Ok::<_, PaymentError>(input) }
            };
            let undo = move |cx: Cx, _: u64, _: Effected<u64>| {
                note(&cx);
                async move { Ok::<_, PaymentError>(Undone::Reverted) }
            };
            let _ = flow.step(step(name, run).undo(undo), input);
        }
        let no = step("no", |_: Cx, _: u64| async {
            Err::<u64, _>(PaymentError::declined("no", "05"))
        });
        let (out, flow) = flow.pivot(no, input);
        flow.finish(out)
    })
    .unwrap();
    for _ in 0..2 {
        assert!(matches!(settled(&definition).await, Settled::Compensated(_)));
    }
    let keys = seen.keys.lock().unwrap();
    assert_eq!(keys.len(), 2 * 2 * 2 * 2, "sagas, steps, directions, peers");
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

/// What a gateway repeats of a card number does not reach the journal, an error, or a log.
#[tokio::test(start_paused = true)]
async fn card_numbers_are_masked() {
    let definition = Definition::new("leak", 1, (), |flow, input| {
        let run = |_: StepContext<()>, _: u64| async {
            crate::Outcome::<u64>::Refused(crate::Refusal::new("card 4111 1111 1111 1111 refused"))
        };
        let (out, flow) = flow.pivot(step("pay", run), input);
        flow.finish(out)
    })
    .unwrap();
    let told = format!("{:?}", settled(&definition).await);
    assert!(
        told.contains("refused") && !told.contains("4111 1111 1111 1111"),
        "{told}"
    );
}

#[test]
fn a_wait_has_no_more_than_it_says() {
    let now = tollgate_core::Timestamp::from_unix_seconds(1_700_000_000);
    let policy = Policy::default()
        .backoff(Duration::from_millis(100))
        .max_backoff(Duration::from_secs(1));
    for tries in 1..40 {
        for seed in 0..200 {
            let wait = policy.next_try(tries, None, seed, now).since(now);
            assert!(
                wait <= Duration::from_secs(1) && (tries > 1 || wait <= Duration::from_millis(100)),
                "{wait:?}"
            );
            let said = policy
                .next_try(tries, Some(Duration::from_secs(60)), seed, now)
                .since(now);
            assert!(
                said >= Duration::from_secs(60),
                "no earlier than the peer asked for"
            );
        }
    }
}

/// The diagram names what undoes what.
#[test]
fn the_diagram_shows_the_pivot_and_what_is_superseded() {
    let diagram = super::checkout(&super::World::new(), 1, true).diagram();
    for line in [
        "s3{{\"ship\"}}",
        "s2 -. supersedes .-> s1",
        "s0 -. undo .-> s0",
        "s2 --> s3",
    ] {
        assert!(diagram.contains(line), "{diagram}");
    }
}

/// Everything that is awaited in a handler can be.
#[test]
fn futures_are_send() {
    fn is_send<T: Send>(_: T) {}
    fn all(sagas: &Sagas<MemorySaga>, run: &crate::Run<MemorySaga, u64>, definition: &Definition<u64, u64>) {
        let (id, ops) = (run.id(), crate::Operator::new("a", "b"));
        is_send(sagas.start(definition, "a", &1));
        is_send(run.wait());
        is_send(sagas.recover());
        is_send(sagas.operate(id, &ops, crate::Verb::Retry));
        is_send(sagas.inspect(id));
        is_send(sagas.shutdown(Duration::ZERO));
    }
    let _ = all;
}
