#![doc = include_str!("../README.md")]

mod finding;
mod meter;
mod redactor;
mod rules;
mod scan;
pub mod writer;

pub use finding::{Finding, Kind, Shown};
pub use redactor::Redactor;
#[cfg(feature = "tracing")]
pub use writer::RedactingMakeWriter;
pub use writer::{RedactingWriter, Tally};

use std::borrow::Cow;

/// The text with all card data masked, in the default profile. Borrowed when there is none.
///
/// ```
/// use std::borrow::Cow;
///
/// assert_eq!(tollgate_redact::redact("card 4111-1111-1111-1111, cvv: 999"), "card ************1111, cvv: [REDACTED_CVV]");
/// assert!(matches!(tollgate_redact::redact("order 20261121-000123"), Cow::Borrowed(_)));
/// ```
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    Redactor::new().redact(text)
}

/// The same for bytes, which need not be UTF-8. What is no text passes through untouched.
///
/// ```
/// assert_eq!(&*tollgate_redact::redact_bytes(b"\xff 4111111111111111 \xfe"), b"\xff ************1111 \xfe");
/// ```
#[must_use]
pub fn redact_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    Redactor::new().redact_bytes(bytes)
}

/// Whether the text holds a card number that a scheme may have issued, or track data. See
/// [`Redactor::contains_card_number`].
///
/// ```
/// use tollgate_redact::contains_card_number;
///
/// assert!(contains_card_number("ref 4111 1111 1111 1111"));
/// assert!(!contains_card_number("order-20261121-000123"));
/// assert!(!contains_card_number("550e8400-e29b-41d4-a716-446655440000"));
/// ```
#[must_use]
pub fn contains_card_number(text: &str) -> bool {
    Redactor::new().contains_card_number(text)
}
