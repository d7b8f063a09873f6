//! What goes over the wire byte by byte is what a client would write.

use super::wire::Ask;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method};

/// A server behind names: two `Host` lines are a 400 (RFC 9112, section 3.2), which a case would take for the server's word on its key.
#[test]
fn a_host_of_ones_own_is_the_only_one() {
    let mut ask = Ask {
        method: Method::POST,
        path: "/charges".into(),
        headers: HeaderMap::new(),
        body: "{}".into(),
    };
    let hosts = |ask: &Ask| {
        let written = String::from_utf8(ask.to_bytes("127.0.0.1:80")).unwrap();
        let lines = written.lines().filter_map(|line| line.strip_prefix("host: "));
        lines.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(hosts(&ask), ["127.0.0.1:80"]);
    ask.headers.insert(HOST, HeaderValue::from_static("shop.example"));
    assert_eq!(hosts(&ask), ["shop.example"]);
}
