//! Idempotency records: one string each; the rule runs in the server, one script per transition.
//!
//! Most calls need two of them, and no more than their short ways: a begin that takes a free key, and the settlement of what it
//! armed. Where several of these wait at the same moment, they go together, in one script for all of them; each of the other steps,
//! and what the short ways leave undone, goes alone.
//!
//! | file | holds |
//! |---|---|
//! | `store` | the port |
//! | `alone` | a begin and a settlement, each alone |
//! | `together` | many of them in one script |
//! | `answers` | what the scripts answer to a step |
//! | `list` | the list of what is unresolved |

mod alone;
mod answers;
mod list;
mod store;
mod together;

#[cfg(test)]
pub(crate) use alone::Settle;
#[cfg(test)]
pub(crate) use together::Step;
pub(crate) use together::Together;

/// What a record's key is called.
const RECORD: &str = "record";

/// The part of the watch where claims stand.
const CLAIMS: &str = "claims";
