//! The layer over a gateway that counts what it books.

mod answers;
mod behind;
mod cut;
mod drain;
#[cfg(feature = "audit")]
mod findings;
mod headers;
mod in_transaction;
mod look_up;
mod oddities;
#[cfg(feature = "audit")]
mod operators;
mod over_http;
mod renewing;
#[cfg(feature = "seal")]
mod sealed;
mod settings;
mod stores;
mod stripe;
mod typed;
mod unheard;
mod upkeep;
mod waiting;

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use tollgate_core::gateway::{Call, NewPayment, Payment, Refund, RefundReceipt, Sale};
use tollgate_core::id::{IdempotencyKey, InstrumentToken, MerchantReference, PaymentId, RefundId};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::{ManualClock, Money, PaymentError, Secrets};
use tower_service::Service;

pub(super) type Answer = Result<Payment, PaymentError>;

/// Books a payment, then answers what the script says. Yields `pauses` times before and after booking, so that it can be
/// dropped at each.
#[derive(Clone)]
pub(super) struct Gateway {
    pub(super) booked: Arc<AtomicU32>,
    pub(super) calls: Arc<AtomicU32>,
    script: Arc<dyn Fn(u32, Payment) -> Scripted + Send + Sync>,
    pauses: u32,
    ready: bool,
}

pub(super) enum Scripted {
    /// Books, then answers this.
    Book(Answer),
    /// Books nothing, then answers this.
    Leave(Answer),
    /// Books, then panics.
    Panic,
}

impl Gateway {
    pub(super) fn new(script: impl Fn(u32, Payment) -> Scripted + Send + Sync + 'static) -> Self {
        Self {
            booked: Arc::default(),
            calls: Arc::default(),
            script: Arc::new(script),
            pauses: 0,
            ready: false,
        }
    }

    pub(super) fn booking() -> Self {
        Self::new(|_, payment| Scripted::Book(Ok(payment)))
    }

    pub(super) fn pausing(mut self, pauses: u32) -> Self {
        self.pauses = pauses;
        self
    }

    pub(super) fn booked(&self) -> u32 {
        self.booked.load(SeqCst)
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls.load(SeqCst)
    }
}

impl Service<Call<Sale>> for Gateway {
    type Response = Payment;
    type Error = PaymentError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), PaymentError>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<Sale>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without being made ready");
        assert!(call.context.key.is_some(), "no key in force");
        let number = self.calls.fetch_add(1, SeqCst);
        let (script, booked, pauses) = (Arc::clone(&self.script), Arc::clone(&self.booked), self.pauses);
        Box::pin(async move {
            pause(pauses).await;
            let id = PaymentId::new(format!("pay_{number}")).unwrap();
            let payment = Payment::captured(id, call.message.payment);
            let scripted = script(number, payment);
            if !matches!(scripted, Scripted::Leave(_)) {
                booked.fetch_add(1, SeqCst);
            }
            pause(pauses).await;
            match scripted {
                Scripted::Book(answer) | Scripted::Leave(answer) => answer,
                Scripted::Panic => panic!("scripted"),
            }
        })
    }
}

/// A refund, for keys that are used across operations.
impl Service<Call<Refund>> for Gateway {
    type Response = RefundReceipt;
    type Error = PaymentError;
    type Future = std::future::Ready<Result<RefundReceipt, PaymentError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), PaymentError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call<Refund>) -> Self::Future {
        let id = RefundId::new("re_1").unwrap();
        std::future::ready(Ok(RefundReceipt {
            id,
            payment: call.message.payment,
            amount: eur(1),
        }))
    }
}

async fn pause(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

pub(super) fn eur(minor: i64) -> Money {
    Money::from_minor(minor, tollgate_core::Currency::EUR)
}

pub(super) fn sale(key: &str, minor: i64) -> Call<Sale> {
    let instrument = InstrumentToken::new("tok_visa").unwrap();
    let reference = MerchantReference::new("order-1").unwrap();
    Call::new(Sale {
        key: IdempotencyKey::new(key).unwrap(),
        payment: NewPayment::new(eur(minor), instrument, reference),
    })
}

pub(super) fn store() -> (MemoryIdempotency, ManualClock) {
    let clock = ManualClock::default();
    (MemoryIdempotency::with(10_000, clock.clone()), clock)
}

pub(super) fn layer(store: MemoryIdempotency) -> IdempotencyLayer<MemoryIdempotency, crate::Gateway> {
    IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral())
}
