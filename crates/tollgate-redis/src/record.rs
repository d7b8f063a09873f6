//! The form of a record, which is one line of text: how it and its parts are written and read. `lua/record.lua` describes it.

use crate::error::unreadable;
use crate::reply::{decimal, flag};
use std::io::Write;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{
    Begin, Completion, Doubt, Envelope, Evidence, Fingerprint, Owner, Phase, Record, Tenant, Token,
};

/// What stands where there is nothing.
const NONE: &[u8] = b"-";

/// As lower-case hexadecimal, which a person can type.
pub(crate) fn hex(bytes: &[u8], to: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or(b'?');
    to.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

/// A claim: owner, fingerprint, tenant, retention.
pub(crate) fn claim(begin: &Begin, retention: &[u8]) -> Vec<u8> {
    let mut claim = Vec::with_capacity(128 + retention.len());
    hex(&begin.owner.0.to_be_bytes(), &mut claim);
    claim.push(b' ');
    hex(begin.fingerprint.as_bytes(), &mut claim);
    claim.push(b' ');
    hex(&begin.tenant.0.to_be_bytes(), &mut claim);
    claim.push(b' ');
    claim.extend_from_slice(retention);
    claim
}

/// Who holds a claim: epoch, owner.
pub(crate) fn holder(token: &Token) -> Vec<u8> {
    let mut holder = token.epoch.to_string().into_bytes();
    holder.push(b' ');
    hex(&token.owner.0.to_be_bytes(), &mut holder);
    holder
}

/// An answer behind its size. Equal answers are equal byte for byte, and only they.
pub(crate) fn answer(completion: Option<&Completion>) -> Vec<u8> {
    let mut packed = Vec::new();
    if let Some(completion) = completion {
        packed.push(digit(completion.executed));
        if let Some(Envelope {
            ok,
            status,
            head,
            body,
        }) = &completion.envelope
        {
            let size = head
                .as_ref()
                .map_or_else(|| "-".into(), |head| head.len().to_string());
            // writing to a vector does not fail
            let _ = write!(packed, " {} {status} {size} ", u8::from(*ok));
            packed.extend_from_slice(head.as_deref().unwrap_or_default());
            packed.extend_from_slice(body);
        }
    }
    sized(&packed)
}

/// Evidence: the actor behind its size, and the reason.
pub(crate) fn evidence(evidence: &Evidence) -> Vec<u8> {
    let mut packed = sized(evidence.actor.as_bytes());
    packed.extend_from_slice(evidence.reason.as_bytes());
    packed
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut sized = bytes.len().to_string().into_bytes();
    sized.reserve_exact(1 + bytes.len());
    sized.push(b' ');
    sized.extend_from_slice(bytes);
    sized
}

const fn digit(flag: bool) -> u8 {
    if flag { b'1' } else { b'0' }
}

/// What has not been read yet.
struct Parts<'r>(&'r [u8]);

impl<'r> Parts<'r> {
    /// Up to the next space.
    fn next(&mut self) -> Result<&'r [u8], StoreError> {
        let end = self.0.iter().position(|byte| *byte == b' ');
        let (part, rest) = end
            .and_then(|at| self.0.split_at_checked(at))
            .ok_or_else(unreadable)?;
        self.0 = rest.get(1..).ok_or_else(unreadable)?;
        Ok(part)
    }

    /// The next part, unless there is nothing.
    fn maybe(&mut self) -> Result<Option<&'r [u8]>, StoreError> {
        self.next().map(|part| Some(part).filter(|part| *part != NONE))
    }

    fn number<T: TryFrom<i128>>(&mut self) -> Result<T, StoreError> {
        number(self.next()?)
    }

    fn instant(&mut self) -> Result<Timestamp, StoreError> {
        self.number().map(Timestamp::from_unix_micros)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        unhex(self.next()?)
    }

    /// As many bytes as the next part says.
    fn sized(&mut self) -> Result<&'r [u8], StoreError> {
        let size = self.number()?;
        let (bytes, rest) = self.0.split_at_checked(size).ok_or_else(unreadable)?;
        self.0 = rest;
        Ok(bytes)
    }
}

fn number<T: TryFrom<i128>>(part: &[u8]) -> Result<T, StoreError> {
    T::try_from(decimal(part)?).map_err(|_| unreadable())
}

fn unhex<const N: usize>(digits: &[u8]) -> Result<[u8; N], StoreError> {
    let half = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|half| u8::try_from(half).ok())
    };
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some(half(high)? << 4 | half(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(unreadable)
}

fn text(bytes: &[u8]) -> Result<&str, StoreError> {
    std::str::from_utf8(bytes).map_err(|_| unreadable())
}

pub(crate) fn doubt(name: &[u8]) -> Result<Doubt, StoreError> {
    Doubt::from_name(text(name)?).ok_or_else(unreadable)
}

pub(crate) fn tenant(digits: &[u8]) -> Result<Tenant, StoreError> {
    unhex(digits).map(u64::from_be_bytes).map(Tenant)
}

/// Of an answer behind its size; `None` when there is none.
pub(crate) fn completion(sized: &[u8]) -> Result<Option<Completion>, StoreError> {
    let packed = Parts(sized).sized()?;
    let Some((executed, envelope)) = packed.split_first() else {
        return Ok(None);
    };
    Ok(Some(Completion {
        executed: flag(&[*executed])?,
        envelope: match envelope {
            [] => None,
            [b' ', rest @ ..] => Some(self::envelope(Parts(rest))?),
            _ => return Err(unreadable()),
        },
    }))
}

fn envelope(mut parts: Parts<'_>) -> Result<Envelope, StoreError> {
    let (ok, status) = (flag(parts.next()?)?, parts.number()?);
    let size = parts.maybe()?.map(number).transpose()?;
    let (head, body) = parts
        .0
        .split_at_checked(size.unwrap_or(0))
        .ok_or_else(unreadable)?;
    Ok(Envelope {
        ok,
        status,
        head: size.map(|_| head.into()),
        body: body.into(),
    })
}

fn stored_evidence(mut packed: Parts<'_>) -> Result<Option<Evidence>, StoreError> {
    if packed.0.is_empty() {
        return Ok(None);
    }
    Ok(Some(Evidence {
        actor: text(packed.sized()?)?.into(),
        reason: text(packed.0)?.into(),
    }))
}

/// A whole record.
pub(crate) fn record(stored: &[u8]) -> Result<Record, StoreError> {
    let mut parts = Parts(stored);
    if parts.next()? != b"2" {
        return Err(unreadable());
    }
    let (epoch, owner) = (parts.number()?, Owner(u128::from_be_bytes(parts.array()?)));
    let (fingerprint, tenant) = (Fingerprint::new(parts.array()?), tenant(parts.next()?)?);
    let (retention, lease_until) = (Duration::from_micros(parts.number()?), parts.instant()?);
    let phase = Phase::from_name(text(parts.next()?)?).ok_or_else(unreadable)?;
    let changed_at = parts.instant()?;
    let expires_at = parts
        .maybe()?
        .map(number)
        .transpose()?
        .map(Timestamp::from_unix_micros);
    let doubt = parts.maybe()?.map(doubt).transpose()?;
    let answer = parts.0;
    parts.sized()?;
    Ok(Record {
        phase,
        epoch,
        owner,
        fingerprint,
        tenant,
        lease_until,
        expires_at,
        retention,
        changed_at,
        doubt,
        completion: completion(answer)?,
        evidence: stored_evidence(parts)?,
    })
}
