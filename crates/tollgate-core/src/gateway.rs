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

use crate::codec::{Decoder, Encoder, Recorded};
use crate::context::CallContext;
use crate::id::{
    CustomerId, DownstreamKey, FreeText, IdempotencyKey, InstrumentToken, MerchantReference, PaymentId,
    RefundId,
};
use crate::money::Money;
use serde::{Deserialize, Serialize};

/// A message on its way, with its context. Messages stay plain data: literals, `PartialEq` and serde all work.
#[derive(Clone, Debug)]
pub struct Call<M> {
    /// What is asked.
    pub message: M,
    /// What travels with it.
    pub context: CallContext,
}

impl<M> Call<M> {
    /// A call with an empty context.
    pub fn new(message: M) -> Self {
        Self {
            message,
            context: CallContext::default(),
        }
    }
}

impl<M> From<M> for Call<M> {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}

/// Something to ask of a gateway.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message to a gateway",
    note = "implement `tollgate_core::gateway::Message` for `{Self}`: its name, and whether it can move money"
)]
pub trait Message {
    /// The name of the operation: a metric label.
    const OPERATION: &'static str;
    /// Whether carrying it out can move money.
    const MOVES_MONEY: bool;
}

/// A message that the idempotency layer can guard.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no idempotency key, so it cannot be guarded",
    note = "implement `KeyedMessage` for `{Self}`: its key, and every field that must not differ on a repeat"
)]
pub trait KeyedMessage: Message {
    /// The key.
    fn key(&self) -> &IdempotencyKey;

    /// Everything that must be equal on a repeat, in a fixed order. Leave nothing out that changes what happens.
    fn fields(&self, out: &mut Encoder);
}

macro_rules! operations {
    ($($name:ident = $operation:literal, $moves_money:literal;)+) => {
        $(impl Message for $name {
            const OPERATION: &'static str = $operation;
            const MOVES_MONEY: bool = $moves_money;
        })+
    };
}

operations! {
    Authorize = "authorize", true;
    Capture = "capture", true;
    GetPayment = "get_payment", false;
    LookupPayment = "lookup_payment", false;
    Refund = "refund", true;
    Sale = "sale", true;
    Void = "void", true;
}

/// A payment to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPayment {
    /// How much.
    pub amount: Money,
    /// From where.
    pub instrument: InstrumentToken,
    /// The merchant's own reference, stable over all attempts.
    pub reference: MerchantReference,
    /// Who pays, if the merchant knows.
    pub customer: Option<CustomerId>,
    /// What the payer will read.
    pub description: Option<FreeText>,
}

impl NewPayment {
    /// A payment without customer and description.
    #[must_use]
    pub const fn new(amount: Money, instrument: InstrumentToken, reference: MerchantReference) -> Self {
        Self {
            amount,
            instrument,
            reference,
            customer: None,
            description: None,
        }
    }

    /// Sets who pays (default: not said).
    #[must_use]
    pub fn customer(mut self, customer: CustomerId) -> Self {
        self.customer = Some(customer);
        self
    }

    /// Sets what the payer will read (default: nothing).
    #[must_use]
    pub fn description(mut self, description: FreeText) -> Self {
        self.description = Some(description);
        self
    }

    fn fields(&self, out: &mut Encoder) {
        self.amount.encode(out);
        out.text(self.instrument.as_str())
            .text(self.reference.as_str())
            .optional_text(self.customer.as_ref().map(CustomerId::as_str))
            .optional_text(self.description.as_ref().map(FreeText::as_str));
    }
}

/// Reserve the amount; capture later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorize {
    /// At most one effect under this key.
    pub key: IdempotencyKey,
    /// What to pay.
    pub payment: NewPayment,
}

/// Authorize and capture at once.
///
/// ```
/// use tollgate_core::gateway::{NewPayment, Sale};
/// use tollgate_core::id::{IdempotencyKey, InstrumentToken, MerchantReference};
///
/// let sale = Sale {
///     key: IdempotencyKey::new("order-4711/pay")?,
///     payment: NewPayment::new(
///         "19.99 EUR".parse()?,
///         InstrumentToken::new("tok_visa")?,
///         MerchantReference::new("order-4711")?,
///     ),
/// };
/// // no card number gets in by accident
/// assert!(InstrumentToken::new("4111111111111111").is_err());
/// # let _ = sale;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// At most one effect under this key.
    pub key: IdempotencyKey,
    /// What to pay.
    pub payment: NewPayment,
}

/// Take what was authorized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// At most one effect under this key.
    pub key: IdempotencyKey,
    /// Of which payment.
    pub payment: PaymentId,
    /// How much; `None` takes all that was authorized.
    pub amount: Option<Money>,
}

/// Give back what was authorized and not captured. A captured payment is refunded, not voided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// At most one effect under this key.
    pub key: IdempotencyKey,
    /// Which payment.
    pub payment: PaymentId,
    /// Why.
    pub reason: Option<FreeText>,
}

/// Give back what was captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// At most one effect under this key.
    pub key: IdempotencyKey,
    /// Of which payment.
    pub payment: PaymentId,
    /// How much; `None` refunds all that was captured and not refunded yet.
    pub amount: Option<Money>,
    /// Why.
    pub reason: Option<FreeText>,
}

/// Read a payment by the gateway's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetPayment {
    /// Which payment.
    pub payment: PaymentId,
}

/// Find a payment whose id never arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupPayment {
    /// By the merchant's own reference.
    ByReference(MerchantReference),
    /// By the key that was sent to the gateway.
    ByKey(DownstreamKey),
}

