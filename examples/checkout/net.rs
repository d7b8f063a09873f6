//! HTTP, from both ends.

use crate::Error;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// An HTTP client for one server.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    base: String,
    within: Duration,
}

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

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A problem document's code, or a body's status: what a person would look at first.
    pub fn gist(&self) -> String {
        let json = self.json();
        let word = ["code", "status", "state"]
            .iter()
            .find_map(|name| json[*name].as_str());
        format!("{} {}", self.status.as_u16(), word.unwrap_or(""))
    }
}

impl Client {
    pub fn new(base: impl Into<String>, within: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let pool = Pool::builder(TokioExecutor::new())
            // a pool that sends a request again by itself sends a charge again by itself
            .retry_canceled_requests(false)
            .build(connector);
        Self {
            pool,
            base: base.into(),
            within,
        }
    }

    pub async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.send(Method::GET, path, &[], None).await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer, Failure> {
        self.send(Method::POST, path, headers, Some(body.to_string()))
            .await
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Answer, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|error| Failure::NotConnected(error.to_string()))?;
        match tokio::time::timeout(self.within, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::TimedOut(self.within)),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let response = self.pool.request(request).await.map_err(|error| {
            if error.is_connect() {
                Failure::NotConnected(root_cause(&error))
            } else {
                Failure::Lost(root_cause(&error))
            }
        })?;
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map_err(|error| Failure::Lost(root_cause(&error)))?;
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        })
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Put into a response's extensions: close the connection instead of sending it.
#[derive(Clone, Copy, Debug)]
pub struct HangUp;

/// Binds, says so on standard output (the parent waits for that line), and returns the listener.
pub async fn listen(port: u16) -> Result<TcpListener, Error> {
    let listener = bind(port).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

/// Binds; 0 takes any free port, from below the range that outgoing connections take theirs from: whoever is killed and comes back on its
/// port must not find a stranger's connection there.
async fn bind(port: u16) -> Result<TcpListener, Error> {
    if port != 0 {
        return Ok(TcpListener::bind(("127.0.0.1", port)).await?);
    }
    let chance = RandomState::new();
    for attempt in 0..100_u64 {
        let port = 20_000 + chance.hash_one(attempt) % 12_000;
        match TcpListener::bind(format!("127.0.0.1:{port}")).await {
            Err(taken) if taken.kind() == ErrorKind::AddrInUse => {}
            bound => return Ok(bound?),
        }
    }
    Ok(TcpListener::bind("127.0.0.1:0").await?)
}

/// Serves until the process ends. A response that says [`HangUp`] is not sent: the connection is closed.
pub async fn serve(listener: TcpListener, app: Router) -> Result<(), Error> {
    loop {
        let (stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let app = app.clone();
        let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
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
