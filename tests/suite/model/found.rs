//! What the model found, each as a test of its own, as small as it gets.

use crate::harness::{BUCKET, Fate, Faults, Rig, at_rest, history, until};
use crate::raw::counts;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// More files than are believed to be deleted without a question.
const MANY: usize = 12;

/// A folder of many files is moved away, and `instead` put in its place before
/// anybody can look; elsewhere are many more.
async fn moved_away_and(instead: fn(&std::path::Path)) {
    let rig = Rig::new();
    for number in 0..MANY {
        rig.write(&format!("moved/{number}.txt"), "x");
        rig.write(&format!("stays/a/{number}.txt"), "y");
        rig.write(&format!("stays/b/{number}.txt"), "z");
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    fs::rename(rig.path("moved"), rig.dir.path().join("elsewhere")).unwrap();
    instead(&rig.path("moved"));
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

/// Named after the bug: the file was taken for the mount point of a disk that
/// is not there, and nobody was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_place_of_a_folder_of_many_files() {
    moved_away_and(|path| fs::write(path, "a file now").unwrap()).await;
}

/// Named after the bug: what one folder's scan held back was never judged by
/// the size of the whole source, and nobody was told.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_in_the_place_of_one_of_many_files() {
    moved_away_and(|path| fs::create_dir(path).unwrap()).await;
}

/// While it is true, whatever changes the bucket is done, and its answer lost.
fn losing_answers(
    is_changing: impl Fn(&str, &str) -> bool + Send + 'static,
) -> (Faults, Arc<AtomicBool>) {
    let losing = Arc::new(AtomicBool::new(false));
    let is_losing = Arc::clone(&losing);
    let faults = Faults::new(move |seen| {
        match is_losing.load(Ordering::Relaxed) && is_changing(&seen.method, &seen.uri) {
            true => Fate::LoseAnswer,
            false => Fate::Pass,
        }
    });
    (faults, losing)
}

/// Named after the bug: the index knew nothing of the file, so nothing was
/// marked, and a deleted file stood in the bucket until the next comparison.
#[tokio::test(flavor = "multi_thread")]
async fn stored_without_an_answer_and_then_deleted() {
    let rig = Rig::new();
    rig.write("other.txt", "other");
    let (faults, losing) = losing_answers(|method, _| method == "PUT");
    let daemon = rig
        .start_with(rig.config(), Some(rig.faulty_store(&faults)))
        .await;
    rig.until_equal(&daemon).await;
    losing.store(true, Ordering::Relaxed);
    rig.write("short-lived.txt", "x");
    let store = rig.store();
    until("it is stored", async || {
        counts(&store, BUCKET).await.contains_key("short-lived.txt")
    })
    .await;
    fs::remove_file(rig.path("short-lived.txt")).unwrap();
    losing.store(false, Ordering::Relaxed);
    rig.until_equal(&daemon).await;
    assert!(history(&store, "short-lived.txt").await[0].is_none());
    daemon.stop().await.unwrap();
}

/// Named after the bug: the file that came back looked like the one stored
/// before, so the index went on calling it protected; in the bucket it was deleted.
#[tokio::test(flavor = "multi_thread")]
async fn marked_without_an_answer_and_then_moved_back() {
    let rig = Rig::new();
    rig.write("moved.txt", "the same as ever");
    rig.write("other.txt", "other");
    let (faults, losing) = losing_answers(|method, _| method == "DELETE");
    let daemon = rig
        .start_with(rig.config(), Some(rig.faulty_store(&faults)))
        .await;
    rig.until_equal(&daemon).await;
    losing.store(true, Ordering::Relaxed);
    let elsewhere = rig.dir.path().join("elsewhere");
    fs::rename(rig.path("moved.txt"), &elsewhere).unwrap();
    let store = rig.store();
    until("it is marked", async || {
        history(&store, "moved.txt").await[0].is_none()
    })
    .await;
    fs::rename(&elsewhere, rig.path("moved.txt")).unwrap();
    losing.store(false, Ordering::Relaxed);
    rig.until_equal(&daemon).await;
    until("it rests", async || at_rest(&daemon)).await;
    daemon.stop().await.unwrap();
}

/// Requests of this method to keys with this in their name take this long.
fn slowly(method: &'static str, part: &'static str) -> Faults {
    Faults::new(
        move |seen| match seen.method == method && seen.uri.contains(part) {
            true => Fate::Late(Duration::from_secs(3)),
            false => Fate::Pass,
        },
    )
}

/// Named after the bug: the scan of what had gone found no record yet, and the
/// empty folder stood in the bucket from then on.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_that_goes_with_all_it_is_in_while_it_is_stored() {
    let rig = Rig::new();
    rig.write("other.txt", "other");
    rig.write("top/file.txt", "x");
    let faults = slowly("PUT", "/top/inner/");
    let daemon = rig
        .start_with(rig.config(), Some(rig.faulty_store(&faults)))
        .await;
    rig.until_equal(&daemon).await;
    let before = faults.requests();
    fs::create_dir(rig.path("top/inner")).unwrap();
    until("it is on its way", async || faults.requests() > before).await;
    fs::rename(rig.path("top"), rig.dir.path().join("elsewhere")).unwrap();
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

/// Named after the bug: the scan of what had come back found the old record and
/// nothing to do, and the file was then marked as deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_back_with_all_it_is_in_while_it_is_marked() {
    let rig = Rig::new();
    rig.write("other.txt", "other");
    rig.write("top/file.txt", "x");
    let faults = slowly("DELETE", "/top/file.txt");
    let daemon = rig
        .start_with(rig.config(), Some(rig.faulty_store(&faults)))
        .await;
    rig.until_equal(&daemon).await;
    let before = faults.requests();
    let elsewhere = rig.dir.path().join("elsewhere");
    fs::rename(rig.path("top"), &elsewhere).unwrap();
    until("it is on its way", async || faults.requests() > before).await;
    fs::rename(&elsewhere, rig.path("top")).unwrap();
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}
