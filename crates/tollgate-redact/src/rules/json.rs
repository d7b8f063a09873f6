//! Whether a number stands bare in JSON, where its mask needs quotes for the line to stay JSON.

use crate::meter::tick;
use std::ops::Range;

/// More white space than this between a number and its neighbours is not looked through.
const SPACE_AT_MOST: usize = 64;
/// A fraction or exponent longer than this is none.
const FRACTION_AT_MOST: usize = 32;

/// Knows of a place in a text whether it lies within a string of JSON, and whether its line begins as JSON does.
///
/// It reads every byte at most once, however many places are asked for: looking back to the start of the line for each
/// number would be quadratic in lines of many numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strings {
    at: usize,
    inside: bool,
    line: Line,
}

/// What the line that is being read has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Blank,
    Json,
    Other,
}

impl Strings {
    /// Whether `at` lies in a line of JSON, outside of its strings. The places asked for must not go backwards.
    fn leave_bare(&mut self, text: &[u8], at: usize) -> bool {
        self.read_to(text, at);
        self.line == Line::Json && !self.inside
    }

    /// Reads on to `at`.
    pub(crate) fn read_to(&mut self, text: &[u8], at: usize) {
        tick(at.saturating_sub(self.at));
        while self.at < at {
            match text[self.at] {
                b'"' => self.inside = !self.inside,
                b'\\' if self.inside => self.at += 1,
                b'\n' => (self.inside, self.line) = (false, Line::Blank),
                _ => {}
            }
            if self.line == Line::Blank {
                self.line = match text.get(self.at) {
                    Some(b'{' | b'[') => Line::Json,
                    Some(b' ' | b'\t' | b'\r' | b'\n') => Line::Blank,
                    _ => Line::Other,
                };
            }
            self.at += 1;
        }
    }

    /// The same knowledge of a text whose first `count` bytes were taken away and `before` bytes put in their place.
    pub(crate) fn rebased(self, count: usize, before: usize) -> Self {
        Self {
            at: (self.at + before).saturating_sub(count),
            ..self
        }
    }
}

/// The extent of the bare JSON number with these digits, its sign, fraction and exponent with it; `None` if it is no such
/// thing.
pub(crate) fn bare_number(text: &[u8], digits: &Range<usize>, strings: &mut Strings) -> Option<Range<usize>> {
    let end = digits.end + fraction(&text[digits.end..]);
    let start = digits.start - usize::from(text[..digits.start].ends_with(b"-"));
    let before = trimmed_before(text, start);
    let next = next_visible(text, end);
    let closes = matches!(next, Some(b',' | b'}' | b']'));
    let bare = match text[..before] {
        [.., b':'] => (closes || matches!(next, None | Some(b'\n'))) && ends_with_key(&text[..before - 1]),
        [.., b'[' | b','] => closes && strings.leave_bare(text, start),
        _ => false,
    };
    bare.then_some(start..end)
}

/// `"key"`, with or without space after it; not `\"key\"`, which stands within a string.
fn ends_with_key(text: &[u8]) -> bool {
    let text = &text[..trimmed_before(text, text.len())];
    text.ends_with(b"\"") && !text.ends_with(b"\\\"")
}

/// Where the visible text before `at` ends, on the same line.
fn trimmed_before(text: &[u8], at: usize) -> usize {
    let space = text[..at]
        .iter()
        .rev()
        .take(SPACE_AT_MOST)
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    tick(space);
    at - space
}

/// The next byte that is no space, or the end of the line.
fn next_visible(text: &[u8], at: usize) -> Option<u8> {
    let rest = text[at..].iter().take(SPACE_AT_MOST);
    tick(1);
    rest.copied().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'))
}

/// `.0` and `e+15`, or nothing.
fn fraction(text: &[u8]) -> usize {
    let digits = |from: usize| {
        text[from..]
            .iter()
            .take(FRACTION_AT_MOST)
            .take_while(|byte| byte.is_ascii_digit())
            .count()
    };
    let point = match text.first() {
        Some(b'.') if digits(1) > 0 => 1 + digits(1),
        _ => return 0,
    };
    let sign = match text.get(point..) {
        Some([b'e' | b'E', b'+' | b'-', ..]) => 2,
        Some([b'e' | b'E', ..]) => 1,
        _ => return point,
    };
    if digits(point + sign) > 0 {
        point + sign + digits(point + sign)
    } else {
        point
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_bare(text: &str) -> bool {
        let start = text.find("4111").unwrap();
        let end = start + 16;
        bare_number(text.as_bytes(), &(start..end), &mut Strings::default()).is_some()
    }

    #[test]
    fn a_number_within_a_string_needs_no_quotes() {
        assert!(is_bare(r#"{"n": 4111111111111111}"#));
        assert!(is_bare(r#"{"n":4111111111111111.0e0 ,"m":1}"#));
        assert!(is_bare(r#"[1, 4111111111111111, 2]"#));
        assert!(
            is_bare(r#"  "n": 4111111111111111"#),
            "the last member of an object printed over several lines"
        );
        assert!(!is_bare(r#"{"text":"cards 1, 4111111111111111, 2"}"#));
        assert!(!is_bare(r#"{"text":"she said \"a\", [4111111111111111]"}"#));
        assert!(!is_bare(r#"{"text":"{\"n\":4111111111111111}"}"#));
        assert!(!is_bare("cards=[4111111111111111, 2]"));
        assert!(!is_bare("Card { number: 4111111111111111, cvc: 1 }"));
    }
}
