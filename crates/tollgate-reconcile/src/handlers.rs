//! Who is told about what, each on their own.
//!
//! A handler is a function; it hears every discrepancy that has its class, alone or among others. One that errs or
//! panics stops neither the other handlers nor the next discrepancy; [`Dispatch`] says which one failed on what, and
//! which discrepancies nobody was there to hear. Handlers run in the caller's thread, one after the other, in the
//! order of the report; what is slow or needs a runtime should put the finding into a queue.
//!
//! A panic is caught where panics unwind, the default; a program built with `panic = "abort"` ends. The process's panic
//! hook runs either way and prints what the handler panicked with, so keep card data out of panics.

use crate::discrepancy::{Class, Discrepancy};
use crate::report::Report;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tollgate_core::IdempotencyKey;

type BoxError = Box<dyn Error + Send + Sync>;
type Handle<'h> = Box<dyn FnMut(&Discrepancy) -> Result<(), BoxError> + 'h>;

/// The handlers of a run.
///
/// ```
/// use tollgate_core::gateway::PaymentStatus::Captured;
/// use tollgate_core::{Timestamp, id::MerchantReference};
/// use tollgate_reconcile::{Class, Handlers, Reconciler, Row};
///
/// let at = Timestamp::from_unix_seconds(1_700_000_000);
/// let row = |name| Row::new(MerchantReference::new(name).unwrap(), "5.00 EUR".parse().unwrap(), Captured, at);
/// let report = Reconciler::new(at).reconcile(vec![row("order-1")], vec![row("order-2")])?;
///
/// let mut paged = Vec::new();
/// let dispatch = Handlers::new()
///     .on(Class::MissingAtGateway, "pager", |found| {
///         paged.push(found.reference().to_owned());
///         Ok::<_, std::fmt::Error>(())
///     })
///     .run(&report);
/// assert_eq!(dispatch.unhandled().count(), 1); // nobody listens for what is missing in the ledger
/// assert!(!dispatch.is_complete());
/// drop(dispatch);
/// assert_eq!(paged, ["order-1"]);
/// # Ok::<(), tollgate_reconcile::ReconcileError>(())
/// ```
#[derive(Default)]
pub struct Handlers<'h> {
    registered: Vec<Registered<'h>>,
}

struct Registered<'h> {
    name: &'static str,
    /// `None` hears everything.
    class: Option<Class>,
    handle: Handle<'h>,
}

impl<'h> Handlers<'h> {
    /// Nobody listens yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler for one class (default: none). `name` is what a failure is reported under.
    #[must_use]
    pub fn on<E: Into<BoxError>>(
        self,
        class: Class,
        name: &'static str,
        handle: impl FnMut(&Discrepancy) -> Result<(), E> + 'h,
    ) -> Self {
        self.register(name, Some(class), handle)
    }

    /// Adds a handler for every class, once per discrepancy (default: none).
    #[must_use]
    pub fn on_any<E: Into<BoxError>>(
        self,
        name: &'static str,
        handle: impl FnMut(&Discrepancy) -> Result<(), E> + 'h,
    ) -> Self {
        self.register(name, None, handle)
    }

    fn register<E: Into<BoxError>>(
        mut self,
        name: &'static str,
        class: Option<Class>,
        mut handle: impl FnMut(&Discrepancy) -> Result<(), E> + 'h,
    ) -> Self {
        let handle = Box::new(move |found: &Discrepancy| handle(found).map_err(Into::into));
        self.registered.push(Registered { name, class, handle });
        self
    }

    /// Tells every handler.
    pub fn run<'r>(&mut self, report: &'r Report) -> Dispatch<'r> {
        self.run_unless(report, |_| false)
    }

    /// Tells every handler, except of what `known` says was told in an earlier run. Remember
    /// [`Discrepancy::key`] of what [`Dispatch::handled`] gives, and a second run over the same rows wakes nobody.
    pub fn run_unless<'r>(
        &mut self,
        report: &'r Report,
        mut known: impl FnMut(&IdempotencyKey) -> bool,
    ) -> Dispatch<'r> {
        let mut dispatch = Dispatch::default();
        for found in report.discrepancies() {
            let outcome = match known(&found.key()) {
                true => Outcome::Known,
                false => self.tell(found, &mut dispatch.failures),
            };
            dispatch.outcomes.push((found, outcome));
        }
        dispatch
    }

    fn tell<'r>(&mut self, found: &'r Discrepancy, failures: &mut Vec<Failure<'r>>) -> Outcome {
        let before = failures.len();
        let hears = |listener: &&mut Registered<'_>| {
            listener
                .class
                .is_none_or(|class| found.classes().any(|other| other == class))
        };
        let mut heard = false;
        for listener in self.registered.iter_mut().filter(hears) {
            heard = true;
            if let Some(cause) = call(&mut listener.handle, found) {
                // neither the error nor the panic is printed: their text could hold anything
                tracing::warn!(
                    handler = listener.name,
                    class = found.class().as_str(),
                    "handler failed"
                );
                failures.push(Failure {
                    handler: listener.name,
                    discrepancy: found,
                    cause,
                });
            }
        }
        match (heard, failures.len() > before) {
            (false, _) => Outcome::Unhandled,
            (true, true) => Outcome::Failed,
            (true, false) => Outcome::Handled,
        }
    }
}

