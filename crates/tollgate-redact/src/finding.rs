//! What was found, and how much of it stays legible.

use std::ops::Range;

/// What kind of secret was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A card number (PAN). It is masked, and shows what [`Shown`] says.
    CardNumber,
    /// A card verification code (CVV, CVC, CID and so on). Nothing of it is shown.
    SecurityCode,
    /// Track 1 of a magnetic stripe. Nothing of it is shown, the holder's name neither.
    Track1,
    /// Track 2 of a magnetic stripe. Nothing of it is shown.
    Track2,
    /// A PIN after its label, only in the [strict](crate::Redactor::strict) profile; and a PIN or PIN block that is the value of a
    /// [field](crate::Redactor::redact_field) with such a name.
    Pin,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::CardNumber,
        Self::SecurityCode,
        Self::Track1,
        Self::Track2,
        Self::Pin,
    ];

    /// What stands in the output for a secret of this kind of which nothing is shown.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::CardNumber => "[REDACTED_PAN]",
            Self::SecurityCode => "[REDACTED_CVV]",
            Self::Track1 => "[REDACTED_TRACK1]",
            Self::Track2 => "[REDACTED_TRACK2]",
            Self::Pin => "[REDACTED_PIN]",
        }
    }
}

/// Which digits of a card number stay legible.
///
/// Choose one for the whole process. Two truncations of the same number, one here and one there, give more of it away
/// than either does (PCI SSC, FAQ 1091).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Shown {
    /// The last four: `************1111`. The default.
    #[default]
    LastFour,
    /// The first six and the last four, the most that PCI DSS 3.4.1 lets a display show by default: `411111******1111`.
    /// Numbers of fewer than 14 digits show their last four only.
    FirstSixLastFour,
    /// None: `****************`.
    Nothing,
}

impl Shown {
    /// The mask of these digits: a star for each that is not shown, without separators.
    pub(crate) fn mask(self, digits: &[u8]) -> Vec<u8> {
        let (first, last) = match self {
            Self::LastFour => (0, 4),
            Self::FirstSixLastFour if digits.len() >= 14 => (6, 4),
            Self::FirstSixLastFour => (0, 4),
            Self::Nothing => (0, 0),
        };
        let legible = |index: usize| index < first || index + last >= digits.len();
        digits
            .iter()
            .enumerate()
            .map(|(index, digit)| if legible(index) { b'0' + digit } else { b'*' })
            .collect()
    }
}

/// One secret in a text: what it is and where it stands.
///
/// The range covers what is replaced: separators and the sentinels of a track belong to it, a label before it does not.
/// The secret itself is not kept, so a finding may be logged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    kind: Kind,
    range: Range<usize>,
}

impl Finding {
    pub(crate) fn new(kind: Kind, range: Range<usize>) -> Self {
        Self { kind, range }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it stands, in bytes of the text that was looked at.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }
}
