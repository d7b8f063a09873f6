//! HTTP, from both ends. One connection per request, so that what is cut is one request.

use crate::Error;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
pub use tollgate_wire::{Answer, Failure, HangUp, listen, serve};

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
    let request = request.map_err(|error| Failure::not_connected(&error))?;
    tollgate_wire::within(within, exchange(port, request)).await
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
        .map_err(|error| Failure::not_connected(&error))?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Failure::not_connected(&error))?;
    // aborted when it is dropped: nothing goes on behind the back of a caller that has given up
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| Failure::lost(&error))?;
    Answer::read(response).await
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

/// Ends this process when its parent does: the parent holds the other end of standard input.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        std::process::exit(0);
    });
}
