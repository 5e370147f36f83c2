//! What an alert says is what the bucket has, and its command brings back exactly
//! what was there before, however the files went.

use super::{Tree, messages, reconcile, restore_as_told, run_line, until_told};
use crate::harness::{BUCKET, Rig, Running, in_bucket, on_disk, until, write_config};
use crate::raw::marked;
use std::fs;
use std::path::{Path, PathBuf};

fn without_sentinel(rig: &Rig) -> PathBuf {
    let file = write_config(rig, "");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("compress", "sentinel = false\ncompress");
    fs::write(&file, text).unwrap();
    file
}

fn fill(rig: &Rig, folder: &str, files: std::ops::Range<usize>) {
    for i in files {
        rig.write(&format!("{folder}/{i}.txt"), format!("{folder}, {i}"));
    }
}

async fn until_stored(rig: &Rig) -> Tree {
    let store = rig.store();
    let tree = on_disk(&rig.root());
    until("all is stored", async || in_bucket(&store).await == tree).await;
    tree
}

async fn marked_files(rig: &Rig) -> usize {
    let marked = marked(&rig.store(), BUCKET).await;
    marked.iter().filter(|key| !key.ends_with('/')).count()
}

/// A change comes through scan, queue and worker while the hold stands.
async fn sign_of_life(rig: &Rig, name: &str) {
    rig.write(name, "a sign of life");
    let store = rig.store();
    until("the event has been worked on", async || {
        in_bucket(&store).await.contains_key(name)
    })
    .await;
}

/// The alert has come: it says how many are marked, and brings all of it back.
async fn assert_told(rig: &Rig, verdict: &str, before: &Tree) -> String {
    let told = until_told(rig, verdict).await;
    let marked = marked_files(rig).await;
    let says = match marked {
        0 => "Nothing is marked as deleted in the backup meanwhile".to_owned(),
        1 => "1 of them was marked as deleted before that was noticed".to_owned(),
        n => format!("{n} of them were marked as deleted before that was noticed"),
    };
    assert!(told.contains(&says), "{marked} are marked: {told}");
    assert_eq!(&restore_as_told(&told), before, "{told}");
    told
}

const LOST: &str = "office lost most of its files";

