//! What tower, axum and tokio ask of everything that is stacked: it can be sent, shared, cloned, and printed without secrets.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::time::Duration;
use tollgate::audit::{AuditLayer, AuditLog};
use tollgate::cache::{CacheKey, CacheLayer};
use tollgate::circuit_breaker::{Breaker, BreakerConfig, CircuitBreakerLayer};
use tollgate::deadline::DeadlineLayer;
use tollgate::fraud::{Engine, Facts, FraudLayer};
use tollgate::idempotency::IdempotencyLayer;
use tollgate::rate_limit::{LocalLimit, RateLimitLayer, StoredLimit};
use tollgate::retry::{RetryConfig, RetryLayer};
use tollgate::timing::TimingLayer;
use tollgate::webhook::{StandardWebhooks, WebhookLayer};
use tollgate_core::gateway::{Call, GetPayment, Payment, Sale};
use tollgate_core::store::memory::{MemoryAudit, MemoryDedup, MemoryIdempotency, MemoryQuota};
use tollgate_core::store::quota::Quota;
use tollgate_core::{PaymentError, Secret, Secrets};
use tower::{Layer, Service, service_fn};

type Body = Full<Bytes>;

fn quota() -> Quota {
    Quota::per_second(NonZeroU32::new(10).unwrap())
}

/// A layer, its service and its service's future, as a router needs them.
fn fits<S, L, Req>(layer: L, inner: S)
where
    L: Layer<S> + Clone + Send + Sync + Debug + 'static,
    L::Service: Service<Req, Future: Send + 'static> + Clone + Send + Sync + 'static,
    Req: 'static,
{
    let printed = format!("{layer:?}");
    assert!(!printed.contains("s3cret"), "{printed}");
    let _service = layer.layer(inner).clone();
}

#[test]
fn layers_fit_around_typed_calls() {
    let sale = || service_fn(|_: Call<Sale>| async { Err::<Payment, _>(PaymentError::timeout("x")) });
    let get = || service_fn(|_: Call<GetPayment>| async { Err::<Payment, _>(PaymentError::timeout("x")) });
    let secrets = Secrets::new(&Secret::new(b"s3cret s3cret s3cret s3cret s3cret".to_vec())).unwrap();
    let log = AuditLog::new(MemoryAudit::new(), "payments", secrets.clone());
    let breaker = Breaker::new(BreakerConfig::default());
    fits(AuditLayer::gateway(log), sale());
    fits(CircuitBreakerLayer::gateway(breaker), sale());
    fits(DeadlineLayer::gateway(Duration::from_secs(1)), sale());
    fits(FraudLayer::sales(Engine::builder().build().unwrap()), sale());
    fits(
        IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), secrets.clone()),
        sale(),
    );
    fits(RateLimitLayer::gateway(LocalLimit::new(quota())), sale());
    fits(
        RateLimitLayer::gateway(StoredLimit::new(MemoryQuota::new(), quota(), "q", secrets)),
        sale(),
    );
    fits(RetryLayer::gateway(RetryConfig::default()), sale());
    fits(TimingLayer::gateway(), sale());
    fits(
        CacheLayer::gateway(Duration::from_secs(1), |call: &Call<GetPayment>| {
            Some(CacheKey::shared(call.message.payment.as_str()))
        }),
        get(),
    );
}

#[test]
fn layers_fit_around_http_services() {
    let http =
        || service_fn(|_: Request<Body>| async { Ok::<_, Infallible>(Response::new(Body::default())) });
    let secrets = Secrets::ephemeral();
    let log = AuditLog::new(MemoryAudit::new(), "payments", secrets.clone());
    let breaker = Breaker::new(BreakerConfig::default());
    let scheme =
        StandardWebhooks::new(&[Secret::new("whsec_czNjcmV0czNjcmV0czNjcmV0czNjcmV0".into())]).unwrap();
    fits(AuditLayer::http(log), http());
    fits(CircuitBreakerLayer::http(breaker), http());
    fits(DeadlineLayer::http(Duration::from_secs(1)), http());
    fits(
        FraudLayer::http(Engine::builder().build().unwrap(), |_: &Request<Body>| {
            Facts::default()
        }),
        http(),
    );
    fits(
        IdempotencyLayer::dangerous_http(MemoryIdempotency::new(), secrets.clone()),
        http(),
    );
    fits(RateLimitLayer::http(LocalLimit::new(quota())), http());
    fits(TimingLayer::http(), http());
    fits(WebhookLayer::new(scheme, MemoryDedup::new()), http());
    fits(
        CacheLayer::http(Duration::from_secs(1), |request: &Request<Body>| {
            Some(CacheKey::shared(request.uri().path()))
        }),
        http(),
    );
}
