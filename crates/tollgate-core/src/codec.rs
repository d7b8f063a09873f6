//! Canonical bytes: what fingerprints are taken over and what stored answers are made of.
//!
//! Every value is written with a fixed width or behind its length, so no two different sequences of values have
//! the same bytes. A [`Recorded`] type starts with its schema number; a reader that does not know the number says
//! so instead of guessing.

/// Collects canonical bytes, on the stack for ordinary messages.
///
/// ```
/// use tollgate_core::codec::{Decoder, Encoder};
///
/// let mut out = Encoder::new();
/// out.text("charge").int(1999).optional_text(None);
/// let mut back = Decoder::new(out.as_bytes());
/// assert_eq!(back.text(), Some("charge"));
/// assert_eq!(back.int(), Some(1999));
/// assert_eq!(back.optional_text(), Some(None));
/// assert!(back.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Encoder {
    stack: [u8; Self::ON_STACK],
    length: usize,
    spilled: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// Messages up to this many bytes cost no allocation.
    pub const ON_STACK: usize = 192;

    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            stack: [0; Self::ON_STACK],
            length: 0,
            spilled: Vec::new(),
        }
    }

    /// Bytes as they are. Only for values of a fixed width.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        let end = self.length + bytes.len();
        if self.spilled.is_empty() && end <= Self::ON_STACK {
            self.stack[self.length..end].copy_from_slice(bytes);
            self.length = end;
        } else {
            if self.spilled.is_empty() {
                self.spilled.extend_from_slice(&self.stack[..self.length]);
            }
            self.spilled.extend_from_slice(bytes);
        }
        self
    }

    /// As [`raw`](Self::raw), of a width that the compiler knows: one store, where the other calls for a copy.
    fn fixed<const N: usize>(&mut self, bytes: [u8; N]) -> &mut Self {
        match self.stack[self.length..].first_chunk_mut() {
            Some(place) if self.spilled.is_empty() => {
                *place = bytes;
                self.length += N;
                self
            }
            _ => self.raw(&bytes),
        }
    }

    /// One byte.
    pub fn byte(&mut self, value: u8) -> &mut Self {
        self.fixed([value])
    }

    /// A whole number.
    pub fn int(&mut self, value: i64) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// A number that counts.
    pub fn count(&mut self, value: u64) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        match u8::try_from(value.len()) {
            Ok(short) if short < 255 => self.byte(short),
            _ => self
                .byte(255)
                .count(u64::try_from(value.len()).unwrap_or(u64::MAX)),
        };
        self.raw(value)
    }

    /// Text behind its length.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Text that may be absent; absent and empty differ.
    pub fn optional_text(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            None => self.byte(0),
            Some(text) => self.byte(1).text(text),
        }
    }

    /// A number that may be absent.
    pub fn optional_int(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            None => self.byte(0),
            Some(number) => self.byte(1).int(number),
        }
    }

    /// What was written.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        if self.spilled.is_empty() {
            &self.stack[..self.length]
        } else {
            &self.spilled
        }
    }
}

/// Reads what an [`Encoder`] wrote. Every method answers `None` when the bytes do not hold that.
#[derive(Clone, Debug)]
pub struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// Reads from the start.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of a fixed width.
    pub fn raw<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (value, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*value)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.raw::<1>().map(|[byte]| byte)
    }

    /// A whole number.
    pub fn int(&mut self) -> Option<i64> {
        self.raw().map(i64::from_be_bytes)
    }

    /// A number that counts.
    pub fn count(&mut self) -> Option<u64> {
        self.raw().map(u64::from_be_bytes)
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            255 => usize::try_from(self.count()?).ok()?,
            short => usize::from(short),
        };
        let (value, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(value)
    }

    /// Text behind its length.
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Text that may be absent.
    pub fn optional_text(&mut self) -> Option<Option<&'a str>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.text().map(Some),
            _ => None,
        }
    }

    /// A number that may be absent.
    pub fn optional_int(&mut self) -> Option<Option<i64>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.int().map(Some),
            _ => None,
        }
    }
}

/// A value with a stored form that outlives the build that wrote it.
///
/// `SCHEMA` is written in front; when the form changes, raise it and teach `decode` the older ones. Keep golden
/// bytes of every past schema in tests: a record that this build cannot read is answered with `not-replayable`,
/// never treated as absent.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no stored form, so it cannot be replayed",
    note = "implement `tollgate_core::codec::Recorded` for `{Self}`"
)]
pub trait Recorded: Sized {
    /// The number of the form that [`encode`](Self::encode) writes.
    const SCHEMA: u16;

    /// Writes the form of `SCHEMA`.
    fn encode(&self, out: &mut Encoder);

    /// Reads the form of `schema`, which may be an older one. `None` when it cannot.
    fn decode(schema: u16, bytes: &mut Decoder<'_>) -> Option<Self>;

    /// The stored bytes: the schema number, then the form.
    fn to_recorded(&self) -> Encoder {
        let mut out = Encoder::new();
        out.raw(&Self::SCHEMA.to_be_bytes());
        self.encode(&mut out);
        out
    }

    /// Reads stored bytes; all of them, or none.
    fn from_recorded(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Decoder::new(bytes);
        let schema = u16::from_be_bytes(bytes.raw()?);
        let value = Self::decode(schema, &mut bytes)?;
        bytes.is_empty().then_some(value)
    }
}

impl Recorded for () {
    const SCHEMA: u16 = 1;
    fn encode(&self, _: &mut Encoder) {}
    fn decode(schema: u16, _: &mut Decoder<'_>) -> Option<Self> {
        (schema == 1).then_some(())
    }
}
