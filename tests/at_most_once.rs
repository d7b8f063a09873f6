//! The promise, as a property: whatever goes wrong, in whatever order, the gateway's own ledger never counts two.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use std::num::NonZeroU32;
use std::time::Duration;
use tollgate::audit::AuditLog;
use tollgate::circuit_breaker::{Breaker, BreakerConfig};
use tollgate::idempotency::{Finding, IdempotencyConfig, IdempotencyLayer, resolve_open, stored_answer};
use tollgate::rate_limit::LocalLimit;
use tollgate::retry::RetryConfig;
use tollgate::{Gateway, PaymentStack};
use tollgate_core::gateway::{Call, Lookup, LookupPayment, Payment, PaymentStatus, Sale};
use tollgate_core::id::MerchantReference;
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_core::store::memory::{MemoryAudit, MemoryIdempotency};
use tollgate_core::store::quota::Quota;
use tollgate_core::{Effect, Fault, PaymentError, Secrets, Timestamp};
use tollgate_testkit::RuntimeClock;
use tollgate_testkit::gateway::{Mishap, MockGateway};
use tollgate_testkit::samples::sale;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

type Client = BoxCloneSyncService<Call<Sale>, Payment, PaymentError>;

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// The caller sends the request, and these things go wrong on the way.
    Send(Vec<Mishap>),
    /// The caller sends it and hangs up after so many milliseconds; the gateway answers after a second.
    HangUp(u64),
    /// Two callers send it at once.
    Twice(Vec<Mishap>),
    /// Time passes, in seconds.
    Wait(u64),
    /// Somebody ends doubts by looking at the gateway.
    Resolve,
    /// The process is started again: new layers over the same store.
    Restart,
}

struct World {
    store: MemoryIdempotency,
    secrets: Secrets,
    gateway: MockGateway,
    client: Client,
    answers: Vec<Result<Payment, PaymentError>>,
}

impl World {
    fn new(gateway: MockGateway) -> Self {
        let clock = RuntimeClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        let store = MemoryIdempotency::with(1_000, clock);
        let secrets = Secrets::ephemeral();
        let client = client(&store, &secrets, &gateway);
        Self {
            store,
            secrets,
            gateway,
            client,
            answers: Vec::new(),
        }
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Send(mishaps) => {
                self.gateway.plan(mishaps);
                self.answers
                    .push(self.client.clone().oneshot(sale("order-1")).await);
            }
            Event::HangUp(after) => {
                self.gateway.plan([Mishap::Slow(Duration::from_secs(1))]);
                let call = self.client.clone().oneshot(sale("order-1"));
                if let Ok(answer) = tokio::time::timeout(Duration::from_millis(after), call).await {
                    self.answers.push(answer);
                }
            }
            Event::Twice(mishaps) => {
                self.gateway.plan(mishaps);
                let (one, two) = tokio::join!(
                    self.client.clone().oneshot(sale("order-1")),
                    self.client.clone().oneshot(sale("order-1"))
                );
                self.answers.extend([one, two]);
            }
            Event::Wait(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            Event::Restart => self.client = client(&self.store, &self.secrets, &self.gateway),
            Event::Resolve => {
                let pass = resolve_open(&self.store, "test", |open| {
                    let key = self.secrets.downstream_key(&open.key, self.gateway.name());
                    look(&self.gateway, key)
                });
                pass.await.unwrap();
            }
        }
    }
}

/// By the reference when the gateway knows no keys, by the key when it does.
async fn look(gateway: &MockGateway, _: tollgate_core::DownstreamKey) -> Finding {
    let question = LookupPayment::ByReference(MerchantReference::new("order-1").unwrap());
    match gateway.clone().oneshot(Call::new(question)).await {
        Ok(Lookup::Found(payment)) => {
            let answer = Ok::<Payment, PaymentError>(payment);
            Finding::Settled {
                completion: stored_answer::<Call<Sale>, _, _, _>(&Gateway, answer).await,
                reason: "found".into(),
            }
        }
        Ok(Lookup::NotFound) => Finding::Absent {
            reason: "not found".into(),
        },
        _ => Finding::StillOpen,
    }
}

fn client(store: &MemoryIdempotency, secrets: &Secrets, gateway: &MockGateway) -> Client {
    let guard = IdempotencyLayer::dangerous_gateway(store.clone(), secrets.clone())
        .config(IdempotencyConfig::default().lease(Duration::from_secs(30)));
    let stack = PaymentStack::gateway()
        .idempotency_layer(guard)
        .circuit_breaker(Breaker::new(BreakerConfig::default()))
        .retry(RetryConfig::default())
        .rate_limit(LocalLimit::new(Quota::per_second(NonZeroU32::new(5).unwrap())))
        .timing()
        .audit(AuditLog::new(MemoryAudit::new(), "payments", secrets.clone()))
        .service_for::<Call<Sale>, _>(gateway.clone());
    BoxCloneSyncService::new(stack)
}

