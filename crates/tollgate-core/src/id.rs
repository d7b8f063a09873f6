//! Names and free text, checked once and then trusted.
//!
//! No type for a card number exists. Whatever could hold one by accident refuses it: a constructor of free text
//! looks with the same eyes as the redaction crate.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Why a name or a text was refused. The message never repeats the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidText {
    /// It is empty.
    #[error("{field} is empty")]
    Empty {
        /// Which field.
        field: &'static str,
    },
    /// It is too long.
    #[error("{field} has {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// How long it is, in bytes.
        length: usize,
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// It holds a character outside the allowed ones.
    #[error("{field} holds a character that is not allowed at byte {position} (allowed: {allowed})")]
    Character {
        /// Which field.
        field: &'static str,
        /// Where, in bytes.
        position: usize,
        /// What is allowed.
        allowed: &'static str,
    },
    /// It holds what looks like a card number.
    #[error("{field} holds what looks like a card number: send a token of the vault instead")]
    CardNumber {
        /// Which field.
        field: &'static str,
    },
}

impl InvalidText {
    /// Which field.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Empty { field }
            | Self::TooLong { field, .. }
            | Self::Character { field, .. }
            | Self::CardNumber { field } => field,
        }
    }
}

const VISIBLE: &str = "visible ASCII";
const PRINTABLE: &str = "text without control characters";

fn check(field: &'static str, value: &str, limit: usize, visible_only: bool) -> Result<(), InvalidText> {
    let allowed = |c: char| {
        if visible_only {
            c.is_ascii_graphic()
        } else {
            !c.is_control()
        }
    };
    let length = value.len();
    if value.is_empty() {
        Err(InvalidText::Empty { field })
    } else if length > limit {
        Err(InvalidText::TooLong { field, length, limit })
    } else if let Some(position) = value.find(|c| !allowed(c)) {
        Err(InvalidText::Character {
            field,
            position,
            allowed: if visible_only { VISIBLE } else { PRINTABLE },
        })
    } else if tollgate_redact::contains_card_number(value) {
        Err(InvalidText::CardNumber { field })
    } else {
        Ok(())
    }
}

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident($field:literal, $limit:literal, $visible:literal);)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// How long it may be, in bytes.
            pub const LIMIT: usize = $limit;

            /// Checks and takes it.
            ///
            /// # Errors
            /// [`InvalidText`] when it is empty, too long, holds a character that is not allowed, or what looks
            /// like a card number.
            pub fn new(value: impl Into<Arc<str>>) -> Result<Self, InvalidText> {
                let value = value.into();
                check($field, &value, Self::LIMIT, $visible)?;
                Ok(Self(value))
            }

            /// From a stored answer: it was checked when it was taken, and a later build's stricter rule must not make
            /// an answer unreadable that was given.
            #[allow(dead_code, reason = "not every name is part of an answer")]
            pub(crate) fn stored(value: &str) -> Option<Self> {
                (1..=Self::LIMIT).contains(&value.len()).then(|| Self(value.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;
            fn try_from(value: String) -> Result<Self, InvalidText> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.as_ref().into()
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidText;
            fn from_str(value: &str) -> Result<Self, InvalidText> {
                Self::new(value)
            }
        }
    )+};
}

names! {
    /// The gateway's id of a payment.
    PaymentId("payment id", 255, true);
    /// The gateway's id of a refund.
    RefundId("refund id", 255, true);
    /// The merchant's own reference: stable over all attempts, and what an outcome is looked up by.
    MerchantReference("merchant reference", 255, true);
    /// The merchant's customer.
    CustomerId("customer id", 255, true);
    /// On whose behalf a call is made: tenant, merchant, principal.
    CallerId("caller id", 255, true);
    /// A card or account as the vault's token; never a card number.
    InstrumentToken("instrument token", 255, true);
    /// Text for people: descriptions, reasons, statement lines. At most 1,000 bytes, no control characters, no
    /// card numbers.
    FreeText("text", 1000, false);
}

/// The key under which money moves at most once: 1 to 255 visible ASCII characters.
///
/// A key is made once per intent and kept for all repeats. There is no `Default`: a fresh key on every retry
/// would turn each retry into a second charge.
///
/// ```
/// use tollgate_core::IdempotencyKey;
///
/// let key = IdempotencyKey::new("order-4711/capture")?;
/// assert_eq!(key, IdempotencyKey::new("order-4711/capture")?);
/// assert!(IdempotencyKey::new("").is_err());
/// assert!(format!("{key:?}").ends_with("(18 bytes)")); // keys are not printed
/// assert_eq!(IdempotencyKey::derive(&["order-4711", "refund", "1"]).as_str().len(), 64);
/// # Ok::<(), tollgate_core::id::InvalidText>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// How long it may be, in bytes.
    pub const LIMIT: usize = 255;

    /// Checks and takes it.
    ///
    /// # Errors
    /// [`InvalidText`] when it is empty, too long, or holds a character that is not allowed.
    pub fn new(value: impl Into<Arc<str>>) -> Result<Self, InvalidText> {
        let value = value.into();
        let field = "idempotency key";
        // no search for card numbers here: digits are the usual alphabet of keys, and only a keyed hash is stored
        match value.len() {
            0 => Err(InvalidText::Empty { field }),
            length if length > Self::LIMIT => Err(InvalidText::TooLong {
                field,
                length,
                limit: Self::LIMIT,
            }),
            _ => match value.find(|c: char| !matches!(c, ' '..='~')) {
                Some(position) => Err(InvalidText::Character {
                    field,
                    position,
                    allowed: "printable ASCII",
                }),
                None => Ok(Self(value)),
            },
        }
    }

    /// A new random key of 128 bits, as 32 hex digits. Keep it: a retry must send the same one.
    ///
    /// # Panics
    /// If the operating system gives no randomness.
    #[must_use]
    pub fn random() -> Self {
        let mut bits = [0; 16];
        #[expect(clippy::expect_used, reason = "stated in the documentation")]
        getrandom::fill(&mut bits).expect("the operating system gives no randomness");
        Self(hex(&bits).into())
    }

    /// The key that belongs to these parts: the same for the same parts, in this order (SHA-256, as 64 hex
    /// digits).
    #[must_use]
    pub fn derive(parts: &[&str]) -> Self {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hex(&hash.finalize()).into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Keys open stored answers, so they are not printed.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({} bytes)", self.0.len())
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = InvalidText;
    fn try_from(value: String) -> Result<Self, InvalidText> {
        Self::new(value)
    }
}

impl From<IdempotencyKey> for String {
    fn from(value: IdempotencyKey) -> Self {
        value.0.as_ref().into()
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|d| char::from(DIGITS[usize::from(d)]))
        .collect()
}

/// One key for all attempts of a claim at one peer: 160 bits as 32 characters of base32 (RFC 4648, lower case),
/// short enough for every gateway we know of (Square's limit is 45, Adyen's 64).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DownstreamKey([u8; 32]);

impl DownstreamKey {
    pub(crate) fn from_hash(hash: &[u8; 32]) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut out = [0; 32];
        for (group, five) in out.chunks_exact_mut(8).zip(hash.chunks_exact(5)) {
            let bits = five.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
            for (place, letter) in group.iter_mut().enumerate() {
                let index = bits >> (35 - 5 * place) & 31;
                *letter = ALPHABET[usize::try_from(index).unwrap_or(0)];
            }
        }
        Self(out)
    }

    /// The 32 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for DownstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Eight characters: enough to find it in a log, not enough to use it.
impl fmt::Debug for DownstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DownstreamKey({}..)", &self.as_str()[..8])
    }
}
