//! Linear time, proved by counting steps, and the properties that hold for every text.

use super::*;
use crate::meter;
use crate::redactor::Redactor;
use crate::rules::groups::tests::THOROUGH;
use proptest::prelude::*;
use std::borrow::Cow;

/// Texts built to make a scanner look at the same bytes again and again.
const ADVERSARIES: &[&str] = &[
    "7",
    "1 ",
    "11 ",
    "4111 ",
    "4111-",
    "4111 1111 1111 1111 ",
    "4111111111111111,",
    "4111111111111111^",
    "B4111111111111111^A",
    "%B4111111111111111^AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ";",
    ";4111111111111111=",
    "%",
    "%25",
    "%20",
    "%20%204111",
    "\\u0034",
    "\\u",
    "\\",
    "card 111111111111 ",
    "card pan cc credit 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 ",
    "cvv cvv cvv 1",
    "cvv\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"123",
    "123 ",
    "is was is was 123",
    "DE89 DE89 DE89 DE89 1111 1111 1111 1111 ",
    "DE893704004405320130004111111111111111",
    "AB AB AB AB AB AB AB AB AB AB AB AB AB AB AB 411111111111111 ",
    "deadbeef-1111-1111-1111-",
    "0x",
    "[4111111111111111, ",
    "{\"n\": 4111111111111111}",
    ",4111111111111111,",
    "                                                                1111",
    "\u{200b}",
    "4\u{200b}\u{200b}\u{200b}\u{200b}",
    "\u{ff14}\u{ff11}",
    "\u{2003}",
    "4.1.1.1.",
    "0.4111111111111111 ",
    "12/25 123 4111111111111111 12/25 12345 ",
    "x% of the buyers retry; do they?",
];

/// What a byte may cost, in steps, in the worst text there is.
const STEPS_PER_BYTE: u64 = 700;

fn steps(text: &[u8], strict: bool) -> u64 {
    meter::count(|| drop(Redactor::new().strict(strict).redact_bytes(text)))
}

/// Seed R38: n semicolons took n * n time, so that one line of 60 kB stopped a process for two seconds.
#[test]
fn time_is_linear_in_the_worst_texts() {
    const SMALL: usize = 20_000;
    const LARGE: usize = 8 * SMALL;
    for adversary in ADVERSARIES {
        for strict in [false, true] {
            let text = adversary.repeat(LARGE / adversary.len() + 1);
            let bytes = text.as_bytes();
            let (small, large) = (steps(&bytes[..SMALL], strict), steps(&bytes[..LARGE], strict));
            assert!(
                large <= 9 * small + 10_000,
                "{adversary:?}: {small} steps, then {large} for eight times as much"
            );
            assert!(large <= STEPS_PER_BYTE * 160_000, "{adversary:?}: {large} steps");
        }
    }
}

#[test]
fn clean_text_costs_next_to_nothing() {
    let text = "a request came in and an answer went out, nobody was charged\n".repeat(1000);
    let steps = steps(text.as_bytes(), false);
    assert!(
        steps <= 3000,
        "{steps} steps for {} bytes: fewer than one for twenty bytes is expected",
        text.len()
    );
}

/// A card number of some issuer, with its check digit.
fn card() -> impl Strategy<Value = String> {
    let lengths = [
        ("4", 16),
        ("51", 16),
        ("2221", 16),
        ("34", 15),
        ("6011", 16),
        ("3528", 16),
        ("36", 14),
        ("62", 16),
        ("62", 19),
    ];
    (
        prop::sample::select(lengths.to_vec()),
        prop::collection::vec(0u8..10, 19),
    )
        .prop_map(|((prefix, length), rest)| {
            let mut digits: Vec<u8> = prefix
                .bytes()
                .map(|byte| byte - b'0')
                .chain(rest)
                .take(length - 1)
                .collect();
            digits.push(0);
            let last = digits.len() - 1;
            while !crate::rules::luhn::passes(&digits) {
                digits[last] += 1;
            }
            digits.into_iter().map(|digit| char::from(b'0' + digit)).collect()
        })
}

