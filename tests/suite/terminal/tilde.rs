//! `~` in paths, as no shell expands it for the program: within a flag, in quotes, in the
//! environment, in the configuration.

use super::tools::said;
use crate::harness::{BUCKET, Rig, finish, program};
use std::fs;
use std::process::Output;

/// The program of an account whose home is the rig's folder.
fn at_home(rig: &Rig, arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(arguments);
    command.env("HOME", rig.dir.path());
    command.current_dir(rig.root());
    finish(&mut command)
}

fn rig() -> Rig {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    fs::create_dir_all(rig.vault_dir()).unwrap();
    let text = format!(
        "[vault]\npath = \"~/vault\"\n[[source]]\nname = \"{BUCKET}\"\npath = \"~/{BUCKET}\"\nbucket = \"{BUCKET}\"\n[state]\ndir = \"~/state\"\n[log]\ndir = \"~/log\"\n"
    );
    fs::write(rig.dir.path().join("k.toml"), text).unwrap();
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_home_is_backed_up_and_comes_back_by_its_tilde() {
    let rig = rig();
    let done = at_home(&rig, &["--config=~/k.toml", "--reconcile"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let file = format!("~/{BUCKET}/a.txt");
    for (arguments, there) in [
        (
            &["--config=~/k.toml", "restore", "--to=~/back"][..],
            "back/a.txt",
        ),
        (&["restore", "--vault=~/vault", "--to=~/b2"], "b2/a.txt"),
        (
            &["--config=~/k.toml", "restore", &file, "--to=~/b3"],
            "b3/a.txt",
        ),
        (&["--config=~/k.toml", "versions", &file], "vault"),
        (&["--config=~/k.toml", "verify", &file], "vault"),
        (
            &[
                "sources",
                "--vault=~/vault",
                "--write-config=~/new.toml",
                "--below=~/new",
            ],
            "new.toml",
        ),
    ] {
        let done = at_home(&rig, arguments);
        let words = said(&done);
        assert_eq!(done.status.code(), Some(0), "{arguments:?}: {words}");
        assert!(
            rig.dir.path().join(there).exists(),
            "{arguments:?}: {words}"
        );
        // A command that is proposed must work in every shell.
        assert!(!words.contains('~'), "{arguments:?}: {words}");
    }
    let new = fs::read_to_string(rig.dir.path().join("new.toml")).unwrap();
    assert!(!new.contains('~'), "{new}");
    // Nothing was made under that name.
    assert!(!rig.path("~").exists());
}

/// Named after the bug: a configuration that is there was read without its `~`, so that its
/// vault was another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_tildes_is_added_to() {
    let rig = rig();
    let done = at_home(&rig, &["--config=~/k.toml", "--reconcile"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let done = at_home(
        &rig,
        &["sources", "--vault=~/vault", "--write-config=~/k.toml"],
    );
    let words = said(&done);
    assert_eq!(done.status.code(), Some(0), "{words}");
    assert!(words.contains("has it already"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_home_is_refused() {
    let rig = rig();
    let done = at_home(&rig, &["--config=~/k.toml", "restore", "--to=~anna/x"]);
    let words = said(&done);
    assert_eq!(done.status.code(), Some(2), "{words}");
    assert!(words.contains("another account"), "{words}");
    assert!(!rig.path("~anna").exists());
    // The service runs as an account of its own.
    let done = at_home(
        &rig,
        &["--config=~/k.toml", "service", "install", "--dry-run"],
    );
    let words = said(&done);
    assert_eq!(done.status.code(), Some(2), "{words}");
    assert!(words.contains("a home of its own"), "{words}");
    assert!(words.contains("full path"), "{words}");
}
