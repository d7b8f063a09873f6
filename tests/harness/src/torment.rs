//! The weather: kills and freezes merchants and crashes the store's server, over and over, until it is over.

use crate::Error;
use crate::args::Args;
use crate::server::Server;
use crate::town::{LEASE, Merchant};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How often what was done.
pub type Counts = BTreeMap<String, u64>;

/// Everything that is being tormented.
#[derive(Debug)]
pub struct Weather {
    over: watch::Sender<bool>,
    merchants: JoinSet<Result<(Merchant, Counts), Error>>,
    server: Option<JoinHandle<Result<(Server, u64), Error>>>,
}

impl Weather {
    pub fn begin(args: &Args, merchants: Vec<Merchant>, server: Option<Server>) -> Self {
        let (over, watching) = watch::channel(false);
        let mut tormented = JoinSet::new();
        for merchant in merchants {
            tormented.spawn(torment(
                merchant,
                args.store.outlives_processes(),
                watching.clone(),
            ));
        }
        Self {
            over,
            merchants: tormented,
            server: server.map(|server| tokio::spawn(server.torment(args.seed, watching))),
        }
    }

    /// Why it cannot go on; while all is well, it does not answer.
    pub async fn broken(&mut self) -> Error {
        let server = async {
            match &mut self.server {
                Some(server) => server.await.map(|ended| ended.err()),
                None => std::future::pending().await,
            }
        };
        let ended = tokio::select! {
            merchant = self.merchants.join_next() => merchant.transpose().map(|ended| ended?.err()),
            server = server => server,
        };
        match ended {
            Ok(Some(error)) => error,
            Ok(None) => "somebody left the storm before it was over".into(),
            Err(panicked) => panicked.into(),
        }
    }

    /// Lets go of everything, alive, and says what was done to it.
    pub async fn end(mut self) -> Result<(Vec<Merchant>, Option<Server>, Counts), Error> {
        self.over.send_replace(true);
        let (mut merchants, mut done) = (Vec::new(), Counts::new());
        while let Some(ended) = self.merchants.join_next().await {
            let (merchant, counts) = ended??;
            merchants.push(merchant);
            for (what, count) in counts {
                *done.entry(what).or_default() += count;
            }
        }
        let Some(server) = self.server else {
            return Ok((merchants, None, done));
        };
        let (server, crashes) = server.await??;
        done.insert("store: its server crashed".to_owned(), crashes);
        Ok((merchants, Some(server), done))
    }
}

/// Until `over`. The merchant may be killed only if its store outlives it.
async fn torment(
    mut merchant: Merchant,
    kills: bool,
    mut over: watch::Receiver<bool>,
) -> Result<(Merchant, Counts), Error> {
    let mut counts = Counts::new();
    let mut note = |what: &str| *counts.entry(what.to_owned()).or_default() += 1;
    loop {
        let wait = Duration::from_millis(merchant.dice().within(400, 2400));
        tokio::select! {
            biased;
            _ = over.changed() => return Ok((merchant, counts)),
            // at a fail point
            status = merchant.process.ended() => {
                let status = status?;
                if !kills || status.code().is_some() {
                    return Err(format!("a merchant ended by itself: {status}").into());
                }
                merchant.start_again(!kills).await?;
            }
            () = tokio::time::sleep(wait) => {
                if kills && merchant.dice().percent(65) {
                    note("merchant: killed at random");
                    merchant.process.kill().await?;
                    merchant.start_again(!kills).await?;
                } else {
                    note("merchant: frozen at random, past its lease");
                    freeze(&mut merchant).await?;
                }
            }
        }
    }
}

async fn freeze(merchant: &mut Merchant) -> Result<(), Error> {
    let longer = Duration::from_millis(merchant.dice().within(100, 900));
    merchant.process.freeze().await?;
    tokio::time::sleep(LEASE + longer).await;
    merchant.process.thaw().await
}
