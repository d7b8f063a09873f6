//! Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,<base64> v1,<base64>`.

use super::{Keys, MOST_SIGNATURES, Scheme, Signed, UnusableSecret, malformed, seconds, single};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use tollgate_core::{Rejection, RejectionKind, Secret, Timestamp};

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// The scheme of standardwebhooks.com (version 1.0.0, symmetric signatures): HMAC-SHA-256 over `id.timestamp.body`, keyed with what
/// stands behind `whsec_`, decoded from base64.
#[derive(Clone)]
pub struct StandardWebhooks(Keys);

impl StandardWebhooks {
    /// These secrets; any of them may have signed.
    ///
    /// # Errors
    /// [`UnusableSecret`] when there is none, or one is empty or does not decode.
    pub fn new(secrets: &[Secret<String>]) -> Result<Self, UnusableSecret> {
        if secrets.is_empty() {
            return Err(UnusableSecret::None);
        }
        let mut keys = Vec::new();
        for (place, secret) in (1..).zip(secrets) {
            let text = secret.expose().trim();
            let coded = text.strip_prefix("whsec_").unwrap_or(text);
            match STANDARD.decode(coded) {
                Ok(key) if key.is_empty() => return Err(UnusableSecret::Empty { place }),
                Ok(key) => keys.push(key),
                Err(_) => return Err(UnusableSecret::Undecodable { place }),
            }
        }
        Ok(Self(Keys::new(keys.into_iter())))
    }

    /// The headers that a sender with these secrets would add; one signature per secret. An id that no header can hold is left out.
    #[must_use]
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> HeaderMap {
        let time = at.unix_seconds().to_string();
        let signatures: Vec<String> = self
            .0
            .sign(&[id.as_bytes(), b".", time.as_bytes(), b".", body])
            .iter()
            .map(|mac| format!("v1,{}", STANDARD.encode(mac)))
            .collect();
        let mut headers = HeaderMap::new();
        for (name, value) in [(ID, id), (TIMESTAMP, &time), (SIGNATURE, &signatures.join(" "))] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

impl fmt::Debug for StandardWebhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StandardWebhooks({} secrets)", self.0.0.len())
    }
}

impl Scheme for StandardWebhooks {
    fn name(&self) -> &'static str {
        "standard-webhooks"
    }

    fn authenticate(&self, headers: &HeaderMap, body: &[u8]) -> Result<Signed, Rejection> {
        let (id, time) = (single(headers, ID)?, single(headers, TIMESTAMP)?);
        let header = single(headers, SIGNATURE)?;
        if id.is_empty() || id.len() > 255 {
            return Err(malformed(ID, "is empty or longer than 255 bytes"));
        }
        // a full stop separates the signed parts: with one in the id, one signature fits two readings of them
        if id.contains('.') {
            return Err(malformed(ID, "holds a full stop"));
        }
        let mut signatures = Vec::new();
        for (place, part) in header.split(' ').filter(|part| !part.is_empty()).enumerate() {
            if place >= MOST_SIGNATURES {
                return Err(malformed(SIGNATURE, "has too many signatures"));
            }
            // unknown versions and what does not decode are skipped
            signatures.extend(
                part.strip_prefix("v1,")
                    .and_then(|coded| STANDARD.decode(coded).ok()),
            );
        }
        let at = seconds(time, TIMESTAMP)?;
        if !self
            .0
            .any_matches(&signatures, &[id.as_bytes(), b".", time.as_bytes(), b".", body])
        {
            return Err(RejectionKind::SignatureMismatch.into());
        }
        Ok(Signed {
            id: Some(id.to_owned()),
            at,
        })
    }
}
