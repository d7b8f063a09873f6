//! How one side writes its rows.

use super::{BadRow, Fault, Field, RawRow};
use crate::row::{Row, Side};
use crate::status::StatusMap;
use tollgate_core::id::{MerchantReference, PaymentId};
use tollgate_core::money::{Decimal, Exponents, MoneyError};
use tollgate_core::{Currency, Money, Timestamp};

/// Reads the rows of one side. Exact or an error: nothing is rounded, guessed or skipped.
#[derive(Clone, Debug)]
pub struct Reader {
    side: Side,
    amounts: Amounts,
    times: Times,
    words: StatusMap,
}

#[derive(Clone, Debug)]
enum Amounts {
    Major,
    Minor(Exponents),
}

#[derive(Clone, Copy, Debug)]
enum Times {
    Rfc3339,
    UnixSeconds,
}

impl Reader {
    /// Reads this side's rows: amounts in major units (`19.99`), times as RFC 3339 in UTC, our own status names.
    #[must_use]
    pub fn new(side: Side) -> Self {
        Self {
            side,
            amounts: Amounts::Major,
            times: Times::Rfc3339,
            words: StatusMap::new(),
        }
    }

    /// Takes amounts as whole minor units with these exponents (default: major units).
    #[must_use]
    pub fn minor_units(mut self, exponents: Exponents) -> Self {
        self.amounts = Amounts::Minor(exponents);
        self
    }

    /// Takes times as whole seconds since the Unix epoch (default: RFC 3339 ending in `Z`).
    #[must_use]
    pub const fn unix_seconds(mut self) -> Self {
        self.times = Times::UnixSeconds;
        self
    }

    /// Sets what the status words mean (default: [`StatusMap::new`]).
    #[must_use]
    pub fn words(mut self, words: StatusMap) -> Self {
        self.words = words;
        self
    }

    /// Understands one row. `line` is the caller's count; it comes back in the row, or in the error.
    ///
    /// # Errors
    /// [`BadRow`] names the first field, in the order of [`RawRow`] with the currency before the amount, that could
    /// not be read.
    pub fn read(&self, line: u64, raw: &RawRow) -> Result<Row, BadRow> {
        let bad = |field| {
            move |fault: Fault| BadRow {
                side: self.side,
                line,
                field,
                fault,
            }
        };
        let reference = MerchantReference::new(raw.reference.as_str())
            .map_err(|invalid| bad(Field::Reference)(invalid.into()))?;
        let currency = currency(&raw.currency).map_err(bad(Field::Currency))?;
        let amount = self.amount(&raw.amount, currency).map_err(bad(Field::Amount))?;
        let status = match self.words.read(&raw.status) {
            Ok(status) => status,
            Err(_) if raw.status.is_empty() => return Err(bad(Field::Status)(Fault::Empty)),
            Err(_) => return Err(bad(Field::Status)(Fault::NotAWord)),
        };
        let at = self.time(&raw.at).map_err(bad(Field::At))?;
        let payment = match raw.payment.as_str() {
            "" => None,
            id => Some(PaymentId::new(id).map_err(|invalid| bad(Field::Payment)(invalid.into()))?),
        };
        Ok(Row {
            reference,
            amount,
            status,
            at,
            payment,
            line: Some(line),
        })
    }

    fn amount(&self, text: &str, currency: Currency) -> Result<Money, Fault> {
        plain_number(text)?;
        let money = match &self.amounts {
            Amounts::Major => {
                let amount = Decimal::from_str_exact(text).map_err(|error| match error {
                    rust_decimal::Error::Underflow => Fault::TooPrecise,
                    _ => Fault::TooLarge,
                })?;
                Money::from_decimal(amount, currency)
            }
            Amounts::Minor(_) if text.contains('.') => return Err(Fault::TooPrecise),
            Amounts::Minor(exponents) => {
                let units = text.parse().map_err(|_| Fault::TooLarge)?;
                Money::from_gateway(units, currency, exponents)
            }
        };
        money.map_err(|error| match error {
            MoneyError::TooPrecise { .. } => Fault::TooPrecise,
            _ => Fault::TooLarge,
        })
    }

    fn time(&self, text: &str) -> Result<Timestamp, Fault> {
        match self.times {
            _ if text.is_empty() => Err(Fault::Empty),
            Times::Rfc3339 => humantime::parse_rfc3339(text)
                .map(Timestamp::from)
                .map_err(|_| Fault::NotATime),
            Times::UnixSeconds => text
                .parse::<i64>()
                .ok()
                .and_then(|seconds| seconds.checked_mul(1_000_000))
                .map(Timestamp::from_unix_micros)
                .ok_or(Fault::NotATime),
        }
    }
}

/// Codes are taken in either case (Stripe writes `usd`): that is spelling, not a guess.
fn currency(text: &str) -> Result<Currency, Fault> {
    match Currency::from_code(&text.to_ascii_uppercase()) {
        Ok(currency) => Ok(currency),
        Err(_) if text.is_empty() => Err(Fault::Empty),
        Err(_) => Err(Fault::UnknownCurrency),
    }
}

/// Digits, at most one point between digits, at most one minus in front. Decimal parsers take more than that (`+`,
/// `_`, `.5`), and what they take differs between them.
fn plain_number(text: &str) -> Result<(), Fault> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let plain = match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    };
    match plain {
        true => Ok(()),
        false if text.is_empty() => Err(Fault::Empty),
        false => Err(Fault::NotANumber),
    }
}
