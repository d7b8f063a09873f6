//! Callers, slices of time, rates.

use crate::Failure;
use std::fmt;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long one slice is, and how many each contender gets.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) slice: Duration,
    pub(crate) rounds: usize,
}

/// Makes calls, one after the other.
pub(crate) trait Caller: Send + 'static {
    /// One call. Whatever is not the expected end fails the run.
    fn call(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Calls per second of all callers together, in each slice.
#[derive(Default)]
pub(crate) struct Rates(Vec<u64>);

impl Rates {
    pub(crate) fn note(&mut self, calls: u64, time: Duration) {
        let rate = u128::from(calls) * 1_000_000_000 / time.as_nanos().max(1);
        self.0.push(u64::try_from(rate).unwrap_or(u64::MAX));
        self.0.sort_unstable();
    }

    fn median(&self) -> u64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(0)
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.0.first().unwrap_or(&0), self.0.last().unwrap_or(&0));
        write!(f, "**{}** ({least}-{most})", self.median())
    }
}

/// Lets all callers call for a moment off the record: connections are made, statements prepared, plans settled.
pub(crate) async fn warm<C: Caller>(callers: Vec<C>, plan: Plan) -> Result<Vec<C>, Failure> {
    slice(callers, plan.slice / 2, &mut Rates::default()).await
}

/// Lets all callers call for one slice, and gives them back.
pub(crate) async fn slice<C: Caller>(
    callers: Vec<C>,
    time: Duration,
    rates: &mut Rates,
) -> Result<Vec<C>, Failure> {
    let started = Instant::now();
    let mut running: JoinSet<Result<(C, u64), Failure>> = JoinSet::new();
    for mut caller in callers {
        running.spawn(async move {
            let mut calls = 0;
            while started.elapsed() < time {
                caller.call().await?;
                calls += 1;
            }
            Ok((caller, calls))
        });
    }
    let (mut callers, mut calls) = (Vec::new(), 0);
    while let Some(done) = running.join_next().await {
        let (caller, made) = done??;
        callers.push(caller);
        calls += made;
    }
    rates.note(calls, started.elapsed());
    Ok(callers)
}

/// One row of the table: ours, and what it is compared with.
pub(crate) struct Contest {
    pub(crate) store: &'static str,
    pub(crate) callers: u32,
    pub(crate) ours: Rates,
    /// What it is compared with.
    pub(crate) ceilings: Vec<(&'static str, Rates)>,
    pub(crate) round_trips: Option<String>,
}

impl Contest {
    pub(crate) const HEADING: &str = "\
| store | callers | guarded calls/s, median (min-max) | ceilings, calls/s, and how much of each ours reaches | round trips |
|---|---|---|---|---|";
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            store,
            callers,
            ours,
            ceilings,
            round_trips,
        } = self;
        let compared: Vec<_> = ceilings
            .iter()
            .map(|(name, rates)| {
                format!(
                    "{name} {rates}: {} %",
                    ours.median() * 100 / rates.median().max(1)
                )
            })
            .collect();
        let round_trips = round_trips.as_deref().unwrap_or("–");
        let compared = compared.join("<br>");
        write!(f, "| {store} | {callers} | {ours} | {compared} | {round_trips} |")
    }
}
