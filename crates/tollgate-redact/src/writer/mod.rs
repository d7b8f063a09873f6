//! A writer that masks what goes through it: the last defence, between whatever formats a line and whatever stores it.
//!
//! # What it prevents
//! A card number in an error's text, a request's body or a span's field reaches the log. It is masked here whatever path it
//! took and however the bytes were cut into writes: the writer holds back what may be part of a secret until it is clear.
//!
//! # The smallest use
//! ```
//! use std::io::Write;
//! use tollgate_redact::RedactingWriter;
//!
//! let mut log = Vec::new();
//! let mut writer = RedactingWriter::new(&mut log);
//! writer.write_all(b"paid with 4111 1111 ")?;
//! writer.write_all(b"1111 1111\n")?;
//! drop(writer);
//! assert_eq!(log, b"paid with ************1111\n");
//! # Ok::<(), std::io::Error>(())
//! ```
//! For tracing-subscriber, wrap the `MakeWriter` of every layer that formats (feature `tracing`): `RedactingMakeWriter`.
//!
//! # When it acts
//! At each line end everything before it is masked and passed on, in one `write`. `flush` passes on, in addition, what no
//! continuation could turn into a part of a secret, and keeps the rest: a flush in the middle of a number must not leak its
//! beginning. A line of more than 64 KiB is passed on in parts, and no more memory than that is held.
//!
//! # What a drop means
//! The text ends: all that is held is masked, passed on and flushed. An error at that point has nowhere to go; to see it,
//! call [`RedactingWriter::finish`] first.

#[cfg(feature = "tracing")]
mod make;
mod stream;
mod tally;
#[cfg(test)]
mod tests;

#[cfg(feature = "tracing")]
pub use make::RedactingMakeWriter;
pub use tally::Tally;

use crate::redactor::Redactor;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use stream::Stream;

/// Masks card data in everything that is written, and passes it on. The [module](self) says when.
///
/// It takes every buffer whole and loses nothing: when the inner writer fails in the middle of a line, the rest is kept,
/// masked, and is the first thing sent by the next call. A call that gives an error has taken nothing of its own buffer.
pub struct RedactingWriter<W: Write> {
    inner: W,
    stream: Stream,
    /// Masked, and not yet taken by the inner writer from `sent` on.
    out: Vec<u8>,
    sent: usize,
    tally: Arc<Tally>,
}

impl<W: Write> RedactingWriter<W> {
    /// A writer in the default profile.
    pub fn new(inner: W) -> Self {
        Self::with(inner, Redactor::new(), Arc::default())
    }

    /// A writer that masks with this redactor and counts in this tally.
    pub fn with(inner: W, redactor: Redactor, tally: Arc<Tally>) -> Self {
        Self {
            inner,
            stream: Stream::new(redactor),
            out: Vec::new(),
            sent: 0,
            tally,
        }
    }

    /// The inner writer.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// How many secrets were masked.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// How many bytes are held because they may be part of a secret, or because the inner writer would not take them.
    pub fn held(&self) -> usize {
        self.stream.held() + self.out.len() - self.sent
    }

    /// Says that the text ends here: everything that is held is masked, passed on and flushed. What is written after this
    /// begins a new text.
    ///
    /// # Errors
    /// The inner writer's. What it did not take is kept, and the next call of any method tries again.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.finish(&mut self.out, &self.tally);
        self.send()?;
        self.inner.flush()
    }

    /// Passes on what is masked.
    fn send(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.inner.write(&self.out[self.sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Passes on what was just masked. The bytes it came from are taken already, so an error waits for the next call.
    fn send_or_keep(&mut self, masked: &[u8]) -> io::Result<()> {
        match self.inner.write(masked) {
            Ok(0) if !masked.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                self.out.extend_from_slice(&masked[count..]);
                self.try_send();
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn try_send(&mut self) {
        // What is not sent is kept in `out`, and the next call meets the error before it takes anything.
        drop(self.send());
    }
}

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send()?;
        if let Some(masked) = self.stream.whole_lines(bytes, &self.tally) {
            self.send_or_keep(&masked)?;
        } else {
            self.stream.push(bytes, &mut self.out, &self.tally);
            self.try_send();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.settle(&mut self.out, &self.tally);
        self.send()?;
        self.inner.flush()
    }
}

impl<W: Write> Drop for RedactingWriter<W> {
    fn drop(&mut self) {
        if self.held() > 0 {
            drop(self.finish());
        }
    }
}

/// Never shows the held text, which is raw.
impl<W: Write> fmt::Debug for RedactingWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedactingWriter")
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}
