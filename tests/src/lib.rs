//! Tests that span several crates.
//!
//! | file | asks |
//! |---|---|
//! | `at_most_once.rs` | whatever goes wrong, in any order: does the gateway's own ledger ever count two? |
//! | `clocks.rs` | the store's clock jumps, forward and back: what is late then, and what must be known to be safe? |
//! | `cut/` | a whole stack, dropped, aborted, panicking, its runtime ending, at every step: one charge? |
//! | `interleavings/` | the layer in every order of its steps, with hang-ups, faults and panics: one charge? |
//! | `model/` | of everything that can happen to a key, in any order: what could break the promise? |
//! | `order.rs` | does each layer stand where it should, and what does a wrong order cost? |
//! | `shapes.rs` | can everything be sent, shared, cloned and printed? |
//! | `allocations.rs` | what does a call through the layers allocate? |
//! | `http_conformance/` | do our servers pass the black-box runner, and servers broken on purpose not? |
//! | `locks`, a command | the locks of in-memory stores in every order: do they add nothing to their rule? |
//! | `harness/`, started with `kill` | real processes, killed, frozen and cut off: what was charged twice, what was lost? |
//! | `stripe_python/` | does Stripe's own Python library get along with a server that wears the layer? |
//!
//! This library holds the README's examples, as doctests, and what keeps the guide's numbers true.

/// Compiles and runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The page that tells what was found.
const GUIDE: &str = include_str!("../../crates/tollgate/src/guide/model.md");

/// Fails unless a table of the guide's page `model` has a row that begins with the first of these and has the others behind, in this order.
///
/// # Panics
/// Then.
pub fn guide_says(name: &str, cells: &[String]) {
    let mut rows = GUIDE
        .lines()
        .filter(|line| line.starts_with(&format!("| {name} |")));
    let row = rows
        .next()
        .unwrap_or_else(|| panic!("the guide has no row for {name:?}: {cells:?}"));
    let told: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let last = &told[told.len().saturating_sub(cells.len())..];
    assert_eq!(last, cells, "the guide's row for {name:?}");
}

/// A number with its thousands apart.
#[must_use]
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<String> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    groups.join(",")
}
