//! Keepwatch's own folders: removed under it, or not to be had.

use super::{keepwatch, logged, said};
use crate::harness::os::assert_private;
use crate::harness::{Rig, Running, digest_files, finish, program, until, write_config};
use crate::network::{Office, Says, Sns};
use std::fs;

/// Named after the bug: `status` said "NOT running" of a daemon that ran, and no
/// log was written until the next day.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_and_a_log_folder_that_are_removed_are_made_again_and_told() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    until("all is stored", async || {
        daemon.status().unwrap()["sources"][0]["files_protected"] == 1
    })
    .await;
    let log = rig.dir.path().join("log");
    fs::remove_dir_all(&log).unwrap();
    rig.lose_state();
    let words = said(&keepwatch(&config, &["status"]));
    assert!(!words.contains("NOT running"), "{words}");
    assert!(words.contains("is running since"), "{words}");
    let told = "was removed";
    until("it is told by message", async || {
        digest_files(&rig).concat().contains(told)
    })
    .await;
    until(
        "it is logged, in a folder that was made again",
        async || logged(&log).contains(told),
    )
    .await;
    rig.write("b.txt", "b");
    until("it is backed up and known as before", async || {
        let status = daemon.status();
        status.is_some_and(|status| status["sources"][0]["files_protected"] == 2)
    })
    .await;
    let notes = &daemon.status().unwrap()["sources"][0]["board"]["notes"];
    assert!(notes["state"].as_str().unwrap().contains(told), "{notes}");
    assert_private(&log);
    assert_private(&rig.state_dir());
    // It is held by this one, and nothing was uploaded twice.
    let second = keepwatch(&config, &[]);
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    let counts = crate::raw::counts(&rig.store(), crate::harness::BUCKET).await;
    assert_eq!((counts["a.txt"], counts["b.txt"]), (1, 1));
    assert_eq!(daemon.stop(), Some(0));
}

/// Named after the bug: a mistake in the configuration ended the service with a line
/// that nobody reads. Where topic, state and log are not what is mistaken, the owner
/// hears of it, once a day, and again when it runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_configuration_is_told_by_log_and_mail_where_that_is_no_guess() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let sns = Sns::start(Says::Takes("KEY".into()));
    let config = write_config(&rig, &Office::notify(&sns));
    let right = fs::read_to_string(&config).unwrap();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "KEY"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-central-1"),
    ];
    let start = |wrong: &str, by: &str| {
        fs::write(&config, right.replace(wrong, by)).unwrap();
        let mut command = program();
        command
            .args(["--config", config.to_str().unwrap()])
            .envs(keys);
        let output = finish(&mut command);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    };
    let two = "comprss = [\"*.csv\"]\non_delete = \"perhaps\"";
    for _ in 0..2 {
        start("compress = [\"*.csv\"]", two);
    }
    let taken = sns.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert!(taken[0].contains("comprss"), "{}", taken[0]);
    assert!(taken[0].contains("perhaps"), "{}", taken[0]);
    assert!(!taken[0].contains("u%7Ba%7D"), "{}", taken[0]);
    let log = rig.dir.path().join("log");
    assert!(logged(&log).contains("comprss"), "{}", logged(&log));
    // Whom to tell, or where its own files are, is what is mistaken.
    for (wrong, by) in [
        ("topic_arn", "topic"),
        ("[state]\ndir", "[state]\nfolder"),
        ("[log]", "[logs]"),
        ("[vault]", "[vault"),
    ] {
        start(wrong, by);
    }
    assert_eq!(sns.taken().len(), 1, "{:?}", sns.taken());
    fs::write(&config, &right).unwrap();
    let daemon = Running::start(&config, &keys).await;
    until("its start is told", async || sns.taken().len() == 2).await;
    // Somebody tries another one beside it: it runs, so there is nothing to tell.
    start("compress = [\"*.csv\"]", two);
    assert_eq!(sns.taken().len(), 2);
    fs::write(&config, &right).unwrap();
    assert_eq!(daemon.stop(), Some(0));
}

/// Named after the bug: "It works", of a state folder that no daemon starts with.
#[tokio::test(flavor = "multi_thread")]
async fn check_says_that_the_state_cannot_be_written() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let check = || {
        let ran = keepwatch(&config, &["check"]);
        (ran.status.code(), said(&ran))
    };
    let (code, words) = check();
    assert_eq!(code, Some(0), "{words}");
    assert!(
        !rig.state_dir().join("index").exists(),
        "check starts nothing"
    );
    let _ = fs::remove_dir_all(rig.state_dir());
    fs::write(rig.state_dir(), "a file in its place").unwrap();
    let (code, words) = check();
    assert_eq!(code, Some(1), "{words}");
    let said = format!("PROBLEM  state folder: {}", rig.state_dir().display());
    assert!(words.contains(&said), "{words}");
    assert_eq!(keepwatch(&config, &["--reconcile"]).status.code(), Some(1));
}

/// Named after the bug: of a disk that was unplugged each file said "the server answered
/// HTTP 503", since an answer to HEAD has no words.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_whose_disk_is_away_is_called_that_for_every_file() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    until("all is stored", async || {
        daemon.status().unwrap()["sources"][0]["files_protected"] == 1
    })
    .await;
    let away = rig.dir.path().join("unplugged");
    fs::rename(rig.vault_dir(), &away).unwrap();
    rig.write("b.txt", "b");
    let asks = "is its disk attached?";
    until("it is said", async || {
        said(&keepwatch(&config, &["status"])).contains(asks)
    })
    .await;
    fs::rename(&away, rig.vault_dir()).unwrap();
    // A try that began before may still end with what it was told then.
    until("it is attached again", async || {
        keepwatch(&config, &["--reconcile"]).status.code() == Some(0)
    })
    .await;
    assert_eq!(daemon.stop(), Some(0));
}
