//! What must hold, whatever happens to one key, in whatever order, at whatever times.
//!
//! The check keeps books of its own (who was told what, what was proved) and never asks the rule whether it was right.

use super::steps::Step;
use super::*;
use std::collections::BTreeMap;

/// The rule, in the places where a mutant may differ.
pub(super) trait Rules: fmt::Debug + Sync {
    fn begin(&self, record: Option<&Record>, begin: &Begin, now: Timestamp) -> (Change, Begun) {
        rule::begin(record, begin, now)
    }
    fn begin_within(
        &self,
        record: Option<&Record>,
        begin: &Begin,
        open: u32,
        now: Timestamp,
    ) -> (Change, Begun) {
        rule::begin_within(record, begin, || open, now)
    }
    fn arm(&self, record: Option<&Record>, token: &Token, lease: Duration, now: Timestamp) -> (Change, Held) {
        rule::arm(record, token, lease, now)
    }
    fn renew(
        &self,
        record: Option<&Record>,
        token: &Token,
        lease: Duration,
        now: Timestamp,
    ) -> (Change, Held) {
        rule::renew(record, token, lease, now)
    }
    fn settle(
        &self,
        record: Option<&Record>,
        token: &Token,
        how: &Settlement,
        now: Timestamp,
    ) -> (Change, Settled) {
        rule::settle(record, token, how, now)
    }
    fn resolve(&self, record: Option<&Record>, resolve: &Resolve, now: Timestamp) -> (Change, Resolved) {
        rule::resolve(record, resolve, now)
    }
    fn sweep(&self, record: &Record, now: Timestamp) -> Change {
        rule::sweep(record, now)
    }
    fn collect(&self, record: &Record, tombstone: Duration, now: Timestamp) -> Change {
        rule::collect(record, tombstone, now)
    }
}

/// The books.
struct Books {
    record: Option<Record>,
    now: Timestamp,
    /// Every token that was handed out, and forged ones.
    tokens: Vec<Token>,
    /// Who may have acted and has not been proved not to have.
    may_have_acted: Option<Token>,
    /// Who armed which epoch, since the record was made.
    armed: BTreeMap<u64, Owner>,
}

/// Walks the history and fails with the name of the invariant that does not hold.
pub(super) fn check(rules: &dyn Rules, steps: &[Step]) -> Result<(), TestCaseError> {
    let nobody = Token {
        key: RecordKey::new([1; 32]),
        epoch: 1,
        owner: Owner(0),
    };
    let mut books = Books {
        record: None,
        now: Timestamp::from_unix_seconds(1_000),
        tokens: vec![nobody],
        may_have_acted: None,
        armed: BTreeMap::new(),
    };
    for step in steps {
        books.walk(rules, step)?;
    }
    Ok(())
}

impl Books {
    fn walk(&mut self, rules: &dyn Rules, step: &Step) -> Result<(), TestCaseError> {
        let (now, before) = (self.now, self.record.clone());
        let found = before.as_ref();
        let seconds = Duration::from_secs;
        match step {
            Step::Begin {
                fingerprint,
                owner,
                lease,
                arm,
            } => {
                let begin = Begin {
                    key: self.tokens[0].key,
                    fingerprint: Fingerprint::new([*fingerprint; 32]),
                    owner: Owner((*owner).into()),
                    lease: seconds(*lease),
                    retention: seconds(50),
                    arm: *arm,
                    tenant: Tenant::NONE,
                    most_open: u32::MAX,
                };
                let (change, begun) = rules.begin(found, &begin, now);
                self.begun(&begin, &change, &begun)?;
                self.crowded(rules, &begin)?;
                self.apply(change)?;
                if let Begun::Acquired(token) = begun {
                    self.acquired(&begin, token)?;
                }
            }
            Step::Arm(token, lease) => {
                let token = *token.get(&self.tokens);
                let (change, held) = rules.arm(found, &token, seconds(*lease), now);
                self.fenced(&token, &change)?;
                self.apply(change)?;
                if held == Held::Held {
                    self.may_act(token)?;
                }
            }
            Step::Renew(token, lease) => {
                let token = *token.get(&self.tokens);
                let (change, _) = rules.renew(found, &token, seconds(*lease), now);
                self.fenced(&token, &change)?;
                self.apply(change)?;
            }
            Step::Settle(token, how) => {
                let token = *token.get(&self.tokens);
                let (change, settled) = rules.settle(found, &token, how, now);
                self.fenced(&token, &change)?;
                self.apply(change)?;
                let doubted =
                    found.is_some_and(|r| r.phase == Phase::Unknown && r.doubt != Some(Doubt::OwnerLost));
                if (how, settled) == (&Settlement::Released, Settled::Applied) {
                    prop_assert!(!doubted, "the last word does not beat the doubt");
                    self.may_have_acted = None;
                }
            }
            Step::Resolve(token, resolution, ago) => {
                let evidence = Evidence {
                    actor: "ops".into(),
                    reason: "looked".into(),
                };
                let resolve = Resolve {
                    key: self.tokens[0].key,
                    epoch: token.get(&self.tokens).epoch,
                    as_of: now.saturating_sub(seconds(*ago)),
                    resolution: resolution.clone(),
                    evidence,
                };
                let (change, resolved) = rules.resolve(found, &resolve, now);
                self.resolved(&resolve, &change, resolved)?;
                self.apply(change)?;
            }
            Step::Forge(token, owner) => {
                let token = *token.get(&self.tokens);
                self.tokens.push(match owner {
                    true => Token {
                        owner: Owner(99),
                        ..token
                    },
                    false => Token {
                        epoch: token.epoch + 1,
                        ..token
                    },
                });
            }
            Step::Sweep => {
                if let Some(record) = found {
                    self.apply(rules.sweep(record, now))?;
                }
            }
            Step::Collect(tombstone) => {
                if let Some(record) = found {
                    let change = rules.collect(record, seconds(*tombstone), now);
                    self.apply(change.clone())?;
                    if change == Change::Remove {
                        // the key is new: whoever completed it had its retention and its tombstone
                        self.may_have_acted = None;
                        self.armed.clear();
                    }
                }
            }
            Step::Wait(time) => self.now = now.saturating_add(seconds(*time)),
        }
        Ok(())
    }

