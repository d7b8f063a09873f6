//! Exact amounts.
//!
//! [`Money`] is a whole number of minor units and a [`Currency`]. `rust_decimal` appears at the edges, floats
//! nowhere. Arithmetic is checked and refuses to mix currencies; there are no `+` and `-` operators to forget that.
//!
//! How many digits stand behind the point is a property of gateway and currency, ISO 4217 only the default:
//! [`Exponents`].
//!
//! ```
//! use tollgate_core::money::{Currency, Money};
//!
//! let price: Money = "19.99 EUR".parse()?;
//! assert_eq!(price.minor(), 1999);
//! let total = price.checked_mul(3)?;
//! assert_eq!(total.to_string(), "59.97 EUR");
//! assert!(total.checked_add(Money::from_minor(1, Currency::USD)).is_err());
//! assert!("19.999 EUR".parse::<Money>().is_err()); // too many digits are an error, never rounded
//! # Ok::<(), tollgate_core::money::MoneyError>(())
//! ```

mod amount;
mod currency;
mod iso4217;
#[cfg(test)]
mod tests;

pub use amount::{Money, MoneyError};
pub use currency::{Currency, Exponents, UnknownCurrency};
pub use rust_decimal::{Decimal, RoundingStrategy};
