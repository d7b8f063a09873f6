//! Everything that runs, and how it calms down.

use crate::Error;
use crate::args::Args;
use crate::client::{self, ClientsTold};
use crate::dice::Dice;
use crate::evidence::Files;
use crate::gateway::GatewayTold;
use crate::merchant::MerchantTold;
use crate::merchant::points::{KILL_AT, Point};
use crate::net;
use crate::policies::Policy;
use crate::processes::Process;
use crate::proxy::ProxyTold;
use crate::stores::StoreAt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tollgate::idempotency::{ArmPolicy, WhileInFlight};

/// How long a merchant may be silent in a storm.
pub const LEASE: Duration = Duration::from_secs(1);

/// How long anything that is asked in the calm may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What stays up during the whole run.
#[derive(Debug)]
pub struct Town {
    pub files: Files,
    args: Args,
    store: StoreAt,
    gateway: Process,
    /// Between merchants and gateway.
    back: Process,
}

/// A merchant, and the dice that decide its fate.
#[derive(Debug)]
pub struct Merchant {
    name: String,
    told: MerchantTold,
    dice: Dice,
    pub process: Process,
}

impl Town {
    pub async fn start(args: &Args, files: Files, store: StoreAt) -> Result<Self, Error> {
        let told = GatewayTold {
            files: files.clone(),
            seed: args.seed,
            dedup: args.dedup,
        };
        let gateway = Process::start("gateway", &told, &files.log("gateway"), &[]).await?;
        let back = proxy("merchant to gateway", args.seed, &files, vec![port(&gateway, 0)?]).await?;
        Ok(Self {
            files,
            args: args.clone(),
            store,
            gateway,
            back,
        })
    }

    pub async fn merchants(&self) -> Result<Vec<Merchant>, Error> {
        let mut merchants = Vec::new();
        for number in 0..self.args.merchants {
            let name = format!("merchant-{number}");
            let mut dice = Dice::about(self.args.seed, &name);
            let told = self.told_merchant(&mut dice)?;
            let process = Process::start("merchant", &told, &self.files.log(&name), &[]).await?;
            let told = MerchantTold {
                port: port(&process, 0)?,
                ..told
            };
            merchants.push(Merchant {
                name,
                told,
                dice,
                process,
            });
        }
        Ok(merchants)
    }

    fn told_merchant(&self, dice: &mut Dice) -> Result<MerchantTold, Error> {
        Ok(MerchantTold {
            files: self.files.clone(),
            store: self.store.clone(),
            policy: self.args.policy,
            port: 0,
            gateway: port(&self.back, 0)?,
            dedup: self.args.dedup,
            lease: LEASE,
            arm: *dice.pick(&[ArmPolicy::AtBegin, ArmPolicy::BeforeCall]),
            while_in_flight: *dice.pick(&[
                WhileInFlight::Refuse,
                WhileInFlight::Wait(Duration::from_millis(300)),
            ]),
        })
    }

    /// The network between clients and merchants.
    pub async fn front(&self, merchants: &[Merchant]) -> Result<Process, Error> {
        let to = merchants.iter().map(|merchant| merchant.told.port).collect();
        proxy("client to merchant", self.args.seed, &self.files, to).await
    }

    /// `again`: only the keys whose outcome their clients do not know yet.
    pub async fn clients(&self, front: &Process, again: bool) -> Result<Process, Error> {
        let doors = front.ports.len() - 1;
        let told = ClientsTold {
            files: self.files.clone(),
            seed: self.args.seed,
            keys: self.args.keys,
            to: front.ports[..doors].to_vec(),
            at_once: self.args.at_once,
            most: self.args.most,
            again,
            // in the calm everything that is known must be told, however slow the machine is; the wrong policies leave keys of which
            // nobody is ever told
            patience: match self.args.policy {
                Policy::Tollgate if again => PATIENCE,
                _ => client::PATIENCE,
            },
        };
        Process::start("clients", &told, &self.files.log("clients"), &[]).await
    }

    /// No faults any more, and nothing on its way: from here on the ledger changes only when a client asks again.
    pub async fn calm(&self, front: &Process) -> Result<(), Error> {
        for control in [last(front)?, last(&self.back)?, port(&self.gateway, 0)?] {
            net::post(control, "/control/calm", &json!({}), PATIENCE).await?;
        }
        // whoever held a lease has lost it
        tokio::time::sleep(LEASE + Duration::from_millis(300)).await;
        Ok(())
    }

    /// After the calm, when clients have asked again: until nothing is on its way once more. Whatever happened stands in the ledger from
    /// here on, and in the store.
    pub async fn quiet(&self, merchants: &[Merchant]) -> Result<(), Error> {
        for merchant in merchants {
            let () = merchant.ask("/control/drain", &json!({})).await?;
        }
        net::post(port(&self.gateway, 0)?, "/control/calm", &json!({}), PATIENCE).await?;
        Ok(())
    }

    /// How often what was injected.
    pub async fn faults(&self, front: &Process) -> Result<BTreeMap<String, u64>, Error> {
        let mut all = BTreeMap::new();
        for control in [port(&self.gateway, 0)?, last(&self.back)?, last(front)?] {
            let answer = net::get(control, "/control/faults", PATIENCE).await?;
            let counts: BTreeMap<String, u64> = serde_json::from_slice(&answer.body)?;
            all.extend(counts);
        }
        Ok(all)
    }
}

impl Merchant {
    /// Starts it again, on the same port and store, with a fail point four times out of five.
    pub async fn start_again(&mut self, only_freeze: bool) -> Result<(), Error> {
        let dice = &mut self.dice;
        self.told.arm = *dice.pick(&[ArmPolicy::AtBegin, ArmPolicy::BeforeCall]);
        let mut environment = Vec::new();
        if dice.percent(80) {
            let what = if only_freeze || dice.percent(25) {
                "freeze"
            } else {
                "kill"
            };
            let point = dice.pick(&Point::ALL).as_str();
            environment.push((KILL_AT, format!("{point}:{}:{what}", dice.within(1, 16))));
        }
        self.launch(&environment).await
    }

    /// Starts it again, for good.
    pub async fn start_calm(&mut self) -> Result<(), Error> {
        self.launch(&[]).await
    }

    async fn launch(&mut self, environment: &[(&str, String)]) -> Result<(), Error> {
        let log = self.told.files.log(&self.name);
        self.process = Process::start("merchant", &self.told, &log, environment).await?;
        Ok(())
    }

    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// Asks its control interface.
    pub async fn ask<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Error> {
        let answer = net::post(self.told.port, path, body, PATIENCE).await?;
        if !answer.status.is_success() {
            let text = String::from_utf8_lossy(&answer.body);
            return Err(format!("{}{path}: {} {text}", self.name, answer.status).into());
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

async fn proxy(name: &str, seed: u64, files: &Files, to: Vec<u16>) -> Result<Process, Error> {
    let told = ProxyTold {
        name: name.to_owned(),
        seed,
        to,
    };
    Process::start("proxy", &told, &files.log("proxy"), &[]).await
}

fn port(process: &Process, number: usize) -> Result<u16, Error> {
    process
        .ports
        .get(number)
        .copied()
        .ok_or_else(|| "a process has no port".into())
}

/// A proxy's last port is its own.
fn last(process: &Process) -> Result<u16, Error> {
    process
        .ports
        .last()
        .copied()
        .ok_or_else(|| "a process has no port".into())
}
