//! Begins and settlements that wait together go in one statement.
//!
//! It covers what goes well: a new key is claimed, a claim that stands is settled by its owner. Whatever it does not cover is answered
//! by `None`: that step goes the general way, by itself.

use super::alone::{claim, columns, phase, settle};
use super::rows::Statement;
use super::statements;
use crate::asking::query;
use crate::error::Failure;
use crate::pool::Pool;
use crate::session::{micros, signed};
use sqlx::postgres::{PgBindIterExt, PgRow};
use sqlx::{PgConnection, Row};
use std::collections::HashSet;
use std::time::Duration;
use tollgate_core::store::idempotency::{Begin, Begun, Envelope, RecordKey, Settled, Settlement, Token};
use tollgate_core::store::together::{Batch, Limits};
use tollgate_core::store::{Boxed, StoreError};

/// Few callers share one statement after the other: two at a time would be two halves, and most of what a statement costs it costs once.
/// Where the way to the server, or its disk, takes longer than the patience, more are under way.
pub(crate) const LIMITS: Limits = Limits {
    at_once: 2,
    beside: 16,
    steps: 128,
    bytes: 1 << 20,
    patience: Duration::from_millis(2),
};

/// What a step sends besides an answer, about.
const ROW: usize = 200;

/// What may go with others.
pub(crate) enum Step {
    /// Without a cap.
    Begin(Begin),
    Settle(Token, Settlement),
}

/// What came of it.
pub(crate) enum Done {
    Begun(Begun),
    Settled(Settled),
}

/// Runs them.
pub(crate) struct Steps(pub(crate) Pool);

impl Batch for Steps {
    type Step = Step;
    /// `None` where it was not covered.
    type Answer = Option<Done>;

    fn run(&self, steps: Vec<Step>) -> Boxed<Vec<Result<Option<Done>, StoreError>>> {
        self.0.step(move |connection| {
            Box::pin(async move {
                let answers = match &steps[..] {
                    [Step::Begin(begin)] => vec![Some(Done::Begun(claim(connection, *begin).await?))],
                    [Step::Settle(token, settlement)] => {
                        vec![Some(Done::Settled(settle(connection, token, settlement).await?))]
                    }
                    several => together(connection, several).await?,
                };
                Ok(answers.into_iter().map(Ok).collect())
            })
        })
    }

    /// Statements of one kind are cheaper than one of both, and callers that were told together come back together.
    fn goes_with(&self, first: &Step, step: &Step) -> bool {
        std::mem::discriminant(first) == std::mem::discriminant(step)
    }

    fn size(&self, step: &Step) -> usize {
        ROW + match step {
            Step::Begin(_) => 0,
            Step::Settle(_, settlement) => envelope(settlement).map_or(0, |envelope| {
                envelope.body.len() + envelope.head.as_ref().map_or(0, |head| head.len())
            }),
        }
    }
}

impl Step {
    const fn key(&self) -> RecordKey {
        match self {
            Self::Begin(begin) => begin.key,
            Self::Settle(token, _) => token.key,
        }
    }

    /// When the statement wrote it.
    const fn written(&self) -> Done {
        match self {
            Self::Begin(begin) => Done::Begun(Begun::Acquired(Token {
                key: begin.key,
                epoch: 1,
                owner: begin.owner,
            })),
            Self::Settle(..) => Done::Settled(Settled::Applied),
        }
    }
}

/// One statement for the first step of each key; of what it wrote, one step is told.
async fn together(connection: &mut PgConnection, steps: &[Step]) -> Result<Vec<Option<Done>>, Failure> {
    let mut sent: Vec<_> = steps.iter().collect();
    sent.sort_by_key(|step| step.key());
    sent.dedup_by_key(|step| step.key());
    let statement = match steps {
        [Step::Begin(_), ..] => bind_begins(&sent),
        _ => bind_settlements(&sent),
    };
    let mut written = written(connection, statement).await?;
    let told = |step: &Step| written.remove(&step.key()).then(|| step.written());
    Ok(steps.iter().map(told).collect())
}

/// The keys that it wrote. None, if it failed and wrote nothing: what one step brings must not fail another's.
async fn written(
    connection: &mut PgConnection,
    statement: Statement<'_>,
) -> Result<HashSet<RecordKey>, Failure> {
    match statement.fetch_all(connection).await.map_err(Failure::Write) {
        Ok(rows) => {
            let key = |row: &PgRow| row.try_get(0).map(RecordKey::new);
            rows.iter()
                .map(key)
                .collect::<Result<_, _>>()
                .map_err(Failure::Write)
        }
        Err(failure) if failure.leaves_the_connection_whole() => Ok(HashSet::new()),
        Err(failure) => Err(failure),
    }
}

fn bind_begins(steps: &[&Step]) -> Statement<'static> {
    let begins = || {
        steps.iter().filter_map(|step| match step {
            Step::Begin(begin) => Some(begin),
            Step::Settle(..) => None,
        })
    };
    query(statements::BEGIN_TOGETHER)
        .bind(begins().map(|begin| &begin.key.as_bytes()[..]).bind_iter())
        .bind(begins().map(|begin| phase(begin).as_str()).bind_iter())
        .bind(begins().map(|begin| begin.owner.0.to_be_bytes()).bind_iter())
        .bind(
            begins()
                .map(|begin| &begin.fingerprint.as_bytes()[..])
                .bind_iter(),
        )
        .bind(begins().map(|begin| micros(begin.lease)).bind_iter())
        .bind(begins().map(|begin| micros(begin.retention)).bind_iter())
        .bind(begins().map(|begin| begin.tenant.0.cast_signed()).bind_iter())
}

fn bind_settlements(steps: &[&Step]) -> Statement<'static> {
    let settlements = || {
        steps.iter().filter_map(|step| match step {
            Step::Begin(_) => None,
            Step::Settle(token, settlement) => Some((token, columns(settlement))),
        })
    };
    let envelopes = || settlements().map(|(_, (.., completion))| completion?.envelope.as_ref());
    query(statements::SETTLE_TOGETHER)
        .bind(
            settlements()
                .map(|(token, _)| &token.key.as_bytes()[..])
                .bind_iter(),
        )
        .bind(settlements().map(|(token, _)| signed(token.epoch)).bind_iter())
        .bind(
            settlements()
                .map(|(token, _)| token.owner.0.to_be_bytes())
                .bind_iter(),
        )
        .bind(settlements().map(|(_, (phase, ..))| phase).bind_iter())
        .bind(settlements().map(|(_, (_, doubt, _))| doubt).bind_iter())
        .bind(
            settlements()
                .map(|(_, (.., completion))| Some(completion?.executed))
                .bind_iter(),
        )
        .bind(envelopes().map(|envelope| Some(envelope?.ok)).bind_iter())
        .bind(
            envelopes()
                .map(|envelope| Some(i32::from(envelope?.status)))
                .bind_iter(),
        )
        .bind(envelopes().map(|envelope| envelope?.head.as_deref()).bind_iter())
        .bind(envelopes().map(|envelope| Some(&*envelope?.body)).bind_iter())
}

fn envelope(settlement: &Settlement) -> Option<&Envelope> {
    let (.., completion) = columns(settlement);
    completion?.envelope.as_ref()
}
