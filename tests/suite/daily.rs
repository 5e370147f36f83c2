//! The daily job comes by itself, once a day, also after a night switched off.

use crate::harness::{Fate, Faults, Rig, Seen, digest_files, until};
use keepwatch::clock::{WallClock, system_clock};
use keepwatch::daemon::{Daemon, Options};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

const HOUR_MS: i64 = 3_600_000;

/// The computer's clock, so much later.
fn later(hours: i64) -> WallClock {
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
        let index = daemon.components().index.clone();
        let last = tokio::task::spawn_blocking(move || index.state_get("digest:last_run_ms"));
        let last = last.await.unwrap().unwrap().and_then(|v| v.as_i64());
        last.is_some_and(|ms| ms > later(72)().0)
    })
    .await;
    daemon.stop().await.unwrap();

    let daemon = start(&rig, 74).await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    assert_eq!(digest_files(&rig), [digest], "once a day");
}

/// The computer's clock, and how far it is set forward.
#[derive(Clone, Default)]
struct Ahead(Arc<AtomicI64>);

impl Ahead {
    fn by(&self, hours: i64) {
        self.by_ms(hours * HOUR_MS);
    }

    fn by_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    fn clock(&self) -> WallClock {
        let (clock, ahead) = (system_clock(), self.clone());
        Arc::new(move || clock() + ahead.0.load(Ordering::SeqCst))
    }

    /// A daemon by that clock on a store with faults, everything stored. Its daily job is due
    /// when the clock is set forward by [`TO_THE_JOB_MS`].
    async fn start(&self, rig: &Rig, faults: &Faults) -> Daemon {
        rig.write("a.txt", "one");
        let mut config = rig.config();
        let job_ms = system_clock()() + TO_THE_JOB_MS;
        let job = job_ms
            .timestamp()
            .unwrap()
            .to_zoned_datetime(config.schedule.time_zone.clone());
        config.schedule.digest_at = job.time();
        let options = Options {
            clock: Some(self.clock()),
            store: Some(rig.faulty_store(faults)),
            ..Options::default()
        };
        let daemon = Daemon::start(config, options).await.unwrap();
        rig.until_equal(&daemon).await;
        daemon
    }
}

/// Less than the minute that is taken for a sleep: after one the folders are scanned whole, and
/// the job's own scan could not be told from that one.
const TO_THE_JOB_MS: i64 = 58_000;

/// A page of the bucket's list, and no question whether the bucket answers at all.
fn is_comparing(seen: &Seen) -> bool {
    let mut asked = seen.uri.split(['?', '&']);
    seen.method == "GET"
        && asked.clone().any(|one| one.starts_with("list-type"))
        && !asked.any(|one| one == "max-keys=1")
}

/// Digests so far.
fn digests(rig: &Rig) -> usize {
    digest_files(rig).concat().matches("Keepwatch ").count()
}

/// Named after the bug: a laptop that was closed in the middle of the job and opened
/// the day after had counted that day's as run.
#[tokio::test(flavor = "multi_thread")]
async fn a_daily_job_that_outlasts_the_next_hour_does_not_swallow_the_next_days() {
    let rig = Rig::new();
    let (ahead, faults) = (Ahead::default(), Faults::none());
    let daemon = ahead.start(&rig, &faults).await;
    // Its first request takes until after the next day's hour.
    let slept = AtomicU64::new(0);
    let during = ahead.clone();
    faults.set(move |seen| {
        let is_list = is_comparing(seen);
        if is_list && slept.fetch_add(1, Ordering::SeqCst) == 0 {
            during.by(25);
        }
        Fate::Pass
    });
    ahead.by_ms(TO_THE_JOB_MS);
    until("both days have their digest", async || digests(&rig) >= 2).await;
    until("the second run is remembered", async || {
        let index = daemon.components().index.clone();
        let last = tokio::task::spawn_blocking(move || index.state_get("digest:last_run_ms"));
        let last = last.await.unwrap().unwrap().and_then(|v| v.as_i64());
        last.is_some_and(|ms| ms > (system_clock()() + 24 * HOUR_MS).0)
    })
    .await;
    assert_eq!(digests(&rig), 2, "{:?}", digest_files(&rig));
    daemon.stop().await.unwrap();
}

/// Named after the bug: the digest of each night in which the computer slept said
/// that the check was not complete.
#[tokio::test(flavor = "multi_thread")]
async fn a_sleep_in_the_middle_of_the_job_is_no_check_that_is_not_complete() {
    let rig = Rig::new();
    let (ahead, faults) = (Ahead::default(), Faults::none());
    let daemon = ahead.start(&rig, &faults).await;
    // It sleeps while the bucket is listed, and its network comes back late.
    let broken = Arc::new(AtomicU64::new(0));
    let (during, count) = (ahead.clone(), Arc::clone(&broken));
    faults.set(move |seen| {
        let is_list = is_comparing(seen);
        let before = count.load(Ordering::SeqCst);
        if before == 0 && is_list {
            during.by(6);
        }
        if (before == 0 && !is_list) || before >= BROKEN {
            return Fate::Pass;
        }
        count.fetch_add(1, Ordering::SeqCst);
        Fate::Break
    });
    ahead.by_ms(TO_THE_JOB_MS);
    until("the digest is written", async || digests(&rig) == 1).await;
    assert_eq!(broken.load(Ordering::SeqCst), BROKEN, "it slept in the job");
    let digest = digest_files(&rig).concat();
    assert!(digest.contains("all is well, 1 file"), "{digest}");
    assert!(!digest.contains("not complete"), "{digest}");
    daemon.stop().await.unwrap();
}

/// Requests that fail after the sleep: more than a page of the list is tried (three
/// times, each three times by the SDK), and some of the questions whether the bucket
/// answers by now.
const BROKEN: u64 = 14;
