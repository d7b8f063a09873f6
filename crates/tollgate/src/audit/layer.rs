//! The layer and its settings.

use super::log::AuditLog;
use super::service::Audit;
use crate::{Gateway, Http, HttpClient};
use tower_layer::Layer;

/// Logs intents and outcomes. See the [module](super) for the lesson.
#[derive(Debug)]
pub struct AuditLayer<P, St> {
    log: AuditLog<St>,
    protocol: P,
    reads: bool,
}

impl<P, St> AuditLayer<P, St> {
    /// With a protocol of your own.
    pub const fn new(log: AuditLog<St>, protocol: P) -> Self {
        Self {
            log,
            protocol,
            reads: false,
        }
    }

    /// Sets whether operations that move no money are logged too (default: no).
    #[must_use]
    pub fn reads(mut self, logged: bool) -> Self {
        self.reads = logged;
        self
    }
}

impl<St> AuditLayer<Gateway, St> {
    /// Around typed calls.
    pub const fn gateway(log: AuditLog<St>) -> Self {
        Self::new(log, Gateway)
    }
}

impl<St> AuditLayer<Http, St> {
    /// Around an HTTP server's service.
    pub const fn http(log: AuditLog<St>) -> Self {
        Self::new(log, Http)
    }
}

impl<St> AuditLayer<HttpClient, St> {
    /// Around an HTTP client.
    pub const fn http_client(log: AuditLog<St>) -> Self {
        Self::new(log, HttpClient)
    }
}

impl<P: Clone, St> Clone for AuditLayer<P, St> {
    fn clone(&self) -> Self {
        Self {
            log: self.log.clone(),
            protocol: self.protocol.clone(),
            reads: self.reads,
        }
    }
}

impl<S, P: Clone, St> Layer<S> for AuditLayer<P, St> {
    type Service = Audit<S, P, St>;

    fn layer(&self, inner: S) -> Self::Service {
        Audit::new(inner, self.log.clone(), self.protocol.clone(), self.reads)
    }
}
