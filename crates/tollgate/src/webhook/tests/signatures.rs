//! Who may say that something happened, and when: schemes and the window.

use super::*;
use proptest::prelude::*;

/// Vectors of the libraries/rust and libraries/javascript tests of standard-webhooks.
#[test]
fn standard_webhooks_vectors() {
    for (key, id, time, body, signature) in [
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ] {
        let scheme = StandardWebhooks::new(&[secret(key)]).unwrap();
        let at = Timestamp::from_unix_seconds(time);
        let signed = scheme.sign(id, at, body.as_bytes());
        assert_eq!(signed["webhook-signature"], signature);
        let found = scheme.authenticate(&signed, body.as_bytes()).unwrap();
        assert_eq!(
            found,
            Signed {
                id: Some(id.into()),
                at
            }
        );
    }
}

/// Vectors of async-stripe and webhook-verify; the whole secret is the key, `whsec_` included.
#[test]
fn stripe_vectors() {
    let long = concat!(
        r#"{"account":"acct_123","api_version":"2017-05-25","created":1533204620,"data":{"object":{"amount":1000,"#,
        r#""currency":"usd","customer":"cus_123","date":1533204620,"description":"Test Invoice Item","discountable":false,"#,
        r#""id":"ii_123","invoice":"in_123","livemode":false,"metadata":{},"object":"invoiceitem","period":{"end":1533204620,"#,
        r#""start":1533204620},"proration":false,"quantity":3,"quantity_decimal":"0"}},"id":"evt_123","livemode":false,"#,
        r#""object":"event","pending_webhooks":1,"request":{"id":"req_123","idempotency_key":"idempotency-key-123"},"#,
        r#""type":"invoiceitem.created"}"#
    );
    for (key, time, body, mac) in [
        (
            "secret",
            1_533_204_620,
            long,
            "d7373bc68f4bd320b253cd7461f87af6e1cdf1b4d7db1614d8d1d746972d2d0a",
        ),
        (
            "whsec_test_secret",
            1_700_000_000,
            r#"{"id":"evt_test_webhook","object":"event"}"#,
            "d95c6b7477fbd7e9f90b1b0ef5f9c7ac25abca5382460e0d988c2b2a5b71b990",
        ),
    ] {
        let signed = Stripe::new(&[secret(key)])
            .unwrap()
            .sign(Timestamp::from_unix_seconds(time), body.as_bytes());
        assert_eq!(signed["stripe-signature"], format!("t={time},v1={mac}").as_str());
    }
}

/// Behaviour vectors of stripe-go's client_test.go.
#[test]
fn stripe_takes_any_matching_signature_and_skips_the_rest() {
    let at = Timestamp::from_unix_seconds(1_700_000_000);
    let good = stripe().sign(at, BODY)["stripe-signature"]
        .to_str()
        .unwrap()
        .to_owned();
    let check = |header: &str| stripe().authenticate(&headers(&[("stripe-signature", header)]), BODY);
    assert!(check(&format!("{good},v1=bad_signature")).is_ok());
    assert!(check(&good.to_uppercase().replace("T=", "t=").replace("V1=", "v1=")).is_ok()); // seed W3
    assert_eq!(kind(check("v1,t=1")), RejectionKind::SignatureMalformed);
    assert_eq!(kind(check("t=")), RejectionKind::SignatureMalformed);
    assert_eq!(
        kind(check(&good.replace("v1=", "v0="))),
        RejectionKind::SignatureMalformed
    );
    assert_eq!(
        kind(check(&format!("{good},t=1"))),
        RejectionKind::SignatureMalformed
    ); // seed W5
    let many = format!("t=1700000000{}", ",v1=00".repeat(100_000)); // seed W7
    assert_eq!(kind(check(&many)), RejectionKind::SignatureMalformed);
}

