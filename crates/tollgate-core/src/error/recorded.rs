//! The error's stored form.

use super::{Challenge, PaymentError, PaymentErrorKind};
use crate::codec::{Decoder, Encoder, Recorded};
use crate::id::PaymentId;
use crate::rejection::{Rejection, RejectionKind};
use crate::verdict::{Advice, Blame, Effect, Verdict};
use std::time::Duration;

const EFFECTS: [Effect; 5] = [
    Effect::NotSent,
    Effect::TurnedAway,
    Effect::Declined,
    Effect::Executed,
    Effect::Unknown,
];
const ADVICE: [Advice; 7] = [
    Advice::SameKey,
    Advice::NewAttempt,
    Advice::CorrectInput,
    Advice::Authenticate,
    Advice::OtherInstrument,
    Advice::QueryFirst,
    Advice::Never,
];
const BLAME: [Blame; 5] = [
    Blame::Caller,
    Blame::Issuer,
    Blame::Network,
    Blame::Gateway,
    Blame::Ourselves,
];

fn place<T: PartialEq>(table: &[T], value: &T) -> u8 {
    table
        .iter()
        .position(|t| t == value)
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(u8::MAX)
}

fn encode_wait(wait: Option<Duration>, out: &mut Encoder) {
    out.optional_int(wait.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
}

fn decode_wait(bytes: &mut Decoder<'_>) -> Option<Option<Duration>> {
    match bytes.optional_int()? {
        None => Some(None),
        Some(millis) => Some(Some(Duration::from_millis(u64::try_from(millis).ok()?))),
    }
}

fn encode_verdict(verdict: &Verdict, out: &mut Encoder) {
    out.byte(place(&EFFECTS, &verdict.effect))
        .byte(place(&ADVICE, &verdict.advice))
        .byte(place(&BLAME, &verdict.blame));
    encode_wait(verdict.retry_after, out);
}

fn decode_verdict(bytes: &mut Decoder<'_>) -> Option<Verdict> {
    Some(Verdict {
        effect: *EFFECTS.get(usize::from(bytes.byte()?))?,
        advice: *ADVICE.get(usize::from(bytes.byte()?))?,
        blame: *BLAME.get(usize::from(bytes.byte()?))?,
        retry_after: decode_wait(bytes)?,
    })
}

impl Recorded for PaymentError {
    const SCHEMA: u16 = 1;

    fn encode(&self, out: &mut Encoder) {
        let inner = &*self.0;
        out.text(inner.kind.as_str())
            .text(&inner.message)
            .optional_text(inner.code.as_deref());
        encode_verdict(&inner.verdict, out);
        out.optional_text(inner.challenge.as_ref().map(|c| c.url.as_str()))
            .optional_text(inner.payment.as_ref().map(PaymentId::as_str))
            .optional_text(inner.rejection.as_ref().map(|r| r.kind().code()));
        if let Some(rejection) = &inner.rejection {
            out.text(rejection.detail());
            encode_wait(rejection.retry_after(), out);
        }
    }

    fn decode(schema: u16, bytes: &mut Decoder<'_>) -> Option<Self> {
        if schema != 1 {
            return None;
        }
        let kind = PaymentErrorKind::from_name(bytes.text()?)?;
        let mut error = Self::new(kind, bytes.text()?.to_owned());
        let inner = &mut *error.0;
        inner.code = bytes.optional_text()?.map(|code| code.to_owned().into());
        inner.verdict = decode_verdict(bytes)?;
        inner.challenge = bytes
            .optional_text()?
            .map(|url| Challenge { url: url.to_owned() });
        inner.payment = match bytes.optional_text()? {
            None => None,
            Some(id) => Some(PaymentId::new(id).ok()?),
        };
        if let Some(code) = bytes.optional_text()? {
            let detail = bytes.text()?.to_owned();
            let mut rejection = Rejection::new(RejectionKind::from_code(code)?).because(detail);
            if let Some(wait) = decode_wait(bytes)? {
                rejection = rejection.after(wait);
            }
            inner.rejection = Some(rejection);
        }
        Some(error)
    }
}
