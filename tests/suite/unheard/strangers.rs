//! Keepwatch's own folders in other hands.

use super::{keepwatch, said};
use crate::harness::{Rig, Running, finish, program, until, write_config};
use crate::network::{Office, Says, Sns};
use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

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
