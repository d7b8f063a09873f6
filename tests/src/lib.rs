//! Tests that span several crates; see the files in this folder.
