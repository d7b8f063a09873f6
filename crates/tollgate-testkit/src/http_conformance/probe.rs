//! Asks a server and counts its effects.

use super::target::{Counter, Profile, Target, UNIQUE, Unusable, Variant};
use super::wire::{Answer, Ask, Seen, Wire, told};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

/// A server that was reached, whose endpoint has its effect and whose counter counts it.
#[derive(Debug)]
pub struct Probe {
    pub(super) target: Target,
    pub(super) wire: Wire,
    profile: Profile,
    run: u64,
    serial: AtomicU64,
}

impl Probe {
    /// Reaches the server, makes one request, and sees it counted. For [`Profile::Auto`], sends another one under its key to see whose
    /// words the server uses.
    ///
    /// # Errors
    /// [`Unusable`], with the option to blame: nobody answers, the endpoint refuses, the counter does not count.
    pub async fn new(target: Target) -> Result<Self, Unusable> {
        let mut probe = Self {
            wire: Wire::new(&target),
            profile: target.profile,
            target,
            run: RandomState::new().build_hasher().finish(),
            serial: AtomicU64::new(0),
        };
        probe.target.is_usable()?;
        drop(probe.wire.connect().await?);
        let before = probe.count().await?;
        let key = probe.key();
        let first = match probe.send(&probe.ask(&key)).await {
            Ok(answer) if answer.is_success() => answer,
            other => {
                let (method, path) = (&probe.target.method, &probe.target.path);
                let body = other.as_ref().map(start_of_body).unwrap_or_default();
                return Err(Unusable::new(
                    "--path",
                    format!(
                        "{method} {path} should succeed (see also --body, --header): {}{body}",
                        told(&other)
                    ),
                ));
            }
        };
        let moved = probe.count().await? - before;
        if moved != 1 {
            return Err(Unusable::new(
                probe.counter_option(),
                format!(
                    "it moved by {moved} where one request succeeded ({first}): it has to count each effect once, and nobody else \
                         may use the server meanwhile"
                ),
            ));
        }
        if probe.profile == Profile::Auto {
            // another unique value, so another request
            probe.profile = match probe.send(&probe.ask(&key)).await {
                Ok(answer) if says_idempotency_error(&answer) => Profile::Stripe,
                _ => Profile::Ietf,
            };
        }
        Ok(probe)
    }

    /// Whose words are expected: never [`Profile::Auto`].
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    pub(super) fn is_stripe(&self) -> bool {
        self.profile == Profile::Stripe
    }

    fn next(&self) -> u64 {
        self.serial.fetch_add(1, Relaxed)
    }

    /// A key that nobody used.
    pub(super) fn key(&self) -> String {
        format!("conformance-{:016x}-{}", self.run, self.next())
    }

    /// A request that nobody made, under `key`.
    pub(super) fn ask(&self, key: &str) -> Ask {
        self.rekeyed(&self.keyless(), key)
    }

    /// The same under a key that is not what it should be: any number of header lines, any bytes.
    pub(super) fn ask_with(&self, keys: &[&str]) -> Ask {
        let mut ask = self.keyless();
        for key in keys {
            ask.headers.append(&self.target.key_header, header(key));
        }
        ask
    }

    pub(super) fn keyless(&self) -> Ask {
        self.made_of(&self.target.path, &self.target.body)
    }

    /// The same request under another key.
    pub(super) fn rekeyed(&self, ask: &Ask, key: &str) -> Ask {
        let value = if self.target.quoted {
            header(&quoted(key))
        } else {
            header(key)
        };
        ask.clone().with(&(self.target.key_header.clone(), value))
    }

    fn made_of(&self, path: &str, body: &str) -> Ask {
        let unique = format!("{:016x}-{}", self.run, self.next());
        Ask {
            method: self.target.method.clone(),
            path: self.wire.full_path(&path.replace(UNIQUE, &unique)),
            headers: self.target.headers.iter().cloned().collect(),
            body: body.replace(UNIQUE, &unique).into(),
        }
    }

    /// A request of another kind under `key`, if the options say how it is made.
    pub(super) fn variant(&self, variant: Variant, key: &str) -> Option<Ask> {
        let (path, body) = self.target.variants.get(&variant)?;
        let path = path.as_ref().unwrap_or(&self.target.path);
        let body = body.as_ref().unwrap_or(&self.target.body);
        Some(self.rekeyed(&self.made_of(path, body), key))
    }

    pub(super) async fn send(&self, ask: &Ask) -> Seen {
        self.wire.send(ask).await
    }

    /// Sends until the answer is something else than "still running", which a repeat right after a broken connection may well be told.
    pub(super) async fn send_until_settled(&self, ask: &Ask) -> Seen {
        let until = Instant::now() + self.target.timeout;
        loop {
            let seen = self.send(ask).await;
            match &seen {
                Ok(answer) if answer.status == 409 && Instant::now() < until => {
                    sleep(Duration::from_millis(100)).await;
                }
                _ => return seen,
            }
        }
    }