/// What a lookup found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookup {
    /// The gateway booked it.
    Found(Payment),
    /// The gateway has no such payment. Proof of absence only once nothing can be on its way any more.
    NotFound,
    /// The gateway is still working on it.
    Pending,
}

macro_rules! keyed {
    ($($name:ident: |$message:ident, $out:ident| $fields:expr;)+) => {
        $(impl KeyedMessage for $name {
            fn key(&self) -> &IdempotencyKey {
                &self.key
            }

            fn fields(&self, $out: &mut Encoder) {
                let $message = self;
                $fields;
            }
        })+
    };
}

fn optional_amount(amount: Option<Money>, out: &mut Encoder) {
    match amount {
        None => {
            out.byte(0);
        }
        Some(amount) => amount.encode(out.byte(1)),
    }
}

keyed! {
    Authorize: |message, out| message.payment.fields(out);
    Sale: |message, out| message.payment.fields(out);
    Capture: |message, out| optional_amount(message.amount, out.text(message.payment.as_str()));
    Void: |message, out| out
        .text(message.payment.as_str())
        .optional_text(message.reason.as_ref().map(FreeText::as_str));
    Refund: |message, out| {
        out.text(message.payment.as_str()).optional_text(message.reason.as_ref().map(FreeText::as_str));
        optional_amount(message.amount, out);
    };
}

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $word_doc:literal])+ $word:ident = $code:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name { $($(#[doc = $word_doc])+ $word,)+ }

        impl $name {
            /// The stable lower-case name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $code,)+ }
            }

            /// The value with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($code => Some(Self::$word),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Where a payment stands at the gateway. A status that an adapter does not know is `Unknown`, never a settled one.
    PaymentStatus {
        /// Accepted, not decided.
        Pending = "pending",
        /// The payer has to do something first.
        RequiresAction = "requires_action",
        /// Reserved.
        Authorized = "authorized",
        /// Taken.
        Captured = "captured",
        /// Taken in part.
        PartiallyCaptured = "partially_captured",
        /// Given back before it was taken.
        Voided = "voided",
        /// Given back after it was taken.
        Refunded = "refunded",
        /// Given back in part.
        PartiallyRefunded = "partially_refunded",
        /// Refused.
        Declined = "declined",
        /// The reservation lapsed.
        Expired = "expired",
        /// A status this adapter does not know.
        Unknown = "unknown",
    }
}

words! {
    /// What the address check said.
    AvsResult {
        /// Address and postal code match.
        Match = "match",
        /// One of the two matches.
        Partial = "partial",
        /// Neither matches.
        Mismatch = "mismatch",
        /// Not checked.
        Unavailable = "unavailable",
    }
}

words! {
    /// What the security-code check said.
    CvvResult {
        /// It matches.
        Match = "match",
        /// It does not match.
        Mismatch = "mismatch",
        /// Not checked.
        Unavailable = "unavailable",
    }
}

/// A payment as the gateway sees it. `Ok(Payment)` says that the request was carried out; what it led to stands in
/// `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The gateway's id.
    pub id: PaymentId,
    /// The merchant's reference, as the gateway kept it.
    pub reference: MerchantReference,
    /// Where it stands.
    pub status: PaymentStatus,
    /// How much was asked for.
    pub amount: Money,
    /// How much was taken so far.
    pub captured: Money,
    /// How much was given back so far.
    pub refunded: Money,
    /// What the address check said, if one was made.
    pub avs: Option<AvsResult>,
    /// What the security-code check said, if one was made.
    pub cvv: Option<CvvResult>,
}

impl Recorded for Payment {
    const SCHEMA: u16 = 1;

    fn encode(&self, out: &mut Encoder) {
        out.text(self.id.as_str())
            .text(self.reference.as_str())
            .text(self.status.as_str());
        for amount in [self.amount, self.captured, self.refunded] {
            amount.encode(out);
        }
        out.optional_text(self.avs.map(AvsResult::as_str))
            .optional_text(self.cvv.map(CvvResult::as_str));
    }

    fn decode(schema: u16, bytes: &mut Decoder<'_>) -> Option<Self> {
        if schema != 1 {
            return None;
        }
        Some(Self {
            id: PaymentId::stored(bytes.text()?)?,
            reference: MerchantReference::stored(bytes.text()?)?,
            status: PaymentStatus::from_name(bytes.text()?)?,
            amount: Money::decode(bytes)?,
            captured: Money::decode(bytes)?,
            refunded: Money::decode(bytes)?,
            avs: named(bytes.optional_text()?, AvsResult::from_name)?,
            cvv: named(bytes.optional_text()?, CvvResult::from_name)?,
        })
    }
}

#[expect(
    clippy::option_option,
    reason = "an unreadable name and no name are two answers"
)]
fn named<T>(name: Option<&str>, from_name: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match name {
        None => Some(None),
        Some(name) => from_name(name).map(Some),
    }
}

/// What was given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundReceipt {
    /// The gateway's id of the refund.
    pub id: RefundId,
    /// Of which payment.
    pub payment: PaymentId,
    /// How much.
    pub amount: Money,
}

impl Recorded for RefundReceipt {
    const SCHEMA: u16 = 1;

    fn encode(&self, out: &mut Encoder) {
        out.text(self.id.as_str()).text(self.payment.as_str());
        self.amount.encode(out);
    }

    fn decode(schema: u16, bytes: &mut Decoder<'_>) -> Option<Self> {
        if schema != 1 {
            return None;
        }
        Some(Self {
            id: RefundId::stored(bytes.text()?)?,
            payment: PaymentId::stored(bytes.text()?)?,
            amount: Money::decode(bytes)?,
        })
    }
}
