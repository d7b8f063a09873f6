//! The protocol of typed calls.

use tollgate_core::context::CallContext;
use tollgate_core::gateway::{Call, Message};
use tollgate_core::protocol::{Answers, Fault, Operation, Repeats, Requests};
use tollgate_core::{Rejection, Verdict};

/// Typed calls: the request is a [`Call`] of a [`Message`], the error a [`Fault`].
///
/// An `Ok` says that the request was carried out; a decline is an `Err`. A layer's own no becomes the error, so one
/// error type passes through the whole stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gateway;

impl<M: Message> Requests<Call<M>> for Gateway {
    fn operation<'r>(&self, _: &'r Call<M>) -> Operation<'r> {
        Operation {
            name: M::OPERATION,
            moves_money: M::MOVES_MONEY,
        }
    }

    fn context<'r>(&self, req: &'r Call<M>) -> Option<&'r CallContext> {
        Some(&req.context)
    }

    fn context_mut<'r>(&self, req: &'r mut Call<M>) -> &'r mut CallContext {
        &mut req.context
    }
}

impl<M: Message + Clone> Repeats<Call<M>> for Gateway {
    fn repeat(&self, req: &Call<M>) -> Option<Call<M>> {
        Some(req.clone())
    }
}

impl<Res, Err: Fault> Answers<Res, Err> for Gateway {
    #[inline]
    fn judge(&self, answer: &Result<Res, Err>) -> Verdict {
        match answer {
            Ok(_) => Verdict::EXECUTED,
            Err(error) => error.verdict(),
        }
    }

    #[inline]
    fn refuse(&self, rejection: Rejection) -> Result<Res, Err> {
        Err(Err::refused(rejection))
    }
}
