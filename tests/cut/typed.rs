//! Typed calls through the whole outbound stack, cut everywhere.

use super::stepping::{Polls, Stepping};
use super::{LEASE, every_cut, every_panic};
use std::time::Duration;
use tollgate::audit::AuditLog;
use tollgate::circuit_breaker::{Breaker, BreakerConfig};
use tollgate::idempotency::{
    ArmPolicy, Finding, IdempotencyConfig, IdempotencyLayer, WhileInFlight, resolve_open, stored_answer,
};
use tollgate::rate_limit::LocalLimit;
use tollgate::retry::RetryConfig;
use tollgate::{Gateway, PaymentStack};
use tollgate_core::gateway::{Call, Lookup, LookupPayment, Payment, Sale};
use tollgate_core::id::MerchantReference;
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_core::store::memory::{MemoryAudit, MemoryIdempotency};
use tollgate_core::store::quota::Quota;
use tollgate_core::{ManualClock, PaymentError, PaymentErrorKind, Secrets};
use tollgate_testkit::gateway::{Mishap, MockGateway};
use tollgate_testkit::samples::sale;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

pub(crate) type Answer = Result<Payment, PaymentError>;

/// What the cut call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meets {
    /// Nobody asked before.
    Nothing,
    /// The gateway's first answer is lost, and the call is repeated inside.
    ALostAnswer,
    /// An answer is stored.
    AnAnswer,
    /// The first call runs, and this one waits for its answer.
    ARunningCall,
}

impl Meets {
    pub(crate) const ALL: [Self; 4] = [
        Self::Nothing,
        Self::ALostAnswer,
        Self::AnAnswer,
        Self::ARunningCall,
    ];
}

/// Everything that a run needs, made anew for each.
#[derive(Clone)]
pub(crate) struct Shop {
    clock: ManualClock,
    store: MemoryIdempotency,
    gateway: MockGateway,
    layer: IdempotencyLayer<MemoryIdempotency, Gateway>,
    client: BoxCloneSyncService<Call<Sale>, Payment, PaymentError>,
    pub(crate) polls: Polls,
}

impl Shop {
    pub(crate) fn new(arm: ArmPolicy) -> Self {
        let clock = ManualClock::default();
        let store = MemoryIdempotency::with(6_400, clock.clone());
        let (gateway, polls) = (MockGateway::new(), Polls::default());
        let config = IdempotencyConfig::default()
            .lease(LEASE)
            .arm(arm)
            .while_in_flight(WhileInFlight::Wait(Duration::from_secs(1)));
        let secrets = Secrets::ephemeral();
        let layer = IdempotencyLayer::dangerous_gateway(store.clone(), secrets.clone()).config(config);
        let stack = PaymentStack::gateway()
            .idempotency_layer(layer.clone())
            .circuit_breaker(Breaker::new(BreakerConfig::default()))
            .retry(RetryConfig::default())
            .rate_limit(LocalLimit::new(Quota::per_second(100.try_into().unwrap())))
            .timing()
            .audit(AuditLog::new(MemoryAudit::new(), "payments", secrets))
            .service_for::<Call<Sale>, _>(Stepping::new(gateway.clone(), polls.clone()));
        Self {
            clock,
            store,
            gateway,
            layer,
            client: BoxCloneSyncService::new(stack),
            polls,
        }
    }

    /// The call that will be cut.
    pub(crate) async fn call(self, meets: Meets) -> Answer {
        match meets {
            Meets::Nothing | Meets::AnAnswer => {}
            Meets::ALostAnswer => self.gateway.plan([Mishap::LostAfter]),
            Meets::ARunningCall => drop(tokio::spawn(self.client.clone().oneshot(sale("order-1")))),
        }
        if meets == Meets::AnAnswer {
            self.client.clone().oneshot(sale("order-1")).await?;
        }
        tokio::task::yield_now().await; // whoever was spawned has begun
        self.client.oneshot(sale("order-1")).await
    }

