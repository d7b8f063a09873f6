//! Ends doubts by evidence: look at the gateway, write down what was found.

use super::ledger::{self, Failed, Ledger};
use super::open_keys::{Backlog, OpenKeys};
use crate::causes::Causes;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::protocol::Replays;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{
    self, Completion, Evidence, IdempotencyStore, Resolve, Resolved, Unresolved,
};
use tollgate_core::{Effect, Timestamp};

/// What a look at the gateway found about one open key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It was executed or declined; the envelope, if one can be made, is what repeats will get.
    Settled {
        /// The outcome.
        completion: Completion,
        /// What was seen, for the auditor: `"lookup found pay_17, captured"`.
        reason: Arc<str>,
    },
    /// It did not happen and cannot happen any more: nothing of it is on its way.
    Absent {
        /// What was seen, for the auditor.
        reason: Arc<str>,
    },
    /// Not known yet; look again later.
    StillOpen,
}

/// What one pass over the open keys did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// How many were found executed or declined.
    pub settled: u64,
    /// How many were found absent, and may run again.
    pub released: u64,
    /// How many stay open: not known yet, too early to tell, or moved on meanwhile.
    pub open: u64,
    /// For how long the oldest of those has been open; zero when there is none.
    pub oldest_open: Duration,
}

impl Resolution {
    /// What stays open, as a gauge.
    #[must_use]
    pub const fn backlog(&self) -> Backlog {
        Backlog {
            open: self.open,
            oldest: self.oldest_open,
        }
    }
}

/// Looks at every open key once: armed records of lost owners, and unknown outcomes.
///
/// `look` asks the gateway, best by the key that was sent to it
/// ([`Secrets::downstream_key`](tollgate_core::Secrets::downstream_key) of the record and the peer). Declare absence only
/// when the gateway answers for good: the store refuses it anyway from a look that began while the owner's lease ran, because a
/// frozen owner may still send, and a slow look may be overtaken. Bound each look by a time-out: the keys come one after the other, and one
/// look that hangs holds up all behind it. Dropping the future leaves the rest open; a finding that was written stays.
/// `Doubts::resolve_open` (feature `audit`) does the same and writes each finding to an audit log.
///
/// # Errors
/// [`StoreError`] when the store fails; what was resolved before stays resolved.
///
/// ```
/// use tollgate::idempotency::{Finding, resolve_open};
/// use tollgate_core::store::memory::MemoryIdempotency;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let store = MemoryIdempotency::new();
/// let pass = resolve_open(&store, "resolver", |_open| async { Finding::StillOpen }).await.unwrap();
/// assert_eq!(pass.open, 0); // nothing was in doubt
/// # }
/// ```
pub async fn resolve_open<St, F, L>(store: &St, actor: &str, look: L) -> Result<Resolution, StoreError>
where
    St: IdempotencyStore,
    L: FnMut(Unresolved) -> F,
    F: Future<Output = Finding>,
{
    pass(store, &Ledger::default(), actor, look).await
}

/// One pass over the open keys.
pub(super) async fn pass<St, F, L>(
    store: &St,
    ledger: &Ledger,
    actor: &str,
    mut look: L,
) -> Result<Resolution, StoreError>
where
    St: IdempotencyStore,
    L: FnMut(Unresolved) -> F,
    F: Future<Output = Finding>,
{
    let actor: Arc<str> = actor.into();
    let (mut pass, mut left) = (Resolution::default(), Backlog::default());
    let mut keys = OpenKeys::new(store);
    while let Some(key) = keys.next().await? {
        let as_of = store.now().await?;
        let finding = look(key.unresolved.clone()).await;
        match end(store, ledger, &actor, key.unresolved, finding, as_of).await? {
            Ended::Settled => pass.settled += 1,
            Ended::Released => pass.released += 1,
            Ended::Open => left.add(key.age),
        }
    }
    pass.open = left.open;
    pass.oldest_open = left.oldest;
    Ok(pass)
}

/// What became of a doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Settled,
    Released,
    Open,
}

/// Writes down what was found by a look that began at `as_of`.
pub(super) async fn end<St: IdempotencyStore>(
    store: &St,
    ledger: &Ledger,
    actor: &Arc<str>,
    open: Unresolved,
    finding: Finding,
    as_of: Timestamp,
) -> Result<Ended, StoreError> {
    let (resolution, reason, ended) = match finding {
        Finding::Settled { completion, reason } => (
            idempotency::Resolution::Completed(completion),
            reason,
            Ended::Settled,
        ),
        Finding::Absent { reason } => (idempotency::Resolution::Released, reason, Ended::Released),
        Finding::StillOpen => return Ok(Ended::Open),
    };
    let evidence = Evidence {
        actor: Arc::clone(actor),
        reason,
    };
    let asked = Resolve {
        key: open.key,
        epoch: open.epoch,
        as_of,
        resolution,
        evidence: evidence.clone(),
    };
    let resolved = match ledger::resolve(store, ledger, asked).await {
        Ok((resolved, _)) => resolved,
        Err(Failed::Store(error)) => return Err(error),
        Err(Failed::Audit(error)) => {
            tracing::error!(
                target: "tollgate::idempotency", record = %open.key, error = %Causes(&error),
                "the audit log did not take a finding: the key stays open"
            );
            return Ok(Ended::Open);
        }
    };
    match resolved {
        Resolved::Resolved => {
            tracing::info!(
                target: "tollgate::idempotency", record = %open.key, epoch = open.epoch,
                actor = &*evidence.actor, reason = &*evidence.reason, "resolved"
            );
            Ok(ended)
        }
        // it moved on meanwhile, or its owner could still send when the look began
        Resolved::Stale | Resolved::TooEarly { .. } => Ok(Ended::Open),
    }
}

/// The outcome to store for an answer that was reconstructed from evidence, so that repeats get it as if it had arrived.
/// Name the request's type: `stored_answer::<Call<Sale>, _, _, _>(&Gateway, answer)`.
pub async fn stored_answer<Req, P, Res, Err>(protocol: &P, answer: Result<Res, Err>) -> Completion
where
    P: Replays<Req, Res, Err>,
{
    let executed = protocol.judge(&answer).effect == Effect::Executed;
    let (_, envelope) = protocol.capture(answer).await;
    Completion { executed, envelope }
}
