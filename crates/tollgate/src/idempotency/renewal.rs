//! Keeps the claim of a call that lasts: its lease is renewed while the call runs, so that nobody takes its owner for lost.
//!
//! Only a call that has to wait pays for this, and a call shorter than a third of its lease never asks the store. A process that is
//! killed or frozen renews nothing, and its lease lapses as it should.

use super::caught::caught;
use super::guard::Terms;
use crate::causes::Causes;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tollgate_core::store::idempotency::{Held, IdempotencyStore, Token};

/// The renewal of one claim: nothing until the call has waited for the first time, and nothing again when it has come to its end.
#[derive(Default)]
pub(super) enum Renewal {
    #[default]
    Idle,
    // in a box: a call that is over at once carries nothing of it
    Running(Pin<Box<dyn Future<Output = std::thread::Result<()>> + Send>>),
    Ended,
}

impl Renewal {
    /// To be polled whenever the call has been polled and has to wait. A panic in here (the store's own, or for want of a timer) ends the
    /// renewal and not the call, which may be moving money.
    pub(super) fn poll<St, P>(&mut self, terms: &Arc<Terms<St, P>>, token: &Token, cx: &mut Context<'_>)
    where
        St: IdempotencyStore,
        P: Send + Sync + 'static,
    {
        if let Self::Idle = self {
            let terms = Arc::clone(terms);
            let token = *token;
            *self = Self::Running(Box::pin(caught(move || renew(terms, token))));
        }
        if let Self::Running(running) = self
            && let Poll::Ready(ended) = running.as_mut().poll(cx)
        {
            if ended.is_err() {
                tracing::error!(
                    target: "tollgate::idempotency", record = %token.key,
                    "the renewal panicked: the lease of a running call will lapse"
                );
            }
            *self = Self::Ended;
        }
    }
}

/// Renews at each third of a lease, and when that fails, at each twelfth: a store may be away for more than half of a
/// lease before it lapses. A store that does not answer counts as one that fails: another question may get through, and what the first
/// holds (a connection, which waits where somebody else holds the row) is free again. Whatever it answers, the call goes on, for what was
/// sent cannot be taken back.
async fn renew<St: IdempotencyStore, P>(terms: Arc<Terms<St, P>>, token: Token) {
    let lease = terms.config.lease;
    let began = Instant::now();
    let mut pause = lease / 3;
    while began.elapsed().saturating_add(pause) <= terms.config.renew_for {
        sleep(pause.max(SHORTEST)).await;
        let asked = terms.guard.store.renew(token, lease);
        pause = match timeout((lease / 12).max(PATIENCE), asked).await {
            Ok(Ok(Held::Held)) => lease / 3,
            // its own settlement may have come first; if somebody else decided, that settlement will hear of it
            Ok(Ok(Held::Fenced)) => {
                tracing::debug!(target: "tollgate::idempotency", record = %token.key, "a running call holds its claim no more");
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(
                    target: "tollgate::idempotency", record = %token.key, error = %Causes(&error),
                    "the lease of a running call was not renewed"
                );
                lease / 12
            }
            Err(_) => {
                tracing::warn!(
                    target: "tollgate::idempotency", record = %token.key,
                    "the store did not say whether it renewed the lease of a running call"
                );
                lease / 12
            }
        };
    }
}

/// However short a lease is, the store has so long to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// However short a lease is, the store is not asked more often.
const SHORTEST: Duration = Duration::from_millis(1);
