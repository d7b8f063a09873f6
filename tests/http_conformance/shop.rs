//! What the servers sell: one endpoint for every kind of request that the runner knows, and a counter of effects.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

/// Counts what was carried out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shop {
    effects: Arc<AtomicU64>,
    declines: Arc<AtomicU64>,
}

/// The tenant, as the authentication found it.
#[derive(Clone, Debug)]
pub(crate) struct Tenant(pub(crate) &'static str);

/// What stands outside the idempotency layer: who is it?
pub(crate) fn authenticate<B>(req: &mut Request<B>) {
    let token = req
        .headers()
        .get(header::AUTHORIZATION)
        .map(|value| value.as_bytes());
    let tenant = match token {
        Some(b"Bearer bolt") => "bolt",
        _ => "acme", // "Bearer acme-1", and after a refresh "Bearer acme-2"
    };
    req.extensions_mut().insert(Tenant(tenant));
}

impl Shop {
    /// Answers a request. An effect is counted where the money would move; a body that broke off moves none.
    pub(crate) async fn serve<B>(&self, req: Request<B>) -> Response<Sold>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let (parts, body) = req.into_parts();
        let path = parts.uri.path().to_owned();
        if parts.method == Method::GET && path == "/count" {
            return answer(200, self.effects.load(SeqCst).to_string());
        }
        if parts.method != Method::POST {
            return answer(405, "");
        }
        if body.collect().await.is_err() {
            return answer(400, "the body broke off");
        }
        if path == "/declined" {
            // as gateways do it, every decline has a number of its own
            let number = self.declines.fetch_add(1, SeqCst);
            return answer(402, format!(r#"{{"declined":"de_{number}"}}"#));
        }
        // the money moves at once, its answer takes its time
        let number = self.effects.fetch_add(1, SeqCst);
        let wait = if path == "/slow" { 600 } else { 20 };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        match path.as_str() {
            "/charges" | "/slow" => {
                let mut response = answer(201, format!(r#"{{"id":"ch_{number}"}}"#));
                let headers = response.headers_mut();
                headers.insert(
                    header::CONTENT_TYPE,
                    header::HeaderValue::from_static("application/json"),
                );
                headers.insert(header::LOCATION, format!("/charges/ch_{number}").parse().unwrap());
                response
            }
            "/failing" => answer(502, "the gateway's answer was lost"),
            "/empty" => answer(204, ""),
            "/large" => answer(200, number.to_string().repeat(3 << 20)),
            "/streamed" => Response::new(Sold::Chunks(vec![
                number.to_string().into(),
                "…".into(),
                "end".into(),
            ])),
            _ => answer(404, ""),
        }
    }
}

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Sold> {
    let mut response = Response::new(Sold::Whole(Some(body.into())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// A body of known length, or one that comes in chunks.
#[derive(Debug)]
pub(crate) enum Sold {
    Whole(Option<Bytes>),
    Chunks(Vec<Bytes>),
}

impl From<Bytes> for Sold {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl Body for Sold {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match self.get_mut() {
            Self::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Self::Chunks(chunks) if chunks.is_empty() => None,
            Self::Chunks(chunks) => Some(Ok(Frame::data(chunks.remove(0)))),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Chunks(chunks) => chunks.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Chunks(_) => SizeHint::default(),
        }
    }
}