fn mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        Just(Mishap::NotConnected),
        Just(Mishap::LostBefore),
        Just(Mishap::TimeoutBefore),
        Just(Mishap::LostAfter),
        Just(Mishap::TimeoutAfter),
        Just(Mishap::FailsBefore),
        Just(Mishap::FailsAfter),
        Just(Mishap::Declines("do_not_honor")),
        Just(Mishap::TurnsAway(Duration::from_millis(300))),
    ]
}

/// Mishaps that only a gateway that knows keys can survive: the network's own copies, and bookings that come late.
fn any_mishap() -> impl Strategy<Value = Mishap> {
    prop_oneof![
        4 => mishap(),
        1 => Just(Mishap::ArrivesTwice),
        1 => Just(Mishap::BooksLate(Duration::from_secs(20))),
    ]
}

fn events(mishap: impl Strategy<Value = Mishap> + Clone) -> impl Strategy<Value = Vec<Event>> {
    let some = prop::collection::vec(mishap, 0..5);
    let event = prop_oneof![
        4 => some.clone().prop_map(Event::Send),
        1 => (0u64..1_500).prop_map(Event::HangUp),
        2 => some.prop_map(Event::Twice),
        2 => (0u64..120).prop_map(Event::Wait),
        2 => Just(Event::Resolve),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..9)
}

fn run(gateway: MockGateway, events: Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(gateway);
        for event in events {
            world.happen(event).await;
            assert!(
                world.gateway.ledger().charges("order-1") <= 1,
                "two charges under one key"
            );
        }
        // whoever still runs ends
        tokio::time::sleep(Duration::from_secs(200)).await;
        let charges = world.gateway.ledger().charges("order-1");
        assert!(charges <= 1, "two charges under one key");

        let mut executed = 0;
        for answer in &world.answers {
            match answer {
                Ok(payment) => {
                    assert_eq!(payment.status, PaymentStatus::Captured);
                    executed += 1;
                }
                // a decline, once told, is the answer for good
                Err(error) if error.verdict().effect == Effect::Declined => assert_eq!(charges, 0),
                Err(_) => {}
            }
        }
        assert!(
            executed == 0 || charges == 1,
            "told of a charge that is not there"
        );

        // and every doubt can be ended: once a look gets through, nothing is open, and a repeat has a definite answer
        for _ in 0..=world.gateway.planned() {
            world.happen(Event::Resolve).await;
        }
        assert_eq!(world.store.unresolved(None, 10).await.unwrap(), []);
        let mut last = world.client.clone().oneshot(sale("order-1")).await;
        for _ in 0..=world.gateway.planned() {
            // a mishap that is still planned may meet this one too
            if last.is_ok() {
                break;
            }
            world.happen(Event::Wait(400)).await;
            for _ in 0..=world.gateway.planned() {
                world.happen(Event::Resolve).await;
            }
            last = world.client.clone().oneshot(sale("order-1")).await;
        }
        match last {
            Ok(_) => assert_eq!(world.gateway.ledger().charges("order-1"), 1),
            Err(error) => assert_eq!(error.verdict().effect, Effect::Declined, "{error}"),
        }
    });
}

/// The ledger can count two: without the layer, a lost answer and a caller that tries again are two charges.
#[tokio::test(start_paused = true)]
async fn control_without_the_layer_there_are_two() {
    let gateway = MockGateway::new().without_key();
    gateway.plan([Mishap::LostAfter]);
    assert!(gateway.clone().oneshot(sale("order-1")).await.is_err());
    assert!(gateway.clone().oneshot(sale("order-1")).await.is_ok());
    assert_eq!(gateway.ledger().charges("order-1"), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// With a gateway that knows keys, as most do.
    #[test]
    fn with_a_gateway_that_knows_keys(events in events(any_mishap().boxed())) {
        run(MockGateway::new(), events);
    }

    /// With one that takes no key: what is in doubt is never repeated, only looked up. Seed I3, I4, I5: two, two and three charges.
    #[test]
    fn with_a_gateway_that_takes_no_key(events in events(mishap().boxed())) {
        run(MockGateway::new().without_key().without_dedup(), events);
    }
}
