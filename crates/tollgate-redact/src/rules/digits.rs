//! What the characters of a text are to a card number: a digit, part of a gap between digits, nothing, or its end.

use crate::meter::tick;

/// What one piece of the text is to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A decimal digit of any script, by its value.
    Digit(u8),
    /// A space or dash that may stand between two groups of digits.
    Gap(char),
    /// A line break, which is a gap in the strict profile and an end in the default one.
    Break,
    /// A character without width or meaning, such as U+200B: no part of anything.
    Invisible,
    /// Anything else.
    Other,
}

/// The zero of every run of decimal digits beyond ASCII (Unicode general category Nd).
const ZEROS: &[u32] = &[
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0,
    0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x10D40, 0x11066,
    0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x116D0, 0x116DA, 0x11730,
    0x118E0, 0x11950, 0x11BF0, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16A60, 0x16AC0, 0x16B50, 0x1CCF0,
    0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E5F1, 0x1E950, 0x1FBF0,
];

/// A percent-escaped gap such as `%20` is told from the bare character, as two kinds of gap never mix.
const ESCAPED: u32 = 0xF_0000;

/// What this character is to a number.
pub(crate) fn classify(character: char) -> Piece {
    match character {
        '0'..='9' => Piece::Digit(u8::try_from(u32::from(character) - u32::from('0')).unwrap_or_default()),
        ' ' | '\t' | '-' | '.' | '+' => Piece::Gap(character),
        '\n' | '\r' => Piece::Break,
        '\0'..='\x7f' => Piece::Other,
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => Piece::Gap(character),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{ff0d}' => Piece::Gap(character),
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => Piece::Invisible,
        _ => foreign_digit(character).map_or(Piece::Other, Piece::Digit),
    }
}

fn foreign_digit(character: char) -> Option<u8> {
    let code = u32::from(character);
    let zero = ZEROS[..ZEROS.partition_point(|&zero| zero <= code)].last()?;
    u8::try_from(code - zero).ok().filter(|&digit| digit < 10)
}

/// The piece that begins at `at`, and its length in bytes. Bytes that are no UTF-8 are `Other`, one at a time.
pub(crate) fn piece_at(text: &[u8], at: usize) -> (Piece, usize) {
    match text[at] {
        byte @ b'0'..=b'9' => (Piece::Digit(byte - b'0'), 1),
        b'%' => escaped_byte(text, at).map_or((Piece::Other, 1), |byte| (escaped_piece(byte), 3)),
        b'\\' => backslash(text, at),
        byte @ ..0x80 => (classify(char::from(byte)), 1),
        _ => decode(text, at).map_or((Piece::Other, 1), |character| {
            (classify(character), character.len_utf8())
        }),
    }
}

fn escaped_piece(byte: u8) -> Piece {
    match byte {
        b' ' | b'-' | b'\t' => char::from_u32(ESCAPED + u32::from(byte)).map_or(Piece::Other, Piece::Gap),
        b'\n' | b'\r' => Piece::Break,
        _ => Piece::Other,
    }
}

/// `\u0034` is the digit 4 (JSON), `\n` a line break within a quoted text.
fn backslash(text: &[u8], at: usize) -> (Piece, usize) {
    match text.get(at + 1) {
        Some(b'u') => {
            let code = text
                .get(at + 2..at + 6)
                .and_then(|digits| std::str::from_utf8(digits).ok());
            match code.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
                Some(digits) => {
                    let character = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                    (character.map_or(Piece::Other, classify), 6)
                }
                None => (Piece::Other, 1),
            }
        }
        Some(b'n' | b'r') => (Piece::Break, 2),
        _ => (Piece::Other, 1),
    }
}

/// How many bytes are judged at once while looking for a digit.
const STRIDE: usize = 32;
/// The longest way to write a digit, as `\uff14`, has its first ASCII digit this many bytes after its start at most.
const ESCAPE_AT_MOST: usize = 5;

/// Where to read on, at `at` or later, so as not to miss a digit of any script or spelling; or the end.
///
/// This is where the time goes in text without numbers, so it judges whole strides at a time, in a form that compilers
/// turn into vector instructions.
pub(crate) fn next_digit(text: &[u8], at: usize) -> usize {
    let mut here = at;
    for stride in text[at..].chunks(STRIDE) {
        tick(1);
        // In text with digits the next one is near, and a plain search finds it sooner.
        let near = here == at;
        let mut found = None;
        if near
            || stride
                .iter()
                .fold(false, |any, &byte| any | may_start_digit(byte))
        {
            found = stride.iter().position(|&byte| STARTS[usize::from(byte)]);
        }
        if let Some(offset) = found {
            return start_of_escape(text, at, here + offset);
        }
        here += stride.len();
    }
    text.len()
}

/// Where the escape begins that the digit at `digit` may be part of, but not before `from`; or `digit` itself.
fn start_of_escape(text: &[u8], from: usize, digit: usize) -> usize {
    let first = digit.saturating_sub(ESCAPE_AT_MOST).max(from);
    let escape = text[first..digit]
        .iter()
        .position(|byte| matches!(byte, b'%' | b'\\'));
    escape.map_or(digit, |offset| first + offset)
}

