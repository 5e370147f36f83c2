//! What is on a disk that was pulled: the vault, or the folder that is protected. It is told
//! once, within seconds, and nothing else is blamed for it.

use super::{status, unprotected, until_well};
use crate::harness::{BUCKET, Fate, Faults, Rig, report, scan_whole, until};
use keepwatch::manifest::owner;
use keepwatch::s3::{At, Store};
use keepwatch::status::{AWAY, FOLDER};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Named after the bug: the vault's disk was pulled, no file changed, and all was well for ten
/// minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_was_pulled_is_missed_though_no_file_changes() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let away = rig.dir.path().join("away");
    let is_out = async || status(&rig).await.board.outage.is_some();
    // Its folder goes with it, or an empty mount point stays.
    for mount_point_stays in [false, true] {
        fs::rename(rig.vault_dir(), &away).unwrap();
        if mount_point_stays {
            fs::create_dir(rig.vault_dir()).unwrap();
        }
        until("the vault is missed", is_out).await;
        let (_, fault) = status(&rig).await.board.outage.unwrap();
        assert!(fault.cause.contains("is its disk attached?"), "{fault}");
        assert!(fault.hint.contains("connect and mount the disk"), "{fault}");
        let digest = report(&daemon).await;
        assert!(!digest.is_well(), "{}", digest.body());
        assert!(digest.body().contains("OUT OF REACH"), "{}", digest.body());
        if mount_point_stays {
            // Nothing is begun in what is not the vault.
            assert_eq!(fs::read_dir(rig.vault_dir()).unwrap().count(), 0);
            fs::remove_dir(rig.vault_dir()).unwrap();
        }
        fs::rename(&away, rig.vault_dir()).unwrap();
        until("it goes on by itself", async || !is_out().await).await;
    }
    rig.write("b.txt", "b");
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}

/// Named after the bug: what was saved while the vault was away was told with a system error
/// that nobody could make sense of.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_while_the_vault_is_away_waits_for_it() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let away = rig.dir.path().join("away");
    fs::rename(rig.vault_dir(), &away).unwrap();
    for number in 0..5 {
        rig.write(&format!("{number}.txt"), number.to_string());
    }
    until("all wait", async || {
        let status = status(&rig).await;
        status.board.outage.is_some() && status.waiting + status.unprotected_total >= 5
    })
    .await;
    scan_whole(&daemon.components().sources[0], false).await;
    let told = status(&rig).await;
    assert_eq!((told.files_protected, told.files_not_stored), (1, 5));
    for (_, unprotected) in unprotected(&daemon) {
        let fault = unprotected.fault;
        assert!(fault.cause.contains("is its disk attached?"), "{fault}");
    }
    fs::rename(&away, rig.vault_dir()).unwrap();
    until_well(&rig, &daemon).await;
    until("none is left", async || {
        status(&rig).await.files_not_stored == 0
    })
    .await;
    daemon.stop().await.unwrap();
}

async fn is_claimed(store: &Store) -> bool {
    let key = owner::key("");
    let at = At {
        bucket: BUCKET,
        key: &key,
    };
    store.read_record(at, 1 << 16).await.unwrap().is_some()
}

/// Named after the bug: a run with a mistyped folder wrote that folder into the bucket as its
/// owner.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_claimed_for_a_folder_that_nobody_has_seen() {
    let rig = Rig::new();
    let config = rig.config();
    fs::remove_dir(rig.root()).unwrap();
    let daemon = rig.start_with(config, None).await;
    let source = &daemon.components().sources[0];
    let scan = scan_whole(source, false).await;
    assert!(scan.has_no_root && !scan.complete(), "{scan:?}");
    assert!(!is_claimed(&rig.store()).await);
    assert!(!source.destination.is_known_ours());
    rig.write("a.txt", "a");
    rig.until_equal(&daemon).await;
    assert!(is_claimed(&rig.store()).await);
    daemon.stop().await.unwrap();
    // Whose it is was settled then: it may be away for a while.
    fs::rename(rig.root(), rig.dir.path().join("away")).unwrap();
    let daemon = rig.start_with(rig_config_without_root(&rig), None).await;
    let source = &daemon.components().sources[0];
    scan_whole(source, false).await;
    assert!(source.destination.is_known_ours());
    daemon.stop().await.unwrap();
}

/// A configuration of a folder that is away.
fn rig_config_without_root(rig: &Rig) -> keepwatch::config::Config {
    fs::create_dir(rig.root()).unwrap();
    let config = rig.config();
    fs::remove_dir(rig.root()).unwrap();
    config
}

/// Named after the bug: a folder that was away was told twice, and not with its cause.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_away_is_one_finding_and_its_files_wait() {
    let rig = Rig::new();
    for number in 0..5 {
        rig.write(&format!("{number}.txt"), number.to_string());
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    for number in 0..5 {
        rig.write(&format!("{number}.txt"), format!("{number} again"));
    }
    rig.write("new.txt", "new");
    let away = rig.dir.path().join("away");
    fs::rename(rig.root(), &away).unwrap();
    // The guard and the watch find it each.
    until("both have found it", async || {
        let board = daemon.components().sources[0].status.snapshot();
        board.warnings.contains_key(AWAY) && board.warnings.contains_key(FOLDER)
    })
    .await;
    let told: Vec<String> = status(&rig).await.board.warnings.into_values().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("the folder is not there"), "{told:?}");
    let digest = report(&daemon).await;
    assert!(!digest.is_well(), "{}", digest.body());
    assert_eq!(digest.sources[0].warnings, told);
    fs::rename(&away, rig.root()).unwrap();
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}

/// Named after the bug: the folder went in the middle of a comparison, and what was not sent by
/// then was neither tried again nor told: "everything is in the bucket".
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_goes_for_a_moment_during_the_uploads_loses_none() {
    let rig = Rig::new();
    let files = 40;
    for number in 0..files {
        rig.write(&format!("{number}.txt"), number.to_string());
    }
    let faults = Faults::none();
    let (root, away) = (rig.root(), rig.dir.path().join("away"));
    let sent = AtomicUsize::new(0);
    let (from, to) = (root.clone(), away.clone());
    faults.set(move |seen| {
        let is_file = seen.method == "PUT" && seen.uri.contains(".txt");
        if is_file && sent.fetch_add(1, Ordering::SeqCst) == 5 {
            fs::rename(&from, &to).unwrap();
        }
        Fate::Pass
    });
    let store = Some(rig.faulty_store(&faults));
    let daemon = rig.start_with(rig.config(), store).await;
    until("files wait for their folder", async || {
        status(&rig).await.unprotected_total > 0
    })
    .await;
    let digest = report(&daemon).await;
    assert!(!digest.is_well(), "{}", digest.body());
    fs::rename(&away, &root).unwrap();
    until_well(&rig, &daemon).await;
    rig.until_equal(&daemon).await;
    daemon.stop().await.unwrap();
}
