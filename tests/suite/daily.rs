//! The daily job comes by itself, once a day, also after a night switched off.

use crate::harness::{Rig, digest_files, until};
use keepwatch::daemon::{Daemon, Options};
use keepwatch::tasks::context::{Clock, system_clock};
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;

/// The computer's clock, so much later.
fn later(hours: i64) -> Clock {
    let clock = system_clock();
    Arc::new(move || clock() + hours * HOUR_MS)
}

async fn start(rig: &Rig, hours: i64) -> Daemon {
    let options = Options {
        clock: Some(later(hours)),
        ..Options::default()
    };
    Daemon::start(rig.config(), options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_digest_comes_at_the_next_start_and_only_once() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let daemon = start(&rig, 0).await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    assert_eq!(
        digest_files(&rig),
        Vec::<String>::new(),
        "the first day waits"
    );

    // Three nights switched off: one digest, not three.
    let daemon = start(&rig, 73).await;
    until("the missed digest is written", async || {
        digest_files(&rig).len() == 1
    })
    .await;
    let digest = digest_files(&rig).remove(0);
    assert!(digest.contains("all is well, 1 file"), "{digest}");
    // It counts as run once it is handed over.
    until("the run is remembered", async || {
        let index = daemon.context().index.clone();
        let last = tokio::task::spawn_blocking(move || index.state_get("digest:last_run_ms"));
        let last = last.await.unwrap().unwrap().and_then(|v| v.as_i64());
        last.is_some_and(|ms| ms > later(72)())
    })
    .await;
    daemon.stop().await.unwrap();

    let daemon = start(&rig, 74).await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    assert_eq!(digest_files(&rig), [digest], "once a day");
}