/// The same number as people write it.
fn spelt(number: &str, style: usize) -> String {
    let grouped = |separator: &str| {
        let groups: &[usize] = match number.len() {
            14 => &[4, 6, 4],
            15 => &[4, 6, 5],
            19 => &[6, 13],
            _ => &[4, 4, 4, 4],
        };
        let mut rest = number;
        let parts: Vec<&str> = groups
            .iter()
            .map(|&length| {
                let (part, after) = rest.split_at(length);
                rest = after;
                part
            })
            .collect();
        parts.join(separator)
    };
    match style {
        0 => number.to_owned(),
        1 => grouped(" "),
        2 => grouped("-"),
        3 => grouped("\u{a0}"),
        4 => grouped("%20"),
        5 => grouped(" - "),
        6 => number
            .chars()
            .map(|digit| char::from_u32(u32::from(digit) - 0x30 + 0xff10).unwrap())
            .collect(),
        7 => number
            .chars()
            .map(|digit| format!("\\u{:04x}", u32::from(digit)))
            .collect(),
        8 => number
            .chars()
            .map(|digit| format!("{digit} "))
            .collect::<String>()
            .trim_end()
            .to_owned(),
        _ => number.chars().map(|digit| format!("{digit}\u{200b}")).collect(),
    }
}

fn digits_of(text: &str) -> String {
    text.chars()
        .filter_map(|character| match digits::classify(character) {
            digits::Piece::Digit(digit) => Some(char::from(b'0' + digit)),
            _ => None,
        })
        .collect()
}

