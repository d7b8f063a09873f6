//! How providers sign, pure: usable without tower.

mod standard;
mod stripe;

pub use standard::StandardWebhooks;
pub use stripe::Stripe;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;
use std::time::Duration;
use tollgate_core::{Rejection, RejectionKind, Timestamp};

/// What was signed besides the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The event's id, when the scheme signs one in its headers.
    pub id: Option<String>,
    /// When it was signed.
    pub at: Timestamp,
}

/// A provider's way to sign.
pub trait Scheme: Send + Sync + 'static {
    /// Its name: part of an event's identity.
    fn name(&self) -> &'static str;

    /// Checks that the body was signed with one of the secrets. Says nothing about freshness.
    ///
    /// # Errors
    /// `signature-missing`, `signature-malformed` or `signature-mismatch`.
    fn authenticate(&self, headers: &HeaderMap, body: &[u8]) -> Result<Signed, Rejection>;
}

/// Whether `at` lies within `tolerance` of `now`, in both directions, ends included.
///
/// # Errors
/// `timestamp-outside-window`.
pub fn window(at: Timestamp, now: Timestamp, tolerance: Duration) -> Result<(), Rejection> {
    if at.since(now) > tolerance || now.since(at) > tolerance {
        return Err(Rejection::new(RejectionKind::TimestampOutsideWindow)
            .because(format!("at most {} s either way are taken", tolerance.as_secs())));
    }
    Ok(())
}

/// A signing secret that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableSecret {
    /// No secret was given.
    #[error("no signing secret was given")]
    None,
    /// It is empty or blank.
    #[error("signing secret {place} is empty")]
    Empty {
        /// Which, counted from 1.
        place: usize,
    },
    /// It does not decode.
    #[error("signing secret {place} is not `whsec_` followed by base64")]
    Undecodable {
        /// Which, counted from 1.
        place: usize,
    },
}

/// HMAC-SHA-256 states that have their key in them.
#[derive(Clone)]
struct Keys(Vec<Hmac<Sha256>>);

/// Signatures that a header may present; more are refused (seed W7: 100,000 entries took 39 ms).
const MOST_SIGNATURES: usize = 16;

impl Keys {
    fn new(keys: impl Iterator<Item = Vec<u8>>) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        Self(
            keys.map(|key| Hmac::new_from_slice(&key).expect("any length"))
                .collect(),
        )
    }

    /// One MAC per secret, each compared with every presented signature; no early exit.
    fn any_matches(&self, presented: &[Vec<u8>], parts: &[&[u8]]) -> bool {
        let mut found = subtle::Choice::from(0);
        for key in &self.0 {
            let mac = mac_of(key, parts);
            for signature in presented {
                found |= subtle::ConstantTimeEq::ct_eq(&mac[..], signature.as_slice());
            }
        }
        found.into()
    }

    fn sign(&self, parts: &[&[u8]]) -> Vec<[u8; 32]> {
        self.0.iter().map(|key| mac_of(key, parts)).collect()
    }
}

fn mac_of(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Exactly one value of a header, as visible ASCII.
fn single<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Rejection> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or_else(|| {
        Rejection::new(RejectionKind::SignatureMissing).because(format!("no {name} header"))
    })?;
    if values.next().is_some() {
        return Err(malformed(name, "is there more than once"));
    }
    value.to_str().map_err(|_| malformed(name, "is not ASCII"))
}

fn malformed(name: &'static str, what: &'static str) -> Rejection {
    Rejection::new(RejectionKind::SignatureMalformed).because(format!("{name} {what}"))
}

/// ASCII digits and nothing else, at most 12 of them (seed W2, W4: signs, underscores, full-width digits, 400 digits).
fn seconds(text: &str, name: &'static str) -> Result<Timestamp, Rejection> {
    let plain = !text.is_empty() && text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<i64>() {
        Ok(seconds) if plain => Ok(Timestamp::from_unix_seconds(seconds)),
        _ => Err(malformed(
            name,
            "has a timestamp that is not a plain number of seconds",
        )),
    }
}