    /// All at once.
    pub(super) async fn send_all(&self, asks: Vec<Ask>) -> Vec<Seen> {
        let mut running = tokio::task::JoinSet::new();
        for ask in asks {
            let wire = self.wire.clone();
            running.spawn(async move { wire.send(&ask).await });
        }
        running.join_all().await
    }

    const fn counter_option(&self) -> &'static str {
        match self.target.counter {
            Counter::Url { .. } => "--counter",
            Counter::Command(_) => "--counter-command",
        }
    }

    /// How many effects there are.
    ///
    /// # Errors
    /// [`Unusable`] when the counter does not answer with a number.
    pub async fn count(&self) -> Result<i64, Unusable> {
        match &self.target.counter {
            Counter::Url { url, pointer } => self.count_at(url, pointer).await,
            Counter::Command(command) => {
                let output = self.run("--counter-command", command).await?;
                output.trim().parse().map_err(|_| {
                    Unusable::new(
                        "--counter-command",
                        format!("its output is not a number: {output:?}"),
                    )
                })
            }
        }
    }

    async fn count_at(&self, url: &str, pointer: &str) -> Result<i64, Unusable> {
        let ask = Ask {
            method: Method::GET,
            path: String::new(),
            headers: self
                .target
                .headers
                .iter()
                .filter(|(name, _)| *name != http::header::CONTENT_TYPE)
                .cloned()
                .collect::<HeaderMap>(),
            body: Bytes::new(),
        };
        let whole = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{}{}", self.wire.authority, self.wire.full_path(url)),
        };
        let wrong = |why: String| Unusable::new("--counter", format!("GET {whole}: {why}"));
        match self.wire.send_to(&whole, &ask).await {
            Ok(answer) if answer.is_success() => number_in(&answer, pointer).map_err(wrong),
            other => Err(wrong(told(&other))),
        }
    }

    /// The effects since `before`, once no more come: whoever was cut off may still be at work.
    pub(super) async fn effects_since(&self, before: i64) -> Result<i64, Unusable> {
        let until = Instant::now() + self.target.timeout;
        let mut last = self.count().await?;
        loop {
            sleep(self.target.settle).await;
            let now = self.count().await?;
            if now == last || Instant::now() > until {
                return Ok(now - before);
            }
            last = now;
        }
    }

    /// Runs a shell command and returns what it printed.
    pub(super) async fn run(&self, option: &'static str, command: &str) -> Result<String, Unusable> {
        let wrong = |why: String| Unusable::new(option, format!("{command:?}: {why}"));
        let running = output_of(command);
        let output = match timeout(self.target.timeout, running).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(wrong(error.to_string())),
            Err(_) => return Err(wrong("it takes longer than --timeout".into())),
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(wrong(format!("{}; {}", output.status, said.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Runs a shell command to its end. Of what it prints, the start is kept: a number is short, and so is a complaint.
async fn output_of(command: &str) -> io::Result<Output> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let printed = (start_of(child.stdout.take()), start_of(child.stderr.take()));
    let (stdout, stderr) = tokio::try_join!(printed.0, printed.1)?;
    Ok(Output {
        status: child.wait().await?,
        stdout,
        stderr,
    })
}

async fn start_of(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(4096);
        pipe.read_to_end(&mut start).await?;
        tokio::io::copy(&mut pipe.into_inner(), &mut tokio::io::sink()).await?;
    }
    Ok(start)
}

/// What Stripe says to another request under a used key.
pub(super) fn says_idempotency_error(answer: &Answer) -> bool {
    answer.status == 400
        && answer
            .json("/error/type")
            .is_some_and(|kind| kind == "idempotency_error")
}

/// A key as the draft has it.
pub(super) fn quoted(key: &str) -> String {
    format!("\"{key}\"")
}

fn header(key: &str) -> HeaderValue {
    // the cases' own keys hold nothing that a header could not
    HeaderValue::from_str(key).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

fn number_in(answer: &Answer, pointer: &str) -> Result<i64, String> {
    let found = answer.json(pointer).ok_or_else(|| {
        if pointer.is_empty() {
            format!("the answer is not a number{}", start_of_body(answer))
        } else {
            format!(
                "there is nothing at --counter-pointer {pointer:?}{}",
                start_of_body(answer)
            )
        }
    })?;
    match &found {
        serde_json::Value::Array(items) => i64::try_from(items.len()).map_err(|error| error.to_string()),
        serde_json::Value::Number(number) => number
            .as_i64()
            .ok_or_else(|| format!("{number} is not a whole number")),
        _ => Err(format!(
            "not a number{} (see --counter-pointer)",
            start_of_body(answer)
        )),
    }
}

/// For error messages: the first line of a body, as much of it as is useful.
fn start_of_body(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let start: String = text
        .chars()
        .take(120)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!(": {start:?}")
}
