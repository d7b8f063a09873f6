//! What is looked at: a server, one endpoint with an effect, and how its effects are counted.

use http::{HeaderName, HeaderValue, Method, Uri};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Stands in paths and bodies for a value that no other request has.
pub const UNIQUE: &str = "{unique}";

/// Why a server cannot be looked at. The message names the option of the command line that is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {why}")]
pub struct Unusable {
    option: &'static str,
    why: String,
}

impl Unusable {
    pub(super) fn new(option: &'static str, why: impl fmt::Display) -> Self {
        Self {
            option,
            why: why.to_string(),
        }
    }

    /// The option to blame, as `--counter`.
    #[must_use]
    pub const fn option(&self) -> &'static str {
        self.option
    }
}

/// Whose words the server is expected to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// draft-ietf-httpapi-idempotency-key-header: another request under a key is a 422.
    Ietf,
    /// Stripe's API: it is a 400 with `error.type` `idempotency_error`, and replays are marked.
    Stripe,
    /// Whichever of the two the server's answer to such a request looks like; `ietf` if like neither.
    #[default]
    Auto,
}

impl Profile {
    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ietf => "ietf",
            Self::Stripe => "stripe",
            Self::Auto => "auto",
        }
    }

    /// The profile with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ietf, Self::Stripe, Self::Auto]
            .into_iter()
            .find(|profile| profile.as_str() == name)
    }
}

/// How effects are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counter {
    /// A GET whose answer is a number, or JSON with one at `pointer` (RFC 6901). An array counts its items.
    Url {
        /// A path of the server, or a whole URL.
        url: String,
        /// Where in the JSON; empty for the whole answer.
        pointer: String,
    },
    /// A shell command whose output is a number.
    Command(String),
}

/// A kind of request that not every server can be asked for. Cases that need one are not applicable without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// Takes about a second, so that a second request meets it running.
    Slow,
    /// Is declined: a 4xx that is final, such as 402.
    Declined,
    /// Has its effect and then answers 5xx.
    Failing,
    /// Is answered 204, without a body.
    Empty,
    /// Is answered with a body of some megabytes.
    Large,
    /// Is answered with a body of unknown length, in chunks.
    Streamed,
}

impl Variant {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Slow,
        Self::Declined,
        Self::Failing,
        Self::Empty,
        Self::Large,
        Self::Streamed,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Declined => "declined",
            Self::Failing => "failing",
            Self::Empty => "empty",
            Self::Large => "large",
            Self::Streamed => "streamed",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| variant.as_str() == name)
    }
}

/// A server and how to look at it.
///
/// ```
/// use http::Method;
/// use tollgate_testkit::http_conformance::{Counter, Target, Variant};
///
/// let counter = Counter::Url { url: "/count".into(), pointer: String::new() };
/// let target = Target::new("http://127.0.0.1:8080", counter)
///     .unwrap()
///     .endpoint(Method::POST, "/charges", r#"{"amount": 100, "reference": "{unique}"}"#)
///     .variant(Variant::Slow, None, Some(r#"{"amount": 100, "reference": "{unique}", "wait_ms": 800}"#.into()));
/// assert_eq!(target.base().to_string(), "http://127.0.0.1:8080/");
/// let error = Target::new("https://shop.example", Counter::Command("echo 0".into())).unwrap_err();
/// assert_eq!(error.option(), "--base-url"); // TLS is not spoken
/// ```
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) base: Uri,
    pub(super) counter: Counter,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: String,
    pub(super) key_header: HeaderName,
    pub(super) quoted: bool,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) profile: Profile,
    pub(super) timeout: Duration,
    pub(super) settle: Duration,
    pub(super) parallel: u32,
    pub(super) oversize: usize,
    pub(super) variants: BTreeMap<Variant, (Option<String>, Option<String>)>,
    pub(super) other_caller: Option<(HeaderName, HeaderValue)>,
    pub(super) same_caller: Option<(HeaderName, HeaderValue)>,
    pub(super) commands: Commands,
}

/// Shell commands that do to the server what no request can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// Makes every stored answer older than its retention.
    pub expire: Option<String>,
    /// Starts the server again, and returns when it answers.
    pub restart: Option<String>,
    /// Takes the store away that the keys are in.
    pub store_down: Option<String>,
    /// Brings it back.
    pub store_up: Option<String>,
}

