//! Requests as they go over the wire: through a client, or byte by byte.

use super::target::{Target, Unusable};
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::fmt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A request, before it is sent. The same one can be sent any number of times.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Ask {
    pub(super) fn with(mut self, (name, value): &(HeaderName, HeaderValue)) -> Self {
        self.headers.insert(name, value.clone());
        self
    }

    /// As HTTP/1.1 writes it, for connections that are cut.
    pub(super) fn to_bytes(&self, host: &str) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.path).into_bytes();
        if !self.headers.contains_key(HOST) {
            out.extend_from_slice(format!("host: {host}\r\n").as_bytes());
        }
        for (name, value) in &self.headers {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        let length = self.body.len();
        out.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
        out.extend_from_slice(&self.body);
        out
    }
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Of an answer, in bytes. More than any case needs: a body without an end takes no more of this machine than that.
const MOST: usize = 64 << 20;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    NotConnected(String),
    Lost(String),
    Endless,
    TimedOut(Duration),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(why) => write!(f, "not connected: {why}"),
            Self::Lost(why) => write!(f, "the connection broke: {why}"),
            Self::Endless => write!(f, "the answer goes on after {} MiB", MOST >> 20),
            Self::TimedOut(within) => {
                let within = humantime::format_duration(*within);
                write!(f, "no answer within {within} (--timeout)")
            }
        }
    }
}

pub(super) type Seen = Result<Answer, NoAnswer>;

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A refusal of the request, not a failure of the server.
    pub(super) fn is_refusal(&self) -> bool {
        (400..500).contains(&self.status)
    }

    /// Marked as a replay, under one of the names in use.
    pub(super) fn is_marked(&self) -> bool {
        let names = [
            "idempotent-replayed",
            "idempotency-replayed",
            "x-idempotent-replayed",
            "x-idempotency-replayed",
        ];
        names
            .iter()
            .any(|name| self.headers.get(*name).is_some_and(|value| value == "true"))
            || self
                .headers
                .get("idempotency-status")
                .is_some_and(|value| value == "replayed")
    }

    pub(super) fn json(&self, pointer: &str) -> Option<serde_json::Value> {
        let document: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        document.pointer(pointer).cloned()
    }
}

/// Short: what a person would look at first.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        let code = ["/error/code", "/error/type", "/code", "/title"];
        if !self.is_success()
            && let Some(serde_json::Value::String(code)) = code.iter().find_map(|at| self.json(at))
        {
            write!(f, " {code}")?;
        }
        if self.is_marked() {
            write!(f, " (replayed)")?;
        }
        Ok(())
    }
}

pub(super) fn told(seen: &Seen) -> String {
    match seen {
        Ok(answer) => answer.to_string(),
        Err(no) => no.to_string(),
    }
}

/// Sends requests to one server, each over a connection of its own.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    client: Client<HttpConnector, Full<Bytes>>,
    pub(super) authority: String,
    prefix: String,
    pub(super) timeout: Duration,
}

impl Wire {
    pub(super) fn new(target: &Target) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: Client::builder(TokioExecutor::new())
                // a client that repeats by itself would spoil the count
                .retry_canceled_requests(false)
                .pool_max_idle_per_host(0)
                .build(connector),
            authority: target
                .base
                .authority()
                .map_or_else(String::new, ToString::to_string),
            prefix: target.base.path().trim_end_matches('/').to_owned(),
            timeout: target.timeout,
        }
    }

    /// The path as the server sees it.
    pub(super) fn full_path(&self, path: &str) -> String {
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{}{slash}{path}", self.prefix)
    }

    pub(super) async fn send(&self, ask: &Ask) -> Seen {
        let url = format!("http://{}{}", self.authority, ask.path);
        self.send_to(&url, ask).await
    }

    pub(super) async fn send_to(&self, url: &str, ask: &Ask) -> Seen {
        let mut request = Request::builder().method(ask.method.clone()).uri(url);
        if let Some(headers) = request.headers_mut() {
            headers.clone_from(&ask.headers);
        }
        let request = request
            .body(Full::new(ask.body.clone()))
            .map_err(|error| NoAnswer::NotConnected(error.to_string()))?;
        match timeout(self.timeout, self.exchange(request)).await {
            Ok(seen) => seen,
            Err(_) => Err(NoAnswer::TimedOut(self.timeout)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Seen {
        let response = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                NoAnswer::NotConnected(root_cause(&error))
            } else {
                NoAnswer::Lost(root_cause(&error))
            }
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MOST).collect().await.map_err(|error| {
            match error.is::<LengthLimitError>() {
                true => NoAnswer::Endless,
                false => NoAnswer::Lost(root_cause(&*error)),
            }
        })?;
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }

    /// A bare connection.
    ///
    /// # Errors
    /// Names `--base-url`: nobody answers there.
    pub(super) async fn connect(&self) -> Result<TcpStream, Unusable> {
        let address = match self.authority.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => self.authority.clone(),
            _ => format!("{}:80", self.authority),
        };
        let wrong = |why: String| Unusable::new("--base-url", format!("no connection to {address}: {why}"));
        match timeout(self.timeout, TcpStream::connect(&address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                Ok(stream)
            }
            Ok(Err(error)) => Err(wrong(error.to_string())),
            Err(_) => Err(wrong("it takes too long".into())),
        }
    }

    /// Writes these bytes, and leaves the connection open.
    pub(super) async fn write(&self, bytes: &[u8]) -> Result<TcpStream, Unusable> {
        let mut stream = self.connect().await?;
        // a server may close before it has read everything: that is its answer
        let _ = timeout(self.timeout, stream.write_all(bytes)).await;
        Ok(stream)
    }

    /// Writes the rest, and reads the status of what comes back.
    pub(super) async fn finish(&self, mut stream: TcpStream, rest: &[u8]) -> Result<u16, NoAnswer> {
        let exchange = async {
            let _ = stream.write_all(rest).await;
            let mut answer = Vec::new();
            let read = stream.take(MOST as u64).read_to_end(&mut answer).await;
            let line = String::from_utf8_lossy(&answer);
            match line.split(' ').nth(1).and_then(|status| status.parse().ok()) {
                Some(status) => Ok(status),
                None => Err(NoAnswer::Lost(match read {
                    Err(error) => error.to_string(),
                    Ok(_) => "closed without an answer".into(),
                })),
            }
        };
        match timeout(self.timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(NoAnswer::TimedOut(self.timeout)),
        }
    }
}

pub(super) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
