//! Servers that wear the layer, over SQLite: axum, and hyper alone.

use crate::shop::{Shop, Telling, Tenant, authenticate};
use axum::Router;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tollgate::idempotency::{GuardedHttp, IdempotencyLayer};
use tollgate_core::clock::ManualClock;
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_core::{Secret, Secrets, Timestamp};
use tollgate_sqlite::Sqlite;
use tollgate_testkit::fault::{Faulty, When};
use tower::layer::layer_fn;
use tower::util::MapRequestLayer;
use tower::{ServiceBuilder, service_fn};

/// Which kind of server wears the layer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Axum,
    Hyper,
}

/// A server and the levers that the runner's commands pull, which are files in its folder.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    folder: tempfile::TempDir,
}

type Store = Faulty<Sqlite>;

impl Server {
    pub(crate) async fn start(kind: Kind, guarded: GuardedHttp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let guarded = guarded.scope(|parts| Some((parts.extensions.get::<Tenant>()?.0, "test")));
        let house = House {
            kind,
            guarded,
            folder: folder.path().to_owned(),
            shop: Shop::default(),
            clock: ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)),
            listener,
        };
        tokio::spawn(house.run());
        Self { url, folder }
    }

    /// A shell command that pulls a lever and waits until it was.
    pub(crate) fn lever(&self, name: &str) -> String {
        let file = self.folder.path().join(name);
        let file = file.display();
        format!("touch '{file}' && while [ -e '{file}' ]; do sleep 0.02; done")
    }
}

struct House {
    kind: Kind,
    guarded: GuardedHttp,
    folder: PathBuf,
    shop: Shop,
    clock: ManualClock,
    /// The socket outlives the server.
    listener: std::net::TcpListener,
}

impl House {
    /// Serves, and does what the levers say.
    async fn run(self) {
        let (mut store, mut serving) = self.open();
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let Some(lever) = pulled(&self.folder, "down") {
                store.outage(When::Before);
                lever.done();
            }
            if let Some(lever) = pulled(&self.folder, "up") {
                store.outage(None);
                lever.done();
            }
            if let Some(lever) = pulled(&self.folder, "expire") {
                self.clock.advance(Duration::from_secs(31 * 24 * 60 * 60));
                store.collect(Duration::from_secs(3600), 10_000).await.unwrap();
                lever.done();
            }
            if let Some(lever) = pulled(&self.folder, "restart") {
                serving.abort();
                // nothing of the old process but its file
                (store, serving) = self.open();
                lever.done();
            }
        }
    }

    /// A new layer over a newly opened store, in front of the shop.
    fn open(&self) -> (Store, AbortHandle) {
        let path = self.folder.join("keys.sqlite");
        let store = Faulty::new(Sqlite::open_with(path, self.clock.clone()).unwrap());
        let secrets = Secrets::new(&Secret::new(vec![7; 32])).unwrap();
        let layer = IdempotencyLayer::new(store.clone(), secrets, self.guarded.clone()).unwrap();
        let listener = TcpListener::from_std(self.listener.try_clone().unwrap()).unwrap();
        let serving = match self.kind {
            Kind::Axum => tokio::spawn(over_axum(listener, self.shop.clone(), layer)),
            Kind::Hyper => tokio::spawn(over_hyper(listener, self.shop.clone(), layer)),
        };
        (store, serving.abort_handle())
    }
}

async fn over_axum(listener: TcpListener, shop: Shop, layer: IdempotencyLayer<Store, GuardedHttp>) {
    let telling = telling(&shop);
    let sells = move |req: Request<AxumBody>| {
        let shop = shop.clone();
        async move { shop.serve(req).await.map(AxumBody::new) }
    };
    let app = Router::new().fallback(sells).layer(
        ServiceBuilder::new()
            .layer(layer_fn(telling))
            .layer(MapRequestLayer::new(authenticated::<AxumBody>))
            .layer(layer),
    );
    axum::serve(listener, app).await.unwrap();
}

fn telling<S>(shop: &Shop) -> impl Fn(S) -> Telling<S> + Clone + use<S> {
    let shop = shop.clone();
    move |inner| Telling {
        inner,
        shop: shop.clone(),
    }
}

async fn over_hyper(listener: TcpListener, shop: Shop, layer: IdempotencyLayer<Store, GuardedHttp>) {
    let telling = telling(&shop);
    let sells = service_fn(move |req: Request<Asked>| {
        let shop = shop.clone();
        async move { Ok::<_, Infallible>(shop.serve(req).await) }
    });
    let service = ServiceBuilder::new()
        .layer(layer_fn(telling))
        .layer(MapRequestLayer::new(|req: Request<Incoming>| {
            authenticated(req.map(Asked::Coming))
        }))
        .layer(layer)
        .service(sells);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(service.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection); // a client that hangs up ends it with an error, which is its business
    }
}

fn authenticated<B>(mut req: Request<B>) -> Request<B> {
    authenticate(&mut req);
    req
}

/// A request's body in bare hyper: still coming, or made again from bytes.
enum Asked {
    Coming(Incoming),
    Whole(Full<Bytes>),
}

impl From<Bytes> for Asked {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Coming(body) => Pin::new(body).poll_frame(cx),
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Coming(body) => body.size_hint(),
            Self::Whole(body) => body.size_hint(),
        }
    }
}

struct Lever(PathBuf);

impl Lever {
    fn done(self) {
        std::fs::remove_file(self.0).unwrap();
    }
}

fn pulled(folder: &Path, name: &str) -> Option<Lever> {
    let file = folder.join(name);
    file.exists().then_some(Lever(file))
}
