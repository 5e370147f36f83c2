//! The watcher proves itself: a marker is touched, its event must come back,
//! and a watch that has died under the daemon is noticed and renewed.

use crate::harness;
use crate::harness::{BUCKET, Faults, PATIENCE, Rig, at_rest, history, on_disk, until};
use keepwatch::clock::system_clock;
use keepwatch::config::Config;
use keepwatch::daemon::{Daemon, Options};
use keepwatch::files::{MARKER_FILE_NAME, Marker, read_marker};
use keepwatch::s3::Store;
use keepwatch::status::{StatusSnapshot, Watching};
use keepwatch::types::WallMs;
use keepwatch::watch::{Silencer, WatchOptions};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The program's times, thirty times as fast.
fn quick(silencer: Option<&Silencer>) -> WatchOptions {
    WatchOptions {
        root_check: Duration::from_millis(200),
        prove_every: Duration::from_millis(700),
        // The machine may be busy: a proof must not fail for that.
        prove_within: Duration::from_secs(3),
        rearm: Duration::from_secs(2),
        silencer: silencer.cloned(),
    }
}

async fn start(config: Config, watch: WatchOptions, store: Option<Store>) -> Daemon {
    let options = Options {
        store,
        watch,
        ..Options::default()
    };
    Daemon::start(config, options).await.unwrap()
}

fn board(daemon: &Daemon) -> StatusSnapshot {
    daemon.components().sources[0].status.snapshot()
}

