//! Tests that span several crates.
//!
//! | file | asks |
//! |---|---|
//! | `at_most_once.rs` | whatever goes wrong, in any order: does the gateway's own ledger ever count two? |
//! | `model/` | of everything that can happen to a key, in any order: what could break the promise? |
//! | `order.rs` | does each layer stand where it should, and what does a wrong order cost? |
//! | `shapes.rs` | can everything be sent, shared, cloned and printed? |
//! | `allocations.rs` | what does a call through the layers allocate? |
//! | `http_conformance/` | do our servers pass the black-box runner, and servers broken on purpose not? |
//! | `stripe_python/` | does Stripe's own Python library get along with a server that wears the layer? |
//!
//! This library holds nothing but the README's examples, as doctests.

/// Compiles and runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
