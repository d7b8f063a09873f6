//! Stored answers sealed: who reads the database, its backups or its replicas reads no answers. Feature `seal`.
//!
//! # What it prevents
//!
//! A stored answer holds what the gateway or the handler said: names, ids, amounts, sometimes more than anybody meant to keep. [`Sealed`]
//! wraps any idempotency store, encrypts head and body of an answer before it is written, and opens them when it is replayed or read. It
//! also binds each answer to its record: an answer copied into another row, or whose status or outcome was changed, does not open.
//!
//! # Smallest use
//!
//! ```
//! use tollgate_core::Secret;
//! use tollgate_core::store::idempotency::seal::{Keyring, Sealed};
//! use tollgate_core::store::memory::MemoryIdempotency;
//!
//! // at least 32 bytes from your secret store, and a name by which you will find them again
//! let keys = Keyring::new("2026-11", &Secret::new(vec![7; 32]))?;
//! let store = Sealed::new(MemoryIdempotency::new(), keys);
//! // hand `store` to the idempotency layer, the resolver and the operators: all of them, or they meet sealed bytes
//! # let _ = store;
//! # Ok::<(), tollgate_core::store::idempotency::seal::BadKey>(())
//! ```
//!
//! # When it acts
//!
//! On [`settle`](super::IdempotencyStore::settle) and [`resolve`](super::IdempotencyStore::resolve) with a kept answer; on a replay
//! from [`begin`](super::IdempotencyStore::begin) and on [`get`](super::IdempotencyStore::get). Everything else passes through: phases,
//! epochs, leases and evidence stay readable for the store, its rule and its auditors. Dropping a future means what it means to the store
//! behind.
//!
//! # An answer that does not open
//!
//! Its key is not in the ring, the row was changed, or it was never sealed: the store answers with a [`StoreError`](crate::store::StoreError)
//! that names the key and the way out (its source is an [`Unopened`]). The layer then refuses the call (503 `store-unavailable`):
//! never a wrong replay, never a second run. Nothing is lost: with the key back in the ring the same row is replayed.
//!
//! # Rotation
//!
//! Every sealed answer names its key. To change keys over a fleet of processes:
//!
//! 1. start all of them with the new key as an [opening](Keyring::opening) key;
//! 2. then start all of them with the new key sealing, and the old one opening;
//! 3. drop the old one when the last process that sealed with it ended longer ago than the retention (30 days by default): what it
//!    sealed is forgotten by then.
//!
//! There is no verb that seals old answers anew: a completed record never changes, and the port keeps that promise for everybody. A
//! key that must go at once (it leaked) is taken from the ring, and its answers are refused until their retention is over.
//!
//! Answers from before sealing was switched on are refused too, unless [`accept_plain`](Sealed::accept_plain) says otherwise for one
//! retention. While it does, whoever can write to the database can also put a forged plain answer there; so it is off by default.
//!
//! # The form
//!
//! XChaCha20-Poly1305 (RFC 8439 with the 192-bit nonces of draft-irtf-cfrg-xchacha-03). The nonce is no random number but a keyed hash
//! (HMAC-SHA-256 under a sub-key of its own, 192 bits of it) of everything that is sealed and bound: the construction of synthetic
//! nonces (Rogaway and Shrimpton 2006). One answer of one record therefore has one sealed form, and a settlement that is repeated because its
//! acknowledgement was lost is recognised as the one that stands there. Two records never share a form, as the record's key goes
//! into the hash. What a reader of the database learns is the length of an answer, its status and outcome, and the key's name.
//!
//! Bound, that is: authenticated and not encrypted, are the record's key, executed or declined, ok or error, and the status. Epoch and
//! owner are not: a replay does not carry them through the port.
//!
//! A sealed body starts with bytes that no plain one of ours starts with, and carries a head that is no list of headers: a build that
//! has lost its keyring says `not-replayable` and takes ciphertext for an answer in no case.

mod form;
mod keyring;
mod store;
#[cfg(test)]
mod tests;

pub use form::{OVERHEAD, Unopened};
pub use keyring::{BadKey, KeyId, Keyring};
pub use store::{Opening, Sealed};