/// Text out of the pieces that the rules look for, in any order.
fn near_misses() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[0-9]{1,6}",
        card(),
        (card(), 0usize..10).prop_map(|(card, style)| spelt(&card, style)),
        "[ .,=:;|/^+_*-]{1,3}",
        prop::sample::select(vec![
            "card ",
            "card_number=",
            "pan",
            "cc",
            "cvv",
            "cvc: ",
            "security code",
            "is ",
            "number",
            "\"",
            "\\\"",
            "{",
            "[",
            "]",
            "}",
            "\n",
            "\\n",
            "%20",
            "%B",
            "%3D",
            "\\u0034",
            "\u{200b}",
            "\u{ff11}",
            "\u{e9}",
            "\u{1b}[0m",
            "0x",
            "DE89",
            "12/25 ",
            "[REDACTED_CVV]",
            "[REDACTED_TRACK2]",
            "************",
            "D2512101",
            "=2512101",
            "^A B^2512",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z]{1,5}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), strict: bool) {
        let redactor = Redactor::new().strict(strict);
        prop_assert!(redactor.redact_bytes(&bytes).len() <= 8 * bytes.len() + 32);
    }

    #[test]
    fn a_second_pass_changes_nothing(text in near_misses(), strict: bool) {
        for shown in [Shown::LastFour, Shown::FirstSixLastFour, Shown::Nothing] {
            let redactor = Redactor::new().strict(strict).show(shown);
            let once = redactor.redact(&text).into_owned();
            let twice = redactor.redact(&once).into_owned();
            prop_assert_eq!(&once, &twice, "from {:?}", text);
        }
    }

    #[test]
    fn bytes_and_text_agree(text in near_misses(), strict: bool) {
        let redactor = Redactor::new().strict(strict);
        let masked = redactor.redact(&text);
        prop_assert_eq!(masked.as_bytes(), &*redactor.redact_bytes(text.as_bytes()));
        prop_assert_eq!(matches!(masked, Cow::Borrowed(_)), redactor.find(text.as_bytes()).is_empty());
    }

    /// Counting the digits first changes nothing but the time, however they are written.
    #[test]
    fn few_digits_hold_no_card_number(text in prop_oneof![near_misses(), "[0-9\u{660}-\u{669}%u\\\\&#;xB^=D-]{0,60}"]) {
        let thorough = Scanner::new(text.as_bytes(), Rules::default()).holds_card_number();
        prop_assert_eq!(Redactor::new().contains_card_number(&text), thorough);
    }

    /// Skipping digits that cannot matter changes nothing but the time.
    #[test]
    fn the_short_way_comes_to_the_same_as_the_long_one(text in near_misses(), strict: bool) {
        let redactor = Redactor::new().strict(strict);
        let short = redactor.redact(&text).into_owned();
        THOROUGH.set(true);
        let long = redactor.redact(&text).into_owned();
        THOROUGH.set(false);
        prop_assert_eq!(short, long, "from {:?}", text);
    }

    /// What is found is what is replaced, and everything else is put out as it was.
    #[test]
    fn nothing_but_the_findings_is_changed(text in near_misses().prop_map(|text| text.replace('*', "#"))) {
        let masked = crate::redact(&text);
        let mut rest: &str = &masked;
        let mut from = 0;
        for finding in Redactor::new().find(text.as_bytes()) {
            prop_assert!(finding.range().start >= from && finding.range().end > finding.range().start);
            let kept = &text[from..finding.range().start];
            prop_assert!(rest.starts_with(kept));
            let after = &text[finding.range().end..];
            let next = &rest[kept.len()..];
            prop_assert!(next.starts_with(['*', '[', '"']), "{:?} in {:?}", next, masked);
            from = finding.range().end;
            // The mask ends where the text after it goes on; masks of several kinds are told apart by their own ends.
            let length = mask_length(next);
            rest = &next[length..];
            let _ = after;
        }
        prop_assert_eq!(rest, &text[from..]);
    }

    /// Every issuer's numbers, in every spelling, are found between anything that is no digit and no identifier.
    #[test]
    fn a_card_number_does_not_get_through(
        card in card(),
        style in 0usize..10,
        before in "([A-Za-z(]{0,8}[ =:\"<]|\u{5361}|, )?",
        after in "([ ,.;)\"<][A-Za-z ,]{0,8})?",
    ) {
        let text = format!("{before}{}{after}", spelt(&card, style));
        let masked = crate::redact(&text);
        prop_assert!(!digits_of(&masked).contains(&card), "{} from {}", masked, text);
        prop_assert!(masked.len() < text.len() + 4 && masked != text, "{}", text);
        prop_assert!(crate::contains_card_number(&text), "{}", text);
        prop_assert!(!crate::contains_card_number(&masked), "{}", masked);
    }

    /// What is no text passes through, and does not hide the number beside it.
    #[test]
    fn bytes_that_are_no_text_pass_through(
        before in prop::collection::vec(0x80u8.., 0..20),
        after in prop::collection::vec(0x80u8.., 0..20),
    ) {
        let (before, after) = ([before.as_slice(), b"\xff"].concat(), [b"\xff", after.as_slice()].concat());
        let untouched = [before.as_slice(), b" 12:30 ", &after].concat();
        prop_assert_eq!(&*crate::redact_bytes(&untouched), untouched.as_slice());
        let bytes = [before.as_slice(), b" 4111111111111111 ", &after].concat();
        let expected = [before.as_slice(), b" ************1111 ", &after].concat();
        prop_assert_eq!(&*crate::redact_bytes(&bytes), expected.as_slice());
    }

    #[test]
    fn text_without_digits_is_borrowed(text in "[^0-9\\p{Nd}]{0,200}") {
        prop_assert!(matches!(crate::redact(&text), Cow::Borrowed(_)));
        prop_assert!(!crate::contains_card_number(&text));
    }

    #[test]
    fn a_value_of_a_field_never_shows_more_than_the_same_value_alone(name in "[a-z_]{0,12}", card in card(), style in 0usize..10) {
        let value = spelt(&card, style);
        let masked = Redactor::new().redact_field(&name, &value);
        prop_assert!(!digits_of(&masked).contains(&card));
    }
}

/// How long the mask at the start of the text is.
fn mask_length(text: &str) -> usize {
    let quote = usize::from(text.starts_with('"'));
    let inner = &text[quote..];
    let length = match inner.strip_prefix('[') {
        Some(mark) => mark.find(']').unwrap() + 2,
        None => {
            let stars = inner.bytes().take_while(|&byte| byte == b'*').count();
            let ambiguous = !inner[stars..].starts_with(|next: char| next.is_ascii_digit());
            stars + if ambiguous { 0 } else { 4 }
        }
    };
    length + 2 * quote
}
