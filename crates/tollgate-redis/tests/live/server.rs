//! The server under test, and servers of one's own.

use redis::AsyncConnectionConfig;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tollgate_redis::{Redis, Settings};

/// The server that `tests/run` starts. Never skipped silently: without it, the test fails and says so.
pub(crate) fn url() -> String {
    std::env::var("TOLLGATE_TEST_REDIS").unwrap_or_else(|_| {
        panic!(
            "TOLLGATE_TEST_REDIS is not set: these tests need a Redis server. Run them by `tests/run` (it starts a private one), or: \
             export TOLLGATE_TEST_REDIS=$(tests/redis start /tmp/some-folder)"
        )
    })
}

/// A prefix that nobody else has, also when the server outlives several runs.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = tempfile::tempdir().unwrap();
    let unique = folder.path().file_name().unwrap().to_str().unwrap();
    let plain: String = unique.chars().filter(char::is_ascii_alphanumeric).collect();
    format!(
        "{plain}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::SeqCst)
    )
}

/// An empty store on the server under test.
pub(crate) async fn fresh() -> Redis {
    at(&url(), &prefix()).await
}

pub(crate) async fn at(url: &str, prefix: &str) -> Redis {
    Redis::connect(url, patient_settings().prefix(prefix))
        .await
        .unwrap()
}

/// A machine that is slow is not a loss.
pub(crate) fn patient_settings() -> Settings {
    Settings::new()
        .connect_timeout(Duration::from_secs(60))
        .response_timeout(Duration::from_secs(60))
}

/// What a server needs to be taken.
pub(crate) const SAFE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// A private server, which ends with this value.
pub(crate) struct Server {
    process: Child,
    folder: TempDir,
    port: u16,
    arguments: Vec<String>,
}

impl Server {
    /// Starts one in a folder of its own.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let chance = RandomState::new();
        for attempt in 0..10 {
            // from below the range of outgoing connections: it must be free again when the server comes back. If it is taken, the server
            // does not start, and we take another
            let port = 20_000 + u16::try_from(chance.hash_one(attempt) % 12_000).unwrap();
            let mut process = spawn(folder.path(), port, &arguments);
            if answers(&mut process, port, &arguments) {
                return Self {
                    process,
                    folder,
                    port,
                    arguments,
                };
            }
        }
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        panic!("redis-server does not start with {arguments:?}: {log}");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again, after a kill, on the same port and files.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.folder.path(), self.port, &self.arguments);
        assert!(
            answers(&mut self.process, self.port, &self.arguments),
            "the server does not come back"
        );
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// A plain connection to it.
    pub(crate) fn connection(&self) -> redis::Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Says one command, in words.
    pub(crate) fn tell(&self, words: &str) {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.exec(&mut self.connection()).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The same for connections past the store.
pub(crate) fn patient() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(60)))
        .set_response_timeout(Some(Duration::from_secs(60)))
}

fn spawn(folder: &Path, port: u16, arguments: &[String]) -> Child {
    Command::new("redis-server")
        .args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--logfile",
            "log",
            "--daemonize",
            "no",
        ])
        .arg("--port")
        .arg(port.to_string())
        .arg("--dir")
        .arg(folder)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is no redis-server on this machine: run the tests by `tests/run`, which installs it")
}

/// Waits until it answers, itself and not somebody else on its port; `false` when it ended instead.
fn answers(process: &mut Child, port: u16, arguments: &[String]) -> bool {
    let mut words = arguments.iter();
    let password = words
        .find(|word| *word == "--requirepass")
        .and_then(|_| words.next());
    let secret = password
        .map(|password| format!(":{password}@"))
        .unwrap_or_default();
    let client = redis::Client::open(format!("redis://{secret}127.0.0.1:{port}")).unwrap();
    loop {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        // refused while it starts, and told to wait while it loads
        if let Ok(mut connection) = client.get_connection()
            && redis::cmd("PING").exec(&mut connection).is_ok()
            && let Ok(about) = redis::cmd("INFO").arg("server").query::<String>(&mut connection)
        {
            let itself = format!("process_id:{}", process.id());
            if about.lines().any(|line| line.trim_end() == itself) {
                return true;
            }
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "a process of its own starts in real time"
        )]
        std::thread::sleep(Duration::from_millis(5));
    }
}
