//! The command line.

use http::{HeaderName, HeaderValue, Method};
use std::path::Path;
use std::time::Duration;
use tollgate_testkit::http_conformance::{
    Case, Commands, Counter, Profile, Target, Unusable, Variant, find_case,
};

pub(crate) const HELP: &str = "\
Does a server honour Idempotency-Key? Forty numbered cases, from outside: what it answers, and what it does.

usage: idempotency-conformance --base-url URL --counter URL [options]

what is asked
  --base-url URL          the server, as http://127.0.0.1:8080 (no TLS)
  --method METHOD         of the endpoint that has an effect (default: POST)
  --path PATH             of that endpoint (default: /)
  --body TEXT|@FILE       its body; {unique} stands for a value that no other request has
                          (default: {\"reference\": \"{unique}\"})
  --header 'NAME: VALUE'  with every request; may be given several times (default: Content-Type: application/json)
  --key-header NAME       the header that carries the key (default: Idempotency-Key)
  --quoted-keys           send keys in quotes, for servers that take no bare ones

how effects are counted
  --counter URL           a GET that answers a number, or JSON; a path of the server, or a whole URL
  --counter-pointer PTR   where the number is in the JSON, as /data/count; an array counts its items
  --counter-command CMD   instead: a shell command that prints a number

what is expected
  --profile NAME          ietf, stripe or auto (default: auto, by the server's answer to another body under a used key)

requests of other kinds; cases that need one are not applicable without it
  --body-for KIND=TEXT    the body that makes a request slow, declined, failing, empty, large or streamed:
                            slow      takes about a second
                            declined  gets a final 4xx, such as 402
                            failing   has its effect and gets a 5xx
                            empty     gets a 204
                            large     gets some megabytes
                            streamed  gets a body of unknown length
  --path-for KIND=PATH    the same by its path; both may be given
  --other-caller 'NAME: VALUE'   a header that makes another tenant of the caller
  --same-caller 'NAME: VALUE'    a header with another credential of the same tenant
  --restart CMD           starts the server again, and returns when it answers
  --expire CMD            ages what is stored beyond its retention
  --store-down CMD        takes the store of the keys away
  --store-up CMD          brings it back

how
  --timeout DURATION      for each answer and command (default: 10s)
  --settle DURATION       how long the counter must stand still before it is believed (default: 250ms)
  --parallel N            copies at once, from 2 to 1000 (default: 50)
  --oversize BYTES        of a request that is too large (default: 2097152)
  --only CASE             this case, by number or name; may be given several times
  --list                  print the cases and what they expect, and end
  --json                  end with one line of JSON instead of the report
  --help                  this page

Exit status: 0 when no case failed, 1 when one did, 2 when the options are wrong or the server cannot be looked at.
It has up to two hundred and fifty effects on the server, and nobody else may use it meanwhile.";

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    List,
    Run {
        target: Box<Target>,
        only: Vec<&'static Case>,
        json: bool,
    },
}

/// What the words said, before it is put together.
#[derive(Default)]
struct Said {
    base: Option<String>,
    counter: Option<String>,
    pointer: Option<String>,
    counter_command: Option<String>,
    method: Option<String>,
    path: Option<String>,
    body: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    key_header: Option<HeaderName>,
    quoted: bool,
    profile: Option<Profile>,
    variants: Vec<(Variant, Option<String>, Option<String>)>,
    other_caller: Option<(HeaderName, HeaderValue)>,
    same_caller: Option<(HeaderName, HeaderValue)>,
    commands: Commands,
    timeout: Option<Duration>,
    settle: Option<Duration>,
    parallel: Option<u32>,
    oversize: Option<usize>,
    only: Vec<&'static Case>,
    json: bool,
}

pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut said = Said::default();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word}: needs a value"));
        match word.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--list" => return Ok(Command::List),
            "--json" => said.json = true,
            "--quoted-keys" => said.quoted = true,
            _ => said.take(&word, value()?)?,
        }
    }
    said.command()
}

