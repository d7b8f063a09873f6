//! What travels with a request: the only channel between layers, so that each still works alone.

use crate::deadline::Deadline;
use crate::id::{CallerId, DownstreamKey};
use crate::secret::Secrets;
use crate::store::idempotency::Token;
use crate::verdict::Effect;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// The context of one call. In an HTTP request it lives in the extensions, in a typed call beside the message.
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    /// The claim that is held, if any. Only the idempotency layer and a saga step put one here.
    pub key: Option<KeyInForce>,
    /// Which attempt this is; the first is 0.
    pub attempt: u16,
    /// When the whole call has to be over.
    pub deadline: Option<Deadline>,
    /// On whose behalf.
    pub caller: Option<CallerId>,
}

/// The sum of all attempts made under one claim. Every clone of the request shares it.
///
/// The last error alone can lie: attempt 1 timed out after sending, attempt 2 met an open breaker and says "not
/// sent". The ledger remembers the doubt.
///
/// ```
/// use tollgate_core::{Effect, EffectLedger};
///
/// let ledger = EffectLedger::default();
/// ledger.mark_key_taken();                                          // every attempt carries one downstream key
/// ledger.record(Effect::Unknown);                                   // attempt 1 timed out
/// assert_eq!(ledger.total(Effect::NotSent), Effect::Unknown);       // attempt 2 never left: still in doubt
/// assert_eq!(ledger.total(Effect::Executed), Effect::Executed);     // attempt 3: the peer answered for all of them
///
/// let bare = EffectLedger::default();
/// bare.record(Effect::Unknown);                                     // sent without a key the peer knows
/// assert_eq!(bare.total(Effect::Executed), Effect::Unknown);        // two requests: the first is still in doubt
///
/// let two_calls = EffectLedger::default();                          // one handler, one claim, two calls
/// two_calls.mark_key_taken();
/// two_calls.record(Effect::Declined);                               // the first card was declined
/// two_calls.record(Effect::Unknown);                                // the second timed out
/// assert_eq!(two_calls.total(Effect::Unknown), Effect::Unknown);    // no final no
/// ```
#[derive(Debug, Default)]
pub struct EffectLedger {
    noted: AtomicU8,
    parts: Mutex<Vec<KeyInForce>>,
}

impl EffectLedger {
    const DOUBT: u8 = 1;
    const DECLINED: u8 = 2;
    const EXECUTED: u8 = 4;
    const TAKEN: u8 = 8;
    /// Doubt that no later answer can settle: from before a downstream key was taken, or met by "done already".
    const BARE_DOUBT: u8 = 16;

    /// Notes what became of one attempt. A refusal at the door clears no doubt, so it is not noted.
    pub fn record(&self, effect: Effect) {
        let bit = match effect {
            Effect::NotSent | Effect::TurnedAway => return,
            Effect::Declined => Self::DECLINED,
            Effect::Executed => Self::EXECUTED,
            Effect::Unknown if self.is_key_taken() => Self::DOUBT,
            Effect::Unknown => Self::BARE_DOUBT,
        };
        self.noted.fetch_or(bit, Relaxed);
    }

    /// Notes that an adapter sends the downstream key with every attempt.
    pub fn mark_key_taken(&self) {
        self.noted.fetch_or(Self::TAKEN, Relaxed);
    }

    /// Notes an answer that says the deed is done already. After a doubtful attempt that may be this claim's own deed, so it settles
    /// nothing: the doubt stays until somebody looks.
    pub fn record_already_done(&self) {
        if self.noted.load(Relaxed) & Self::DOUBT != 0 {
            self.noted.fetch_or(Self::BARE_DOUBT, Relaxed);
        }
    }

    /// Whether an adapter took the downstream key.
    #[must_use]
    pub fn is_key_taken(&self) -> bool {
        self.noted.load(Relaxed) & Self::TAKEN != 0
    }

