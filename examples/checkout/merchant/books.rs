//! The merchant's own books: what we believe. The acquirer's report says what is; reconciliation compares the two.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tollgate_core::gateway::{Payment, PaymentStatus};
use tollgate_core::{Clock, Money, SystemClock, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Belief {
    pub payment: String,
    pub reference: String,
    pub amount: Money,
    pub status: PaymentStatus,
    pub at: Timestamp,
}

pub struct Books(Mutex<Kept>);

struct Kept {
    file: File,
    by_payment: BTreeMap<String, Belief>,
}

impl Books {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)?;
        let mut by_payment = BTreeMap::new();
        for line in BufReader::new(file.try_clone()?).lines() {
            let belief: Belief = serde_json::from_str(&line?)?;
            by_payment.insert(belief.payment.clone(), belief);
        }
        Ok(Self(Mutex::new(Kept { file, by_payment })))
    }

    /// A payment was answered. A replay changes nothing.
    pub fn note(&self, payment: &Payment) {
        self.write(Belief {
            payment: payment.id.to_string(),
            reference: payment.reference.to_string(),
            amount: payment.amount,
            status: payment.status,
            at: SystemClock.now(),
        });
    }

    pub fn refunded(&self, payment: &str, amount: Money) {
        let before = self.lock().by_payment.get(payment).cloned();
        if let Some(belief) = before {
            let all = belief.amount == amount;
            let status = if all {
                PaymentStatus::Refunded
            } else {
                PaymentStatus::PartiallyRefunded
            };
            self.write(Belief { status, ..belief });
        }
    }

    pub fn all(&self) -> Vec<Belief> {
        self.lock().by_payment.values().cloned().collect()
    }

    fn write(&self, belief: Belief) {
        let mut kept = self.lock();
        let same = kept
            .by_payment
            .get(&belief.payment)
            .is_some_and(|before| (before.status, before.amount) == (belief.status, belief.amount));
        if same {
            return;
        }
        let line = serde_json::to_string(&belief).unwrap_or_default();
        if let Err(error) = writeln!(kept.file, "{line}").and_then(|()| kept.file.sync_data()) {
            // reconciliation will find what the books lack
            tracing::error!(%error, "the books cannot be written");
        }
        kept.by_payment.insert(belief.payment.clone(), belief);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
