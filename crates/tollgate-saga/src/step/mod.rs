//! A step: an async function, how it is undone, how its outcome is looked up, how patient it is.
//!
//! ```
//! use tollgate_core::PaymentError;
//! use tollgate_saga::{Effected, Policy, StepContext, Undone, step};
//! # use std::time::Duration;
//!
//! async fn reserve(cx: StepContext<()>, sku: String) -> Result<u64, PaymentError> {
//!     let _key = cx.key("warehouse"); // the same for every attempt, also after a crash
//!     Ok(sku.len() as u64)
//! }
//!
//! async fn release(_: StepContext<()>, _sku: String, hold: Effected<u64>) -> Result<Undone, PaymentError> {
//!     match hold {
//!         Effected::Known(_hold) => Ok(Undone::Reverted),
//!         Effected::InDoubt => Ok(Undone::NothingThere), // after having looked it up by `forward_key`
//!     }
//! }
//!
//! let reserve = step("reserve", reserve)
//!     .undo(release)
//!     .policy(Policy::default().timeout(Duration::from_secs(3)));
//! assert!(format!("{reserve:?}").contains("reserve"));
//! ```

mod context;
mod erased;
mod service;

pub use context::StepContext;
pub(crate) use context::{Call as Calling, seed};
pub(crate) use erased::{Attempting, ErasedSteps};
pub use service::via;

use crate::handle::{Brand, Out};
use crate::machine::StepIndex;
use crate::outcome::{Effected, IntoOutcome, Outcome, Probed, Undone};
use crate::policy::Policy;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

pub(crate) type Answering<T> = Pin<Box<dyn Future<Output = Outcome<T>> + Send>>;
pub(crate) type Run<D, In, T> = Arc<dyn Fn(StepContext<D>, In) -> Answering<T> + Send + Sync>;
pub(crate) type RunUndo<D, In, T> =
    Arc<dyn Fn(StepContext<D>, In, Effected<T>) -> Answering<Undone> + Send + Sync>;

/// A step that says how it is undone, or that there is nothing to undo: may stand before the pivot.
#[derive(Clone, Copy, Debug)]
pub struct Reversible(());

/// A step that cannot be undone: it is the pivot, or stands behind it.
#[derive(Clone, Copy, Debug)]
pub struct Irreversible(());

/// A step of a definition: made by [`step`], put in its place by [`Flow`](crate::Flow).
#[must_use = "a step does nothing until a `Flow` takes it"]
pub struct Step<'b, D, In, T, Back = Irreversible> {
    pub(crate) name: &'static str,
    pub(crate) run: Run<D, In, T>,
    pub(crate) undo: Option<RunUndo<D, In, T>>,
    pub(crate) probe: Option<Run<D, In, Probed<T>>>,
    pub(crate) has_effect: bool,
    pub(crate) park_in_doubt: bool,
    pub(crate) supersedes: Vec<StepIndex>,
    pub(crate) policies: Policies,
    brand: Brand<'b>,
    back: PhantomData<fn() -> Back>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Policies {
    pub(crate) forward: Policy,
    pub(crate) undo: Policy,
    pub(crate) probe: Policy,
}

/// A step with this name. `run` gets a context and the step's input, and answers with a `Result` whose error says what became of the
/// money, or with an [`Outcome`]. It may be called more than once for one saga: send [`StepContext::key`] to whoever deduplicates.
///
/// The future is dropped when its time is over, and when the process ends; both count as "it may have happened".
pub fn step<'b, D, In, T, F, Fut>(name: &'static str, run: F) -> Step<'b, D, In, T>
where
    F: Fn(StepContext<D>, In) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoOutcome<Output = T>> + Send + 'static,
{
    Step {
        name,
        run: answering(run),
        undo: None,
        probe: None,
        has_effect: true,
        park_in_doubt: false,
        supersedes: Vec::new(),
        policies: Policies {
            forward: Policy::default(),
            undo: Policy::undo(),
            probe: Policy::probe(),
        },
        brand: PhantomData,
        back: PhantomData,
    }
}

fn answering<D, In, T, F, Fut>(run: F) -> Run<D, In, T>
where
    F: Fn(StepContext<D>, In) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoOutcome<Output = T>> + Send + 'static,
{
    Arc::new(move |cx, input| {
        let running = run(cx, input);
        Box::pin(async move { running.await.into_outcome() })
    })
}

impl<'b, D, In, T, Back> Step<'b, D, In, T, Back> {
    /// Sets how it is undone (default: it cannot be). Called with what came of the step, or with the word that nobody knows; may be
    /// called more than once, under one [`key`](StepContext::key).
    pub fn undo<F, Fut>(self, undo: F) -> Step<'b, D, In, T, Reversible>
    where
        F: Fn(StepContext<D>, In, Effected<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoOutcome<Output = Undone>> + Send + 'static,
    {
        let undo: RunUndo<D, In, T> = Arc::new(move |cx, input, effect| {
            let running = undo(cx, input, effect);
            Box::pin(async move { running.await.into_outcome() })
        });
        Step {
            undo: Some(undo),
            ..self.back()
        }
    }

    /// Says that it leaves nothing behind that would have to be undone: a check, a quote (default: it has an effect).
    pub fn without_effect(self) -> Step<'b, D, In, T, Reversible> {
        Step {
            has_effect: false,
            undo: None,
            ..self.back()
        }
    }

    fn back<Other>(self) -> Step<'b, D, In, T, Other> {
        Step {
            name: self.name,
            run: self.run,
            undo: self.undo,
            probe: self.probe,
            has_effect: self.has_effect,
            park_in_doubt: self.park_in_doubt,
            supersedes: self.supersedes,
            policies: self.policies,
            brand: self.brand,
            back: PhantomData,
        }
    }

    /// Sets how its outcome is looked up when no answer came (default: it cannot be). [`StepContext::forward_key`] is the key that the
    /// step's attempts carried.
    pub fn probe<F, Fut>(mut self, probe: F) -> Self
    where
        F: Fn(StepContext<D>, In) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoOutcome<Output = Probed<T>>> + Send + 'static,
    {
        self.probe = Some(answering(probe));
        self
    }

    /// Says that this step's compensation takes the place of `earlier`'s (default: of none): once a payment is captured it is refunded,
    /// not voided. When this step did not happen, or its compensation finds [`Undone::NothingThere`], the earlier one is undone in its
    /// own way.
    pub fn supersedes<U>(mut self, earlier: Out<'b, U>) -> Self {
        self.supersedes.extend(earlier.step());
        self
    }

    /// Sets how attempts are made (default: [`Policy::default`]).
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policies.forward = policy;
        self
    }

    /// Sets how attempts to undo it are made (default: [`Policy::undo`]). The budget is its own: what the step used up is not missing here.
    pub const fn undo_policy(mut self, policy: Policy) -> Self {
        self.policies.undo = policy;
        self
    }

    /// Sets how it is looked up (default: [`Policy::probe`]).
    pub const fn probe_policy(mut self, policy: Policy) -> Self {
        self.policies.probe = policy;
        self
    }

    /// Says that in doubt it waits for a person (default: its compensation is called with [`Effected::InDoubt`]).
    pub const fn park_in_doubt(mut self) -> Self {
        self.park_in_doubt = true;
        self
    }
}

impl<D, In, T, Back> fmt::Debug for Step<'_, D, In, T, Back> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("name", &self.name)
            .field("undo", &self.undo.is_some())
            .field("probe", &self.probe.is_some())
            .finish_non_exhaustive()
    }
}
