//! What an entry holds.

use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::{Advice, Blame, Effect, Verdict};

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
}

impl Entry {
    pub(super) fn ended(&self, kind: Kind, verdict: Option<&Verdict>, took: Duration) -> Self {
        Self {
            kind,
            effect: verdict.map(|verdict| verdict.effect),
            advice: verdict.map(|verdict| verdict.advice),
            blame: verdict.map(|verdict| verdict.blame),
            took_us: Some(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
            ..self.clone()
        }
    }

    pub(super) fn to_bytes(&self) -> Arc<[u8]> {
        // a struct of strings and numbers always serializes; an empty entry would still be a link
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}