#[tokio::test(flavor = "multi_thread")]
async fn files_backed_up_since_the_start_and_deleted_at_once_are_held_and_come_back() {
    let rig = Rig::new();
    let config = write_config(&rig, "");
    // No scan has ever seen them.
    let daemon = Running::start(&config, &[]).await;
    fill(&rig, "new", 0..30);
    let before = until_stored(&rig).await;
    fs::remove_dir_all(rig.path("new")).unwrap();
    assert_told(&rig, LOST, &before).await;
    assert_eq!(marked_files(&rig).await, 0);
    assert_eq!(daemon.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn most_of_a_folder_that_is_deleted_or_moved_out_is_held_before_any_is_marked() {
    for moved in [false, true] {
        let rig = Rig::new();
        fill(&rig, "stays", 0..6);
        fill(&rig, "goes", 0..14);
        let config = write_config(&rig, "");
        let daemon = Running::start(&config, &[]).await;
        let before = until_stored(&rig).await;
        match moved {
            true => fs::rename(rig.path("goes"), rig.dir.path().join("elsewhere")).unwrap(),
            false => fs::remove_dir_all(rig.path("goes")).unwrap(),
        }
        let told = assert_told(&rig, LOST, &before).await;
        assert!(told.contains("14 of 20 files are missing"), "{told}");
        sign_of_life(&rig, "later.txt").await;
        let marked = marked(&rig.store(), BUCKET).await;
        assert_eq!(
            marked,
            Vec::<String>::new(),
            "moved: {moved}, {}",
            messages(&rig)
        );

        // Confirmed, all of it is marked, and the same command still works.
        let line = told.lines().find(|l| l.contains("--confirm-deletions"));
        run_line(line.unwrap());
        until("all of it is marked", async || {
            marked_files(&rig).await == 14
        })
        .await;
        assert_eq!(restore_as_told(&told), before);
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_marked_before_it_was_too_much_is_counted_also_over_a_kill() {
    for killed in [false, true] {
        let rig = Rig::new();
        for folder in ["a", "b", "c", "d"] {
            fill(&rig, folder, 0..12);
        }
        let config = write_config(&rig, "");
        let daemon = Running::start(&config, &[]).await;
        let before = until_stored(&rig).await;
        // A quarter may go.
        fs::remove_dir_all(rig.path("a")).unwrap();
        until("they are marked", async || marked_files(&rig).await == 12).await;
        let daemon = match killed {
            true => {
                daemon.kill();
                fs::remove_dir_all(rig.path("b")).unwrap();
                fs::remove_dir_all(rig.path("c")).unwrap();
                Running::start(&config, &[]).await
            }
            false => {
                fs::remove_dir_all(rig.path("b")).unwrap();
                fs::remove_dir_all(rig.path("c")).unwrap();
                daemon
            }
        };
        assert_told(&rig, LOST, &before).await;
        let marked = marked_files(&rig).await;
        assert!((12..=24).contains(&marked), "{marked}, killed: {killed}");
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_seconds_before_the_deletion_come_back_too() {
    let rig = Rig::new();
    fill(&rig, "stays", 0..6);
    fill(&rig, "goes", 0..14);
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    until_stored(&rig).await;
    fill(&rig, "goes", 0..3);
    rig.write("goes/3.txt", "stored just before it is deleted");
    until_stored(&rig).await;
    rig.write("stays/1.txt", "not stored yet when the others are deleted");
    rig.write("stays/new.txt", "nor this one");
    let before = on_disk(&rig.root());
    fs::remove_dir_all(rig.path("goes")).unwrap();
    let told = assert_told(&rig, LOST, &before).await;
    assert!(told.contains("14 of 21 files are missing"), "{told}");
    // What is saved afterwards is not in it.
    rig.write("stays/1.txt", "work goes on");
    sign_of_life(&rig, "later.txt").await;
    assert_eq!(restore_as_told(&told), before);
    assert_eq!(daemon.stop(), Some(0));
}

/// Another folder with more files, some of them under the same names.
fn replace(rig: &Rig, away: &Path) {
    fs::rename(rig.root(), away).unwrap();
    fill(rig, "docs", 0..5);
    fill(rig, "films", 0..60);
}

const OTHER: &str = "office is another folder than before";

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_replaced_by_one_with_more_files_marks_nothing_on_any_way() {
    for sentinel in [false, true] {
        let rig = Rig::new();
        fill(&rig, "docs", 3..23);
        rig.write("docs/4.txt", "as it was");
        let config = match sentinel {
            true => write_config(&rig, ""),
            false => without_sentinel(&rig),
        };
        let daemon = Running::start(&config, &[]).await;
        let before = until_stored(&rig).await;
        // Two deletions are set aside when it happens.
        fs::remove_file(rig.path("docs/21.txt")).unwrap();
        fs::remove_file(rig.path("docs/22.txt")).unwrap();
        let away = rig.dir.path().join("away");
        replace(&rig, &away);
        let new = on_disk(&rig.root());
        assert_told(&rig, OTHER, &before).await;
        let store = rig.store();
        let all_new = async || {
            let bucket = in_bucket(&store).await;
            new.iter()
                .all(|(key, thing)| bucket.get(key) == Some(thing))
        };
        until("the other files are stored, too", all_new).await;
        // By event, by restart, by reconcile, after a kill.
        fs::remove_file(rig.path("films/3.txt")).unwrap();
        sign_of_life(&rig, "films/later.txt").await;
        assert_eq!(daemon.stop(), Some(0));
        let (code, text) = reconcile(&config, &[]);
        assert_eq!(code, Some(3), "{text}");
        let daemon = Running::start(&config, &[]).await;
        sign_of_life(&rig, "films/latest.txt").await;
        daemon.kill();
        assert_eq!(reconcile(&config, &[]).0, Some(3));
        assert_eq!(marked_files(&rig).await, 0, "sentinel: {sentinel}");
        let told = messages(&rig);
        assert_eq!(restore_as_told(&told), before, "still");

        // The right one is back.
        fs::rename(rig.root(), rig.dir.path().join("films")).unwrap();
        fs::rename(&away, rig.root()).unwrap();
        let (code, text) = reconcile(&config, &[]);
        assert!(!text.contains("is not the one"), "{text}");
        // The other folder's files are gone from it: that is not believed either.
        assert_eq!(code, Some(3), "{text}");
        assert_eq!(reconcile(&config, &["--confirm-deletions"]).0, Some(0));
        assert_eq!(in_bucket(&store).await, on_disk(&rig.root()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_mount_point_marks_nothing_and_the_command_brings_all_back() {
    for sentinel in [false, true] {
        let rig = Rig::new();
        fill(&rig, "docs", 0..20);
        let config = match sentinel {
            true => write_config(&rig, ""),
            false => without_sentinel(&rig),
        };
        let daemon = Running::start(&config, &[]).await;
        let before = until_stored(&rig).await;
        fs::rename(rig.root(), rig.dir.path().join("away")).unwrap();
        fs::create_dir(rig.root()).unwrap();
        assert_told(&rig, OTHER, &before).await;
        assert_eq!(marked_files(&rig).await, 0, "sentinel: {sentinel}");
        assert_eq!(daemon.stop(), Some(0));
    }
}
