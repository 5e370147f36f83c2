//! Manifests: written after each full comparison, read by whoever restores or
//! rebuilds, and never needed.

pub mod clocks;
mod damage;
mod folders;
// Reads what a process costs from /proc.
#[cfg(target_os = "linux")]
mod large;
mod rebuilt;
mod slow;

use crate::harness;
use crate::harness::os::{is_root, mode_of, set_mode, symlink};
use crate::harness::{BUCKET, Fate, Faults, Rig};
use crate::raw::client;
use keepwatch::daemon::Daemon;
use keepwatch::files::Target;
use keepwatch::history::Selector;
use keepwatch::manifest::format::key;
use keepwatch::manifest::{ManifestEntry, Written, folder, read};
use keepwatch::restore::{Options, Request, Restored, restore};
use keepwatch::retry::Stop;
use keepwatch::s3::Store;
use keepwatch::status::ScanDone;
use keepwatch::types::{Origin, WallMs};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

pub fn origin() -> Origin {
    Origin {
        bucket: BUCKET.into(),
        prefix: String::new(),
    }
}

/// The full comparison of the daily job; what it found.
pub async fn compare(daemon: &Daemon) -> ScanDone {
    let settled = std::future::ready(());
    let mut scans = daemon.components().comparison().run(false, settled).await;
    scans.remove(0).expect("it came to its end")
}

/// The next comparison writes a manifest, though the last one says the same.
pub fn forget_newest(daemon: &Daemon) {
    let ctx = daemon.components();
    let nothing = serde_json::Value::Null;
    let set = ctx
        .index
        .source_state_set(ctx.sources[0].id, Written::NAME, &nothing);
    set.unwrap();
}

/// The folder is in the bucket, and a manifest of it with it; nothing runs any more.
pub async fn compared(rig: &Rig) {
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    daemon.stop().await.unwrap();
}

/// The manifests that a list shows.
pub async fn listed(store: &Store) -> Vec<read::Listing> {
    let mut stop = Stop::never();
    read::list(store, &origin(), &mut stop).await.unwrap()
}

/// The newest manifest that is whole, and the damaged ones before it.
pub async fn nearest(store: &Store) -> read::Nearest {
    let (origin, mut stop) = (origin(), Stop::never());
    let found = read::nearest(store, &origin, None, u64::MAX, &mut stop);
    found.await.unwrap()
}

/// The lines of the newest manifest, by path.
pub async fn newest(store: &Store) -> BTreeMap<String, ManifestEntry> {
    let found = nearest(store).await;
    assert_eq!(found.damaged, []);
    let manifest = found.manifest.expect("there is one");
    let mut lines = manifest.lines(store, &Stop::never()).await.unwrap();
    let mut all = BTreeMap::new();
    while let Some(line) = lines.next().await.unwrap() {
        all.insert(line.path.clone(), line);
    }
    assert_eq!(all.len() as u64, manifest.trailer.lines);
    all
}

/// Restore everything as of a moment into a folder of the rig.
pub async fn restored(rig: &Rig, store: &Store, at_ms: Option<WallMs>, to: &str) -> Restored {
    let request = Request {
        origin: origin(),
        selector: Selector::everything(),
        at_ms,
        target: Arc::new(Target::open(&rig.dir.path().join(to)).unwrap()),
        options: Options::default(),
        preflight: None,
    };
    restore(store, request, |_| {}, &Stop::never())
        .await
        .unwrap()
}

pub fn chmod(path: &Path, mode: u32) {
    set_mode(path, mode);
}

fn mode(path: &Path) -> u32 {
    mode_of(&fs::metadata(path).unwrap())
}

