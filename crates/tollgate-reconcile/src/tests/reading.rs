//! Text to rows: exact, or an error that names side, line and field and keeps the value to itself.

use crate::{Fault, Field, NotAWord, RawRow, Reader, Side, Status, StatusMap, StatusWord};
use proptest::prelude::*;
use tollgate_core::gateway::PaymentStatus::{Authorized, Captured};
use tollgate_core::money::Exponents;

fn good() -> RawRow {
    RawRow::new("order-1", "19.99", "EUR", "captured", "2026-01-02T03:04:05Z").payment("ch_1")
}

fn fault(change: impl FnOnce(&mut RawRow)) -> (Field, Fault) {
    let mut raw = good();
    change(&mut raw);
    let bad = Reader::new(Side::Ledger).read(7, &raw).unwrap_err();
    assert_eq!((bad.side, bad.line), (Side::Ledger, 7));
    assert!(bad.to_string().starts_with("ledger line 7: "), "{bad}");
    (bad.field, bad.fault)
}

#[test]
fn a_good_row_is_read_exactly() {
    let row = Reader::new(Side::Ledger).read(7, &good()).unwrap();
    assert_eq!(
        row.to_string(),
        "order-1 19.99 EUR captured 2026-01-02T03:04:05.000000Z (line 7)"
    );
    assert_eq!(row.payment.unwrap().as_str(), "ch_1");
}

type Place = fn(&mut RawRow) -> &mut String;

#[test]
fn every_field_has_its_errors() {
    use Fault::*;
    let cases: [(&str, Place, Field, Fault); 25] = [
        ("", |r| &mut r.reference, Field::Reference, Empty),
        ("order 1", |r| &mut r.reference, Field::Reference, Character),
        (
            "4111111111111111",
            |r| &mut r.reference,
            Field::Reference,
            CardNumber,
        ),
        ("", |r| &mut r.amount, Field::Amount, Empty),
        ("+5", |r| &mut r.amount, Field::Amount, NotANumber),
        ("1_000", |r| &mut r.amount, Field::Amount, NotANumber),
        ("1,000.00", |r| &mut r.amount, Field::Amount, NotANumber),
        ("5.", |r| &mut r.amount, Field::Amount, NotANumber),
        (".5", |r| &mut r.amount, Field::Amount, NotANumber),
        ("--5", |r| &mut r.amount, Field::Amount, NotANumber),
        ("５", |r| &mut r.amount, Field::Amount, NotANumber),
        ("0.001", |r| &mut r.amount, Field::Amount, TooPrecise),
        (
            "0.00000000000000000000000000000001",
            |r| &mut r.amount,
            Field::Amount,
            TooPrecise,
        ),
        ("92233720368547758.08", |r| &mut r.amount, Field::Amount, TooLarge),
        (
            "99999999999999999999999999999999999",
            |r| &mut r.amount,
            Field::Amount,
            TooLarge,
        ),
        ("", |r| &mut r.currency, Field::Currency, Empty),
        ("EURO", |r| &mut r.currency, Field::Currency, UnknownCurrency),
        ("XAU", |r| &mut r.currency, Field::Currency, UnknownCurrency),
        ("", |r| &mut r.status, Field::Status, Empty),
        ("4111 1111", |r| &mut r.status, Field::Status, NotAWord),
        ("", |r| &mut r.at, Field::At, Empty),
        ("yesterday", |r| &mut r.at, Field::At, NotATime),
        ("1700000000", |r| &mut r.at, Field::At, NotATime),
        ("ch 1", |r| &mut r.payment, Field::Payment, Character),
        ("4111111111111111", |r| &mut r.payment, Field::Payment, CardNumber),
    ];
    for (text, at, field, what) in cases {
        assert_eq!(fault(|raw| *at(raw) = text.into()), (field, what), "{text:?}");
    }
    assert_eq!(
        fault(|raw| raw.reference = "x".repeat(256)),
        (Field::Reference, TooLong)
    );
}

