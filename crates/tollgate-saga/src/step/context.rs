//! What a step is given besides its input.

use crate::machine::Direction;
use std::fmt;
use std::sync::Arc;
use tollgate_core::gateway;
use tollgate_core::id::InvalidText;
use tollgate_core::store::saga::SagaId;
use tollgate_core::{CallContext, Deadline, DownstreamKey, IdempotencyKey, KeyInForce};

/// One call of a step, without what the step depends on.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) saga: SagaId,
    pub(crate) business_key: Arc<str>,
    pub(crate) step: &'static str,
    pub(crate) attempt: u32,
    pub(crate) deadline: Deadline,
    pub(crate) key: KeyInForce,
    pub(crate) forward: KeyInForce,
}

/// The seed of a step's key: the same for every attempt, in every process, for ever.
pub(crate) fn seed(saga: SagaId, step: &str, direction: Direction, generation: u32) -> Vec<u8> {
    // fixed widths around the one part that has none
    let mut seed = b"tollgate-saga/1".to_vec();
    seed.extend_from_slice(&saga.0);
    seed.push(match direction {
        Direction::Forward => b'f',
        Direction::Undo => b'u',
    });
    seed.extend_from_slice(&generation.to_be_bytes());
    seed.extend_from_slice(step.as_bytes());
    seed
}

/// What a step is given besides its input: what it depends on, and the keys that make a repeat safe.
pub struct StepContext<D> {
    deps: Arc<D>,
    call: Call,
}

impl<D> StepContext<D> {
    pub(crate) const fn new(deps: Arc<D>, call: Call) -> Self {
        Self { deps, call }
    }

    /// What the definition was given: clients, pools.
    #[must_use]
    pub fn deps(&self) -> &D {
        &self.deps
    }

    /// The key to send to a peer that deduplicates on it: one for all attempts of this step in this direction, also after a crash and in
    /// another process. `peer` names gateway and account, as `"stripe/acct_1"`. Only a step that takes it is repeated after a doubt.
    #[must_use]
    pub fn key(&self, peer: &str) -> DownstreamKey {
        self.call.key.downstream_key(peer)
    }

    /// Says that the request carries another stable name that the peer deduplicates on: [`saga`](Self::saga), an order number. Counts as if
    /// [`key`](Self::key) had been taken.
    pub fn mark_keyed(&self) {
        self.call.key.ledger().mark_key_taken();
    }

    /// The key that the step's own attempts carried to this peer: for compensations and probes, to look the effect up by.
    #[must_use]
    pub fn forward_key(&self, peer: &str) -> DownstreamKey {
        self.call.forward.downstream_key(peer)
    }

    /// A key for messages and services that want an [`IdempotencyKey`]: as stable as [`key`](Self::key), and it counts as taken.
    ///
    /// # Errors
    /// None that is known; the type's own check is passed on rather than trusted.
    pub fn idempotency_key(&self) -> Result<IdempotencyKey, InvalidText> {
        IdempotencyKey::new(self.call.key.downstream_key("tollgate-saga").as_str())
    }

    /// The message on its way, with this step's key in force, its attempt and its deadline.
    pub fn call<M>(&self, message: M) -> gateway::Call<M> {
        gateway::Call {
            message,
            context: CallContext {
                key: Some(self.call.key.clone()),
                attempt: u16::try_from(self.call.attempt).unwrap_or(u16::MAX),
                deadline: Some(self.call.deadline),
                caller: None,
            },
        }
    }

    /// Which saga.
    #[must_use]
    pub const fn saga(&self) -> SagaId {
        self.call.saga
    }

    /// The caller's own key of the saga: an order number.
    #[must_use]
    pub fn business_key(&self) -> &str {
        &self.call.business_key
    }

    /// Which step.
    #[must_use]
    pub const fn step(&self) -> &'static str {
        self.call.step
    }

    /// How many attempts ended before this one without settling anything.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.call.attempt
    }

    /// By when this attempt has to be over.
    #[must_use]
    pub const fn deadline(&self) -> Deadline {
        self.call.deadline
    }
}

impl<D> Clone for StepContext<D> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.deps), self.call.clone())
    }
}

impl<D> fmt::Debug for StepContext<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepContext")
            .field("saga", &self.call.saga)
            .field("step", &self.call.step)
            .field("attempt", &self.call.attempt)
            .finish_non_exhaustive()
    }
}
