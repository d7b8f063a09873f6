//! The begin that asks for a key, until it is known what that means for the call: run it, or answer.

use super::config::WhileInFlight;
use super::guard::{Guard, Terms};
use super::run::Claimed;
use super::wait::{Place, Wait};
use crate::causes::Causes;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::protocol::Replays;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{Begin, Begun, IdempotencyStore, RecordKey, Token};
use tollgate_core::{Rejection, RejectionKind};
use tower_service::Service;

/// Has a doubt looked into, now.
pub(super) type Ask<St, P> = fn(&Arc<Guard<St, P>>, RecordKey);

type Waiting<C> = Pin<Box<Wait<C>>>;

/// What is known in the end.
pub(super) enum Decision<T> {
    /// The claim is held: run the call under it.
    Run(Token),
    /// There is nothing to run.
    Answer(T),
    /// There is nothing to run either, because the store's answers were lost: this begin may have claimed the key all the same.
    Lost(Begin, T),
}

/// The request, and the begin that asks for its key: the same one however often it is asked, so that a claim whose answer was lost
/// is recognised.
pub(super) struct Asked<St: IdempotencyStore, Req> {
    /// Taken when the call runs.
    pub(super) req: Option<Req>,
    /// When the key was asked for, if the store did not answer at once, or not for sure: a claim's lease may run from then.
    pub(super) at: Option<Instant>,
    begin: Begin,
    begun: St::Future<Begun>,
    /// The store lost an answer before.
    lost: bool,
    /// The key is another call's, and this one waits before it begins again. In a box: few do.
    wait: Option<Waiting<St::Future<()>>>,
    place: Option<Place>,
}

impl<St: IdempotencyStore, Req> Asked<St, Req> {
    pub(super) fn new(store: &St, begin: Begin, req: Req) -> Self {
        Self {
            req: Some(req),
            at: None,
            begin,
            begun: store.begin(begin),
            lost: false,
            wait: None,
            place: None,
        }
    }

    /// The begin whose answer nobody has heard, if there is one, and what may still answer it.
    pub(super) fn unheard(self) -> Option<(Begin, Option<St::Future<Begun>>)> {
        match self.wait {
            None => Some((self.begin, Some(self.begun))),
            Some(_) => self.lost.then_some((self.begin, None)),
        }
    }

    /// Asks until it is known whether the call is to run. Not to be asked again after that, or after a panic.
    pub(super) fn poll<S, P>(
        &mut self,
        claimed: &Claimed<S, St, P>,
        ask: Ask<St, P>,
        cx: &mut Context<'_>,
    ) -> Poll<Decision<Result<S::Response, S::Error>>>
    where
        S: Service<Req>,
        P: Replays<Req, S::Response, S::Error>,
    {
        let store = &claimed.terms.guard.store;
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
                if !self.lost {
                    self.at = None; // another begin; where one was lost, that one may have come to the store meanwhile
                }
                self.begun = store.begin(self.begin);
            }
            let Poll::Ready(begun) = Pin::new(&mut self.begun).poll(cx) else {
                self.at.get_or_insert_with(Instant::now);
                return Poll::Pending;
            };
            // claimed or not? The owner may ask again; a record left behind would hold the key for nothing
            if begun.as_ref().is_err_and(StoreError::may_have_happened) && !self.lost {
                self.lost = true;
                self.at.get_or_insert_with(Instant::now);
                self.begun = store.begin(self.begin);
                continue;
            }
            if let Some(decision) = self.decide(claimed, begun, ask) {
                return Poll::Ready(decision);
            }
        }
    }

    /// What the store's answer means. Nothing yet, if this call is to wait.
    fn decide<S, P>(
        &mut self,
        claimed: &Claimed<S, St, P>,
        begun: Result<Begun, StoreError>,
        ask: Ask<St, P>,
    ) -> Option<Decision<Result<S::Response, S::Error>>>
    where
        S: Service<Req>,
        P: Replays<Req, S::Response, S::Error>,
    {
        let Terms { guard, config } = &*claimed.terms;
        let protocol = &guard.protocol;
        let no = match begun {
            Ok(Begun::Acquired(token)) => return Some(Decision::Run(token)),
            Ok(Begun::Replay(completion)) => {
                tracing::debug!(target: "tollgate::idempotency", effect = %completion.effect(), "replayed");
                match completion
                    .envelope
                    .as_ref()
                    .and_then(|envelope| protocol.replay(envelope))
                {
                    Some(answer) => return Some(Decision::Answer(answer)),
                    None => Rejection::new(RejectionKind::NotReplayable),
                }
            }
            Ok(Begun::InFlight { retry_after }) => {
                if let WhileInFlight::Wait(at_most) = config.while_in_flight
                    && let Some(until) = self.may_wait(&claimed.terms, at_most)
                {
                    let told = guard.store.changed(self.begin.key);
                    self.wait = Some(Box::pin(Wait::new(told, config, until)));
                    return None;
                }
                Rejection::new(RejectionKind::KeyInFlight).after(retry_after)
            }
            Ok(Begun::Mismatch) => Rejection::new(RejectionKind::KeyReused),
            Ok(Begun::Unknown { .. }) => {
                if guard.look_up.get().is_some() {
                    ask(guard, self.begin.key);
                    if let Some(until) = self.may_wait(&claimed.terms, config.resolve_patience) {
                        self.wait = Some(Box::pin(Wait::new(None, config, until)));
                        return None;
                    }
                }
                Rejection::new(RejectionKind::OutcomeUnknown).after(Duration::from_secs(30))
            }
            Ok(Begun::Expired) => Rejection::new(RejectionKind::KeyExpired),
            Ok(Begun::TooManyOpen) => {
                tracing::warn!(
                    target: "tollgate::idempotency", tenant = ?self.begin.tenant,
                    "a tenant has as many unknown outcomes as it may: its new keys are refused"
                );
                Rejection::new(RejectionKind::TooManyUnresolved).after(Duration::from_secs(30))
            }
            Err(error) => {
                tracing::error!(
                    target: "tollgate::idempotency", record = %self.begin.key, error = %Causes(&error),
                    "the store did not begin: nothing was sent"
                );
                self.lost |= error.may_have_happened();
                Rejection::new(RejectionKind::StoreUnavailable).after(Duration::from_secs(1))
            }
        };
        tracing::info!(target: "tollgate::idempotency", record = %self.begin.key, code = no.kind().code(), "refused");
        let answer = protocol.refuse(no);
        // an answer that was lost may have been a claim, whatever was heard since: another's claim, another failure, or the doubt that
        // this very begin left when it lapsed
        Some(match self.lost {
            true => Decision::Lost(self.begin, answer),
            false => Decision::Answer(answer),
        })
    }

    /// Until when this call may wait, unless that is over or there is no place. Its waiting begins with the first look.
    fn may_wait<P>(&mut self, terms: &Terms<St, P>, at_most: Duration) -> Option<Instant> {
        let now = Instant::now();
        if self.place.is_none() {
            let most = terms.config.max_waiting;
            self.place = Some(Place::take(&terms.guard.waiting, most, now, at_most)?);
        }
        let until = self.place.as_ref()?.until;
        (now < until).then_some(until)
    }
}
