//! What every guarded call needs, made once and shared by all services of a layer.

use super::config::{ArmPolicy, IdempotencyConfig};
use super::ledger::Ledger;
use super::look_up::LookUp;
use super::running::Running;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;
use tollgate_core::Secrets;
use tollgate_core::protocol::Identity;
use tollgate_core::store::idempotency::{Begin, Owner};

/// How many look at a time for claims whose answers were lost. A store that does not answer leaves a begin in doubt with every call, and
/// that so many ask it for them must not be what keeps it from answering. The claims of the others, if they stand, lapse.
const LOOKING: usize = 1000;

/// What every call needs, made once.
pub(super) struct Guard<St, P> {
    pub(super) store: St,
    pub(super) protocol: P,
    pub(super) secrets: Secrets,
    pub(super) running: Running,
    /// How doubts are ended, if somebody said so.
    pub(super) look_up: OnceLock<LookUp>,
    /// How many repeats wait.
    pub(super) waiting: Arc<AtomicUsize>,
    /// Places for those who look for claims whose answers were lost.
    pub(super) looking: Semaphore,
    /// Where what was found out is told, if somebody said so.
    pub(super) ledger: OnceLock<Ledger>,
    owners: Owners,
}

/// What a call is guarded under: its layer's shared state, and the settings of its stack. Shared by all calls of a service, so that each
/// carries one pointer.
pub(super) struct Terms<St, P> {
    pub(super) guard: Arc<Guard<St, P>>,
    pub(super) config: IdempotencyConfig,
}

/// Owners are unique without asking for randomness on every call.
struct Owners {
    process: u64,
    serial: AtomicU64,
}

impl Owners {
    fn new() -> Self {
        let mut process = [0; 8];
        #[expect(
            clippy::expect_used,
            reason = "nothing that guards money can work without randomness"
        )]
        getrandom::fill(&mut process).expect("the operating system gives no randomness");
        Self {
            process: u64::from_le_bytes(process),
            serial: AtomicU64::new(0),
        }
    }

    fn next(&self) -> Owner {
        Owner(u128::from(self.process) << 64 | u128::from(self.serial.fetch_add(1, Relaxed)))
    }
}

impl<St, P> Guard<St, P> {
    pub(super) fn new(store: St, protocol: P, secrets: Secrets) -> Self {
        Self {
            store,
            protocol,
            secrets,
            running: Running::new(),
            look_up: OnceLock::new(),
            waiting: Arc::default(),
            looking: Semaphore::new(LOOKING),
            ledger: OnceLock::new(),
            owners: Owners::new(),
        }
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.ledger.get().cloned().unwrap_or_default()
    }

    pub(super) fn begin_for(&self, identity: Identity, config: &IdempotencyConfig) -> Begin {
        Begin {
            key: identity.key,
            fingerprint: identity.fingerprint,
            owner: self.owners.next(),
            lease: config.lease,
            retention: config.retention,
            arm: config.arm == ArmPolicy::AtBegin,
            tenant: identity.tenant,
            most_open: config.max_unresolved.unwrap_or(u32::MAX),
        }
    }
}