    /// The worst over all attempts, those of the [parts](KeyInForce::part) included, given the last one. A final answer settles
    /// earlier doubt only if the peer saw one key on every attempt, and never the doubt of a part. What is in doubt at the end stays
    /// in doubt: an earlier final answer belongs to another call of the same claim, because nobody repeats after one.
    #[must_use]
    pub fn total(&self, last: Effect) -> Effect {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let bits = parts.iter().fold(self.noted.load(Relaxed), |bits, part| {
            bits | part.ledger().as_a_part()
        });
        let noted = |bit| bits & bit != 0;
        match last {
            _ if noted(Self::BARE_DOUBT) => Effect::Unknown,
            Effect::Executed | Effect::Declined | Effect::Unknown => last,
            _ if noted(Self::EXECUTED | Self::DOUBT) => Effect::Unknown,
            _ if noted(Self::DECLINED) => Effect::Declined,
            nothing_happened => nothing_happened,
        }
    }

    /// What a part means to the whole: its own final answer ends its doubt, and nobody else's does.
    fn as_a_part(&self) -> u8 {
        let bits = self.noted.load(Relaxed);
        let ended = bits & (Self::EXECUTED | Self::DECLINED) != 0;
        match bits & Self::DOUBT != 0 {
            true if !ended => bits | Self::BARE_DOUBT,
            _ => bits & !(Self::DOUBT | Self::TAKEN),
        }
    }
}

/// Proof that a claim is held, shared by every clone of the request.
///
/// Holding a claim here does not make a repeat safe *there*. The key counts as in force at the peer only once the
/// adapter that talks to it has called [`downstream_key`](Self::downstream_key) and sends what it got: retry
/// repeats a doubtful attempt only then.
///
/// ```
/// use tollgate_core::{Effect, KeyInForce};
///
/// let key = KeyInForce::for_step(b"saga-1/capture/forward/0");
/// assert!(!key.is_taken());
/// let first = key.downstream_key("stripe");
/// assert!(key.is_taken());
/// assert_eq!(first.as_str().len(), 32);
/// assert_eq!(first, key.clone().downstream_key("stripe")); // the same for every attempt
/// assert_ne!(first, key.downstream_key("adyen"));          // never shared between peers
/// ```
///
/// One key stands for one operation at the peer. A handler that makes two of them under one claim gives each a
/// [`part`](Self::part), or guards each outbound call with an idempotency layer of its own.
#[derive(Clone, Debug)]
pub struct KeyInForce(Arc<InForce>);

#[derive(Debug)]
struct InForce {
    source: Source,
    ledger: EffectLedger,
}

enum Source {
    Claim {
        token: Token,
        secrets: Secrets,
        /// Empty for the whole claim.
        part: Box<str>,
    },
    Step {
        seed: Box<[u8]>,
        part: Box<str>,
    },
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim { token, .. } => f
                .debug_struct("Claim")
                .field("record", &token.key)
                .field("epoch", &token.epoch)
                .finish_non_exhaustive(),
            Self::Step { .. } => f.debug_struct("Step").finish_non_exhaustive(),
        }
    }
}

impl KeyInForce {
    /// For the idempotency layer, once its store has granted the claim. Anybody else who calls this gives up
    /// what the type proves.
    #[must_use]
    pub fn for_claim(token: &Token, secrets: &Secrets) -> Self {
        let source = Source::Claim {
            token: *token,
            secrets: secrets.clone(),
            part: Box::default(),
        };
        Self::new(source)
    }

    /// For a saga step, whose journalled intent is the claim. `seed` must be unique to saga, step, direction and
    /// generation, and must not depend on the attempt.
    #[must_use]
    pub fn for_step(seed: &[u8]) -> Self {
        Self::new(Source::Step {
            seed: seed.into(),
            part: Box::default(),
        })
    }

    fn new(source: Source) -> Self {
        Self(Arc::new(InForce {
            source,
            ledger: EffectLedger::default(),
        }))
    }

