//! What every answer of a server is taken for.

use crate::error::Failure;
use redis::RedisError;
use tollgate_core::store::StoreErrorKind::{self, Full, Unavailable, Unreadable, Unsupported};

/// As the server would say it.
fn said(line: &str) -> RedisError {
    redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
        .unwrap()
        .extract_error()
        .unwrap_err()
}

fn check(error: &RedisError, expected: &Failure, kind: StoreErrorKind, doubt: bool) {
    let failure = Failure::of(error);
    assert_eq!(failure, *expected, "{error}");
    let write = failure.clone().into_store_error(true);
    assert_eq!(
        (write.kind(), write.may_have_happened()),
        (kind, doubt),
        "{error}"
    );
    let source = std::error::Error::source(&write).and_then(|source| source.downcast_ref::<Failure>());
    assert_eq!(
        source,
        Some(expected),
        "whoever asks for the reason finds it typed"
    );
    assert!(
        !failure.into_store_error(false).may_have_happened(),
        "a question that only reads leaves no doubt: {error}"
    );
}

/// What a server answers before it writes leaves no doubt.
#[test]
fn refusals_are_typed_and_certain() {
    for (line, expected, kind) in [
        (
            "READONLY You can't write against a read only replica.",
            Failure::ReadOnly,
            Unavailable,
        ),
        (
            "MASTERDOWN Link with MASTER is down",
            Failure::ReadOnly,
            Unavailable,
        ),
        (
            "LOADING Redis is loading the dataset in memory",
            Failure::Loading,
            Unavailable,
        ),
        (
            "CLUSTERDOWN Hash slot not served",
            Failure::ClusterDown,
            Unavailable,
        ),
        (
            "TRYAGAIN Multiple keys request during rehashing",
            Failure::ClusterDown,
            Unavailable,
        ),
        ("MOVED 3999 127.0.0.1:6381", Failure::Elsewhere, Unavailable),
        ("ASK 3999 127.0.0.1:6381", Failure::Elsewhere, Unavailable),
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            Failure::OutOfMemory,
            Full,
        ),
        (
            "MISCONF Errors writing to the AOF file",
            Failure::NotNow("MISCONF".into()),
            Unavailable,
        ),
        (
            "NOREPLICAS Not enough good replicas",
            Failure::NotNow("NOREPLICAS".into()),
            Unavailable,
        ),
        (
            "BUSY Redis is busy running a script",
            Failure::NotNow("BUSY".into()),
            Unavailable,
        ),
        (
            "NOAUTH Authentication required.",
            Failure::Forbidden("NOAUTH".into()),
            Unsupported,
        ),
        (
            "NOPERM this user has no permissions to run the 'evalsha' command",
            Failure::Forbidden("NOPERM".into()),
            Unsupported,
        ),
        (
            "UNREADABLE the record is damaged",
            Failure::Unreadable,
            Unreadable,
        ),
        (
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            Failure::Unreadable,
            Unreadable,
        ),
    ] {
        check(&said(line), &expected, kind, false);
    }
}

/// A script that stopped in the middle, an answer nobody has heard of: it may have been done.
#[test]
fn what_is_not_known_leaves_doubt() {
    let error = said("ERR user_script:17: attempt to index a nil value");
    check(&error, &Failure::Other("ERR".into()), Unavailable, true);
    let error = said("NOVEL something");
    check(&error, &Failure::Other("NOVEL".into()), Unavailable, true);
}

/// Only a refused connection proves that nothing was sent.
#[test]
fn a_lost_connection_leaves_doubt() {
    use std::io::ErrorKind::{
        BrokenPipe, ConnectionRefused, ConnectionReset, Other, TimedOut, UnexpectedEof,
    };
    for kind in [BrokenPipe, ConnectionReset, UnexpectedEof, TimedOut, Other] {
        let error = RedisError::from(std::io::Error::from(kind));
        check(&error, &Failure::Lost, Unavailable, true);
    }
    let error = RedisError::from(std::io::Error::from(ConnectionRefused));
    check(&error, &Failure::Refused, Unavailable, false);
}

/// A server quotes arguments in some of its errors, and arguments are answers: nothing of them is kept.
#[test]
fn no_argument_gets_into_an_error() {
    let error = said("ERR unknown command 'EVALSHA', with args beginning with: '4111111111111111'");
    let error = Failure::of(&error).into_store_error(true);
    let source = std::error::Error::source(&error).unwrap();
    for shown in [
        format!("{error}"),
        format!("{error:?}"),
        format!("{source}"),
        format!("{source:?}"),
    ] {
        assert!(!shown.contains("4111"), "{shown}");
    }
}

#[test]
fn an_old_server_is_told_from_a_new_one() {
    let info = |version| format!("# Server\r\nredis_version:{version}\r\nredis_git_sha1:00000000\r\n");
    for old in ["2.8.24", "5.0.14", "6.0.16", "6.1.241"] {
        assert_eq!(crate::open::too_old(&info(old)), Some(old));
    }
    for new in [
        "6.2.0",
        "6.2.14",
        "7.0.15",
        "7.2.4",
        "8.0",
        "10.1.0",
        "255.255.255",
    ] {
        assert_eq!(crate::open::too_old(&info(new)), None, "{new}");
    }
    for other in ["", "# Server\r\n", "redis_version:unstable\r\n"] {
        assert_eq!(crate::open::too_old(other), None, "{other}");
    }
}
