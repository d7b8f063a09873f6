//! A whole number of minor units and a currency.

use super::currency::{Currency, Exponents, UnknownCurrency};
use crate::codec::{Decoder, Encoder};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// An exact amount. `{"minor": 1999, "currency": "EUR"}` in JSON, `19.99 EUR` in print.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// Why an amount could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// Two currencies in one calculation.
    #[error("{left} and {right} cannot be added or compared: convert one of them first")]
    CurrencyMismatch {
        /// The one.
        left: Currency,
        /// The other.
        right: Currency,
    },
    /// The result does not fit 64 bits of minor units.
    #[error("the amount in {currency} is too large")]
    Overflow {
        /// In which currency.
        currency: Currency,
    },
    /// More digits behind the point than the currency has.
    #[error(
        "{amount} has more than {digits} digits behind the point, which is all that {currency} has: round it first"
    )]
    TooPrecise {
        /// The amount.
        amount: Decimal,
        /// In which currency.
        currency: Currency,
        /// How many digits there may be.
        digits: u8,
    },
    /// Not an amount and a code.
    #[error("not an amount of money: write it as \"19.99 EUR\"")]
    Unreadable,
    /// Not a currency.
    #[error(transparent)]
    Currency(#[from] UnknownCurrency),
}

impl Money {
    /// This many minor units (cents, pence, yen).
    #[must_use]
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in this currency.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self::from_minor(0, currency)
    }

    /// From an amount in major units, exactly.
    ///
    /// # Errors
    /// [`MoneyError::TooPrecise`] when it has more digits than the currency, [`MoneyError::Overflow`] when it
    /// does not fit.
    pub fn from_decimal(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let minor = scaled(amount, currency.minor_units(), currency)?;
        Ok(Self { minor, currency })
    }

    /// From an amount in major units, rounded as stated.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] when it does not fit.
    ///
    /// ```
    /// use tollgate_core::money::{Currency, Decimal, Money, RoundingStrategy};
    ///
    /// let half = Decimal::new(12_345, 3); // 12.345
    /// let money = Money::rounded(half, Currency::EUR, RoundingStrategy::MidpointNearestEven)?;
    /// assert_eq!(money.minor(), 1234);
    /// # Ok::<(), tollgate_core::money::MoneyError>(())
    /// ```
    pub fn rounded(amount: Decimal, currency: Currency, how: RoundingStrategy) -> Result<Self, MoneyError> {
        Self::from_decimal(
            amount.round_dp_with_strategy(currency.minor_units().into(), how),
            currency,
        )
    }

    /// Minor units.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// In major units.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.minor, self.currency.minor_units().into())
    }

    /// The whole number that a gateway with these exponents expects.
    ///
    /// # Errors
    /// [`MoneyError::TooPrecise`] when the gateway has fewer digits and this amount needs them,
    /// [`MoneyError::Overflow`] when it does not fit.
    ///
    /// ```
    /// use tollgate_core::money::{Currency, Exponents, Money};
    ///
    /// let five = Money::from_minor(5, Currency::ISK);
    /// assert_eq!(five.to_gateway(&Exponents::stripe())?, 500);
    /// assert_eq!(Money::from_gateway(500, Currency::ISK, &Exponents::stripe())?, five);
    /// # Ok::<(), tollgate_core::money::MoneyError>(())
    /// ```
    pub fn to_gateway(self, exponents: &Exponents) -> Result<i64, MoneyError> {
        scaled(self.to_decimal(), exponents.of(self.currency), self.currency)
    }

    /// From the whole number of a gateway with these exponents.
    ///
    /// # Errors
    /// As [`to_gateway`](Self::to_gateway).
    pub fn from_gateway(units: i64, currency: Currency, exponents: &Exponents) -> Result<Self, MoneyError> {
        Self::from_decimal(Decimal::new(units, exponents.of(currency).into()), currency)
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        match (self.currency, other.currency) {
            (left, right) if left == right => Ok(()),
            (left, right) => Err(MoneyError::CurrencyMismatch { left, right }),
        }
    }

    fn checked(self, minor: Option<i64>) -> Result<Self, MoneyError> {
        let currency = self.currency;
        minor
            .map(|minor| Self { minor, currency })
            .ok_or(MoneyError::Overflow { currency })
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        self.checked(self.minor.checked_add(other.minor))
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`], [`MoneyError::Overflow`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        self.checked(self.minor.checked_sub(other.minor))
    }

    /// So many times.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`].
    pub fn checked_mul(self, times: i64) -> Result<Self, MoneyError> {
        self.checked(self.minor.checked_mul(times))
    }

    /// Compares two amounts of one currency.
    ///
    /// # Errors
    /// [`MoneyError::CurrencyMismatch`].
    pub fn compare(self, other: Self) -> Result<Ordering, MoneyError> {
        self.same_currency(other)?;
        Ok(self.minor.cmp(&other.minor))
    }

    /// Splits into `parts` that differ by at most one minor unit and sum to the whole; the larger ones first.
    ///
    /// ```
    /// use tollgate_core::money::{Currency, Money};
    /// let parts: Vec<i64> = Money::from_minor(100, Currency::EUR).split(3).map(Money::minor).collect();
    /// assert_eq!(parts, [34, 33, 33]);
    /// ```
    pub fn split(self, parts: u32) -> impl Iterator<Item = Self> {
        let count = i64::from(parts.max(1));
        let (each, rest) = (self.minor / count, self.minor % count);
        (0..i64::from(parts)).map(move |part| {
            let extra = if part < rest.abs() { rest.signum() } else { 0 };
            Self {
                minor: each + extra,
                currency: self.currency,
            }
        })
    }

    /// Whether it is more than nothing.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// Writes it canonically: numeric currency code, then minor units.
    pub fn encode(self, out: &mut Encoder) {
        out.raw(self.currency.code().as_bytes()).int(self.minor);
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn decode(bytes: &mut Decoder<'_>) -> Option<Self> {
        let code = bytes.raw::<3>()?;
        let currency = Currency::from_code(std::str::from_utf8(&code).ok()?).ok()?;
        Some(Self {
            minor: bytes.int()?,
            currency,
        })
    }
}

/// `amount` in units of `10^-digits`, exactly.
fn scaled(amount: Decimal, digits: u8, currency: Currency) -> Result<i64, MoneyError> {
    let amount = amount.normalize();
    if amount.scale() > u32::from(digits) {
        return Err(MoneyError::TooPrecise {
            amount,
            currency,
            digits,
        });
    }
    let factor = 10u64
        .checked_pow(digits.into())
        .ok_or(MoneyError::Overflow { currency })?;
    let units = amount
        .checked_mul(factor.into())
        .ok_or(MoneyError::Overflow { currency })?;
    i64::try_from(units).map_err(|_| MoneyError::Overflow { currency })
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_decimal(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Money {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (amount, code) = text.split_once(' ').ok_or(MoneyError::Unreadable)?;
        let amount = Decimal::from_str_exact(amount).map_err(|_| MoneyError::Unreadable)?;
        Self::from_decimal(amount, code.parse()?)
    }
}
