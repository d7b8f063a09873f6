//! What is stopped before money moves.

use super::Stage;
use crate::Error;
use crate::evidence::Evidence;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub async fn blocklisted(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let order = stage.name("s4");
    let before = stage.ledger(&order).await?;
    evidence.sent("POST /charges 19.99 EUR, customer cus_eve");
    let body =
        json!({ "reference": order, "amount": "19.99 EUR", "token": "tok_visa", "customer": "cus_eve" });
    let answer = stage
        .merchant
        .post("/charges", &[("idempotency-key", &order)], &body)
        .await?;
    evidence.came_back(answer.gist());
    let ledger = stage.ledger(&order).await?;
    let calls = ledger.requests - before.requests;
    evidence.counted(format!("{ledger}; {calls} calls"));
    evidence.check(
        "402 fraud-blocked",
        answer.status == 402 && answer.json()["code"] == "fraud-blocked",
    );
    evidence.check(
        "the answer names no rule",
        !String::from_utf8_lossy(&answer.body).contains("blocklist"),
    );
    evidence.check("the acquirer was not called", calls == 0 && ledger.payments == 0);
    Ok(())
}

pub async fn webhooks(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let (genuine, forged, late) = (
        stage.name("evt"),
        stage.name("evt-forged"),
        stage.name("evt-late"),
    );
    let url = format!("{}/webhooks/acquirer", stage.town.merchant.url());
    let deliver = async |id: &str, more: Value| {
        let mut delivery = json!({ "url": url, "event": { "id": id, "type": "payment.captured" } });
        for (name, value) in more.as_object().into_iter().flatten() {
            delivery[name] = value.clone();
        }
        Ok::<_, Error>(
            stage
                .acquirer
                .post("/control/webhook", &[], &delivery)
                .await?
                .json(),
        )
    };
    evidence.sent("a signed event, from the acquirer");
    let first = deliver(&genuine, json!({})).await?;
    evidence.came_back(first.to_string());
    evidence.sent("the same event again");
    let again = deliver(&genuine, json!({})).await?;
    evidence.came_back(again.to_string());
    evidence.sent("an event whose body was changed after it was signed");
    let tampered = deliver(&forged, json!({ "tamper": true })).await?;
    evidence.came_back(tampered.to_string());
    evidence.sent("an event signed an hour ago");
    let stale = deliver(&late, json!({ "seconds_ago": 3600 })).await?;
    evidence.came_back(stale.to_string());

    let processed = stage.merchant.get("/webhooks/processed").await?.json();
    let count = |id: &str| {
        processed
            .as_array()
            .into_iter()
            .flatten()
            .filter(|seen| *seen == id)
            .count()
    };
    evidence.counted(format!(
        "processed by the merchant: {} × the genuine event",
        count(&genuine)
    ));
    evidence.check(
        "accepted, once",
        first["status"] == 200 && first["duplicate"] == false && count(&genuine) == 1,
    );
    evidence.check(
        "the repeat is acknowledged and not processed",
        again["status"] == 200 && again["duplicate"] == true,
    );
    evidence.check(
        "tampered: refused",
        tampered["code"] == "signature-mismatch" && count(&forged) == 0,
    );
    evidence.check(
        "stale: refused",
        stale["code"] == "timestamp-outside-window" && count(&late) == 0,
    );
    Ok(())
}

pub async fn acquirer_down(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    stage.town.acquirer.kill().await?;
    evidence.sent("the acquirer is killed; POST /charges, one after the other");
    let (mut failures, mut open) = (0, None);
    for number in 0..20 {
        let began = Instant::now();
        let answer = stage.charge(&stage.name(&format!("s12-{number}"))).await?;
        if answer.json()["code"] == "circuit-open" {
            open = Some((answer, began.elapsed()));
            break;
        }
        failures += 1;
    }
    let (refused, took) = open.ok_or("the breaker never opened")?;
    let retry_after = refused.header("retry-after").unwrap_or("none").to_owned();
    evidence.came_back(format!(
        "{failures} failures, then {} with Retry-After: {retry_after}, after {took:?}",
        refused.gist()
    ));
    evidence.check(
        "503 circuit-open, with Retry-After",
        refused.status == 503 && retry_after != "none",
    );

    evidence.sent("the acquirer is started again; the breaker's second of rest passes; POST /charges");
    stage.town.acquirer.start_again().await?;
    let mut charged = 0;
    let order = stage.name("s12-back");
    for _ in 0..40 {
        let answer = stage.charge(&format!("{order}-{charged}")).await?;
        if answer.status == 201 {
            charged += 1;
        }
        if charged == 3 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let ledger = stage.ledger(&format!("{order}-0")).await?;
    evidence.counted(ledger.to_string());
    evidence.check(
        "it is back: three charges, each once",
        charged == 3 && ledger.payments == 1,
    );
    Ok(())
}
