//! The `Idempotency-Key` header.
//!
//! The draft (draft-ietf-httpapi-idempotency-key-header-07) makes it a string item of RFC 9651, in quotes; the clients in the
//! field (Stripe's, Adyen's, …) send it bare. Both are taken, and both forms of one content are one key.

use http::HeaderMap;
use std::borrow::Cow;
use tollgate_core::IdempotencyKey;
use tollgate_core::{Rejection, RejectionKind};

/// The header's name.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The request's key; `None` when it has none.
///
/// # Errors
/// `key-invalid` when the header is repeated, empty, too long, or neither a quoted string nor a bare token. A key is never
/// cut and never ignored: protection that is off for some keys is worse than none (Lemmy drops keys over 32 bytes).
///
/// ```
/// use http::HeaderMap;
/// use tollgate::idempotency::key_of;
///
/// let mut headers = HeaderMap::new();
/// assert_eq!(key_of(&headers), Ok(None));
/// headers.insert("idempotency-key", "8e03978e-40d5-43dd-bc93-6894a57f9324".parse().unwrap());
/// let bare = key_of(&headers);
/// headers.insert("idempotency-key", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"".parse().unwrap());
/// assert_eq!(key_of(&headers), bare); // quoted and bare are one key
/// headers.append("idempotency-key", "another".parse().unwrap());
/// assert!(key_of(&headers).is_err()); // two keys: neither is taken
/// ```
pub fn key_of(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Rejection> {
    KeyRules::LENIENT.read(headers)
}

/// Which keys are taken, beyond what [`key_of`] refuses anyway.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRules {
    pub(super) quoted_only: bool,
    pub(super) shortest: usize,
}

impl KeyRules {
    pub(super) const LENIENT: Self = Self {
        quoted_only: false,
        shortest: 1,
    };

    pub(super) fn read(self, headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Rejection> {
        let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(invalid("the header is there more than once"));
        }
        let text = value.to_str().map_err(|_| invalid("the header is not ASCII"))?;
        let text = text.trim_matches([' ', '\t']);
        let content = match text.strip_prefix('"') {
            Some(quoted) => unquoted(quoted).ok_or_else(|| invalid("the quoted string is malformed"))?,
            None if self.quoted_only => return Err(invalid("the key must be a quoted string")),
            None => bare(text)
                .ok_or_else(|| invalid("a bare key holds visible ASCII without commas and quotes"))?,
        };
        if (1..self.shortest).contains(&content.len()) {
            let least = self.shortest;
            return Err(Rejection::new(RejectionKind::KeyInvalid)
                .because(format!("a key has at least {least} bytes")));
        }
        match IdempotencyKey::new(content.as_ref()) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err(Rejection::new(RejectionKind::KeyInvalid).because(error.to_string())),
        }
    }
}

fn invalid(why: &'static str) -> Rejection {
    Rejection::new(RejectionKind::KeyInvalid).because(why)
}

fn bare(text: &str) -> Option<Cow<'_, str>> {
    text.bytes()
        .all(|b| b.is_ascii_graphic() && b != b',' && b != b'"')
        .then_some(Cow::Borrowed(text))
}

/// The content of a string item after its opening quote; parameters behind it are allowed and ignored.
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let (content, behind) = string(text)?;
    are_parameters(behind).then_some(Cow::Owned(content))
}

/// The content of a string after its opening quote, and what stands behind it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut content = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((content, chars.as_str())),
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\') => content.push(escaped),
                _ => return None,
            },
            plain @ ' '..='~' => content.push(plain),
            _ => return None,
        }
    }
}

/// Whether these are parameters of an item, as in `;one;two=2`, and nothing else. A second key behind them, where somebody on the way has
/// made one line of two, must not be overlooked.
fn are_parameters(text: &str) -> bool {
    let mut rest = text.trim_start();
    while let Some(parameter) = rest.strip_prefix(';') {
        let Some(behind) = behind_parameter(parameter.trim_start()) else {
            return false;
        };
        rest = behind.trim_start();
    }
    rest.is_empty()
}

fn behind_parameter(text: &str) -> Option<&str> {
    let name = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.' | '*');
    let behind = text
        .strip_prefix(|c: char| c.is_ascii_lowercase() || c == '*')?
        .trim_start_matches(name);
    let Some(value) = behind.strip_prefix('=') else {
        return Some(behind); // true
    };
    match value.strip_prefix('"') {
        Some(quoted) => string(quoted).map(|(_, behind)| behind),
        None => {
            // a number, a token, bytes, a date: one piece, whatever it is
            let end = value.find([';', ',', '"', ' ', '\t']).unwrap_or(value.len());
            (end > 0).then(|| &value[end..])
        }
    }
}
