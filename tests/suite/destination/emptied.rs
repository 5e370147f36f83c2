//! A bucket that is emptied, or removed and made again, behind our back.

use super::digest;
use crate::errors;
use crate::harness::{
    BUCKET, Fate, Faults, Rig, digest_files, finish, in_bucket, program, until, write_config,
};
use crate::raw::client;
use keepwatch_vault::Vault;

/// Every version of everything goes, our own objects with it, as when the bucket is
/// made anew.
async fn empty(vault: &Vault) {
    let client = client(vault);
    let list = client.list_object_versions().bucket(BUCKET).send();
    let all = list.await.unwrap();
    assert_eq!(all.is_truncated(), Some(false));
    let of_versions = all
        .versions()
        .iter()
        .map(|one| (one.key(), one.version_id()));
    let of_markers = all.delete_markers().iter();
    let of_markers = of_markers.map(|one| (one.key(), one.version_id()));
    for (key, id) in of_versions.chain(of_markers) {
        let delete = client.delete_object().bucket(BUCKET);
        let delete = delete.key(key.unwrap()).version_id(id.unwrap());
        delete.send().await.unwrap();
    }
    let left = client.list_object_versions().bucket(BUCKET).send().await;
    assert!(left.unwrap().versions().is_empty());
}

/// A comparison goes by the index for what was stored shortly before it began
/// (`LISTING_MARGIN_MS`): let what was stored grow older.
async fn grow_older() {
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
}

fn write_some(rig: &Rig) {
    for number in 0..30 {
        rig.write(&format!("folder/{number}.txt"), number.to_string());
    }
}

/// Named after the bug: 31 files "protected", of which the bucket had one.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_made_again_during_an_outage_is_compared_and_told() {
    let rig = Rig::new();
    write_some(&rig);
    let faults = Faults::none();
    // The probe that ends the outage comes within seconds.
    let daemon = errors::start(&rig, &faults).await;
    rig.until_equal(&daemon).await;
    faults.set(|_| Fate::Answer(404, "NoSuchBucket"));
    rig.write("new.txt", "saved while there is no bucket");
    until("the outage is seen", async || {
        daemon.components().sources[0].breaker.outage().is_some()
    })
    .await;
    empty(&rig.vault()).await;
    faults.set(|_| Fate::Pass);
    // Neither a scan nor a restart is asked for.
    rig.until_equal(&daemon).await;
    until("it is told", async || {
        digest_files(&rig)
            .iter()
            .any(|text| text.contains("was emptied or made again") && text.contains("gone"))
    })
    .await;
    until("it is over", async || {
        let (subject, _) = digest(&daemon).await;
        !subject.contains("emptied")
    })
    .await;
    daemon.stop().await.unwrap();
}

/// Named after the bug: the index had been compared once, so nobody asked the bucket
/// until the next daily job.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_emptied_between_two_runs_is_compared_at_the_start() {
    let rig = Rig::new();
    write_some(&rig);
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
    grow_older().await;
    empty(&rig.vault()).await;
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    until("it is told", async || {
        digest_files(&rig)
            .iter()
            .any(|text| text.contains("was emptied or made again"))
    })
    .await;
    daemon.stop().await.unwrap();
}

/// A comparison that somebody waits for ends with everything there, and says what
/// was found.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fills_an_emptied_bucket_and_no_first_run_speaks_of_one() {
    let rig = Rig::new();
    write_some(&rig);
    let file = write_config(&rig, "");
    let run = || {
        let config = ["--config", file.to_str().unwrap()];
        let done = finish(program().args(config).arg("--reconcile"));
        let text = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        (done.status.code(), text)
    };
    let (code, text) = run();
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("emptied"), "{text}");
    grow_older().await;
    {
        let vault = Vault::open(&rig.vault_dir()).unwrap();
        empty(&vault).await;
    }
    let (code, text) = run();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("30 versions stored"), "{text}");
    assert_eq!(in_bucket(&rig.store()).await.len(), 30);
}
