//! `--reconcile`: what the bucket lost is repaired, with or without a daemon.

use crate::harness::{
    BUCKET, Rig, Running, finish, history, in_bucket, on_disk, program, write_config,
};
use crate::raw::{client, counts, versions};
use aws_sdk_s3::primitives::ByteStream;
use keepwatch_vault::Vault;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Run it; what it printed, and its exit code.
async fn reconcile(config: &Path) -> (String, Option<i32>) {
    let config = config.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        finish(program().args(["--config", config.to_str().unwrap(), "--reconcile"]))
    })
    .await
    .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        String::from_utf8_lossy(&text).into_owned(),
        output.status.code(),
    )
}

/// A record as young as this is not compared with the bucket's listing, which
/// may be older (`LISTING_MARGIN_MS`): let what was stored grow older.
async fn let_records_age() {
    tokio::time::sleep(Duration::from_millis(2_100)).await;
}

/// Somebody with a console: one object is destroyed with all its versions, one
/// overwritten, one of their own added.
async fn meddle(vault: &Vault, rig: &Rig) {
    let sdk = client(vault);
    for version in versions(&rig.store(), BUCKET).await {
        if version.key == "destroyed.txt" {
            let delete = sdk.delete_object().bucket(BUCKET).key(version.key);
            let delete = delete.version_id(keepwatch::types::id_text(&version.version_id));
            delete.send().await.unwrap();
        }
    }
    for (key, body) in [
        ("overwritten.txt", "by hand"),
        ("theirs/readme.md", "hello"),
    ] {
        let body = ByteStream::from_static(body.as_bytes());
        let put = sdk.put_object().bucket(BUCKET).key(key).body(body);
        put.send().await.unwrap();
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

async fn check(rig: &Rig) {
    let store = rig.store();
    assert_eq!(history(&store, "destroyed.txt").await, [bytes("destroyed")]);
    assert_eq!(
        history(&store, "overwritten.txt").await,
        ["overwritten", "by hand", "overwritten"].map(bytes)
    );
    assert_eq!(history(&store, "theirs/readme.md").await, [bytes("hello")]);
    assert_eq!(history(&store, "fine.txt").await, [bytes("fine")]);
}

fn files(rig: &Rig) {
    for name in ["fine", "destroyed", "overwritten"] {
        rig.write(&format!("{name}.txt"), name);
    }
}

fn sends_nothing((text, code): &(String, Option<i32>)) {
    assert_eq!(*code, Some(0), "{text}");
    assert!(text.contains("nothing to send"), "{text}");
    assert!(text.contains("All is well"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_the_daemon_it_repairs_what_the_bucket_lost_and_leaves_foreign_objects() {
    let rig = Rig::new();
    files(&rig);
    let config = write_config(&rig, "");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    sends_nothing(&reconcile(&config).await);
    let_records_age().await;
    meddle(&rig.vault(), &rig).await;
    let (text, code) = reconcile(&config).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 versions stored"), "{text}");
    assert!(text.contains("running here"), "the daemon did it: {text}");
    check(&rig).await;
    sends_nothing(&reconcile(&config).await);
    check(&rig).await;
    daemon.stop().await.unwrap();
}

/// Named after the bug: whenever the service ran on a vault, `check` called that a problem.
#[tokio::test(flavor = "multi_thread")]
async fn check_beside_the_service_finds_nothing_wrong_with_its_vault() {
    let rig = Rig::new();
    files(&rig);
    let config = write_config(&rig, "");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let check = || {
        let config = config.clone();
        tokio::task::spawn_blocking(move || {
            finish(program().args(["--config", config.to_str().unwrap(), "check"]))
        })
    };
    let output = check().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("the running Keepwatch writes to it"),
        "{text}"
    );
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_it_repairs_what_the_bucket_lost_and_leaves_foreign_objects() {
    let rig = Rig::new();
    files(&rig);
    let config = write_config(&rig, "");
    let (text, code) = reconcile(&config).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("3 versions stored"), "{text}");
    sends_nothing(&reconcile(&config).await);
    let_records_age().await;
    // This process must not hold the vault while the other works on it.
    {
        meddle(&rig.vault(), &rig).await;
    }
    let (text, code) = reconcile(&config).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 versions stored"), "{text}");
    assert!(!text.contains("running here"), "{text}");
    check(&rig).await;
    sends_nothing(&reconcile(&config).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_it_brings_the_bucket_up_to_date() {
    let rig = Rig::new();
    for number in 0..30 {
        rig.write(
            &format!("d{}/{number}.txt", number % 3),
            format!("{number}"),
        );
    }
    let config = write_config(&rig, "");
    assert_eq!(reconcile(&config).await.1, Some(0));
    fs::remove_dir_all(rig.path("d1")).unwrap();
    rig.write("d0/0.txt", "edited");
    rig.write("fresh/new.txt", "new");
    let (text, code) = reconcile(&config).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 versions stored"), "{text}");
    assert!(text.contains("10 marked as deleted"), "{text}");
    let store = rig.store();
    assert_eq!(in_bucket(&store).await, on_disk(&rig.root()));
    assert_eq!(counts(&store, BUCKET).await["d2/2.txt"], 1);
}

/// Named after the bug: a computer that is backed up by `--reconcile` alone had no
/// last backup in `status`; nor had a service in whose folders nothing has changed
/// since it was started.
#[tokio::test(flavor = "multi_thread")]
async fn status_knows_the_last_backup_of_earlier_runs_also_without_a_service() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let config = write_config(&rig, "");
    let ask = |json: bool| {
        let mut command = program();
        command.args(["--config", config.to_str().unwrap(), "status"]);
        let output = finish(command.args(json.then_some("--json")));
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.code(),
        )
    };
    let stored_ms = || {
        let status: serde_json::Value = serde_json::from_str(&ask(true).0).unwrap();
        status["last_known"]["status"]["sources"][0]["board"]["stored_ms"].as_i64()
    };
    assert_eq!(stored_ms(), None, "nothing ran yet");
    assert_eq!(reconcile(&config).await.1, Some(0));
    let (text, code) = ask(false);
    assert_eq!(code, Some(1), "{text}");
    for words in [
        "NOT running",
        "How things stood",
        "last backed up",
        "1 file protected",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("watches are being set up"), "{text}");
    let first = stored_ms();
    assert!(first.is_some());
    // One that has nothing to send forgets nothing.
    assert_eq!(reconcile(&config).await.1, Some(0));
    assert_eq!(stored_ms(), first);
    let daemon = Running::start(&config, &[]).await;
    let status = daemon.status().unwrap();
    assert_eq!(status["sources"][0]["board"]["stored_ms"].as_i64(), first);
    assert_eq!(daemon.stop(), Some(0));
}
