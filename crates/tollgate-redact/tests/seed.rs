//! What the Python library this one follows got wrong about redaction, defect by defect. The names in brackets are those
//! of the study that found them.

use std::borrow::Cow;
use tollgate_redact::{Kind, Redactor, redact};

const PAN: &str = "4111111111111111";

#[track_caller]
fn unchanged(text: &str) {
    assert!(
        matches!(redact(text), Cow::Borrowed(_)),
        "{text} became {}",
        redact(text)
    );
}

#[track_caller]
fn becomes(text: &str, expected: &str) {
    assert_eq!(redact(text), expected, "from {text}");
}

/// Ten numbers that pass the check digit, so that luck with one is not taken for a rule.
fn cards() -> Vec<String> {
    (0..10)
        .map(|index| {
            let body = format!("41111111111{index}{index}7{index}");
            let sum: u32 = body
                .bytes()
                .rev()
                .enumerate()
                .map(|(place, byte)| match (place % 2, u32::from(byte - b'0')) {
                    (1, digit) => digit,
                    (_, digit) if digit > 4 => digit * 2 - 9,
                    (_, digit) => digit * 2,
                })
                .sum();
            format!("{body}{}", (10 - sum % 10) % 10)
        })
        .collect()
}

/// Seed 2.C: a greedy match swallowed the digits next to the number, the check digit of the whole failed, and nine of ten
/// numbers beside an amount, a count or a date leaked.
#[test]
fn digits_beside_a_number_do_not_hide_it() {
    for card in cards() {
        let masked = format!("************{}", &card[12..]);
        for (before, after) in [
            ("charged ", " 25.00 USD"),
            ("", " 3 items"),
            ("2024-01-01 ", " ok"),
            ("12 ", ""),
            ("2024-09-27 10:12:34,567 ", " ok"),
            ("amount 1000 ", " 7"),
        ] {
            becomes(
                &format!("{before}{card}{after}"),
                &format!("{before}{masked}{after}"),
            );
        }
        becomes(
            &format!("{card} 12/25 123"),
            &format!("{masked} 12/25 [REDACTED_CVV]"),
        );
    }
}

/// Seed 2.C: spellings of which not one in a thousand was found.
#[test]
fn every_spelling_is_found() {
    for text in [
        "card4111111111111111",
        "pan_4111111111111111",
        "4111111111111111USD",
        "4111.1111.1111.1111",
        "4111  1111  1111  1111",
        "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        "4111%201111%201111%201111",
        "4111\u{2013}1111\u{2013}1111\u{2013}1111",
        "\\u0034\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031\\u0031",
        "\u{ff14}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}",
    ] {
        let out = redact(text);
        assert!(out.contains("************1111"), "{text} became {out}");
    }
    becomes("4111111111111111 12/25", "************1111 12/25");
}

/// Seed 2.C: a number wrapped at a line end leaked. That is for the strict profile, as most lines of digits are no card.
#[test]
fn a_wrapped_number_is_found_by_the_strict_profile() {
    let strict = Redactor::new().strict(true);
    assert_eq!(strict.redact("4111 1111\n1111 1111"), "************1111");
    assert_eq!(strict.redact("4111-1111-\r\n1111-1111"), "************1111");
    unchanged("4111 1111\n1111 1111");
}

/// Seed R36, R37: one in ten timestamps and ids was masked, as its last digit happened to fit.
#[test]
fn timestamps_and_ids_are_left() {
    for number in 0..2000u64 {
        unchanged(&format!("at {} ms", 1_700_000_000_000 + number * 7919));
        unchanged(&format!(
            "at {} ns",
            1_700_000_000_000_000_000 + number * 7_919_000_000
        ));
        unchanged(&format!("id {}", 7_000_000_000_000_000 + number * 7919));
    }
}

/// Seed R20, R21, F9: prose between a percent sign or a semicolon and a question mark was destroyed as track data.
#[test]
fn prose_is_not_track_data() {
    unchanged("10% of the calls were retried, why?");
    unchanged("the call timed out; was the card charged?");
    unchanged("%s charge status unknown, retry?");
    unchanged("; drop table payments; really?");
}

