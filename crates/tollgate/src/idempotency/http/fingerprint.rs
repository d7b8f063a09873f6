//! What tells a repeat from another request under the same key.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use std::borrow::Cow;
use tollgate_core::codec::Encoder;

/// The first byte of every fingerprint's input: another composition is another version.
const VERSION: u8 = 1;

/// Everything but the body that says what is asked, in one unambiguous row of bytes: no byte can move over a field's border
/// without changing it. `chosen` are the headers that count beside the content type.
pub(super) fn canonical(parts: &Parts, chosen: &[HeaderName]) -> Encoder {
    let mut fields = Encoder::new();
    fields
        .byte(VERSION)
        .text(parts.method.as_str())
        .text(parts.uri.path())
        .text(parts.uri.query().unwrap_or(""));
    fields.bytes(&named(&parts.headers, &CONTENT_TYPE, essence));
    fields.bytes(&named(&parts.headers, &CONTENT_ENCODING, <[u8]>::trim_ascii));
    for name in chosen {
        let values = parts.headers.get_all(name);
        fields.text(name.as_str()).int(values.iter().map(|_| 1).sum());
        for value in values {
            fields.bytes(value.as_bytes());
        }
    }
    fields
}

/// What a header names, in one case: what `part` leaves of its line. Several lines are one list (RFC 9110, section 5.3): a second one that
/// did not count could change what is asked.
fn named<'h>(headers: &'h HeaderMap, name: &HeaderName, part: fn(&[u8]) -> &[u8]) -> Cow<'h, [u8]> {
    let mut lines = headers.get_all(name).iter().map(|line| part(line.as_bytes()));
    let first = lines.next().unwrap_or_default();
    let mut all = Cow::Borrowed(first);
    for line in lines {
        let all = all.to_mut();
        all.extend_from_slice(b", ");
        all.extend_from_slice(line);
    }
    if all.iter().any(u8::is_ascii_uppercase) {
        all.to_mut().make_ascii_lowercase();
    }
    all
}

/// The media type without its parameters: a repeat may draw another multipart boundary or spell the charset otherwise.
fn essence(content_type: &[u8]) -> &[u8] {
    content_type
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}
