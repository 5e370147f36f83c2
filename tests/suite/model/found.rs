//! What the model found, each as a test of its own, as small as it gets.

use crate::harness::Rig;
use std::fs;

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
