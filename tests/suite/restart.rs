//! Starting again: after a kill, after a lost index, beside another, and what
//! commands find when the daemon runs and when it does not.

// What it unpacks has links and modes.
#[cfg(unix)]
mod before;
mod broken;
mod commands;
mod killed;
mod last;
mod reconcile;
mod shortened;
mod signals;
pub mod stop;
mod upgrade;

use crate::harness::os::symlink;
use crate::harness::{
    BUCKET, Rig, at_rest, history, in_bucket, lose_folder, on_disk, scan_whole, until,
};
use crate::raw::{counts, marked};
use keepwatch::index::Opened;
use std::fs;
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_while_stopped_is_found_at_the_start() {
    let rig = Rig::new();
    for name in [
        "same.txt",
        "changed.txt",
        "deleted.txt",
        "old/a.txt",
        "old/b.txt",
    ] {
        rig.write(name, name);
    }
    fs::create_dir(rig.path("empty")).unwrap();
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    rig.write("changed.txt", "changed while stopped");
    rig.write("new/c.txt", "new");
    fs::remove_file(rig.path("deleted.txt")).unwrap();
    fs::remove_dir(rig.path("empty")).unwrap();
    fs::rename(rig.path("old"), rig.path("renamed")).unwrap();
    let daemon = rig.start().await;
    assert_eq!(*daemon.opened(), Opened::Existing);
    rig.until_equal(&daemon).await;
    let store = rig.store();
    assert_eq!(history(&store, "same.txt").await.len(), 1, "not sent again");
    assert_eq!(history(&store, "changed.txt").await.len(), 2);
    let mut marked = marked(&store, BUCKET).await;
    marked.sort();
    assert_eq!(marked, ["deleted.txt", "empty/", "old/a.txt", "old/b.txt"]);
    daemon.stop().await.unwrap();
}

/// The index is lost or damaged between two runs, and the folder changes too.
async fn rebuilt_after(damage: fn(&Path), opened: fn(&Opened) -> bool) {
    let rig = Rig::new();
    let name = |number: usize| format!("d{}/{number}.csv", number % 5);
    for number in 0..60 {
        rig.write(&name(number), format!("{number};").repeat(50));
    }
    symlink("d1/1.csv", rig.path("link"));
    fs::create_dir(rig.path("empty")).unwrap();
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    damage(&rig.state_dir().join("index"));
    fs::remove_file(rig.path(&name(7))).unwrap();
    rig.write(&name(8), "edited");
    rig.write("new.txt", "new");
    let daemon = rig.start().await;
    assert!(opened(daemon.opened()), "{:?}", daemon.opened());
    rig.until_equal(&daemon).await;
    let store = rig.store();
    assert_eq!(marked(&store, BUCKET).await, [name(7)]);
    for (key, count) in counts(&store, BUCKET).await {
        assert_eq!(count, 1 + usize::from(key == name(8)), "versions of {key}");
    }
    // The new index is as good as the old one was.
    let scan = scan_whole(&daemon.components().sources[0], false).await;
    assert!(scan.complete(), "{scan:?}");
    until("at rest", async || at_rest(&daemon)).await;
    assert_eq!(counts(&store, BUCKET).await[&name(9)], 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_index_is_rebuilt_from_the_bucket_without_sending_anything_twice() {
    rebuilt_after(lose_folder, |opened| *opened == Opened::Fresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_index_is_set_aside_and_rebuilt_without_sending_anything_twice() {
    fn garble(folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match fs::metadata(&path).unwrap().is_dir() {
                true => garble(&path),
                false => {
                    let length = fs::metadata(&path).unwrap().len() as usize;
                    fs::write(&path, b"garbage!".repeat(length / 8 + 1)).unwrap();
                }
            }
        }
    }
    let is_rebuilt = |opened: &Opened| matches!(opened, Opened::Rebuilt { .. });
    rebuilt_after(garble, is_rebuilt).await;
}

/// The bucket equals the folder, seen from outside of the daemon's process.
pub async fn until_equal_outside(rig: &Rig) {
    let store = rig.store();
    until("the bucket equals the folder", async || {
        in_bucket(&store).await == on_disk(&rig.root())
    })
    .await;
}
