//! Commands that only look, and what they say of a place that is new or put back.

use super::{keepwatch, said};
use crate::harness::{Rig, write_config};
use std::fs;
use std::path::Path;

/// It ends with this code and says all this.
fn says(config: &Path, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let output = keepwatch(config, arguments);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} lacks {word:?}: {said}");
    }
    said
}

/// Named after the bug: the digest made a vault where the disk was not connected.
#[test]
fn a_digest_that_is_only_shown_makes_no_vault() {
    let rig = Rig::new();
    let config = write_config(&rig, "");
    says(
        &config,
        &["digest"],
        2,
        &["there is no vault in this folder", "what to do"],
    );
    assert_eq!(fs::read_dir(rig.vault_dir()).unwrap().count(), 0);
}

/// Named after the bug: "Full check: NOT YET DONE" right after a whole comparison.
#[test]
fn a_digest_knows_of_the_comparison_before_it() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    says(&config, &["--reconcile"], 0, &["All is well"]);
    for _ in 0..2 {
        let said = says(&config, &["digest"], 0, &["complete, 1 file in"]);
        assert!(!said.contains("NOT YET DONE"), "{said}");
    }
}

/// Named after the bug: a bucket that the next start makes was a problem.
#[test]
fn a_bucket_that_the_vault_gets_with_the_next_start_is_no_problem() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    says(&config, &["--reconcile"], 0, &[]);
    let second = rig.dir.path().join("second");
    fs::create_dir(&second).unwrap();
    let config = write_config(
        &rig,
        "[[source]]\nname = \"second\"\npath = \"second\"\nbucket = \"second-bucket\"\n",
    );
    let words = "bucket second-bucket of second: is not in the vault";
    let said = says(
        &config,
        &["check"],
        0,
        &[words, "the next start of Keepwatch makes it"],
    );
    assert!(!said.contains("PROBLEM"), "{said}");
    // Another disk stands where the vault was: what was backed up is not there.
    fs::rename(rig.vault_dir(), rig.dir.path().join("away")).unwrap();
    drop(keepwatch_vault::Vault::open(&rig.vault_dir()).unwrap());
    let words = ["is not in the vault", "any more", "the right disk"];
    says(&config, &["check"], 1, &words);
}

/// Named after the bugs: a folder that the restore had made was there already; one that
/// brought nothing left its folder behind and gave its report before the verdict; and a file
/// after --to was met with words of the system.
#[test]
fn a_restore_says_what_it_did_and_leaves_no_empty_folder() {
    let rig = Rig::new();
    fs::create_dir(rig.root().join("was-empty")).unwrap();
    let config = write_config(&rig, "");
    says(&config, &["--reconcile"], 0, &[]);
    rig.write("was-empty/a.txt", "a");
    says(&config, &["--reconcile"], 0, &[]);
    let to = |name: &str| rig.dir.path().join(name).to_str().unwrap().to_owned();
    let restored = to("restored");
    let said = says(
        &config,
        &["restore", "--to", &restored],
        0,
        &["1 file (1 byte)"],
    );
    assert!(!said.contains("there already"), "{said}");
    let again = ["restore", "--to", &restored];
    says(&config, &again, 0, &["were there already and are the same"]);

    let none = to("none/deep");
    let early = ["restore", "--at", "2020-01-01", "--to", &none];
    says(
        &config,
        &early,
        1,
        &["nothing of it was backed up yet", "what to do"],
    );
    assert!(!rig.dir.path().join("none").exists());

    let file = format!("{restored}/was-empty/a.txt");
    let words = ["is no folder", "name a folder with --to"];
    says(&config, &["restore", "--to", &file], 2, &words);

    let inside = rig.root().join("back").to_str().unwrap().to_owned();
    let words = ["is backed up once more", "what to do"];
    says(&config, &["restore", "--to", &inside], 0, &words);

    let words = ["NOT FOUND in the backup: nosuch.xyz (write its path"];
    says(
        &config,
        &["restore", "a.txt", "nosuch.xyz", "--to", &restored],
        3,
        &words,
    );
}
