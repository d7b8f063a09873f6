//! What a program configures and calls.

use crate::finding::{Finding, Shown};
use crate::rules::label;
use crate::rules::pan::SHORTEST;
use crate::scan::{Field, Rules, Scanner};
use std::borrow::Cow;

/// Finds and masks card data. A few bytes of configuration: copy it, keep it in a `const`, share it as you like.
///
/// ```
/// use tollgate_redact::{Redactor, Shown};
///
/// const REDACTOR: Redactor = Redactor::new().show(Shown::FirstSixLastFour);
///
/// assert_eq!(REDACTOR.redact("paid with 4111 1111 1111 1111"), "paid with 411111******1111");
/// ```
///
/// All methods take time linear in the text, never panic, and allocate only when there is something to mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Redactor {
    rules: Rules,
}

impl Redactor {
    /// The default profile: what is masked is card data nearly always, and card data is masked in every usual spelling.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rules: Rules {
                strict: false,
                shown: Shown::LastFour,
            },
        }
    }

    /// Off by default. Also masks what is card data only sometimes: numbers that are wrapped over a line end, PINs
    /// after their label, and three or four digits after the label `cid`.
    ///
    /// For text that nobody needs to read digit by digit, such as what a payment terminal sends.
    #[must_use]
    pub const fn strict(mut self, strict: bool) -> Self {
        self.rules.strict = strict;
        self
    }

    /// [`Shown::LastFour`] by default. Which digits of a card number stay legible.
    #[must_use]
    pub const fn show(mut self, shown: Shown) -> Self {
        self.rules.shown = shown;
        self
    }

    pub(crate) const fn rules(self) -> Rules {
        self.rules
    }

    /// The text with all card data masked. Borrowed, and so without any copy, when there is none.
    #[must_use]
    pub fn redact(self, text: &str) -> Cow<'_, str> {
        into_text(text, Scanner::new(text.as_bytes(), self.rules).run().1)
    }

    /// The same for bytes that need not be UTF-8. What is no text passes through untouched.
    #[must_use]
    pub fn redact_bytes(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        Scanner::new(bytes, self.rules)
            .run()
            .1
            .map_or(Cow::Borrowed(bytes), Cow::Owned)
    }

    /// The value of a field, masked in the light of the field's name. For structured data, where no label stands in the
    /// text itself.
    ///
    /// - A name of a security code, a track or a PIN (`cvc`, `securityCode`, `track2`, `pin_block`): the whole value goes,
    ///   whatever it holds.
    /// - A name of a card number (`pan`, `card_number`, `cardNumber`): 13 to 19 digits are masked even if the check digit
    ///   is wrong.
    /// - A name that speaks of cards (`credit_account`): as if the word stood in the text.
    /// - Any other: as [`redact`](Self::redact) does.
    ///
    /// An empty value stays empty.
    ///
    /// ```
    /// use tollgate_redact::Redactor;
    ///
    /// let redactor = Redactor::new();
    /// assert_eq!(redactor.redact_field("cvc", "123"), "[REDACTED_CVV]");
    /// assert_eq!(redactor.redact_field("cvc_check", "pass"), "pass");
    /// assert_eq!(redactor.redact_field("card_number", "4111 1111 1111 1112"), "************1112");
    /// assert_eq!(redactor.redact_field("amount", "1000"), "1000");
    /// ```
    #[must_use]
    pub fn redact_field<'v>(self, name: &str, value: &'v str) -> Cow<'v, str> {
        let name = name.trim_end().as_bytes();
        if value.is_empty() {
            return Cow::Borrowed(value);
        }
        if let Some(kind) = label::kind_of_field(name) {
            return Cow::Borrowed(kind.mark());
        }
        let field = if label::names_card_number(name, name.len()) {
            Field::NamesCardNumber
        } else if label::mentions_card(name, name.len()) {
            Field::MentionsCard
        } else {
            Field::Unknown
        };
        into_text(
            value,
            Scanner::new(value.as_bytes(), self.rules).of_field(field).run().1,
        )
    }

    /// Everything that [`redact_bytes`](Self::redact_bytes) would mask, in order. For counting and for tests: in a service
    /// whose types keep card data out of texts, each finding is a defect somewhere upstream.
    ///
    /// ```
    /// use tollgate_redact::{Kind, Redactor};
    ///
    /// let found = Redactor::new().find(b"4111111111111111, cvv: 999");
    /// assert_eq!(found.iter().map(|found| found.kind()).collect::<Vec<_>>(), [Kind::CardNumber, Kind::SecurityCode]);
    /// assert_eq!(found[0].range(), 0..16);
    /// ```
    #[must_use]
    pub fn find(self, bytes: &[u8]) -> Vec<Finding> {
        Scanner::new(bytes, self.rules).run().0
    }

    /// Whether the text holds a card number that a scheme may have issued, or a track. Made for constructors that must
    /// refuse card data.
    ///
    /// It asks for more than masking does, since a wrong refusal stops a payment while a wrong mask costs four digits of a
    /// log line: the check digit must be right *and* the leading digits and length must be some scheme's. Security codes do
    /// not count: three digits are no secret without their number.
    #[must_use]
    pub fn contains_card_number(self, text: &str) -> bool {
        // most names and ids end here: every digit, however it is written, needs an ASCII digit or a longer character
        let digits = |byte: &&u8| byte.is_ascii_digit() || **byte >= 0xC0;
        text.as_bytes().iter().filter(digits).count() >= SHORTEST
            && Scanner::new(text.as_bytes(), self.rules).holds_card_number()
    }
}

/// Masks are ASCII and replace whole characters, so the masked bytes of a text are a text. Should that ever fail, what
/// is broken is replaced, never put out raw.
fn into_text(text: &str, masked: Option<Vec<u8>>) -> Cow<'_, str> {
    match masked.map(String::from_utf8) {
        None => Cow::Borrowed(text),
        Some(Ok(masked)) => Cow::Owned(masked),
        Some(Err(broken)) => Cow::Owned(String::from_utf8_lossy(broken.as_bytes()).into_owned()),
    }
}
