//! The mock gateway books as it says, and what its callers see is what its table promises.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;
use tollgate_core::gateway::{
    Authorize, Call, Capture, GetPayment, Lookup, LookupPayment, NewPayment, PaymentStatus, Refund, Sale,
    Void,
};
use tollgate_core::id::{InstrumentToken, MerchantReference, PaymentId};
use tollgate_core::{Currency, Effect, Fault, IdempotencyKey, KeyInForce, PaymentErrorKind};
use tollgate_testkit::gateway::{Mishap, MockGateway};
use tower_service::Service;

fn payment(reference: &str) -> NewPayment {
    NewPayment::new(
        "10.00 EUR".parse().unwrap(),
        InstrumentToken::new("tok_visa").unwrap(),
        MerchantReference::new(reference).unwrap(),
    )
}

fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name).unwrap()
}

fn in_force<M>(message: M, seed: &str) -> Call<M> {
    let mut call = Call::new(message);
    call.context.key = Some(KeyInForce::for_step(seed.as_bytes()));
    call
}

fn sale(reference: &str) -> Call<Sale> {
    in_force(
        Sale {
            key: key(reference),
            payment: payment(reference),
        },
        reference,
    )
}

fn euro() -> Currency {
    Currency::from_code("EUR").unwrap()
}

/// Every mishap, with what the table in its documentation says: bookings after the call, the caller's view, and bookings after a
/// repeat under the same key.
#[tokio::test(start_paused = true)]
async fn every_mishap_does_what_its_table_says() {
    let wait = Duration::from_secs(5);
    for (mishap, booked, effect, kind, after_repeat) in [
        (
            Mishap::NotConnected,
            0,
            Effect::NotSent,
            PaymentErrorKind::Network,
            1,
        ),
        (
            Mishap::LostBefore,
            0,
            Effect::Unknown,
            PaymentErrorKind::Network,
            1,
        ),
        (
            Mishap::TimeoutBefore,
            0,
            Effect::Unknown,
            PaymentErrorKind::Timeout,
            1,
        ),
        (
            Mishap::LostAfter,
            1,
            Effect::Unknown,
            PaymentErrorKind::Network,
            1,
        ),
        (
            Mishap::TimeoutAfter,
            1,
            Effect::Unknown,
            PaymentErrorKind::Timeout,
            1,
        ),
        (
            Mishap::FailsBefore,
            0,
            Effect::Unknown,
            PaymentErrorKind::Gateway,
            1,
        ),
        (
            Mishap::FailsAfter,
            1,
            Effect::Unknown,
            PaymentErrorKind::Gateway,
            1,
        ),
        (
            Mishap::Declines("do_not_honor"),
            0,
            Effect::Declined,
            PaymentErrorKind::Declined,
            0,
        ),
        (
            Mishap::NeedsAuthentication,
            0,
            Effect::Declined,
            PaymentErrorKind::AuthenticationRequired,
            0,
        ),
        (
            Mishap::TurnsAway(wait),
            0,
            Effect::TurnedAway,
            PaymentErrorKind::RateLimited,
            1,
        ),
    ] {
        let mut gateway = MockGateway::new();
        gateway.plan([mishap.clone()]);
        let error = gateway.call(sale("order-1")).await.unwrap_err();
        assert_eq!(
            (error.verdict().effect, error.kind()),
            (effect, kind),
            "{mishap:?}"
        );
        assert_eq!(gateway.ledger().charges("order-1"), booked, "{mishap:?}");
        let again = gateway.call(sale("order-1")).await;
        assert_eq!(
            gateway.ledger().charges("order-1"),
            after_repeat,
            "{mishap:?} and a repeat"
        );
        match again {
            Ok(payment) => assert_eq!(payment.status, PaymentStatus::Captured),
            Err(same) => assert_eq!(same, error, "a remembered no is the same no"),
        }
        assert_eq!((gateway.calls(), gateway.planned()), (2, 0));
    }
    let mut gateway = MockGateway::new();
    gateway.plan([Mishap::TurnsAway(wait)]);
    assert_eq!(
        gateway
            .call(sale("order-1"))
            .await
            .unwrap_err()
            .verdict()
            .retry_after,
        Some(wait)
    );
}

