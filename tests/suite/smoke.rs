//! The main job, once: what is in the folder gets into the bucket, and what
//! changes there follows.

use crate::harness::os;
use crate::harness::{Rig, Running, finish, in_bucket, on_disk, program, until, write_config};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_gets_into_the_bucket_and_changes_follow() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    rig.write("data/export.csv", "a;b\n".repeat(1000));
    fs::create_dir(rig.path("empty")).unwrap();
    os::symlink("a.txt", rig.path("link"));
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    rig.write("a.txt", "two");
    rig.write("new/deep/file.txt", "x");
    fs::remove_file(rig.path("data/export.csv")).unwrap();
    fs::rename(rig.path("new"), rig.path("moved")).unwrap();
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_program_does_it_too() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    rig.write("b.txt", "two");
    let store = rig.store();
    until("both files are in the bucket", async || {
        in_bucket(&store).await == on_disk(&rig.root())
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
    let again = finish(program().args(["--config", config.to_str().unwrap(), "--reconcile"]));
    assert_eq!(again.status.code(), Some(0));
    let text = String::from_utf8_lossy(&again.stdout);
    assert!(text.contains("nothing to send"), "{text}");
}
