//! Who issues which card numbers: leading digits and lengths, as data.
//!
//! The ranges are those that the card schemes publish, following ISO/IEC 7812. They are deliberately a little wide: a
//! number that is masked without need costs a look-up, one that is missed costs an audit.

/// The longest card number (ISO/IEC 7812-1).
pub(crate) const LONGEST: usize = 19;
/// The shortest that is looked at, and then only next to a word such as "card".
pub(crate) const SHORTEST: usize = 12;

/// How much else must speak for a number before it counts as a card number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Evidence {
    /// Only next to a word such as "card": these ranges hold ordinary ids as well.
    Labelled,
    /// Anywhere, unless glued to a name, as in `blk_4568377692254637284`: lengths that are issued, but rarely.
    Unglued,
    /// Anywhere.
    Enough,
}

struct Range {
    /// How many leading digits `first` and `last` speak of.
    places: usize,
    first: u32,
    last: u32,
    shortest: usize,
    longest: usize,
    evidence: Evidence,
}

const fn range(
    places: usize,
    (first, last): (u32, u32),
    lengths: (usize, usize),
    evidence: Evidence,
) -> Range {
    Range {
        places,
        first,
        last,
        shortest: lengths.0,
        longest: lengths.1,
        evidence,
    }
}

use Evidence::{Enough, Labelled, Unglued};

#[rustfmt::skip]
const RANGES: &[Range] = &[
    // Visa
    range(1, (4, 4),             (16, 16), Enough),
    range(1, (4, 4),             (18, 19), Unglued),
    range(1, (4, 4),             (13, 13), Labelled),
    // Mastercard
    range(2, (51, 55),           (16, 16), Enough),
    range(4, (2221, 2720),       (16, 16), Enough),
    // American Express
    range(2, (34, 34),           (15, 15), Enough),
    range(2, (37, 37),           (15, 15), Enough),
    // Discover
    range(4, (6011, 6011),       (16, 16), Enough),
    range(4, (6011, 6011),       (17, 19), Unglued),
    range(3, (644, 649),         (16, 16), Enough),
    range(3, (644, 649),         (17, 19), Unglued),
    range(2, (65, 65),           (16, 16), Enough),
    range(2, (65, 65),           (17, 19), Unglued),
    // JCB
    range(4, (3528, 3589),       (16, 16), Enough),
    range(4, (3528, 3589),       (17, 19), Unglued),
    range(4, (2131, 2131),       (15, 15), Labelled),
    range(4, (1800, 1800),       (15, 15), Labelled),
    // Diners Club
    range(3, (300, 305),         (14, 14), Enough),
    range(3, (300, 305),         (16, 19), Unglued),
    range(4, (3095, 3095),       (14, 14), Enough),
    range(4, (3095, 3095),       (16, 19), Unglued),
    range(2, (36, 36),           (14, 14), Enough),
    range(2, (36, 36),           (16, 19), Unglued),
    range(2, (38, 39),           (14, 14), Enough),
    range(2, (38, 39),           (16, 19), Unglued),
    // UnionPay
    range(2, (62, 62),           (16, 19), Enough),
    range(2, (81, 81),           (16, 19), Unglued),
    // Mir
    range(4, (2200, 2204),       (16, 16), Enough),
    range(4, (2200, 2204),       (17, 19), Unglued),
    // Troy
    range(4, (9792, 9792),       (16, 16), Enough),
    // RuPay
    range(2, (60, 60),           (16, 16), Enough),
    range(2, (82, 82),           (16, 16), Enough),
    range(3, (508, 508),         (16, 16), Enough),
    // Elo
    range(6, (506_699, 506_778), (16, 16), Enough),
    range(6, (509_000, 509_999), (16, 16), Enough),
    range(6, (636_368, 636_368), (16, 16), Enough),
    range(6, (504_175, 504_175), (16, 16), Enough),
    range(6, (627_780, 627_780), (16, 16), Enough),
    range(6, (636_297, 636_297), (16, 16), Enough),
    // Hipercard
    range(6, (606_282, 606_282), (16, 16), Enough),
    // Maestro
    range(2, (50, 50),           (12, 19), Labelled),
    range(2, (56, 58),           (12, 19), Labelled),
    range(2, (63, 63),           (12, 19), Labelled),
    range(2, (67, 69),           (12, 19), Labelled),
    // UATP
    range(1, (1, 1),             (15, 15), Labelled),
];

/// What else a number with these digits needs, or `None` when no scheme issues such numbers.
pub(crate) fn evidence_needed(digits: &[u8]) -> Option<Evidence> {
    let leading = leading_digits(digits)?;
    RANGES
        .iter()
        .filter(|range| (range.shortest..=range.longest).contains(&digits.len()))
        .filter(|range| {
            leading
                .get(range.places)
                .is_some_and(|start| (range.first..=range.last).contains(start))
        })
        .map(|range| range.evidence)
        .max()
}

/// `[0, first digit, first two digits, ... first six digits]`.
fn leading_digits(digits: &[u8]) -> Option<[u32; 7]> {
    let mut leading = [0; 7];
    let mut value = 0;
    for (slot, &digit) in leading.iter_mut().skip(1).zip(digits.get(..6)?) {
        value = value * 10 + u32::from(digit);
        *slot = value;
    }
    Some(leading)
}

/// The ways in which people and forms write card numbers in groups.
const GROUPINGS: &[&[usize]] = &[
    &[4, 4, 4, 4],
    &[8, 8],
    &[6, 10],
    &[4, 12],
    &[4, 6, 5],
    &[4, 4, 4, 3],
    &[5, 5, 5],
    &[4, 6, 4],
    &[4, 4, 4, 2],
    &[4, 4, 4, 1],
    &[4, 3, 3, 3],
    &[4, 4, 4, 4, 1],
    &[4, 4, 4, 4, 2],
    &[4, 4, 4, 4, 3],
    &[6, 13],
    &[8, 8, 3],
];

/// Whether somebody would write a card number in groups of these lengths.
pub(crate) fn is_known_grouping(lengths: &[usize]) -> bool {
    let evenly = |length| lengths.iter().all(|&other| other == length);
    GROUPINGS.contains(&lengths) || evenly(1) || evenly(2)
}

/// Whether space and dash may mix in this grouping, as in `4111-1111 1111-1111`.
pub(crate) fn may_mix_gaps(lengths: &[usize]) -> bool {
    matches!(lengths, [4, 4, 4, 4] | [4, 6, 5] | [4, 6, 4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(number: &str) -> Option<Evidence> {
        evidence_needed(&number.bytes().map(|byte| byte - b'0').collect::<Vec<_>>())
    }

    #[test]
    fn the_surest_range_wins_where_two_overlap() {
        assert_eq!(needed("6062820000000000"), Some(Enough)); // RuPay and Hipercard
        assert_eq!(needed("5066990000000000"), Some(Enough)); // Maestro and Elo
        assert_eq!(needed("5000000000000000"), Some(Labelled)); // Maestro alone
    }

    #[test]
    fn a_brand_has_its_own_lengths() {
        assert_eq!(needed("4111111111111111"), Some(Enough));
        assert_eq!(needed("411111111111111111"), Some(Unglued));
        assert_eq!(needed("4111111111111"), Some(Labelled));
        assert_eq!(needed("411111111111111"), None);
        assert_eq!(needed("2220999999999999"), None);
        assert_eq!(needed("2221000000000000"), Some(Enough));
        assert_eq!(needed("2721000000000000"), None);
    }
}
