//! Compares a ledger with a gateway's report: exact money, every row in exactly one place.
//!
//! What it prevents: a charge that only one side knows, a customer who paid twice, an amount off by a factor of 100, a
//! status somebody misread, and above all a comparison that quietly leaves a row out.
//!
//! ```
//! use tollgate_core::gateway::PaymentStatus::{self, Authorized, Captured};
//! use tollgate_core::{Timestamp, id::MerchantReference};
//! use tollgate_reconcile::{Class, Reconciler, Row};
//!
//! let at = Timestamp::from_unix_seconds(1_700_000_000);
//! let row = |reference: &str, amount: &str, status: PaymentStatus| {
//!     Row::new(MerchantReference::new(reference).unwrap(), amount.parse().unwrap(), status, at)
//! };
//! let ledger = vec![row("a", "19.99 EUR", Captured), row("b", "5.00 EUR", Captured), row("c", "1.00 EUR", Captured)];
//! let gateway = vec![row("b", "5.00 EUR", Authorized), row("d", "7.00 USD", Captured), row("a", "19.99 EUR", Captured)];
//!
//! let report = Reconciler::new(at).reconcile(ledger, gateway)?;
//! assert_eq!(report.matches().len(), 1);
//! let found: Vec<_> = report.discrepancies().iter().map(|d| (d.reference(), d.class())).collect();
//! assert_eq!(found, [
//!     ("c", Class::MissingAtGateway),
//!     ("d", Class::MissingInLedger),
//!     ("b", Class::StatusMismatch),
//! ]);
//! # Ok::<(), tollgate_reconcile::ReconcileError>(())
//! ```
//!
//! # From files to findings
//!
//! | step | with | what can go wrong, and where it shows |
//! |---|---|---|
//! | read | [`Reader`] makes a [`Row`] of a [`RawRow`] | a [`BadRow`] names side, line and field; it travels in the [`Sheet`] to the report |
//! | compare | [`Reconciler::reconcile`] | a [`Discrepancy`] of a [`Class`], or [`InTransit`] |
//! | look | [`Report`]: `Display`, `Serialize`, lists and totals | |
//! | tell | [`Handlers::run`] | a [`Failure`] per handler that erred or panicked; what nobody heard |
//!
//! # The promises
//!
//! * **Every row in exactly one place**: a [`Match`], a [`Discrepancy`], [`InTransit`] or unreadable. Counts and sums per
//!   currency and side are compared with the input at the end of every run; a run that lost a row gives an error instead
//!   of a report.
//! * **The order of the input does not matter**, and the order of the output is fixed: the gravest class first, then by
//!   reference.
//! * **Exact**: whole minor units, sums in 128 bits, no float. A tolerance is so many minor units of one currency.
//! * **Unknown is not equal**: a status word without a meaning, and [`PaymentStatus::Unknown`] itself, agree with nothing.
//! * **No card data**: references and ids refuse card numbers, status words are too narrow for them, unreadable values
//!   and the texts of handlers' errors are never printed.
//!
//! # Several rows with one reference
//!
//! If both sides have equally many that agree, all of them match (and the further ones are marked as repeats: somebody may
//! have paid twice with both sides knowing). Otherwise rows are paired from the surest agreement to the least, and what one
//! side has more of is a duplicate. Money that comes in and money that goes back are separate movements: a payment and its
//! refund may share a reference.
//!
//! # Nothing is kept
//!
//! A run is one call of a function; there is nothing to drop half way. What must outlast it is the caller's to keep:
//! [`Report::carry_over`] for the next run, [`Discrepancy::key`] so that a finding is told once.
//!
//! A run leaves one `tracing` event at level info with the four counts, a handler that fails one at level warn with its
//! name and the class; neither holds anything of a row.
//!
//! [`PaymentStatus::Unknown`]: tollgate_core::gateway::PaymentStatus::Unknown
#![cfg_attr(docsrs, feature(doc_cfg))]

mod discrepancy;
mod handlers;
mod matched;
mod pairing;
pub mod read;
mod reconciler;
pub mod report;
mod row;
mod rules;
mod run;
mod status;
#[cfg(test)]
mod tests;

pub use discrepancy::{Class, Discrepancy, Hint, InTransit};
pub use handlers::{Dispatch, Failure, Handlers};
pub use matched::{Match, MatchedBy};
pub use read::{BadRow, Fault, Field, RawRow, Reader};
pub use reconciler::Reconciler;
pub use report::{Bucket, ReconcileError, Report, Sum, TotalLine};
pub use row::{Row, Sheet, Side};
pub use rules::Tolerance;
pub use status::{NotAWord, Status, StatusMap, StatusWord};

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
