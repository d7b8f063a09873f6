//! Stripe's client library for Python, unchanged, against a server that wears the layer: its automatic keys, its retries, its errors.
//!
//! Needs Python with the packages of `requirements.txt`. `tests/run` installs them and says where in `TOLLGATE_STRIPE_PYTHON`; without it,
//! `python3` is tried.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod server;

use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

const PYTHON: &str = "TOLLGATE_STRIPE_PYTHON";

/// Never skipped: without Python there is no proof, and that is a failure.
async fn python() -> String {
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".into());
    let asked = Command::new(&python).args(["-c", "import stripe"]).output().await;
    let why = match asked {
        Ok(output) if output.status.success() => return python,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "{python} cannot import `stripe` ({why}): run tests/run, which installs it, or set {PYTHON} to a Python that has it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stripes_own_client_gets_along_with_the_layer() {
    let python = python().await;
    let folder = tempfile::tempdir().unwrap();
    let url = server::start(folder.path()).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("stripe_python/scenarios.py");
    let running = Command::new(python)
        .arg(script)
        .arg(url)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // the library would ask a proxy to reach loopback
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env("no_proxy", "127.0.0.1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), running)
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.trim_end().ends_with("11 scenarios"), "{said}\n{complained}");
    print!("{said}");
}
