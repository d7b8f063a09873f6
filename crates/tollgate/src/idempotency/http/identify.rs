//! Reads a request's key and body.

use super::GuardedHttp;
use crate::http::{ReadBody, ReadOutcome, Rebuild};
use http::Request;
use http::request::Parts;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tollgate_core::protocol::{Identified, Identity};
use tollgate_core::store::idempotency::{RecordKey, Tenant};
use tollgate_core::{Rejection, RejectionKind, Secrets};

/// Reads a request's key and body. Dropping it costs nothing: nothing is claimed yet.
pub struct IdentifyRequest<B>(Identifying<B>);

#[expect(
    clippy::large_enum_variant,
    reason = "boxing the unguarded request would charge every read for it"
)]
enum Identifying<B> {
    Done(Option<Result<Identified<Request<B>>, Rejection>>),
    Reading(Option<Box<Reading<B>>>),
}

struct Reading<B> {
    parts: Parts,
    read: ReadBody<B>,
    record: (RecordKey, Tenant),
    guarded: GuardedHttp,
    secrets: Secrets,
}

impl<B: Rebuild> IdentifyRequest<B> {
    pub(super) fn new(guarded: &GuardedHttp, req: Request<B>, secrets: &Secrets) -> Self {
        if !guarded.guards(req.method()) {
            return Self::done(Ok(Identified::Bypass(req)));
        }
        let key = match guarded.0.key.read(req.headers()) {
            Ok(Some(key)) => key,
            Ok(None) if guarded.0.key_required => return Self::done(Err(RejectionKind::KeyMissing.into())),
            Ok(None) => return Self::done(Ok(Identified::Bypass(req))),
            Err(no) => return Self::done(Err(no)),
        };
        let (parts, body) = req.into_parts();
        // from somebody whom nobody knows, no body is taken
        let record = match guarded.record_of(&parts, &key, secrets) {
            Ok(record) => record,
            Err(no) => return Self::done(Err(no)),
        };
        Self(Identifying::Reading(Some(Box::new(Reading {
            parts,
            read: ReadBody::new(body, guarded.0.max_body),
            record,
            guarded: guarded.clone(),
            secrets: secrets.clone(),
        }))))
    }

    const fn done(result: Result<Identified<Request<B>>, Rejection>) -> Self {
        Self(Identifying::Done(Some(result)))
    }
}

impl<B> Unpin for IdentifyRequest<B> {}

impl<B: Rebuild> Future for IdentifyRequest<B> {
    type Output = Result<Identified<Request<B>>, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reading = match &mut self.0 {
            Identifying::Done(done) => match done.take() {
                Some(done) => return Poll::Ready(done),
                None => unreachable!("polled after completion"),
            },
            Identifying::Reading(reading) => reading,
        };
        let Some(open) = reading.as_mut() else {
            unreachable!("polled after completion")
        };
        let outcome = ready!(open.read.poll_read(cx));
        let Some(open) = reading.take() else {
            unreachable!("just seen")
        };
        Poll::Ready(match outcome {
            ReadOutcome::TooLarge => Err(Rejection::new(RejectionKind::BodyTooLarge)
                .because(format!("at most {} bytes are taken", open.guarded.0.max_body))),
            ReadOutcome::Broken => Err(RejectionKind::BodyUnreadable.into()),
            ReadOutcome::Whole(body) => {
                let fingerprint = open.guarded.fingerprint(&open.parts, &body, &open.secrets);
                let (key, tenant) = open.record;
                Ok(Identified::Guard {
                    req: Request::from_parts(open.parts, B::from(body)),
                    identity: Identity {
                        key,
                        fingerprint,
                        tenant,
                    },
                })
            }
        })
    }
}

impl<B> fmt::Debug for IdentifyRequest<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentifyRequest").finish_non_exhaustive()
    }
}
