//! Folders that come, go, move and change into something else.

use super::until_arrived;
use crate::harness::os::copy_tree;
use crate::harness::{BUCKET, Rig, at_rest, history, until};
use crate::raw::{counts, marked};
use std::fs;

/// A folder beside the protected one, full of files: `folders` folders below
/// each other or side by side, `files` files in all.
fn elsewhere(rig: &Rig, folders: usize, files: usize) -> std::path::PathBuf {
    let top = rig.dir.path().join("elsewhere");
    for number in 0..files {
        let folder = number % folders;
        let path = top.join(format!("f{}/f{folder}/{number}.txt", folder % 7));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("content {number}")).unwrap();
    }
    top
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_tree_copied_in_one_go_arrives_whole() {
    let rig = Rig::new();
    let tree = elsewhere(&rig, 300, 2_000);
    let daemon = rig.start().await;
    copy_tree(&tree, &rig.path("copy"));
    until_arrived(&rig, &daemon).await;
    let mut counts = counts(&rig.store(), BUCKET).await;
    // A folder may have been seen in the moment before its first file came.
    counts.retain(|key, _| !key.ends_with('/'));
    assert_eq!(counts.len(), 2_000);
    assert!(counts.values().all(|count| *count == 1), "stored once each");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scan_of_a_new_folder_is_not_told_as_one_of_the_whole_source() {
    let rig = Rig::new();
    let tree = elsewhere(&rig, 20, 600);
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    fs::rename(&tree, rig.path("in")).unwrap();
    until_arrived(&rig, &daemon).await;
    let board = daemon.components().sources[0].status.snapshot();
    assert_eq!(board.scanning, None, "no scan is under way any more");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_moved_in_arrives_with_its_contents_and_moved_out_it_leaves() {
    let rig = Rig::new();
    let tree = elsewhere(&rig, 10, 60);
    // Were it more than half of all, it would be held back.
    copy_tree(&tree, &rig.path("stays"));
    let daemon = rig.start().await;
    fs::rename(&tree, rig.path("in")).unwrap();
    until_arrived(&rig, &daemon).await;
    // It is watched as well as seen.
    rig.write("in/f1/f1/1.txt", "edited");
    rig.until_equal(&daemon).await;
    fs::rename(rig.path("in"), &tree).unwrap();
    rig.until_equal(&daemon).await;
    assert_eq!(marked(&rig.store(), BUCKET).await.len(), 60);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_folder_is_stored_under_its_new_name_and_goes_on_being_watched() {
    let rig = Rig::new();
    copy_tree(&elsewhere(&rig, 10, 60), &rig.path("old"));
    let daemon = rig.start().await;
    until_arrived(&rig, &daemon).await;
    fs::rename(rig.path("old"), rig.path("new")).unwrap();
    until_arrived(&rig, &daemon).await;
    rig.write("new/f1/f1/1.txt", "edited");
    fs::remove_file(rig.path("new/f2/f2/2.txt")).unwrap();
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_may_become_a_file_and_a_folder_again() {
    let rig = Rig::new();
    rig.write("thing/a/one.txt", "1");
    rig.write("thing/two.txt", "2");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    fs::remove_dir_all(rig.path("thing")).unwrap();
    rig.write("thing", "a file now");
    rig.until_equal(&daemon).await;
    fs::remove_file(rig.path("thing")).unwrap();
    rig.write("thing/two.txt", "2 again");
    rig.until_equal(&daemon).await;
    // And both at once, between two looks.
    fs::remove_dir_all(rig.path("thing")).unwrap();
    rig.write("thing", "for a moment");
    fs::remove_file(rig.path("thing")).unwrap();
    rig.write("thing/three.txt", "3");
    rig.until_equal(&daemon).await;
    let store = rig.store();
    assert_eq!(history(&store, "thing/two.txt").await.len(), 4);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_new_tree_arrives_and_is_watched_to_its_end() {
    let rig = Rig::new();
    let daemon = rig.start().await;
    let deep: String = (0..40).map(|level| format!("level{level}/")).collect();
    rig.write(&format!("{deep}leaf.txt"), "deep down");
    rig.until_equal(&daemon).await;
    rig.write(&format!("{deep}leaf.txt"), "deep down, edited");
    rig.write(&format!("{deep}second.txt"), "beside it");
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_folder_is_marked_file_by_file() {
    let rig = Rig::new();
    let tree = elsewhere(&rig, 30, 200);
    copy_tree(&tree, &rig.path("gone"));
    // Were it more than half of all, it would be held back.
    copy_tree(&tree, &rig.path("stays"));
    rig.write("stays.txt", "here");
    let daemon = rig.start().await;
    until_arrived(&rig, &daemon).await;
    fs::remove_dir_all(rig.path("gone")).unwrap();
    rig.until_equal(&daemon).await;
    let marked = marked(&rig.store(), BUCKET).await;
    let files = marked.iter().filter(|key| !key.ends_with('/'));
    assert_eq!(files.count(), 200, "each file once, the other never");
    assert!(!marked.iter().any(|key| key.starts_with("stays")));
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_is_stored_also_when_it_becomes_empty_again() {
    let rig = Rig::new();
    let daemon = rig.start().await;
    fs::create_dir(rig.path("box")).unwrap();
    rig.until_equal(&daemon).await;
    assert_eq!(super::keys(&rig.store()).await.len(), 1);
    rig.write("box/thing.txt", "x");
    rig.until_equal(&daemon).await;
    fs::remove_file(rig.path("box/thing.txt")).unwrap();
    rig.until_equal(&daemon).await;
    fs::remove_dir(rig.path("box")).unwrap();
    rig.until_equal(&daemon).await;
    assert!(super::keys(&rig.store()).await.is_empty());
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_becomes_empty_because_its_only_folder_goes_is_stored() {
    let rig = Rig::new();
    rig.write("outer/inner/a.txt", "x");
    rig.write("upper/middle/lower/b.txt", "x");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    fs::remove_dir_all(rig.path("outer/inner")).unwrap();
    fs::rename(rig.path("upper/middle"), rig.dir.path().join("away")).unwrap();
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

/// Wait until exactly these keys are current.
async fn until_keys(rig: &Rig, daemon: &keepwatch::daemon::Daemon, want: &[&str]) {
    let store = rig.store();
    until(&format!("the bucket has {want:?}"), async || {
        let keys = super::keys(&store).await;
        at_rest(daemon) && keys.iter().map(String::as_str).eq(want.iter().copied())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_file_takes_files_out_of_the_backup_and_without_it_they_come_back() {
    let rig = Rig::new();
    for name in ["a.txt", "b.tmp", "sub/c.tmp", "sub/d.txt", "cache/e.txt"] {
        rig.write(name, "content");
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    rig.write(".keepwatchignore", "*.tmp\ncache/\n");
    let left = [".keepwatchignore", "a.txt", "sub/d.txt"];
    until_keys(&rig, &daemon, &left).await;
    let (store, content) = (rig.store(), Some(b"content".to_vec()));
    assert_eq!(history(&store, "b.tmp").await, [None, content.clone()]);
    // What is left out stays out, also when it changes.
    rig.write("sub/c.tmp", "changed");
    rig.write("sub/d.txt", "changed");
    until("the other change is stored", async || {
        history(&store, "sub/d.txt").await.len() == 2
    })
    .await;
    until_keys(&rig, &daemon, &left).await;
    fs::remove_file(rig.path(".keepwatchignore")).unwrap();
    rig.until_equal(&daemon).await;
    assert_eq!(
        history(&store, "b.tmp").await,
        [content.clone(), None, content]
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_excludes_is_never_stored_and_leaves_when_excluded_later() {
    let rig = Rig::new();
    for name in ["a.txt", "b.tmp", "build/c.txt"] {
        rig.write(name, "content");
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    let mut config = rig.config();
    config.sources[0].exclude = vec!["*.tmp".into(), "/build/".into()];
    let daemon = rig.start_with(config, None).await;
    until_keys(&rig, &daemon, &["a.txt"]).await;
    for name in ["e.tmp", "build/f.txt", "build/deep/g.txt", "build.txt"] {
        rig.write(name, "new");
    }
    until_keys(&rig, &daemon, &["a.txt", "build.txt"]).await;
    let counts = counts(&rig.store(), BUCKET).await;
    assert!(!counts.contains_key("e.tmp") && !counts.contains_key("build/f.txt"));
    daemon.stop().await.unwrap();
}
