//! Versioning that is switched off under a running backup, or was never on.

use super::digest;
use crate::harness::{
    BUCKET, Rig, Running, at_rest, digest_files, finish, history, program, scan_whole, until,
    write_config,
};
use crate::raw::client;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use keepwatch::daemon::Daemon;
use keepwatch_vault::Vault;
use std::fs;

/// Switch versioning of the bucket on or off, as somebody else does.
async fn versioning(vault: &Vault, on: bool) {
    let status = match on {
        true => BucketVersioningStatus::Enabled,
        false => BucketVersioningStatus::Suspended,
    };
    let to = VersioningConfiguration::builder().status(status).build();
    let put = client(vault).put_bucket_versioning().bucket(BUCKET);
    put.versioning_configuration(to).send().await.unwrap();
}

async fn until_told(rig: &Rig, words: &str) {
    until(words, async || {
        digest_files(rig).iter().any(|text| text.contains(words))
    })
    .await;
}

/// A daemon that has stored two files in a bucket that keeps versions.
async fn protected(rig: &Rig) -> Daemon {
    for name in ["a.txt", "b.txt"] {
        rig.write(name, name);
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_and_deleted_after_versioning_was_switched_off_is_not_destroyed() {
    let rig = Rig::new();
    let daemon = protected(&rig).await;
    let (vault, store) = (rig.vault(), rig.store());
    versioning(&vault, false).await;
    rig.write("b.txt", "saved while nobody keeps versions");
    // At once, and not after `alert_after`.
    until_told(&rig, "the bucket office keeps no old versions").await;
    fs::remove_file(rig.path("b.txt")).unwrap();
    let ctx = daemon.components();
    let scan = scan_whole(&ctx.sources[0], false).await;
    assert!(scan.complete(), "{scan:?}");
    until("nothing waits", async || at_rest(&daemon)).await;
    let kept = [
        Some(b"saved while nobody keeps versions".to_vec()),
        Some(b"b.txt".to_vec()),
    ];
    assert_eq!(history(&store, "b.txt").await, kept, "nothing is marked");
    let (subject, body) = digest(&daemon).await;
    assert!(subject.contains("keeps no old versions"), "{subject}");
    for words in ["NOT SAFE since", "put-bucket-versioning --bucket office"] {
        assert!(body.contains(words), "{body}");
    }
    assert!(!body.contains("earlier versions are kept"), "{body}");

    // Again on: told, and what was deleted is marked now.
    versioning(&vault, true).await;
    until_told(&rig, "keeps old versions again").await;
    rig.until_equal(&daemon).await;
    let marked = history(&store, "b.txt").await;
    assert_eq!(marked, [[None].as_slice(), &kept].concat());
    let (subject, _) = digest(&daemon).await;
    assert!(!subject.contains("versions"), "{subject}");
    daemon.stop().await.unwrap();
}

/// Within seconds of the last answer a deletion goes by that: its own answer tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_leaves_no_marker_of_its_own_is_noticed() {
    let rig = Rig::new();
    let daemon = protected(&rig).await;
    let store = rig.store();
    let ctx = daemon.components();
    // The bucket's word is as fresh as can be.
    scan_whole(&ctx.sources[0], false).await;
    versioning(&rig.vault(), false).await;
    fs::remove_file(rig.path("a.txt")).unwrap();
    until_told(&rig, "the bucket office keeps no old versions").await;
    assert!(!ctx.sources[0].marks_deletions());
    // It was stored while versions were kept, so it is there in any case.
    let versions = history(&store, "a.txt").await;
    assert!(versions.contains(&Some(b"a.txt".to_vec())), "{versions:?}");
    daemon.stop().await.unwrap();
}

fn run(file: &std::path::Path, arguments: &[&str]) -> (Option<i32>, String) {
    let config = ["--config", file.to_str().unwrap()];
    let done = finish(program().args(config).args(arguments));
    let text = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    (done.status.code(), text)
}

/// Named after the bug: "All is well: everything is in the bucket", exit code 0.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_and_status_say_that_a_bucket_keeps_no_versions_and_what_to_do() {
    for suspended in [true, false] {
        let rig = Rig::new();
        rig.write("a.txt", "a");
        let file = write_config(&rig, "");
        if suspended {
            versioning(&rig.vault(), false).await;
        } else {
            // Somebody made the bucket, and never turned it on.
            let vault = Vault::open(&rig.vault_dir()).unwrap();
            let make = client(&vault).create_bucket().bucket(BUCKET);
            make.send().await.unwrap();
        }
        let (code, text) = run(&file, &["--reconcile"]);
        assert_eq!(code, Some(3), "{text}");
        for words in [
            "NOT SAFE: the bucket office keeps no old versions",
            "put-bucket-versioning --bucket office",
            "1 version stored",
        ] {
            assert!(text.contains(words), "{text}");
        }
        assert!(!text.contains("All is well"), "{text}");
        let told = digest_files(&rig).join("\n");
        assert!(told.contains("ALERT"), "{told}");
        assert!(!told.contains("reconcile succeeded"), "{told}");
        let (code, json) = run(&file, &["--reconcile", "--json"]);
        assert_eq!(code, Some(3), "{json}");
        assert!(json.contains("\"no_versions\""), "{json}");

        let daemon = Running::start(&file, &[]).await;
        let (code, text) = run(&file, &["status"]);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("keeps no old versions"), "{text}");
        let (_, text) = run(&file, &["digest"]);
        assert!(
            text.contains("ATTENTION") && !text.contains("All is well"),
            "{text}"
        );
        assert_eq!(daemon.stop(), Some(0));
    }
}
