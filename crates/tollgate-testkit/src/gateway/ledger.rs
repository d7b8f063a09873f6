//! The gateway's own books: what it knows, whatever its callers believe.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use tollgate_core::codec::Encoder;
use tollgate_core::gateway::{Lookup, LookupPayment, NewPayment, Payment, PaymentStatus, RefundReceipt};
use tollgate_core::id::DownstreamKey;
use tollgate_core::id::{MerchantReference, PaymentId, RefundId};
use tollgate_core::{Currency, Money, PaymentError, PaymentErrorKind};

/// One booking, in the order in which they were made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Which operation: `"sale"`, `"capture"`, …
    pub operation: &'static str,
    /// Of which payment.
    pub payment: PaymentId,
    /// The merchant's reference of that payment.
    pub reference: MerchantReference,
    /// How much.
    pub amount: Money,
    /// The key that came with the call, if one came.
    pub key: Option<DownstreamKey>,
}

/// What a gateway has booked: the only witness of what money really moved.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    bookings: Vec<Booking>,
    payments: BTreeMap<PaymentId, Payment>,
    paid_under: Vec<(DownstreamKey, PaymentId)>,
    remembered: Vec<Remembered>,
    refunds: u32,
}

/// A final answer, given again to whoever comes with the same key.
#[derive(Clone, Debug)]
struct Remembered {
    key: DownstreamKey,
    operation: &'static str,
    request: Vec<u8>,
    answer: Result<Answer, PaymentError>,
}

/// A payment or a refund's receipt.
pub(crate) type Answer = Arc<dyn Any + Send + Sync>;

impl Ledger {
    /// Every booking.
    #[must_use]
    pub fn bookings(&self) -> &[Booking] {
        &self.bookings
    }

    /// How many bookings of this operation there are.
    #[must_use]
    pub fn count(&self, operation: &str) -> usize {
        self.bookings
            .iter()
            .filter(|booking| booking.operation == operation)
            .count()
    }

    /// How often money was taken for this reference: sales and captures. More than one is a double charge.
    #[must_use]
    pub fn charges(&self, reference: &str) -> usize {
        let charges = |booking: &&Booking| matches!(booking.operation, "sale" | "capture");
        self.bookings
            .iter()
            .filter(charges)
            .filter(|booking| booking.reference.as_str() == reference)
            .count()
    }

    /// How much was taken and not given back, in minor units of this currency.
    #[must_use]
    pub fn moved(&self, currency: Currency) -> i128 {
        self.bookings
            .iter()
            .filter(|booking| booking.amount.currency() == currency)
            .map(|booking| match booking.operation {
                "sale" | "capture" => i128::from(booking.amount.minor()),
                "refund" => -i128::from(booking.amount.minor()),
                _ => 0,
            })
            .sum()
    }

