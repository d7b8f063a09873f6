//! Skipping the digits that cannot matter, which are nearly all: timestamps, amounts, ids and addresses.
//!
//! This is an optimisation and nothing else: whatever is skipped here would have been looked at and left alone. Without it
//! each of the ten or so numbers of a log line takes the long way through groups, chains and labels.

use super::digits::next_digit;
use super::label;
use super::pan::SHORTEST;
use crate::meter::tick;

/// More gap characters than this in a row end a number.
const GAP_AT_MOST: usize = 3;
/// A chain this near to the end of the text may go on in what is written next.
const CLEAR: usize = 8;

/// Where to read on, at `at` or later: past every chain of ASCII digits that is too short for a card number and holds no
/// security code.
pub(crate) fn skip(text: &[u8], at: usize, strict: bool) -> usize {
    let mut at = next_digit(text, at);
    while let Some(end) = end_of_harmless(text, at, strict) {
        at = next_digit(text, end);
    }
    at
}

/// Where the chain ends that begins at `at`, if it is surely harmless.
fn end_of_harmless(text: &[u8], at: usize, strict: bool) -> Option<usize> {
    let mut at = at;
    let mut digits = 0;
    loop {
        let length = text[at..]
            .iter()
            .take(SHORTEST)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        tick(length + 1);
        digits += length;
        let end = at + length;
        let code = matches!(length, 3 | 4) || (strict && length >= 4);
        if length == 0
            || digits >= SHORTEST
            || end + CLEAR > text.len()
            || (code && label::may_end(&text[..at]))
        {
            return None;
        }
        let gap = text[end..]
            .iter()
            .take(GAP_AT_MOST + 1)
            .take_while(|byte| is_gap(**byte))
            .count();
        match text[end + gap] {
            b'0'..=b'9' if (1..=GAP_AT_MOST).contains(&gap) => at = end + gap,
            b'%' | b'\\' | 0x80.. => return None,
            b'\n' | b'\r' if strict => return None,
            _ => return Some(end),
        }
    }
}

fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'-' | b'.' | b'+')
}