/// Without deduplication, or without a key, the same repeats charge twice: what the layers have to prevent.
#[tokio::test]
async fn without_dedup_a_repeat_is_a_second_charge() {
    for gateway in [
        MockGateway::new().without_dedup(),
        MockGateway::new().without_key(),
    ] {
        let mut gateway = gateway;
        gateway.plan([Mishap::LostAfter]);
        gateway.call(sale("order-1")).await.unwrap_err();
        gateway.call(sale("order-1")).await.unwrap();
        assert_eq!(gateway.ledger().charges("order-1"), 2);
        assert_eq!(gateway.ledger().moved(euro()), 2_000);
    }
    let key = KeyInForce::for_step(b"order-1");
    let mut call = sale("order-1");
    call.context.key = Some(key.clone());
    MockGateway::new().without_key().call(call.clone()).await.unwrap();
    assert!(!key.is_taken(), "an adapter that sends no key takes none");
    MockGateway::new().call(call).await.unwrap();
    assert!(key.is_taken());
}

/// One key is one request: as real gateways do, the mock refuses it for another.
#[tokio::test]
async fn a_key_belongs_to_one_request() {
    let mut gateway = MockGateway::new();
    gateway.call(sale("order-1")).await.unwrap();
    let mut other = sale("order-2");
    other.context.key = sale("order-1").context.key;
    let error = gateway.call(other).await.unwrap_err();
    assert_eq!(error.kind(), PaymentErrorKind::IdempotencyConflict);
    assert_eq!(gateway.ledger().bookings().len(), 1);
}

#[tokio::test]
async fn a_delivery_that_arrives_twice_is_booked_once_per_key() {
    for (gateway, bookings) in [(MockGateway::new(), 1), (MockGateway::new().without_dedup(), 2)] {
        let mut gateway = gateway;
        gateway.plan([Mishap::ArrivesTwice]);
        gateway.call(sale("order-1")).await.unwrap();
        assert_eq!(gateway.ledger().charges("order-1"), bookings);
        assert_eq!((gateway.arrived(), gateway.calls()), (2, 1));
    }
}

/// The look-up finds nothing, and yet the charge comes: absence is not proved by one look.
#[tokio::test(start_paused = true)]
async fn a_late_booking_is_invisible_until_it_comes() {
    let mut gateway = MockGateway::new().patience(Duration::from_secs(10));
    gateway.plan_for("sale", [Mishap::BooksLate(Duration::from_secs(60))]);
    let start = tokio::time::Instant::now();
    gateway.call(sale("order-1")).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(10));
    let look = |gateway: &MockGateway| {
        let by = LookupPayment::ByReference(MerchantReference::new("order-1").unwrap());
        let mut gateway = gateway.clone();
        async move { gateway.call(Call::new(by)).await.unwrap() }
    };
    assert_eq!(look(&gateway).await, Lookup::NotFound);
    tokio::time::sleep(Duration::from_secs(51)).await;
    assert!(matches!(look(&gateway).await, Lookup::Found(_)));
    assert_eq!(gateway.ledger().charges("order-1"), 1);
}

/// A slow answer that nobody waits for any more is a booking all the same; a call that was never polled is none.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_booked_once_it_was_polled() {
    let mut gateway = MockGateway::new();
    gateway.otherwise(Mishap::Slow(Duration::from_secs(60)));
    drop(gateway.call(sale("never-polled")));
    assert_eq!(gateway.calls(), 0);
    let late = tokio::time::timeout(Duration::from_secs(1), gateway.call(sale("order-1"))).await;
    assert!(late.is_err());
    assert_eq!(gateway.ledger().charges("order-1"), 1);
    gateway.otherwise(None);
    let by_key = LookupPayment::ByKey(KeyInForce::for_step(b"order-1").downstream_key("mock"));
    assert!(matches!(
        gateway.call(Call::new(by_key)).await.unwrap(),
        Lookup::Found(_)
    ));
}

