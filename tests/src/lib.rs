//! Tests that span several crates: see the files beside `src`. This library holds nothing but the README's examples, as doctests.

/// Compiles and runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