/// A small office whose folders have modes of their own.
pub fn office(rig: &Rig) {
    rig.write("a.txt", "a");
    rig.write("db/stock.csv", "name;count\n".repeat(200));
    rig.write("private/deep/er/x.pdf", "x");
    rig.write("private/y.pdf", "y");
    // What a user calls like our own folder is a file like any other.
    rig.write("db/.keepwatch/manifests/mine.txt", "mine");
    rig.write(".keepwatch/mine.txt", "mine too");
    fs::create_dir(rig.path("empty")).unwrap();
    symlink("private/y.pdf", rig.path("link"));
    chmod(&rig.path("empty"), 0o711);
    chmod(&rig.path("db"), 0o2775);
    chmod(&rig.path("private/deep"), 0o500);
    chmod(&rig.path("private"), 0o750);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_comparison_the_bucket_says_what_it_has() {
    let rig = Rig::new();
    office(&rig);
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert_eq!(listed(&rig.store()).await, [], "not before it was compared");
    assert!(compare(&daemon).await.complete());
    let store = rig.store();
    let all = newest(&store).await;
    let paths: Vec<&str> = all.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "%2Ekeepwatch/",
            "%2Ekeepwatch/mine.txt",
            "a.txt",
            "db/",
            "db/%2Ekeepwatch/",
            "db/%2Ekeepwatch/manifests/",
            "db/%2Ekeepwatch/manifests/mine.txt",
            "db/stock.csv",
            "empty/",
            "link",
            "private/",
            "private/deep/",
            "private/deep/er/",
            "private/deep/er/x.pdf",
            "private/y.pdf",
        ]
    );
    assert_eq!(all["db/"].mode, "2775");
    assert!(!all["db/"].has_object() && all["empty/"].has_object());
    assert!(all["db/stock.csv"].gzip && !all["a.txt"].gzip);
    assert_eq!(all["link"].target.as_deref(), Some("private/y.pdf"));
    // Each line names the very version.
    for line in all.values().filter(|line| line.has_object()) {
        let key = line.bucket_key("");
        let at = keepwatch::s3::At {
            bucket: BUCKET,
            key: &key,
        };
        let head = store
            .head(at, line.version_id.as_ref())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(head.etag, line.etag, "{key}");
        assert_eq!(head.gzip, line.gzip, "{key}");
        assert_eq!(head.meta.unwrap().content, line.content(), "{key}");
    }
    // It is neither a file nor foreign, and compared with nothing.
    forget_newest(&daemon);
    let again = compare(&daemon).await;
    assert!(again.complete() && again.foreign == 0, "{again:?}");
    assert_eq!(listed(&store).await.len(), 2);
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_come_back_with_their_own_modes() {
    let rig = Rig::new();
    office(&rig);
    compared(&rig).await;
    let done = restored(&rig, &rig.store(), None, "out").await;
    assert!(done.is_complete() && done.remarks.total == 0, "{done:?}");
    let out = rig.dir.path().join("out");
    for name in [
        "db",
        "private",
        "private/deep",
        "private/deep/er",
        "empty",
        ".keepwatch",
    ] {
        let (then, now) = (rig.path(name), out.join(name));
        // Without its owner the group's mark means nothing.
        let mask = if is_root() { 0o7777 } else { 0o1777 };
        assert_eq!(mode(&now) & mask, mode(&then) & mask, "{name}");
        let times = [&then, &now].map(|path| fs::metadata(path).unwrap().modified().unwrap());
        assert_eq!(times[0], times[1], "{name}");
    }
    // A second run finds all of it there, and changes nothing.
    chmod(&out.join("db"), 0o711);
    let again = restored(&rig, &rig.store(), None, "out").await;
    assert_eq!((again.files, again.is_complete()), (0, true), "{again:?}");
    assert_eq!(mode(&out.join("db")), 0o711, "somebody has chosen that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_somebody_removed_is_named() {
    let rig = Rig::new();
    rig.write("kept.txt", "kept");
    rig.write("older.txt", "one");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    rig.write("older.txt", "two, and longer");
    rig.write("gone.txt", "gone");
    rig.write("gone before.txt", "deleted by its owner");
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    fs::remove_file(rig.path("gone before.txt")).unwrap();
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    let store = rig.store();
    let all = newest(&store).await;
    let at_ms = listed(&store).await[0].moment_ms;
    for name in ["older.txt", "gone.txt"] {
        let delete = client(&rig.vault())
            .delete_object()
            .bucket(BUCKET)
            .key(name);
        let delete = delete.version_id(keepwatch::types::id_text(&all[name].version_id));
        delete.send().await.unwrap();
    }
    for (to, at_ms) in [("now", None), ("then", Some(at_ms))] {
        let done = restored(&rig, &store, at_ms, to).await;
        let named: Vec<&str> = done
            .failed
            .items
            .iter()
            .map(|f| f.subject.as_str())
            .collect();
        assert_eq!(named, ["gone.txt", "older.txt"], "{to}");
        assert!(
            done.failed.items[0]
                .cause
                .contains("not in the bucket any more")
        );
        // What is left comes back, for want of better.
        let out = rig.dir.path().join(to);
        assert_eq!(fs::read(out.join("older.txt")).unwrap(), b"one");
        assert_eq!(fs::read(out.join("kept.txt")).unwrap(), b"kept");
        assert_eq!(
            out.join("gone before.txt").exists(),
            at_ms.is_some(),
            "{to}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_refuses_our_folder_breaks_nothing() {
    let rig = Rig::new();
    office(&rig);
    let faults = Faults::new(|seen| {
        match seen.uri.contains(".keepwatch%2F") || seen.uri.contains(".keepwatch/m") {
            true => Fate::Answer(403, "AccessDenied"),
            false => Fate::Pass,
        }
    });
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store.clone())).await;
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    let report = harness::report(&daemon).await;
    assert!(report.is_well(), "{:?}", report.subject());
    let warnings = &report.sources[0].warnings;
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("no manifest was written")),
        "{warnings:?}"
    );
    daemon.stop().await.unwrap();
    assert_eq!(listed(&rig.store()).await, []);
    let done = restored(&rig, &store, None, "out").await;
    assert!(done.is_complete() && done.remarks.total == 1, "{done:?}");
    assert_eq!(done.files, 6);
    // A lost index is rebuilt without one.
    rig.lose_state();
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    assert!(compare(&daemon).await.complete());
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn none_is_written_after_a_comparison_that_is_not_complete() {
    let rig = Rig::new();
    office(&rig);
    let faults = Faults::none();
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.until_equal(&daemon).await;
    // The bucket cannot be listed; all else works.
    faults.set(|seen| match seen.uri.contains("list-type=2") {
        true => Fate::Answer(400, "InvalidRequest"),
        false => Fate::Pass,
    });
    let done = compare(&daemon).await;
    assert!(!done.complete() && !done.listed_whole, "{done:?}");
    assert_eq!(listed(&rig.store()).await, []);
    faults.set(|_| Fate::Pass);
    assert!(compare(&daemon).await.complete());
    assert_eq!(listed(&rig.store()).await.len(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn superseded_ones_are_marked_and_their_versions_stay() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    // Two of one week, half a year ago, and somebody's file among them.
    let newest_ms = listed(&rig.store()).await[0].moment_ms;
    let week_ms = 7 * 24 * 3_600_000;
    let old_ms = WallMs((newest_ms - 26 * week_ms).0.div_euclid(week_ms) * week_ms);
    let others = format!("{}readme.txt", folder(""));
    let keys = [old_ms, old_ms + 3_600_000].map(|ms| key("", ms));
    // As many days with younger ones as it takes: a clock alone makes nothing old.
    let daily = (1..=13).map(|day| key("", newest_ms - day * 24 * 3_600_000));
    let daily: Vec<String> = daily.collect();
    for key in keys.iter().chain(&daily).chain([&others]) {
        let put = client(&rig.vault()).put_object().bucket(BUCKET).key(key);
        put.send().await.unwrap();
    }
    forget_newest(&daemon);
    assert!(compare(&daemon).await.complete());
    let left: Vec<String> = listed(&rig.store())
        .await
        .into_iter()
        .map(|one| one.key)
        .collect();
    assert_eq!(left.len(), 3 + daily.len(), "{left:?}");
    assert!(!left.contains(&keys[0]) && left.contains(&keys[1]));
    let past = rig
        .store()
        .list_versions(BUCKET, &keys[0], None)
        .await
        .unwrap();
    let kinds: Vec<bool> = past.items.iter().map(|version| version.is_marker).collect();
    assert_eq!(kinds, [true, false]);
    let there = rig.store().list(BUCKET, &others, None, 10).await.unwrap();
    assert_eq!(there.items.len(), 1, "what is no manifest is left alone");
    daemon.stop().await.unwrap();
}

/// Named after the bug: after every comparison another manifest was written, of a
/// source in which nothing had changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_did_not_change_needs_no_other_manifest() {
    let rig = Rig::new();
    rig.write("folder/a.txt", "a");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let store = rig.store();
    let compared = async |count: usize, why: &str| {
        assert!(compare(&daemon).await.complete());
        assert_eq!(listed(&store).await.len(), count, "{why}");
    };
    compared(1, "the first").await;
    compared(1, "unchanged").await;
    compared(1, "still unchanged").await;
    rig.write("folder/a.txt", "changed");
    rig.until_equal(&daemon).await;
    compared(2, "a file changed").await;
    compared(2, "unchanged since").await;
    // A folder has no object of its own: the manifest alone knows its mode.
    chmod(&rig.path("folder"), 0o700);
    compared(3, "a folder's mode changed").await;
    // Somebody has marked the last one as deleted: another takes its place.
    let last = listed(&store).await.pop().unwrap();
    let delete = client(&rig.vault()).delete_object().bucket(BUCKET);
    delete.key(&last.key).send().await.unwrap();
    compared(3, "the last one is gone").await;
    daemon.stop().await.unwrap();
}