impl Said {
    /// One option that has a value.
    fn take(&mut self, option: &str, value: String) -> Result<(), String> {
        match option {
            "--base-url" => self.base = Some(value),
            "--counter" => self.counter = Some(value),
            "--counter-pointer" => self.pointer = Some(value),
            "--counter-command" => self.counter_command = Some(value),
            "--method" => self.method = Some(value),
            "--path" => self.path = Some(value),
            "--body" => self.body = Some(text(option, value)?),
            "--header" => self.headers.push(header(option, &value)?),
            "--key-header" => self.key_header = Some(number(option, &value, "a header's name")?),
            "--profile" => {
                let known = Profile::from_name(&value);
                self.profile =
                    Some(known.ok_or_else(|| format!("{option}: {value:?} is not ietf, stripe or auto"))?);
            }
            "--body-for" => {
                let (kind, body) = of_kind(option, &value)?;
                self.variants.push((kind, None, Some(text(option, body)?)));
            }
            "--path-for" => {
                let (kind, path) = of_kind(option, &value)?;
                self.variants.push((kind, Some(path), None));
            }
            "--other-caller" => self.other_caller = Some(header(option, &value)?),
            "--same-caller" => self.same_caller = Some(header(option, &value)?),
            "--restart" => self.commands.restart = Some(value),
            "--expire" => self.commands.expire = Some(value),
            "--store-down" => self.commands.store_down = Some(value),
            "--store-up" => self.commands.store_up = Some(value),
            "--timeout" => self.timeout = Some(duration(option, &value)?),
            "--settle" => self.settle = Some(duration(option, &value)?),
            "--parallel" => self.parallel = Some(number(option, &value, "a number")?),
            "--oversize" => self.oversize = Some(number(option, &value, "a number of bytes")?),
            "--only" => {
                let case = find_case(&value);
                self.only.push(
                    case.ok_or_else(|| format!("{option}: there is no case {value:?}; --list prints them"))?,
                );
            }
            _ => return Err(format!("{option} is not an option; --help prints them")),
        }
        Ok(())
    }

    fn command(self) -> Result<Command, String> {
        let base = self.base.ok_or("--base-url: is missing; --help says more")?;
        let counter = match (self.counter, self.counter_command) {
            (Some(url), None) => Counter::Url {
                url,
                pointer: self.pointer.unwrap_or_default(),
            },
            (None, Some(command)) => Counter::Command(command),
            (Some(_), Some(_)) => return Err("--counter, --counter-command: only one of them".into()),
            (None, None) => {
                return Err("--counter: is missing, and --counter-command too; --help says more".into());
            }
        };
        let mut target = Target::new(&base, counter).map_err(|error: Unusable| error.to_string())?;
        let method = self.method.as_deref().unwrap_or("POST");
        let method: Method = number("--method", method, "a method")?;
        let body = self.body.unwrap_or_else(|| r#"{"reference": "{unique}"}"#.into());
        target = target
            .endpoint(method, self.path.unwrap_or_else(|| "/".into()), body)
            .profile(self.profile.unwrap_or_default())
            .commands(self.commands);
        for (name, value) in self.headers {
            target = target.header(name, value);
        }
        for (kind, path, body) in self.variants {
            target = target.variant(kind, path, body);
        }
        if self.quoted {
            target = target.quoted_keys();
        }
        if let Some(name) = self.key_header {
            target = target.key_header(name);
        }
        if let Some((name, value)) = self.other_caller {
            target = target.other_caller(name, value);
        }
        if let Some((name, value)) = self.same_caller {
            target = target.same_caller(name, value);
        }
        if let Some(timeout) = self.timeout {
            target = target.timeout(timeout);
        }
        if let Some(still) = self.settle {
            target = target.settle(still);
        }
        if let Some(copies) = self.parallel {
            target = target.parallel(copies);
        }
        if let Some(bytes) = self.oversize {
            target = target.oversize(bytes);
        }
        Ok(Command::Run {
            target: Box::new(target),
            only: self.only,
            json: self.json,
        })
    }
}

/// The text, or what is in the file behind an `@`.
fn text(option: &str, value: String) -> Result<String, String> {
    match value.strip_prefix('@') {
        None => Ok(value),
        Some(path) => {
            std::fs::read_to_string(Path::new(path)).map_err(|error| format!("{option}: {path}: {error}"))
        }
    }
}

fn number<T: std::str::FromStr>(option: &str, value: &str, what: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{option}: {value:?} is not {what}"))
}

fn duration(option: &str, value: &str) -> Result<Duration, String> {
    humantime::parse_duration(value).map_err(|error| format!("{option}: {value:?}: {error}"))
}

fn header(option: &str, line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("{option}: {line:?} is not of the form 'Name: value'");
    let (name, value) = line.split_once(':').ok_or_else(wrong)?;
    Ok((
        name.trim().parse().map_err(|_| wrong())?,
        value.trim().parse().map_err(|_| wrong())?,
    ))
}

fn of_kind(option: &str, value: &str) -> Result<(Variant, String), String> {
    let (kind, rest) = value
        .split_once('=')
        .ok_or_else(|| format!("{option}: {value:?} is not of the form KIND=VALUE"))?;
    let names: Vec<_> = Variant::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = Variant::from_name(kind)
        .ok_or_else(|| format!("{option}: {kind:?} is none of {}", names.join(", ")))?;
    Ok((kind, rest.to_owned()))
}
