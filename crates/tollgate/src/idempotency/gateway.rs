//! Typed calls: the key and the fields are the message's.

use crate::Gateway;
use std::future::{Ready, ready};
use tollgate_core::Rejection;
use tollgate_core::Secrets;
use tollgate_core::codec::{Encoder, Recorded};
use tollgate_core::gateway::{Call, KeyedMessage};
use tollgate_core::id::CallerId;
use tollgate_core::protocol::{Captured, Fault, Identified, Identity, Replays};
use tollgate_core::store::idempotency::Envelope;

impl<M, Res, Err> Replays<Call<M>, Res, Err> for Gateway
where
    M: KeyedMessage,
    Res: Recorded,
    Err: Recorded + Fault,
{
    type Identify = Ready<Result<Identified<Call<M>>, Rejection>>;
    type Capture = Ready<Captured<Res, Err>>;

    /// The operation belongs to the fingerprint, so a refund with a charge's key is a mismatch (seed I11: it got the
    /// charge's result and never ran).
    fn identify(&self, req: Call<M>, secrets: &Secrets) -> Self::Identify {
        let mut fields = Encoder::new();
        fields.byte(1).text(M::OPERATION);
        req.message.fields(&mut fields);
        let scope = req.context.caller.as_ref().map_or("", CallerId::as_str);
        let identity = Identity {
            key: secrets.record_key(scope, req.message.key().as_str()),
            fingerprint: secrets.fingerprint(&[fields.as_bytes()]),
            tenant: secrets.tenant(scope),
        };
        ready(Ok(Identified::Guard { req, identity }))
    }

    fn capture(&self, answer: Result<Res, Err>) -> Self::Capture {
        let recorded = match &answer {
            Ok(response) => response.to_recorded(),
            Err(error) => error.to_recorded(),
        };
        let envelope = Envelope {
            ok: answer.is_ok(),
            status: 0,
            head: None,
            body: recorded.as_bytes().into(),
        };
        ready((answer, Some(envelope)))
    }

    fn replay(&self, envelope: &Envelope) -> Option<Result<Res, Err>> {
        if envelope.ok {
            Res::from_recorded(&envelope.body).map(Ok)
        } else {
            Err::from_recorded(&envelope.body).map(Err)
        }
    }
}