    fn charges(&self) -> u32 {
        self.gateway.ledger().charges("order-1").try_into().unwrap()
    }

    /// What was cut ends, the client asks again until it has an answer for good, and there is one charge. With `doubts`, the call may
    /// have left a doubt: then it is listed, and a look ends it.
    pub(crate) async fn ends(&self, doubts: bool, after: &str) {
        let drained = self.layer.drain(Duration::from_secs(60)).await;
        assert_eq!(drained, Ok(()), "{after}");
        assert!(self.charges() <= 1, "{after}");
        let answer = match self.repeat().await {
            Err(error) if doubts => {
                assert_ne!(error.kind(), PaymentErrorKind::Declined, "{after}");
                self.end_the_doubt(after).await
            }
            answer => answer,
        };
        assert_eq!(answer.unwrap().reference.as_str(), "order-1", "{after}");
        assert_eq!(self.charges(), 1, "{after}");
        assert_eq!(self.store.unresolved(None, 10).await.unwrap(), [], "{after}");
    }

    async fn repeat(&self) -> Answer {
        self.client.clone().oneshot(sale("order-1")).await
    }

    async fn end_the_doubt(&self, after: &str) -> Answer {
        self.clock.advance(LEASE * 2);
        self.store.sweep(10).await.unwrap();
        let open = self.store.unresolved(None, 10).await.unwrap();
        assert_eq!(open.len(), 1, "in doubt and not listed: {after}");
        let pass = resolve_open(&self.store, "test", |_| self.look()).await.unwrap();
        assert_eq!(pass.open, 0, "{after}");
        self.repeat().await
    }

    async fn look(&self) -> Finding {
        let question = LookupPayment::ByReference(MerchantReference::new("order-1").unwrap());
        match self.gateway.clone().oneshot(Call::new(question)).await {
            Ok(Lookup::Found(payment)) => Finding::Settled {
                completion: stored_answer::<Call<Sale>, _, _, _>(&Gateway, Answer::Ok(payment)).await,
                reason: "found".into(),
            },
            _ => Finding::Absent {
                reason: "not found".into(),
            },
        }
    }
}

/// Dropped after any number of polls: it goes on without its caller, and nobody is left in doubt.
#[tokio::test(start_paused = true)]
async fn dropped_at_every_await() {
    for (arm, meets) in every_case() {
        let cuts = every_cut(
            || Shop::new(arm),
            |shop| shop.call(meets),
            async |shop, polls| {
                shop.ends(false, &format!("{arm:?}, {meets:?}, dropped after {polls} polls"))
                    .await;
            },
        )
        .await;
        println!("{arm:?}, {meets:?}: dropped at {cuts} places");
        assert!(cuts > 1, "{arm:?}, {meets:?}");
    }
}

/// The service behind panics at any of its polls: in doubt at worst, listed then, and never charged twice.
#[tokio::test(start_paused = true)]
async fn a_panic_at_every_poll() {
    for (arm, meets) in every_case() {
        let panics = every_panic(
            || Shop::new(arm),
            |shop, poll| {
                shop.polls.panic_at(poll);
                tokio::spawn(shop.call(meets))
            },
            |shop| shop.polls.calm_down(),
            async |shop, poll| {
                shop.ends(true, &format!("{arm:?}, {meets:?}, a panic at poll {poll}"))
                    .await;
            },
        )
        .await;
        println!("{arm:?}, {meets:?}: {panics} panics");
        assert!(panics > 5, "{arm:?}, {meets:?}");
    }
}

pub(crate) fn every_case() -> impl Iterator<Item = (ArmPolicy, Meets)> {
    [ArmPolicy::AtBegin, ArmPolicy::BeforeCall]
        .into_iter()
        .flat_map(|arm| Meets::ALL.map(|meets| (arm, meets)))
}
