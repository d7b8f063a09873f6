//! `idempotency-conformance` as a command: what it says, how it ends, and which option it blames.

#![cfg(feature = "http-conformance")]
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tollgate_testkit::http_conformance::all_cases;

async fn run(args: &[&str]) -> (i32, String, String) {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || {
        Command::new(env!("CARGO_BIN_EXE_idempotency-conformance"))
            .args(args)
            .output()
    };
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A server without any protection, in a few lines: GET tells `counter`, POST to `/` counts, to anything else is a 404.
async fn server(counter: fn(u32) -> String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let effects = Arc::new(AtomicU32::new(0));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, Arc::clone(&effects), counter));
        }
    });
    url
}

/// A server whose every answer has no end.
async fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                // an answer before its request would be no answer
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 X\r\n\r\n").await;
                while stream.write_all(&[b'1'; 1 << 16]).await.is_ok() {}
            });
        }
    });
    url
}

async fn answer(mut stream: TcpStream, effects: Arc<AtomicU32>, counter: fn(u32) -> String) {
    let mut request = Vec::new();
    let whole = |request: &[u8]| {
        let text = String::from_utf8_lossy(request).to_lowercase();
        let head = text.find("\r\n\r\n")? + 4;
        let length = text
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.trim().parse().ok());
        (request.len() >= head + length.unwrap_or(0)).then_some(text)
    };
    let text = loop {
        if let Some(text) = whole(&request) {
            break text;
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).await {
            Ok(read) if read > 0 => request.extend_from_slice(&more[..read]),
            _ => return,
        }
    };
    let (status, body) = match text.split(' ').take(2).collect::<Vec<_>>()[..] {
        ["get", _] => (200, counter(effects.load(SeqCst))),
        ["post", "/"] => (201, (effects.fetch_add(1, SeqCst) + 1).to_string()),
        _ => (404, "no such page".to_owned()),
    };
    let length = body.len();
    let response =
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let _ = stream.write_all(response.as_bytes()).await;
}

#[tokio::test]
async fn help_and_list_need_nothing() {
    let (code, out, _) = run(&["--help"]).await;
    assert_eq!(code, 0);
    assert!(out.contains("usage: idempotency-conformance --base-url URL"));
    let (code, out, _) = run(&["--list"]).await;
    assert_eq!(code, 0);
    for case in all_cases() {
        assert!(
            out.contains(&format!("{:>2} {}\n", case.number, case.name)),
            "{}",
            case.name
        );
    }
}

