//! Private servers, by the scripts that the tests use.

use crate::Failure;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A server of ours, stopped when dropped.
pub(crate) struct Server {
    script: PathBuf,
    folder: TempDir,
    pub(crate) url: String,
}

impl Server {
    /// Starts one by `tests/<name>`.
    pub(crate) fn start(name: &str) -> Result<Self, Failure> {
        let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests")).join(name);
        let folder = tempfile::tempdir()?;
        // a server may run as a user of its own, who must be let in
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let started = Command::new(&script)
            .arg("start")
            .arg(folder.path().join("server"))
            .output()?;
        if !started.status.success() {
            return Err(String::from_utf8_lossy(&started.stderr).into_owned().into());
        }
        let url = String::from_utf8(started.stdout)?.trim().to_owned();
        Ok(Self { script, folder, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let folder = self.folder.path().join("server");
        let _ = Command::new(&self.script).arg("stop").arg(folder).output();
    }
}

/// What a program prints, if it is installed and ends well.
pub(crate) async fn output_of(command: &mut tokio::process::Command) -> Option<String> {
    let ran = command.output().await.ok()?;
    ran.status
        .success()
        .then(|| String::from_utf8_lossy(&ran.stdout).into_owned())
}

/// The whole number behind `before`, as far as it goes.
pub(crate) fn number_after(text: &str, before: &str) -> Option<u64> {
    let (_, rest) = text.split_once(before)?;
    let digits: String = rest
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok()
}
