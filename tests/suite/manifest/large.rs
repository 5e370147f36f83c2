//! Manifests of many paths: sent in parts, read without being held.

use super::{compare, listed, nearest};
use crate::harness::Rig;
use crate::raw::Requests;
use keepwatch::board::ScanDone;
use keepwatch::index::ActivityDelta;
use keepwatch::model::{ContentHash, Fingerprint, Kind, Look, Record, RelKey};
use keepwatch::recovery::Stop;
use keepwatch::tasks::Context;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

fn record(number: usize) -> Record {
    let hash = ContentHash::of(&number.to_le_bytes());
    Record {
        fingerprint: Fingerprint {
            kind: Kind::File,
            size_bytes: number as u64,
            mtime_ns: 1_795_000_000_000_000_000 + number as i64 * 7_919,
            ctime_ns: 1,
            inode: 1,
            mode: 0o644,
            owner: Some((1000, 1000)),
        },
        content: Some(hash),
        version_id: hash.to_hex()[..32].to_owned(),
        etag: hash.to_hex()[32..].to_owned(),
        stored_bytes: number as u64,
        stored_at_ms: 1_795_000_000_000,
        racy: false,
        look: Look::Plain,
    }
}

fn fill(ctx: &Context, count: usize) {
    let all: Vec<(RelKey, Record)> = (0..count)
        .map(|number| {
            let key = format!("folder {:04}/file {number:07}.pdf", number / 500);
            (RelKey::parse(&key).unwrap(), record(number))
        })
        .collect();
    ctx.index.import(ctx.sources[0].id, &all).unwrap();
}

/// What this process holds, kilobytes.
fn resident_kb() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn whole() -> ScanDone {
    ScanDone {
        listed_whole: true,
        ..ScanDone::default()
    }
}

async fn written_and_read(count: usize) {
    let rig = Rig::new();
    let (requests, store) = Requests::listen(&rig);
    let daemon = rig.start_with(rig.config(), Some(store.clone())).await;
    assert!(compare(&daemon).await.complete());
    requests.clear();
    let ctx = daemon.context().clone();
    let shared = ctx.clone();
    tokio::task::spawn_blocking(move || fill(&shared, count))
        .await
        .unwrap();
    let (before_kb, began) = (resident_kb(), Instant::now());
    keepwatch::tasks::manifest::write_all(&ctx, &[Some(whole())]).await;
    let (written, written_kb) = (began.elapsed(), resident_kb());
    assert!(
        requests.count("UploadPart") >= 2,
        "{:?}",
        requests.changes()
    );
    let began = Instant::now();
    let manifest = nearest(&store).await.manifest.unwrap();
    assert_eq!(
        (manifest.trailer.files, manifest.trailer.quiet),
        (count as u64, true)
    );
    let mut lines = manifest.lines(&store, &Stop::never()).await.unwrap();
    let mut number = 0;
    while let Some(line) = lines.next().await.unwrap() {
        if line.has_object() {
            assert_eq!(line.content(), record(number).content);
            number += 1;
        }
    }
    assert_eq!(number, count);
    let all = listed(&store).await;
    println!(
        "{count} paths: written in {written:.1?} ({} bytes), read twice in {:.1?}; resident {} MB before, {} MB after writing, {} MB after reading",
        all.last().unwrap().stored_bytes,
        began.elapsed(),
        before_kb / 1024,
        written_kb / 1024,
        resident_kb() / 1024
    );
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_manifest_goes_in_parts_and_is_not_held() {
    written_and_read(140_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_disturbed_while_it_was_drawn_says_so() {
    let rig = Rig::new();
    let daemon = rig.start().await;
    assert!(compare(&daemon).await.complete());
    let ctx = daemon.context().clone();
    let (shared, stop) = (ctx.clone(), Arc::new(AtomicBool::new(false)));
    tokio::task::spawn_blocking(move || fill(&shared, 3_000))
        .await
        .unwrap();
    let (shared, stopped) = (ctx.clone(), stop.clone());
    let storing = std::thread::spawn(move || {
        let one = ActivityDelta {
            versions: 1,
            ..ActivityDelta::default()
        };
        while !stopped.load(Ordering::Relaxed) {
            shared
                .index
                .add_activity(shared.sources[0].id, &one)
                .unwrap();
        }
    });
    keepwatch::tasks::manifest::write_all(&ctx, &[Some(whole())]).await;
    stop.store(true, Ordering::Relaxed);
    storing.join().unwrap();
    let manifest = nearest(&rig.store()).await.manifest.unwrap();
    assert_eq!(
        (manifest.trailer.files, manifest.trailer.quiet),
        (3_000, false)
    );
    keepwatch::tasks::manifest::write_all(&ctx, &[Some(whole())]).await;
    assert!(nearest(&rig.store()).await.manifest.unwrap().trailer.quiet);
    drop(daemon);
}

/// `cargo test --release --test suite manifest::large -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: a million paths"]
async fn a_million_paths() {
    written_and_read(1_000_000).await;
}
