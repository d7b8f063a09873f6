//! The messages, and which of their fields must not differ on a repeat.

use super::{KeyedMessage, Message};
use crate::codec::Encoder;
use crate::id::{
    CustomerId, DownstreamKey, FreeText, IdempotencyKey, InstrumentToken, MerchantReference, PaymentId,
};
use crate::money::Money;
use serde::{Deserialize, Serialize};

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
