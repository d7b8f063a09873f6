//! The words that say what a number is.

use super::near::{ends_with, name_end, without_brackets, without_joints, word_starts};
use crate::finding::Kind;
use crate::meter::tick;

/// A word such as "card" speaks for the numbers within this many characters after it, on its line.
const REACH: usize = 40;

/// Whole words that announce a card number.
const CARD_WORDS: &[&str] = &[
    "pan",
    "cc",
    "ccn",
    "ccnum",
    "amex",
    "visa",
    "jcb",
    "maestro",
    "diners",
    "discover",
    "mastercard",
    "unionpay",
    "rupay",
];
/// Words that announce one even as a part of another: `cardholder`, `credit_line`.
const CARD_STEMS: &[&str] = &["card", "credit", "debit"];

/// Whether the number at `at` follows a word such as "card" on its line.
pub(crate) fn mentions_card(text: &[u8], at: usize) -> bool {
    let window = &text[reach_start(text, at)..at];
    tick(window.len());
    (0..window.len()).any(|index| {
        let rest = &window[index..];
        matches!(
            rest[0] | 0x20,
            b'a' | b'c' | b'd' | b'j' | b'm' | b'p' | b'r' | b'u' | b'v'
        ) && (CARD_STEMS.iter().any(|stem| starts_with(rest, stem))
            || (!window[..index].last().is_some_and(u8::is_ascii_alphabetic) && starts_with_card_word(rest)))
    })
}

fn starts_with_card_word(rest: &[u8]) -> bool {
    CARD_WORDS
        .iter()
        .any(|word| starts_with(rest, word) && !rest.get(word.len()).is_some_and(u8::is_ascii_alphabetic))
}

fn starts_with(text: &[u8], word: &str) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// Forty characters back, or the start of the line.
fn reach_start(text: &[u8], at: usize) -> usize {
    let mut start = at;
    let mut characters = 0;
    while start > 0 && text[start - 1] != b'\n' && at - start < 4 * REACH {
        // The bytes of a character after its first are 10xx_xxxx.
        characters += usize::from(text[start - 1] & 0xc0 != 0x80);
        if characters > REACH {
            break;
        }
        start -= 1;
    }
    start
}

/// Whether the number at `at` is the value of a name that can mean nothing but a card number: `card_number`, `pan`.
pub(crate) fn names_card_number(text: &[u8], at: usize) -> bool {
    let (name, link) = text[..at].split_at(name_end(text, at));
    let Some(&last) = name.last() else { return false };
    if last | 0x20 == b'd' {
        return link.contains(&b'#') && ends_with(name, "card");
    }
    if !matches!(last | 0x20, b'n' | b'm' | b'r' | b'o') {
        return false;
    }
    let whole_word = |word: &str| {
        let start = name.len().saturating_sub(word.len());
        // A digit may stand right before it, as where a field without a separator ends.
        ends_with(name, word)
            && (word_starts(name, start) || name[..start].last().is_some_and(u8::is_ascii_digit))
    };
    if ["pan", "ccn", "ccnum", "ccnumber"].into_iter().any(whole_word) {
        return true;
    }
    let after = |noun: &str| {
        let owner = ends_with(name, noun).then(|| without_brackets(&name[..name.len() - noun.len()]));
        owner.is_some_and(|owner| {
            ends_with(owner, "card")
                || ends_with(owner, "cc") && word_starts(owner, owner.len() - 2)
                || ends_with(owner, "account")
                    && ends_with(without_joints(&owner[..owner.len() - 7]), "primary")
        })
    };
    ["number", "num", "no", "nbr"].into_iter().any(after)
}

/// The short names of security codes. Each may have a `2` after it.
const CODE_NAMES: &[&str] = &["cvv", "cvc", "cvn", "cav", "cvp", "cvd", "csc"];
/// What may be said after one of them.
const CODE_NOUNS: &[&str] = &["code", "number", "num", "no", "value"];

/// Whether a name of a security code or PIN may end the text. A quick look that is wrong one way only: it says no to no name.
pub(crate) fn may_end(text: &[u8]) -> bool {
    const PUNCTUATION_AT_MOST: usize = 8;
    let punctuation = text
        .iter()
        .rev()
        .take(PUNCTUATION_AT_MOST)
        .take_while(|byte| byte.is_ascii_punctuation() || matches!(byte, b' ' | b'\t'))
        .count();
    tick(punctuation + 1);
    match text[..text.len() - punctuation] {
        [.., b'%', _, _] | [.., b'\\', _] => true,
        [.., last] if last.is_ascii_alphabetic() => LAST_LETTERS.contains(&(last | 0x20)),
        [.., b'2'] => true,
        [..] => punctuation == PUNCTUATION_AT_MOST,
    }
}

