//! HTTP, from both ends. One connection per request, so that what is cut is one request.

use crate::Error;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
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
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// One request to a port of this machine. A dropped future closes its connection.
pub async fn ask(
    port: u16,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
    within: Duration,
) -> Result<Answer, Failure> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1")
        .header("connection", "close");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = match body {
        None => request.body(Full::default()),
        Some(body) => request
            .header("content-type", "application/json")
            .body(Full::from(body.to_string())),
    };
    let request = request.map_err(|error| Failure::NotConnected(error.to_string()))?;
    match tokio::time::timeout(within, exchange(port, request)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::TimedOut(within)),
    }
}

pub async fn get(port: u16, path: &str, within: Duration) -> Result<Answer, Failure> {
    ask(port, Method::GET, path, &[], None, within).await
}

pub async fn post(port: u16, path: &str, body: &Value, within: Duration) -> Result<Answer, Failure> {
    ask(port, Method::POST, path, &[], Some(body), within).await
}

async fn exchange(port: u16, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
    let stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .map_err(|error| Failure::NotConnected(error.to_string()))?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Failure::NotConnected(error.to_string()))?;
    // aborted when it is dropped: nothing goes on behind the back of a caller that has given up
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let lost = |error: hyper::Error| Failure::Lost(error.to_string());
    let (parts, body) = sender.send_request(request).await.map_err(lost)?.into_parts();
    let body = body.collect().await.map_err(lost)?.to_bytes();
    Ok(Answer {
        status: parts.status,
        body,
    })
}

/// Put into a response's extensions: close the connection instead of sending it.
#[derive(Clone, Copy, Debug)]
pub struct HangUp;

/// Binds; 0 takes any free port, from below the range that outgoing connections take theirs from: whoever is killed and comes back on its
/// port must not find a stranger's connection there.
pub async fn listen(port: u16) -> Result<TcpListener, Error> {
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

/// Says on standard output that this process can be spoken to, and where: its parent waits for that line.
pub fn ready(listeners: &[&TcpListener]) -> Result<(), Error> {
    let ports: Result<Vec<_>, std::io::Error> = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port().to_string()))
        .collect();
    println!("ready {}", ports?.join(" "));
    Ok(())
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

/// Ends this process when its parent does: the parent holds the other end of standard input.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(0);
    });
}
