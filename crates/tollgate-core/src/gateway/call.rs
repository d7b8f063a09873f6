//! A message with its context, and what a message has to tell of itself.

use crate::codec::Encoder;
use crate::context::CallContext;
use crate::id::IdempotencyKey;

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
