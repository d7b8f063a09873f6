//! From text to rows, exactly or not at all.
//!
//! A [`Reader`] knows how one side writes amounts, times and statuses. It turns a [`RawRow`] (six strings, however they
//! were got: CSV, JSON, SQL) into a [`Row`](crate::Row), or into a [`BadRow`] that names side, line and field and never
//! repeats the value, which might be anything. Bad rows travel on in the [`Sheet`](crate::Sheet) and end in the
//! report: none stops the run, none is lost.
//!
//! ```
//! use tollgate_core::money::Exponents;
//! use tollgate_reconcile::{Field, RawRow, Reader, Sheet, Side};
//!
//! let stripe = Reader::new(Side::Gateway).minor_units(Exponents::stripe()).unix_seconds();
//! let raw = |amount: &str| RawRow::new("order-4711", amount, "usd", "captured", "1700000000");
//! let sheet: Sheet = [raw("1999"), raw("NaN")]
//!     .iter()
//!     .zip(1..)
//!     .map(|(raw, line)| stripe.read(line, raw))
//!     .collect();
//! assert_eq!(sheet.rows()[0].amount.to_string(), "19.99 USD");
//! assert_eq!(sheet.unreadable()[0].field, Field::Amount);
//! assert_eq!(sheet.unreadable()[0].to_string(), "gateway line 2: amount is not a plain decimal number");
//! ```

mod bad;
mod raw;
mod reader;

pub use bad::{BadRow, Fault, Field};
pub use raw::RawRow;
pub use reader::Reader;
