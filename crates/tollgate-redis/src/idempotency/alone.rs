//! A begin and a settlement, each alone: one script, which knows the whole rule.

use super::{RECORD, answers};
use crate::record;
use crate::script::{Script, micros};
use crate::server::Server;
use redis::Cmd;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{Begin, Begun, Doubt, Phase, RecordKey, Settled, Settlement, Token};

/// How a claim ended.
pub(crate) struct Settle {
    pub(super) token: Token,
    /// The answer behind its size.
    pub(super) answer: Vec<u8>,
    /// How it ended, and with which doubt, unless it is completed.
    otherwise: Option<(Phase, Option<Doubt>)>,
}

impl Settle {
    pub(crate) fn new(token: Token, settlement: &Settlement) -> Self {
        let (completion, otherwise) = match settlement {
            Settlement::Completed(completion) => (Some(completion), None),
            Settlement::Released => (None, Some((Phase::Released, None))),
            Settlement::Unknown(doubt) => (None, Some((Phase::Unknown, Some(*doubt)))),
        };
        Self {
            token,
            answer: record::answer(completion),
            otherwise,
        }
    }

    /// Whether it may take the short way.
    pub(super) const fn is_plain(&self) -> bool {
        self.otherwise.is_none()
    }
}

/// Whether it may take the short way.
pub(super) const fn is_plain(begin: &Begin) -> bool {
    begin.arm && begin.most_open == u32::MAX
}

impl Server {
    pub(crate) fn record_key(&self, key: &RecordKey) -> Vec<u8> {
        self.key_of(RECORD, key.as_bytes())
    }

    /// A question to a script about one record: its keys, and the record's name in the indexes.
    pub(super) fn about(&self, script: &Script, key: &RecordKey) -> Cmd {
        let indexes = self.indexes();
        let mut question = script.over(indexes.len() + 1);
        question
            .arg(indexes)
            .arg(self.record_key(key))
            .arg(key.as_bytes());
        question
    }

    pub(crate) async fn begin(&self, begin: &Begin) -> Result<Begun, StoreError> {
        let script = &self.scripts().begin;
        let mut question = self.about(script, &begin.key);
        question
            .arg(record::claim(begin, &micros(begin.retention)))
            .arg(micros(begin.lease));
        if !is_plain(begin) {
            question.arg(if begin.arm { "1" } else { "0" }).arg(cap(begin));
        }
        self.ask(script, question, |reply| answers::begun(reply, begin))
            .await
    }

    pub(crate) async fn settle(&self, settle: &Settle) -> Result<Settled, StoreError> {
        let script = &self.scripts().settle;
        let mut question = self.about(script, &settle.token.key);
        question
            .arg(record::holder(&settle.token))
            .arg(micros(self.forget_after()))
            .arg(&settle.answer);
        if let Some((phase, doubt)) = settle.otherwise {
            question.arg(phase.as_str()).arg(doubt.map_or("", Doubt::as_str));
        }
        self.ask(script, question, answers::settled).await
    }
}

fn cap(begin: &Begin) -> Vec<u8> {
    match begin.most_open {
        u32::MAX => Vec::new(),
        most_open => most_open.to_string().into(),
    }
}
