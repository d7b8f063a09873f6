//! Two policies that are known to be wrong, re-made as faithfully as Rust allows, to prove that the storm is one.
//!
//! **Nothing in here guards money.** [`seed`] is what the Python package does from which this project grew; [`setnx`] is the recipe that
//! most articles give. They run in the same merchants, over the same kind of store, in front of the same gateway and through the same
//! outbound layers, which repeat nothing that may have happened, and a client that hangs up does not cut them in half. Whatever they
//! charge twice, they charge twice by their own rule.

mod seed;
mod setnx;
mod shelf;

use crate::Error;
use crate::merchant::Standing;
use crate::merchant::points::Points;
use crate::stores::StoreAt;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use shelf::Shelf;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;
use tollgate_core::PaymentError;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    Tollgate,
    Seed,
    SetNx,
}

impl Policy {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tollgate => "tollgate",
            Self::Seed => "seed",
            Self::SetNx => "setnx",
        }
    }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Self::Tollgate, Self::Seed, Self::SetNx];
        let found = all.into_iter().find(|policy| policy.as_str() == name);
        found.ok_or_else(|| format!("--policy {name}: there are tollgate, seed, setnx").into())
    }
}

/// A wrong policy over a store.
pub struct Keeper {
    policy: Policy,
    shelf: Shelf,
    lock: Duration,
    points: Points,
}

impl Keeper {
    pub async fn open(
        policy: Policy,
        store: &StoreAt,
        lock: Duration,
        points: Points,
    ) -> Result<Self, Error> {
        Ok(Self {
            policy,
            shelf: Shelf::open(store).await?,
            lock,
            points,
        })
    }

    /// Guards one charge; `run` moves the money.
    pub async fn charge<R, F>(&self, key: &str, payload: &str, run: R) -> Response<Body>
    where
        R: FnOnce() -> F + Send,
        F: Future<Output = Result<String, PaymentError>> + Send,
    {
        let done = match self.policy {
            Policy::SetNx => setnx::charge(self, key, run).await,
            _ => seed::charge(self, key, payload, run).await,
        };
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, "the store failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        })
    }

    pub async fn standing(&self, key: &str) -> Result<Standing, Error> {
        Ok(match self.shelf.get(key).await? {
            None => Standing::Free,
            Some(text) if self.policy == Policy::SetNx => setnx::standing(&text),
            Some(text) => seed::standing(&text)?,
        })
    }
}

fn answer(status: StatusCode, code: &str) -> Response<Body> {
    (status, axum::Json(serde_json::json!({ "code": code }))).into_response()
}
