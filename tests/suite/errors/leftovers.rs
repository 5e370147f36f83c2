//! Parts in the bucket that nobody works on any more are cleared away while the
//! daemon runs, and only our own.

use super::{is_put, start, until_well};
use crate::harness::{BUCKET, Fate, Faults, Rig, Seen, until};
use crate::raw::client;
use keepwatch::index::Multipart;
use keepwatch::s3::OpenUpload;
use keepwatch::types::{RelKey, WallMs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sent in parts.
const LARGE_BYTES: usize = 20 * 1024 * 1024;

fn is_begin(seen: &Seen) -> bool {
    seen.method == "POST" && seen.uri.contains("uploads")
}

fn is_abort(seen: &Seen) -> bool {
    seen.method == "DELETE" && seen.uri.contains("uploadId=")
}

fn is_part(seen: &Seen) -> bool {
    is_put(seen) && seen.uri.contains("partNumber=")
}

/// Somebody else's upload under way in our bucket.
async fn theirs(rig: &Rig) -> OpenUpload {
    let begun = client(&rig.vault())
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("large.bin.theirs")
        .send()
        .await
        .unwrap();
    OpenUpload {
        key: "large.bin.theirs".into(),
        upload_id: begun.upload_id().unwrap().into(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_that_fails_is_made_up_for_while_running() {
    let rig = Rig::new();
    let theirs = theirs(&rig).await;
    let faults = Faults::new(|seen| match (is_part(seen), is_abort(seen)) {
        (true, _) => Fate::Answer(400, "InvalidRequest"),
        (_, true) => Fate::Break,
        _ => Fate::Pass,
    });
    let daemon = start(&rig, &faults).await;
    rig.write("large.bin", vec![7; LARGE_BYTES]);
    let store = rig.store();
    until("it has failed and could not be aborted", async || {
        !super::unprotected(&daemon).is_empty()
            && store.open_uploads(BUCKET, "").await.unwrap().len() > 1
    })
    .await;
    std::fs::remove_file(rig.path("large.bin")).unwrap();
    faults.set(|_| Fate::Pass);
    until("only theirs is left", async || {
        store.open_uploads(BUCKET, "").await.unwrap() == [theirs.clone()]
    })
    .await;
    let ctx = daemon.components();
    until("it is forgotten", async || {
        ctx.index.multiparts().unwrap().is_empty()
    })
    .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_begin_was_never_answered_is_found_and_aborted() {
    let rig = Rig::new();
    let theirs = theirs(&rig).await;
    let begins = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&begins);
    let faults = Faults::new(move |seen| {
        match is_begin(seen) && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            true => Fate::LoseAnswer,
            false => Fate::Pass,
        }
    });
    let daemon = start(&rig, &faults).await;
    rig.write("large.bin", vec![7; LARGE_BYTES]);
    until_well(&rig, &daemon).await;
    assert!(begins.load(Ordering::SeqCst) > 1);
    let store = rig.store();
    until("only theirs is left", async || {
        store.open_uploads(BUCKET, "").await.unwrap() == [theirs.clone()]
    })
    .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_began_while_the_program_was_killed_is_found_at_the_next_start() {
    let rig = Rig::new();
    rig.write("large.bin", vec![7; LARGE_BYTES]);
    let theirs = theirs(&rig).await;
    // The answer to "begin" never comes, then the power goes.
    let faults = Faults::new(|seen| match is_begin(seen) {
        true => Fate::LoseAnswer,
        false => Fate::Pass,
    });
    let mut config = super::config(&rig);
    config.limits.shutdown_timeout_ms = 100;
    let daemon = super::start_on(config, rig.faulty_store(&faults)).await;
    let store = rig.store();
    until("it has begun", async || {
        store.open_uploads(BUCKET, "").await.unwrap().len() > 1
    })
    .await;
    // A stop whose requests all fail is as good as a kill.
    faults.set(|_| Fate::Break);
    daemon.stop().await.unwrap();
    assert!(store.open_uploads(BUCKET, "").await.unwrap().len() > 1);
    let daemon = start(&rig, &Faults::none()).await;
    until_well(&rig, &daemon).await;
    until("only theirs is left", async || {
        store.open_uploads(BUCKET, "").await.unwrap() == [theirs.clone()]
    })
    .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_a_bucket_that_is_gone_is_forgotten_unless_a_source_names_it() {
    let rig = Rig::new();
    let faults = Faults::new(|seen| match is_abort(seen) {
        true => Fate::Answer(404, "NoSuchBucket"),
        false => Fate::Pass,
    });
    let daemon = start(&rig, &faults).await;
    until_well(&rig, &daemon).await;
    let ctx = daemon.components();
    let (index, source) = (&ctx.index, ctx.sources[0].id);
    let key = RelKey::parse_full("large.bin").unwrap();
    for bucket in [BUCKET, "gone"] {
        index
            .multipart_begin(Multipart::of(source, &key, bucket, (bucket, "large.bin")))
            .unwrap();
    }
    index
        .multipart_intend(source, &key, ("gone", "large.bin"), WallMs(7))
        .unwrap();
    assert!(!ctx.orphaned_uploads().sweep().await);
    let left = index.multiparts().unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].bucket, BUCKET);
    faults.set(|_| Fate::Pass);
    assert!(ctx.orphaned_uploads().sweep().await);
    assert_eq!(index.multiparts().unwrap(), []);
    daemon.stop().await.unwrap();
}
