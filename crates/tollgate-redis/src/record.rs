//! How a record and its parts are read.

use crate::error::unreadable;
use crate::reply::{decimal, flag};
use std::collections::HashMap;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{
    Completion, Doubt, Envelope, Evidence, Fingerprint, Owner, Phase, Record, Tenant,
};

pub(crate) fn doubt(name: &[u8]) -> Result<Doubt, StoreError> {
    std::str::from_utf8(name)
        .ok()
        .and_then(Doubt::from_name)
        .ok_or_else(unreadable)
}

/// From sixteen hex digits.
pub(crate) fn tenant(digits: &[u8]) -> Result<Tenant, StoreError> {
    std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.len() == 16)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .map(Tenant)
        .ok_or_else(unreadable)
}

/// From `executed`, and `ok`, `status`, `head`, `body`.
pub(crate) fn completion(
    executed: Option<Vec<u8>>,
    [ok, status, head, body]: [Option<Vec<u8>>; 4],
) -> Result<Option<Completion>, StoreError> {
    let Some(executed) = executed else { return Ok(None) };
    let envelope = match (ok, status, body) {
        (None, None, None) => None,
        (Some(ok), Some(status), Some(body)) => Some(Envelope {
            ok: flag(&ok)?,
            status: decimal(&status)?.try_into().map_err(|_| unreadable())?,
            head: head.map(Into::into),
            body: body.into(),
        }),
        _ => return Err(unreadable()),
    };
    Ok(Some(Completion {
        executed: flag(&executed)?,
        envelope,
    }))
}

/// A record's fields by their names.
struct Fields(HashMap<Vec<u8>, Vec<u8>>);

impl Fields {
    fn of(pairs: Vec<Vec<u8>>) -> Self {
        let (mut pairs, mut fields) = (pairs.into_iter(), HashMap::new());
        while let Some((name, value)) = pairs.next().zip(pairs.next()) {
            fields.insert(name, value);
        }
        Self(fields)
    }

    fn maybe(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name.as_bytes()).map(Vec::as_slice)
    }

    fn bytes(&self, name: &str) -> Result<&[u8], StoreError> {
        self.maybe(name).ok_or_else(unreadable)
    }

    fn text(&self, name: &str) -> Result<&str, StoreError> {
        std::str::from_utf8(self.bytes(name)?).map_err(|_| unreadable())
    }

    fn number<T: TryFrom<i128>>(&self, name: &str) -> Result<T, StoreError> {
        T::try_from(decimal(self.bytes(name)?)?).map_err(|_| unreadable())
    }

    fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], StoreError> {
        self.bytes(name)?.try_into().map_err(|_| unreadable())
    }

    fn owned(&self, name: &str) -> Option<Vec<u8>> {
        self.maybe(name).map(Into::into)
    }
}

/// From what `HGETALL` answers.
pub(crate) fn record(pairs: Vec<Vec<u8>>) -> Result<Record, StoreError> {
    let fields = Fields::of(pairs);
    if fields.bytes("v")? != b"1" {
        return Err(unreadable());
    }
    let instant = |name| fields.number(name).map(Timestamp::from_unix_micros);
    Ok(Record {
        phase: Phase::from_name(fields.text("phase")?).ok_or_else(unreadable)?,
        epoch: fields.number("epoch")?,
        owner: Owner(u128::from_be_bytes(fields.array("owner")?)),
        fingerprint: Fingerprint::new(fields.array("fingerprint")?),
        tenant: tenant(fields.bytes("tenant")?)?,
        lease_until: instant("lease")?,
        expires_at: fields.maybe("expires").map(|_| instant("expires")).transpose()?,
        retention: Duration::from_micros(fields.number("retention")?),
        changed_at: instant("changed")?,
        doubt: fields.maybe("doubt").map(doubt).transpose()?,
        completion: completion(
            fields.owned("executed"),
            ["ok", "status", "head", "body"].map(|name| fields.owned(name)),
        )?,
        evidence: match (fields.maybe("actor"), fields.maybe("reason")) {
            (Some(_), Some(_)) => Some(Evidence {
                actor: fields.text("actor")?.into(),
                reason: fields.text("reason")?.into(),
            }),
            _ => None,
        },
    })
}