    /// The answer to a begin, before it is written.
    fn begun(&self, begin: &Begin, change: &Change, begun: &Begun) -> Result<(), TestCaseError> {
        let Some(found) = &self.record else {
            prop_assert!(matches!(begun, Begun::Acquired(_)), "an absent key is free");
            return Ok(());
        };
        let same_request = found.fingerprint == begin.fingerprint;
        prop_assert_eq!(
            *begun == Begun::Mismatch,
            !same_request,
            "the fingerprint is compared first"
        );
        if let Begun::Replay(completion) = begun {
            prop_assert_eq!(
                found.completion.as_ref(),
                Some(completion),
                "a replay is what was settled"
            );
        }
        let declared_lost = matches!(change, Change::Put(next) if found.phase == Phase::Armed && next.phase == Phase::Unknown);
        if !matches!(begun, Begun::Acquired(_)) && !declared_lost {
            prop_assert_eq!(change, &Change::Keep, "whoever waits changes nothing");
        }
        Ok(())
    }

    /// The same begin where the tenant has one unknown outcome too few for its cap, just as many, and more: asked, not acted upon.
    fn crowded(&self, rules: &dyn Rules, begin: &Begin) -> Result<(), TestCaseError> {
        let (found, now) = (self.record.as_ref(), self.now);
        let free = found.is_none_or(|r| {
            let lapsed = r.phase == Phase::Prepared && r.lease_until < now;
            r.fingerprint == begin.fingerprint && (r.phase == Phase::Released || lapsed)
        });
        for (most_open, open) in [(2, 1), (2, 2), (2, 3), (0, 0), (u32::MAX, u32::MAX)] {
            let asked = Begin { most_open, ..*begin };
            let (change, begun) = rules.begin_within(found, &asked, open, now);
            let full = open >= most_open && most_open != u32::MAX;
            prop_assert_eq!(
                begun == Begun::TooManyOpen,
                free && full,
                "a crowd stops acquisitions, all of them and nothing else"
            );
            prop_assert!(
                begun != Begun::TooManyOpen || change == Change::Keep,
                "whoever is refused leaves nothing behind"
            );
        }
        Ok(())
    }

    /// The claim that was just handed out.
    fn acquired(&mut self, begin: &Begin, token: Token) -> Result<(), TestCaseError> {
        let held = self
            .record
            .as_ref()
            .is_some_and(|r| (r.epoch, r.owner) == (token.epoch, token.owner));
        prop_assert!(
            held && token.owner == begin.owner,
            "whoever acquires holds the record"
        );
        self.tokens.push(token);
        if begin.arm {
            self.may_act(token)?;
        }
        Ok(())
    }

