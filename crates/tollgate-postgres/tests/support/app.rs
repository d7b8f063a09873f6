//! A small service with one guarded route: it credits an account, in rows of the database that also holds the records.

use super::Database;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Router, body};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Row};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tollgate::idempotency::{ArmPolicy, GuardedHttp, IdempotencyConfig, IdempotencyLayer};
use tollgate_core::{CallContext, KeyInForce, Secret, Secrets};
use tollgate_postgres::Postgres;
use tower::ServiceExt;

/// What the next call of the handler does; `Commit` when nothing is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Its rows and its answer, together.
    Commit,
    /// Fails before it settles.
    FailEarly,
    /// Fails after it settled, and does not commit.
    FailLate,
    /// Panics after it settled.
    Panic,
    /// Never comes back from before its commit.
    HangBefore,
    /// Never comes back from after its commit.
    HangAfter,
    /// Goes on only when it is told to.
    Pause,
}

#[derive(Clone)]
pub(crate) struct App {
    /// The application's own connections.
    pool: PgPool,
    plans: Arc<Mutex<VecDeque<Plan>>>,
    /// The handler has come to where its plan says.
    pub(crate) there: Arc<Notify>,
    pub(crate) go: Arc<Notify>,
    router: Router,
}

pub(crate) fn config() -> IdempotencyConfig {
    IdempotencyConfig::default().arm(ArmPolicy::InTransaction)
}

impl App {
    /// A process of its own, as far as it can tell: its own connections, its own store.
    pub(crate) async fn start(store: Postgres, pool: PgPool, config: IdempotencyConfig) -> Self {
        sqlx::query("create table if not exists credit (account integer not null, minor bigint not null)")
            .execute(&pool)
            .await
            .unwrap();
        let app = Self {
            pool,
            plans: Arc::default(),
            there: Arc::default(),
            go: Arc::default(),
            router: Router::new(),
        };
        // the same in every process and after every restart
        let secrets = Secrets::new(&Secret::new(vec![7; 32])).unwrap();
        let layer = IdempotencyLayer::http(store, secrets).unwrap().config(config);
        let router = Router::new()
            .route("/credits", post(credit).layer(layer))
            .with_state(app.clone());
        Self { router, ..app }
    }

    /// On this database.
    pub(crate) async fn on(database: &Database, config: IdempotencyConfig) -> Self {
        let pool = PgPoolOptions::new()
            .connect_with(database.options())
            .await
            .unwrap();
        Self::start(database.store().await, pool, config).await
    }

    pub(crate) fn plan(&self, plan: Plan) -> &Self {
        self.plans.lock().unwrap().push_back(plan);
        self
    }

    pub(crate) async fn post(&self, key: &str) -> Answer {
        let request = Request::post("/credits")
            .header("idempotency-key", key)
            .body(Body::from("1999"))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        Answer::of(response).await
    }

    /// Repeats until the credit is made. The last answer.
    pub(crate) async fn insist(&self, key: &str) -> Answer {
        for _ in 0..600 {
            let answer = self.post(key).await;
            if answer.status == 201 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the credit is not made");
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let status = response.status().as_u16();
        let replayed = response.headers().contains_key("idempotent-replayed");
        let bytes = body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Self {
            status,
            replayed,
            body: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
}

async fn credit(
    State(app): State<App>,
    Extension(call): Extension<CallContext>,
    minor: String,
) -> Response<Body> {
    match in_transaction(&app, &call, &minor).await {
        Ok(answer) => answer,
        // rolled back: under `ArmPolicy::InTransaction` the layer knows what that means
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn in_transaction(
    app: &App,
    call: &CallContext,
    minor: &str,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let plan = app.plans.lock().unwrap().pop_front().unwrap_or(Plan::Commit);
    let claim = call
        .key
        .as_ref()
        .and_then(KeyInForce::claim)
        .ok_or("this route is not guarded")?;
    let mut transaction = app.pool.begin().await?;
    let minor: i64 = minor.parse()?;
    let total =
        "insert into credit (account, minor) values (7, $1) returning (select count(*) from credit) + 1";
    let number: i64 = sqlx::query(total)
        .bind(minor)
        .fetch_one(&mut *transaction)
        .await?
        .get(0);
    if plan == Plan::Pause {
        app.there.notify_one();
        app.go.notified().await;
    }
    if plan == Plan::FailEarly {
        return Err("planned".into());
    }
    let answer = (StatusCode::CREATED, format!("credit {number}")).into_response();
    let (answer, settlement) = GuardedHttp::new().settlement_of(answer).await;
    Postgres::settle_in(&mut transaction, claim, &settlement).await?;
    match plan {
        Plan::FailLate => return Err("planned".into()),
        Plan::Panic => panic!("planned"),
        Plan::HangBefore => hang(app).await,
        _ => {}
    }
    transaction.commit().await?;
    if plan == Plan::HangAfter {
        hang(app).await;
    }
    Ok(answer)
}

async fn hang(app: &App) {
    app.there.notify_one();
    std::future::pending::<()>().await;
}
