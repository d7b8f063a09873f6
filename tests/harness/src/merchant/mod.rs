//! What is under test: a merchant's API over a policy and a store, in front of a gateway.
//!
//! ```text
//! POST /charges             Idempotency-Key; {"card": ..}: 201, 402, or a problem
//! POST /control/resolve     asks the gateway about every open key, when nothing can be on its way any more
//! POST /control/standings   how the store sees each of these keys
//! POST /control/drain       waits for calls whose callers went away
//! ```

mod charges;
mod gateway_client;
pub mod points;
mod resolver;
mod watched;

use crate::Error;
use crate::evidence::{Files, Lines};
use crate::net;
use crate::policies::{Keeper, Policy};
use crate::stores::StoreAt;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
pub use charges::{declined, paid};
use gateway_client::{GatewayClient, Outbound};
use points::Points;
use resolver::Resolver;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tollgate::idempotency::{ArmPolicy, GuardedHttp, IdempotencyConfig, IdempotencyLayer, WhileInFlight};
use tollgate_core::store::idempotency::{IdempotencyStore, Phase};
use tollgate_core::{IdempotencyKey, Secret, Secrets};
use watched::Watched;

/// What a merchant is told when it is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MerchantTold {
    pub files: Files,
    pub store: StoreAt,
    pub policy: Policy,
    /// 0 takes any free port.
    pub port: u16,
    pub gateway: u16,
    /// Whether the gateway is known to deduplicate. Then a doubtful call may be repeated, and what was not found may run again.
    pub dedup: bool,
    pub lease: Duration,
    pub arm: ArmPolicy,
    pub while_in_flight: WhileInFlight,
}

/// How the store sees a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Final: it happened.
    Executed,
    /// Final: it did not.
    Declined,
    /// Listed as open: it may have happened.
    Open,
    /// Held by somebody, and listed nowhere.
    Running,
    /// Nothing is known of it, or it is known that nothing happened: it may run.
    Free,
}

pub struct Shop {
    outbound: Outbound,
    guard: Guard,
}

/// What stands before the gateway.
enum Guard {
    Tollgate {
        layer: IdempotencyLayer<Watched, GuardedHttp>,
        resolver: Resolver,
    },
    Wrong(Keeper),
}

/// The same in every merchant and after every restart.
fn secrets() -> Result<Secrets, Error> {
    Ok(Secrets::new(&Secret::new(vec![7; 32]))?)
}

pub async fn run(told: MerchantTold) -> Result<(), Error> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let events = Arc::new(Lines::open(&told.files.events())?);
    let points = Points::from_environment(Arc::clone(&events))?;
    let client = GatewayClient::new(told.gateway, told.dedup, secrets()?, points.clone());
    let charges = Router::new().route("/charges", post(charges::charge));
    let (charges, guard) = match told.policy {
        Policy::Tollgate => {
            let store = Watched::new(told.store.open_patiently().await?, points, events);
            let (layer, resolver) = guard(&told, store)?;
            (charges.layer(layer.clone()), Guard::Tollgate { layer, resolver })
        }
        Policy::Seed | Policy::SetNx => {
            let keeper = Keeper::open(told.policy, &told.store, told.lease, points).await?;
            (charges, Guard::Wrong(keeper))
        }
    };
    let shop = Arc::new(Shop {
        outbound: gateway_client::outbound(client),
        guard,
    });
    let app = charges
        .route("/control/resolve", post(resolve))
        .route("/control/standings", post(standings))
        .route("/control/drain", post(drain))
        .with_state(shop);
    let listener = net::listen(told.port).await?;
    net::ready(&[&listener])?;
    Ok(net::serve(listener, app).await?)
}

/// The layer under test, with short times: a lease of 1 s is out of the question for real money.
fn guard(
    told: &MerchantTold,
    store: Watched,
) -> Result<(IdempotencyLayer<Watched, GuardedHttp>, Resolver), Error> {
    let config = IdempotencyConfig::default()
        .lease(told.lease)
        .arm(told.arm)
        .while_in_flight(told.while_in_flight)
        .settle_patience(Duration::from_secs(1))
        .resolve_patience(Duration::from_millis(500));
    let resolver = Resolver {
        gateway: told.gateway,
        secrets: secrets()?,
        store: store.clone(),
    };
    let looking = resolver.clone();
    // not found proves nothing while a frozen merchant may still send, unless the gateway refuses a second charge under one key
    let absence_is_proof = told.dedup;
    let layer = match &told.store {
        StoreAt::Memory => IdempotencyLayer::dangerous_http(store, secrets()?),
        _ => IdempotencyLayer::http(store, secrets()?)?,
    };
    let layer = layer.config(config).resolver("merchant", move |open| {
        let looking = looking.clone();
        async move { looking.look(open, absence_is_proof).await }
    });
    tokio::spawn(layer.clone().keep_resolving(Duration::from_secs(5)));
    Ok((layer, resolver))
}

type Told<T> = Result<Json<T>, (StatusCode, String)>;

fn failed(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// Answers with how many keys are still open.
async fn resolve(State(shop): State<Arc<Shop>>) -> Told<u64> {
    match &shop.guard {
        Guard::Tollgate { resolver, .. } => resolver.end_all().await.map(Json).map_err(failed),
        Guard::Wrong(_) => Ok(Json(0)),
    }
}

async fn drain(State(shop): State<Arc<Shop>>) -> Told<()> {
    match &shop.guard {
        Guard::Tollgate { layer, .. } => layer
            .drain(Duration::from_secs(60))
            .await
            .map(Json)
            .map_err(failed),
        Guard::Wrong(_) => Ok(Json(())),
    }
}

async fn standings(State(shop): State<Arc<Shop>>, Json(keys): Json<Vec<String>>) -> Told<Vec<Standing>> {
    let mut standings = Vec::with_capacity(keys.len());
    for key in keys {
        standings.push(match &shop.guard {
            Guard::Tollgate { resolver, .. } => resolver.standing(&key).await.map_err(failed)?,
            Guard::Wrong(keeper) => keeper.standing(&key).await.map_err(failed)?,
        });
    }
    Ok(Json(standings))
}

impl Resolver {
    async fn standing(&self, key: &str) -> Result<Standing, Error> {
        let record = GuardedHttp::record_key(&self.secrets, None, &IdempotencyKey::new(key)?);
        let Some(record) = self.store.get(record).await? else {
            return Ok(Standing::Free);
        };
        Ok(match (record.phase, record.completion) {
            (Phase::Completed, Some(completion)) if completion.executed => Standing::Executed,
            (Phase::Completed, Some(_)) => Standing::Declined,
            (Phase::Armed | Phase::Unknown, _) => Standing::Open,
            (Phase::Prepared | Phase::Released, _) => Standing::Free,
            // no answer is kept for less than the run
            (Phase::Completed | Phase::Expired, _) => Standing::Running,
        })
    }
}
