//! What a gateway answers, and how an answer is stored.

use super::NewPayment;
use crate::codec::{Decoder, Encoder, Recorded};
use crate::id::{MerchantReference, PaymentId, RefundId};
use crate::money::Money;
use serde::{Deserialize, Serialize};

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

impl Payment {
    /// A payment that the gateway took in full: the plain answer to a [`Sale`](super::Sale), with no check of address or security code.
    ///
    /// ```
    /// use tollgate_core::gateway::{NewPayment, Payment, PaymentStatus};
    /// use tollgate_core::id::{InstrumentToken, MerchantReference, PaymentId};
    ///
    /// let asked = NewPayment::new(
    ///     "19.99 EUR".parse()?,
    ///     InstrumentToken::new("tok_visa")?,
    ///     MerchantReference::new("order-4711")?,
    /// );
    /// let payment = Payment::captured(PaymentId::new("pay_1")?, asked);
    /// assert_eq!((payment.status, payment.captured), (PaymentStatus::Captured, "19.99 EUR".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn captured(id: PaymentId, asked: NewPayment) -> Self {
        Self {
            id,
            reference: asked.reference,
            status: PaymentStatus::Captured,
            amount: asked.amount,
            captured: asked.amount,
            refunded: Money::zero(asked.amount.currency()),
            avs: None,
            cvv: None,
        }
    }
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