    /// From here on, this token's holder may move money.
    fn may_act(&mut self, token: Token) -> Result<(), TestCaseError> {
        if let Some(earlier) = self.may_have_acted {
            prop_assert_eq!(
                earlier,
                token,
                "between two arms lies a proof that nothing happened"
            );
        }
        let armed = self.record.as_ref().is_some_and(|r| {
            r.phase == Phase::Armed
                && (r.epoch, r.owner) == (token.epoch, token.owner)
                && r.lease_until >= self.now
        });
        prop_assert!(armed, "whoever may act holds an armed record and a live lease");
        let first = *self.armed.entry(token.epoch).or_insert(token.owner);
        prop_assert_eq!(first, token.owner, "never two tokens arm one epoch");
        self.may_have_acted = Some(token);
        Ok(())
    }

    /// Epoch and owner both count.
    fn fenced(&self, token: &Token, change: &Change) -> Result<(), TestCaseError> {
        let holds = self
            .record
            .as_ref()
            .is_some_and(|r| (r.epoch, r.owner) == (token.epoch, token.owner));
        prop_assert!(holds || *change == Change::Keep, "a stale token changes nothing");
        Ok(())
    }

    fn resolved(
        &mut self,
        resolve: &Resolve,
        change: &Change,
        resolved: Resolved,
    ) -> Result<(), TestCaseError> {
        let Some(found) = &self.record else {
            prop_assert_eq!(resolved, Resolved::Stale, "evidence needs a doubt");
            return Ok(());
        };
        prop_assert_eq!(
            resolved == Resolved::Resolved,
            *change != Change::Keep,
            "what is resolved is written"
        );
        if resolved != Resolved::Resolved {
            return Ok(());
        }
        let lapsed = found.lease_until < self.now;
        let doubtful = found.phase == Phase::Unknown || (found.phase == Phase::Armed && lapsed);
        prop_assert!(doubtful && found.epoch == resolve.epoch, "evidence needs a doubt");
        if resolve.resolution == Resolution::Released {
            prop_assert!(lapsed, "absence needs a lapsed lease");
            let lapsed_when_looked = found.lease_until < resolve.as_of;
            prop_assert!(lapsed_when_looked, "absence needs a look after the lease");
            self.may_have_acted = None;
        }
        Ok(())
    }

    /// Writes a change, after a look at what it does to the record.
    fn apply(&mut self, change: Change) -> Result<(), TestCaseError> {
        let next = match change {
            Change::Keep => return Ok(()),
            Change::Put(record) => Some(record),
            Change::Remove => None,
        };
        if let Some(found) = &self.record {
            self.unchanged_where_it_must_be(found, next.as_ref())?;
        }
        if let Some(next) = &next {
            let open = matches!(next.phase, Phase::Prepared | Phase::Armed | Phase::Unknown);
            prop_assert_eq!(
                next.completion.is_some(),
                next.phase == Phase::Completed,
                "an answer belongs to Completed"
            );
            prop_assert_eq!(
                next.doubt.is_some(),
                next.phase == Phase::Unknown,
                "a doubt belongs to Unknown"
            );
            prop_assert_eq!(next.expires_at.is_none(), open, "what is open has no expiry");
        }
        self.record = next;
        Ok(())
    }

    fn unchanged_where_it_must_be(&self, found: &Record, next: Option<&Record>) -> Result<(), TestCaseError> {
        let open = matches!(found.phase, Phase::Armed | Phase::Unknown);
        prop_assert!(next.is_some() || !open, "an open outcome is never removed");
        prop_assert!(
            next.is_some() || found.phase != Phase::Completed,
            "an answer leaves a tombstone"
        );
        let Some(next) = next else { return Ok(()) };
        if found.phase == Phase::Completed {
            prop_assert_eq!(next.phase, Phase::Expired, "Completed never changes");
            prop_assert!(
                found.expires_at.is_some_and(|at| at <= self.now),
                "an answer is kept for its retention"
            );
        }
        prop_assert_eq!(next.fingerprint, found.fingerprint, "a key keeps its request");
        prop_assert!(next.epoch >= found.epoch, "epochs only rise");
        if next.epoch > found.epoch {
            prop_assert!(
                matches!(found.phase, Phase::Prepared | Phase::Released) && next.epoch == found.epoch + 1,
                "only a free key is acquired"
            );
            let lapsed = found.lease_until < self.now;
            prop_assert!(
                found.phase == Phase::Released || lapsed,
                "a live claim is not taken over"
            );
        } else {
            prop_assert_eq!(
                next.owner,
                found.owner,
                "an owner is replaced only at the next epoch"
            );
        }
        Ok(())
    }
}
