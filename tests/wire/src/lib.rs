//! What the programs of the example and of the harness say to each other over HTTP: a server that can hang up instead of answering, an
//! answer, and the three ways not to get one. How each of them *asks* is its own business: a shop keeps its connections, a harness that
//! cuts them wants one for each request.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// Why there is no answer, in the three ways that say different things about the money.
#[derive(Debug)]
pub enum Failure {
    /// Nothing left this process.
    NotConnected(String),
    /// It broke off after something may have been sent.
    Lost(String),
    /// Nothing came back in time.
    TimedOut(Duration),
}

impl Failure {
    /// Nothing left this process, for this reason.
    #[must_use]
    pub fn not_connected(error: &dyn std::error::Error) -> Self {
        Self::NotConnected(root_cause(error))
    }

    /// It broke off, for this reason.
    #[must_use]
    pub fn lost(error: &dyn std::error::Error) -> Self {
        Self::Lost(root_cause(error))
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(why) => write!(f, "not connected: {why}"),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::TimedOut(within) => write!(f, "no answer within {within:?}"),
        }
    }
}

impl std::error::Error for Failure {}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// Reads a response to its end.
    ///
    /// # Errors
    /// [`Failure::Lost`] when the end does not come.
    pub async fn read(response: Response<Incoming>) -> Result<Self, Failure> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| Failure::lost(&error))?;
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }

    /// The body as JSON; null when it is anything else.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The header of this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A problem document's code, or a body's status: what a person would look at first.
    #[must_use]
    pub fn gist(&self) -> String {
        let json = self.json();
        let word = ["code", "status", "state"]
            .iter()
            .find_map(|name| json[*name].as_str());
        format!("{} {}", self.status.as_u16(), word.unwrap_or(""))
    }
}

/// The answer, if it comes in time.
///
/// # Errors
/// [`Failure::TimedOut`], or what the exchange came to.
pub async fn within(
    time: Duration,
    exchange: impl Future<Output = Result<Answer, Failure>>,
) -> Result<Answer, Failure> {
    match tokio::time::timeout(time, exchange).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::TimedOut(time)),
    }
}

/// Binds; 0 takes any free port, from below the range that outgoing connections take theirs from: whoever is killed and comes back on its
/// port must not find a stranger's connection there.
///
/// # Errors
/// When the port is taken.
pub async fn listen(port: u16) -> std::io::Result<TcpListener> {
    if port != 0 {
        return TcpListener::bind(("127.0.0.1", port)).await;
    }
    let chance = RandomState::new();
    for attempt in 0..100_u64 {
        let port = 20_000 + chance.hash_one(attempt) % 12_000;
        match TcpListener::bind(format!("127.0.0.1:{port}")).await {
            Err(taken) if taken.kind() == ErrorKind::AddrInUse => {}
            bound => return bound,
        }
    }
    TcpListener::bind("127.0.0.1:0").await
}

/// Put into a response's extensions: close the connection instead of sending it.
#[derive(Clone, Copy, Debug)]
pub struct HangUp;

/// Serves until the process ends. A response that says [`HangUp`] is not sent: the connection is closed.
///
/// # Errors
/// When nobody can be let in any more.
pub async fn serve(listener: TcpListener, app: Router) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let app = app.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            let app = app.clone();
            async move {
                let response: Response<Body> = match app.oneshot(request.map(Body::new)).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                match response.extensions().get::<HangUp>() {
                    Some(HangUp) => Err(std::io::Error::from(ErrorKind::ConnectionAborted)),
                    None => Ok(response),
                }
            }
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