/// The life of a payment, and what the rules of the books refuse.
#[tokio::test]
async fn the_books_follow_the_rules() {
    let mut gateway = MockGateway::new();
    let authorize = Authorize {
        key: key("a"),
        payment: payment("order-1"),
    };
    let held = gateway.call(in_force(authorize, "a")).await.unwrap();
    assert_eq!(
        (held.status, gateway.ledger().moved(euro())),
        (PaymentStatus::Authorized, 0)
    );
    let capture = |amount: &str, seed: &str| {
        let amount = Some(amount.parse().unwrap());
        in_force(
            Capture {
                key: key(seed),
                payment: held.id.clone(),
                amount,
            },
            seed,
        )
    };
    let refund = |amount: Option<&str>, seed: &str| {
        let amount = amount.map(|amount| amount.parse().unwrap());
        in_force(
            Refund {
                key: key(seed),
                payment: held.id.clone(),
                amount,
                reason: None,
            },
            seed,
        )
    };
    let void = |seed: &str| {
        in_force(
            Void {
                key: key(seed),
                payment: held.id.clone(),
                reason: None,
            },
            seed,
        )
    };

    for wrong in ["10.01 EUR", "1.00 USD", "0.00 EUR", "-1.00 EUR"] {
        let error = gateway.call(capture(wrong, wrong)).await.unwrap_err();
        assert_eq!(error.kind(), PaymentErrorKind::InvalidRequest, "{wrong}");
    }
    assert_eq!(
        gateway.call(refund(None, "early")).await.unwrap_err().kind(),
        PaymentErrorKind::AlreadyDone
    );
    let taken = gateway.call(capture("8.00 EUR", "c")).await.unwrap();
    assert_eq!(taken.status, PaymentStatus::PartiallyCaptured);
    assert_eq!(
        gateway.call(capture("1.00 EUR", "c2")).await.unwrap_err().kind(),
        PaymentErrorKind::AlreadyDone
    );
    // a captured payment is refunded, not voided
    assert_eq!(
        gateway.call(void("v")).await.unwrap_err().kind(),
        PaymentErrorKind::AlreadyDone
    );

    assert_eq!(
        gateway.call(refund(Some("3.00 EUR"), "r1")).await.unwrap().amount,
        "3.00 EUR".parse().unwrap()
    );
    assert_eq!(
        gateway
            .call(refund(Some("5.01 EUR"), "r2"))
            .await
            .unwrap_err()
            .kind(),
        PaymentErrorKind::InvalidRequest
    );
    assert_eq!(
        gateway.call(refund(None, "r3")).await.unwrap().amount,
        "5.00 EUR".parse().unwrap()
    );
    assert_eq!(
        gateway.call(refund(None, "r4")).await.unwrap_err().kind(),
        PaymentErrorKind::AlreadyDone
    );

    let found = gateway
        .call(Call::new(GetPayment {
            payment: held.id.clone(),
        }))
        .await
        .unwrap();
    assert_eq!(found.status, PaymentStatus::Refunded);
    assert_eq!(gateway.ledger().moved(euro()), 0);
    let counts =
        ["authorize", "capture", "refund", "void"].map(|operation| gateway.ledger().count(operation));
    assert_eq!(counts, [1, 1, 2, 0]);
    let unknown = GetPayment {
        payment: PaymentId::new("pay_99").unwrap(),
    };
    assert_eq!(
        gateway.call(Call::new(unknown)).await.unwrap_err().kind(),
        PaymentErrorKind::NotFound
    );
}

/// Plans for one operation wait for it; what is planned for any goes to the next call.
#[tokio::test]
async fn plans_find_their_operation() {
    let mut gateway = MockGateway::new();
    gateway.plan_for("refund", [Mishap::NotConnected]);
    gateway.plan([Mishap::FailsBefore]);
    gateway.call(sale("order-1")).await.unwrap_err();
    let paid = gateway.call(sale("order-1")).await.unwrap();
    let refund = Refund {
        key: key("r"),
        payment: paid.id,
        amount: None,
        reason: None,
    };
    assert_eq!(gateway.planned(), 1);
    assert_eq!(
        gateway
            .call(in_force(refund.clone(), "r"))
            .await
            .unwrap_err()
            .verdict()
            .effect,
        Effect::NotSent
    );
    gateway.call(in_force(refund, "r")).await.unwrap();
    assert_eq!(gateway.planned(), 0);
}
