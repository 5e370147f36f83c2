//! What looks like "everything deleted" is not believed until somebody says so.

mod encrypted;
mod events;
mod exact;
// Mounts disks, in a namespace.
#[cfg(target_os = "linux")]
mod mounts;
// Plays other accounts.
#[cfg(unix)]
mod reader;
mod roots;
// Starts Python, and the servers that it has.
#[cfg(unix)]
mod told;

use crate::harness::os::shell;
use crate::harness::{
    Rig, digest_files, finish, history, in_bucket, on_disk, program, until, write_config,
};
use keepwatch::daemon::Daemon;
use std::collections::BTreeMap;
use std::fs;

/// What a folder or a bucket holds, by key.
type Tree = BTreeMap<String, crate::harness::Thing>;

/// Wait until the board warns of this.
async fn until_warned(daemon: &Daemon, topic: &str) -> String {
    let warning = || daemon.components().sources[0].status.snapshot().warnings;
    until(&format!("the board warns of {topic}"), async || {
        warning().contains_key(topic)
    })
    .await;
    warning()[topic].clone()
}

/// Wait until nothing is held back.
async fn until_calm(daemon: &Daemon) {
    until("nothing is held back any more", async || {
        daemon.components().sources[0].guard.holds().is_empty()
    })
    .await;
}

/// All messages to the owner so far (without a topic they go into files).
fn messages(rig: &Rig) -> String {
    digest_files(rig).concat()
}

/// Wait until a message has these words, and give all messages.
pub async fn until_told(rig: &Rig, words: &str) -> String {
    until(&format!("a message says: {words}"), async || {
        messages(rig).contains(words)
    })
    .await;
    messages(rig)
}

/// Run a line of a message as somebody would who copies it into a terminal.
fn run_line(line: &str) {
    let program_dir = std::path::Path::new(env!("CARGO_BIN_EXE_keepwatch"))
        .parent()
        .unwrap();
    let output = finish(
        shell(line)
            .env("PATH", program_dir)
            .env_remove("KEEPWATCH_CONFIG"),
    );
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(0), "{line}: {text}");
}

/// Run the restore that an alert names; what it brought back.
fn restore_as_told(told: &str) -> Tree {
    let line = told
        .lines()
        .find(|line| line.contains(" restore ") && line.contains("--at"))
        .unwrap_or_else(|| panic!("no command in {told}"));
    let to = line
        .rsplit(" --to ")
        .next()
        .unwrap()
        .trim()
        .trim_matches(['\'', '"']);
    let to = std::path::Path::new(to);
    if to.exists() {
        // By the same alert before.
        fs::remove_dir_all(to).unwrap();
    }
    run_line(line);
    on_disk(to)
}

fn reconcile(config: &std::path::Path, more: &[&str]) -> (Option<i32>, String) {
    let output = finish(
        program()
            .args(["--config", config.to_str().unwrap(), "--reconcile"])
            .args(more),
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_is_not_taken_for_everything_deleted_until_confirmed() {
    let rig = Rig::new();
    for i in 0..20 {
        rig.write(&format!("sub/{i}.txt"), format!("{i}"));
    }
    let config = write_config(&rig, "");
    assert_eq!(reconcile(&config, &[]).0, Some(0));
    let store = rig.store();
    let whole = in_bucket(&store).await;
    assert_eq!(whole.len(), 20);

    // The disk is not mounted: its mount point is an empty folder.
    let away = rig.dir.path().join("away");
    fs::rename(rig.root(), &away).unwrap();
    fs::create_dir(rig.root()).unwrap();
    let (code, text) = reconcile(&config, &[]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("--confirm-deletions"), "{text}");
    assert_eq!(in_bucket(&store).await, whole, "nothing was marked");

    // It is there again: nothing to do, nothing sent twice.
    fs::remove_dir(rig.root()).unwrap();
    fs::rename(&away, rig.root()).unwrap();
    assert_eq!(reconcile(&config, &[]).0, Some(0));
    assert_eq!(history(&store, "sub/7.txt").await.len(), 1);

    // Really deleted, and said so.
    fs::remove_dir_all(rig.path("sub")).unwrap();
    assert_eq!(reconcile(&config, &[]).0, Some(3));
    let (code, text) = reconcile(&config, &["--confirm-deletions"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(in_bucket(&store).await.is_empty());
    assert_eq!(history(&store, "sub/7.txt").await[0], None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_computer_with_an_empty_folder_marks_nothing_and_sends_nothing_twice() {
    let rig = Rig::new();
    for i in 0..15 {
        rig.write(&format!("{i}.txt"), format!("{i}"));
    }
    let config = write_config(&rig, "");
    assert_eq!(reconcile(&config, &[]).0, Some(0));
    let store = rig.store();
    let before = in_bucket(&store).await;
    let copy = rig.dir.path().join("copy");
    fs::rename(rig.root(), &copy).unwrap();
    fs::create_dir(rig.root()).unwrap();
    rig.lose_state();

    assert_eq!(reconcile(&config, &[]).0, Some(3));
    assert_eq!(in_bucket(&store).await, before);

    // Restored into the folder, all of it is adopted.
    let restored = finish(program().args([
        "restore",
        "--vault",
        rig.vault_dir().to_str().unwrap(),
        "--to",
        rig.root().to_str().unwrap(),
    ]));
    assert_eq!(restored.status.code(), Some(0));
    assert_eq!(on_disk(&rig.root()), before);
    assert_eq!(reconcile(&config, &[]).0, Some(0));
    for i in 0..15 {
        assert_eq!(history(&store, &format!("{i}.txt")).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn some_deletions_among_many_files_are_believed() {
    let rig = Rig::new();
    for i in 0..40 {
        rig.write(&format!("{i}.txt"), format!("{i}"));
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    for i in 0..15 {
        fs::remove_file(rig.path(&format!("{i}.txt"))).unwrap();
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let warnings = daemon.components().sources[0].status.snapshot().warnings;
    assert!(warnings.is_empty(), "{warnings:?}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_most_of_the_files_may_be_renamed_while_nobody_watches() {
    let rig = Rig::new();
    for i in 0..30 {
        rig.write(&format!("year/{i}.txt"), format!("{i}"));
    }
    let config = write_config(&rig, "");
    assert_eq!(reconcile(&config, &[]).0, Some(0));
    fs::rename(rig.path("year"), rig.path("2025")).unwrap();
    let (code, text) = reconcile(&config, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(in_bucket(&rig.store()).await, on_disk(&rig.root()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_whose_disk_is_unplugged_is_not_made_anew() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    assert_eq!(reconcile(&config, &[]).0, Some(0));
    let disk = rig.dir.path().join("disk");
    fs::rename(rig.vault_dir(), &disk).unwrap();
    fs::create_dir(rig.vault_dir()).unwrap();
    let output = finish(program().args(["--config", config.to_str().unwrap(), "--reconcile"]));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("connect and mount"), "{text}");
    assert_eq!(fs::read_dir(rig.vault_dir()).unwrap().count(), 0);
}
