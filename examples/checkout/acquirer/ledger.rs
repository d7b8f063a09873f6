//! The acquirer's ledger: one line per booking, flushed before anybody hears of it. What it counts is what really happened.

use crate::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use tollgate_core::{Clock, SystemClock};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    pub id: String,
    pub reference: String,
    pub status: String,
    pub currency: String,
    pub amount_minor: i64,
    pub captured_minor: i64,
    pub refunded_minor: i64,
    pub at: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Capture,
    Void,
    Refund,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub status: u16,
    pub code: String,
}

impl Refused {
    fn new(status: u16, code: &str) -> Self {
        Self {
            status,
            code: code.to_owned(),
        }
    }

    pub fn unknown() -> Self {
        Self::new(404, "no_such_payment")
    }
}

pub type Decided = Result<Booked, Refused>;

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    key: Option<String>,
    fingerprint: String,
    decided: Decided,
}

/// What the report is to say although the ledger does not.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Plan {
    pub hide: Vec<String>,
    pub misstate: Vec<String>,
    pub invent: Vec<String>,
}

#[derive(Debug)]
pub struct Ledger {
    file: File,
    payments: BTreeMap<String, Booked>,
    answers: HashMap<String, (String, Decided)>,
    pub plan: Plan,
}

impl Ledger {
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .open(path)?;
        let mut ledger = Self {
            file: file.try_clone()?,
            payments: BTreeMap::new(),
            answers: HashMap::new(),
            plan: Plan::default(),
        };
        for line in BufReader::new(file).lines() {
            ledger.apply(serde_json::from_str(&line?)?);
        }
        Ok(ledger)
    }

    fn apply(&mut self, entry: Entry) {
        if let Ok(booked) = &entry.decided {
            self.payments.insert(booked.id.clone(), booked.clone());
        }
        if let Some(key) = entry.key {
            self.answers.insert(key, (entry.fingerprint, entry.decided));
        }
    }

    /// What was answered under this key before.
    pub fn answered(&self, key: Option<&str>, fingerprint: &str) -> Option<Decided> {
        let (before, decided) = self.answers.get(key?)?;
        if before == fingerprint {
            Some(decided.clone())
        } else {
            Some(Err(Refused::new(422, "idempotency_conflict")))
        }
    }

    pub fn pay(&mut self, key: Option<&str>, fingerprint: &str, asked: &Value, decline: bool) -> Decided {
        let amount = asked["amount_minor"].as_i64().unwrap_or(0);
        let decided = if decline {
            Err(Refused::new(402, "do_not_honor"))
        } else if amount <= 0 {
            Err(Refused::new(422, "invalid_amount"))
        } else {
            let captured = asked["capture"].as_bool().unwrap_or(false);
            Ok(Booked {
                id: format!("pay_{}", self.payments.len() + 1),
                reference: asked["reference"].as_str().unwrap_or_default().to_owned(),
                status: if captured { "captured" } else { "authorized" }.to_owned(),
                currency: asked["currency"].as_str().unwrap_or_default().to_owned(),
                amount_minor: amount,
                captured_minor: if captured { amount } else { 0 },
                refunded_minor: 0,
                at: SystemClock.now().unix_seconds(),
            })
        };
        self.book(key, fingerprint, decided)
    }

    pub fn change(
        &mut self,
        key: Option<&str>,
        fingerprint: &str,
        id: &str,
        verb: Verb,
        asked: &Value,
    ) -> Decided {
        let decided = match self.payments.get(id) {
            None => Err(Refused::unknown()),
            // minor units of another currency are another amount
            Some(payment)
                if asked["currency"]
                    .as_str()
                    .is_some_and(|told| told != payment.currency) =>
            {
                Err(Refused::new(422, "invalid_currency"))
            }
            Some(payment) => changed(payment.clone(), verb, asked["amount_minor"].as_i64()),
        };
        self.book(key, fingerprint, decided)
    }

    /// Nobody hears of it before it is on disk.
    fn book(&mut self, key: Option<&str>, fingerprint: &str, decided: Decided) -> Decided {
        let entry = Entry {
            key: key.map(str::to_owned),
            fingerprint: fingerprint.to_owned(),
            decided: decided.clone(),
        };
        let written = serde_json::to_string(&entry)
            .map_err(Error::from)
            .and_then(|line| Ok(writeln!(self.file, "{line}")?))
            .and_then(|()| Ok(self.file.sync_data()?));
        if let Err(error) = written {
            eprintln!("acquirer: the ledger cannot be written: {error}");
            return Err(Refused::new(500, "ledger"));
        }
        self.apply(entry);
        decided
    }

    pub fn payment(&self, id: &str) -> Option<Booked> {
        self.payments.get(id).cloned()
    }

    pub fn find(&self, reference: Option<&str>, key: Option<&str>) -> Vec<Booked> {
        match key {
            Some(key) => match self.answers.get(key) {
                Some((_, Ok(booked))) => self.payment(&booked.id).into_iter().collect(),
                _ => Vec::new(),
            },
            None => self
                .payments
                .values()
                .filter(|payment| reference.is_none_or(|reference| payment.reference == reference))
                .cloned()
                .collect(),
        }
    }

    /// What the merchant gets to reconcile with, planted errors included.
    pub fn report(&self) -> Vec<Booked> {
        let mut rows: Vec<Booked> = self
            .payments
            .values()
            .filter(|payment| !self.plan.hide.contains(&payment.reference))
            .cloned()
            .collect();
        for row in &mut rows {
            if self.plan.misstate.contains(&row.reference) {
                row.status = "voided".to_owned();
            }
        }
        for reference in &self.plan.invent {
            rows.push(Booked {
                id: format!("pay_{reference}"),
                reference: reference.clone(),
                status: "captured".to_owned(),
                currency: "EUR".to_owned(),
                amount_minor: 777,
                captured_minor: 777,
                refunded_minor: 0,
                at: SystemClock.now().unix_seconds(),
            });
        }
        rows
    }
}

/// A captured payment is refunded, not voided; an authorized one is voided, not refunded.
fn changed(mut payment: Booked, verb: Verb, amount: Option<i64>) -> Decided {
    if amount.is_some_and(|amount| amount <= 0) {
        return Err(Refused::new(422, "invalid_amount"));
    }
    match (verb, payment.status.as_str()) {
        (Verb::Capture, "authorized") => {
            payment.captured_minor = amount.unwrap_or(payment.amount_minor).min(payment.amount_minor);
            payment.status = "captured".to_owned();
        }
        (Verb::Void, "authorized") => payment.status = "voided".to_owned(),
        (Verb::Refund, "captured" | "partially_refunded") => {
            let left = payment.captured_minor - payment.refunded_minor;
            let back = amount.unwrap_or(left);
            if back > left {
                return Err(Refused::new(409, "more_than_captured"));
            }
            payment.refunded_minor += back;
            let all = payment.refunded_minor == payment.captured_minor;
            payment.status = if all { "refunded" } else { "partially_refunded" }.to_owned();
        }
        (Verb::Void, "captured") => return Err(Refused::new(409, "already_captured")),
        _ => return Err(Refused::new(409, "already_done")),
    }
    Ok(payment)
}
