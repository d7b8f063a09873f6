//! A caller of ours: begin and settle through the layer.

use crate::Failure;
use crate::load::Caller;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tollgate::Gateway;
use tollgate::idempotency::{Idempotency, IdempotencyLayer};
use tollgate_core::gateway::{Call, NewPayment, Payment, Sale};
use tollgate_core::id::{IdempotencyKey, InstrumentToken, MerchantReference, PaymentId};
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_core::{Currency, Money, PaymentError, Secret, Secrets};
use tower::{Layer, Service};

/// Books at once.
#[derive(Clone)]
pub(crate) struct Books(Payment);

impl Service<Call<Sale>> for Books {
    type Response = Payment;
    type Error = PaymentError;
    type Future = Ready<Result<Payment, PaymentError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), PaymentError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call<Sale>) -> Self::Future {
        ready(Ok(self.0.clone()))
    }
}

/// Sells, each time under another key.
pub(crate) struct Sells<S> {
    service: Idempotency<Books, S, Gateway>,
    payment: NewPayment,
}

/// Keys of this process.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// So many callers of one layer over this store.
pub(crate) fn callers<S>(store: S, how_many: u32) -> Result<Vec<Sells<S>>, Failure>
where
    S: IdempotencyStore,
{
    let payment = NewPayment::new(
        Money::from_minor(1999, Currency::EUR),
        InstrumentToken::new("tok_visa")?,
        MerchantReference::new("order-4711")?,
    );
    let booked = Payment::captured(PaymentId::new("pay_3PqYd2eZvKYlo2C01")?, payment.clone());
    let layer = IdempotencyLayer::gateway(store, Secrets::new(&Secret::new(vec![7; 32]))?)?;
    let caller = |_| Sells {
        service: layer.layer(Books(booked.clone())),
        payment: payment.clone(),
    };
    Ok((0..how_many).map(caller).collect())
}

impl<S: IdempotencyStore> Caller for Sells<S> {
    async fn call(&mut self) -> Result<(), Failure> {
        let key = format!("{}/{}/pay", std::process::id(), SERIAL.fetch_add(1, Relaxed));
        let sale = Sale {
            key: IdempotencyKey::new(key)?,
            payment: self.payment.clone(),
        };
        self.service.call(Call::new(sale)).await?;
        Ok(())
    }
}

/// What a bare client writes: as many bytes as ours, in as many fields.
pub(crate) mod bytes {
    use super::{AtomicU64, Relaxed};

    /// A key that nobody had before.
    pub(crate) fn fresh_key() -> [u8; 32] {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let mut key = [0xA5; 32];
        // spread as a hash is: a key that only counts up would find its place in an index too easily
        let serial = SERIAL.fetch_add(1, Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        key[..8].copy_from_slice(&serial.to_be_bytes());
        key[8..12].copy_from_slice(&std::process::id().to_be_bytes());
        key
    }

    pub(crate) const OWNER: [u8; 16] = [0x5A; 16];
    pub(crate) const FINGERPRINT: [u8; 32] = [0x3C; 32];
    pub(crate) const NOW: i64 = 1_790_000_000_000_000;
    pub(crate) const RETENTION: i64 = 2_592_000_000_000;
    /// As long as a payment's stored form.
    pub(crate) const ANSWER: [u8; 79] = [0x7E; 79];
}
