//! The twelve.

mod charges;
mod guards;
mod operations;
mod orders;

use crate::Error;
use crate::args::Args;
use crate::evidence::{Evidence, summary};
use crate::net::{Answer, Client};
use crate::processes::Town;
use serde_json::{Value, json};
use std::pin::Pin;
use tokio::time::Instant;

/// What a scenario works with.
pub struct Stage<'t> {
    pub town: &'t mut Town,
    pub merchant: Client,
    pub acquirer: Client,
    pub inventory: Client,
    pub shipping: Client,
    /// Makes references and keys of this run differ from those of an earlier run over the same folder.
    run: u64,
}

type Playing<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;
type Scenario = for<'a> fn(&'a mut Stage<'_>, &'a mut Evidence) -> Playing<'a>;

const SCENARIOS: [(&str, Scenario); 12] = [
    (
        "two network errors, then success: one charge",
        |stage, evidence| Box::pin(charges::two_network_errors(stage, evidence)),
    ),
    (
        "a repeat gets the same answer; another amount is refused",
        |stage, evidence| Box::pin(charges::replay(stage, evidence)),
    ),
    (
        "shipping fails after the capture: refunded, not voided; stock released",
        |stage, evidence| Box::pin(orders::shipping_fails(stage, evidence)),
    ),
    (
        "a buyer on the blocklist: the acquirer is not called",
        |stage, evidence| Box::pin(guards::blocklisted(stage, evidence)),
    ),
    ("webhooks: once, and only genuine ones", |stage, evidence| {
        Box::pin(guards::webhooks(stage, evidence))
    }),
    (
        "reconciliation finds the three planted discrepancies",
        |stage, evidence| Box::pin(operations::reconciliation(stage, evidence)),
    ),
    (
        "a card number and security code in a log line come out masked",
        |stage, evidence| Box::pin(operations::masked_log(stage, evidence)),
    ),
    (
        "the acquirer books and the answer is lost: unknown, then resolved by lookup",
        |stage, evidence| Box::pin(charges::answer_lost(stage, evidence)),
    ),
    (
        "the client hangs up in mid-charge: the charge completes",
        |stage, evidence| Box::pin(charges::client_hangs_up(stage, evidence)),
    ),
    (
        "fifty copies of one request at once: one charge",
        |stage, evidence| Box::pin(charges::fifty_at_once(stage, evidence)),
    ),
    (
        "the merchant is killed between capture and ship: the saga finishes",
        |stage, evidence| Box::pin(orders::killed(stage, evidence)),
    ),
    (
        "the acquirer is down: 503 at once, and back when it is back",
        |stage, evidence| Box::pin(guards::acquirer_down(stage, evidence)),
    ),
];

/// Runs what was asked for. Whether all of it was right.
pub async fn run(args: &Args, town: &mut Town) -> Result<bool, Error> {
    let began = Instant::now();
    let mut stage = Stage::new(town);
    println!(
        "merchant {}, acquirer {}",
        stage.town.merchant.url(),
        stage.town.acquirer.url()
    );
    if args.serve {
        return serve(&stage).await;
    }
    let mut all = Vec::new();
    for (number, (title, play)) in (1..).zip(SCENARIOS) {
        if !args.scenarios.is_empty() && !args.scenarios.contains(&number) {
            continue;
        }
        let mut evidence = Evidence::new(number, title);
        if let Err(error) = play(&mut stage, &mut evidence).await {
            evidence.failed(&error);
        }
        all.push(evidence);
    }
    Ok(summary(&all, began.elapsed(), args.json))
}

impl<'t> Stage<'t> {
    fn new(town: &'t mut Town) -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            merchant: town.merchant.client(),
            acquirer: town.acquirer.client(),
            inventory: town.inventory.client(),
            shipping: town.shipping.client(),
            run: u64::try_from(now.as_millis()).unwrap_or(0),
            town,
        }
    }

    /// A name of this run.
    pub fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    /// Tells the acquirer what to do to the next requests that move money.
    pub async fn faults(&self, next: Value) -> Result<(), Error> {
        self.acquirer.post("/control/faults", &[], &next).await?;
        Ok(())
    }

    /// Charges 19.99 EUR for `reference` under the key of the same name.
    pub async fn charge(&self, reference: &str) -> Result<Answer, Error> {
        self.charge_as(reference, reference, "19.99 EUR").await
    }

    pub async fn charge_as(&self, key: &str, reference: &str, amount: &str) -> Result<Answer, Error> {
        let body = json!({ "reference": reference, "amount": amount, "token": "tok_visa" });
        Ok(self
            .merchant
            .post("/charges", &[("idempotency-key", key)], &body)
            .await?)
    }

    /// What the acquirer's own ledger counts under a reference.
    pub async fn ledger(&self, reference: &str) -> Result<Counted, Error> {
        let told = self
            .acquirer
            .get(&format!("/control/ledger?reference={reference}"))
            .await?
            .json();
        let payments = told["payments"].as_array().cloned().unwrap_or_default();
        let sum = |field: &str| {
            payments
                .iter()
                .filter_map(|payment| payment[field].as_i64())
                .sum()
        };
        Ok(Counted {
            requests: told["requests"].as_u64().unwrap_or(0),
            payments: payments.len(),
            captured: sum("captured_minor"),
            refunded: sum("refunded_minor"),
            status: payments
                .first()
                .and_then(|payment| payment["status"].as_str())
                .unwrap_or("none")
                .to_owned(),
        })
    }
}

/// The acquirer's own count.
#[derive(Debug)]
pub struct Counted {
    /// Requests that move money, since the acquirer was started, for any reference.
    pub requests: u64,
    pub payments: usize,
    pub captured: i64,
    pub refunded: i64,
    pub status: String,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} payment(s), status {}, {} minor units captured, {} refunded",
            self.payments, self.status, self.captured, self.refunded
        )
    }
}

/// Leaves everything running.
async fn serve(stage: &Stage<'_>) -> Result<bool, Error> {
    let (merchant, acquirer) = (stage.town.merchant.url(), stage.town.acquirer.url());
    println!(
        r#"
Try, in another terminal (again, and with another amount):
  curl -i {merchant}/charges -H 'Idempotency-Key: k-1' -H 'Content-Type: application/json' \
       -d '{{"reference":"order-1","amount":"19.99 EUR","token":"tok_visa"}}'
  curl -i {merchant}/refunds -H 'Idempotency-Key: k-2' -H 'Content-Type: application/json' -d '{{"payment":"pay_1"}}'
  curl -i {merchant}/orders -H 'Content-Type: application/json' \
       -d '{{"reference":"order-2","amount":"49.00 EUR","token":"tok_visa","quantity":2}}'
  curl -s {acquirer}/control/ledger
What the acquirer does to the next requests (hang_up_before, hang_up_after, time_out_after, error500, decline, {{"slow":900}}, …):
  curl {acquirer}/control/faults -H 'Content-Type: application/json' -d '["hang_up_before","hang_up_after"]'
Operations:
  curl -s {merchant}/operations/open;  curl -s -X POST {merchant}/operations/resolve;  curl -s -X POST {merchant}/operations/reconcile
Files: {}

Ctrl-C ends it."#,
        stage.town.folder.display()
    );
    std::future::pending::<()>().await;
    Ok(true)
}
