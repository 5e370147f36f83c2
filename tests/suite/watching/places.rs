//! Folders that go away and come back, sources side by side, and a bucket that
//! keeps no versions.

use crate::harness::{BUCKET, Fate, Faults, Rig, at_rest, history, on_disk, scan_whole, until};
use crate::raw::{client, counts, marked, versions};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use keepwatch::config::{OnDelete, SourceConfig};
use keepwatch::daemon::Daemon;
use keepwatch::s3::Store;
use keepwatch::status::Watching;
use std::fs;

async fn until_missing(daemon: &Daemon) {
    until("the daemon sees that its folder is away", async || {
        let board = daemon.components().sources[0].status.snapshot();
        matches!(board.watching, Watching::Off(_)) && board.warnings.contains_key("folder")
    })
    .await;
}

async fn until_watching(daemon: &Daemon) {
    until("the daemon watches its folder again", async || {
        let board = daemon.components().sources[0].status.snapshot();
        board.watching == Watching::On && !board.warnings.contains_key("folder")
    })
    .await;
}

/// A folder of three files whose copies are in the bucket.
async fn protected(rig: &Rig) -> Daemon {
    for name in ["a.txt", "sub/b.txt", "sub/c.txt"] {
        rig.write(name, name);
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon
}

/// Scan, with and without the bucket, and see that nothing was marked.
async fn nothing_is_marked(rig: &Rig, daemon: &Daemon) {
    let ctx = daemon.components();
    let scan = scan_whole(&ctx.sources[0], false).await;
    assert!(!scan.complete(), "a scan of nothing is not complete");
    assert_eq!(marked(&rig.store(), BUCKET).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_renamed_away_and_back_marks_nothing_and_is_watched_again() {
    let rig = Rig::new();
    let daemon = protected(&rig).await;
    let away = rig.dir.path().join("away");
    fs::rename(rig.root(), &away).unwrap();
    until_missing(&daemon).await;
    nothing_is_marked(&rig, &daemon).await;
    fs::write(away.join("a.txt"), "changed while away").unwrap();
    fs::rename(&away, rig.root()).unwrap();
    until_watching(&daemon).await;
    rig.until_equal(&daemon).await;
    rig.write("sub/b.txt", "changed after");
    rig.until_equal(&daemon).await;
    let store = rig.store();
    assert_eq!(marked(&store, BUCKET).await, Vec::<String>::new());
    assert_eq!(
        counts(&store, BUCKET).await["sub/c.txt"],
        1,
        "not sent again"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_deleted_and_made_again_marks_nothing_unless_confirmed_and_is_watched_again() {
    let rig = Rig::new();
    let daemon = protected(&rig).await;
    fs::remove_dir_all(rig.root()).unwrap();
    until_missing(&daemon).await;
    nothing_is_marked(&rig, &daemon).await;
    // Made complete elsewhere, as from a restore, then put in place.
    let made = rig.dir.path().join("made");
    fs::create_dir_all(made.join("sub")).unwrap();
    for name in ["a.txt", "sub/b.txt"] {
        fs::write(made.join(name), "made again").unwrap();
    }
    fs::rename(&made, rig.root()).unwrap();
    until_watching(&daemon).await;
    // It may be another folder: that is for a person to say.
    nothing_is_marked(&rig, &daemon).await;
    let board = daemon.components().sources[0].status.snapshot();
    assert!(board.warnings.contains_key("identity"), "{board:?}");
    let scan = scan_whole(&daemon.components().sources[0], true).await;
    assert!(scan.complete(), "{:?}", scan.incomplete);
    rig.until_equal(&daemon).await;
    assert_eq!(marked(&rig.store(), BUCKET).await, ["sub/c.txt"]);
    rig.write("sub/new.txt", "seen at once");
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sources_in_one_bucket_leave_each_other_alone_and_keep_marks_nothing() {
    let rig = Rig::new();
    let mut config = rig.config();
    let second = rig.dir.path().join("second");
    fs::create_dir(&second).unwrap();
    config.sources[0].prefix = "one/".into();
    let keep = SourceConfig {
        name: "second".into(),
        path: second.clone(),
        prefix: "two/".into(),
        on_delete: OnDelete::Keep,
        ..config.sources[0].clone()
    };
    config.sources.push(keep);
    for name in ["same.txt", "x/goes.txt"] {
        rig.write(name, "first");
        fs::create_dir_all(second.join("x")).unwrap();
        fs::write(second.join(name), "second").unwrap();
    }
    let daemon = rig.start_with(config, None).await;
    let store = rig.store();
    let all = async |want: &[&str]| {
        until(&format!("the bucket has {want:?}"), async || {
            let keys = super::keys(&store).await;
            at_rest(&daemon) && keys.iter().map(String::as_str).eq(want.iter().copied())
        })
        .await;
    };
    let four = [
        "one/same.txt",
        "one/x/goes.txt",
        "two/same.txt",
        "two/x/goes.txt",
    ];
    all(&four).await;
    let (first, other) = ([Some(b"first".to_vec())], [Some(b"second".to_vec())]);
    assert_eq!(history(&store, "one/same.txt").await, first);
    assert_eq!(history(&store, "two/same.txt").await, other);
    fs::remove_dir_all(rig.path("x")).unwrap();
    fs::remove_dir_all(second.join("x")).unwrap();
    fs::write(second.join("same.txt"), "second, edited").unwrap();
    let three = ["one/same.txt", "two/same.txt", "two/x/goes.txt"];
    until("the edit is stored", async || {
        history(&store, "two/same.txt").await.len() == 2
    })
    .await;
    all(&three).await;
    for source in 0..2 {
        let scan = daemon.components().sources[source]
            .work
            .scans
            .ask_and_wait(false)
            .await
            .unwrap();
        assert!(scan.complete(), "{scan:?}");
    }
    all(&three).await;
    assert_eq!(marked(&store, BUCKET).await, ["one/x/goes.txt"]);
    assert_eq!(history(&store, "one/same.txt").await, first);
    assert_eq!(history(&store, "two/x/goes.txt").await, other);
    daemon.stop().await.unwrap();
}

/// The bucket named in the configuration does not keep versions (never did, or
/// not any more): files arrive, the owner is warned, nothing is deleted.
async fn without_versions(bucket: &str, suspended: bool) {
    let rig = Rig::new();
    let vault = rig.vault();
    let sdk = client(&vault);
    if suspended {
        let off = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Suspended)
            .build();
        let put = sdk.put_bucket_versioning().bucket(bucket);
        put.versioning_configuration(off).send().await.unwrap();
    } else {
        sdk.create_bucket().bucket(bucket).send().await.unwrap();
    }
    let mut config = rig.config();
    config.sources[0].bucket = bucket.into();
    for name in ["a.txt", "b.txt", "c/d.txt"] {
        rig.write(name, name);
    }
    let store = rig.store();
    let daemon = rig.start_with(config, Some(rig.store())).await;
    let ctx = daemon.components();
    let current = async |store: &Store| -> Vec<String> {
        let all = versions(store, bucket).await;
        assert!(all.iter().all(|v| !v.is_marker), "{all:?}");
        all.into_iter().map(|v| v.key).collect()
    };
    until("all files are in the bucket", async || {
        at_rest(&daemon) && current(&store).await == ["a.txt", "b.txt", "c/d.txt"]
    })
    .await;
    let warning = ctx.sources[0].status.snapshot().warnings["versioning"].clone();
    assert!(warning.contains("put-bucket-versioning"), "{warning}");
    fs::remove_file(rig.path("a.txt")).unwrap();
    fs::remove_dir_all(rig.path("c")).unwrap();
    rig.write("e.txt", "new");
    until("the new file is in the bucket", async || {
        at_rest(&daemon) && current(&store).await.contains(&"e.txt".to_owned())
    })
    .await;
    let scan = scan_whole(&ctx.sources[0], false).await;
    assert!(scan.complete() && scan.with_bucket, "{scan:?}");
    until("the daemon is at rest", async || at_rest(&daemon)).await;
    assert_eq!(
        current(&store).await,
        ["a.txt", "b.txt", "c/d.txt", "e.txt"]
    );
    assert_eq!(on_disk(&rig.root()).len(), 2);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket_without_versions_nothing_is_ever_deleted() {
    without_versions("plain-bucket", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_bucket_whose_versioning_is_suspended_nothing_is_ever_deleted() {
    without_versions(BUCKET, true).await;
}

/// An answer that stayed out once used to leave its warning for as long as
/// nothing else scanned the folder: nobody asked again what had been known before.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_once_did_not_say_whether_it_keeps_versions_is_asked_again() {
    let rig = Rig::new();
    let faults = Faults::none();
    for name in ["a.txt", "b.txt"] {
        rig.write(name, name);
    }
    let store = rig.faulty_store(&faults);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    rig.until_equal(&daemon).await;
    let ctx = daemon.components();
    let warned = || {
        let board = ctx.sources[0].status.snapshot();
        board.warnings.contains_key("versioning")
    };
    assert!(!warned());
    faults.set(|seen| match seen.uri.contains("?versioning") {
        true => Fate::Answer(403, "AccessDenied"),
        false => Fate::Pass,
    });
    scan_whole(&ctx.sources[0], false).await;
    assert!(warned());
    faults.set(|_| Fate::Pass);
    fs::remove_file(rig.path("a.txt")).unwrap();
    until("the warning is gone", async || !warned()).await;
    rig.until_equal(&daemon).await;
    assert_eq!(marked(&rig.store(), BUCKET).await, ["a.txt"]);
    daemon.stop().await.unwrap();
}
