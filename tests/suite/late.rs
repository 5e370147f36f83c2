//! Requests that nobody waits for any more, and that the server carries out later.

mod held;

use crate::harness::os::{OTHER_MODE, set_mode};
use crate::harness::{BUCKET, Fate, Faults, Rig, history, in_bucket, on_disk, until};
use crate::raw::marked;
use keepwatch::daemon::Daemon;
use keepwatch::s3::{At, Store};
use std::fs;
use tokio::sync::watch;

/// Longer than any test: what is due comes when the test says so.
const HOUR_MS: u64 = 60 * 60 * 1_000;

/// A daemon on a line on which the first request of a kind is answered by a broken
/// connection, and carried out when the test says so. The SDK repeats it at once.
struct Scene {
    rig: Rig,
    faults: Faults,
    store: Store,
    carry_out: watch::Sender<bool>,
}

impl Scene {
    fn new() -> Self {
        let rig = Rig::new();
        let faults = Faults::none();
        let store = rig.store();
        let (carry_out, _) = watch::channel(false);
        Self {
            rig,
            faults,
            store,
            carry_out,
        }
    }

    async fn start(&self, late_request_ms: u64) -> Daemon {
        let mut config = self.rig.config();
        config.limits.late_request_ms = late_request_ms;
        let store = self.rig.faulty_store(&self.faults);
        self.rig.start_with(config, Some(store)).await
    }

    /// The next request of this method and this part of a URI is held.
    fn hold(&self, method: &'static str, part: &'static str) {
        let told = self.carry_out.subscribe();
        let mut is_first = true;
        self.faults.set(move |seen| {
            let is_it = seen.method == method && seen.uri.contains(part);
            match is_it && std::mem::take(&mut is_first) {
                true => Fate::CarryOutLater(told.clone()),
                false => Fate::Pass,
            }
        });
    }

    async fn versions(&self, key: &str) -> usize {
        history(&self.store, key).await.len()
    }

    /// What was held comes, and changes what is current.
    async fn comes(&self, key: &str) {
        let before = self.versions(key).await;
        self.carry_out.send_replace(true);
        until("what was held is carried out", async || {
            self.versions(key).await > before
        })
        .await;
        assert_ne!(
            in_bucket(&self.store).await,
            on_disk(&self.rig.root()),
            "it is harmless"
        );
    }

    /// So much time has passed that nothing can come any more.
    async fn is_put_right(&self, daemon: &Daemon) {
        let ctx = daemon.components();
        until("the bucket equals the folder again", async || {
            // What is noted a moment later is due, too.
            ctx.sources[0].late.pass(2 * HOUR_MS as i64);
            in_bucket(&self.store).await == on_disk(&self.rig.root())
        })
        .await;
        self.rig.until_equal(daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_that_comes_late_does_not_stay_over_a_newer_one() {
    let scene = Scene::new();
    scene.rig.write("f.txt", "one");
    let daemon = scene.start(HOUR_MS).await;
    scene.rig.until_equal(&daemon).await;
    scene.hold("PUT", "f.txt");
    scene.rig.write("f.txt", "two");
    scene.rig.until_equal(&daemon).await;
    scene.rig.write("f.txt", "three");
    scene.rig.until_equal(&daemon).await;
    scene.comes("f.txt").await;
    scene.is_put_right(&daemon).await;
    let newest = history(&scene.store, "f.txt").await[0].clone();
    assert_eq!(newest, Some(b"three".to_vec()));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_deleted_meanwhile_is_marked_again() {
    let scene = Scene::new();
    scene.rig.write("stays.txt", "stays");
    let daemon = scene.start(HOUR_MS).await;
    scene.rig.until_equal(&daemon).await;
    scene.hold("PUT", "f.txt");
    scene.rig.write("f.txt", "one");
    scene.rig.until_equal(&daemon).await;
    fs::remove_file(scene.rig.path("f.txt")).unwrap();
    scene.rig.until_equal(&daemon).await;
    scene.comes("f.txt").await;
    scene.is_put_right(&daemon).await;
    assert_eq!(marked(&scene.store, BUCKET).await, ["f.txt"; 2]);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_comes_late_does_not_hide_the_file_that_came_after_it() {
    let scene = Scene::new();
    for name in ["f.txt", "stays.txt"] {
        scene.rig.write(name, name);
    }
    let daemon = scene.start(HOUR_MS).await;
    scene.rig.until_equal(&daemon).await;
    scene.hold("DELETE", "f.txt");
    fs::remove_file(scene.rig.path("f.txt")).unwrap();
    scene.rig.until_equal(&daemon).await;
    scene.rig.write("f.txt", "another");
    scene.rig.until_equal(&daemon).await;
    scene.comes("f.txt").await;
    scene.is_put_right(&daemon).await;
    let newest = history(&scene.store, "f.txt").await[0].clone();
    assert_eq!(newest, Some(b"another".to_vec()));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_comes_late_does_not_bring_an_older_mode_back() {
    let scene = Scene::new();
    scene.rig.write("f.txt", "the same");
    let chmod = |mode| set_mode(scene.rig.path("f.txt"), mode);
    chmod(0o640);
    let daemon = scene.start(HOUR_MS).await;
    scene.rig.until_equal(&daemon).await;
    scene.hold("PUT", "f.txt");
    chmod(OTHER_MODE);
    scene.rig.until_equal(&daemon).await;
    chmod(0o644);
    scene.rig.until_equal(&daemon).await;
    scene.comes("f.txt").await;
    scene.is_put_right(&daemon).await;
    let at = At {
        bucket: BUCKET,
        key: "f.txt",
    };
    let head = scene.store.head(at, None).await.unwrap().unwrap();
    assert_eq!(head.meta.unwrap().mode, 0o644);
    daemon.stop().await.unwrap();
}

/// The look that is owed outlives a stop with nothing under way.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_clean_stop_is_found_by_the_next_run() {
    let scene = Scene::new();
    scene.rig.write("stays.txt", "stays");
    let daemon = scene.start(HOUR_MS).await;
    scene.rig.until_equal(&daemon).await;
    scene.hold("PUT", "f.txt");
    scene.rig.write("f.txt", "one");
    scene.rig.until_equal(&daemon).await;
    fs::remove_file(scene.rig.path("f.txt")).unwrap();
    scene.rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    let daemon = scene.start(HOUR_MS).await;
    scene.rig.until_equal(&daemon).await;
    scene.comes("f.txt").await;
    scene.is_put_right(&daemon).await;
    daemon.stop().await.unwrap();
}