    /// Every payment as it stands, by id.
    pub fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.payments.values()
    }

    /// One payment.
    #[must_use]
    pub fn payment(&self, id: &PaymentId) -> Option<&Payment> {
        self.payments.get(id)
    }

    pub(crate) fn known(
        &self,
        key: Option<DownstreamKey>,
        operation: &'static str,
        request: &Encoder,
    ) -> Option<Result<Answer, PaymentError>> {
        let known = self.remembered.iter().find(|known| Some(known.key) == key)?;
        if known.operation == operation && known.request == request.as_bytes() {
            return Some(known.answer.clone());
        }
        Some(Err(PaymentError::new(
            PaymentErrorKind::IdempotencyConflict,
            "the key was used for another request",
        )))
    }

    pub(crate) fn remember(
        &mut self,
        key: DownstreamKey,
        operation: &'static str,
        request: &Encoder,
        answer: Result<Answer, PaymentError>,
    ) {
        self.remembered.push(Remembered {
            key,
            operation,
            request: request.as_bytes().to_vec(),
            answer,
        });
    }

    fn book(
        &mut self,
        operation: &'static str,
        payment: Payment,
        amount: Money,
        key: Option<DownstreamKey>,
    ) -> Payment {
        self.bookings.push(Booking {
            operation,
            payment: payment.id.clone(),
            reference: payment.reference.clone(),
            amount,
            key,
        });
        self.payments.insert(payment.id.clone(), payment.clone());
        payment
    }

    pub(crate) fn open(
        &mut self,
        operation: &'static str,
        new: &NewPayment,
        take: bool,
        key: Option<DownstreamKey>,
    ) -> Result<Payment, PaymentError> {
        positive(new.amount)?;
        let zero = Money::zero(new.amount.currency());
        let id = PaymentId::new(format!("pay_{}", self.payments.len() + 1))?;
        if let Some(key) = key {
            self.paid_under.push((key, id.clone()));
        }
        let payment = Payment {
            id,
            reference: new.reference.clone(),
            status: if take {
                PaymentStatus::Captured
            } else {
                PaymentStatus::Authorized
            },
            amount: new.amount,
            captured: if take { new.amount } else { zero },
            refunded: zero,
            avs: None,
            cvv: None,
        };
        Ok(self.book(operation, payment, new.amount, key))
    }

    pub(crate) fn get(&self, id: &PaymentId) -> Result<Payment, PaymentError> {
        let unknown = || PaymentError::new(PaymentErrorKind::NotFound, "no such payment");
        self.payments.get(id).cloned().ok_or_else(unknown)
    }

    pub(crate) fn capture(
        &mut self,
        id: &PaymentId,
        amount: Option<Money>,
        key: Option<DownstreamKey>,
    ) -> Result<Payment, PaymentError> {
        let mut payment = self.get(id)?;
        if payment.status != PaymentStatus::Authorized {
            return Err(already(&payment));
        }
        let amount = within(amount, payment.amount)?;
        payment.captured = amount;
        payment.status = if amount == payment.amount {
            PaymentStatus::Captured
        } else {
            PaymentStatus::PartiallyCaptured
        };
        Ok(self.book("capture", payment, amount, key))
    }

    pub(crate) fn void(
        &mut self,
        id: &PaymentId,
        key: Option<DownstreamKey>,
    ) -> Result<Payment, PaymentError> {
        let mut payment = self.get(id)?;
        if payment.status != PaymentStatus::Authorized {
            return Err(already(&payment));
        }
        payment.status = PaymentStatus::Voided;
        let amount = payment.amount;
        Ok(self.book("void", payment, amount, key))
    }

    pub(crate) fn refund(
        &mut self,
        id: &PaymentId,
        amount: Option<Money>,
        key: Option<DownstreamKey>,
    ) -> Result<RefundReceipt, PaymentError> {
        let mut payment = self.get(id)?;
        let left = payment.captured.checked_sub(payment.refunded).map_err(invalid)?;
        if !left.is_positive() {
            return Err(already(&payment));
        }
        let amount = within(amount, left)?;
        payment.refunded = payment.refunded.checked_add(amount).map_err(invalid)?;
        payment.status = if payment.refunded == payment.captured {
            PaymentStatus::Refunded
        } else {
            PaymentStatus::PartiallyRefunded
        };
        self.book("refund", payment, amount, key);
        self.refunds += 1;
        Ok(RefundReceipt {
            id: RefundId::new(format!("re_{}", self.refunds))?,
            payment: id.clone(),
            amount,
        })
    }

    pub(crate) fn look_up(&self, wanted: &LookupPayment) -> Lookup {
        let found = match wanted {
            LookupPayment::ByReference(reference) => self
                .payments
                .values()
                .find(|payment| payment.reference == *reference),
            LookupPayment::ByKey(key) => self
                .paid_under
                .iter()
                .find(|(known, _)| known == key)
                .and_then(|(_, id)| self.payments.get(id)),
        };
        found.cloned().map_or(Lookup::NotFound, Lookup::Found)
    }
}

fn invalid(error: impl std::fmt::Display) -> PaymentError {
    PaymentError::new(PaymentErrorKind::InvalidRequest, error.to_string())
}

fn already(payment: &Payment) -> PaymentError {
    let message = format!("the payment is {}", payment.status);
    PaymentError::new(PaymentErrorKind::AlreadyDone, message).with_payment(payment.id.clone())
}

fn positive(amount: Money) -> Result<(), PaymentError> {
    if amount.is_positive() {
        Ok(())
    } else {
        Err(invalid("the amount must be above zero"))
    }
}

/// The amount asked for, or all there is; never more.
fn within(asked: Option<Money>, most: Money) -> Result<Money, PaymentError> {
    let amount = asked.unwrap_or(most);
    positive(amount)?;
    if amount.compare(most).map_err(invalid)?.is_gt() {
        return Err(invalid("more than there is"));
    }
    Ok(amount)
}
