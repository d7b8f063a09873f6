//! The rules, as pure functions of the text: what is a digit, which digits form a number, who issues such numbers, which
//! words announce them, and what only looks like one.
//!
//! Nothing here allocates, and nothing looks further than a fixed number of bytes to either side, which is what keeps
//! the scanner linear. [`crate::scan`] asks these questions in order and acts on the answers.

pub(crate) mod digits;
pub(crate) mod expiry;
pub(crate) mod groups;
mod harmless;
mod iban;
pub(crate) mod json;
pub(crate) mod label;
pub(crate) mod luhn;
pub(crate) mod near;
pub(crate) mod pan;
pub(crate) mod suppress;
pub(crate) mod track;