async fn until_proven_after(daemon: &Daemon, at_ms: WallMs) -> WallMs {
    let mut proven_ms = WallMs(0);
    until("the watch is proven", async || {
        proven_ms = board(daemon).proof.proven_ms.unwrap_or(WallMs(0));
        proven_ms > at_ms
    })
    .await;
    proven_ms
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_proves_itself_and_that_causes_no_work() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let faults = Faults::none();
    let store = rig.faulty_store(&faults);
    let daemon = start(rig.config(), quick(None), Some(store)).await;
    rig.until_equal(&daemon).await;
    let mut proven_ms = until_proven_after(&daemon, WallMs(0)).await;
    let before = (board(&daemon).last_scan, faults.requests());
    for _ in 0..5 {
        proven_ms = until_proven_after(&daemon, proven_ms).await;
        assert!(at_rest(&daemon), "a touch is no change");
    }
    assert_eq!((board(&daemon).last_scan, faults.requests()), before);
    let proof = board(&daemon).proof;
    assert_eq!((proof.rebuilt, board(&daemon).watching), (0, Watching::On));
    assert!(matches!(read_marker(&rig.root()), Ok(Marker::Present(_))));
    let store = rig.store();
    assert_eq!(super::keys(&store).await, ["a.txt".to_owned()].into());
    let report = harness::report(&daemon).await;
    let body = report.message().body;
    assert!(body.contains("  Watch: proven "), "{body}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_dies_under_the_daemon_is_renewed_and_the_missed_change_arrives() {
    let rig = Rig::new();
    rig.write("sub/a.txt", "one");
    let silencer = Silencer::default();
    let daemon = start(rig.config(), quick(Some(&silencer)), None).await;
    rig.until_equal(&daemon).await;
    until_proven_after(&daemon, WallMs(0)).await;
    silencer.kill();
    rig.write("sub/a.txt", "nobody hears of this");
    rig.until_equal(&daemon).await;
    let proof = board(&daemon).proof;
    assert_eq!(proof.rebuilt, 1, "{proof:?}");
    assert!(
        proof.rebuilt_why.contains("did not report a change"),
        "{proof:?}"
    );
    until_proven_after(&daemon, proof.rebuilt_ms.unwrap()).await;
    // The new one works: no scan is needed for this.
    let scan = board(&daemon).last_scan;
    rig.write("sub/b.txt", "heard");
    rig.until_equal(&daemon).await;
    assert_eq!(board(&daemon).last_scan, scan);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_stays_silent_is_scanned_on_the_period_until_it_is_heard_again() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let silencer = Silencer::default();
    let mut config = rig.config();
    config.limits.unwatched_scan_ms = 1_000;
    let watch = WatchOptions {
        prove_within: Duration::from_millis(1_500),
        ..quick(Some(&silencer))
    };
    let daemon = start(config, watch, None).await;
    rig.until_equal(&daemon).await;
    silencer.kill_all(true);
    until("the watch is known to be blind", async || {
        matches!(board(&daemon).watching, Watching::Off(why) if why.contains("does not report"))
    })
    .await;
    for number in 0..3 {
        rig.write("a.txt", format!("unheard {number}"));
        rig.until_equal(&daemon).await;
    }
    silencer.kill_all(false);
    until("the watch is heard again", async || {
        board(&daemon).watching == Watching::On
    })
    .await;
    assert!(board(&daemon).proof.rebuilt >= 2);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_markers_name_that_is_not_ours_stays_as_it_is() {
    let rig = Rig::new();
    rig.write(MARKER_FILE_NAME, "the owner's own");
    rig.write("a.txt", "one");
    let before = fs::metadata(rig.path(MARKER_FILE_NAME)).unwrap();
    let daemon = start(rig.config(), quick(None), None).await;
    until("it is said", async || {
        let notes = board(&daemon).notes;
        notes.get("proof").is_some_and(|note| {
            note.contains("cannot prove") && note.contains("rename it") && note.contains("10 min")
        })
    })
    .await;
    rig.write("a.txt", "two");
    rig.until_equal(&daemon).await;
    let after = fs::metadata(rig.path(MARKER_FILE_NAME)).unwrap();
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    let text = fs::read(rig.path(MARKER_FILE_NAME)).unwrap();
    assert_eq!(text, b"the owner's own");
    assert!(board(&daemon).warnings.is_empty(), "a note is no warning");
    // Put out of the way, all is as it should be, and the file is backed up.
    fs::rename(rig.path(MARKER_FILE_NAME), rig.path("mine.txt")).unwrap();
    until_proven_after(&daemon, WallMs(0)).await;
    rig.until_equal(&daemon).await;
    assert!(!board(&daemon).notes.contains_key("proof"));
    let store = rig.store();
    let keys = super::keys(&store).await;
    assert_eq!(keys, ["a.txt".to_owned(), "mine.txt".to_owned()].into());
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_is_deleted_is_written_again_with_the_same_identity() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let daemon = start(rig.config(), quick(None), None).await;
    rig.until_equal(&daemon).await;
    let identity = read_marker(&rig.root()).unwrap();
    assert!(matches!(identity, Marker::Present(_)));
    fs::remove_file(rig.path(MARKER_FILE_NAME)).unwrap();
    until("the marker is there again", async || {
        read_marker(&rig.root()).unwrap() == identity
    })
    .await;
    let now_ms = daemon.components().clock.now_ms();
    until_proven_after(&daemon, now_ms).await;
    daemon.stop().await.unwrap();
    // And over restarts.
    let daemon = start(rig.config(), quick(None), None).await;
    until_proven_after(&daemon, now_ms).await;
    assert_eq!(read_marker(&rig.root()).unwrap(), identity);
    rig.until_equal(&daemon).await;
    assert_eq!(history(&rig.store(), "a.txt").await.len(), 1);
    assert_eq!(history(&rig.store(), MARKER_FILE_NAME).await.len(), 0);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_sentinel_nothing_is_written_into_the_folder_and_changes_arrive() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let mut config = rig.config();
    config.sources[0].sentinel = false;
    let daemon = start(config, quick(None), None).await;
    rig.write("a.txt", "two");
    rig.until_equal(&daemon).await;
    assert_eq!(fs::read_dir(rig.root()).unwrap().count(), 1);
    let board = board(&daemon);
    assert!(board.notes["proof"].contains("not proved"), "{board:?}");
    assert_eq!(
        (board.watching, board.proof.proven_ms),
        (Watching::On, None)
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marker_of_a_source_within_another_is_no_change_there() {
    let rig = Rig::new();
    rig.write("inner/a.txt", "one");
    let mut config = rig.config();
    config.sources[0].prefix = "outer/".into();
    let mut inner = config.sources[0].clone();
    inner.name = "inner".into();
    inner.path = rig.path("inner");
    inner.prefix = "inner/".into();
    config.sources.push(inner);
    let daemon = start(config, quick(None), None).await;
    let store = rig.store();
    let want = ["inner/a.txt".to_owned(), "outer/inner/a.txt".to_owned()];
    until("both are backed up", async || {
        at_rest(&daemon) && super::keys(&store).await == want.clone().into()
    })
    .await;
    let mut proven_ms = WallMs(0);
    for _ in 0..3 {
        proven_ms = until_proven_after(&daemon, proven_ms).await;
    }
    assert!(rig.path("inner").join(MARKER_FILE_NAME).exists());
    assert_eq!(super::keys(&store).await, want.into());
    daemon.stop().await.unwrap();
}

/// The clock of a computer that sleeps and whose clock is set.
async fn after_a_jump_of(jump_ms: i64) {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let offset_ms = Arc::new(AtomicI64::new(0));
    let clock = {
        let (system, offset_ms) = (system_clock(), Arc::clone(&offset_ms));
        Arc::new(move || system() + offset_ms.load(Ordering::SeqCst))
    };
    let silencer = Silencer::default();
    let watch = WatchOptions {
        // Neither a proof nor a look at the root would find it in time.
        prove_every: PATIENCE * 100,
        ..quick(Some(&silencer))
    };
    let options = Options {
        clock: Some(clock),
        watch,
        ..Options::default()
    };
    let daemon = Daemon::start(rig.config(), options).await.unwrap();
    rig.until_equal(&daemon).await;
    until_proven_after(&daemon, WallMs(0)).await;
    let scanned = board(&daemon).last_scan;
    // What did not survive the sleep: the watch, and the news of a change.
    silencer.kill();
    rig.write("a.txt", "changed while asleep");
    offset_ms.store(jump_ms, Ordering::SeqCst);
    rig.until_equal(&daemon).await;
    assert_ne!(board(&daemon).last_scan, scanned);
    until("the watch is renewed", async || {
        board(&daemon).proof.rebuilt == 1
    })
    .await;
    let rebuilt_ms = board(&daemon).proof.rebuilt_ms.unwrap();
    until_proven_after(&daemon, rebuilt_ms).await;
    rig.write("a.txt", "heard");
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_sleep_everything_is_scanned_and_the_watch_proved_at_once() {
    after_a_jump_of(8 * 3_600_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_clock_is_set_back_everything_is_scanned_and_the_watch_proved_at_once() {
    after_a_jump_of(-3 * 3_600_000).await;
}

/// A root that is deleted and made again is another folder: its marker is gone
/// with it, and whether it may be written anew is not the watch's to say. The
/// new folder is watched all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_made_again_has_no_marker_of_ours_and_is_scanned_on_the_period() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let mut config = rig.config();
    config.limits.unwatched_scan_ms = 1_000;
    let daemon = start(config, quick(None), None).await;
    rig.until_equal(&daemon).await;
    until_proven_after(&daemon, WallMs(0)).await;
    let made = rig.dir.path().join("made");
    fs::create_dir(&made).unwrap();
    fs::write(made.join("a.txt"), "another folder").unwrap();
    fs::rename(rig.root(), rig.dir.path().join("away")).unwrap();
    fs::rename(&made, rig.root()).unwrap();
    until("it is said", async || {
        let notes = board(&daemon).notes;
        notes
            .get("proof")
            .is_some_and(|note| note.contains("its marker is missing"))
    })
    .await;
    rig.write("b.txt", "seen");
    rig.until_equal(&daemon).await;
    assert_eq!(read_marker(&rig.root()), Ok(Marker::Absent));
    assert_eq!(on_disk(&rig.root()).len(), 2);
    assert_eq!(history(&rig.store(), "a.txt").await.len(), 2, "{BUCKET}");
    daemon.stop().await.unwrap();
}
