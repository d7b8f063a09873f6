//! A record as one line of text, field by field. What a line does not say in exactly this form is unreadable, and never absent.

use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{
    Completion, Doubt, Envelope, Evidence, Fingerprint, Owner, Phase, Record, RecordKey, Tenant,
};

/// The line of this record, or, without one, the line that says that the key is free again.
pub(crate) fn write(key: RecordKey, record: Option<&Record>) -> String {
    let Some(record) = record else {
        return key.to_hex();
    };
    let completion = record.completion.as_ref();
    let envelope = completion.and_then(|completion| completion.envelope.as_ref());
    let evidence = record.evidence.as_ref();
    [
        key.to_hex(),
        record.phase.as_str().into(),
        record.epoch.to_string(),
        record.owner.0.to_string(),
        record.fingerprint.to_hex(),
        record.tenant.0.to_string(),
        record.lease_until.unix_micros().to_string(),
        option(record.expires_at.map(|at| at.unix_micros().to_string())),
        record.retention.as_micros().to_string(),
        record.changed_at.unix_micros().to_string(),
        option(record.doubt.map(|doubt| doubt.as_str().into())),
        option(completion.map(|completion| completion.executed.to_string())),
        option(envelope.map(|envelope| envelope.ok.to_string())),
        option(envelope.map(|envelope| envelope.status.to_string())),
        // an empty head is not the same as none
        option(envelope.and_then(|envelope| envelope.head.as_deref()).map(hex)),
        option(envelope.map(|envelope| hex(&envelope.body))),
        option(evidence.map(|evidence| hex(evidence.actor.as_bytes()))),
        option(evidence.map(|evidence| hex(evidence.reason.as_bytes()))),
    ]
    .join("\t")
}

/// The key, and its record if the line has one; `None` when it cannot be read.
pub(crate) fn read(line: &str) -> Option<(RecordKey, Option<Record>)> {
    let mut fields = line.split('\t');
    let key = RecordKey::from_hex(fields.next()?)?;
    let Some(phase) = fields.next() else {
        return Some((key, None));
    };
    let mut field = || fields.next();
    let record = Record {
        phase: Phase::from_name(phase)?,
        epoch: field()?.parse().ok()?,
        owner: Owner(field()?.parse().ok()?),
        fingerprint: Fingerprint::from_hex(field()?)?,
        tenant: Tenant(field()?.parse().ok()?),
        lease_until: timestamp(field()?)?,
        expires_at: optional(field()?, timestamp)?,
        retention: Duration::from_micros(field()?.parse().ok()?),
        changed_at: timestamp(field()?)?,
        doubt: optional(field()?, Doubt::from_name)?,
        completion: {
            let executed = optional(field()?, |text| text.parse().ok())?;
            let ok = optional(field()?, |text| text.parse().ok())?;
            let status = optional(field()?, |text| text.parse().ok())?;
            let (head, body) = (optional(field()?, bytes)?, optional(field()?, bytes)?);
            let envelope = ok.zip(status).zip(body).map(|((ok, status), body)| Envelope {
                ok,
                status,
                head: head.map(Into::into),
                body: body.into(),
            });
            executed.map(|executed| Completion { executed, envelope })
        },
        evidence: {
            let (actor, reason) = (optional(field()?, text)?, optional(field()?, text)?);
            actor.zip(reason).map(|(actor, reason)| Evidence {
                actor: actor.into(),
                reason: reason.into(),
            })
        },
    };
    fields.next().is_none().then_some((key, Some(record)))
}

fn option(field: Option<String>) -> String {
    field.unwrap_or_else(|| "-".into())
}

fn optional<T>(field: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    if field == "-" {
        Some(None)
    } else {
        read(field).map(Some)
    }
}

fn timestamp(field: &str) -> Option<Timestamp> {
    field.parse().ok().map(Timestamp::from_unix_micros)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(field: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    field
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

fn text(field: &str) -> Option<String> {
    String::from_utf8(bytes(field)?).ok()
}
