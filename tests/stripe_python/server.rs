//! A small Stripe-shaped server: POST /v1/charges behind the layer, in the `stripe` profile, over SQLite.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tollgate::idempotency::{Finding, GuardedHttp, IdempotencyConfig, IdempotencyLayer, stored_answer};
use tollgate_core::store::idempotency::RecordKey;
use tollgate_core::{CallContext, Secret, Secrets};
use tollgate_sqlite::Sqlite;
use tollgate_testkit::fault::{Faulty, When};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::propagate_header::PropagateHeaderLayer;

/// What the server knows beside its store: the gateway's books, and what it was asked.
#[derive(Clone)]
struct World {
    secrets: Secrets,
    stories: Arc<Mutex<HashMap<String, Story>>>,
    /// By downstream key: what a look-up finds.
    books: Arc<Mutex<HashMap<String, Booked>>>,
    store: Faulty<Sqlite>,
}

#[derive(Clone, Debug)]
struct Booked {
    charge: Value,
    findable: bool,
}

#[derive(Debug, Default)]
struct Story {
    requests: Vec<(Option<String>, u16)>,
    effects: u32,
}

/// In a response's extensions: close the connection instead of sending it.
#[derive(Clone, Copy)]
struct Cut;

/// Serves until the test ends; returns its URL.
pub(crate) async fn start(folder: &std::path::Path) -> String {
    let secrets = Secrets::new(&Secret::new(vec![7; 32])).unwrap();
    let world = World {
        store: Faulty::new(Sqlite::open(folder.join("keys.sqlite")).unwrap()),
        secrets: secrets.clone(),
        stories: Arc::default(),
        books: Arc::default(),
    };
    let finder = world.clone();
    let layer = IdempotencyLayer::new(world.store.clone(), secrets, GuardedHttp::stripe())
        .unwrap()
        // one that finds nothing is waited for so long, the others only as long as the machine takes
        .config(IdempotencyConfig::default().resolve_patience(Duration::from_secs(3)))
        .resolver("lookup", move |open| finder.clone().look(open.key));
    let guarded = ServiceBuilder::new()
        // Stripe's clients read the echo of their key
        .layer(PropagateHeaderLayer::new(header::HeaderName::from_static(
            "idempotency-key",
        )))
        .layer(layer);
    let app = Router::new()
        .route("/v1/charges", post(charge))
        .layer(guarded)
        .route("/test/log/{story}", get(log))
        .route("/test/outage", get(outage))
        .with_state(world.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, app, world));
    url
}

/// Hyper around the router, so that a connection can be cut.
async fn serve(listener: TcpListener, app: Router, world: World) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (app, world) = (app.clone(), world.clone());
        let service = hyper::service::service_fn(move |req: Request<Incoming>| {
            let (app, world) = (app.clone(), world.clone());
            async move { world.watched(app, req.map(Body::new)).await }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

impl World {
    /// Outside everything: writes down what was asked under which key, and what was answered.
    async fn watched(&self, app: Router, req: Request) -> Result<Response, std::io::Error> {
        let key = req
            .headers()
            .get("idempotency-key")
            .map(|key| key.to_str().unwrap().to_owned());
        let (parts, body) = req.into_parts();
        let body = to_bytes(body, 1 << 20).await.map_err(std::io::Error::other)?;
        let story = form(&body).remove("description");
        let Ok(response) = app.oneshot(Request::from_parts(parts, Body::from(body))).await;
        let cut = response.extensions().get::<Cut>().is_some();
        if let Some(story) = story {
            let status = if cut { 0 } else { response.status().as_u16() };
            self.story(&story, |told| told.requests.push((key, status)));
        }
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            self.store.outage(None);
        }
        match cut {
            true => Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)),
            false => Ok(response),
        }
    }

    fn story<T>(&self, name: &str, tell: impl FnOnce(&mut Story) -> T) -> T {
        tell(self.stories.lock().unwrap().entry(name.to_owned()).or_default())
    }

    /// What the gateway's look-up finds under the key that it was sent.
    async fn look(self, key: RecordKey) -> Finding {
        let sent = self.secrets.downstream_key(&key, "gateway").to_string();
        let booked = self.books.lock().unwrap().get(&sent).cloned();
        match booked {
            Some(Booked {
                charge,
                findable: true,
            }) => {
                let answer = Ok::<_, Infallible>(stripe_json(StatusCode::OK, &charge));
                let completion = stored_answer::<Request, _, _, _>(&GuardedHttp::stripe(), answer).await;
                Finding::Settled {
                    completion,
                    reason: "found at the gateway".into(),
                }
            }
            _ => Finding::StillOpen,
        }
    }
}

/// The handler: asks the gateway, and tells what it heard. The story says what goes wrong.
async fn charge(State(world): State<World>, req: Request) -> Response {
    let sent = req
        .extensions()
        .get::<CallContext>()
        .and_then(|context| context.key.clone())
        .unwrap();
    let body = to_bytes(req.into_body(), 1 << 20).await.unwrap();
    let mut form = form(&body);
    let story = form.remove("description").unwrap();
    let number = world.story(&story, |told| {
        told.effects += 1;
        told.effects
    });
    if story == "declined" {
        let error = json!({"error": {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}});
        return stripe_json(StatusCode::PAYMENT_REQUIRED, &error);
    }
    let amount: i64 = form["amount"].parse().unwrap();
    let charge = json!({"id": format!("ch_{story}_{number}"), "object": "charge", "amount": amount, "currency": form["currency"],
                        "status": "succeeded"});
    let booked = Booked {
        charge: charge.clone(),
        findable: story != "unknown",
    };
    world
        .books
        .lock()
        .unwrap()
        .insert(sent.downstream_key("gateway").to_string(), booked);
    match story.as_str() {
        "lost" | "unknown" => {
            let error = json!({"error": {"type": "api_error", "message": "the gateway's answer was lost"}});
            stripe_json(StatusCode::INTERNAL_SERVER_ERROR, &error)
        }
        "cut" => {
            let mut response = stripe_json(StatusCode::OK, &charge);
            response.extensions_mut().insert(Cut);
            response
        }
        // as long as it takes until a copy has come and was told to come back
        "slow" | "slow-once" => {
            while !world.story(&story, |told| {
                told.requests.iter().any(|(_, status)| *status == 409)
            }) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stripe_json(StatusCode::OK, &charge)
        }
        _ => stripe_json(StatusCode::OK, &charge),
    }
}

async fn log(State(world): State<World>, Path(story): Path<String>) -> Response {
    let seen = world.story(
        &story,
        |told| json!({"requests": told.requests, "effects": told.effects}),
    );
    stripe_json(StatusCode::OK, &seen)
}

async fn outage(State(world): State<World>) {
    world.store.outage(When::Before);
}

fn stripe_json(status: StatusCode, document: &Value) -> Response {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// `a=1&b=2`. The stories hold nothing that needed escaping.
fn form(body: &[u8]) -> HashMap<String, String> {
    let text = String::from_utf8_lossy(body);
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