/// Where the last few bytes begin that what follows may turn into a digit, an escape or a track's start sentinel; the
/// length of the text if it ends cleanly.
pub(crate) fn unfinished_tail(text: &[u8]) -> usize {
    let from = text.len().saturating_sub(ESCAPE_AT_MOST + 1);
    let unfinished = |byte: &u8| matches!(byte, b'%' | b'\\' | b';' | b'B' | b'b' | 0x80..);
    text[from..]
        .iter()
        .position(unfinished)
        .map_or(text.len(), |offset| from + offset)
}

/// [`may_start_digit`] of every byte, for looking at one byte at a time.
const STARTS: [bool; 256] = {
    let mut starts = [false; 256];
    let mut byte = 0u8;
    loop {
        starts[byte as usize] = may_start_digit(byte);
        if byte == u8::MAX {
            break starts;
        }
        byte += 1;
    }
};

/// An ASCII digit (any escape of a digit has one), or the first byte of a UTF-8 sequence that may be a digit.
const fn may_start_digit(byte: u8) -> bool {
    byte.wrapping_sub(b'0') < 10
        || (byte >= 0xd9 && (byte <= 0xe1 || byte >= 0xea) && byte <= 0xf0 && byte != 0xda && byte != 0xdc)
}

/// The character that begins at `at`, if there is a whole one.
pub(crate) fn decode(text: &[u8], at: usize) -> Option<char> {
    let length = match text[at] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    std::str::from_utf8(text.get(at..at + length)?)
        .ok()?
        .chars()
        .next()
}

/// The byte that a percent escape at `at` stands for, if there is an escape.
///
/// Its digits belong to no number: in `%204111...` the number begins with the 4. Yet not every `%` with two hexadecimal
/// digits is an escape. The sentinel of track 1 is a `%`, so `%B4111...` is not the byte B4; and nobody escapes letters
/// and digits, so `50%4111...` is a percentage before a number.
pub(crate) fn escaped_byte(text: &[u8], at: usize) -> Option<u8> {
    let byte = hex_pair(text, at)?;
    let genuine = match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => false,
        0x80..=0xbf => at >= 3 && hex_pair(text, at - 3).is_some_and(|before| before >= 0x80),
        0xc0.. => text.get(at + 3) == Some(&b'%'),
        _ => true,
    };
    genuine.then_some(byte)
}

fn hex_pair(text: &[u8], at: usize) -> Option<u8> {
    let digit = |index| char::from(*text.get(index)?).to_digit(16);
    if text.get(at) != Some(&b'%') {
        return None;
    }
    u8::try_from(digit(at + 1)? * 16 + digit(at + 2)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zero_is_followed_by_its_nine() {
        for &zero in ZEROS {
            for value in 0..10u8 {
                let character = char::from_u32(zero + u32::from(value)).unwrap();
                assert_eq!(classify(character), Piece::Digit(value), "U+{zero:04X}+{value}");
            }
        }
        assert!(
            ZEROS.windows(2).all(|pair| pair[0] + 10 <= pair[1]),
            "sorted, without overlap"
        );
    }

    #[test]
    fn no_digit_is_skipped() {
        for code in (0..=0x10_ffff).filter_map(char::from_u32) {
            if matches!(classify(code), Piece::Digit(_)) {
                let mut text = String::from("some text before it: ");
                let start = text.len();
                text.push(code);
                assert!(
                    next_digit(text.as_bytes(), 0) <= start,
                    "U+{:04X}",
                    u32::from(code)
                );
            }
        }
        for (text, start) in [
            ("xxxxxxxxxx\\u0034", 10),
            ("xxxxxxxxxx\\uff14", 10),
            ("xxxxxxxxxx%20", 10),
        ] {
            assert!(next_digit(text.as_bytes(), 0) <= start, "{text}");
        }
        let foreign = "no digit in ümlauts, 漢字 or кириллица";
        assert_eq!(next_digit(foreign.as_bytes(), 0), foreign.len());
    }

    #[test]
    fn a_percent_sign_is_not_always_an_escape() {
        assert_eq!(piece_at(b"%204111", 0).1, 3);
        assert_eq!(piece_at(b"%B4111", 0), (Piece::Other, 1));
        assert_eq!(piece_at(b"%C2%A0", 0), (Piece::Other, 3));
        assert_eq!(piece_at(b"%C2%A0", 3), (Piece::Other, 3));
        assert_eq!(piece_at(b"50%4111", 2), (Piece::Other, 1));
        assert_eq!(piece_at(b"%2", 0), (Piece::Other, 1));
    }

    #[test]
    fn broken_text_is_stepped_over_byte_by_byte() {
        for text in [&b"\xff"[..], b"\xe2\x80", b"\xf0\x9f", b"\\u12", b"\\"] {
            assert_eq!(piece_at(text, 0), (Piece::Other, 1));
        }
    }
}
