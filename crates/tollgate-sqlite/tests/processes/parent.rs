//! Starts children, listens to them, kills them.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

/// What a child finds in its environment.
pub(crate) const ROLE: &str = "TOLLGATE_CHILD_ROLE";
pub(crate) const FILE: &str = "TOLLGATE_CHILD_FILE";
pub(crate) const NAME: &str = "TOLLGATE_CHILD_NAME";

pub(crate) fn fresh() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.sqlite");
    (folder, path)
}

pub(crate) mod records {
    use std::time::Duration;
    use tollgate_core::store::idempotency::RecordKey;
    use tollgate_core::store::saga::SagaId;

    pub(crate) const LEASE: Duration = Duration::from_secs(60);
    pub(crate) const RETENTION: Duration = Duration::from_secs(3600);

    /// The key of a record with this name.
    pub(crate) fn key(name: &str) -> RecordKey {
        let mut bytes = [0; 32];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        RecordKey::new(bytes)
    }

    /// The id of a saga with this name.
    pub(crate) fn saga(name: &str) -> SagaId {
        let mut bytes = [0; 16];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        SagaId(bytes)
    }
}

pub(crate) struct Child {
    process: std::process::Child,
    lines: BufReader<ChildStdout>,
}

impl Child {
    /// Starts a child and waits until it says that it is ready.
    pub(crate) fn start(role: &str, file: &Path, name: &str) -> Self {
        Self::start_as(Command::new(std::env::current_exe().unwrap()), role, file, name)
    }

    /// As [`start`](Self::start), where no file may grow beyond this many blocks: what a full disk is to a writer. (The shell's blocks
    /// have 512 bytes or 1024. Writing more would kill the child, were it not told to be deaf to that.)
    pub(crate) fn start_on_a_small_disk(blocks: u32, role: &str, file: &Path, name: &str) -> Self {
        let mut shell = Command::new("sh");
        shell
            .args([
                "-c",
                "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"",
                &blocks.to_string(),
            ])
            .arg(std::env::current_exe().unwrap());
        Self::start_as(shell, role, file, name)
    }

    fn start_as(mut command: Command, role: &str, file: &Path, name: &str) -> Self {
        let mut process = command
            .args([
                "--exact",
                "child_process",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(ROLE, role)
            .env(FILE, file)
            .env(NAME, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap());
        let mut child = Self { process, lines };
        assert_eq!(child.next_line().as_deref(), Some("ready"));
        child
    }

    /// Lets it begin.
    pub(crate) fn go(&mut self) {
        self.tell("go");
    }

    /// Says one line to it.
    pub(crate) fn tell(&mut self, line: &str) {
        let ears = self.process.stdin.as_mut().unwrap();
        ears.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next whole line that the child said. A line that a kill cut off does not count.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line).unwrap();
            if !line.ends_with('\n') {
                return None;
            }
            if let Some((_, said)) = line.trim_end().split_once('@') {
                return Some(said.to_owned());
            }
        }
    }

    /// Freezes it. It may still be on its way to where it waits for the next word, and does not get beyond that.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Wakes it, if it was frozen.
    pub(crate) fn wake(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Everything it still says, once it has ended well.
    pub(crate) fn finish(mut self) -> Vec<String> {
        drop(self.process.stdin.take());
        let mut said = Vec::new();
        while let Some(line) = self.next_line() {
            said.push(line);
        }
        let status = self.process.wait().unwrap();
        assert!(status.success(), "the child failed ({status}); it said {said:?}");
        said
    }

    /// Kills it once it has said this many lines; gives everything it said, also between the decision and the kill.
    pub(crate) fn kill_after(self, lines: usize) -> Vec<String> {
        self.kill_later(lines, 0)
    }

    /// As [`kill_after`](Self::kill_after), and a little work of our own later: else the kill falls always into what comes first after a line.
    pub(crate) fn kill_later(mut self, lines: usize, turns: u32) -> Vec<String> {
        let mut said = Vec::new();
        while said.len() < lines {
            said.push(self.next_line().expect("the child ended by itself"));
        }
        for turn in 0..turns {
            std::hint::black_box(turn);
        }
        self.process.kill().unwrap(); // SIGKILL: no destructor runs
        while let Some(line) = self.next_line() {
            said.push(line);
        }
        let status = self.process.wait().unwrap();
        assert!(!status.success(), "it was killed, not ended");
        said
    }

    /// Kills it after a little work of our own, so that over many children the kill falls everywhere.
    pub(crate) fn kill_after_spinning(mut self, turns: u32) {
        for turn in 0..turns {
            std::hint::black_box(turn);
        }
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let mut rest = String::new();
        let _ = self.lines.read_to_string(&mut rest);
    }
}