/// A handler that panicked may have left its own captures half changed; it is called again for the next finding all
/// the same, as a pager that failed once should try once more.
fn call(handle: &mut Handle<'_>, found: &Discrepancy) -> Option<Cause> {
    match catch_unwind(AssertUnwindSafe(|| handle(found))) {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Cause::Error(error)),
        Err(payload) => {
            // a payload may panic when it is dropped, and so may what that one carries: the last one is let go
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(second);
            }
            Some(Cause::Panic)
        }
    }
}

impl fmt::Debug for Handlers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listeners = self
            .registered
            .iter()
            .map(|listener| (listener.name, listener.class));
        f.debug_list().entries(listeners).finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Handled,
    Failed,
    Unhandled,
    Known,
}

/// What became of each discrepancy.
#[derive(Debug, Default)]
#[must_use = "it says which handlers failed"]
pub struct Dispatch<'r> {
    outcomes: Vec<(&'r Discrepancy, Outcome)>,
    failures: Vec<Failure<'r>>,
}

impl<'r> Dispatch<'r> {
    fn with(&self, outcome: Outcome) -> impl Iterator<Item = &'r Discrepancy> {
        let has = move |(found, what): &(&'r Discrepancy, Outcome)| (*what == outcome).then_some(*found);
        self.outcomes.iter().filter_map(has)
    }

    /// Heard by at least one handler, and none of them failed.
    pub fn handled(&self) -> impl Iterator<Item = &'r Discrepancy> {
        self.with(Outcome::Handled)
    }

    /// Heard by nobody: no handler for any of its classes.
    pub fn unhandled(&self) -> impl Iterator<Item = &'r Discrepancy> {
        self.with(Outcome::Unhandled)
    }

    /// Not told again.
    pub fn known(&self) -> impl Iterator<Item = &'r Discrepancy> {
        self.with(Outcome::Known)
    }

    /// Which handlers failed on what. One discrepancy may be here several times.
    #[must_use]
    pub fn failures(&self) -> &[Failure<'r>] {
        &self.failures
    }

    /// Whether every discrepancy was heard, now or before, and no handler failed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.unhandled().next().is_none()
    }
}

/// Counts, then every failure and every finding nobody heard.
impl fmt::Display for Dispatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |outcome| self.with(outcome).count();
        writeln!(
            f,
            "{} handled, {} failed, {} unhandled, {} known before",
            count(Outcome::Handled),
            count(Outcome::Failed),
            count(Outcome::Unhandled),
            count(Outcome::Known)
        )?;
        self.failures
            .iter()
            .try_for_each(|failure| writeln!(f, "  {failure}"))?;
        self.unhandled()
            .try_for_each(|found| writeln!(f, "  nobody heard {found}"))
    }
}

/// A handler that failed on a discrepancy. The text of its error is never printed here: it could hold anything.
pub struct Failure<'r> {
    handler: &'static str,
    discrepancy: &'r Discrepancy,
    cause: Cause,
}

enum Cause {
    Error(BoxError),
    Panic,
}

impl<'r> Failure<'r> {
    /// Which handler.
    #[must_use]
    pub const fn handler(&self) -> &'static str {
        self.handler
    }

    /// On what.
    #[must_use]
    pub const fn discrepancy(&self) -> &'r Discrepancy {
        self.discrepancy
    }

    /// Its error; `None` if it panicked.
    #[must_use]
    pub fn error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        match &self.cause {
            Cause::Error(error) => Some(error.as_ref()),
            Cause::Panic => None,
        }
    }
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.cause {
            Cause::Error(_) => "failed",
            Cause::Panic => "panicked",
        };
        write!(f, "handler {:?} {how} on {}", self.handler, self.discrepancy)
    }
}

impl fmt::Debug for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({self})")
    }
}
