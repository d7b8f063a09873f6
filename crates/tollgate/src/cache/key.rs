//! What an answer is kept under.

use std::fmt;
use std::sync::Arc;
use tollgate_core::id::CallerId;

/// Whose answer it is, and to which question. Both are compared whole. Not printed: questions hold identifiers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CacheKey {
    tenant: Option<CallerId>,
    question: Box<str>,
}

impl CacheKey {
    /// A tenant's own answer to a question.
    #[must_use]
    pub fn of(tenant: &CallerId, question: impl Into<Box<str>>) -> Self {
        Self {
            tenant: Some(tenant.clone()),
            question: question.into(),
        }
    }

    /// An answer that is the same for everybody: exchange rates, BIN tables.
    #[must_use]
    pub fn shared(question: impl Into<Box<str>>) -> Self {
        Self {
            tenant: None,
            question: question.into(),
        }
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey(..)")
    }
}

/// Names the answer to a request; `None` is not kept.
pub(super) type KeyOf<Req> = Arc<dyn Fn(&Req) -> Option<CacheKey> + Send + Sync>;
