//! What the servers sell: one endpoint for every kind of request that the runner knows, and a counter of effects.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::Service;

/// Counts what was carried out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shop {
    effects: Arc<AtomicU64>,
    declines: Arc<AtomicU64>,
    /// The keys under which something was answered.
    answered: Arc<Mutex<HashSet<String>>>,
}

/// How long the slow endpoint waits for a copy that never comes.
const NO_COPY: Duration = Duration::from_secs(3);

/// Stands around everything else, and tells the shop under which keys something was answered.
#[derive(Clone, Debug)]
pub(crate) struct Telling<S> {
    pub(crate) inner: S,
    pub(crate) shop: Shop,
}

impl<S, B, R> Service<Request<B>> for Telling<S>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send + 'static>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let (shop, key) = (self.shop.clone(), key_in(req.headers()));
        let answer = self.inner.call(req);
        Box::pin(async move {
            let answer = answer.await;
            shop.has_answered(key);
            answer
        })
    }
}

/// As the client wrote it.
pub(crate) fn key_in(headers: &HeaderMap) -> Option<String> {
    let key = headers.get("idempotency-key")?.to_str().ok()?;
    Some(key.trim_matches('"').to_owned())
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
    pub(crate) fn has_answered(&self, key: Option<String>) {
        self.answered.lock().unwrap().extend(key);
    }

    /// Until another request under this key was answered: whoever comes meanwhile certainly comes while this one runs, however slow the
    /// machine is.
    async fn wait_for_a_copy(&self, key: Option<&str>) {
        let come = async {
            while !key.is_some_and(|key| self.answered.lock().unwrap().contains(key)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(NO_COPY, come).await;
    }

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
        match path.as_str() {
            "/slow" => self.wait_for_a_copy(key_in(&parts.headers).as_deref()).await,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
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
