//! Puts steps in their places, and lets the compiler watch the order.

use crate::handle::{Brand, Inputs, Out};
use crate::machine::{Kind, Place, Spec};
use crate::step::{ErasedSteps, Irreversible, Reversible, Step};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// Before the pivot: every step can be undone.
#[derive(Clone, Copy, Debug)]
pub struct Undecided(());

/// Behind the pivot: there is only forward.
#[derive(Clone, Copy, Debug)]
pub struct Committed(());

/// A definition in the making. Steps run in the order in which they are put here.
#[must_use = "end it with `finish`"]
pub struct Flow<'b, D, Phase = Undecided> {
    deps: Arc<D>,
    specs: Vec<Spec>,
    steps: ErasedSteps,
    deadline: Option<Duration>,
    brand: Brand<'b>,
    phase: PhantomData<fn() -> Phase>,
}

/// A finished definition, on its way out of the closure.
pub struct Finished<'b, T> {
    pub(super) specs: Vec<Spec>,
    pub(super) steps: ErasedSteps,
    pub(super) deadline: Option<Duration>,
    pub(super) output: Vec<Place>,
    pub(super) decode: fn(&[&Value]) -> Result<T, serde_json::Error>,
    brand: Brand<'b>,
}

impl<'b, D: Send + Sync + 'static> Flow<'b, D> {
    pub(super) fn new(deps: Arc<D>) -> Self {
        Self {
            deps,
            specs: Vec::new(),
            steps: Vec::new(),
            deadline: None,
            brand: PhantomData,
            phase: PhantomData,
        }
    }

    /// Sets after which time since its start a saga that has not passed its pivot turns back (default: never). What is on its way then is
    /// brought to a known end first. Keep it below the life of what the steps hold: a card's authorization lapses after a few days.
    pub const fn deadline(&mut self, deadline: Duration) {
        self.deadline = Some(deadline);
    }

    /// A step that is undone when a later one is refused. `inputs` are handles: the saga's own input, and what came of earlier steps.
    ///
    /// A step that cannot be undone does not fit here:
    ///
    /// ```compile_fail,E0308
    /// use tollgate_core::PaymentError;
    /// use tollgate_saga::{Definition, StepContext, step};
    ///
    /// async fn capture(_: StepContext<()>, _: u64) -> Result<(), PaymentError> { Ok(()) }
    /// // the seed's own example: a capture without a refund, and a step after it that may be refused
    /// Definition::new("checkout", 1, (), |mut flow, order| {
    ///     let captured = flow.step(step("capture", capture), order);
    ///     flow.finish(captured)
    /// });
    /// ```
    pub fn step<In, T, I>(&mut self, step: Step<'b, D, In, T, Reversible>, inputs: I) -> Out<'b, T>
    where
        I: Inputs<'b, Value = In> + 'b,
        In: Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        self.put(Kind::Compensable, step, inputs)
    }

    /// The point of no return: done, the saga only goes forward; refused, it unwinds. If it can be undone, that is used only when it is in
    /// doubt.
    pub fn pivot<In, T, Back, I>(
        mut self,
        step: Step<'b, D, In, T, Back>,
        inputs: I,
    ) -> (Out<'b, T>, Flow<'b, D, Committed>)
    where
        I: Inputs<'b, Value = In> + 'b,
        In: Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let out = self.put(Kind::Pivot, step, inputs);
        let committed = Flow {
            deps: self.deps,
            specs: self.specs,
            steps: self.steps,
            deadline: self.deadline,
            brand: self.brand,
            phase: PhantomData,
        };
        (out, committed)
    }
}

impl<'b, D: Send + Sync + 'static> Flow<'b, D, Committed> {
    /// A step that is tried until it is done. Behind the pivot there is nothing else, no second pivot and no way back:
    ///
    /// ```compile_fail,E0599
    /// # use tollgate_core::PaymentError;
    /// # use tollgate_saga::{Definition, StepContext, step};
    /// # async fn double(_: StepContext<()>, number: u64) -> Result<u64, PaymentError> { Ok(number * 2) }
    /// let _ = Definition::new("twice", 1, (), |flow, number| {
    ///     let (once, flow) = flow.pivot(step("once", double), number);
    ///     let (twice, flow) = flow.pivot(step("twice", double), once);
    ///     flow.finish(twice)
    /// });
    /// ```
    ///
    /// A refusal here is an error of the design: the saga is parked.
    pub fn retriable<In, T, I>(&mut self, step: Step<'b, D, In, T, Irreversible>, inputs: I) -> Out<'b, T>
    where
        I: Inputs<'b, Value = In> + 'b,
        In: Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        self.put(Kind::Retriable, step, inputs)
    }
}

impl<'b, D: Send + Sync + 'static, Phase> Flow<'b, D, Phase> {
    fn put<In, T, Back, I>(&mut self, kind: Kind, step: Step<'b, D, In, T, Back>, inputs: I) -> Out<'b, T>
    where
        I: Inputs<'b, Value = In> + 'b,
        In: Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let place = Place::Step(self.specs.len());
        self.specs.push(step.spec(kind, places(&inputs)));
        self.steps.push(step.erase::<I>(&self.deps));
        Out::new(place)
    }

    /// Ends the definition: what comes of the saga.
    pub fn finish<I: Inputs<'b>>(self, output: I) -> Finished<'b, I::Value> {
        Finished {
            specs: self.specs,
            steps: self.steps,
            deadline: self.deadline,
            output: places(&output),
            decode: I::decode,
            brand: self.brand,
        }
    }
}

fn places<'b>(inputs: &impl Inputs<'b>) -> Vec<Place> {
    inputs.places().into_iter().map(|place| place.0).collect()
}

impl<D, Phase> fmt::Debug for Flow<'_, D, Phase> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("steps", &self.specs.len())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Finished<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let _ = self.brand;
        f.debug_struct("Finished")
            .field("steps", &self.specs.len())
            .finish_non_exhaustive()
    }
}
