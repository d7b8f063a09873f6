//! Stripe: `Stripe-Signature: t=1492774577,v1=5257a8…,v1=…`.

use super::{Keys, MOST_SIGNATURES, Scheme, Signed, UnusableSecret, malformed, seconds, single};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use tollgate_core::id::hex;
use tollgate_core::{Rejection, RejectionKind, Secret, Timestamp};

const HEADER: &str = "stripe-signature";

/// Stripe's scheme: HMAC-SHA-256 over `t.body`, in hex of either case, keyed with the whole secret, prefix included.
/// Source: stripe.com/docs/webhooks, section on manual verification.
#[derive(Clone)]
pub struct Stripe(Keys);

impl Stripe {
    /// These secrets; any of them may have signed.
    ///
    /// # Errors
    /// [`UnusableSecret`] when there is none, or one is empty.
    pub fn new(secrets: &[Secret<String>]) -> Result<Self, UnusableSecret> {
        if secrets.is_empty() {
            return Err(UnusableSecret::None);
        }
        if let Some(place) = secrets
            .iter()
            .position(|secret| secret.expose().trim().is_empty())
        {
            return Err(UnusableSecret::Empty { place: place + 1 });
        }
        Ok(Self(Keys::new(
            secrets.iter().map(|secret| secret.expose().as_bytes().to_vec()),
        )))
    }

    /// The headers that a sender with these secrets would add; one signature per secret.
    #[must_use]
    pub fn sign(&self, at: Timestamp, body: &[u8]) -> HeaderMap {
        let time = at.unix_seconds().to_string();
        let mut value = format!("t={time}");
        for mac in self.0.sign(&[time.as_bytes(), b".", body]) {
            value.push_str(",v1=");
            value.push_str(&hex(&mac));
        }
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(HEADER), value);
        }
        headers
    }
}

impl fmt::Debug for Stripe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stripe({} secrets)", self.0.0.len())
    }
}

impl Scheme for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn authenticate(&self, headers: &HeaderMap, body: &[u8]) -> Result<Signed, Rejection> {
        let header = single(headers, HEADER)?;
        let (mut time, mut signatures, mut entries) = (None, Vec::new(), 0);
        for part in header.split(',') {
            match part.trim_matches(' ').split_once('=') {
                Some(("t", value)) if time.replace(value).is_some() => {
                    return Err(malformed(HEADER, "has more than one timestamp")); // seed W5: the last one won
                }
                Some(("v1", value)) => {
                    entries += 1;
                    if entries > MOST_SIGNATURES {
                        return Err(malformed(HEADER, "has too many signatures"));
                    }
                    signatures.extend(unhex(value)); // one that does not decode is skipped
                }
                _ => {} // v0 and whatever comes later
            }
        }
        let time = time.ok_or_else(|| malformed(HEADER, "has no timestamp"))?;
        if entries == 0 {
            return Err(malformed(HEADER, "has no v1 signature"));
        }
        let at = seconds(time, HEADER)?;
        // the header's own text is what was signed, not the number read from it
        if !self.0.any_matches(&signatures, &[time.as_bytes(), b".", body]) {
            return Err(RejectionKind::SignatureMismatch.into());
        }
        Ok(Signed { id: None, at })
    }
}

/// 64 hex digits of either case.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .bytes()
        .map(|b| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}
