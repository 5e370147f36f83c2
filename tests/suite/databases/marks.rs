//! When a journal that is gone is marked as deleted: with its database, never before.

use crate::harness::{BUCKET, Fate, Faults, Rig, at_rest, history, until};
use crate::raw::marked;
use keepwatch::daemon::Daemon;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A database and its journal, both stored, on a line with faults.
struct Scene {
    rig: Rig,
    faults: Faults,
    daemon: Daemon,
}

impl Scene {
    async fn start() -> Self {
        let rig = Rig::new();
        // Others, or the deletion guard takes two deletions for a disaster.
        for number in 0..20 {
            rig.write(&format!("{number}.txt"), "stays");
        }
        rig.write("x.db", "one");
        rig.write("x.db-wal", "of one");
        let faults = Faults::none();
        let store = rig.faulty_store(&faults);
        let daemon = rig.start_with(rig.config(), Some(store)).await;
        rig.until_equal(&daemon).await;
        Self {
            rig,
            faults,
            daemon,
        }
    }

    async fn marked(&self) -> Vec<String> {
        let mut marked = marked(&self.rig.store(), BUCKET).await;
        marked.sort();
        marked
    }
}

/// How often a request of this method for exactly the database went by; each is
/// answered so.
fn refuse(faults: &Faults, method: &'static str, fate: &Fate) -> Arc<AtomicU64> {
    let seen = Arc::new(AtomicU64::new(0));
    let (count, fate) = (Arc::clone(&seen), fate.clone());
    faults.set(move |request| {
        let path = request.uri.split('?').next().unwrap_or_default();
        if request.method != method || !path.ends_with("/x.db") {
            return Fate::Pass;
        }
        count.fetch_add(1, Ordering::Relaxed);
        fate.clone()
    });
    seen
}

/// Named after the bug: the journal of a database that could not be marked was marked,
/// and the database came back without its newest rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_is_marked_only_when_its_databases_own_deletion_is_stored() {
    let scene = Scene::start().await;
    let seen = refuse(&scene.faults, "DELETE", &Fate::Answer(403, "AccessDenied"));
    for name in ["x.db", "x.db-wal"] {
        fs::remove_file(scene.rig.path(name)).unwrap();
    }
    until("the deletion was refused", async || {
        seen.load(Ordering::Relaxed) > 0 && at_rest(&scene.daemon)
    })
    .await;
    assert_eq!(scene.marked().await, Vec::<String>::new());
    scene.faults.set(|_| Fate::Pass);
    scene.daemon.components().sources[0]
        .work
        .scans
        .ask_whole(false);
    scene.rig.until_equal(&scene.daemon).await;
    assert_eq!(scene.marked().await, ["x.db", "x.db-wal"]);
    scene.daemon.stop().await.unwrap();
}

/// The same of a journal that is gone after a save.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_is_marked_only_when_its_databases_own_state_is_stored() {
    let scene = Scene::start().await;
    let seen = refuse(&scene.faults, "PUT", &Fate::Answer(400, "InvalidRequest"));
    scene.rig.write("x.db", "one and of one");
    fs::remove_file(scene.rig.path("x.db-wal")).unwrap();
    until("the save was refused", async || {
        seen.load(Ordering::Relaxed) > 0 && at_rest(&scene.daemon)
    })
    .await;
    assert_eq!(scene.marked().await, Vec::<String>::new());
    scene.faults.set(|_| Fate::Pass);
    scene.rig.write("x.db", "one and of one, and two");
    scene.rig.until_equal(&scene.daemon).await;
    assert_eq!(scene.marked().await, ["x.db-wal"]);
    let newest = history(&scene.rig.store(), "x.db").await[0].clone();
    assert_eq!(newest, Some(b"one and of one, and two".to_vec()));
    scene.daemon.stop().await.unwrap();
}

/// Named after the bug: a journal that could not be marked in its database's turn was
/// forgotten, since its database had no record any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_could_not_be_marked_yet_gets_another_turn() {
    let scene = Scene::start().await;
    let ctx = scene.daemon.components().clone();
    let began = Arc::new(OnceLock::new());
    let (counting, tell) = (ctx.clone(), Arc::clone(&began));
    scene.faults.set(move |request| {
        let path = request.uri.split('?').next().unwrap_or_default();
        if request.method == "DELETE" && path.ends_with("/x.db") && tell.set(()).is_ok() {
            // While the database is marked another worker begins to count the files.
            counting.sources[0].guard.counts(true);
        }
        Fate::Pass
    });
    for name in ["x.db-wal", "x.db"] {
        fs::remove_file(scene.rig.path(name)).unwrap();
    }
    until("the database is marked", async || {
        scene.marked().await.contains(&"x.db".to_owned())
    })
    .await;
    assert!(began.get().is_some());
    assert_eq!(
        scene.marked().await,
        ["x.db"],
        "nothing more while they count"
    );
    ctx.sources[0].guard.counts(false);
    scene.rig.until_equal(&scene.daemon).await;
    assert_eq!(scene.marked().await, ["x.db", "x.db-wal"]);
    scene.daemon.stop().await.unwrap();
}
