use super::*;
use ::http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

fn with(values: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(
            IDEMPOTENCY_KEY,
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    headers
}

#[test]
fn malformed_keys_are_refused_and_never_ignored() {
    let long = "k".repeat(256);
    for bad in [
        "",
        " ",
        "a,b",
        "a b",
        "a\"b",
        "\"open",
        "\"bad \\x escape\"",
        "\"a\" b",
        "\"\"",
        // two lines that a proxy has made one of: as if the second key were not there
        "\"a\", \"b\"",
        "\"a\";v=1, \"b\"",
        "\"a\";v, \"b\";w",
        "\"a\";v=\"1\", \"b\"",
        "\"a\";",
        "\"a\";=1",
        "\"a\";V=1",
        "\"a\";v=",
        "\"a\";v=\"open",
        "\"a\";v=1 b",
        "é",
        &long,
    ] {
        let refused = key_of(&with(&[bad])).expect_err(bad);
        assert_eq!(
            refused.kind(),
            tollgate_core::RejectionKind::KeyInvalid,
            "{bad:?}"
        );
    }
    assert!(
        key_of(&with(&["a", "a"])).is_err(),
        "a repeated header, even of one value"
    );
}

#[test]
fn usual_keys_are_taken() {
    for (header, key) in [
        (
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
        ), // 36 bytes: Lemmy ignores it
        ("a:b/c", "a:b/c"), // crate `idempotent` refuses what the draft allows
        (r#""a \"quoted\" key""#, r#"a "quoted" key"#),
        (r#""k";v=1"#, "k"),
        (r#""k"; v;w=?0; *x.y="a, \"b\"; c";z=:YWJj:"#, "k"),
    ] {
        assert_eq!(key_of(&with(&[header])).unwrap().unwrap().as_str(), key);
    }
}

proptest! {
    #[test]
    fn quoted_and_bare_forms_are_one_key(key in "[!#-+\\--\\[\\]-~]{1,255}") {
        let quoted = format!("\"{key}\"");
        prop_assert_eq!(key_of(&with(&[&quoted])).unwrap(), key_of(&with(&[&key])).unwrap());
    }

    #[test]
    fn no_header_makes_it_panic(bytes in proptest::collection::vec(0x20u8..=0xff, 0..300)) {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            headers.insert(IDEMPOTENCY_KEY, value);
            let _ = key_of(&headers);
        }
    }
}