/// Every wrong option ends with 2, one line, and its name in front.
#[tokio::test]
async fn wrong_options_are_named() {
    let base = ["--base-url", "http://127.0.0.1:9"];
    let with = |option, value| [base[0], base[1], "--counter", "/c", option, value];
    for (args, blamed) in [
        (&["--counter", "/c"][..], "--base-url: is missing"),
        (&["--base-url", "127.0.0.1:80", "--counter", "/c"], "--base-url: "),
        (&["--base-url", "https://a", "--counter", "/c"], "--base-url: "),
        (&["--base-url", "not a url", "--counter", "/c"], "--base-url: "),
        (&base, "--counter: is missing"),
        (&["--frobnicate", "1"], "--frobnicate is not an option"),
        (&["--timeout"], "--timeout: needs a value"),
        (&["--timeout", "soon"], "--timeout: \"soon\""),
        (&["--profile", "adyen"], "--profile: \"adyen\""),
        (&["--header", "no colon"], "--header: "),
        (&["--parallel", "many"], "--parallel: \"many\""),
        (&["--only", "no-such-case"], "--only: there is no case"),
        (&["--body", "@/no/such/file"], "--body: /no/such/file"),
        (&["--body-for", "fast=x"], "--body-for: \"fast\" is none of slow"),
        (&["--body-for", "slow"], "--body-for: "),
        (
            &["--counter", "/c", "--counter-command", "echo 1", base[0], base[1]],
            "--counter, --counter-command",
        ),
        (
            &["--base-url", "http://jo:pw@localhost", "--counter", "/c"],
            "--base-url: \"http://jo:pw@localhost\" names a user",
        ),
        (
            &["--counter", "https://shop.example/c", base[0], base[1]],
            "--counter: \"https://shop.example/c\" is not of the form http://",
        ),
        (
            &with("--header", "Idempotency-Key: k"),
            "--header: idempotency-key is",
        ),
        (
            &with("--header", "Content-Length: 3"),
            "--header: content-length is",
        ),
        (&with("--timeout", "0s"), "--timeout: nothing"),
        (&with("--parallel", "1"), "--parallel: 1 is not"),
        (&with("--parallel", "4000000000"), "--parallel: 4000000000 is not"),
        (&with("--oversize", "7"), "--oversize: 7 bytes"),
        (
            &["--method", "P OST", "--counter", "/c", base[0], base[1]],
            "--method: ",
        ),
    ] {
        let (code, out, complaint) = run(args).await;
        assert_eq!((code, &*out), (2, ""), "{args:?}");
        let expected = format!("idempotency-conformance: {blamed}");
        assert!(complaint.starts_with(&expected), "{args:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_named() {
    // bound, so that nobody else takes it, and never listening
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let nobody = format!("http://{}", closed.local_addr().unwrap());
    let right = server(|effects| effects.to_string()).await;
    let stuck = server(|_| "7".into()).await;
    let text = server(|_| "many".into()).await;
    let json = server(|effects| format!(r#"{{"effects": {effects}}}"#)).await;
    let endless = endless().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for (args, blamed) in [
        (
            &["--base-url", &nobody, "--counter", "/c"][..],
            "--base-url: no connection",
        ),
        (
            &["--base-url", &right, "--counter", &format!("{nobody}/c")],
            "--counter: GET http",
        ),
        (
            &["--base-url", &silent, "--counter", "/c", "--timeout", "200ms"],
            "--counter: GET http",
        ),
        (
            &["--base-url", &right, "--counter", "/c", "--path", "/gone"],
            "--path: POST /gone should succeed",
        ),
        (
            &["--base-url", &right, "--counter", "/c", "--body", "fixed"],
            "--body: it needs a place for {unique}",
        ),
        (
            &["--base-url", &stuck, "--counter", "/c"],
            "--counter: it moved by 0",
        ),
        (&["--base-url", &text, "--counter", "/c"], "--counter: GET http"),
        (
            &[
                "--base-url",
                &json,
                "--counter",
                "/c",
                "--counter-pointer",
                "/sum",
            ],
            "--counter: GET http",
        ),
        (
            &["--base-url", &right, "--counter-command", "echo many"],
            "--counter-command: its output",
        ),
        (
            &["--base-url", &right, "--counter-command", "exit 3"],
            "--counter-command: \"exit 3\"",
        ),
        (
            &["--base-url", &endless, "--counter", "/c"],
            &format!("--counter: GET {endless}/c: the answer goes on after 64 MiB"),
        ),
        (
            &[
                "--base-url",
                &right,
                "--counter-command",
                "yes | head -c 300000000",
            ],
            "--counter-command: its output is not a number: \"y",
        ),
        (
            &[
                "--base-url",
                &right,
                "--counter-command",
                "sleep 9",
                "--timeout",
                "200ms",
            ],
            "--counter-command: ",
        ),
    ] {
        let (code, _, complaint) = run(args).await;
        assert_eq!(code, 2, "{args:?}: {complaint}");
        assert!(complaint.len() < 10_000, "{args:?}: {} bytes", complaint.len());
        assert!(
            complaint.starts_with(&format!("idempotency-conformance: {blamed}")),
            "{args:?}: {complaint}"
        );
    }
}

/// An unprotected server ends with 1; a case that it gets right, with 0; JSON says the same.
#[tokio::test]
async fn the_status_tells_the_verdict() {
    let url = server(|effects| format!(r#"{{"data": {{"effects": {effects}}}}}"#)).await;
    let base = [
        "--base-url",
        &url,
        "--counter",
        "/c",
        "--counter-pointer",
        "/data/effects",
    ];
    let with = |more: &[&'static str]| {
        base.iter()
            .copied()
            .chain(more.iter().copied())
            .collect::<Vec<_>>()
    };

    let (code, out, _) = run(&with(&["--only", "replay", "--only", "17"])).await;
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("10 FAIL replay\n") && out.contains("wrong     other bytes"),
        "{out}"
    );
    assert!(out.contains("17 pass new-key-runs\n"), "{out}");
    assert!(
        out.ends_with("profile ietf: 1 passed, 1 failed, 0 not applicable\n"),
        "{out}"
    );

    let (code, _, _) = run(&with(&["--only", "new-key-runs"])).await;
    assert_eq!(code, 0);

    let (code, out, _) = run(&with(&["--only", "replay", "--only", "in-flight", "--json"])).await;
    assert_eq!((code, out.lines().count()), (1, 1));
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&report["failed"], &report["not_applicable"]),
        (&1.into(), &1.into())
    );
    assert_eq!(report["cases"][0]["name"], "replay");
    assert_eq!(report["cases"][0]["verdict"], "fail");
    assert_eq!(report["cases"][1]["verdict"], "not-applicable");
}

/// Numbers and names are what people put into their scripts.
#[test]
fn numbers_and_names_are_unique_and_in_order() {
    let cases: Vec<_> = all_cases().collect();
    assert!(cases.windows(2).all(|pair| pair[0].number < pair[1].number));
    let mut names: Vec<_> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((names.len(), cases.len()), (40, 40));
}

/// `--help | head` is no reason to panic; a full disk is one to complain.
#[test]
fn an_output_that_takes_no_more_ends_it() {
    let command = || Command::new(env!("CARGO_BIN_EXE_idempotency-conformance"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let gone = command().arg("--list").stdout(writer).output().unwrap();
    assert_eq!(
        (gone.status.code(), String::from_utf8_lossy(&gone.stderr)),
        (Some(2), "".into())
    );
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let complains = command().arg("--help").stdout(full).output().unwrap();
    let why = String::from_utf8_lossy(&complains.stderr);
    assert_eq!(complains.status.code(), Some(2), "{why}");
    assert!(why.contains("standard output takes no more"), "{why}");
}