impl Target {
    /// POST of a JSON body with nothing but a unique reference to the server's root.
    ///
    /// # Errors
    /// [`Unusable`] when `base` is no `http://host:port[/prefix]`.
    pub fn new(base: &str, counter: Counter) -> Result<Self, Unusable> {
        let wrong = |why: &str| Unusable::new("--base-url", format!("{base:?} {why}"));
        let parsed: Uri = base
            .parse()
            .map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        match (parsed.scheme_str(), parsed.host()) {
            (Some("http"), Some(host)) if !host.is_empty() => {}
            (Some("https"), _) => {
                return Err(wrong(
                    "speaks TLS, this does not: take a plain port, or a proxy in front",
                ));
            }
            _ => return Err(wrong("is not of the form http://host:port")),
        }
        if parsed.query().is_some() {
            return Err(wrong("has a query; it belongs to --path"));
        }
        if parsed.authority().is_some_and(|host| host.as_str().contains('@')) {
            return Err(wrong("names a user; that belongs to --header 'Authorization: …'"));
        }
        Ok(Self {
            base: parsed,
            counter,
            method: Method::POST,
            path: "/".into(),
            body: format!("{{\"reference\": \"{UNIQUE}\"}}"),
            key_header: HeaderName::from_static("idempotency-key"),
            quoted: false,
            headers: vec![(
                http::header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            )],
            profile: Profile::Auto,
            timeout: Duration::from_secs(10),
            settle: Duration::from_millis(250),
            parallel: 50,
            oversize: 2 << 20,
            variants: BTreeMap::new(),
            other_caller: None,
            same_caller: None,
            commands: Commands::default(),
        })
    }

    /// Where the server is.
    #[must_use]
    pub const fn base(&self) -> &Uri {
        &self.base
    }

    /// Sets the endpoint that has an effect (default: POST `/`, a JSON object with a unique `reference`). [`UNIQUE`] in path and body is
    /// replaced by a value that no other request has.
    #[must_use]
    pub fn endpoint(mut self, method: Method, path: impl Into<String>, body: impl Into<String>) -> Self {
        (self.method, self.path, self.body) = (method, path.into(), body.into());
        self
    }

    /// Sets the header that carries the key (default: `Idempotency-Key`).
    #[must_use]
    pub fn key_header(mut self, name: HeaderName) -> Self {
        self.key_header = name;
        self
    }

    /// Sends keys in quotes, as the draft has them (default: bare, as most clients send them). For servers that take nothing else.
    #[must_use]
    pub const fn quoted_keys(mut self) -> Self {
        self.quoted = true;
        self
    }

    /// Adds a header to every request, or replaces the one of that name (default: `Content-Type: application/json`).
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    /// Sets whose words are expected (default: [`Profile::Auto`]).
    #[must_use]
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets how long an answer may take (default: 10 s).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long the counter must stand still before it is believed (default: 250 ms), where a call that was cut off may still be at
    /// work.
    #[must_use]
    pub const fn settle(mut self, still: Duration) -> Self {
        self.settle = still;
        self
    }

    /// Sets how many copies of one request are sent at once at most (default: 50; from 2 to 1,000).
    #[must_use]
    pub const fn parallel(mut self, copies: u32) -> Self {
        self.parallel = copies;
        self
    }

    /// Sets the size in bytes of a request that is too large (default: 2 MiB).
    #[must_use]
    pub const fn oversize(mut self, bytes: usize) -> Self {
        self.oversize = bytes;
        self
    }

    /// Says how a request of another kind is made: another path, another body, or both (default: there is none).
    #[must_use]
    pub fn variant(mut self, variant: Variant, path: Option<String>, body: Option<String>) -> Self {
        let known = self.variants.entry(variant).or_default();
        known.0 = path.or(known.0.take());
        known.1 = body.or(known.1.take());
        self
    }

    /// Sets a header that makes another tenant of a request (default: there is none).
    #[must_use]
    pub fn other_caller(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.other_caller = Some((name, value));
        self
    }

    /// Sets a header with another credential of the *same* tenant: a refreshed token (default: there is none).
    #[must_use]
    pub fn same_caller(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.same_caller = Some((name, value));
        self
    }

    /// Sets the commands that do to the server what no request can (default: none).
    #[must_use]
    pub fn commands(mut self, commands: Commands) -> Self {
        self.commands = commands;
        self
    }

    /// Whether the cases can do with this what they say they do.
    pub(super) fn is_usable(&self) -> Result<(), Unusable> {
        let wrong = |option, why: String| Err(Unusable::new(option, why));
        if !self.body.contains(UNIQUE) {
            let why = format!("it needs a place for {UNIQUE}, so that two requests can differ");
            return wrong("--body", why);
        }
        if let Some((name, _)) = self.headers.iter().find(|(name, _)| self.is_taken(name)) {
            let why = format!("{name} is for the cases to send, each its own (see --key-header)");
            return wrong("--header", why);
        }
        match &self.counter {
            Counter::Url { url, .. } if url.contains("://") && !url.starts_with("http://") => {
                let why = format!(
                    "{url:?} is not of the form http://…, and this speaks no TLS (see --counter-command)"
                );
                return wrong("--counter", why);
            }
            _ => {}
        }
        if self.timeout.is_zero() {
            return wrong("--timeout", "nothing is answered in no time".into());
        }
        if !(2..=1_000).contains(&self.parallel) {
            let why = format!("{} is not from 2, which make a race, to 1000", self.parallel);
            return wrong("--parallel", why);
        }
        if self.oversize <= self.body.len() {
            let why = format!("{} bytes are not more than --body has", self.oversize);
            return wrong("--oversize", why);
        }
        Ok(())
    }

    /// Headers that say where a body ends, and the key.
    fn is_taken(&self, name: &HeaderName) -> bool {
        use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
        *name == self.key_header || [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION].contains(name)
    }
}
