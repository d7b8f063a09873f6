//! What people may say about a key whose outcome is open, with their name and their reason. Feature `audit`.

use super::in_audit::says;
use super::ledger::{self, Failed, Ledger};
use super::open_keys::{OpenKeys, Seen};
use super::resolve::{Finding, Resolution, pass};
use crate::audit::AuditLog;
use crate::causes::Causes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::id::{FreeText, InvalidText};
use tollgate_core::store::StoreError;
use tollgate_core::store::audit::{AuditStore, Receipt};
use tollgate_core::store::idempotency::{
    self, Completion, Envelope, Evidence, IdempotencyStore, Phase, Record, RecordKey, Resolve, Resolved,
    Unresolved,
};

/// Who acts, and why (a ticket, a phone call, what the gateway's dashboard shows). Both are kept in the record and in the audit log.
///
/// ```
/// use tollgate::idempotency::Operator;
///
/// assert!(Operator::new("ada@example", "TICKET-4711: the dashboard shows pay_17, captured").is_ok());
/// assert!(Operator::new("ada@example", "").is_err());
/// assert!(Operator::new("ada@example", "the card was 4111 1111 1111 1111").is_err()); // kept for years: no card data
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    actor: FreeText,
    reason: FreeText,
}

/// An operator without a name or a reason, or with one that must not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operator gives a name and a reason, but the {which} was refused: {why}")]
pub struct Unnamed {
    /// `actor` or `reason`.
    pub which: &'static str,
    /// What is wrong with it.
    pub why: InvalidText,
}

impl Operator {
    /// This person, for this reason: text of up to 1,000 bytes each, without line breaks and card numbers.
    ///
    /// # Errors
    /// [`Unnamed`] says which of the two was refused, and why.
    pub fn new(actor: impl Into<Arc<str>>, reason: impl Into<Arc<str>>) -> Result<Self, Unnamed> {
        let take = |which, text: Arc<str>| FreeText::new(text).map_err(|why| Unnamed { which, why });
        Ok(Self {
            actor: take("actor", actor.into())?,
            reason: take("reason", reason.into())?,
        })
    }

    fn evidence(&self) -> Evidence {
        Evidence {
            actor: self.actor.as_str().into(),
            reason: self.reason.as_str().into(),
        }
    }
}

/// What an operator says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The money moved. Repeats get this answer from now on, or `not-replayable` without one.
    Executed(Option<Envelope>),
    /// The gateway said no. As with [`Executed`](Self::Executed).
    Declined(Option<Envelope>),
    /// It did not happen and cannot happen any more: the key may run again, for the same request. Say this only when the gateway answers for
    /// good; *not found* may mean *not yet*.
    Absent,
}

/// For answers made by [`stored_answer`](super::stored_answer).
impl From<Completion> for Ruling {
    fn from(completion: Completion) -> Self {
        if completion.executed {
            Self::Executed(completion.envelope)
        } else {
            Self::Declined(completion.envelope)
        }
    }
}

impl From<Ruling> for idempotency::Resolution {
    fn from(ruling: Ruling) -> Self {
        let completed = |executed, envelope| Self::Completed(Completion { executed, envelope });
        match ruling {
            Ruling::Executed(envelope) => completed(true, envelope),
            Ruling::Declined(envelope) => completed(false, envelope),
            Ruling::Absent => Self::Released,
        }
    }
}

/// A record, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What evidence that is gathered from here on is about.
    pub seen: Seen,
    /// The record. Its `Debug` prints sizes instead of answers.
    pub record: Record,
}

/// A ruling that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "without an outcome in the audit log, somebody has to look after the log"]
pub struct Ruled {
    /// Where the intent stands in the audit log.
    pub intent: Receipt,
    /// Where the outcome stands. `None` when the log did not take it within two seconds: the ruling stands all the same, and writing goes on as
    /// long as this process lives.
    pub outcome: Option<Receipt>,
}

