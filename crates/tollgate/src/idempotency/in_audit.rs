//! How resolutions stand in an audit log: what was about to be said before, what became of it after. Feature `audit`.

use super::ledger::{Standing, Tell, Told};
use crate::audit::{self, AuditLog, Entry, Open};
use std::time::Duration;
use tollgate_core::Effect;
use tollgate_core::store::StoreError;
use tollgate_core::store::audit::{AuditStore, Receipt};
use tollgate_core::store::idempotency::{self, Completion, Resolve, Resolved};

/// How long an outcome waits for a failing log.
const PATIENCE: Duration = Duration::from_secs(2);

impl<A: AuditStore> Tell for AuditLog<A> {
    fn intent(&self, resolve: &Resolve) -> Told<Result<Box<dyn Standing>, StoreError>> {
        let entry = Entry {
            resolution: Some(audit::Resolution {
                record: resolve.key.to_hex(),
                epoch: resolve.epoch,
                as_of: resolve.as_of,
                actor: resolve.evidence.actor.as_ref().into(),
                reason: resolve.evidence.reason.as_ref().into(),
                says: says(&resolve.resolution).into(),
                written: None,
            }),
            ..Entry::intent(self.next_call(), "resolve")
        };
        let (log, effect) = (self.clone(), effect(&resolve.resolution));
        Box::pin(async move {
            let open = Open::intent(log, entry).await?;
            Ok(Box::new(Intent { open, effect }) as Box<dyn Standing>)
        })
    }
}

pub(super) const fn says(resolution: &idempotency::Resolution) -> &'static str {
    match resolution {
        idempotency::Resolution::Completed(Completion { executed: true, .. }) => "executed",
        idempotency::Resolution::Completed(_) => "declined",
        idempotency::Resolution::Released => "absent",
    }
}

const fn effect(resolution: &idempotency::Resolution) -> Effect {
    match resolution {
        idempotency::Resolution::Completed(completion) => completion.effect(),
        idempotency::Resolution::Released => Effect::NotSent,
    }
}

struct Intent<A: AuditStore> {
    open: Open<A>,
    effect: Effect,
}

impl<A: AuditStore> Standing for Intent<A> {
    fn receipt(&self) -> Receipt {
        self.open.receipt()
    }

    fn outcome(self: Box<Self>, answer: &Result<Resolved, StoreError>) -> Told<Option<Receipt>> {
        let (written, effect) = match answer {
            Ok(Resolved::Resolved) => ("resolved", Some(self.effect)),
            Ok(Resolved::Stale) => ("stale", None),
            Ok(Resolved::TooEarly { .. }) => ("too_early", None),
            Err(error) if error.may_have_happened() => ("in_doubt", None),
            Err(_) => ("failed", None),
        };
        Box::pin(self.open.outcome(PATIENCE, move |entry| {
            entry.effect = effect;
            if let Some(resolution) = &mut entry.resolution {
                resolution.written = Some(written.into());
            }
        }))
    }
}
