//! What anybody needs to test a payments service.
//!
//! | module | what for |
//! |---|---|
//! | [`conformance`] | what every store must keep, as one test per property and port |
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod conformance;
