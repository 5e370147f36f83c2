//! A drive that does not answer holds up its own folder and nothing else.

use super::{config, fast_clock};
use crate::dead::DeadDrive;
use crate::harness::{Rig, until};
use crate::needs::Need;
use keepwatch::config::Config;
use keepwatch::daemon::{Daemon, Options};
use keepwatch::types::RelPath;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a disk may take in these tests.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// The rig's folder, and a second one on a drive that may die.
struct Two {
    rig: Rig,
    drive: PathBuf,
    config: Config,
}

impl Two {
    fn new() -> Self {
        let rig = Rig::new();
        let drive = rig.dir.path().join("drive");
        fs::create_dir(&drive).unwrap();
        rig.vault().ensure_bucket("drive").unwrap();
        let mut config = config(&rig);
        let mut second = config.sources[0].clone();
        second.name = "drive".into();
        second.bucket = "drive".into();
        second.path.clone_from(&drive);
        config.sources.push(second);
        Self { rig, drive, config }
    }

    async fn start(&self) -> Daemon {
        let options = Options {
            store: Some(self.rig.store()),
            clock: Some(fast_clock()),
            answer_wait: Some(ANSWER_WAIT),
            ..Options::default()
        };
        Daemon::start(self.config.clone(), options).await.unwrap()
    }
}

fn protected(daemon: &Daemon, source: usize) -> u64 {
    let ctx = daemon.components();
    ctx.index.counts(ctx.sources[source].id).protected()
}

/// The standing warning of the drive.
fn warning(daemon: &Daemon) -> String {
    let board = daemon.components().sources[1].status.snapshot();
    board.warnings.get("answer").cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drive_that_dies_under_the_workers_holds_up_nobody_else_and_comes_back() {
    if !Need::Mounts.is_met() {
        return;
    }
    let two = Two::new();
    for number in 0..40 {
        fs::write(two.drive.join(format!("{number}.txt")), "drive").unwrap();
        two.rig.write(&format!("{number}.txt"), "local");
    }
    let daemon = two.start().await;
    let ctx = daemon.components();
    until("both are in", async || {
        protected(&daemon, 0) == 40 && protected(&daemon, 1) == 40
    })
    .await;
    let dead = DeadDrive::over(&two.drive);
    // Every worker that may is sent into it.
    for number in 0..40 {
        let path = RelPath::from_bytes(format!("{number}.txt")).unwrap();
        ctx.sources[1].work.edit(path, ctx.clock.steady_ms(), false);
    }
    until("workers hang in it", async || {
        ctx.sources[1].work.queue.depth().running > 0
    })
    .await;
    let saved = Instant::now();
    two.rig
        .write("new.txt", "saved while the other drive hangs");
    until("the save is in", async || protected(&daemon, 0) == 41).await;
    assert!(saved.elapsed() < Duration::from_secs(20), "{saved:?}");
    until("it is told", async || !warning(&daemon).is_empty()).await;
    let text = warning(&daemon);
    assert!(
        text.contains("does not answer") && text.contains("network drive is connected"),
        "{text}"
    );
    until("no worker is in there any more", async || {
        ctx.sources[1].work.queue.depth().running == 0
    })
    .await;
    let left = ctx.sources[1].watchdog.abandoned();
    assert!((1..=16).contains(&left), "{left} threads left behind");
    // It stays at that, whatever is asked of it.
    for number in 0..20 {
        let path = RelPath::from_bytes(format!("{number}.txt")).unwrap();
        ctx.sources[1].work.edit(path, ctx.clock.steady_ms(), false);
    }
    two.rig.write("newer.txt", "and another");
    until("the next save is in", async || protected(&daemon, 0) == 42).await;
    assert_eq!(ctx.sources[1].work.queue.depth().running, 0);
    assert!(ctx.sources[1].watchdog.abandoned() <= left);
    assert_eq!(protected(&daemon, 1), 40, "nothing is taken for gone");
    dead.comes_back();
    fs::write(two.drive.join("after.txt"), "after").unwrap();
    until("it goes on by itself", async || {
        protected(&daemon, 1) == 41 && warning(&daemon).is_empty()
    })
    .await;
    assert_eq!(ctx.sources[1].watchdog.stalled_since_ms(), None);
    until("no thread is left behind", async || {
        ctx.sources[1].watchdog.abandoned() == 0
    })
    .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_does_not_wait_for_a_dead_drive_and_takes_it_up_when_it_answers() {
    if !Need::Mounts.is_met() {
        return;
    }
    let two = Two::new();
    two.rig.write("a.txt", "a");
    fs::write(two.drive.join("b.txt"), "b").unwrap();
    let dead = DeadDrive::over(&two.drive);
    let began = Instant::now();
    let starting = tokio::spawn({
        let (config, store) = (two.config.clone(), two.rig.store());
        async move {
            let options = Options {
                store: Some(store),
                clock: Some(fast_clock()),
                answer_wait: Some(ANSWER_WAIT),
                ..Options::default()
            };
            Daemon::start(config, options).await.unwrap()
        }
    });
    let store = two.rig.store();
    until("the other folder is backed up", async || {
        !crate::harness::in_bucket(&store).await.is_empty()
    })
    .await;
    let daemon = starting.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(30), "{began:?}");
    until("it is told", async || !warning(&daemon).is_empty()).await;
    assert_eq!(protected(&daemon, 1), 0);
    dead.comes_back();
    until("the drive is backed up", async || {
        protected(&daemon, 1) == 1
    })
    .await;
    assert!(warning(&daemon).is_empty());
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_dead_drive() {
    if !Need::Mounts.is_met() {
        return;
    }
    let two = Two::new();
    fs::write(two.drive.join("b.txt"), "b").unwrap();
    let daemon = two.start().await;
    until("it is in", async || protected(&daemon, 1) == 1).await;
    let _dead = DeadDrive::over(&two.drive);
    let ctx = daemon.components();
    let path = RelPath::from_bytes("b.txt").unwrap();
    ctx.sources[1].work.edit(path, ctx.clock.steady_ms(), false);
    ctx.sources[1].work.scans.ask_whole(true);
    until("a worker hangs in it", async || {
        ctx.sources[1].work.queue.depth().running > 0
            || ctx.sources[1].watchdog.stalled_since_ms().is_some()
    })
    .await;
    let asked = Instant::now();
    daemon.stop().await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(40), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drive_that_is_dead_for_long_is_an_alert_and_its_return_another() {
    if !Need::Mounts.is_met() {
        return;
    }
    use super::outage::{count, messages};
    let mut two = Two::new();
    two.config.notify.alert_after_ms = 60_000;
    let daemon = two.start().await;
    let dead = DeadDrive::over(&two.drive);
    until("it is told by message", async || {
        count(
            &messages(&two.rig),
            "does not answer and cannot be backed up",
        ) > 0
    })
    .await;
    dead.comes_back();
    until("its return, too", async || {
        count(&messages(&two.rig), "This is over") > 0
    })
    .await;
    daemon.stop().await.unwrap();
}
