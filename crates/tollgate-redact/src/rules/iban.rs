//! International bank account numbers (ISO 13616), which hold long runs of digits and are not card data.

use crate::meter::tick;
use std::ops::Range;

/// The longest IBAN is of 34 characters. In print, a space follows each fourth.
const REACH_BACK: usize = 46;
const LONGEST: usize = 34;

/// The length of an IBAN by country, from the registry of ISO 13616.
#[rustfmt::skip]
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26),
    (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20),
    (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24),
    (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25),
    (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20),
    (b"YE", 30),
];

/// Whether these digits lie in a valid IBAN. Its country's length and its check digits (mod 97) must both be right, so
/// that one card number in ten thousand at most is taken for one, and only when it follows two capital letters.
pub(crate) fn covers(text: &[u8], digits: &Range<usize>) -> bool {
    let first = digits.start.saturating_sub(REACH_BACK);
    tick(digits.start - first);
    (first..digits.start)
        .rev()
        .filter(|&start| text[start].is_ascii_uppercase())
        .filter(|&start| !text[..start].last().is_some_and(u8::is_ascii_alphanumeric))
        .any(|start| end_of_valid(text, start).is_some_and(|end| digits.start < end))
}

/// Where the valid IBAN that begins at `start` ends.
fn end_of_valid(text: &[u8], start: usize) -> Option<usize> {
    let country: &[u8; 2] = text.get(start..start + 2)?.try_into().ok()?;
    let length = LENGTHS.iter().find(|(code, _)| *code == country)?.1;
    let (characters, end) = read(text, start, length)?;
    let characters = &characters[..length];
    let free = !text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (free && characters[2..4].iter().all(u8::is_ascii_digit) && remainder(characters) == 1).then_some(end)
}

/// The next `length` letters and digits, single spaces and dashes left out, and where they end.
fn read(text: &[u8], start: usize, length: usize) -> Option<([u8; LONGEST], usize)> {
    let mut characters = [0; LONGEST];
    let mut at = start;
    for (index, slot) in characters.iter_mut().take(length).enumerate() {
        tick(1);
        at += usize::from(index > 0 && matches!(text.get(at), Some(b' ' | b'-')));
        *slot = *text
            .get(at)
            .filter(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())?;
        at += 1;
    }
    Some((characters, at))
}

/// The number modulo 97 that ISO 7064 forms: the first four characters moved to the end, letters as 10 to 35.
fn remainder(characters: &[u8]) -> u32 {
    characters
        .iter()
        .cycle()
        .skip(4)
        .take(characters.len())
        .fold(0, |remainder, &byte| {
            let value = char::from(byte).to_digit(36).unwrap_or_default();
            let shifted = if value > 9 {
                remainder * 100
            } else {
                remainder * 10
            };
            (shifted + value) % 97
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_own_examples_are_valid() {
        for text in [
            "GB29NWBK60161331926819",
            "DE89370400440532013000",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
        ] {
            assert_eq!(end_of_valid(text.as_bytes(), 0), Some(text.len()), "{text}");
        }
        assert_eq!(end_of_valid(b"DE89 3704 0044 0532 0130 00", 0), Some(27));
        assert_eq!(end_of_valid(b"DE88370400440532013000", 0), None);
        assert_eq!(end_of_valid(b"ZZ89370400440532013000", 0), None);
    }

    #[test]
    fn a_card_number_after_two_capitals_is_still_one() {
        let text = b"DE89 4111 1111 1111 1111";
        assert!(!covers(text, &(5..text.len())));
    }
}
