//! What resolvers find out stands in the audit log as well, before it is stored.

use super::operators::{doubt, entries, fates, log};
use super::*;
use crate::audit::Kind;
use std::time::Duration;
use tokio::time::sleep;
use tollgate_core::store::idempotency::{Completion, IdempotencyStore};
use tollgate_core::store::memory::MemoryAudit;
use tollgate_testkit::fault::{Faulty, When};
use tower::{Layer, ServiceExt};

/// Whether a repeat asked or nobody did.
#[tokio::test(start_paused = true)]
async fn findings_are_logged_and_not_stored_unlogged() {
    for in_the_background in [false, true] {
        let (records, _) = store();
        let audit = Faulty::new(MemoryAudit::new());
        let layer = layer(records.clone())
            .resolver("lookup", |_| async {
                Finding::Settled {
                    completion: Completion {
                        executed: true,
                        envelope: None,
                    },
                    reason: "found pay_0, captured".into(),
                }
            })
            .audit_resolutions(log(audit.clone()));
        let gateway = Gateway::new(|_, _| Scripted::Book(Err(PaymentError::connection_lost("reset"))));
        let service = layer.layer(gateway.clone());
        assert!(service.clone().oneshot(sale("k", 100)).await.is_err());

        audit.outage(When::Before);
        let background =
            in_the_background.then(|| tokio::spawn(layer.clone().keep_resolving(Duration::from_secs(5))));
        let refused = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(refused.code(), Some("outcome-unknown"));
        assert_eq!(
            records.unresolved(None, 10).await.unwrap().len(),
            1,
            "not stored unlogged"
        );

        audit.outage(None);
        sleep(Duration::from_secs(6)).await;
        let answer = service.oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(
            answer.code(),
            Some("not-replayable"),
            "found executed, without an answer to replay"
        );
        assert_eq!(gateway.booked(), 1);
        let logged = entries(audit.inner()).await;
        assert_eq!(
            fates(&logged),
            [(Kind::Intent, None), (Kind::Outcome, Some("resolved"))]
        );
        let told = logged[1].resolution.as_ref().unwrap();
        assert_eq!(
            (told.actor.as_str(), told.reason.as_str()),
            ("lookup", "found pay_0, captured")
        );
        if let Some(background) = background {
            background.abort();
        }
    }
}

#[tokio::test]
async fn a_pass_of_an_operator_is_logged_finding_by_finding() {
    let (records, clock) = store();
    for number in 1..=3 {
        doubt(&records, number).await;
        clock.advance(Duration::from_secs(61));
    }
    let audit = MemoryAudit::new();
    let pass = Doubts::new(records.clone(), log(audit.clone()))
        .resolve_open("nightly", |open| async move {
            match open.key.as_bytes()[0] {
                1 => Finding::Absent {
                    reason: "not there".into(),
                },
                _ => Finding::StillOpen,
            }
        })
        .await
        .unwrap();
    assert_eq!((pass.settled, pass.released, pass.open), (0, 1, 2));
    assert_eq!(pass.backlog(), Backlog::of(&records).await.unwrap());
    assert_eq!(
        entries(&audit).await.len(),
        2,
        "what found nothing out says nothing"
    );
}