    /// For one of several operations under the same claim: with downstream keys and a ledger of its own, which this one's
    /// [total](EffectLedger::total) includes. Put it into the context of that operation's call. `name` must not depend on
    /// the attempt, and no two parts may share one; a part of a part is `"outer/inner"`, not nested.
    ///
    /// ```
    /// use tollgate_core::{Effect, KeyInForce};
    ///
    /// let claim = KeyInForce::for_step(b"order-1");
    /// let (authorize, capture) = (claim.part("authorize"), claim.part("capture"));
    /// assert_ne!(authorize.downstream_key("stripe"), capture.downstream_key("stripe"));
    ///
    /// authorize.ledger().record(Effect::Executed);
    /// capture.ledger().record(Effect::Unknown);                                 // the answer was lost
    /// assert_eq!(claim.ledger().total(Effect::Executed), Effect::Unknown);      // whatever the handler says
    /// capture.ledger().record(Effect::Executed);                                // repeated under the same key
    /// assert_eq!(claim.ledger().total(Effect::Executed), Effect::Executed);
    /// ```
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        let part = Self::new(match &self.0.source {
            Source::Claim { token, secrets, .. } => Source::Claim {
                token: *token,
                secrets: secrets.clone(),
                part: name.into(),
            },
            Source::Step { seed, .. } => Source::Step {
                seed: seed.clone(),
                part: name.into(),
            },
        });
        let mut parts = self.0.ledger.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.push(part.clone());
        part
    }

    /// What became of the attempts so far.
    #[must_use]
    pub fn ledger(&self) -> &EffectLedger {
        &self.0.ledger
    }

    /// The key to send to a peer that deduplicates on it, and the mark that it is sent. Derived when asked for:
    /// a call that never reaches a peer pays no hash. `peer` names gateway and account, as `"stripe/acct_1"`.
    #[must_use]
    pub fn downstream_key(&self, peer: &str) -> DownstreamKey {
        self.0.ledger.mark_key_taken();
        self.reference(peer)
    }

    /// The same text, for a peer that does **not** deduplicate: sent as the merchant's reference, an outcome can be looked up by it.
    /// It does not count as taken, so nobody repeats what may have happened.
    ///
    /// ```
    /// use tollgate_core::KeyInForce;
    ///
    /// let key = KeyInForce::for_step(b"saga-1/capture/forward/0");
    /// let reference = key.reference("old-bank");
    /// assert!(!key.is_taken());
    /// assert_eq!(reference, key.downstream_key("old-bank"));
    /// ```
    #[must_use]
    pub fn reference(&self, peer: &str) -> DownstreamKey {
        match &self.0.source {
            Source::Claim { token, secrets, part } => secrets.downstream_key_of_part(&token.key, part, peer),
            Source::Step { seed, part } => {
                #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
                let mut mac = Hmac::<Sha256>::new_from_slice(b"tollgate/1/step").expect("any length");
                mac.update(&u64::try_from(seed.len()).unwrap_or(u64::MAX).to_be_bytes());
                mac.update(seed);
                mac.update(peer.as_bytes());
                mac.update(part.as_bytes());
                if !part.is_empty() {
                    mac.update(&crate::secret::length(part));
                }
                DownstreamKey::from_hash(&mac.finalize().into_bytes().into())
            }
        }
    }

    /// Whether an adapter took the downstream key.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.0.ledger.is_key_taken()
    }

    /// The epoch of the claim; 0 for a saga step.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        match &self.0.source {
            Source::Claim { token, .. } => token.epoch,
            Source::Step { .. } => 0,
        }
    }

    /// The claim itself, for a handler that settles it in the transaction of its own rows (`settle_in` of the PostgreSQL store);
    /// `None` for a saga step.
    ///
    /// ```
    /// use tollgate_core::store::idempotency::{Owner, RecordKey, Token};
    /// use tollgate_core::{KeyInForce, Secrets};
    ///
    /// let token = Token { key: RecordKey::new([7; 32]), epoch: 1, owner: Owner(9) };
    /// assert_eq!(KeyInForce::for_claim(&token, &Secrets::ephemeral()).claim(), Some(token));
    /// assert_eq!(KeyInForce::for_step(b"saga-1/capture").claim(), None);
    /// ```
    #[must_use]
    pub fn claim(&self) -> Option<Token> {
        match &self.0.source {
            Source::Claim { token, .. } => Some(*token),
            Source::Step { .. } => None,
        }
    }
}
