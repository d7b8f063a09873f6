//! The `MakeWriter` of tracing-subscriber.

use super::{RedactingWriter, Tally};
use crate::redactor::Redactor;
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;

/// Masks card data in everything that a formatting layer of tracing-subscriber writes: message, fields of events and
/// spans, targets, errors.
///
/// ```
/// use tollgate_redact::RedactingMakeWriter;
/// use tracing_subscriber::fmt;
///
/// let writer = RedactingMakeWriter::new(std::io::stderr);
/// let masked = writer.tally(); // publish it as a metric
/// let subscriber = fmt().with_writer(writer).finish();
///
/// tracing::subscriber::with_default(subscriber, || {
///     tracing::warn!(number = 4111111111111111u64, "declined"); // prints number=************1111
/// });
/// assert_eq!(masked.total(), 1);
/// ```
///
/// # What to mind
/// - It covers the layer it is given to and no other. A second `fmt` layer, OpenTelemetry or journald need their own.
/// - Put a queue *behind* it: `RedactingMakeWriter::new(non_blocking)`, so that no raw number waits in memory.
/// - `println!`, `dbg!` and panic messages go past every subscriber.
/// - tracing-subscriber keeps the last raw line of each thread in a buffer that it does not wipe.
///
/// Each event has its own writer, so its line is passed on in one `write` when it ends, whether or not it ends in a line
/// break.
#[derive(Clone, Debug)]
pub struct RedactingMakeWriter<M> {
    inner: M,
    redactor: Redactor,
    tally: Arc<Tally>,
}

impl<M> RedactingMakeWriter<M> {
    /// Wraps what makes the writers, such as `std::io::stderr`, in the default profile.
    pub fn new(inner: M) -> Self {
        Self {
            inner,
            redactor: Redactor::new(),
            tally: Arc::default(),
        }
    }

    /// [`Redactor::new`] by default. What masks.
    #[must_use]
    pub fn redactor(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// How many secrets were masked, over all writers that this one and its clones made.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for RedactingMakeWriter<M> {
    type Writer = RedactingWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        RedactingWriter::with(self.inner.make_writer(), self.redactor, self.tally())
    }

    fn make_writer_for(&'a self, meta: &tracing::Metadata<'_>) -> Self::Writer {
        RedactingWriter::with(self.inner.make_writer_for(meta), self.redactor, self.tally())
    }
}
