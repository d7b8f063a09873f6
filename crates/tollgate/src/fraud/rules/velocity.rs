//! Too much in too short a time.

use super::{Check, Later, Rule};
use crate::fraud::decision::{Decision, Finding};
use crate::fraud::facts::Facts;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tollgate_core::Secrets;
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};

type Subject = Arc<dyn Fn(&Facts) -> Option<String> + Send + Sync>;

/// Blocks more than so many payments of one subject within a window. Counting and recording are one atomic question to the store, so
/// the rule needs no second call to work (seed F1) and fifty at once do not all pass a limit of five (seed F2).
///
/// Each rule has counters of its own: two windows over one subject do not disturb each other (seed F3). Subjects are hashed before
/// they reach the store. An attempt counts whatever becomes of it later; put the layer inside the idempotency layer, so that
/// replays are not attempts.
pub struct Velocity<V> {
    name: &'static str,
    purpose: String,
    store: V,
    secrets: Secrets,
    limit: u64,
    window: Duration,
    subject: Subject,
    decision: Decision,
    on_failure: Decision,
}

impl<V: VelocityStore> Velocity<V> {
    /// At most `limit` payments per `window` of whomever `subject` names; `None` is not counted.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::fraud::{Engine, Facts, Velocity};
    /// use tollgate_core::{Secrets, store::memory::MemoryVelocity};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let per_mailbox = Velocity::new(
    ///     "mailbox-per-hour", MemoryVelocity::new(), &Secrets::ephemeral(), 3, Duration::from_secs(3600),
    ///     |facts: &Facts| facts.mailbox.as_ref().map(|mailbox| mailbox.as_str().to_owned()),
    /// );
    /// let engine = Engine::builder().rule(per_mailbox).build()?;
    /// let facts = Facts::default().email("eve@example.com");
    /// for _ in 0..3 {
    ///     assert_eq!(engine.screen(facts.clone()).await.blocked_by(), None);
    /// }
    /// assert_eq!(engine.screen(facts).await.blocked_by(), Some("mailbox-per-hour"));
    /// # Ok(()) }
    /// ```
    pub fn new(
        name: &'static str,
        store: V,
        secrets: &Secrets,
        limit: u64,
        window: Duration,
        subject: impl Fn(&Facts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            purpose: format!("velocity/{name}/{}", window.as_micros()),
            store,
            secrets: secrets.clone(),
            limit,
            window,
            subject: Arc::new(subject),
            decision: Decision::Block,
            on_failure: Decision::Review,
        }
    }

    /// Sets what is asked for above the limit (default: to block).
    #[must_use]
    pub const fn asks_for(mut self, decision: Decision) -> Self {
        self.decision = decision;
        self
    }

    /// Sets what is asked for while the store does not answer (default: a review).
    #[must_use]
    pub const fn when_store_is_down(mut self, decision: Decision) -> Self {
        self.on_failure = decision;
        self
    }
}

impl<V: VelocityStore> Rule for Velocity<V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, facts: &Facts) -> Check {
        let Some(subject) = (self.subject)(facts) else {
            return Check::Now(None);
        };
        let asked = self.store.admit(Admit {
            key: VelocityKey(self.secrets.pseudonym(&self.purpose, &subject)),
            window: self.window,
            weight: 1,
            limit: self.limit,
        });
        let decision = self.decision;
        let admitted: Later = Box::pin(Counting { asked, decision });
        Check::Later(admitted)
    }

    fn on_failure(&self) -> Decision {
        self.on_failure
    }
}

/// Waits for the store's count.
struct Counting<F> {
    asked: F,
    decision: Decision,
}

impl<F> Future for Counting<F>
where
    F: Future<Output = Result<tollgate_core::store::velocity::Admitted, tollgate_core::store::StoreError>>
        + Unpin,
{
    type Output = Result<Option<Finding>, super::RuleFailure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let admitted = ready!(Pin::new(&mut self.asked).poll(cx))?;
        Poll::Ready(Ok((!admitted.within).then(|| {
            Finding::new(self.decision, 70, "too many payments in too short a time")
        })))
    }
}

impl<V> fmt::Debug for Velocity<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Velocity")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