/// Seed R14: `{"cvv": "123"}` lost a quote, and so the line was no JSON any more. A bare number became bare stars.
#[test]
fn json_stays_json() {
    becomes(r#"{"cvv": "123"}"#, r#"{"cvv": "[REDACTED_CVV]"}"#);
    becomes(r#"{"cvv": 123}"#, r#"{"cvv": "[REDACTED_CVV]"}"#);
    becomes(
        r#"{"number": 4111111111111111}"#,
        r#"{"number": "************1111"}"#,
    );
    becomes(
        r#"{"number": -4111111111111111}"#,
        r#"{"number": "************1111"}"#,
    );
}

/// Seed R15 to R17: labels of a security code that were not known.
#[test]
fn security_codes_are_found_by_every_label() {
    becomes("card_cvv=123", "card_cvv=[REDACTED_CVV]");
    becomes(r#"{"cvvCode":"123"}"#, r#"{"cvvCode":"[REDACTED_CVV]"}"#);
    becomes("cvv is 123", "cvv is [REDACTED_CVV]");
    becomes("The cvv was 123.", "The cvv was [REDACTED_CVV].");
    becomes(
        "customerCvc: Some(\"123\")",
        "customerCvc: Some(\"[REDACTED_CVV]\")",
    );
}

/// Seed R34: of five digits after the label, four were replaced and the fifth stayed.
#[test]
fn five_digits_are_no_security_code() {
    unchanged("cvv: 12345");
}

/// Seed R19: `cid` is an id far more often than a security code.
#[test]
fn cid_is_a_label_in_the_strict_profile_only() {
    unchanged("cid: 1234");
    assert_eq!(
        Redactor::new().strict(true).redact("cid: 1234"),
        "cid: [REDACTED_CVV]"
    );
}

/// Seed R33: sixteen zeros passed for a card number.
#[test]
fn zeros_are_no_card_number() {
    unchanged("0000000000000000");
    unchanged("card 0000000000000000");
}

/// Seed R35: PINs were never masked, IBANs now and then.
#[test]
fn pins_and_ibans() {
    let strict = Redactor::new().strict(true);
    assert_eq!(strict.redact("pin=1234"), "pin=[REDACTED_PIN]");
    unchanged("DE89 3704 0044 0532 0130 00");
    unchanged("expires 12/25");
}

/// Seed RD1, RD5, F6: integers were passed over, and so was a value whose label stood elsewhere.
#[test]
fn a_value_is_masked_in_the_light_of_its_field() {
    let redactor = Redactor::new();
    assert_eq!(redactor.redact_field("cvv", &123.to_string()), "[REDACTED_CVV]");
    assert_eq!(
        redactor.redact_field("pan", &4_111_111_111_111_112_u64.to_string()),
        "************1112"
    );
    assert_eq!(redactor.redact_field("note", PAN), "************1111");
    for name in [
        "cvv",
        "CVC",
        "cvv2",
        "cvc2",
        "cid",
        "security_code",
        "securityCode",
        "card_security_code",
    ] {
        assert_eq!(redactor.redact_field(name, "987"), "[REDACTED_CVV]", "{name}");
    }
    for name in ["track1", "track2", "track_data", "trackData"] {
        assert!(
            redactor
                .redact_field(name, "anything")
                .starts_with("[REDACTED_TRACK"),
            "{name}"
        );
    }
    for name in [
        "card_number",
        "cardNumber",
        "cardnumber",
        "pan",
        "primary_account_number",
    ] {
        assert_eq!(
            redactor.redact_field(name, "4111 1111 1111 1112"),
            "************1112",
            "{name}"
        );
    }
    for name in ["cvv_result", "cvc_check", "company", "span", "pinned", "shipping"] {
        assert_eq!(redactor.redact_field(name, "123"), "123", "{name}");
    }
}

/// Seed F2, F11: what is no text was passed over. Here everything is bytes in the end.
#[test]
fn bytes_are_masked_too() {
    assert_eq!(
        &*tollgate_redact::redact_bytes(b"\xff\xfe 4111111111111111 \x80"),
        b"\xff\xfe ************1111 \x80"
    );
}

/// Seed F7, F8: an error on the way broke the application, or let the raw text through. Nothing here can fail.
#[test]
fn nothing_fails_on_odd_input() {
    for text in [
        "",
        "%",
        "\\u",
        "\\",
        "4",
        "%4",
        "\u{0}4111",
        "cvv",
        "cvv:",
        "[",
        "B4111111111111111^",
        "4111111111111111D",
    ] {
        drop(redact(text));
    }
}

/// Seed M7, X11: what is reported about a secret must not hold it.
#[test]
fn a_finding_does_not_hold_the_number() {
    let found = Redactor::new().find(PAN.as_bytes());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), Kind::CardNumber);
    assert!(!format!("{found:?}").contains("4111"));
}

/// The six digits that a mask shows must not become part of another number when the text is masked again.
#[test]
fn what_a_mask_shows_is_no_part_of_another_number() {
    let redactor = Redactor::new().show(tollgate_redact::Shown::FirstSixLastFour);
    let once = redactor
        .redact("card 6011 1741 3834 7049340000000000009=")
        .into_owned();
    assert_eq!(redactor.redact(&once), once);
}
