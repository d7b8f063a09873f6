//! Runs sagas: starts, waits, recovers, lets people act.

mod commit;
mod drive;
mod live;
mod open;
mod operate;
mod recover;
mod report;
mod run;
mod start;

pub use open::{Setup, SetupError};
pub use operate::{Cancelled, OperateError, Operator};
pub use recover::{Recovered, Unrecoverable};
pub use report::{Report, StepReport};
pub use run::{Case, Cause, Run, Settled, WaitError};
pub use start::StartError;

use crate::definition::Plan;
use live::Running;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tollgate_core::Clock;

/// An engine over one journal. Clones share it; several engines, in one process or many, may share a journal.
///
/// Every saga runs in a task of its own, so whoever waits for it may stop to: a browser that hangs up leaves nothing half done. See the
/// [crate's page](crate) for the whole.
pub struct Sagas<J> {
    shared: Arc<Shared<J>>,
}

pub(crate) struct Shared<J> {
    pub(crate) journal: J,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lease: Duration,
    pub(crate) plans: HashMap<(Arc<str>, u32), Arc<Plan>>,
    pub(crate) tracker: TaskTracker,
    pub(crate) running: Running,
    pub(crate) closing: watch::Sender<bool>,
}

impl<J> Shared<J> {
    pub(crate) fn plan(&self, name: &Arc<str>, version: u32) -> Option<&Arc<Plan>> {
        self.plans.get(&(Arc::clone(name), version))
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }
}

/// What a shutdown left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// How many sagas still run in this process. When it ends they are left as after a crash: the next engine takes them up.
    pub running: usize,
}

impl<J> Sagas<J> {
    /// Takes no more sagas, gives those that only wait for their next attempt free for other engines, and waits for the others to come to
    /// rest, at most this long. May be called again to wait on.
    pub async fn shutdown(&self, within: Duration) -> Drained {
        self.shared.closing.send_replace(true);
        self.shared.tracker.close();
        let drained = tokio::time::timeout(within, self.shared.tracker.wait()).await;
        let running = self.shared.tracker.len();
        if drained.is_err() {
            tracing::warn!(target: "tollgate::saga", running, "sagas still run at the end of the shutdown");
        }
        Drained { running }
    }

    /// How many sagas run in this process.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.tracker.len()
    }
}

impl<J> Clone for Sagas<J> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<J> fmt::Debug for Sagas<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sagas")
            .field("running", &self.shared.tracker.len())
            .finish_non_exhaustive()
    }
}
