//! The index fails while an upload in parts is under way.

use super::*;
use crate::config::StoreConfig;
use crate::files::Pulse;
use crate::index::Index;
use crate::s3::{BytesAre, COPY_BYTES_MAX, CopyFrom, Store};
use crate::transfer::budget::Budget;
use crate::transfer::copy::{Copied, Original, copy};
use crate::transfer::large::send_large;
use crate::transfer::read::{Content, ReadMode, Reading, read};
use crate::transfer::send::{Sent, UploadHooks};
use crate::transfer::trust::Copying;
use crate::transfer::uploads::Uploads;
use crate::types::{Crc64, ObjectMeta, RelKey, RelPath};
use keepwatch_vault::Vault;
use std::path::Path;
use std::sync::Arc;

const BUCKET: &str = "office";
/// Sent in two parts.
const LARGE_BYTES: usize = 9 * 1024 * 1024;

/// From now on every call of the index fails.
fn take_away(index: &Index, folder: &Path) {
    std::fs::rename(folder, folder.with_file_name("away")).unwrap();
    std::fs::write(folder, "").unwrap();
    assert!(index.reopen().is_err());
}

async fn job(dir: &Path) -> Job {
    let (root, vault) = (dir.join("root"), dir.join("vault"));
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("large.bin"), vec![7; LARGE_BYTES]).unwrap();
    Vault::open(&vault).unwrap().ensure_bucket(BUCKET).unwrap();
    let (index, _) = Index::open(&dir.join("index")).unwrap();
    let path = RelPath::from_bytes("large.bin").unwrap();
    Job {
        store: Store::connect(&StoreConfig::Vault { path: vault })
            .await
            .unwrap(),
        source: index.source_id("docs", BUCKET, "", "vault").unwrap(),
        index,
        root,
        key: RelKey::of_file(&path),
        path,
        bucket: BUCKET.into(),
        bucket_key: "large.bin".into(),
        gzip_level: None,
        lane: crate::work::Lane::Backlog,
        budget: Budget::default(),
        wire: UploadHooks {
            works: Arc::new(|| ()),
            slowed: Arc::new(|| ()),
            at_once: Arc::new(|| 4),
        },
        pulse: Pulse::default(),
        uploads: Uploads::default(),
    }
}

fn content(job: &Job) -> Content {
    match read(&job.root, &job.path, ReadMode::Strict, &Pulse::default()) {
        Ok(Reading::Steady(content)) => *content,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_that_the_bucket_took_is_stored_whatever_the_index_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = job(dir.path()).await;
    let (index, folder) = (job.index.clone(), dir.path().join("index"));
    job.wire.works = Arc::new(move || take_away(&index, &folder));
    let content = content(&job);
    let meta = ObjectMeta::of(&content.fingerprint, Some(content.hash));
    let sent = send_large(&job, &content, meta, None).await;
    assert!(matches!(sent, Ok(Sent::Stored { .. })), "{sent:?}");
    assert!(job.store.head(job.at(), None).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upload_has_brought_outlives_a_failing_index() {
    let dir = tempfile::tempdir().unwrap();
    let job = job(dir.path()).await;
    let headers = job.headers(ObjectMeta::of(&content(&job).fingerprint, None), false);
    let begin = || job.session(&headers, None, "");
    let (one, two, three) = (begin().await, begin().await, begin().await);
    take_away(&job.index, &dir.path().join("index"));
    assert_eq!(one.unwrap().conclude(Ok(7), true).await, Ok(7));
    assert_eq!(two.unwrap().conclude(Ok(7), false).await, Ok(7));
    let why = Fault::new(Class::Refused, "send", "x", "why");
    let told = three.unwrap().conclude::<()>(Err(why.clone()), false);
    assert_eq!(told.await, Err(why));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_in_parts_is_only_made_where_such_copies_are_believed_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    let job = job(dir.path()).await;
    let content = content(&job);
    let meta = || ObjectMeta::of(&content.fingerprint, Some(content.hash));
    let Sent::Stored(done) = send_large(&job, &content, meta(), None).await.unwrap() else {
        panic!("it rests");
    };
    let version_id = done.stored.version_id.as_ref();
    let head = job
        .store
        .head_with_sums(job.at(), version_id)
        .await
        .unwrap();
    let crc64 = head.unwrap().bytes_are.crc64;
    assert!(crc64.is_some());
    let original = |crc64| Original {
        from: CopyFrom {
            key: &job.bucket_key,
            version_id: done.stored.version_id.as_ref(),
            etag: &done.stored.etag,
        },
        stored_bytes: done.stored_bytes,
        gzip: false,
        bytes_are: BytesAre {
            crc64,
            ..BytesAre::default()
        },
    };
    let headers = job.headers(meta(), false);
    let part_bytes = 5 * 1024 * 1024;
    let right = original(crc64);
    let copied = job.copy_in_parts(&right, &headers, part_bytes);
    copied.await.unwrap();
    // Other bytes than the original's are no version.
    let wrong = original(Some(Crc64::of(b"other bytes")));
    let copied = job.copy_in_parts(&wrong, &headers, part_bytes);
    assert_eq!(copied.await.unwrap_err().class, Class::Damaged);
    let versions = job.store.list_versions(BUCKET, &job.bucket_key, None);
    assert_eq!(versions.await.unwrap().items.len(), 2);
    // What is too large for one request is not even asked for.
    job.distrust(Copying::Parts, "it lies").await;
    let huge = Original {
        stored_bytes: COPY_BYTES_MAX + 1,
        ..original(crc64)
    };
    let copied = copy(&job, &content, &huge, meta());
    assert_eq!(copied.await, Ok(Copied::Refused));
}