/// The letters that names of codes end with, and those of `is`, `was`, `Some`, and of a terminal's colour code.
const LAST_LETTERS: &[u8] = b"vcndpermosk";

/// Whether the three or four digits at `at` are the value of a security code's name.
pub(crate) fn names_security_code(text: &[u8], at: usize, strict: bool) -> bool {
    let name = &text[..name_end(text, at)];
    let Some(&last) = name.last() else { return false };
    // The mark left for a code is not the name of the next number.
    if name.ends_with(b"[REDACTED_CVV")
        || !matches!(
            last | 0x20,
            b'v' | b'c' | b'n' | b'd' | b'p' | b'2' | b'e' | b'r' | b'm' | b'o'
        )
    {
        return false;
    }
    ends_with_code_name(name, strict)
        || CODE_NOUNS.iter().any(|noun| {
            ends_with(name, noun) && {
                let owner = without_joints(&name[..name.len() - noun.len()]);
                ends_with_code_name(owner, strict) || ends_with_code_property(owner, noun)
            }
        })
}

fn ends_with_code_name(name: &[u8], strict: bool) -> bool {
    let bare = name.strip_suffix(b"2").unwrap_or(name);
    CODE_NAMES.iter().any(|code| ends_with_label(bare, code)) || (strict && ends_with_label(name, "cid"))
}

/// `security code`, and `card verification value`: the property without its noun.
fn ends_with_code_property(owner: &[u8], noun: &str) -> bool {
    (noun == "code" && ends_with_label(owner, "security"))
        || ["verification", "security"].into_iter().any(|property| {
            ends_with(owner, property)
                && matches!(noun, "code" | "number" | "value")
                && ends_with(without_joints(&owner[..owner.len() - property.len()]), "card")
        })
}

/// Whether the name ends with this word, alone, after "card", or at a hump; but not where an element closes (`</CVC>`).
fn ends_with_label(name: &[u8], word: &str) -> bool {
    if !ends_with(name, word) {
        return false;
    }
    let start = name.len() - word.len();
    let free = word_starts(name, start) || ends_with(&name[..start], "card");
    free && !name[..start].ends_with(b"</")
}

/// Whether the four to twelve digits at `at` are the value of `pin`.
pub(crate) fn names_pin(text: &[u8], at: usize) -> bool {
    let name = &text[..name_end(text, at)];
    ["pin", "pin code", "pin_code", "pincode", "pin-code"]
        .into_iter()
        .any(|word| ends_with_label(name, word))
}

/// Whether what begins at `at` is the value of `pinblock`.
pub(crate) fn names_pin_block(text: &[u8], at: usize) -> bool {
    let name = &text[..name_end(text, at)];
    ["pinblock", "pin block", "pin_block", "pin-block"]
        .into_iter()
        .any(|word| ends_with_label(name, word))
}

/// What a field of this name holds, if that must not be shown at all: a security code, a track, a PIN.
pub(crate) fn kind_of_field(name: &[u8]) -> Option<Kind> {
    let is = |word: &str| ends_with_label(name, word);
    if names_security_code(name, name.len(), true) {
        Some(Kind::SecurityCode)
    } else if is("track1") || is("track_1") || is("track 1") {
        Some(Kind::Track1)
    } else if is("track2")
        || is("track_2")
        || is("track 2")
        || is("trackdata")
        || is("track_data")
        || is("track data")
    {
        Some(Kind::Track2)
    } else if names_pin(name, name.len()) || names_pin_block(name, name.len()) {
        Some(Kind::Pin)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_named_by_whole_words() {
        let names = |text: &str| names_card_number(text.as_bytes(), text.len());
        for text in [
            "pan=",
            "\"pan\": \"",
            "card_number: ",
            "cardNumber=",
            "card%5Bnumber%5D=",
            "ccnum ",
            "1234pan: ",
            "PAN",
        ] {
            assert!(names(text), "{text}");
        }
        for text in [
            "span=",
            "company: ",
            "order_number=",
            "number=",
            "account no ",
            "cardholder: ",
            "",
        ] {
            assert!(!names(text), "{text}");
        }
    }

    #[test]
    fn a_code_is_named_by_its_own_labels() {
        let names = |text: &str| names_security_code(text.as_bytes(), text.len(), false);
        for text in [
            "cvv=",
            "CVC2: ",
            "card_cvc=",
            "security code is ",
            "<CVV2>",
            "cvvCode\":\"",
            "\u{1b}[3mcvc\u{1b}[0m=",
        ] {
            assert!(names(text), "{text}");
            assert!(may_end(text.as_bytes()), "{text}");
        }
        for text in [
            "</CVV2>",
            "cvv_attempts=",
            "xcvv=",
            "code: ",
            "cid=",
            "[REDACTED_CVV] ",
        ] {
            assert!(!names(text), "{text}");
        }
    }
}
