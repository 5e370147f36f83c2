//! Disks that are not mounted, folders that are not the right one.

use super::{messages, reconcile, until_calm, until_told, until_warned};
use crate::harness::os::copy_tree;
use crate::harness::{BUCKET, Rig, in_bucket, scan_whole, until, write_config};
use crate::raw::marked;
use keepwatch::daemon::Daemon;
use std::fs;

async fn protected(rig: &Rig) -> Daemon {
    for i in 0..20 {
        rig.write(&format!("docs/{i}.txt"), format!("content of {i}"));
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon
}

/// The disk is gone and its mount point is there; it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn an_unmounted_disk_under_the_running_daemon_is_told_and_comes_back() {
    let rig = Rig::new();
    let daemon = protected(&rig).await;
    let away = rig.dir.path().join("away");
    fs::rename(rig.root(), &away).unwrap();
    fs::create_dir(rig.root()).unwrap();
    let warning = until_warned(&daemon, "identity").await;
    assert!(
        warning.contains("is not the one that was backed up"),
        "{warning}"
    );
    let told = until_told(&rig, "office is another folder than before").await;
    assert!(told.contains("--confirm-deletions"), "{told}");
    assert!(
        fs::read_dir(rig.root()).unwrap().next().is_none(),
        "no marker there"
    );
    fs::remove_dir(rig.root()).unwrap();
    fs::rename(&away, rig.root()).unwrap();
    until_calm(&daemon).await;
    until_told(&rig, "office is well again").await;
    assert_eq!(marked(&rig.store(), BUCKET).await, Vec::<String>::new());
    // It works as before.
    fs::remove_file(rig.path("docs/3.txt")).unwrap();
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

/// The share of missing files says nothing here: as many others are there.
#[tokio::test(flavor = "multi_thread")]
async fn another_disk_with_as_many_files_marks_nothing_until_confirmed() {
    let rig = Rig::new();
    let daemon = protected(&rig).await;
    fs::rename(rig.root(), rig.dir.path().join("away")).unwrap();
    for i in 0..25 {
        rig.write(&format!("films/{i}.txt"), format!("film {i}"));
    }
    until_warned(&daemon, "identity").await;
    until("the other files are stored, too", async || {
        in_bucket(&rig.store()).await.len() == 45
    })
    .await;
    // Neither by a scan nor by an event.
    scan_whole(&daemon.components().sources[0], false).await;
    fs::remove_file(rig.path("films/3.txt")).unwrap();
    rig.write("films/new.txt", "a sign of life");
    until("the event has been worked on", async || {
        in_bucket(&rig.store()).await.contains_key("films/new.txt")
    })
    .await;
    assert_eq!(marked(&rig.store(), BUCKET).await, Vec::<String>::new());
    let scan = scan_whole(&daemon.components().sources[0], true).await;
    assert!(scan.complete(), "{:?}", scan.incomplete);
    rig.until_equal(&daemon).await;
    assert!(daemon.components().sources[0].guard.holds().is_empty());
    assert_eq!(marked(&rig.store(), BUCKET).await.len(), 21);
    daemon.stop().await.unwrap();

    // It is the source from now on.
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert!(daemon.components().sources[0].guard.holds().is_empty());
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_on_a_bigger_disk_is_the_same_folder() {
    let rig = Rig::new();
    protected(&rig).await.stop().await.unwrap();
    let away = rig.dir.path().join("away");
    fs::rename(rig.root(), &away).unwrap();
    copy_tree(&away, &rig.root());
    fs::remove_file(rig.path("docs/3.txt")).unwrap();
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert!(daemon.components().sources[0].guard.holds().is_empty());
    assert_eq!(marked(&rig.store(), BUCKET).await, ["docs/3.txt"]);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_marker_is_known_by_its_files() {
    let rig = Rig::new();
    for i in 0..20 {
        rig.write(&format!("{i}.txt"), format!("content of {i}"));
    }
    let file = write_config(&rig, "");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("compress", "sentinel = false\ncompress"),
    )
    .unwrap();
    assert_eq!(reconcile(&file, &[]).0, Some(0));
    let away = rig.dir.path().join("away");
    fs::rename(rig.root(), &away).unwrap();
    copy_tree(&away, &rig.root());
    fs::remove_file(rig.path("3.txt")).unwrap();
    let (code, text) = reconcile(&file, &[]);
    assert_eq!(code, Some(0), "the same files, another inode: {text}");
    // Other files under most of the same names.
    fs::rename(rig.root(), rig.dir.path().join("away2")).unwrap();
    for i in 0..19 {
        rig.write(&format!("{i}.txt"), "of somebody else");
    }
    let (code, text) = reconcile(&file, &[]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("is not the one that was backed up"), "{text}");
    let told = messages(&rig);
    assert!(
        told.contains("office is another folder than before"),
        "{told}"
    );
    assert_eq!(marked(&rig.store(), BUCKET).await, ["3.txt"]);
}
