//! The stored form of an answer's headers.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use tollgate_core::codec::{Decoder, Encoder};

/// Stands where a header's name would, and is none: an older build that does not know it cannot read the record, which is right.
const ELIDED: &str = ":elided";

/// What a record keeps of an answer's head.
pub(super) struct Head {
    pub(super) headers: HeaderMap,
    /// The body was too large or streamed: it was answered once and is not here.
    pub(super) elided: bool,
}

/// Repeated names and raw bytes are kept as they were.
pub(super) fn encode(headers: &HeaderMap, kept: &[HeaderName], elided: bool) -> Option<Arc<[u8]>> {
    let mut out = Encoder::new();
    if elided {
        out.text(ELIDED).bytes(b"");
    }
    for name in kept {
        for value in headers.get_all(name) {
            out.text(name.as_str()).bytes(value.as_bytes());
        }
    }
    let bytes = out.as_bytes();
    (!bytes.is_empty()).then(|| bytes.into())
}

/// `None`: this build cannot read it.
pub(super) fn decode(bytes: &[u8]) -> Option<Head> {
    let mut bytes = Decoder::new(bytes);
    let mut head = Head {
        headers: HeaderMap::new(),
        elided: false,
    };
    while !bytes.is_empty() {
        let (name, value) = (bytes.bytes()?, bytes.bytes()?);
        if name == ELIDED.as_bytes() {
            head.elided = true;
            continue;
        }
        let name = HeaderName::from_bytes(name).ok()?;
        head.headers.append(name, HeaderValue::from_bytes(value).ok()?);
    }
    Some(head)
}
