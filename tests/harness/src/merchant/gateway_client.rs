//! The adapter to the gateway, and the layers around it. It never repeats by itself.

use super::points::{Point, Points};
use crate::net::{self, Answer, Failure};
use http::Method;
use serde_json::json;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tollgate::circuit_breaker::{Breaker, BreakerConfig, CircuitBreakerLayer};
use tollgate::idempotency::GuardedHttp;
use tollgate::retry::{RetryConfig, RetryLayer};
use tollgate_core::gateway::{Call, Payment, Sale};
use tollgate_core::id::{DownstreamKey, PaymentId};
use tollgate_core::{PaymentError, PaymentErrorKind, Secrets};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceBuilder};

/// The name under which downstream keys are made for this gateway.
pub const PEER: &str = "gateway";

/// How long an answer may take.
pub const WITHIN: Duration = Duration::from_millis(400);

pub type Outbound = BoxCloneSyncService<Call<Sale>, Payment, PaymentError>;

/// What stands around the adapter, under every policy.
pub fn outbound(client: GatewayClient) -> Outbound {
    // this gateway fails so often that a breaker with its own times would stay open, and nothing would be sent that could go wrong
    let short = Duration::from_millis(100);
    let breaker = Breaker::new(BreakerConfig::default().open_for(short).max_open_for(short));
    let retry = RetryConfig::default().base(Duration::from_millis(10));
    let layers = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::gateway(breaker))
        .layer(RetryLayer::gateway(retry));
    BoxCloneSyncService::new(layers.service(client))
}

#[derive(Clone, Debug)]
pub struct GatewayClient {
    port: u16,
    dedup: bool,
    secrets: Secrets,
    points: Points,
}

impl GatewayClient {
    pub fn new(port: u16, dedup: bool, secrets: Secrets, points: Points) -> Self {
        Self {
            port,
            dedup,
            secrets,
            points,
        }
    }

    /// What is sent, and what an outcome is looked up by. Taking it from the claim says that the gateway deduplicates on it, which
    /// allows retry to repeat what may have happened. A gateway that does not is sent the same text as a mere reference. The wrong
    /// policies have no claim; what they send is as stable.
    fn key(&self, call: &Call<Sale>) -> DownstreamKey {
        match &call.context.key {
            Some(claim) if self.dedup => claim.downstream_key(PEER),
            Some(claim) => claim.reference(PEER),
            None => {
                let record = GuardedHttp::record_key(&self.secrets, None, &call.message.key);
                self.secrets.downstream_key(&record, PEER)
            }
        }
    }
}

impl Service<Call<Sale>> for GatewayClient {
    type Response = Payment;
    type Error = PaymentError;
    type Future = Pin<Box<dyn Future<Output = Result<Payment, PaymentError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), PaymentError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<Sale>) -> Self::Future {
        let (port, points, key) = (self.port, self.points.clone(), self.key(&call));
        Box::pin(async move {
            let payment = call.message.payment;
            let body =
                json!({ "reference": payment.reference.as_str(), "card": payment.instrument.as_str() });
            let headers = [("idempotency-key", key.as_str())];
            points.pass(Point::BeforeSend);
            let mut asked = pin!(net::ask(
                port,
                Method::POST,
                "/charges",
                &headers,
                Some(&body),
                WITHIN
            ));
            // some answers are there by then, most requests are still being worked on
            let early = tokio::time::timeout(Duration::from_millis(2), asked.as_mut()).await;
            points.pass(Point::AfterSend);
            let answer = match early {
                Ok(answer) => answer,
                Err(_) => asked.await,
            };
            Ok(Payment::captured(told(answer)?, payment))
        })
    }
}

/// Three ways of having no answer, and only one of them is harmless. Whatever is not listed is unknown.
fn told(answer: Result<Answer, Failure>) -> Result<PaymentId, PaymentError> {
    let answer = answer.map_err(|failure| {
        let text = failure.to_string();
        match failure {
            Failure::NotConnected(_) => PaymentError::not_connected(text),
            Failure::Lost(_) => PaymentError::connection_lost(text),
            Failure::TimedOut(_) => PaymentError::timeout(text),
        }
    })?;
    let unreadable = || PaymentError::new(PaymentErrorKind::Gateway, "the answer names no charge");
    match answer.status.as_u16() {
        201 => {
            let id = answer.json()["charge"]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(unreadable)?;
            PaymentId::new(id).map_err(|_| unreadable())
        }
        402 => Err(PaymentError::declined("declined", "bad_card")),
        429 => Err(PaymentError::rate_limited("the gateway limits us", None)),
        status => Err(PaymentError::new(
            PaymentErrorKind::Gateway,
            format!("the gateway answered {status}"),
        )),
    }
}
