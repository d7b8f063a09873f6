//! KNOWN TO BE WRONG: `SET key running NX PX lock`, run, `SET key answer`, and `DEL key` when it failed.
//!
//! The lock lapses by itself while the charge is on its way, whoever failed deletes the key although the charge may have happened, and
//! nobody checks that the lock is still their own.

use super::{Keeper, answer};
use crate::Error;
use crate::merchant::points::Point;
use crate::merchant::{Standing, declined, paid};
use axum::body::Body;
use axum::http::{Response, StatusCode};
use std::future::Future;
use std::time::Duration;
use tollgate_core::{Effect, Fault, PaymentError};

const RUNNING: &str = "running";
const DECLINED: &str = "declined";

/// How long answers are kept.
const KEPT: Duration = Duration::from_secs(86_400);

pub async fn charge<R, F>(keeper: &Keeper, key: &str, run: R) -> Result<Response<Body>, Error>
where
    R: FnOnce() -> F + Send,
    F: Future<Output = Result<String, PaymentError>> + Send,
{
    let Keeper {
        shelf, points, lock, ..
    } = keeper;
    if !shelf.put_if_absent(key, RUNNING, *lock).await? {
        return Ok(match shelf.get(key).await?.as_deref() {
            None | Some(RUNNING) => answer(StatusCode::CONFLICT, "in_progress"),
            Some(DECLINED) => declined(),
            Some(charge) => paid(charge),
        });
    }
    points.pass(Point::AfterBegin);
    let outcome = run().await;
    points.pass(Point::BeforeSettle);
    let response = match outcome {
        Ok(charge) => {
            shelf.put(key, &charge, KEPT).await?;
            paid(&charge)
        }
        Err(error) if error.verdict().effect == Effect::Declined => {
            shelf.put(key, DECLINED, KEPT).await?;
            declined()
        }
        Err(error) => {
            shelf.remove(key).await?;
            answer(StatusCode::SERVICE_UNAVAILABLE, error.kind().as_str())
        }
    };
    points.pass(Point::AfterSettle);
    Ok(response)
}

pub fn standing(text: &str) -> Standing {
    match text {
        RUNNING => Standing::Running,
        DECLINED => Standing::Declined,
        _ => Standing::Executed,
    }
}
