//! The magnetic stripe's tracks 1 and 2 (ISO/IEC 7813), plain and URL-encoded.

use super::groups::Group;
use super::{luhn, pan};
use crate::finding::Kind;
use crate::meter::tick;
use std::ops::Range;

/// A name on track 1 is of 2 to 26 characters; what is longer than this is another thing.
const NAME_AT_MOST: usize = 120;
/// Track 1 holds 79 characters, up to three bytes each when URL-encoded.
const TAIL_AT_MOST: usize = 240;

/// The track around this group, if it is a track's number.
pub(crate) fn around(text: &[u8], group: &Group) -> Option<(Kind, Range<usize>)> {
    match text.get(group.end)? {
        b'^' | b'=' | b'D' | b'd' | b'%' => {}
        _ => return None,
    }
    let first = first(text, group).map(|range| (Kind::Track1, range));
    first.or_else(|| second(text, group).map(|range| (Kind::Track2, range)))
}

/// The extent of track 1 around the number: `%B4111111111111111^DOE/JOHN^2512101...?`, sentinels optional.
fn first(text: &[u8], number: &Group) -> Option<Range<usize>> {
    let digits = number.digits().filter(|digits| digits.len() >= pan::SHORTEST)?;
    let before = &text[..number.start];
    if !before.ends_with(b"B") && !before.ends_with(b"b") {
        return None;
    }
    let start = number.start - sentinel_before(before);
    let name = number.end + separator(&text[number.end..], b'^')?;
    let name_length = name_length(&text[name..])?;
    tick(name_length);
    let expiry = name + name_length + separator(&text[name + name_length..], b'^')?;
    let dated = text
        .get(expiry..expiry + 4)
        .is_some_and(|date| date.iter().all(u8::is_ascii_digit));
    if name_length < 2 || !dated || !luhn::passes(digits) {
        return None;
    }
    let mut end = expiry;
    let rest = |end: usize| {
        text.get(end)
            .filter(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'"'))
    };
    while end - expiry < TAIL_AT_MOST && rest(end).is_some() && sentinel(text, end) == 0 {
        end += 1;
    }
    tick(end - expiry);
    Some(start..end + sentinel(text, end))
}

/// How long the name is that the next separator ends, on the same line.
fn name_length(text: &[u8]) -> Option<usize> {
    let text = &text[..text.len().min(NAME_AT_MOST)];
    let end = |&at: &usize| matches!(text[at], b'\r' | b'\n') || separator(&text[at..], b'^').is_some();
    (0..text.len()).find(end)
}

/// The extent of track 2 around the number: `;4111111111111111=25121011234567890?`, sentinels optional, `=` or `D`.
fn second(text: &[u8], number: &Group) -> Option<Range<usize>> {
    let digits = number.digits().filter(|digits| digits.len() >= pan::SHORTEST)?;
    let rest = &text[number.end..];
    let expiry = match rest.first()? {
        b'D' | b'd' => 1,
        _ => separator(rest, b'=')?,
    };
    // Four digits of expiry and three of service code, then what the issuer likes.
    let length = rest[expiry..]
        .iter()
        .take(TAIL_AT_MOST)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    tick(length);
    let month = rest.get(expiry + 2..expiry + 4)?;
    let possible = matches!(month, [b'0', b'1'..=b'9'] | [b'1', b'0'..=b'2']);
    if length < 7 || !possible || !luhn::passes(digits) || pan::evidence_needed(digits).is_none() {
        return None;
    }
    let before = &text[..number.start];
    let own = matches!(before, [.., b';'] | [.., b'%', b'3', b'B' | b'b']);
    let start = number.start - if own { sentinel_before(before) } else { 0 };
    let padded = number.end + expiry + length;
    let end = padded + usize::from(matches!(text.get(padded), Some(b'F' | b'f')));
    Some(start..end + sentinel(text, end))
}

/// The length of a start sentinel at the end of the text: `%B` of track 1 and `;` of track 2, plain or as percent escapes,
/// or the mere `B`. Nothing if there is none.
pub(crate) fn sentinel_before(text: &[u8]) -> usize {
    match text {
        [.., b'%', b'2', b'5', b'B' | b'b'] => 4,
        [.., b'%', b'3', b'B' | b'b'] => 3,
        [.., b'%', b'B' | b'b'] => 2,
        [.., b'B' | b'b' | b';'] => 1,
        _ => 0,
    }
}

/// The length of a separator at the start of the text, plain or as a percent escape.
fn separator(text: &[u8], plain: u8) -> Option<usize> {
    let escape = [
        b'%',
        b"0123456789abcdef"[usize::from(plain >> 4)],
        b"0123456789abcdef"[usize::from(plain & 15)],
    ];
    match text.first()? {
        byte if *byte == plain => Some(1),
        _ => text.get(..3)?.eq_ignore_ascii_case(&escape).then_some(3),
    }
}

/// The length of the end sentinel at `at`: `?`, `%3F` or nothing.
fn sentinel(text: &[u8], at: usize) -> usize {
    text.get(at..).and_then(|rest| separator(rest, b'?')).unwrap_or(0)
}
