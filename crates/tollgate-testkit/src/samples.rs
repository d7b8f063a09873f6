//! An ordinary claim, an ordinary answer and an ordinary sale, for tests that need some and are about something else.
//!
//! What a test is about, it says itself, over what stands here:
//!
//! ```
//! use tollgate_core::store::idempotency::{Begin, Begun, IdempotencyStore, Settled, Settlement};
//! use tollgate_core::store::memory::MemoryIdempotency;
//! use tollgate_testkit::samples;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let store = MemoryIdempotency::new();
//! let ours = samples::begin(samples::key(1), 1);
//! let token = samples::claim(&store, ours).await;
//! let theirs = Begin { owner: samples::begin(ours.key, 2).owner, ..ours };
//! assert!(matches!(store.begin(theirs).await.unwrap(), Begun::InFlight { .. }));
//!
//! let done = Settlement::Completed(samples::completion(b"charged"));
//! assert_eq!(store.settle(token, &done).await.unwrap(), Settled::Applied);
//! assert_eq!(store.begin(theirs).await.unwrap(), Begun::Replay(samples::completion(b"charged")));
//! # }
//! ```
//!
//! The properties of [`conformance`](crate::conformance) are made of these, too.

use std::time::Duration;
use tollgate_core::gateway::{Call, NewPayment, Payment, Sale};
use tollgate_core::id::{IdempotencyKey, InstrumentToken, InvalidText, MerchantReference, PaymentId};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Envelope, Evidence, Fingerprint, IdempotencyStore, Owner, RecordKey,
    Resolution, Resolve, Tenant, Token,
};
use tollgate_core::{Currency, Money, Timestamp};

/// A key: this byte, 32 times.
#[must_use]
pub const fn key(number: u8) -> RecordKey {
    RecordKey::new([number; 32])
}

/// A begin of this owner that arms, with a lease of a minute; its answer is kept for an hour. The request is number 1 (32 bytes of 1),
/// it counts on nobody's account, and there is no cap.
#[must_use]
pub const fn begin(key: RecordKey, owner: u128) -> Begin {
    Begin {
        key,
        fingerprint: Fingerprint::new([1; 32]),
        owner: Owner(owner),
        lease: Duration::from_secs(60),
        retention: Duration::from_secs(3600),
        arm: true,
        tenant: Tenant::NONE,
        most_open: u32::MAX,
    }
}

/// Begins, and expects the claim.
///
/// # Panics
/// When the key is not free, or the store fails.
pub async fn claim(store: &impl IdempotencyStore, begin: Begin) -> Token {
    match store.begin(begin).await {
        Ok(Begun::Acquired(token)) => token,
        Ok(other) => panic!("the key should have been free, but: {other:?}"),
        Err(error) => panic!("the store failed: {error:?}"),
    }
}

/// The answer of a payment that was carried out: status 201, this body, and nothing kept of its head.
#[must_use]
pub fn completion(body: &[u8]) -> Completion {
    Completion {
        executed: true,
        envelope: Some(Envelope {
            ok: true,
            status: 201,
            head: None,
            body: body.into(),
        }),
    }
}

/// Evidence about the claim of this token: somebody looked it up, from this moment on by the store's clock, and found this.
#[must_use]
pub fn resolve(token: Token, as_of: Timestamp, resolution: Resolution) -> Resolve {
    Resolve {
        key: token.key,
        epoch: token.epoch,
        as_of,
        resolution,
        evidence: Evidence {
            actor: "resolver".into(),
            reason: "looked it up".into(),
        },
    }
}

/// A sale of 19.99 EUR for this order, from the instrument `tok_visa`, under the key `<order>/pay`, with an empty context.
///
/// # Panics
/// When the order cannot be a [`MerchantReference`].
#[must_use]
pub fn sale(order: &str) -> Call<Sale> {
    Call::new(Sale {
        key: named(IdempotencyKey::new(format!("{order}/pay"))),
        payment: NewPayment::new(
            Money::from_minor(1999, Currency::EUR),
            named(InstrumentToken::new("tok_visa")),
            named(MerchantReference::new(order)),
        ),
    })
}

/// The answer to such a sale: taken in full, as the payment `pay_<number>`.
#[must_use]
pub fn payment(number: u32, asked: NewPayment) -> Payment {
    Payment::captured(named(PaymentId::new(format!("pay_{number}"))), asked)
}

fn named<T>(name: Result<T, InvalidText>) -> T {
    name.unwrap_or_else(|error| panic!("no name for a test: {error}"))
}
