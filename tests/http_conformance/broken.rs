//! Servers that are broken on purpose: each has one flaw that was found in the field, and is right otherwise.

use crate::shop::{Shop, authenticate, key_in};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tollgate::idempotency::key_of;

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing: the control.
    None,
    /// There is no layer at all.
    NoLayer,
    /// The usual `SET NX` recipe: a 5xx clears the key, "so that the client can try again" (hono, powertools, the Python package).
    ForgetsFailures,
    /// The first answer is replayed whatever is asked (Qonto; stores without a fingerprint).
    ComparesNothing,
    /// Get, run, set: copies that come while the first one runs are run as well (axum-idempotent).
    SeesNoRunningCall,
    /// A hang-up cancels the handler, and its claim with it (`idempotent`'s claim guard, ullun).
    FreesOnHangUp,
    /// Keys are cut to 32 bytes: two keys become one (Lemmy drops such keys altogether).
    CutsKeys,
    /// Status and body of the first answer are replayed, its headers are not (fullstackhero #240).
    LosesHeaders,
    /// 4xx are run again (Checkout.com's documented way).
    KeepsSuccessesOnly,
    /// A key belongs to everybody.
    SharesKeys,
    /// The repeat gets the first answer, and behind it the request is carried out once more.
    RunsBehindTheReplay,
    /// A client that hung up before its answer is told afterwards that it was declined, whatever had happened by then.
    DeclinesOnHangUp,
}

#[derive(Clone)]
enum Entry {
    Running(Bytes),
    Done(Bytes, Kept),
}

#[derive(Clone)]
struct Kept {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

#[derive(Clone)]
struct Broken {
    flaw: Flaw,
    shop: Shop,
    keys: Arc<Mutex<HashMap<String, Entry>>>,
}

/// Serves until the test ends; returns its URL.
pub(crate) async fn start(flaw: Flaw) -> String {
    let broken = Broken {
        flaw,
        shop: Shop::default(),
        keys: Arc::default(),
    };
    let app = Router::new().fallback(move |req: Request| {
        let broken = broken.clone();
        async move {
            let (shop, key) = (broken.shop.clone(), key_in(req.headers()));
            let answer = match flaw {
                // dropped with the connection
                Flaw::FreesOnHangUp | Flaw::DeclinesOnHangUp => broken.serve(req).await,
                _ => tokio::spawn(async move { broken.serve(req).await })
                    .await
                    .unwrap(),
            };
            shop.has_answered(key);
            answer
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn plain(status: u16) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    if status == 409 {
        response.headers_mut().insert("retry-after", 1.into());
    }
    response
}

/// Ends a claim that nobody settled, in one wrong way or another.
struct EndOnDrop<'b>(&'b Broken, String);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        let mut keys = self.0.keys.lock().unwrap();
        let Some(Entry::Running(asked)) = keys.get(&self.1).cloned() else {
            return;
        };
        if self.0.flaw == Flaw::DeclinesOnHangUp {
            let no = Kept {
                status: StatusCode::PAYMENT_REQUIRED,
                headers: HeaderMap::new(),
                body: Bytes::new(),
            };
            keys.insert(self.1.clone(), Entry::Done(asked, no));
        } else {
            keys.remove(&self.1);
        }
    }
}

impl Broken {
    async fn serve(&self, mut req: Request) -> Response {
        authenticate(&mut req);
        if req.method() != Method::POST || self.flaw == Flaw::NoLayer {
            return self.shop.serve(req).await.map(Body::new);
        }
        let Ok(Some(key)) = key_of(req.headers()) else {
            return plain(400);
        };
        let mut key = key.as_str().to_owned();
        if self.flaw == Flaw::CutsKeys {
            key.truncate(32);
        }
        if self.flaw != Flaw::SharesKeys {
            let tenant = req.extensions().get::<crate::shop::Tenant>().unwrap().0;
            key = format!("{tenant}/{key}");
        }
        let (parts, body) = req.into_parts();
        let Ok(body) = to_bytes(body, 1 << 20).await else {
            return plain(413);
        };
        let asked = Bytes::from([parts.uri.to_string().as_bytes(), &body].concat());
        if let Some(answer) = self.known(&key, &asked) {
            if self.flaw == Flaw::RunsBehindTheReplay && answer.headers().contains_key("idempotent-replayed")
            {
                let (shop, again) = (self.shop.clone(), Request::from_parts(parts, Body::from(body)));
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    shop.serve(again).await
                });
            }
            return answer;
        }
        let hangs_up = matches!(self.flaw, Flaw::FreesOnHangUp | Flaw::DeclinesOnHangUp);
        let end = hangs_up.then(|| EndOnDrop(self, key.clone()));
        let response = self
            .shop
            .serve(Request::from_parts(parts, Body::from(body)))
            .await;
        let answer = self.keep(key, asked, response.map(Body::new)).await;
        drop(end);
        answer
    }

    /// What there is to say without running it; a claim otherwise.
    fn known(&self, key: &str, asked: &Bytes) -> Option<Response> {
        let mut keys = self.keys.lock().unwrap();
        let (was, entry) = match keys.get(key) {
            Some(Entry::Running(_)) if self.flaw == Flaw::SeesNoRunningCall => return None,
            Some(entry @ (Entry::Running(was) | Entry::Done(was, _))) => (was, entry),
            None => {
                keys.insert(key.to_owned(), Entry::Running(asked.clone()));
                return None;
            }
        };
        if was != asked && self.flaw != Flaw::ComparesNothing {
            return Some(plain(422));
        }
        Some(match entry {
            Entry::Running(_) => plain(409),
            Entry::Done(_, kept) => self.replay(kept.clone()),
        })
    }

    fn replay(&self, kept: Kept) -> Response {
        let mut response = Response::new(Body::from(kept.body));
        *response.status_mut() = kept.status;
        if self.flaw != Flaw::LosesHeaders {
            *response.headers_mut() = kept.headers;
        }
        response
            .headers_mut()
            .insert("idempotent-replayed", "true".parse().unwrap());
        response
    }

    async fn keep(&self, key: String, asked: Bytes, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let forget = match self.flaw {
            Flaw::ForgetsFailures => parts.status.is_server_error(),
            Flaw::KeepsSuccessesOnly => !parts.status.is_success(),
            _ => false,
        };
        let kept = Kept {
            status: parts.status,
            headers: parts.headers.clone(),
            body: body.clone(),
        };
        let mut keys = self.keys.lock().unwrap();
        match forget {
            true => keys.remove(&key),
            false => keys.insert(key, Entry::Done(asked, kept)),
        };
        drop(keys);
        Response::from_parts(parts, Body::from(body))
    }
}
