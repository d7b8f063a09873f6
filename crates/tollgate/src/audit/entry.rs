//! What an entry holds.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::{Advice, Blame, Effect, Timestamp};

/// Which moment an entry tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Before anything was sent.
    Intent,
    /// When the answer was there.
    Outcome,
    /// When nobody waited for the answer any more.
    Abandoned,
}

/// One entry of the log, as its JSON reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The version of this form: 1.
    pub v: u8,
    /// Which moment it tells of.
    pub kind: Kind,
    /// Joins intent and outcome.
    pub call: String,
    /// Which attempt it was; the first is 0.
    pub attempt: u16,
    /// Which operation.
    pub operation: String,
    /// On whose behalf: a keyed pseudonym.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub caller: Option<String>,
    /// Under which record of an idempotency layer it ran, as 64 hex digits: what joins a payment's attempts, repeats and resolutions.
    /// Never the client's key. None outside of such a layer, and for a saga's step.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub record: Option<String>,
    /// At which epoch of that record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub epoch: Option<u64>,
    /// What became of the money.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect: Option<Effect>,
    /// What may be done now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub advice: Option<Advice>,
    /// Whose fault it was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub blame: Option<Blame>,
    /// How long it took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub took_us: Option<u64>,
    /// What was said about an open key, where the operation is `resolve`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolution: Option<Resolution>,
}

/// What a person or a resolver said about a key whose outcome was open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The record, as 64 hex digits. Never the client's key.
    pub record: String,
    /// At which epoch.
    pub epoch: u64,
    /// As of when the evidence counts, by the store's clock: microseconds since the Unix epoch.
    pub as_of: Timestamp,
    /// Who said it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What: `executed`, `declined`, or `absent`.
    pub says: String,
    /// What became of it: `resolved`, `stale`, `too_early`, `failed` (certainly not written), or `in_doubt`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub written: Option<String>,
}

impl Entry {
    /// An intent, of which nothing is known but what is about to be done.
    pub(crate) fn intent(call: String, operation: &str) -> Self {
        Self {
            v: 1,
            kind: Kind::Intent,
            call,
            attempt: 0,
            operation: operation.to_owned(),
            caller: None,
            record: None,
            epoch: None,
            effect: None,
            advice: None,
            blame: None,
            took_us: None,
            resolution: None,
        }
    }

    pub(super) fn ended(&self, kind: Kind, took: Duration) -> Self {
        Self {
            kind,
            took_us: Some(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            ..self.clone()
        }
    }

    pub(super) fn to_bytes(&self) -> Arc<[u8]> {
        // a struct of strings and numbers always serializes; an empty entry would still be a link
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}