#[test]
fn minor_units_follow_the_gateway() {
    let reader = Reader::new(Side::Gateway)
        .minor_units(Exponents::stripe())
        .unix_seconds();
    let read = |amount: &str, currency: &str| {
        let raw = RawRow::new("a", amount, currency, "captured", "1700000000");
        reader
            .read(1, &raw)
            .map(|row| row.amount.to_string())
            .map_err(|bad| bad.fault)
    };
    assert_eq!(read("500", "isk").unwrap(), "5 ISK");
    assert_eq!(read("501", "isk").unwrap_err(), Fault::TooPrecise);
    assert_eq!(read("-5", "jpy").unwrap(), "-5 JPY");
    assert_eq!(read("5.00", "eur").unwrap_err(), Fault::TooPrecise);
    assert_eq!(read("9223372036854775808", "eur").unwrap_err(), Fault::TooLarge);
}

#[test]
fn a_time_that_does_not_fit_is_refused_not_clamped() {
    let reader = Reader::new(Side::Gateway).unix_seconds();
    let read = |at: &str| {
        reader
            .read(1, &RawRow::new("a", "1", "EUR", "captured", at))
            .map(|row| row.at.unix_seconds())
    };
    assert_eq!(read("-5").unwrap(), -5);
    assert_eq!(read("9223372036854775807").unwrap_err().fault, Fault::NotATime);
}

#[test]
fn words_have_one_spelling_and_a_meaning_of_their_own() {
    let words = StatusMap::new()
        .with("Requires Capture", Authorized)
        .unwrap()
        .with("refunded", Captured)
        .unwrap();
    assert_eq!(words.read("requires-capture").unwrap(), Status::Known(Authorized));
    assert_eq!(
        words.read("refunded").unwrap(),
        Status::Known(Captured),
        "what is set goes before our own names"
    );
    assert_eq!(words.read("unknown").unwrap().understood(), None);
    assert_eq!(words.read("T0006").unwrap().to_string(), "\"t0006\"?");
    for not in [
        "",
        "-",
        "5",
        "4111111111111111",
        "cvv 12345",
        "a".repeat(41).as_str(),
        "größe",
        "a;b",
    ] {
        assert_eq!(words.read(not), Err(NotAWord), "{not:?}");
    }
}

#[test]
fn unread_text_is_not_printed() {
    let raw = RawRow::new("4111111111111111", "4111111111111111", "x", "cvv 123", "now");
    assert!(!format!("{raw:?}").contains("4111"));
    assert!(!format!("{raw:?}").contains("cvv"));
}

#[test]
fn raw_rows_come_from_json() {
    let json = r#"{"reference":"a","amount":"1.00","currency":"EUR","status":"captured","at":"2026-01-02T03:04:05Z"}"#;
    let raw: RawRow = serde_json::from_str(json).unwrap();
    let row = Reader::new(Side::Ledger).read(1, &raw).unwrap();
    let back: crate::Row = serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap();
    assert_eq!(back, row);
}

proptest! {
    /// Whatever stands in the fields, an error repeats nothing of it and a reader does not panic.
    #[test]
    fn errors_repeat_no_value(fields in prop::collection::vec("[0-9a-zA-Z .,:-]{8,24}|\\PC{0,20}", 6)) {
        let raw = RawRow {
            reference: fields[0].clone(),
            amount: fields[1].clone(),
            currency: fields[2].clone(),
            status: fields[3].clone(),
            at: fields[4].clone(),
            payment: fields[5].clone(),
        };
        if let Err(bad) = Reader::new(Side::Gateway).read(3, &raw) {
            let shown = format!("{bad} {bad:?} {}", serde_json::to_string(&bad).unwrap());
            for field in fields.iter().filter(|field| field.len() >= 8) {
                prop_assert!(!shown.contains(field.as_str()), "{shown:?} holds {field:?}");
            }
        }
    }

    #[test]
    fn amounts_survive_their_text(minor in any::<i64>()) {
        let money = tollgate_core::Money::from_minor(minor, tollgate_core::Currency::EUR);
        let raw = RawRow { amount: money.to_decimal().to_string(), ..good() };
        prop_assert_eq!(Reader::new(Side::Ledger).read(1, &raw).unwrap().amount, money);
    }

    /// No word can hold a card number, however it is written.
    #[test]
    fn words_hold_no_card_number(text in "[0-9a-z _-]{0,45}") {
        if let Ok(word) = StatusWord::new(&text) {
            prop_assert!(word.as_str().bytes().filter(u8::is_ascii_digit).count() <= 4);
        }
    }
}
