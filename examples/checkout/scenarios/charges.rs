//! One key, at most one effect.

use super::Stage;
use crate::Error;
use crate::evidence::Evidence;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

pub async fn two_network_errors(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let order = stage.name("s1");
    let before = stage.ledger(&order).await?;
    stage.faults(json!(["hang_up_before", "hang_up_before"])).await?;
    evidence.sent("POST /charges 19.99 EUR; the acquirer closes the connection twice");
    let answer = stage.charge(&order).await?;
    evidence.came_back(answer.gist());
    let ledger = stage.ledger(&order).await?;
    let attempts = ledger.requests - before.requests;
    evidence.counted(format!("{ledger}, after {attempts} attempts"));
    evidence.check("201, three attempts", answer.status == 201 && attempts == 3);
    evidence.check(
        "one charge of 1999",
        ledger.payments == 1 && ledger.captured == 1999,
    );
    Ok(())
}

pub async fn replay(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let order = stage.name("s2");
    evidence.sent("POST /charges 19.99 EUR");
    let first = stage.charge(&order).await?;
    evidence.came_back(first.gist());
    let before = stage.ledger(&order).await?;

    evidence.sent("the same again");
    let again = stage.charge(&order).await?;
    evidence.came_back(again.gist());
    evidence.sent("the same key, 99.99 EUR");
    let other = stage.charge_as(&order, &order, "99.99 EUR").await?;
    evidence.came_back(other.gist());
    let after = stage.ledger(&order).await?;
    let calls = after.requests - before.requests;
    evidence.counted(format!("{after}; {calls} further calls"));
    evidence.check(
        "the same answer, byte for byte",
        first.body == again.body && first.status == again.status,
    );
    evidence.check(
        "422 key-reused",
        other.status == 422 && other.json()["code"] == "key-reused",
    );
    evidence.check(
        "no further call to the acquirer",
        calls == 0 && after.payments == 1,
    );

    let payment = first.json()["payment"].clone();
    evidence.sent("POST /refunds: less than nothing, another currency, another verb in the payment's id");
    let id = payment.as_str().unwrap_or_default();
    for (place, (id, amount)) in (0..).zip([
        (id.to_owned(), "-5.00 EUR"),
        (id.to_owned(), "500 JPY"),
        (format!("{id}/refund?x="), "5.00 EUR"),
    ]) {
        let key = stage.name(&format!("s2-odd-{place}"));
        let body = json!({ "payment": id, "amount": amount });
        let refused = stage
            .merchant
            .post("/refunds", &[("idempotency-key", key.as_str())], &body)
            .await?;
        evidence.came_back(refused.gist());
        let moved = stage.ledger(&order).await?.refunded;
        evidence.check(
            "refused, and nothing moved",
            refused.status.is_client_error() && moved == 0,
        );
    }

    let key = stage.name("s2-refund");
    evidence.sent("POST /refunds, twice (guarded by the inbound layer)");
    let (body, headers) = (json!({ "payment": payment }), [("idempotency-key", key.as_str())]);
    let refund = || stage.merchant.post("/refunds", &headers, &body);
    let (refunded, repeated) = (refund().await?, refund().await?);
    let replayed = repeated.header("idempotent-replayed");
    evidence.came_back(format!(
        "{}, then {} with Idempotent-Replayed: {replayed:?}",
        refunded.gist(),
        repeated.gist()
    ));
    let ledger = stage.ledger(&order).await?;
    evidence.counted(ledger.to_string());
    evidence.check(
        "refunded once, the repeat marked as a replay",
        refunded.status == 201
            && refunded.body == repeated.body
            && replayed == Some("true")
            && ledger.refunded == 1999,
    );
    Ok(())
}

