//! A store's server: private, in the run's folder, crashed in the midst of the storm, gone when the harness ends.

use crate::Error;
use crate::dice::Dice;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Started, crashed and stopped by the script of this name beside the harness.
#[derive(Debug)]
pub struct Server {
    script: Script,
    /// Where it listens.
    pub url: String,
}

impl Server {
    pub async fn start(name: &'static str, folder: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&folder)?;
        let script = Script {
            name,
            folder,
            turn: Arc::default(),
        };
        let url = script.run("start").await?.trim().to_owned();
        Ok(Self { script, url })
    }

    /// Crashes it soon, and then every few seconds until `over`. Answers with how often.
    pub async fn torment(self, seed: u64, mut over: watch::Receiver<bool>) -> Result<(Self, u64), Error> {
        let mut dice = Dice::about(seed, self.script.name);
        let mut crashes = 0;
        loop {
            // the first one soon, so that a short storm has one too
            let (from, to) = if crashes == 0 {
                (500, 2_000)
            } else {
                (2_000, 8_000)
            };
            let wait = Duration::from_millis(dice.within(from, to));
            tokio::select! {
                _ = over.changed() => return Ok((self, crashes)),
                () = tokio::time::sleep(wait) => {}
            }
            self.script.run("crash").await?;
            crashes += 1;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.script.run_now("stop");
    }
}

#[derive(Clone, Debug)]
struct Script {
    name: &'static str,
    folder: PathBuf,
    /// One at a time: a stop waits for a crash that starts the server again.
    turn: Arc<Mutex<()>>,
}

impl Script {
    async fn run(&self, action: &'static str) -> Result<String, Error> {
        let script = self.clone();
        tokio::task::spawn_blocking(move || script.run_now(action)).await?
    }

    fn run_now(&self, action: &str) -> Result<String, Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(self.name));
        command.arg(action).arg(&self.folder).stdin(Stdio::null());
        // Ctrl-C is for the harness alone
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let output = command.output()?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "tests/{} {action}: {}: {}",
                self.name,
                output.status,
                errors.trim()
            )
            .into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}
