//! Idempotency records.
//!
//! Three ways to make a change, each of one guarded statement that commits by itself:
//!
//! * Begins and settlements of several callers who wait at the same moment go in one statement, if they go as they mostly do: a new key,
//!   a claim that stands ([`together`]). Who comes alone goes alone, at once.
//! * What every guarded effect goes through (begin on a new key, arm, renew, settle, resolve) is one round trip: the statement's `where`
//!   says what core's rule says, and random histories compare the two.
//! * Whatever else any of them meets goes the general way: read the record, ask core's rule, and write its change *if the row is still the
//!   version that the rule was asked about*. Who finds another version has lost a race and asks again. An answer that changes nothing
//!   needs no write: it was true when the record was read.
//!
//! | file | holds |
//! |---|---|
//! | `store` | the port |
//! | `alone` | one begin, or one settlement, in a statement of its own |
//! | `together` | many begins, or many settlements, in one statement |
//! | `general` | the general way |
//! | `in_transaction` | a settlement in the caller's own transaction |
//! | `statements`, `rows` | what is asked of the database, and how its rows are read |

mod alone;
mod general;
mod in_transaction;
mod rows;
mod statements;
mod store;
mod together;

pub(crate) use together::{LIMITS, Steps};
