//! Numbers that look like a card number's digits and are something else: UUIDs, hashes, addresses, IBANs.

use super::groups::Groups;
use super::{iban, track};
use crate::meter::tick;
use std::ops::Range;

/// A hexadecimal token of at least this length, with a letter in it, is a hash or an id.
const HASH_LENGTH: usize = 24;

/// Whether these digits are part of something that is no card number. `left` is the text before them, masked.
pub(crate) fn is_something_else(left: &[u8], text: &[u8], digits: &Range<usize>) -> bool {
    in_hexadecimal(left, text, digits) || in_uuid(text, digits) || iban::covers(text, digits)
}

/// Within a long hexadecimal token, or after `0x`.
///
/// A group of digits has no digit next to it, so a token that reaches further than the group has a letter in it.
fn in_hexadecimal(left: &[u8], text: &[u8], digits: &Range<usize>) -> bool {
    let (inside, right) = (&text[digits.clone()], &text[digits.end..]);
    let before = run(left.iter().rev(), u8::is_ascii_hexdigit);
    let after = before_a_track(text, digits.end, run(right.iter(), u8::is_ascii_hexdigit));
    tick(before + after);
    if is_address(&left[..left.len() - before]) {
        return true;
    }
    let solid = inside.iter().all(u8::is_ascii_digit);
    // Of several groups, the first and the last may each belong to a token.
    let first = before + run(inside.iter(), u8::is_ascii_digit) + if solid { after } else { 0 };
    let last = after + run(inside.iter().rev(), u8::is_ascii_digit) + if solid { before } else { 0 };
    (before > 0 && first >= HASH_LENGTH) || (after > 0 && last >= HASH_LENGTH)
}

/// How much of the token that goes on at `end` stands before a track: `2a` of `2a4111111111111111D2512101` is no part of a hash.
fn before_a_track(text: &[u8], end: usize, length: usize) -> usize {
    if length == 0 {
        return 0;
    }
    Groups::new(text, end, false, false)
        .take_while(|group| group.start < end + length)
        .find_map(|group| track::around(text, &group))
        .map_or(length, |(_, track)| track.start.saturating_sub(end).min(length))
}

/// Whether the text ends with `0x`, and not with a number and an x as in `920x`.
fn is_address(left: &[u8]) -> bool {
    match left {
        [rest @ .., b'0', b'x' | b'X'] => !rest.last().is_some_and(u8::is_ascii_alphanumeric),
        _ => false,
    }
}

/// How many bytes in a row are of a kind, counted as far as it matters.
fn run<'a>(bytes: impl Iterator<Item = &'a u8>, kind: fn(&u8) -> bool) -> usize {
    bytes.take(HASH_LENGTH).take_while(|byte| kind(byte)).count()
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
        is_something_else(
            &text.as_bytes()[..start],
            text.as_bytes(),
            &(start..start + digits.len()),
        )
    }

    #[test]
    fn ids_are_told_from_card_numbers() {
        let pan = "4111111111111111";
        assert!(suppressed("deadbeef4111111111111111deadbeef", pan));
        assert!(suppressed("0x4111111111111111", pan));
        assert!(!suppressed("920x4111111111111111", pan));
        assert!(!suppressed("card_4111111111111111", pan));
        assert!(!suppressed("ab4111111111111111cd", pan));
        assert!(suppressed(
            "01234567-4111-4111-8111-111111111111",
            "4111-4111-8111-111111111111"
        ));
        assert!(!suppressed("4111111111111111a4000000000000002D2512101", pan));
        assert!(!suppressed("4111111111111111aB4000000000000002^A B^2512", pan));
        assert!(suppressed("4111111111111111a4000000000000002D", pan)); // a hash may end in a D
        assert!(!suppressed("deadbeef-4111-1111-1111-1111", "4111-1111-1111-1111"));
    }

    #[test]
    fn a_grouped_number_next_to_a_short_word_is_not_a_hash() {
        assert!(!suppressed(
            "abcde 4111 1111 1111 1111 fade",
            "4111 1111 1111 1111"
        ));
        assert!(!suppressed("abc4111 1111 1111 1111", "4111 1111 1111 1111"));
        assert!(!suppressed(
            "4000000000000002a620000 0000000000000",
            "620000 0000000000000"
        ));
    }
}
