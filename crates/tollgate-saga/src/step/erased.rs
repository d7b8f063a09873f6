//! Steps without their types, as the engine runs them.

use super::{Answering, Calling, Step, StepContext};
use crate::handle::Inputs;
use crate::machine::{Answer, Kind, Place, Spec};
use crate::outcome::{Effected, Outcome, Probed, Why};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What the engine awaits.
pub(crate) type Attempting = Pin<Box<dyn Future<Output = Answer> + Send>>;

type RunStep = Box<dyn Fn(Calling, &[&Value]) -> Attempting + Send + Sync>;
type UndoStep = Box<dyn Fn(Calling, &[&Value], Option<&Value>) -> Attempting + Send + Sync>;
type ProbeStep = Box<dyn Fn(Calling, &[&Value]) -> Answering<Probed<Value>> + Send + Sync>;

/// A step's functions, over stored forms.
pub(crate) struct Erased {
    pub(crate) run: RunStep,
    pub(crate) undo: Option<UndoStep>,
    pub(crate) probe: Option<ProbeStep>,
}

/// All of a definition's.
pub(crate) type ErasedSteps = Vec<Erased>;

/// Errors of serde repeat values; their class and place do not.
fn broken(what: &str, error: &serde_json::Error) -> Why {
    Why::new(format!(
        "{what} cannot be read as its type ({:?})",
        error.classify()
    ))
}

fn unstorable(what: &str, error: &serde_json::Error) -> Why {
    Why::new(format!("{what} has no stored form ({:?})", error.classify()))
}

impl<'b, D, In, T, Back> Step<'b, D, In, T, Back>
where
    D: Send + Sync + 'static,
    In: Send + 'static,
    T: Serialize + DeserializeOwned + Send + 'static,
{
    pub(crate) fn spec(&self, kind: Kind, inputs: Vec<Place>) -> Spec {
        Spec {
            name: self.name,
            kind,
            inputs,
            supersedes: self.supersedes.clone(),
            has_effect: self.has_effect,
            has_undo: self.undo.is_some(),
            has_probe: self.probe.is_some(),
            park_in_doubt: self.park_in_doubt,
            forward: self.policies.forward,
            undo: self.policies.undo,
            probe: self.policies.probe,
        }
    }

    pub(crate) fn erase<I: Inputs<'b, Value = In>>(self, deps: &Arc<D>) -> Erased {
        let Self { run, undo, probe, .. } = self;
        let deps_of = |deps: &Arc<D>| Arc::clone(deps);
        let (for_run, for_undo, for_probe) = (deps_of(deps), deps_of(deps), deps_of(deps));
        let run: RunStep = Box::new(move |call, values| match I::decode(values) {
            Ok(input) => {
                let running = run(StepContext::new(Arc::clone(&for_run), call), input);
                Box::pin(async move { answer(running.await) })
            }
            Err(error) => ready(Answer::Broken(broken("the step's input", &error))),
        });
        let undo = undo.map(|undo| -> UndoStep {
            Box::new(move |call, values, output| {
                let effect = match output.map(T::deserialize).transpose() {
                    Ok(Some(output)) => Effected::Known(output),
                    Ok(None) => Effected::InDoubt,
                    Err(error) => return ready(Answer::Broken(broken("the step's output", &error))),
                };
                match I::decode(values) {
                    Ok(input) => {
                        let undoing = undo(StepContext::new(Arc::clone(&for_undo), call), input, effect);
                        Box::pin(async move {
                            match undoing.await {
                                Outcome::Done(how) => Answer::Undone(how),
                                Outcome::Refused(refusal) => Answer::Refused(refusal),
                                Outcome::Unknown(doubt) => Answer::Unknown(doubt),
                            }
                        })
                    }
                    Err(error) => ready(Answer::Broken(broken("the step's input", &error))),
                }
            })
        });
        let probe = probe.map(|probe| -> ProbeStep {
            Box::new(move |call, values| match I::decode(values) {
                Ok(input) => {
                    let asking = probe(StepContext::new(Arc::clone(&for_probe), call), input);
                    Box::pin(async move { found(asking.await) })
                }
                Err(error) => {
                    let doubt = crate::Doubt::new(broken("the step's input", &error).as_str().to_owned());
                    Box::pin(std::future::ready(Outcome::Unknown(doubt)))
                }
            })
        });
        Erased { run, undo, probe }
    }
}

fn ready(answer: Answer) -> Attempting {
    Box::pin(std::future::ready(answer))
}

fn answer<T: Serialize>(outcome: Outcome<T>) -> Answer {
    match outcome {
        Outcome::Done(output) => match serde_json::to_value(output) {
            Ok(value) => Answer::Done(value),
            Err(error) => Answer::Broken(unstorable("the step's output", &error)),
        },
        Outcome::Refused(refusal) => Answer::Refused(refusal),
        Outcome::Unknown(doubt) => Answer::Unknown(doubt),
    }
}

fn found<T: Serialize>(outcome: Outcome<Probed<T>>) -> Outcome<Probed<Value>> {
    match outcome {
        Outcome::Done(Probed::Found(output)) => match serde_json::to_value(output) {
            Ok(value) => Outcome::Done(Probed::Found(value)),
            Err(error) => Outcome::Unknown(crate::Doubt::new(
                unstorable("what the probe found", &error).as_str().to_owned(),
            )),
        },
        Outcome::Done(Probed::NotFound) => Outcome::Done(Probed::NotFound),
        Outcome::Done(Probed::Pending) => Outcome::Done(Probed::Pending),
        Outcome::Refused(refusal) => Outcome::Refused(refusal),
        Outcome::Unknown(doubt) => Outcome::Unknown(doubt),
    }
}
