//! A server of a test's own, to crash it or to set it for all.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Stopped when it is dropped.
pub(crate) struct OwnServer(tempfile::TempDir);

impl OwnServer {
    fn script(action: &str, folder: &Path) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres");
        let output = Command::new(script).arg(action).arg(folder).output().unwrap();
        assert!(output.status.success(), "tests/postgres {action}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The server, and its URL.
    pub(crate) fn start() -> (Self, String) {
        let folder = tempfile::tempdir().unwrap();
        // root starts it as another user, who must be let in
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let url = Self::script("start", &folder.path().join("server"));
        (Self(folder), url)
    }

    /// Kills it, and starts it again.
    pub(crate) fn crash(&self) {
        Self::script("crash", &self.0.path().join("server"));
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        Self::script("stop", &self.0.path().join("server"));
    }
}
