//! A process that was killed takes the newest part of the index with it: what
//! it had stored and forgotten is found in the bucket again.

use crate::harness::os::set_mode;
use crate::harness::{BUCKET, Rig, Running, history, in_bucket, on_disk, until, write_config};
use keepwatch::index::{ActivityDelta, Change, Index};
use keepwatch::types::{RelKey, RelPath};
use std::fs;

/// Let the index of a process that is not running any more forget these files.
fn forget(rig: &Rig, keys: &[RelKey]) {
    let (index, _) = Index::open(&rig.state_dir().join("index")).unwrap();
    let destination = format!("vault:{}", rig.vault_dir().display());
    let source = index.source_id(BUCKET, BUCKET, "", &destination).unwrap();
    for key in keys {
        let nothing = ActivityDelta::default();
        index.commit(source, key, Change::Remove, &nothing).unwrap();
    }
    index.flush().unwrap();
}

fn path(name: &str) -> RelPath {
    RelPath::from_bytes(name).unwrap()
}

/// Named after the bug: found again in the bucket, an empty folder was taken for
/// unchanged whatever its mode.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_that_was_forgotten_and_has_another_mode_is_stored_again() {
    let rig = Rig::new();
    rig.write("other.txt", "other");
    fs::create_dir(rig.path("empty")).unwrap();
    set_mode(rig.path("empty"), 0o755);
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    let store = rig.store();
    let equal = async || in_bucket(&store).await == on_disk(&rig.root());
    until("both are in", equal).await;
    daemon.kill();
    forget(&rig, &[RelKey::of_folder(&path("empty"))]);
    set_mode(rig.path("empty"), 0o750);
    let daemon = Running::start(&config, &[]).await;
    until("the new mode is in", equal).await;
    assert_eq!(daemon.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_daemon_stored_and_forgot_is_found_again() {
    let rig = Rig::new();
    rig.write("stays.txt", "stays");
    rig.write("goes.txt", "goes");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    let store = rig.store();
    let equal = async || in_bucket(&store).await == on_disk(&rig.root());
    until("both are in", equal).await;
    until("nothing is under way", async || {
        daemon.status().unwrap()["sources"][0]["files_protected"] == 2
    })
    .await;
    daemon.kill();
    forget(
        &rig,
        &["stays.txt", "goes.txt"].map(|name| RelKey::of_file(&path(name))),
    );
    fs::remove_file(rig.path("goes.txt")).unwrap();
    let daemon = Running::start(&config, &[]).await;
    until("the deletion is marked", equal).await;
    until("the other one counts as protected again", async || {
        daemon.status().unwrap()["sources"][0]["files_protected"] == 1
    })
    .await;
    // It was adopted, not sent again.
    assert_eq!(history(&store, "stays.txt").await.len(), 1);
    assert_eq!(daemon.stop(), Some(0));
}