/// seed W1, W2, W4: non-ASCII and huge values raised, lenient integers were taken.
#[test]
fn odd_timestamps_are_refused() {
    let mac = "0".repeat(64);
    let huge = "9".repeat(400);
    for time in [
        "+1700000000",
        "-1",
        "1_700_000_000",
        "１７００",
        " 1700000000",
        "1e9",
        "",
        "0x10",
        "Infinity",
        &huge,
    ] {
        let mut map = HeaderMap::new();
        let header = format!("t={time},v1={mac}");
        map.insert(
            "stripe-signature",
            http::HeaderValue::from_bytes(header.as_bytes()).unwrap(),
        );
        assert_eq!(
            kind(stripe().authenticate(&map, BODY)),
            RejectionKind::SignatureMalformed,
            "{time}"
        );
    }
}

/// seed W13: rotation worked only if the sender signed twice.
#[test]
fn either_side_may_rotate_first() {
    let at = Timestamp::from_unix_seconds(1);
    let (old, new) = (secret("old"), secret("new"));
    let sender = |secrets: &[Secret<String>]| Stripe::new(secrets).unwrap().sign(at, BODY);
    let both = [old.clone(), new.clone()];
    for (signed, accepted) in [
        (sender(&both[..1]), &both[..]),
        (sender(&both[1..]), &both[..]),
        (sender(&both), &both[1..]),
    ] {
        assert!(Stripe::new(accepted).unwrap().authenticate(&signed, BODY).is_ok());
    }
}

#[test]
fn unusable_secrets_are_refused_when_built() {
    assert_eq!(Stripe::new(&[]).unwrap_err(), UnusableSecret::None);
    assert_eq!(
        Stripe::new(&[secret("a"), secret(" ")]).unwrap_err(),
        UnusableSecret::Empty { place: 2 }
    );
    assert_eq!(
        StandardWebhooks::new(&[secret("whsec_")]).unwrap_err(),
        UnusableSecret::Empty { place: 1 }
    );
    assert_eq!(
        StandardWebhooks::new(&[secret("whsec_?")]).unwrap_err(),
        UnusableSecret::Undecodable { place: 1 }
    );
    assert!(!format!("{:?}", stripe()).contains("test_secret"));
}

proptest! {
    #[test]
    fn no_header_makes_it_panic(bytes in proptest::collection::vec(0x20u8..=0xff, 0..200)) {
        let Ok(value) = http::HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let mut map = HeaderMap::new();
        for name in ["stripe-signature", "webhook-id", "webhook-timestamp", "webhook-signature"] {
            map.insert(name, value.clone());
        }
        prop_assert!(stripe().authenticate(&map, BODY).is_err());
    }

    #[test]
    fn one_changed_bit_is_seen(body in proptest::collection::vec(any::<u8>(), 1..100), bit: prop::sample::Index) {
        let signed = stripe().sign(Timestamp::EPOCH, &body);
        let mut changed = body.clone();
        let bit = bit.index(body.len() * 8);
        changed[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(stripe().authenticate(&signed, &body).is_ok());
        prop_assert!(stripe().authenticate(&signed, &changed).is_err());
    }
}

#[test]
fn the_window_has_two_sides_and_its_ends_belong_to_it() {
    let now = Timestamp::from_unix_seconds(1_700_000_000);
    let tolerance = Duration::from_secs(300);
    for (offset, ok) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
        let at = Timestamp::from_unix_seconds(1_700_000_000 + offset);
        assert_eq!(window(at, now, tolerance).is_ok(), ok, "{offset}");
    }
    assert!(window(Timestamp::MAX, now, tolerance).is_err());
}

/// `msg_1` at T over `T2.rest` and `msg_1.T` at T2 over `rest` are signed alike.
#[test]
fn an_id_with_a_full_stop_is_refused() {
    let scheme = StandardWebhooks::new(&[secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]).unwrap();
    let signed = scheme.sign(
        "msg_1",
        Timestamp::from_unix_seconds(1_700_000_000),
        b"1700000001.5",
    );
    assert!(scheme.authenticate(&signed, b"1700000001.5").is_ok());
    let shifted = headers(&[
        ("webhook-id", "msg_1.1700000000"),
        ("webhook-timestamp", "1700000001"),
        ("webhook-signature", signed["webhook-signature"].to_str().unwrap()),
    ]);
    assert_eq!(
        kind(scheme.authenticate(&shifted, b"5")),
        RejectionKind::SignatureMalformed
    );
}
