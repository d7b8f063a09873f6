//! The security code that nobody labels: number, expiry, code, the order of stolen-card dumps (`PAN|12|2025|123`).

use crate::meter::tick;
use std::ops::Range;

/// More separators than this between two fields, and they do not belong together.
const SEPARATORS_AT_MOST: usize = 3;

/// The security code that follows an expiry, which follows a number that ends at `at`.
pub(crate) fn code_after(text: &[u8], at: usize) -> Option<Range<usize>> {
    let at = after_separators(text, at)?;
    let at = after_date(text, at)?;
    let at = after_separators(text, at)?;
    let start = after_name(text, at);
    let length = digits(text, start);
    tick(2 * SEPARATORS_AT_MOST + 16);
    let glued = text.get(start + length).is_some_and(u8::is_ascii_alphanumeric);
    (matches!(length, 3 | 4) && !glued).then_some(start..start + length)
}

/// Past one to three separators.
fn after_separators(text: &[u8], at: usize) -> Option<usize> {
    let separator = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'|' | b',' | b';' | b':');
    let count = text[at..]
        .iter()
        .take(SEPARATORS_AT_MOST + 1)
        .take_while(separator)
        .count();
    (1..=SEPARATORS_AT_MOST).contains(&count).then_some(at + count)
}

/// Past `12/25`, `12/2025`, `1225`, `12|2025` and the like. Years are of this and the two decades around it.
fn after_date(text: &[u8], at: usize) -> Option<usize> {
    let at = match text[at..] {
        [b'0', b'1'..=b'9', ..] | [b'1', b'0'..=b'2', ..] => at + 2,
        [b'1'..=b'9', ..] => at + 1,
        _ => return None,
    };
    let at = at + usize::from(matches!(text.get(at), Some(b'/' | b'-' | b'|' | b' ')));
    match text[at..] {
        [b'2', b'0', b'2'..=b'4', b'0'..=b'9', ..] => Some(at + 4),
        [b'2'..=b'4', b'0'..=b'9', ..] => Some(at + 2),
        _ => None,
    }
}

/// Past `cvv`, which a dump may repeat before each code.
fn after_name(text: &[u8], at: usize) -> usize {
    if !text[at..]
        .get(..3)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"cvv"))
    {
        return at;
    }
    let rest = &text[at + 3..];
    at + 3
        + rest
            .iter()
            .take(SEPARATORS_AT_MOST)
            .take_while(|byte| matches!(byte, b' ' | b':' | b'='))
            .count()
}

/// How many digits, counted up to five: one more than any code has.
fn digits(text: &[u8], at: usize) -> usize {
    text[at..]
        .iter()
        .take(5)
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<&str> {
        code_after(text.as_bytes(), 0).map(|range| &text[range])
    }

    #[test]
    fn a_code_is_found_behind_every_way_to_write_an_expiry() {
        for text in [
            " 12/25 123",
            "|12|2025|123",
            " 12-2025 123",
            ",1225,123",
            "; 1/25; 123",
            " 12/25 cvv: 123",
            " 12 25 123",
        ] {
            assert_eq!(code(text), Some("123"), "{text}");
        }
        assert_eq!(code(" 12/25 1234"), Some("1234"));
    }

    #[test]
    fn other_numbers_after_a_card_number_are_left() {
        for text in [
            "",
            " 25.00 USD",
            " 12/25",
            " 13/25 123",
            " 12/25 12345",
            " 12/25 123abc",
            "    12/25 123",
            "12/25 123",
            " 12/99 123",
        ] {
            assert_eq!(code(text), None, "{text}");
        }
    }
}
