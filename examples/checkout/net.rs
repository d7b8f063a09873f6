//! HTTP, from both ends.

use crate::Error;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpListener;
use tollgate_wire::within;
pub use tollgate_wire::{Answer, Failure, HangUp, serve};

/// An HTTP client for one server.
#[derive(Clone)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    base: String,
    within: Duration,
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
            .map_err(|error| Failure::not_connected(&error))?;
        within(self.within, self.exchange(request)).await
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let response = self.pool.request(request).await.map_err(|error| {
            if error.is_connect() {
                Failure::not_connected(&error)
            } else {
                Failure::lost(&error)
            }
        })?;
        Answer::read(response).await
    }
}

/// Binds, says so on standard output (the parent waits for that line), and returns the listener.
pub async fn listen(port: u16) -> Result<TcpListener, Error> {
    let listener = tollgate_wire::listen(port).await?;
    println!("listening on {}", listener.local_addr()?);
    Ok(listener)
}