pub async fn answer_lost(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let order = stage.name("s8");
    stage
        .faults(json!(["hang_up_after", "hang_up_after", "hang_up_after"]))
        .await?;
    evidence.sent("POST /charges 19.99 EUR; the acquirer books, and every answer is lost");
    let lost = stage.charge(&order).await?;
    evidence.came_back(format!("{}, effect {}", lost.gist(), lost.json()["effect"]));
    let open = stage.merchant.get("/operations/open").await?.json();
    evidence.counted(format!("the merchant's open records: {}", open["open"]));
    evidence.check(
        "504: it may have happened",
        lost.status == 504 && lost.json()["effect"] == "unknown",
    );
    evidence.check("the record says Unknown", open["open"] == json!(["Unknown"]));

    evidence.sent("the same again, before anybody has looked");
    let early = stage.charge(&order).await?;
    evidence.came_back(early.gist());
    evidence.check(
        "409 outcome-unknown, not a second charge",
        early.json()["code"] == "outcome-unknown",
    );

    evidence.sent("POST /operations/resolve: look it up at the acquirer, by the key that was sent");
    let pass = stage
        .merchant
        .post("/operations/resolve", &[], &json!({}))
        .await?
        .json();
    evidence.came_back(pass.to_string());
    let again = stage.charge(&order).await?;
    evidence.came_back(format!("the same again: {}", again.gist()));
    let ledger = stage.ledger(&order).await?;
    evidence.counted(ledger.to_string());
    evidence.check(
        "resolved, and the repeat gets the payment",
        pass["settled"] == 1 && again.status == 201,
    );
    evidence.check("one charge", ledger.payments == 1 && ledger.captured == 1999);
    Ok(())
}

pub async fn client_hangs_up(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let order = stage.name("s9");
    stage.faults(json!([{ "slow": 1500 }])).await?;
    let before = stage.ledger(&order).await?;
    evidence.sent(
        "POST /charges 19.99 EUR to a slow acquirer; the client closes its connection while the acquirer is at it",
    );
    let arrived = async {
        loop {
            let now = stage.ledger(&order).await?;
            if now.requests > before.requests {
                return Ok::<_, Error>(now);
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    // the client's request is dropped as soon as the acquirer has got it
    let hasty = tokio::select! {
        answer = stage.charge(&order) => Err(answer?),
        during = arrived => Ok(during?),
    };
    let Ok(during) = hasty else {
        return Err("the client was answered before it hung up".into());
    };
    evidence.came_back("nothing: the client is gone");
    evidence.sent("the same again");
    let again = stage.charge(&order).await?;
    evidence.came_back(again.gist());
    let ledger = stage.ledger(&order).await?;
    let calls = ledger.requests - during.requests;
    evidence.counted(format!(
        "while the client was gone: {}; now: {ledger}; {calls} further calls",
        during.payments
    ));
    evidence.check(
        "the charge went on alone",
        during.payments == 0 && ledger.payments == 1,
    );
    evidence.check(
        "the repeat got its answer, without a second call",
        again.status == 201 && calls == 0,
    );
    Ok(())
}

pub async fn fifty_at_once(stage: &mut Stage<'_>, evidence: &mut Evidence) -> Result<(), Error> {
    let order = stage.name("s10");
    stage.faults(json!([{ "slow": 200 }])).await?;
    let before = stage.ledger(&order).await?;
    evidence.sent("fifty times POST /charges 19.99 EUR under one key, at once");
    let body = json!({ "reference": order, "amount": "19.99 EUR", "token": "tok_visa" });
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let (merchant, body, key) = (stage.merchant.clone(), body.clone(), order.clone());
            tokio::spawn(async move {
                merchant
                    .post("/charges", &[("idempotency-key", &key)], &body)
                    .await
            })
        })
        .collect();
    let (mut same, mut others) = (Vec::new(), Vec::new());
    for answer in asked {
        let answer = answer.await??;
        if answer.status == 201 {
            same.push(answer.body)
        } else {
            others.push(answer.gist())
        }
    }
    let all_same = same.windows(2).all(|pair| pair[0] == pair[1]);
    evidence.came_back(format!(
        "{} times 201, {} others {others:?}",
        same.len(),
        others.len()
    ));
    let ledger = stage.ledger(&order).await?;
    evidence.counted(format!(
        "{ledger}, after {} call(s)",
        ledger.requests - before.requests
    ));
    evidence.check("fifty equal answers", same.len() == 50 && all_same);
    evidence.check(
        "one charge, one call",
        ledger.payments == 1 && ledger.requests - before.requests == 1,
    );
    Ok(())
}
