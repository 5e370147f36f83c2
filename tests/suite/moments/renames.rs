//! What is renamed, moved or swapped is under one of its names at every moment.

use crate::harness::{BUCKET, Fate, Faults, Rig, until};
use crate::raw;
use crate::seed::seed;
use fastrand::Rng;
use keepwatch::daemon::Daemon;
use keepwatch::history::{Selector, Timeline};
use keepwatch::retry::Stop;
use keepwatch::s3::{At, Store};
use keepwatch::types::{Origin, WallMs};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

/// A server on which every storing takes another time, so that nothing is in any
/// order by itself.
fn uneven(rig: &Rig, seed: u64) -> Store {
    let faults = Faults::none();
    let rng = Mutex::new(Rng::with_seed(seed));
    faults.set(move |seen| match seen.method.as_str() {
        "PUT" => Fate::Late(Duration::from_millis(rng.lock().unwrap().u64(0..150))),
        _ => Fate::Pass,
    });
    rig.faulty_store(&faults)
}

fn text(name: &str, bytes: usize) -> Vec<u8> {
    let line = format!("{name}: the same again\n");
    line.bytes().cycle().take(bytes).collect()
}

async fn start(rig: &Rig, store: Store) -> Daemon {
    rig.start_with(rig.config(), Some(store)).await
}

/// Every content that the moment has, by its hash.
async fn contents(store: &Store, at_ms: WallMs) -> BTreeSet<String> {
    let origin = Origin {
        bucket: BUCKET.into(),
        prefix: String::new(),
    };
    let all = Selector::everything();
    let mut timeline = Timeline::new(store, &origin, &all, Some(at_ms));
    let mut found = BTreeSet::new();
    while let Some(chosen) = timeline.next(&mut Stop::never()).await.unwrap() {
        let at = At {
            bucket: BUCKET,
            key: &chosen.key,
        };
        let head = store.head(at, chosen.version_id.as_ref()).await.unwrap();
        let meta = head.unwrap().meta.unwrap();
        found.extend(meta.content.map(|hash| hash.to_hex()));
    }
    found
}

/// At every moment from `from_ms` on at which anything changes in the bucket, and
/// right before, all of `wanted` are there. What is missing when.
async fn missing(store: &Store, from_ms: WallMs, wanted: &BTreeMap<String, String>) -> Vec<String> {
    let (mut moments, mut story) = (BTreeSet::new(), Vec::new());
    for version in raw::versions(store, BUCKET).await {
        let mut times = vec![version.modified_ms];
        let mut seen = "deleted".to_owned();
        if !version.is_marker {
            let at = At {
                bucket: BUCKET,
                key: &version.key,
            };
            let head = store.head(at, version.version_id.as_ref()).await.unwrap();
            let meta = head.unwrap().meta.unwrap();
            times.extend(meta.seen_ms);
            let name = meta.content.and_then(|hash| wanted.get(&hash.to_hex()));
            seen = format!("{name:?} seen {:?}", meta.seen_ms);
        }
        story.push(format!(
            "{} at {}: {seen}",
            version.key, version.modified_ms.0
        ));
        moments.extend(
            times
                .into_iter()
                .flat_map(|time| [time - 1, time, time + 1]),
        );
    }
    let mut wrong = Vec::new();
    for at_ms in moments.range(from_ms..) {
        let found = contents(store, *at_ms).await;
        for (hash, name) in wanted {
            if !found.contains(hash) {
                wrong.push(format!("{name} is nowhere at {at_ms:?}"));
            }
        }
    }
    if !wrong.is_empty() {
        wrong.extend(story);
    }
    wrong
}

fn now_ms() -> WallMs {
    jiff::Timestamp::now().into()
}

