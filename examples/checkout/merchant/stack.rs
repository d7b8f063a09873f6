//! What stands between the merchant and its acquirer.

use super::acquirer_client::{AcquirerClient, Exchange};
use super::in_flight;
use crate::Error;
use std::num::NonZeroU32;
use std::time::Duration;
use tollgate::audit::{AuditLayer, AuditLog};
use tollgate::circuit_breaker::{Breaker, BreakerConfig, CircuitBreakerLayer};
use tollgate::fraud::{Blocklist, Engine, FraudLayer, HighAmount, Velocity};
use tollgate::idempotency::{IdempotencyLayer, StillRunning};
use tollgate::rate_limit::{LocalLimit, RateLimitLayer};
use tollgate::retry::{RetryConfig, RetryLayer};
use tollgate::timing::TimingLayer;
use tollgate::{Gateway, PaymentStack};
use tollgate_core::gateway::{Call, Payment, Refund, RefundReceipt, Sale};
use tollgate_core::id::{CustomerId, InstrumentToken};
use tollgate_core::store::quota::Quota;
use tollgate_core::{PaymentError, Secrets};
use tollgate_sqlite::Sqlite;
use tower::ServiceBuilder;
use tower::util::BoxCloneSyncService;

pub type Service<M, T> = BoxCloneSyncService<Call<M>, T, PaymentError>;

/// The acquirer, behind its layers. All stacks share one breaker, one limit and one audit log.
#[derive(Clone)]
pub struct Acquirer {
    pub charges: Service<Sale, Payment>,
    pub refunds: Service<Refund, RefundReceipt>,
    /// For questions: no layers, no key.
    pub plain: AcquirerClient,
    pub breaker: Breaker,
    guard: IdempotencyLayer<Sqlite, Gateway>,
    retry: RetryConfig,
    limit: LocalLimit,
    timing: TimingLayer<Gateway>,
    audit: AuditLog<Sqlite>,
}

impl Acquirer {
    pub fn new(url: &str, payments: &Sqlite, shop: &Sqlite, secrets: &Secrets) -> Result<Self, Error> {
        // a time-out shorter, and waits shorter, than one would choose outside a demonstration
        let plain = AcquirerClient::new(url, Duration::from_secs(2));
        let breaker = Breaker::new(BreakerConfig::default().open_for(Duration::from_secs(1)));
        let retry = RetryConfig::default().base(Duration::from_millis(50));
        let limit = LocalLimit::new(Quota::per_second(NonZeroU32::new(200).unwrap_or(NonZeroU32::MIN)));
        let timing = TimingLayer::gateway();
        let audit = AuditLog::new(shop.clone(), "payments", secrets.clone());
        let guard = IdempotencyLayer::gateway(payments.clone(), secrets.clone())?.config(in_flight());

        // the headline stack, its order checked by the compiler
        let charges = PaymentStack::gateway()
            .idempotency_layer(guard.clone())
            .screen(FraudLayer::sales(rules(shop, secrets)?))
            .circuit_breaker(breaker.clone())
            .retry(retry)
            .rate_limit(limit.clone())
            .observe(timing.clone())
            .audit(audit.clone())
            .service_for::<Call<Sale>, _>(plain.clone());
        let mut acquirer = Self {
            charges: BoxCloneSyncService::new(charges),
            refunds: BoxCloneSyncService::new(plain.clone()),
            plain,
            breaker,
            guard,
            retry,
            limit,
            timing,
            audit,
        };
        acquirer.refunds = acquirer.under_a_key();
        Ok(acquirer)
    }

    /// The stack for calls that come with a key in force: made by the inbound idempotency layer, or by a saga step.
    pub fn under_a_key<M: Exchange + Clone + Sync>(&self) -> Service<M, M::Answer> {
        let layers = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::gateway(self.breaker.clone()))
            .layer(RetryLayer::gateway(self.retry))
            .layer(RateLimitLayer::gateway(self.limit.clone()))
            .layer(self.timing.clone())
            .layer(AuditLayer::gateway(self.audit.clone()));
        BoxCloneSyncService::new(layers.service(self.plain.clone()))
    }

    pub async fn drain(&self, within: Duration) -> Result<(), StillRunning> {
        self.guard.drain(within).await
    }
}

/// Who is not served, and when somebody looks.
fn rules(shop: &Sqlite, secrets: &Secrets) -> Result<Engine, Error> {
    let engine = Engine::builder()
        .rule(Blocklist::default().customers([CustomerId::new("cus_eve")?]))
        .rule(HighAmount::new(["5000.00 EUR".parse()?, "5000.00 USD".parse()?]))
        .rule(Velocity::new(
            "instrument-per-minute",
            shop.clone(),
            secrets,
            1_000,
            Duration::from_secs(60),
            |facts| {
                facts
                    .instrument
                    .as_ref()
                    .map(|token: &InstrumentToken| token.as_str().to_owned())
            },
        ));
    Ok(engine.build()?)
}
