//! Which servers are taken, and which are not.

use crate::server::{SAFE, Server, at, patient_settings, prefix, url};
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Evidence, Held, IdempotencyStore, Resolution, Resolve, Resolved, Settled, Settlement,
};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take, Taken};
use tollgate_redis::{ConnectError, Failure, Redis, Weakness};
use tollgate_testkit::samples;

async fn refused(url: &str) -> ConnectError {
    match Redis::connect(url, patient_settings()).await {
        Ok(store) => panic!("{store:?} should have been refused"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_server_that_keeps_its_word_guards_money() {
    let store = at(&url(), &prefix()).await;
    let promises = store.capabilities();
    assert!(promises.guards_money() && promises.durable && promises.linearizable);
    assert!(!promises.survives_failover && !promises.transactional);
    assert_eq!(store.weaknesses(), []);
}

/// Every configuration that loses what it acknowledged is refused by name, and with the switch taken as what it is.
#[tokio::test]
async fn each_weak_configuration_is_refused() {
    let late = |how: &str| Weakness::LateFlush {
        appendfsync: how.into(),
    };
    let evicts = |policy: &str| Weakness::Evicts {
        policy: policy.into(),
    };
    let cases: [(&[&str], Vec<Weakness>); 7] = [
        (
            &["--appendonly", "no", "--appendfsync", "always"],
            vec![Weakness::NoLog],
        ),
        (
            &["--appendonly", "yes", "--appendfsync", "everysec"],
            vec![late("everysec")],
        ),
        (&["--appendonly", "yes", "--appendfsync", "no"], vec![late("no")]),
        (
            &[
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--no-appendfsync-on-rewrite",
                "yes",
            ],
            vec![Weakness::NoFlushDuringRewrite],
        ),
        (
            &[
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--maxmemory-policy",
                "allkeys-lru",
            ],
            vec![evicts("allkeys-lru")],
        ),
        (
            &[
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--maxmemory-policy",
                "volatile-ttl",
            ],
            vec![evicts("volatile-ttl")],
        ),
        // as it comes out of the box
        (&[], vec![Weakness::NoLog, late("everysec")]),
    ];
    for (arguments, expected) in cases {
        let server = Server::start(arguments);
        let error = refused(&server.url()).await;
        let ConnectError::Weak { weaknesses, .. } = &error else {
            panic!("{arguments:?}: {error}");
        };
        assert_eq!(*weaknesses, expected, "{arguments:?}");
        let said = error.to_string();
        assert!(
            said.contains("dangerous_may_forget") && said.contains("must be"),
            "{said}"
        );

        let store = Redis::connect(&server.url(), patient_settings().dangerous_may_forget())
            .await
            .unwrap();
        assert_eq!(store.weaknesses(), expected);
        assert!(!store.capabilities().guards_money());
    }
}

#[tokio::test]
async fn a_replica_is_refused_and_takes_no_writes() {
    let primary = Server::start(&SAFE);
    let replica = Server::start(&SAFE);
    replica.tell(&format!("REPLICAOF 127.0.0.1 {}", primary.port()));
    let error = refused(&replica.url()).await;
    assert!(
        matches!(&error, ConnectError::Weak { weaknesses, .. } if *weaknesses == [Weakness::Replica]),
        "{error}"
    );

    let store = Redis::connect(&replica.url(), patient_settings().dangerous_may_forget())
        .await
        .unwrap();
    let promises = store.capabilities();
    assert!(!promises.durable && !promises.linearizable);
}

/// Managed servers do not let CONFIG be asked: by another name, or by permission.
#[tokio::test]
async fn a_server_that_does_not_say_is_refused_with_the_way_out() {
    let renamed = Server::start(&[&SAFE[..], &["--rename-command", "CONFIG", ""]].concat());
    let by_permission = Server::start(&SAFE);
    by_permission.tell("ACL SETUSER shop on >pass ~* &* +@all -config");
    let as_shop = by_permission.url().replace("redis://", "redis://shop:pass@");
    for (url, expected) in [
        (renamed.url(), Failure::Other("ERR".into())),
        (as_shop, Failure::Forbidden("NOPERM".into())),
    ] {
        let error = refused(&url).await;
        assert!(
            matches!(&error, ConnectError::Unknown { failure, .. } if *failure == expected),
            "{error}"
        );
        let said = error.to_string();
        assert!(
            said.contains("CONFIG GET")
                && said.contains("PostgreSQL")
                && said.contains("dangerous_may_forget"),
            "{said}"
        );

        let store = Redis::connect(&url, patient_settings().dangerous_may_forget())
            .await
            .unwrap();
        assert_eq!(store.weaknesses(), [Weakness::Unknown]);
        assert!(!store.capabilities().durable, "what was not seen is not promised");
    }
}

#[tokio::test]
async fn nobody_there_and_nobody_let_in() {
    let secured = Server::start(&[&SAFE[..], &["--requirepass", "right"]].concat());
    let right = secured.url().replace("redis://", "redis://:right@");
    at(&right, &prefix()).await;
    for url in [
        secured.url(),
        secured.url().replace("redis://", "redis://:s3cret@"),
    ] {
        let error = refused(&url).await;
        assert!(
            matches!(
                &error,
                ConnectError::Unreachable {
                    failure: Failure::Forbidden(_),
                    ..
                }
            ),
            "{error}"
        );
    }
    let mut gone = Server::start(&SAFE);
    gone.kill();
    let error = refused(&gone.url()).await;
    assert!(
        matches!(
            &error,
            ConnectError::Unreachable {
                failure: Failure::Refused,
                ..
            }
        ),
        "{error}"
    );
}

/// Neither an error nor the handle shows the password.
#[tokio::test]
async fn no_password_is_shown() {
    let secured = Server::start(&[&SAFE[..], &["--requirepass", "s3cret"]].concat());
    let store = at(&secured.url().replace("redis://", "redis://:s3cret@"), &prefix()).await;
    let mut shown = vec![format!("{store:?}")];
    for url in [
        "redis://shop:s3cret@127.0.0.1:1",
        "redis://shop:s3cret@[::1",
        "rediss://shop:s3cret@127.0.0.1:1",
        "http://shop:s3cret@127.0.0.1",
        "redis://shop:s3cret@127.0.0.1/one",
        "s3cret",
        &secured.url().replace("redis://", "redis://:s3cret2@"),
    ] {
        let error = refused(url).await;
        shown.extend([format!("{error}"), format!("{error:?}")]);
    }
    for text in shown {
        assert!(!text.contains("s3cret"), "{text}");
    }
}

/// A brace in a prefix would move the hash tag.
#[tokio::test]
async fn a_prefix_is_plain() {
    let long = "x".repeat(65);
    for bad in ["", "a{b}", "a b", "é", long.as_str()] {
        let error = Redis::connect(&url(), patient_settings().prefix(bad))
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::Prefix { .. }), "{error}");
    }
}

/// In a cluster, every script keeps to one slot: a node that has all of them takes it, and one that has none says so at the start.
#[tokio::test]
async fn a_cluster_node_serves_a_prefix() {
    let node = Server::start(&[&SAFE[..], &["--cluster-enabled", "yes"]].concat());
    let error = refused(&node.url()).await;
    assert!(
        matches!(
            &error,
            ConnectError::Unreachable {
                failure: Failure::ClusterDown,
                ..
            }
        ),
        "{error}"
    );

    node.tell("CLUSTER ADDSLOTSRANGE 0 16383");
    let store = loop {
        // the node takes a moment to find itself in charge
        match Redis::connect(&node.url(), patient_settings().prefix("shop")).await {
            Ok(store) => break store,
            Err(ConnectError::Unreachable {
                failure: Failure::ClusterDown,
                ..
            }) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    };
    let lease = Duration::from_millis(1);
    for number in 0..3 {
        let begin = Begin {
            arm: false,
            ..samples::begin(samples::key(number), 7)
        };
        let token = samples::claim(&store, begin).await;
        assert_eq!(store.arm(token, lease).await.unwrap(), Held::Held);
        if number == 2 {
            let settled = store.settle(token, &Settlement::Released).await.unwrap();
            assert_eq!(settled, Settled::Applied);
        }
    }
    tokio::time::sleep(lease * 5).await;
    assert_eq!(store.sweep(10).await.unwrap(), 2);
    let open = store.unresolved(None, 10).await.unwrap();
    assert_eq!(open.len(), 2);
    let resolve = Resolve {
        key: open[0].key,
        epoch: open[0].epoch,
        as_of: store.now().await.unwrap(),
        resolution: Resolution::Released,
        evidence: Evidence {
            actor: "ops".into(),
            reason: "looked".into(),
        },
    };
    assert_eq!(store.resolve(resolve).await.unwrap(), Resolved::Resolved);
    assert_eq!(store.collect(Duration::ZERO, 10).await.unwrap(), 0);
    let take = |number| Take {
        key: QuotaKey([number; 32]),
        quota: Quota::per_minute(std::num::NonZeroU32::MIN),
        cost: 1,
    };
    let taken = store.take(&[take(1), take(2)]).await.unwrap();
    assert!(
        matches!(taken, Taken::Granted { .. }),
        "two keys in one script: {taken:?}"
    );
}

/// What the README lists.
const COMMANDS: &str = "+eval +evalsha +time +info +config|get +get +set +mget +msetnx +del +exists +pttl +pexpireat +hmget +hset +lindex \
    +lrange +lset +ltrim +rpush +zadd +zrem +zscore +zrange +zrangebylex +zrangebyscore +zlexcount";

/// A user of its own needs no more than what is written; one that lacks something is told so when it connects, not by the first payment.
#[tokio::test]
async fn a_user_needs_what_the_readme_lists() {
    let readme = include_str!("../../README.md");
    let server = Server::start(&SAFE);
    let url = server.url().replace("redis://", "redis://shop:pass@");
    let settings = || patient_settings().prefix("shop");
    for command in COMMANDS.split_whitespace() {
        assert!(readme.contains(command), "{command}");
    }
    server.tell(&format!("ACL SETUSER shop on >pass ~{{shop}}:* {COMMANDS}"));
    let store = Redis::connect(&url, settings()).await.unwrap();
    let claim = Begin {
        arm: false,
        ..samples::begin(samples::key(1), 7)
    };
    let token = samples::claim(&store, claim).await;
    let lease = Duration::from_millis(1);
    assert_eq!(store.arm(token, lease).await.unwrap(), Held::Held);
    tokio::time::sleep(lease * 5).await;
    assert_eq!(store.sweep(10).await.unwrap(), 1);
    assert_eq!(store.unresolved(None, 10).await.unwrap().len(), 1);
    assert_eq!(
        store.settle(token, &Settlement::Released).await.unwrap(),
        Settled::Applied
    );
    assert_eq!(store.collect(Duration::ZERO, 10).await.unwrap(), 0);

    for (lacks, keys) in [
        ("-eval", "~*"),
        ("-time", "~*"),
        ("-info", "~*"),
        ("+info", "~other:*"),
    ] {
        server.tell(&format!("ACL SETUSER shop resetkeys {keys} {COMMANDS} {lacks}"));
        let error = Redis::connect(&url, settings()).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Forbidden { .. }),
            "{lacks} {keys}: {error}"
        );
        assert!(error.to_string().contains("~{shop}:*"), "{error}");
    }
}
