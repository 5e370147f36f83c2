//! Keepwatch's own folders: removed under it, or in other hands.

use super::{keepwatch, logged, said};
use crate::harness::{Rig, Running, digest_files, finish, program, until, write_config};
use crate::network::{Office, Says, Sns};
use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

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
    fs::remove_dir_all(rig.state_dir()).unwrap();
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
    for folder in [&log, &rig.state_dir()] {
        let mode = fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
    }
    // It is held by this one, and nothing was uploaded twice.
    let second = keepwatch(&config, &[]);
    assert_eq!(second.status.code(), Some(1), "{}", said(&second));
    let counts = crate::raw::counts(&rig.store(), crate::harness::BUCKET).await;
    assert_eq!((counts["a.txt"], counts["b.txt"]), (1, 1));
    assert_eq!(daemon.stop(), Some(0));
}

/// An account that is nobody's.
const STRANGER: u32 = 61_234;

/// What `check` and a comparison say of the folder, and what that did to a file
/// that a link planted in it leads to.
fn in_strange_hands(rig: &Rig, config: &Path, folder: &Path, link: &str) -> (String, String) {
    let victim = rig.dir.path().join("victim");
    fs::write(&victim, "not Keepwatch's").unwrap();
    let _ = fs::remove_file(folder.join(link));
    symlink(&victim, folder.join(link)).unwrap();
    let check = said(&keepwatch(config, &["check"]));
    let run = said(&keepwatch(config, &["--reconcile"]));
    assert_eq!(
        fs::read_to_string(&victim).unwrap(),
        "not Keepwatch's",
        "{run}"
    );
    (check, run)
}

/// Named after the bug: used without a word, and root wrote where the link led.
#[tokio::test(flavor = "multi_thread")]
async fn folders_of_another_account_are_refused_or_told_and_no_link_in_them_is_followed() {
    assert!(
        geteuid().is_root(),
        "this test needs root: it gives folders away"
    );
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let today = format!("keepwatch.log.{}", jiff::ZonedDateTime::now().date());
    for (name, link) in [("state", "index"), ("log", today.as_str())] {
        for how in ["owner", "writable"] {
            let folder = rig.dir.path().join(name);
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).unwrap();
            let expected = match how {
                "owner" => {
                    chown(&folder, Some(STRANGER), Some(STRANGER)).unwrap();
                    "belongs to another account (number 61234)"
                }
                _ => {
                    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
                    "may be written to by every account"
                }
            };
            let (check, run) = in_strange_hands(&rig, &config, &folder, link);
            for words in [&check, &run] {
                assert!(words.contains(expected), "{name} {how}: {words}");
                assert!(
                    words.contains(folder.to_str().unwrap()),
                    "{name} {how}: {words}"
                );
            }
            assert!(check.contains("chmod 700"), "{check}");
            let is_bad = check.contains("PROBLEM  state folder");
            assert_eq!(is_bad, name == "state", "{check}");
            // A log that cannot be written ends no backup; a state folder in other
            // hands is none.
            let code = keepwatch(&config, &["--reconcile"]).status.code();
            let want = if name == "state" { 1 } else { 0 };
            assert_eq!(code, Some(want), "{name} {how}: {run}");
            fs::remove_dir_all(&folder).unwrap();
        }
    }
    // Who can change the configuration decides what root reads.
    chown(&config, Some(STRANGER), Some(STRANGER)).unwrap();
    let daemon = Running::start(&config, &[]).await;
    let words = said(&keepwatch(&config, &["status"]));
    assert!(words.contains("WARNING: the configuration"), "{words}");
    assert!(words.contains("belongs to another account"), "{words}");
    assert_eq!(daemon.stop(), Some(0));
    chown(&config, Some(0), Some(0)).unwrap();
    let words = said(&keepwatch(&config, &["check"]));
    assert!(!words.contains("another account"), "{words}");
}

/// Named after the bug: root refused the folder, and only the log knew. The keys and the
/// topic can be read, so the owner is told: once a day, however often it is started, and
/// once more when it runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_folder_that_root_refuses_is_told_by_mail() {
    assert!(
        geteuid().is_root(),
        "this test needs root: it gives a folder away"
    );
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let sns = Sns::start(Says::Takes("KEY".into()));
    let config = write_config(&rig, &Office::notify(&sns));
    let keys = [
        ("AWS_ACCESS_KEY_ID", "KEY"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_REGION", "eu-central-1"),
    ];
    let start = || {
        let mut command = program();
        command
            .args(["--config", config.to_str().unwrap()])
            .envs(keys);
        let output = finish(&mut command);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    };
    let state = rig.state_dir();
    fs::create_dir(&state).unwrap();
    chown(&state, Some(STRANGER), Some(STRANGER)).unwrap();
    for _ in 0..3 {
        start();
    }
    let taken = sns.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert!(taken[0].contains("another%20account"), "{}", taken[0]);
    assert!(taken[0].contains("chmod%20700"), "{}", taken[0]);
    // Nothing of ours is in it.
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
    chown(&state, Some(0), Some(0)).unwrap();
    let daemon = Running::start(&config, &keys).await;
    until("its start is told", async || sns.taken().len() == 2).await;
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(sns.taken().len(), 2);

    // Where nothing can be noted in a safe place, a mail would come every half minute.
    for folder in [state, rig.dir.path().join("log")] {
        chown(&folder, Some(STRANGER), Some(STRANGER)).unwrap();
    }
    start();
    assert_eq!(sns.taken().len(), 2);
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
