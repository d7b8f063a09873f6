//! What tells a repeat from another request under the same key.

use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use tollgate_core::codec::Encoder;

/// The first byte of every fingerprint's input: another composition is another version.
const VERSION: u8 = 1;

/// Everything but the body that says what is asked, in one unambiguous row of bytes: no byte can move over a field's border
/// without changing it. `chosen` are the headers that count beside the content type.
pub(super) fn canonical(parts: &Parts, chosen: &[HeaderName]) -> Encoder {
    let header = |name| parts.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    let mut fields = Encoder::new();
    fields
        .byte(VERSION)
        .text(parts.method.as_str())
        .text(parts.uri.path())
        .text(parts.uri.query().unwrap_or(""));
    let essence = essence(header(CONTENT_TYPE));
    match essence.iter().any(u8::is_ascii_uppercase) {
        true => fields.bytes(&essence.to_ascii_lowercase()),
        false => fields.bytes(essence),
    };
    fields.bytes(header(CONTENT_ENCODING));
    for name in chosen {
        let values = parts.headers.get_all(name);
        fields.text(name.as_str()).int(values.iter().map(|_| 1).sum());
        for value in values {
            fields.bytes(value.as_bytes());
        }
    }
    fields
}

/// The media type without its parameters: a repeat may draw another multipart boundary or spell the charset otherwise.
fn essence(content_type: &[u8]) -> &[u8] {
    content_type
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}