/// A ruling that was not taken. Nothing was changed, unless the store's error says that the write may have happened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotResolved {
    /// There is no such record.
    #[error("there is no record {key}: check the key, the store and the secret it was made with", key = .0.to_hex())]
    NotFound(RecordKey),
    /// The key ran again since the evidence was gathered.
    #[error(
        "the evidence is of epoch {asked}, the record stands at epoch {current}: list it again, and look at the gateway again"
    )]
    Stale {
        /// Which epoch the evidence is of.
        asked: u64,
        /// Which epoch the record is at.
        current: u64,
    },
    /// Its outcome is not open, so there is nothing to say about it.
    #[error("the record is {phase}, not in doubt{by}: there is nothing to resolve", phase = .phase.as_str(), by = by(.evidence))]
    NotInDoubt {
        /// Where it stands.
        phase: Phase,
        /// Who ended the doubt, if there was one.
        evidence: Option<Evidence>,
    },
    /// Its owner may still be at it.
    #[error(
        "the call of this record may still be running: wait until its lease lapses at {until}, then list it again"
    )]
    Running {
        /// When its lease lapses, by the store's clock.
        until: tollgate_core::Timestamp,
    },
    /// Absence cannot be declared from what was seen.
    #[error(
        "absence is proved only by a look that began after the owner's lease had lapsed, as it may be frozen and still send: \
         show the record again in {retry_after:?}, then look again; if the gateway knows the payment, resolve it as executed or declined now"
    )]
    TooEarly {
        /// When the next look can prove it.
        retry_after: Duration,
    },
    /// The audit log did not take the intent: nothing was done.
    #[error("the audit log did not take the intent, so nothing was done: mend the log, then say it again")]
    Audit(#[source] StoreError),
    /// The store failed.
    #[error("the store failed: show the record to see where it stands before you say it again")]
    Store(#[source] StoreError),
}

fn by(evidence: &Option<Evidence>) -> String {
    evidence.as_ref().map_or_else(String::new, |evidence| {
        format!(", resolved by {} ({})", evidence.actor, evidence.reason)
    })
}

/// The open keys of a store, for those who end doubts by evidence. Everything that is said goes to an audit log: the intent before anything
/// is changed, the outcome after.
///
/// Use the store that the layer uses, sealing included. To list and show changes nothing and is not logged.
///
/// # If dropped
///
/// Dropped between intent and outcome, an `abandoned` entry is written in a task; the ruling stands or does not, and
/// [`show`](Self::show) tells.
///
/// ```
/// use tollgate::audit::AuditLog;
/// use tollgate::idempotency::{Doubts, Operator, Ruling};
/// use tollgate_core::Secrets;
/// use tollgate_core::store::memory::{MemoryAudit, MemoryIdempotency};
/// # use tollgate_core::store::idempotency::*;
/// # use tollgate::idempotency::IdempotencyLayer;
/// # use tollgate_core::gateway::{Call, Capture};
/// # use tollgate_core::id::{IdempotencyKey, PaymentId};
/// # use tollgate_core::PaymentError;
/// # use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryIdempotency::new();
/// # let gateway = service_fn(|_: Call<Capture>| async { Err::<(), _>(PaymentError::timeout("10 s")) });
/// # let capture = Call::new(Capture { key: IdempotencyKey::new("k")?, payment: PaymentId::new("pay_1")?, amount: None });
/// # let _ = IdempotencyLayer::dangerous_gateway(store.clone(), Secrets::ephemeral()).layer(gateway).oneshot(capture).await;
/// let log = AuditLog::new(MemoryAudit::new(), "operators", Secrets::ephemeral());
/// let doubts = Doubts::new(store, log);
///
/// let mut open = doubts.open();
/// while let Some(key) = open.next().await? {
///     let ada = Operator::new("ada@example", "TICKET-4711: the dashboard shows it captured")?;
///     let ruled = doubts.resolve(&ada, key.seen(), Ruling::Executed(None)).await?;
///     assert!(ruled.outcome.is_some()); // in the record, and twice in the log
///
///     let again = doubts.resolve(&ada, key.seen(), Ruling::Absent).await.unwrap_err();
///     assert!(again.to_string().contains("not in doubt, resolved by ada@example"));
/// }
/// # Ok(()) }
/// ```
pub struct Doubts<St> {
    store: St,
    ledger: Ledger,
}

impl<St: IdempotencyStore> Doubts<St> {
    /// Over this store, telling this log.
    pub fn new<A: AuditStore>(store: St, log: AuditLog<A>) -> Self {
        Self {
            store,
            ledger: Ledger(Some(Arc::new(log))),
        }
    }

    /// The open keys with their ages, a page at a time.
    #[must_use]
    pub fn open(&self) -> OpenKeys<'_, St> {
        OpenKeys::new(&self.store)
    }

    /// One record: where it stands, since when, and who ended its doubt. Ask this before you look at the gateway.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails, or holds an answer that it cannot read.
    pub async fn show(&self, key: RecordKey) -> Result<Option<Shown>, StoreError> {
        let as_of = self.store.now().await?;
        let found = self.store.get(key).await?;
        Ok(found.map(|record| Shown {
            seen: Seen {
                key,
                epoch: record.epoch,
                as_of,
            },
            record,
        }))
    }

    /// Ends a doubt by evidence about the run that was [seen](Seen): by [`open`](Self::open) or [`show`](Self::show), before anybody looked at
    /// the gateway. Evidence gathered before the key ran again, or while its owner could still send, must not end the doubt.
    ///
    /// # Errors
    /// [`NotResolved`] says why not, and the way out.
    pub async fn resolve(
        &self,
        operator: &Operator,
        seen: Seen,
        ruling: Ruling,
    ) -> Result<Ruled, NotResolved> {
        let (evidence, Seen { key, epoch, as_of }) = (operator.evidence(), seen);
        let resolution = ruling.into();
        let says = says(&resolution);
        tracing::warn!(
            target: "tollgate::idempotency", record = %key, epoch, says, actor = &*evidence.actor, reason = &*evidence.reason,
            "a person resolves"
        );
        let asked = Resolve {
            key,
            epoch,
            as_of,
            resolution,
            evidence,
        };
        let ruled = self.ruled(asked).await;
        match &ruled {
            Ok(_) => {
                tracing::warn!(target: "tollgate::idempotency", record = %key, epoch, says, "a ruling stands")
            }
            Err(NotResolved::Store(error)) if error.may_have_happened() => tracing::error!(
                target: "tollgate::idempotency", record = %key, epoch, says, error = %Causes(error),
                "nobody knows whether a ruling stands: show the record"
            ),
            Err(no) => tracing::warn!(
                target: "tollgate::idempotency", record = %key, epoch, says, error = %Causes(no), "a ruling was not taken"
            ),
        }
        ruled
    }

    async fn ruled(&self, asked: Resolve) -> Result<Ruled, NotResolved> {
        let (key, epoch) = (asked.key, asked.epoch);
        match ledger::resolve(&self.store, &self.ledger, asked).await {
            Ok((Resolved::Resolved, receipts)) => Ok(Ruled {
                intent: receipts.intent.unwrap_or(Receipt::START),
                outcome: receipts.outcome,
            }),
            Ok((Resolved::TooEarly { retry_after }, _)) => Err(NotResolved::TooEarly { retry_after }),
            Ok((Resolved::Stale, _)) => Err(self.why_stale(key, epoch).await),
            Err(Failed::Audit(error)) => Err(NotResolved::Audit(error)),
            Err(Failed::Store(error)) => Err(NotResolved::Store(error)),
        }
    }

    /// As [`resolve_open`](super::resolve_open), each finding in the audit log. A finding that the log does not take is not stored: its key
    /// stays open.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails; what was resolved before stays resolved.
    pub async fn resolve_open<F, L>(&self, actor: &str, look: L) -> Result<Resolution, StoreError>
    where
        L: FnMut(Unresolved) -> F,
        F: Future<Output = Finding>,
    {
        pass(&self.store, &self.ledger, actor, look).await
    }

    async fn why_stale(&self, key: RecordKey, asked: u64) -> NotResolved {
        match self.store.get(key).await {
            Err(error) => NotResolved::Store(error),
            Ok(None) => NotResolved::NotFound(key),
            Ok(Some(record)) if record.epoch != asked => NotResolved::Stale {
                asked,
                current: record.epoch,
            },
            Ok(Some(record)) if matches!(record.phase, Phase::Prepared | Phase::Armed) => {
                NotResolved::Running {
                    until: record.lease_until,
                }
            }
            Ok(Some(record)) => NotResolved::NotInDoubt {
                phase: record.phase,
                evidence: record.evidence,
            },
        }
    }
}

impl<St: fmt::Debug> fmt::Debug for Doubts<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doubts")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}