/// A folder of these files stored, then changed by `change`, on an uneven server.
async fn at_no_moment_nowhere(names: &[&str], change: impl FnOnce(&Rig)) {
    let seed = seed(468_522, 1_000_000);
    let rig = Rig::new();
    let mut wanted = BTreeMap::new();
    for (number, name) in names.iter().enumerate() {
        // Some are copied, some are sent again.
        let content = text(name, [300, 9_000][number % 2] + number);
        let hash = keepwatch::types::ContentHash::of(&content).to_hex();
        wanted.insert(hash, (*name).to_owned());
        rig.write(name, content);
    }
    let daemon = start(&rig, uneven(&rig, seed)).await;
    rig.until_equal(&daemon).await;
    let from_ms = now_ms();
    until("the clock goes on", async || now_ms() > from_ms).await;
    change(&rig);
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    let wrong = missing(&rig.store(), from_ms, &wanted).await;
    assert!(wrong.is_empty(), "seed {seed}\n{}", wrong.join("\n"));
}

fn rename(rig: &Rig, from: &str, to: &str) {
    fs::rename(rig.path(from), rig.path(to)).unwrap();
}

fn swap(rig: &Rig, one: &str, other: &str) {
    rename(rig, one, "aside");
    rename(rig, other, one);
    rename(rig, "aside", other);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_renamed_is_there_at_every_moment() {
    let names: Vec<String> = (0..24).map(|n| format!("old/{}/file {n}", n % 3)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    at_no_moment_nowhere(&names, |rig| rename(rig, "old", "a new name")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_renamed_and_moved_are_there_at_every_moment() {
    let names = ["a", "b", "c", "d/e", "d/f", "stays"];
    at_no_moment_nowhere(&names, |rig| {
        fs::create_dir(rig.path("far")).unwrap();
        for (from, to) in [("a", "z"), ("b", "far/b"), ("d/e", "e"), ("c", "far/c 2")] {
            rename(rig, from, to);
        }
        rename(rig, "d", "far/d");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_swapped_are_there_at_every_moment() {
    let names = ["a", "b", "c", "d", "e/1", "f/1"];
    at_no_moment_nowhere(&names, |rig| {
        swap(rig, "a", "c");
        swap(rig, "b", "d");
        swap(rig, "e/1", "f/1");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_are_swapped_are_there_at_every_moment() {
    // Some names are in both.
    let names = [
        "x/1", "x/2", "x/3", "x/only", "y/1", "y/2", "y/3", "y/z/deep",
    ];
    at_no_moment_nowhere(&names, |rig| swap(rig, "x", "y")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_alone_waits_for_nothing() {
    let rig = Rig::new();
    rig.write("gone", text("gone", 5_000));
    rig.write("stays", text("stays", 5_000));
    let daemon = start(&rig, rig.store()).await;
    rig.until_equal(&daemon).await;
    fs::remove_file(rig.path("gone")).unwrap();
    rig.until_equal(&daemon).await;
    assert_eq!(raw::marked(&rig.store(), BUCKET).await, ["gone"]);
    daemon.stop().await.unwrap();
}

/// In an office something always changes: a log, a mailbox, a database.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_does_not_wait_for_files_that_are_written_without_pause() {
    let rig = Rig::new();
    rig.write("gone", text("gone", 5_000));
    let logs = ["log a", "log b", "log c"];
    logs.iter().for_each(|log| rig.write(log, "a line\n"));
    let daemon = start(&rig, rig.store()).await;
    rig.until_equal(&daemon).await;
    let paths = logs.map(|log| rig.path(log));
    let writing = tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        for turn in 0_usize.. {
            tick.tick().await;
            let log = fs::File::options()
                .append(true)
                .open(&paths[turn % paths.len()]);
            writeln!(log.unwrap(), "another line").unwrap();
        }
    });
    let versions = async || raw::versions(&rig.store(), BUCKET).await;
    until("the logs are stored again", async || {
        let versions = versions().await;
        logs.iter()
            .all(|log| versions.iter().filter(|v| v.key == *log).count() > 1)
    })
    .await;
    fs::remove_file(rig.path("gone")).unwrap();
    until("the deletion is marked", async || {
        raw::marked(&rig.store(), BUCKET).await == ["gone"]
    })
    .await;
    assert!(!writing.is_finished());
    writing.abort();
    daemon.stop().await.unwrap();
}
