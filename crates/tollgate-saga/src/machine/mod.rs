//! The rules, pure: `(definition, journal) -> what comes next`. They know neither tokio nor a store.
//!
//! A live run, a recovery and the model checker of the tests go the same way: [`Progress`] is nothing but the sum of the records, and
//! what it says next is a function of that sum and the time. There is no second truth beside the journal.
//!
//! ```text
//! Waiting ─intent▶ Intended ─▶ Done ──────────────────────────────────────────┐
//!                     │ ├────▶ Refused, Absent ─▶ (unwind) ◀─ cancel          ├─ intent▶ Undoing ─▶ Undone
//!                     │ └ again: same key, in its window                      │             └─▶ stuck
//!                     └ doubt ─ probe ─ no answer ─▶ InDoubt ─ has an undo ───┘
//!                                                       └ has none ─▶ stuck: parked
//! ```

mod next;
mod progress;
mod record;
mod settle;
mod spec;
mod verb;

pub(crate) use next::{Action, advance};
pub use progress::Stage;
pub(crate) use progress::{Progress, StepState};
pub use record::{Direction, Unreadable, Verb};
pub(crate) use record::{EndState, Record, StepIndex};
pub(crate) use settle::{Answer, Asking, settle_answer, settle_probe};
pub use spec::Kind;
pub(crate) use spec::{Place, Spec, shape};
pub use verb::Misplaced;
pub(crate) use verb::check_verb;
