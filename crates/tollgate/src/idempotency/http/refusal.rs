//! How a refusal is told: whose words, which status, which headers.

use super::head::Head;
use super::stripe::stripe_error;
use super::{IDEMPOTENCY_STATUS, IDEMPOTENT_REPLAYED};
use crate::http::Rebuild;
use crate::http::problem::{PROBLEM_BASE, problem_as, status_of};
use http::header::{HeaderName, LINK, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use tollgate_core::{Rejection, RejectionKind};

/// Whose words a refusal is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    Ietf,
    Stripe,
}

/// Everything about the telling.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub(super) profile: Profile,
    pub(super) replay_header: HeaderName,
    pub(super) mismatch_is_conflict: bool,
    pub(super) expired_is_gone: bool,
    pub(super) status_link: Option<HeaderValue>,
}

impl Words {
    pub(super) const fn of(profile: Profile) -> Self {
        Self {
            profile,
            replay_header: IDEMPOTENT_REPLAYED,
            mismatch_is_conflict: false,
            expired_is_gone: false,
            status_link: None,
        }
    }

    fn status(&self, kind: RejectionKind) -> StatusCode {
        match (kind, self.profile) {
            (RejectionKind::KeyReused, _) if self.mismatch_is_conflict => StatusCode::CONFLICT,
            (RejectionKind::KeyExpired, _) if self.expired_is_gone => StatusCode::GONE,
            // only a 400 or a 404 becomes their libraries' `IdempotencyError`
            (RejectionKind::KeyReused, Profile::Stripe) => StatusCode::BAD_REQUEST,
            _ => status_of(kind),
        }
    }

    pub(super) fn refusal<B: Rebuild>(&self, rejection: &Rejection) -> Response<B> {
        self.refusal_as(rejection, self.status(rejection.kind()))
    }

    fn refusal_as<B: Rebuild>(&self, rejection: &Rejection, status: StatusCode) -> Response<B> {
        let kind = rejection.kind();
        let mut response = match self.profile {
            Profile::Ietf => problem_as::<B>(rejection, status),
            Profile::Stripe => stripe_error(rejection, status),
        };
        let headers = response.headers_mut();
        let explained = format!("<{PROBLEM_BASE}{}>; rel=\"describedby\"", kind.code());
        if let Ok(link) = HeaderValue::try_from(explained) {
            headers.append(LINK, link);
        }
        let standing = match kind {
            RejectionKind::KeyInFlight => "in-progress",
            RejectionKind::KeyReused => "mismatch",
            RejectionKind::KeyExpired => "expired",
            RejectionKind::NotReplayable => "not-replayable",
            RejectionKind::OutcomeUnknown => {
                headers.extend(self.status_link.clone().map(|link| (LINK, link)));
                "unknown"
            }
            _ => return response,
        };
        headers.insert(IDEMPOTENCY_STATUS, HeaderValue::from_static(standing));
        response
    }

    /// The first caller of a call whose outcome nobody knows: the service's own answer, marked; a 500 when it gave none.
    pub(super) fn in_doubt<B: Rebuild>(&self, answer: Option<Response<B>>) -> Response<B> {
        let unknown = Rejection::new(RejectionKind::OutcomeUnknown);
        let Some(mut answer) = answer else {
            return self.refusal_as(&unknown, StatusCode::INTERNAL_SERVER_ERROR);
        };
        let headers = answer.headers_mut();
        headers.insert(IDEMPOTENCY_STATUS, HeaderValue::from_static("unknown"));
        headers.extend(self.status_link.clone().map(|link| (LINK, link)));
        answer
    }

    /// A repeat of a call whose answer was not kept: what was done, where it can be seen, and that is all.
    pub(super) fn elided<B: Rebuild>(&self, mut kept: Head) -> Response<B> {
        let mut response = self.refusal(&Rejection::new(RejectionKind::NotReplayable));
        if let Some(place) = kept.headers.remove(LOCATION) {
            response.headers_mut().insert(LOCATION, place);
        }
        response
    }
}
