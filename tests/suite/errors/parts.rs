//! Sizes, compression, and everything that can go wrong with an upload in parts.

use super::{config, is_for, is_put, start, start_on, unprotected, until_well};
use crate::harness::os::write_at;
use crate::harness::{BUCKET, Fate, Faults, Rig, Seen, history, until};
use futures::future::join_all;
use keepwatch::daemon::Daemon;
use keepwatch::s3::{At, Head};
use keepwatch::types::ContentHash;
use std::fs;
use std::fs::{File, OpenOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MIB: usize = 1024 * 1024;
/// Sent in parts from one byte more.
const SMALL: usize = 8 * MIB;

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut out = vec![0; bytes];
    random.fill(&mut out);
    out
}

async fn head(rig: &Rig, key: &str) -> Head {
    let at = At {
        bucket: BUCKET,
        key,
    };
    rig.store().head(at, None).await.unwrap().unwrap()
}

async fn open_uploads(rig: &Rig) -> usize {
    rig.store().open_uploads(BUCKET, "").await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_size_comes_in_whole() {
    let rig = Rig::new();
    rig.write("empty", "");
    rig.write("one byte", "1");
    for (name, bytes) in [
        ("under", SMALL - 1),
        ("exact", SMALL),
        ("over", SMALL + 1),
        ("large", 40 * MIB),
    ] {
        rig.write(name, noise(bytes, bytes as u64));
    }
    let lines = b"number;name;amount\n".repeat(12 * MIB / 19);
    rig.write("table/small.csv", &lines[..100_000]);
    rig.write("table/large.CSV", &lines);
    rig.write("table/empty.csv", "");
    rig.write("table/noise.csv", noise(10_000, 1));
    rig.write("table/large noise.csv", noise(20 * MIB, 2));
    let daemon = start(&rig, &Faults::none()).await;
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
    for (key, parts) in [
        ("under", None),
        ("exact", None),
        ("over", Some(2)),
        ("large", Some(5)),
        ("table/large noise.csv", Some(3)),
    ] {
        let etag = head(&rig, key).await.etag;
        let got = etag
            .split_once('-')
            .map(|(_, parts)| parts.parse().unwrap());
        assert_eq!(got, parts, "{key}: {etag}");
    }
    for (key, gzip) in [
        ("table/small.csv", true),
        ("table/empty.csv", false),
        ("table/noise.csv", false),
        ("table/large noise.csv", true),
        ("large", false),
    ] {
        assert_eq!(head(&rig, key).await.gzip, gzip, "{key}");
    }
    let small = head(&rig, "table/small.csv").await;
    assert!(small.stored_bytes < 10_000, "{}", small.stored_bytes);
}

/// A file of that many bytes that costs no time to write; `stamp` differs.
fn sparse(rig: &Rig, name: &str, bytes: usize, stamp: u8) {
    let file = File::create(rig.path(name)).unwrap();
    file.set_len(bytes as u64).unwrap();
    write_at(&file, &[stamp], bytes as u64 - 1);
}

fn is_part(seen: &Seen) -> bool {
    is_put(seen) && seen.uri.contains("partNumber=")
}

fn is_begin(seen: &Seen) -> bool {
    seen.method == "POST" && seen.uri.contains("uploads")
}

fn is_complete(seen: &Seen) -> bool {
    seen.method == "POST" && seen.uri.contains("uploadId=")
}

fn is_abort(seen: &Seen) -> bool {
    seen.method == "DELETE" && seen.uri.contains("uploadId=")
}

/// Ten parts: more than are in memory at once, so the last is not read yet
/// while the first is on the wire.
const TEN_PARTS: usize = 10 * SMALL;

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_during_its_upload_never_becomes_a_torn_version() {
    let rig = Rig::new();
    let (parts, completes) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let faults = {
        let (parts, completes) = (Arc::clone(&parts), Arc::clone(&completes));
        Faults::new(move |seen| {
            completes.fetch_add(u64::from(is_complete(seen)), Ordering::SeqCst);
            // The first four are late: long enough to change the file under them.
            match is_part(seen) && parts.fetch_add(1, Ordering::SeqCst) < 4 {
                true => Fate::Late(Duration::from_secs(1)),
                false => Fate::Pass,
            }
        })
    };
    sparse(&rig, "large.bin", TEN_PARTS, 1);
    let daemon = start(&rig, &faults).await;
    until("its first part is on the wire", async || {
        parts.load(Ordering::SeqCst) > 0
    })
    .await;
    let file = OpenOptions::new()
        .write(true)
        .open(rig.path("large.bin"))
        .unwrap();
    write_at(&file, &[2; 1000], 0);
    write_at(&file, &[2; 1000], TEN_PARTS as u64 - 1000);
    drop(file);
    until_well(&rig, &daemon).await;
    assert_eq!(completes.load(Ordering::SeqCst), 1);
    let versions = history(&rig.store(), "large.bin").await;
    assert_eq!(versions.len(), 1);
    let last = ContentHash::of(&fs::read(rig.path("large.bin")).unwrap());
    assert!(ContentHash::of(versions[0].as_ref().unwrap()) == last);
    assert_eq!(open_uploads(&rig).await, 0);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_deleted_during_its_upload_leaves_nothing_behind() {
    let rig = Rig::new();
    let parts = Arc::new(AtomicU64::new(0));
    let faults = {
        let parts = Arc::clone(&parts);
        Faults::new(
            move |seen| match is_part(seen) && parts.fetch_add(1, Ordering::SeqCst) < 4 {
                true => Fate::Late(Duration::from_secs(1)),
                false => Fate::Pass,
            },
        )
    };
    sparse(&rig, "large.bin", TEN_PARTS, 1);
    let daemon = start(&rig, &faults).await;
    until("its first part is on the wire", async || {
        parts.load(Ordering::SeqCst) > 0
    })
    .await;
    fs::remove_file(rig.path("large.bin")).unwrap();
    until_well(&rig, &daemon).await;
    assert_eq!(open_uploads(&rig).await, 0);
    // An open file outlives its name: what was read of it is one that existed.
    let whole = history(&rig.store(), "large.bin").await;
    assert!(whole.is_empty() || whole[0].is_none(), "{}", whole.len());
    daemon.stop().await.unwrap();
}

fn noted(daemon: &Daemon) -> usize {
    daemon.components().index.multiparts().unwrap().len()
}

/// One step of an upload in parts fails until it has been seen to fail.
struct Step {
    which: fn(&Seen) -> bool,
    fate: Fate,
    /// The trouble may pass: the same upload may be gone on with.
    may_pass: bool,
}

async fn fails_and_is_tidied_up(number: usize, step: &Step) {
    println!("step {number}");
    let rig = Rig::new();
    let met = Arc::new(AtomicU64::new(0));
    let faults = {
        let (which, fate, met) = (step.which, step.fate.clone(), Arc::clone(&met));
        Faults::new(move |seen| {
            if !which(seen) {
                return Fate::Pass;
            }
            met.fetch_add(1, Ordering::SeqCst);
            fate.clone()
        })
    };
    rig.write("large.bin", noise(20 * MIB, number as u64));
    let daemon = start(&rig, &faults).await;
    until(
        "it fails, is listed, and what cannot be gone on with is aborted",
        async || {
            met.load(Ordering::SeqCst) > 0
                && !unprotected(&daemon).is_empty()
                && (step.may_pass || noted(&daemon) == 0)
        },
    )
    .await;
    // Other files do not mind.
    rig.write("small.txt", "small");
    until("another file is in", async || {
        !history(&rig.store(), "small.txt").await.is_empty()
    })
    .await;
    faults.set(|_| Fate::Pass);
    until_well(&rig, &daemon).await;
    // One whose completion was carried out and never answered stays noted until
    // somebody looks.
    until("nothing is left of it", async || {
        (open_uploads(&rig).await, noted(&daemon)) == (0, 0)
    })
    .await;
    let versions = history(&rig.store(), "large.bin").await;
    let content = fs::read(rig.path("large.bin")).unwrap();
    assert!(versions.iter().all(|v| v.as_deref() == Some(&content[..])));
    daemon.stop().await.unwrap();
    println!("step {number} passed");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_of_an_upload_in_parts_it_comes_in_and_leaves_nothing() {
    let refused = Fate::Answer(400, "InvalidRequest");
    let failing = Fate::Answer(500, "InternalError");
    let second = |seen: &Seen| is_part(seen) && seen.uri.contains("partNumber=2");
    let steps = [
        Step {
            which: is_begin,
            fate: refused.clone(),
            may_pass: false,
        },
        Step {
            which: second,
            fate: refused.clone(),
            may_pass: false,
        },
        Step {
            which: is_complete,
            fate: refused,
            may_pass: false,
        },
        Step {
            which: is_complete,
            fate: failing,
            may_pass: true,
        },
        Step {
            which: is_complete,
            fate: Fate::LoseAnswer,
            may_pass: true,
        },
    ];
    join_all(
        steps
            .iter()
            .enumerate()
            .map(|(n, step)| fails_and_is_tidied_up(n, step)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_once_is_sent_again_alone() {
    let rig = Rig::new();
    let parts = Arc::new(AtomicU64::new(0));
    let faults = {
        let parts = Arc::clone(&parts);
        Faults::new(
            move |seen| match is_part(seen) && parts.fetch_add(1, Ordering::SeqCst) == 1 {
                true => Fate::Break,
                false => Fate::Pass,
            },
        )
    };
    rig.write("large.bin", noise(20 * MIB, 9));
    let daemon = start(&rig, &faults).await;
    until_well(&rig, &daemon).await;
    assert_eq!(
        parts.load(Ordering::SeqCst),
        4,
        "three parts, one of them twice"
    );
    assert_eq!(history(&rig.store(), "large.bin").await.len(), 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_be_aborted_is_aborted_after_the_next_start() {
    let rig = Rig::new();
    let faults = Faults::new(|seen| match is_abort(seen) || is_complete(seen) {
        true => Fate::Answer(400, "InvalidRequest"),
        false => Fate::Pass,
    });
    rig.write("large.bin", noise(9 * MIB, 3));
    let daemon = start(&rig, &faults).await;
    until("it is listed", async || !unprotected(&daemon).is_empty()).await;
    let fault = &unprotected(&daemon)[0].1.fault;
    assert_eq!(fault.operation.words(), "complete the upload of", "{fault}");
    assert!(open_uploads(&rig).await > 0);
    daemon.stop().await.unwrap();
    let daemon = start_on(config(&rig), rig.store()).await;
    until_well(&rig, &daemon).await;
    until("nothing is left", async || {
        open_uploads(&rig).await == 0 && noted(&daemon) == 0
    })
    .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_not_read_into_the_bucket_of_another_name() {
    // Two large files at once: parts of one never end up in the other.
    let rig = Rig::new();
    rig.write("one.bin", noise(20 * MIB, 1));
    rig.write("two.bin", noise(20 * MIB, 2));
    let faults = Faults::new(|seen| match is_for(seen, "one.bin") && is_part(seen) {
        true => Fate::Late(Duration::from_millis(200)),
        false => Fate::Pass,
    });
    let daemon = start(&rig, &faults).await;
    until_well(&rig, &daemon).await;
    daemon.stop().await.unwrap();
}
