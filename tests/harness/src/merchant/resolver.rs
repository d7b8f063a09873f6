//! Ends doubts by evidence: the gateway is asked by the key that was sent to it.

use super::charges::{declined, paid};
use super::gateway_client::PEER;
use super::watched::Watched;
use crate::Error;
use crate::net;
use axum::body::Body;
use axum::http::{Request, Response};
use std::convert::Infallible;
use std::time::Duration;
use tollgate::idempotency::{Finding, GuardedHttp, resolve_open, stored_answer};
use tollgate_core::Secrets;
use tollgate_core::store::idempotency::Unresolved;

#[derive(Clone, Debug)]
pub struct Resolver {
    pub gateway: u16,
    pub secrets: Secrets,
    pub store: Watched,
}

impl Resolver {
    /// Asks about one key. Not found says that it did not happen *yet*; `absence_is_proof` says that it cannot happen any more.
    pub async fn look(&self, open: Unresolved, absence_is_proof: bool) -> Finding {
        let key = self.secrets.downstream_key(&open.key, PEER);
        let path = format!("/charges/{}", key.as_str());
        let Ok(answer) = net::get(self.gateway, &path, Duration::from_millis(400)).await else {
            return Finding::StillOpen;
        };
        match (answer.status.as_u16(), answer.json()["charge"].as_str()) {
            (201, Some(charge)) => settled(paid(charge), format!("look-up found {charge}")).await,
            (402, Some(charge)) => settled(declined(), format!("look-up found {charge}, declined")).await,
            (404, _) if absence_is_proof => Finding::Absent {
                reason: "the gateway knows nothing of this key".into(),
            },
            _ => Finding::StillOpen,
        }
    }

    /// Ends every doubt, when nothing can be on its way any more. Answers with how many it could not end.
    pub async fn end_all(&self) -> Result<u64, Error> {
        let mut open = u64::MAX;
        for _ in 0..10 {
            open = resolve_open(&self.store, "after the storm", |open| self.look(open, true))
                .await?
                .open;
            if open == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(open)
    }
}

/// Repeats get this as if the gateway's answer had arrived.
async fn settled(response: Response<Body>, reason: String) -> Finding {
    let answer = Ok::<_, Infallible>(response);
    let completion = stored_answer::<Request<Body>, _, _, _>(&GuardedHttp::new(), answer).await;
    Finding::Settled {
        completion,
        reason: reason.into(),
    }
}
