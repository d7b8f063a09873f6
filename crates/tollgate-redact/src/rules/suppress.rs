//! Numbers that look like a card number's digits and are something else: UUIDs, hashes, addresses, IBANs.

use super::iban;
use crate::meter::tick;
use std::ops::Range;

/// A hexadecimal token of at least this length, with a letter in it, is a hash or an id.
const HASH_LENGTH: usize = 24;

/// Whether these digits are part of something that is no card number.
pub(crate) fn is_something_else(text: &[u8], digits: &Range<usize>) -> bool {
    in_hexadecimal(text, digits) || in_uuid(text, digits) || iban::covers(text, digits)
}

/// Within a long hexadecimal token, or after `0x`.
///
/// A group of digits has no digit next to it, so a token around it has a letter exactly if one stands next to it.
fn in_hexadecimal(text: &[u8], digits: &Range<usize>) -> bool {
    let run = |bytes: &mut dyn Iterator<Item = &u8>| {
        bytes
            .take(HASH_LENGTH)
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count()
    };
    tick(2 * HASH_LENGTH);
    let before = run(&mut text[..digits.start].iter().rev());
    let after = run(&mut text[digits.end..].iter());
    let addressed = matches!(text[..digits.start - before], [.., b'0', b'x' | b'X']);
    let token =
        leading_run(&text[digits.clone()]).max(trailing_run(&text[digits.clone()])) + before.max(after);
    let solid = text[digits.clone()].iter().all(u8::is_ascii_digit);
    let whole = if solid {
        before + digits.len() + after
    } else {
        token
    };
    addressed || (before + after > 0 && whole >= HASH_LENGTH)
}

fn leading_run(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn trailing_run(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

/// `8-4-4-4-12` hexadecimal digits.
fn in_uuid(text: &[u8], digits: &Range<usize>) -> bool {
    const LENGTH: usize = 36;
    let first = digits.start.saturating_sub(LENGTH - 1);
    tick(LENGTH + digits.len());
    (first..digits.end).any(|start| {
        text.get(start + 8) == Some(&b'-')
            && text.get(start..start + LENGTH).is_some_and(|candidate| {
                candidate.iter().enumerate().all(|(index, byte)| match index {
                    8 | 13 | 18 | 23 => *byte == b'-',
                    _ => byte.is_ascii_hexdigit(),
                })
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suppressed(text: &str, digits: &str) -> bool {
        let start = text.find(digits).unwrap();
        is_something_else(text.as_bytes(), &(start..start + digits.len()))
    }

    #[test]
    fn ids_are_told_from_card_numbers() {
        let pan = "4111111111111111";
        assert!(suppressed("deadbeef4111111111111111deadbeef", pan));
        assert!(suppressed("0x4111111111111111", pan));
        assert!(!suppressed("card_4111111111111111", pan));
        assert!(!suppressed("ab4111111111111111cd", pan));
        assert!(suppressed(
            "01234567-4111-4111-8111-111111111111",
            "4111-4111-8111-111111111111"
        ));
        assert!(!suppressed("deadbeef-4111-1111-1111-1111", "4111-1111-1111-1111"));
    }

    #[test]
    fn a_grouped_number_next_to_a_short_word_is_not_a_hash() {
        assert!(!suppressed(
            "abcde 4111 1111 1111 1111 fade",
            "4111 1111 1111 1111"
        ));
        assert!(!suppressed("abc4111 1111 1111 1111", "4111 1111 1111 1111"));
    }
}
