//! Currencies, and how many digits a gateway puts behind the point.

use super::iso4217::{TABLE, WITHOUT_MINOR_UNIT};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A currency of ISO 4217 that can be charged.
///
/// ```
/// use tollgate_core::Currency;
///
/// let jpy: Currency = "JPY".parse()?;
/// assert_eq!((jpy.code(), jpy.numeric(), jpy.minor_units()), ("JPY", 392, 0));
/// assert!("usd".parse::<Currency>().is_err()); // codes are upper case; guessing moves money
/// assert!("XAU".parse::<Currency>().is_err()); // gold has no minor unit
/// # Ok::<(), tollgate_core::money::UnknownCurrency>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub struct Currency(u8);

/// A code that is not a currency that can be charged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownCurrency {
    /// Not in the table of ISO 4217.
    #[error("{0:?} is not a currency code of ISO 4217 (three upper-case letters, as \"EUR\")")]
    NotListed(String),
    /// In the table, but without a minor unit.
    #[error("{0} has no minor unit in ISO 4217, so it cannot be charged")]
    NotChargeable(&'static str),
}

macro_rules! currencies {
    ($($name:ident)+) => {
        $(#[doc = concat!("`", stringify!($name), "`")] pub const $name: Self = Self::of(stringify!($name));)+
    };
}

impl Currency {
    currencies! { AUD BHD BRL CAD CHF CLP CNY CZK DKK EUR GBP HKD HUF INR ISK JPY KRW KWD MXN NOK NZD PLN SEK SGD TND TWD USD ZAR }

    /// The currency with this code.
    ///
    /// # Errors
    /// [`UnknownCurrency`] when the standard does not list it, or lists it without a minor unit.
    pub fn from_code(code: &str) -> Result<Self, UnknownCurrency> {
        if let &[a, b, c] = code.as_bytes()
            && let Some(place) = place([a, b, c])
            && BY_CODE[place] != UNLISTED
        {
            return Ok(Self(BY_CODE[place]));
        }
        match WITHOUT_MINOR_UNIT.iter().find(|listed| **listed == code) {
            Some(listed) => Err(UnknownCurrency::NotChargeable(listed)),
            None => Err(UnknownCurrency::NotListed(code.chars().take(16).collect())),
        }
    }

    /// Every currency, by code.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u8..).take(TABLE.len()).map(Self)
    }

    const fn of(code: &str) -> Self {
        let mut index = 0u8;
        loop {
            let (row, code) = (TABLE[index as usize].0.as_bytes(), code.as_bytes());
            if row[0] == code[0] && row[1] == code[1] && row[2] == code[2] {
                return Self(index);
            }
            index += 1; // past the end is a compile-time error
        }
    }

    fn row(self) -> &'static (&'static str, u16, u8) {
        &TABLE[usize::from(self.0)]
    }

    /// The alphabetic code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// The numeric code.
    #[must_use]
    pub fn numeric(self) -> u16 {
        self.row().1
    }

    /// How many digits the minor unit has by the standard. Gateways differ: see [`Exponents`].
    #[must_use]
    pub fn minor_units(self) -> u8 {
        self.row().2
    }
}

/// Where each code stands in the table, by its letters: every replayed amount looks one up, and a search costs ten times as much.
static BY_CODE: [u8; 26 * 26 * 26] = {
    let mut by_code = [UNLISTED; 26 * 26 * 26];
    let mut index = 0u8;
    while (index as usize) < TABLE.len() {
        let code = TABLE[index as usize].0.as_bytes();
        if let Some(place) = place([code[0], code[1], code[2]]) {
            by_code[place] = index;
        }
        index += 1; // a table that does not fit is a compile-time error
    }
    by_code
};

const UNLISTED: u8 = u8::MAX;

/// Three upper-case letters as a number below 26³.
const fn place([a, b, c]: [u8; 3]) -> Option<usize> {
    if a.is_ascii_uppercase() && b.is_ascii_uppercase() && c.is_ascii_uppercase() {
        Some(((a - b'A') as usize * 26 + (b - b'A') as usize) * 26 + (c - b'A') as usize)
    } else {
        None
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl std::str::FromStr for Currency {
    type Err = UnknownCurrency;
    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        Self::from_code(code)
    }
}

impl TryFrom<String> for Currency {
    type Error = UnknownCurrency;
    fn try_from(code: String) -> Result<Self, UnknownCurrency> {
        Self::from_code(&code)
    }
}

impl From<Currency> for &'static str {
    fn from(currency: Currency) -> Self {
        currency.code()
    }
}

/// How many minor-unit digits one gateway uses per currency. ISO 4217 is only the default.
///
/// ```
/// use tollgate_core::money::{Currency, Exponents};
///
/// let adyen = Exponents::adyen();
/// assert_eq!(Currency::CLP.minor_units(), 0); // the standard
/// assert_eq!(adyen.of(Currency::CLP), 2);     // this gateway
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exponents(BTreeMap<Currency, u8>);

impl Exponents {
    /// The standard, without exceptions.
    #[must_use]
    pub fn iso() -> Self {
        Self::default()
    }

    /// Adyen: CLP and ISK with two digits, CVE and IDR with none.
    /// Source: docs.adyen.com/development-resources/currency-codes.
    #[must_use]
    pub fn adyen() -> Self {
        Self::iso().with_codes(&[("CLP", 2), ("ISK", 2), ("CVE", 0), ("IDR", 0)])
    }

    /// Stripe: ISK with two digits (which must be 00), MGA with none. Source: docs.stripe.com/currencies.
    #[must_use]
    pub fn stripe() -> Self {
        Self::iso().with_codes(&[("ISK", 2), ("MGA", 0)])
    }

    /// Sets the digits of one currency (default: those of ISO 4217).
    #[must_use]
    pub fn with(mut self, currency: Currency, digits: u8) -> Self {
        self.0.insert(currency, digits);
        self
    }

    fn with_codes(self, exceptions: &[(&str, u8)]) -> Self {
        exceptions
            .iter()
            .fold(self, |all, (code, digits)| match Currency::from_code(code) {
                Ok(currency) => all.with(currency, *digits),
                Err(_) => all,
            })
    }

    /// How many digits this gateway uses.
    #[must_use]
    pub fn of(&self, currency: Currency) -> u8 {
        self.0
            .get(&currency)
            .copied()
            .unwrap_or_else(|| currency.minor_units())
    }
}
