//! Looking at the few bytes before a number: what it is glued to, and which name it is the value of.

use super::digits::escaped_byte;
use crate::meter::tick;

/// A name and its value are never further apart than this many pieces of punctuation.
const PUNCTUATION_AT_MOST: usize = 24;

/// What comes directly before a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// The start of the text, punctuation, an escape such as `%3D` or `\n`, or a colour code of a terminal.
    Border,
    /// A letter.
    Letter,
    /// A digit that is no part of the number.
    Digit,
    /// An underscore or a dash.
    Joint,
    /// A plus sign.
    Plus,
    /// A decimal point with a digit before it.
    Point,
}

/// What comes directly before `at`.
pub(crate) fn before(text: &[u8], at: usize) -> Before {
    let Some(&last) = text[..at].last() else {
        return Before::Border;
    };
    if escape_before(text, at) > 0 {
        return Before::Border;
    }
    match last {
        b'+' => Before::Plus,
        b'.' if text[..at - 1].last().is_some_and(u8::is_ascii_digit) => Before::Point,
        b'_' | b'-' => Before::Joint,
        b'0'..=b'9' => Before::Digit,
        b'a'..=b'z' | b'A'..=b'Z' => Before::Letter,
        _ => Before::Border,
    }
}

/// The length of the escape that ends at `at`, or nothing: `%3D`, `\n`, `\t`, or a terminal's colour code (`ESC [ 0 m`).
///
/// tracing-subscriber puts a colour code right before every value, so its `m` must not pass for a letter.
pub(crate) fn escape_before(text: &[u8], at: usize) -> usize {
    match text[..at] {
        [.., b'\\', b'n' | b'r' | b't'] => 2,
        [.., b'%', _, _] if escaped_byte(text, at - 3).is_some() => 3,
        [.., b'm'] => colour_before(text, at),
        _ => 0,
    }
}

fn colour_before(text: &[u8], at: usize) -> usize {
    let parameters = text[..at - 1]
        .iter()
        .rev()
        .take(16)
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b';'))
        .count();
    let start = at - 1 - parameters;
    if text[..start].ends_with(b"\x1b[") {
        parameters + 3
    } else {
        0
    }
}

/// Where the name ends whose value begins at `at`: `cvc` in `"cvc":"`, `<CVC>`, `cvc is `, `cvc%5D%3D` and `cvc: Some("`.
pub(crate) fn name_end(text: &[u8], at: usize) -> usize {
    let mut at = at;
    for _ in 0..PUNCTUATION_AT_MOST {
        tick(1);
        let length = match text[..at] {
            [
                ..,
                b'"' | b'\'' | b'\\' | b' ' | b'\t' | b'=' | b':' | b'>' | b'-' | b'_' | b'#',
            ] => 1,
            [.., b'(' | b')' | b'[' | b']' | b'{' | b'}'] => 1,
            [.., b'.'] if text.get(at) == Some(&b' ') => 1,
            _ => escape_before(text, at).max(linking_word(&text[..at])),
        };
        if length == 0 {
            break;
        }
        at -= length;
    }
    at
}

/// `is` and `was` of prose, and `Some` of Rust's `Debug`.
fn linking_word(text: &[u8]) -> usize {
    ["is", "was", "Some"]
        .into_iter()
        .find(|word| {
            let start = text.len().saturating_sub(word.len());
            text.ends_with(word.as_bytes()) && matches!(text[..start].last(), Some(b' ' | b':' | b'=' | b'm'))
        })
        .map_or(0, str::len)
}

/// Whether a word may begin at `at`: not within another, except at a hump (`customerCvc`).
pub(crate) fn word_starts(text: &[u8], at: usize) -> bool {
    match before(text, at) {
        Before::Letter => {
            text[at - 1].is_ascii_lowercase() && text.get(at).is_some_and(u8::is_ascii_uppercase)
        }
        Before::Digit => false,
        _ => true,
    }
}

/// Whether the text ends with this word, whatever its case.
pub(crate) fn ends_with(text: &[u8], word: &str) -> bool {
    tick(1);
    text.len()
        .checked_sub(word.len())
        .is_some_and(|start| text[start..].eq_ignore_ascii_case(word.as_bytes()))
}

/// The text without the spaces, dashes and underscores (at most four) that end it.
pub(crate) fn without_joints(text: &[u8]) -> &[u8] {
    let joints = text
        .iter()
        .rev()
        .take(4)
        .take_while(|byte| matches!(byte, b' ' | b'_' | b'-'))
        .count();
    &text[..text.len() - joints]
}

/// The text without the escaped brackets that end it, so that `card%5Bnumber` reads as `card[number`, and without joints.
pub(crate) fn without_brackets(text: &[u8]) -> &[u8] {
    let text = match text {
        [rest @ .., b'[' | b'.'] => rest,
        [rest @ .., b'%', b'5', b'B' | b'b'] => rest,
        _ => text,
    };
    without_joints(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> &str {
        &text[..name_end(text.as_bytes(), text.len())]
    }

    #[test]
    fn punctuation_between_a_name_and_its_value_is_stepped_over() {
        for text in [
            "cvc",
            "cvc=",
            "cvc: ",
            "\"cvc\":\"",
            "\\\"cvc\\\":\\\"",
            "cvc is ",
            "cvc: Some(\"",
            "cvc%5D=",
            "cvc => ",
        ] {
            assert!(name(text).ends_with("cvc"), "{text} gives {}", name(text));
        }
        assert_eq!(name("\x1b[3mcvc\x1b[0m\x1b[2m=\x1b[0m"), "\x1b[3mcvc");
        assert_eq!(name("this"), "this");
    }

    #[test]
    fn escapes_and_colours_are_no_letters() {
        assert_eq!(before(b"\x1b[0m", 4), Before::Border);
        assert_eq!(before(b"%3D", 3), Before::Border);
        assert_eq!(before(b"\\n", 2), Before::Border);
        assert_eq!(before(b"item", 4), Before::Letter);
        assert_eq!(before(b"0.", 2), Before::Point);
        assert_eq!(before(b"no.", 3), Before::Border);
    }
}
