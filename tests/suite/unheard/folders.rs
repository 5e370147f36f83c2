//! A folder that is not there when Keepwatch starts.

use super::{keepwatch, logged, said};
use crate::harness::{Rig, Running, digest_files, finish, program, until, write_config};
use crate::raw::marked;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const SOURCES: [&str; 3] = ["office", "photos", "letters"];

/// Three sources in folders beside each other, each with a file. The second's
/// folder is on a disk that is not connected.
fn three(rig: &Rig) -> PathBuf {
    let mut more = String::new();
    for name in &SOURCES[1..] {
        more += &format!(
            "[[source]]\nname = \"{name}\"\npath = \"{name}\"\nbucket = \"{name}-bucket\"\n"
        );
    }
    for name in SOURCES {
        let folder = rig.dir.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.txt"), name).unwrap();
    }
    fs::rename(rig.dir.path().join("photos"), away(rig)).unwrap();
    write_config(rig, &more)
}

fn away(rig: &Rig) -> PathBuf {
    rig.dir.path().join("disk that is away")
}

fn protected(status: &serde_json::Value, source: usize) -> u64 {
    status["sources"][source]["files_protected"]
        .as_u64()
        .unwrap()
}

/// `keepwatch status --json`, whatever the exit code.
fn status(config: &Path) -> serde_json::Value {
    let output = keepwatch(config, &["status", "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Named after the bug: exit code 2, no mail, no line in the log, and the other two
/// folders unprotected.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_folders_missing_at_the_start_is_told_and_the_others_are_backed_up() {
    let rig = Rig::new();
    let config = three(&rig);
    let mut command = program();
    command.args(["--config", config.to_str().unwrap()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let daemon = Running::start_as(command, &config).await;
    until("what is there is protected", async || {
        let status = status(&config);
        protected(&status, 0) == 1 && protected(&status, 2) == 1
    })
    .await;
    // Status, with its exit code; the log; and a message.
    let output = keepwatch(&config, &["status"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("photos"), "{}", said(&output));
    let told = "photos is not there";
    until("a message says which folder is not there", async || {
        digest_files(&rig).concat().contains(told)
    })
    .await;
    let message = digest_files(&rig).concat();
    assert!(message.contains("ALERT"), "{message}");
    assert!(
        !message.contains("keepwatch restore"),
        "there is nothing of it to be had back: {message}"
    );
    let log = logged(&rig.dir.path().join("log"));
    assert!(log.contains("ERROR") && log.contains("photos"), "{log}");
    // It is there, and protected.
    fs::rename(away(&rig), rig.dir.path().join("photos")).unwrap();
    until("it is protected once it is there", async || {
        protected(&status(&config), 1) == 1
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
}

/// A folder that was backed up, is away at the next start, and comes back as the
/// empty folder that the disk is mounted on: nothing of it was deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_missing_at_the_start_is_not_taken_for_an_emptied_one() {
    let rig = Rig::new();
    let config = three(&rig);
    let photos = rig.dir.path().join("photos");
    fs::rename(away(&rig), &photos).unwrap();
    for number in 0..30 {
        fs::write(photos.join(format!("{number}.jpg")), number.to_string()).unwrap();
    }
    let output = keepwatch(&config, &["--reconcile"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    fs::rename(&photos, away(&rig)).unwrap();
    // One comparison as well: the others are compared, and it says what is missing.
    let output = keepwatch(&config, &["--reconcile"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(
        said(&output).contains("photos") && said(&output).contains("NOT COMPLETE"),
        "{}",
        said(&output)
    );
    let daemon = Running::start(&config, &[]).await;
    fs::create_dir(&photos).unwrap();
    until("the empty folder is not believed", async || {
        let warnings = &status(&config)["sources"][1]["board"]["warnings"];
        warnings["identity"].is_string()
    })
    .await;
    assert_eq!(
        marked(&rig.store(), "photos-bucket").await,
        Vec::<String>::new()
    );
    fs::remove_dir(&photos).unwrap();
    fs::rename(away(&rig), &photos).unwrap();
    until("it is well when the disk is there", async || {
        let status = status(&config);
        let warnings = &status["sources"][1]["board"]["warnings"];
        warnings == &serde_json::json!({}) && protected(&status, 1) == 31
    })
    .await;
    assert_eq!(
        marked(&rig.store(), "photos-bucket").await,
        Vec::<String>::new()
    );
    assert_eq!(daemon.stop(), Some(0));
}

/// Nobody knows what a folder holds that is away: what is right when it is there
/// must not end the start, and what is wrong in any case still does.
#[tokio::test(flavor = "multi_thread")]
async fn patterns_of_a_folder_that_is_away_are_not_refused_for_what_it_lacks() {
    let rig = Rig::new();
    let config = three(&rig);
    let text = fs::read_to_string(&config).unwrap();
    let with = |pattern: &str| {
        let line = format!("bucket = \"photos-bucket\"\nexclude = [\"{pattern}\"]");
        fs::write(&config, text.replace("bucket = \"photos-bucket\"", &line)).unwrap();
        let output = finish(program().args([
            "--config",
            config.to_str().unwrap(),
            "--reconcile",
            "--quiet",
        ]));
        output.status.code()
    };
    assert_eq!(with("photos/private/"), Some(3), "it may lie in itself");
    assert_eq!(with("../private/"), Some(2), "that matches nothing");
}

/// Named after the bug: a service whose vault is on a disk that is away ended with
/// an exit code that nobody reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_start_is_told_once_a_day_and_so_is_its_start() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let disk = rig.dir.path().join("disk that is away");
    fs::rename(rig.vault_dir(), &disk).unwrap();
    for _ in 0..2 {
        // As a service is started again.
        let output = keepwatch(&config, &[]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(!rig.vault_dir().exists(), "no new vault beside the disk");
    }
    let told = digest_files(&rig).concat();
    assert_eq!(told.matches("does not start").count(), 2, "{told}");
    assert!(told.contains("NOTHING is backed up"), "{told}");
    assert!(told.contains("plug in or mount the disk"), "{told}");
    let log = logged(&rig.dir.path().join("log"));
    assert!(log.contains("ERROR") && log.contains("vault"), "{log}");
    // One beside a service that runs is no trouble of the backup.
    fs::rename(&disk, rig.vault_dir()).unwrap();
    let daemon = Running::start(&config, &[]).await;
    until("it is told that it runs again", async || {
        digest_files(&rig).concat().contains("Keepwatch runs again")
    })
    .await;
    let before = digest_files(&rig);
    assert_eq!(keepwatch(&config, &[]).status.code(), Some(1));
    assert_eq!(digest_files(&rig), before);
    assert_eq!(daemon.stop(), Some(0));
}
