//! The vault that turns card numbers into tokens, as a port.
//!
//! Card numbers enter a system in one place, the vault's, and leave it as tokens; everything else in tollgate refuses
//! them. Card numbers pass through here only inside [`Secret`].

use crate::id::InstrumentToken;
use crate::secret::Secret;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Why a vault said no. Messages hold neither the card number nor the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// Not 12 to 19 digits that pass the Luhn check (ISO/IEC 7812-1).
    #[error("not a card number: 12 to 19 digits that pass the Luhn check are expected")]
    NotACardNumber,
    /// No such token.
    #[error("the vault has no such token")]
    UnknownToken,
    /// The vault does not answer.
    #[error("the vault does not answer")]
    Unavailable,
}

/// Turns card numbers into tokens and back.
pub trait Tokenizer: Send + Sync {
    /// The token of this card number; the same for the same number.
    ///
    /// # Errors
    /// [`TokenizerError`].
    fn tokenize(&self, card_number: &Secret<String>) -> Result<InstrumentToken, TokenizerError>;

    /// The card number of this token.
    ///
    /// # Errors
    /// [`TokenizerError`].
    fn detokenize(&self, token: &InstrumentToken) -> Result<Secret<String>, TokenizerError>;

    /// Forgets a token. Whether there was one.
    ///
    /// # Errors
    /// [`TokenizerError`].
    fn delete(&self, token: &InstrumentToken) -> Result<bool, TokenizerError>;
}

/// A vault that lives as long as this value: for tests and demonstrations, never for real card numbers.
///
/// ```
/// use tollgate_core::Secret;
/// use tollgate_core::tokenizer::{EphemeralTokenizer, Tokenizer};
///
/// let vault = EphemeralTokenizer::default();
/// let card = Secret::new("4242 4242 4242 4242".to_owned());
/// let token = vault.tokenize(&card)?;
/// assert_eq!(vault.tokenize(&card)?, token);
/// assert_eq!(vault.detokenize(&token)?.expose(), "4242424242424242");
/// assert!(vault.tokenize(&Secret::new("4242424242424241".to_owned())).is_err()); // the seed took any digits
/// # Ok::<(), tollgate_core::tokenizer::TokenizerError>(())
/// ```
#[derive(Default)]
pub struct EphemeralTokenizer(Mutex<Vault>);

#[derive(Default)]
struct Vault {
    by_number: HashMap<String, InstrumentToken>,
    by_token: HashMap<InstrumentToken, String>,
}

impl EphemeralTokenizer {
    fn vault(&self) -> std::sync::MutexGuard<'_, Vault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digits_of(card_number: &str) -> Result<String, TokenizerError> {
    let digits: String = card_number.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let shaped = matches!(digits.len(), 12..=19) && digits.bytes().all(|b| b.is_ascii_digit());
    if shaped && luhn(&digits) {
        Ok(digits)
    } else {
        Err(TokenizerError::NotACardNumber)
    }
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(digit - b'0')) {
            (0, digit) => digit,
            (_, digit) => digit / 5 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

impl Tokenizer for EphemeralTokenizer {
    fn tokenize(&self, card_number: &Secret<String>) -> Result<InstrumentToken, TokenizerError> {
        let digits = digits_of(card_number.expose())?;
        let mut vault = self.vault();
        if let Some(token) = vault.by_number.get(&digits) {
            return Ok(token.clone());
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| TokenizerError::Unavailable)?;
        // hex starts with a letter after the prefix, so that no run of digits can look like a card number
        let token = InstrumentToken::new(format!("tok_{}", letters(&random)))
            .map_err(|_| TokenizerError::Unavailable)?;
        vault.by_number.insert(digits.clone(), token.clone());
        vault.by_token.insert(token.clone(), digits);
        Ok(token)
    }

    fn detokenize(&self, token: &InstrumentToken) -> Result<Secret<String>, TokenizerError> {
        self.vault()
            .by_token
            .get(token)
            .cloned()
            .map(Secret::new)
            .ok_or(TokenizerError::UnknownToken)
    }

    fn delete(&self, token: &InstrumentToken) -> Result<bool, TokenizerError> {
        let mut vault = self.vault();
        let digits = vault.by_token.remove(token);
        Ok(digits.is_some_and(|digits| vault.by_number.remove(&digits).is_some()))
    }
}

/// 16 letters for 16 values: a token without digits is never mistaken for a card number.
fn letters(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(|nibble| char::from(b'a' + nibble))
        .collect()
}

impl fmt::Debug for EphemeralTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EphemeralTokenizer(..)")
    }
}
