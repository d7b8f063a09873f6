//! This program again, in another role.

use crate::Error;
use serde::Serialize;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A process that has said that it is ready. It is killed when this is dropped, and ends by itself when the harness is gone.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// It ends when this is closed. Not left with the child, which closes it as soon as somebody waits for its end.
    _lifeline: ChildStdin,
    pub ports: Vec<u16>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it and waits for its ports. What it complains about goes to the file at `path`.
    pub async fn start(
        role: &str,
        told: &impl Serialize,
        path: &Path,
        environment: &[(&str, String)],
    ) -> Result<Self, Error> {
        let log = OpenOptions::new().create(true).append(true).open(path)?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--role", role, &serde_json::to_string(told)?])
            .envs(environment.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C is for the harness alone, which has to judge before it ends the others
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let lifeline = child.stdin.take().ok_or("no standard input")?;
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
        let line = match first {
            Ok(Ok(Some(line))) => line,
            Ok(_) => {
                return Err(format!(
                    "the {role} process ended before it was ready: {}",
                    last_word(path)
                )
                .into());
            }
            Err(_) => return Err(format!("the {role} process was not ready after 30 s").into()),
        };
        let words = line.strip_prefix("ready").unwrap_or_default().split_whitespace();
        let ports: Result<_, _> = words.map(str::parse).collect();
        Ok(Self {
            child,
            _lifeline: lifeline,
            ports: ports.map_err(|_| format!("the {role} process said {line:?}"))?,
            lines,
        })
    }

    /// Its next line, or `None` when it has ended.
    pub async fn line(&mut self) -> Option<String> {
        self.lines.next_line().await.ok().flatten()
    }

    /// SIGKILL: no handler runs, nothing is flushed, nothing is said.
    pub async fn kill(&mut self) -> Result<(), Error> {
        Ok(self.child.kill().await?)
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<ExitStatus, Error> {
        Ok(self.child.wait().await?)
    }

    /// SIGSTOP: it holds what it holds, and does not know that time goes on.
    pub async fn freeze(&self) -> Result<(), Error> {
        self.signal("STOP").await
    }

    /// SIGCONT.
    pub async fn thaw(&self) -> Result<(), Error> {
        self.signal("CONT").await
    }

    async fn signal(&self, name: &str) -> Result<(), Error> {
        let Some(id) = self.child.id() else { return Ok(()) };
        let script = format!("kill -{name} {id}");
        // it may have ended by itself in between
        let _ = Command::new("sh")
            .args(["-c", &script])
            .stderr(Stdio::null())
            .status()
            .await?;
        Ok(())
    }
}

/// The last line of a log.
fn last_word(path: &Path) -> String {
    let log = std::fs::read_to_string(path).unwrap_or_default();
    log.lines().next_back().unwrap_or("no word in its log").to_owned()
}
