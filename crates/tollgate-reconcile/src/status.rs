//! What a row says about where a payment stands, and what the gateway's words for it mean.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tollgate_core::gateway::PaymentStatus;

/// Where a movement stands, or a word nobody gave a meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A status we understand.
    Known(PaymentStatus),
    /// A word that no [`StatusMap`] lists. It agrees with nothing, not even with itself: two sides that use the
    /// same unknown word are still unknown.
    Unmapped(StatusWord),
}

impl Status {
    /// The status, if we can tell it. [`PaymentStatus::Unknown`] is no status to agree on.
    #[must_use]
    pub fn understood(&self) -> Option<PaymentStatus> {
        match self {
            Self::Known(PaymentStatus::Unknown) | Self::Unmapped(_) => None,
            Self::Known(status) => Some(*status),
        }
    }

    fn sort_key(&self) -> (bool, &str) {
        match self {
            Self::Known(status) => (false, status.as_str()),
            Self::Unmapped(word) => (true, word.as_str()),
        }
    }
}

impl Ord for Status {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

impl PartialOrd for Status {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<PaymentStatus> for Status {
    fn from(status: PaymentStatus) -> Self {
        Self::Known(status)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(status) => status.fmt(f),
            Self::Unmapped(word) => write!(f, "\"{word}\"?"),
        }
    }
}

/// One word of a gateway for a status, in one spelling: lower case, `_` for spaces and dashes.
///
/// It is narrow on purpose, so that a column of free text taken for the status column cannot carry card data into a
/// report: 1 to 40 letters, digits and `_`, a letter first, at most four digits (`T0006` is a word, a card number is
/// not).
///
/// ```
/// use tollgate_reconcile::StatusWord;
///
/// assert_eq!(StatusWord::new(" Partially Refunded ")?.as_str(), "partially_refunded");
/// assert!(StatusWord::new("card 4111 1111 1111 1111").is_err());
/// # Ok::<(), tollgate_reconcile::NotAWord>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StatusWord(Arc<str>);

/// Not a status word. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a status word (1 to 40 letters, digits and _, a letter first, at most four digits)")]
pub struct NotAWord;

impl StatusWord {
    /// How long it may be, in bytes.
    pub const LIMIT: usize = 40;
    const DIGITS: usize = 4;

    /// Brings a word into its one spelling.
    ///
    /// # Errors
    /// [`NotAWord`] when it could be something else than a status.
    pub fn new(text: &str) -> Result<Self, NotAWord> {
        let word: String = text
            .trim_matches(' ')
            .chars()
            .map(|c| match c {
                ' ' | '-' => '_',
                other => other.to_ascii_lowercase(),
            })
            .collect();
        let letters = word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let digits = word.chars().filter(char::is_ascii_digit).count();
        if letters
            && digits <= Self::DIGITS
            && word.len() <= Self::LIMIT
            && word.starts_with(|c: char| c.is_ascii_lowercase())
        {
            Ok(Self(word.into()))
        } else {
            Err(NotAWord)
        }
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StatusWord {
    type Error = NotAWord;
    fn try_from(text: String) -> Result<Self, NotAWord> {
        Self::new(&text)
    }
}

impl From<StatusWord> for String {
    fn from(word: StatusWord) -> Self {
        word.0.as_ref().into()
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatusWord({:?})", self.as_str())
    }
}

/// What the words of one side mean.
///
/// ```
/// use tollgate_core::gateway::PaymentStatus;
/// use tollgate_reconcile::{Status, StatusMap};
///
/// let words = StatusMap::new()
///     .with("succeeded", PaymentStatus::Captured)?
///     .with("requires_capture", PaymentStatus::Authorized)?;
/// assert_eq!(words.read("Succeeded")?, Status::Known(PaymentStatus::Captured));
/// assert_eq!(words.read("captured")?, Status::Known(PaymentStatus::Captured)); // our own names are in every map
/// assert_eq!(words.read("settling")?.understood(), None); // nobody said what this means, so it agrees with nothing
/// # Ok::<(), tollgate_reconcile::NotAWord>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusMap(BTreeMap<StatusWord, PaymentStatus>);

impl StatusMap {
    /// Our own names ([`PaymentStatus::as_str`]) and no others.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the meaning of one word (default: our own names mean themselves, any other word is unknown).
    ///
    /// # Errors
    /// [`NotAWord`].
    pub fn with(mut self, word: &str, status: PaymentStatus) -> Result<Self, NotAWord> {
        self.0.insert(StatusWord::new(word)?, status);
        Ok(self)
    }

    /// What this word means.
    ///
    /// # Errors
    /// [`NotAWord`] when it cannot be a status at all. A word that could be one and is not listed is
    /// [`Status::Unmapped`], not an error.
    pub fn read(&self, text: &str) -> Result<Status, NotAWord> {
        let word = StatusWord::new(text)?;
        let listed = self.0.get(&word).copied();
        Ok(listed
            .or_else(|| PaymentStatus::from_name(word.as_str()))
            .map_or(Status::Unmapped(word), Status::Known))
    }
}
