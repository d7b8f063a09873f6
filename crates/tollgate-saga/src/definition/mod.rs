//! What a saga does: steps in order, wired by typed handles.
//!
//! A definition is data. It is known before it runs, so it can be compared with what is in the journal, drawn, and tested step by step;
//! and it needs no rule about determinism, because nothing of it is run again to find out where it stood.

mod flow;

pub use flow::{Committed, Finished, Flow, Undecided};

use crate::handle::Out;
use crate::machine::{Kind, Place, Progress, Spec, shape};
use crate::step::ErasedSteps;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::{self, Write};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A definition that makes no sense. Nothing can be started with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefinitionError {
    /// Two steps have one name: what the journal says would fit both.
    #[error("saga `{saga}` has two steps named `{step}`: keys and reports go by name")]
    DuplicateStep {
        /// Which saga.
        saga: String,
        /// Which step.
        step: String,
    },
    /// A name is empty or too long.
    #[error("saga `{saga}`: the name `{name}` must have 1 to 64 characters without control characters")]
    Name {
        /// Which saga.
        saga: String,
        /// Which name.
        name: String,
    },
    /// There is nothing to do.
    #[error("saga `{saga}` has no steps")]
    Empty {
        /// Which saga.
        saga: String,
    },
}

/// A definition without its types, as the engine runs it.
pub(crate) struct Plan {
    pub(crate) name: Arc<str>,
    pub(crate) version: u32,
    pub(crate) shape: Arc<str>,
    pub(crate) specs: Arc<[Spec]>,
    pub(crate) steps: ErasedSteps,
    pub(crate) output: Vec<Place>,
    pub(crate) deadline: Option<Duration>,
}

impl Plan {
    /// A saga of this definition, before its first record.
    pub(crate) fn blank(&self) -> Progress {
        Progress::new(Arc::clone(&self.specs), self.deadline)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What a saga does: its name, its version, its steps. Cheap to clone.
///
/// **The version must rise with every change of the steps' names, order, wiring or kinds.** A saga in the journal is only ever continued by
/// the definition it was started with; keep the old one registered until none of its sagas is left. Policies may change freely.
pub struct Definition<In, T> {
    pub(crate) plan: Arc<Plan>,
    pub(crate) decode: fn(&[&Value]) -> Result<T, serde_json::Error>,
    input: PhantomData<fn(In)>,
}

impl<In, T> Definition<In, T>
where
    In: Serialize + DeserializeOwned + Send + 'static,
{
    /// Defines a saga. `deps` is what its steps depend on (clients, pools), given to each as
    /// [`StepContext::deps`](crate::StepContext::deps); `steps` puts them in their places and gets a handle to the saga's input.
    ///
    /// # Errors
    /// [`DefinitionError`] when two steps share a name, a name is unusable, or there are no steps.
    ///
    /// ```
    /// use tollgate_core::PaymentError;
    /// use tollgate_saga::{Definition, DefinitionError, StepContext, step};
    ///
    /// async fn double(_: StepContext<()>, number: u64) -> Result<u64, PaymentError> { Ok(number * 2) }
    ///
    /// let twice = Definition::new("twice", 1, (), |mut flow, number| {
    ///     let doubled = flow.step(step("double", double).without_effect(), number);
    ///     let (again, flow) = flow.pivot(step("double again", double), doubled);
    ///     flow.finish(again)
    /// })?;
    /// assert!(twice.diagram().contains("double again"));
    /// # Ok::<(), DefinitionError>(())
    /// ```
    pub fn new<D, F>(name: &str, version: u32, deps: D, steps: F) -> Result<Self, DefinitionError>
    where
        D: Send + Sync + 'static,
        F: for<'b> FnOnce(Flow<'b, D>, Out<'b, In>) -> Finished<'b, T>,
    {
        let finished = steps(Flow::new(Arc::new(deps)), Out::new(Place::Start));
        check(name, &finished.specs)?;
        let decode = finished.decode;
        let plan = Plan {
            name: name.into(),
            version,
            shape: shape(&finished.specs, &finished.output),
            specs: finished.specs.into(),
            steps: finished.steps,
            output: finished.output,
            deadline: finished.deadline,
        };
        Ok(Self {
            plan: Arc::new(plan),
            decode,
            input: PhantomData,
        })
    }
}

impl<In, T> Definition<In, T> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.plan.version
    }

    /// The steps as a Mermaid flowchart, for documents and reviews: what undoes what, and where the pivot is.
    #[must_use]
    pub fn diagram(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        let specs = &self.plan.specs;
        for (at, spec) in specs.iter().enumerate() {
            let (open, close) = match spec.kind {
                Kind::Compensable => ("[", "]"),
                Kind::Pivot => ("{{", "}}"),
                Kind::Retriable => ("([", "])"),
            };
            // writing to a string cannot fail
            let _ = writeln!(out, "    s{at}{open}\"{}\"{close}", spec.name.replace('"', "'"));
            if at > 0 {
                let _ = writeln!(out, "    s{} --> s{at}", at - 1);
            }
            if spec.has_undo {
                let _ = writeln!(out, "    s{at} -. undo .-> s{at}");
            }
            for earlier in &spec.supersedes {
                let _ = writeln!(out, "    s{at} -. supersedes .-> s{earlier}");
            }
        }
        out
    }
}

fn check(saga: &str, specs: &[Spec]) -> Result<(), DefinitionError> {
    let names = std::iter::once(saga).chain(specs.iter().map(|spec| spec.name));
    for name in names {
        if name.is_empty() || name.chars().count() > 64 || name.contains(char::is_control) {
            return Err(DefinitionError::Name {
                saga: saga.to_owned(),
                name: name.to_owned(),
            });
        }
    }
    if specs.is_empty() {
        return Err(DefinitionError::Empty {
            saga: saga.to_owned(),
        });
    }
    // seed S4: two steps with one name, and the result of the first was written to the second
    let twice = specs
        .iter()
        .enumerate()
        .find(|(at, spec)| specs[..*at].iter().any(|earlier| earlier.name == spec.name));
    match twice {
        Some((_, spec)) => Err(DefinitionError::DuplicateStep {
            saga: saga.to_owned(),
            step: spec.name.to_owned(),
        }),
        None => Ok(()),
    }
}

impl<In, T> Clone for Definition<In, T> {
    fn clone(&self) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            decode: self.decode,
            input: PhantomData,
        }
    }
}

impl<In, T> fmt::Debug for Definition<In, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("name", &self.plan.name)
            .field("version", &self.plan.version)
            .finish_non_exhaustive()
    }
}
