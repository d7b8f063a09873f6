//! Sagas: what is undone, and what goes on after a crash.

use super::Stage;
use crate::Error;
use crate::evidence::Evidence;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

fn order(reference: &str) -> Value {
    json!({ "reference": reference, "amount": "49.00 EUR", "token": "tok_visa", "quantity": 2 })
}

async fn stock(stage: &Stage<'_>) -> Result<Value, Error> {
    Ok(stage.inventory.get("/stock").await?.json())
}

async fn shipments(stage: &Stage<'_>, reference: &str) -> Result<usize, Error> {
    let all = stage.shipping.get("/shipments").await?.json();
    Ok(all
        .as_array()
        .into_iter()
        .flatten()
        .filter(|order| *order == reference)
        .count())
}

pub async fn shipping_fails(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let reference = stage.name("s3");
    let before = stock(stage).await?;
    stage
        .shipping
        .post("/control", &[], &json!({ "refuse": 1 }))
        .await?;
    evidence.sent("POST /orders 49.00 EUR, two pieces; shipping refuses");
    let answer = stage.merchant.post("/orders", &[], &order(&reference)).await?;
    evidence.came_back(format!("{}: {}", answer.gist(), answer.json()));
    let (ledger, after) = (stage.ledger(&reference).await?, stock(stage).await?);
    evidence.counted(ledger.to_string());
    evidence.counted(format!("stock before {before}, after {after}"));
    evidence.check(
        "compensated, because of `ship`",
        answer.json()["state"] == "compensated" && answer.json()["step"] == "ship",
    );
    let refunded = ledger.status == "refunded" && ledger.captured == 4900 && ledger.refunded == 4900;
    evidence.check(
        "captured and refunded in full, not voided",
        refunded && ledger.payments == 1,
    );
    evidence.check(
        "the stock is back, nothing was shipped",
        before == after && shipments(stage, &reference).await? == 0,
    );
    Ok(())
}

pub async fn killed(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let reference = stage.name("s11");
    stage
        .shipping
        .post("/control", &[], &json!({ "slow_ms": 1500 }))
        .await?;
    evidence.sent("POST /orders 49.00 EUR; shipping is slow");
    let (merchant, body) = (stage.merchant.clone(), order(&reference));
    let placed = tokio::spawn(async move { merchant.post("/orders", &[], &body).await });
    let mut captured = false;
    for _ in 0..200 {
        captured = stage.ledger(&reference).await?.status == "captured";
        if captured {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    // the acquirer has captured; let the merchant hear of it and turn to shipping
    sleep(Duration::from_millis(200)).await;
    stage.town.merchant.kill().await?;
    let lost = placed.await?;
    evidence.sent("SIGKILL to the merchant, between capture and ship");
    evidence.came_back(match &lost {
        Ok(answer) => answer.gist(),
        Err(failure) => failure.to_string(),
    });
    let shipped_early = shipments(stage, &reference).await?;
    evidence.check(
        "killed after the capture, before the shipment",
        captured && lost.is_err() && shipped_early == 0,
    );

    stage.town.merchant.start_again().await?;
    evidence.sent("the merchant is started again; the same order is placed again");
    let answer = stage.merchant.post("/orders", &[], &order(&reference)).await?;
    evidence.came_back(format!("{}: {}", answer.gist(), answer.json()));
    // the shipment that was under way when the merchant died may still arrive: it carries the same key
    sleep(Duration::from_millis(300)).await;
    let (ledger, shipped) = (
        stage.ledger(&reference).await?,
        shipments(stage, &reference).await?,
    );
    evidence.counted(format!("{ledger}; {shipped} shipment(s)"));
    evidence.check(
        "the saga finished",
        answer.status == 201 && answer.json()["state"] == "completed",
    );
    evidence.check(
        "captured once, shipped once",
        ledger.payments == 1 && ledger.captured == 4900 && shipped == 1,
    );
    Ok(())
}
