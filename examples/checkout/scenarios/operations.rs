//! What an auditor and an operator ask.

use super::Stage;
use crate::Error;
use crate::evidence::Evidence;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

pub async fn reconciliation(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let (hidden, wrong, invented) = (
        stage.name("s6-hidden"),
        stage.name("s6-wrong"),
        stage.name("s6-invented"),
    );
    let right = stage.name("s6-right");
    for order in [&hidden, &wrong, &right] {
        stage.charge(order).await?;
    }
    let plan = json!({ "hide": [hidden], "misstate": [wrong], "invent": [invented] });
    stage.acquirer.post("/control/report", &[], &plan).await?;
    evidence.sent(
        "POST /operations/reconcile, over a report that hides one payment, misstates one and invents one",
    );
    let report = stage
        .merchant
        .post("/operations/reconcile", &[], &json!({}))
        .await?
        .json();
    stage.acquirer.post("/control/report", &[], &json!({})).await?;
    evidence.came_back(format!(
        "{} matched, {}",
        report["matched"], report["discrepancies"]
    ));
    evidence.came_back(format!("paged: {}", report["paged"]));
    let of = |reference: &str| {
        let found = report["discrepancies"].as_array().into_iter().flatten();
        found
            .filter(|found| found["reference"] == reference)
            .map(|found| found["class"].clone())
            .collect::<Vec<_>>()
    };
    evidence.check(
        "the hidden one is missing at the gateway",
        of(&hidden) == [json!("missing_at_gateway")],
    );
    evidence.check(
        "the misstated one is a status mismatch",
        of(&wrong) == [json!("status_mismatch")],
    );
    evidence.check(
        "the invented one is missing in the ledger",
        of(&invented) == [json!("missing_in_ledger")],
    );
    evidence.check(
        "and nothing else",
        report["discrepancies"].as_array().map(Vec::len) == Some(3) && of(&right).is_empty(),
    );
    evidence.check(
        "on-call was paged, for the one that matters most",
        report["paged"] == json!([hidden]),
    );
    Ok(())
}

pub async fn masked_log(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let marker = stage.name("note");
    let text = format!("{marker}: customer says card 4111 1111 1111 1111, cvv: 123, was used twice");
    evidence.sent(format!("a support note is logged: {text:?}"));
    stage
        .merchant
        .post("/support-notes", &[], &json!({ "text": text }))
        .await?;
    let path = stage.town.folder.join("merchant/merchant.log");
    let mut line = None;
    for _ in 0..50 {
        let log = std::fs::read_to_string(&path)?;
        line = log.lines().find(|line| line.contains(&marker)).map(str::to_owned);
        if line.is_some() {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let line = line.ok_or("the note never reached the log")?;
    let shown = line.find(&marker).map_or("", |at| &line[at..]);
    evidence.came_back(format!("in merchant.log: {shown}"));
    evidence.check(
        "the number is gone, its last four digits stay",
        !line.contains("4111 1111 1111") && line.contains("1111"),
    );
    evidence.check("the security code is gone", !line.contains("123,"));
    evidence.check("the rest of the line is whole", line.contains("was used twice"));
    Ok(())
}
