//! What is asked of a payment gateway, and what it answers.
//!
//! One message per operation; a gateway client is a `tower::Service<Call<M>>` for each message it supports. There is
//! no message with a card number: an instrument is the vault's token.
//!
//! | message | moves money | answer |
//! |---|---|---|
//! | [`Authorize`], [`Sale`], [`Capture`], [`Void`] | yes | [`Payment`] |
//! | [`Refund`] | yes | [`RefundReceipt`] |
//! | [`GetPayment`] | no | [`Payment`] |
//! | [`LookupPayment`] | no | [`Lookup`]: the one question left after a time-out |
//!
//! A message of your own is guarded like these once it implements [`Message`] and [`KeyedMessage`]; an answer of your own is replayed
//! once it implements [`Recorded`](crate::codec::Recorded).

mod answers;
mod call;
mod messages;

pub use answers::{AvsResult, CvvResult, Lookup, Payment, PaymentStatus, RefundReceipt};
pub use call::{Call, KeyedMessage, Message};
pub use messages::{Authorize, Capture, GetPayment, LookupPayment, NewPayment, Refund, Sale, Void};
