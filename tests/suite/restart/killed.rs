//! Ends that nobody asked for, and ends in the middle of uploads.

use super::until_equal_outside;
use crate::harness::{BUCKET, Fate, Faults, Rig, Running, in_bucket, on_disk, until, write_config};
use crate::raw::{client, counts};
use keepwatch::index::{Index, Multipart};
use keepwatch::s3::{At, ObjectHeaders, OpenUpload};
use keepwatch::types::{Kind, RelKey, RelPath};
use std::fs;
use std::time::{Duration, Instant};

/// Larger than what is sent with one PUT, by several parts.
const LARGE_BYTES: usize = 60 * 1024 * 1024;

/// Not compressible and not all the same, so that parts differ.
fn large() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut bytes = vec![0; LARGE_BYTES];
    random.fill(&mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_upload_killed_again_and_again_sends_nothing_twice() {
    const FILES: usize = 400;
    let rig = Rig::new();
    for number in 0..FILES {
        let content = format!("content {number};").repeat(number);
        rig.write(&format!("d{}/{number}.csv", number % 11), content);
    }
    // One worker, so that there is a middle to be killed in.
    let config = write_config(&rig, "workers = 1\n");
    let mut arrived = 0;
    for round in 0..3 {
        let daemon = Running::start(&config, &[]).await;
        let store = rig.store();
        until("some more files are in the bucket", async || {
            let now = counts(&store, BUCKET).await.len();
            let is_more = now >= (arrived + 40).min(FILES);
            if is_more {
                arrived = now;
            }
            is_more
        })
        .await;
        daemon.kill();
        // Later ones may come too late on a busy machine.
        assert!(round > 0 || arrived < FILES, "not killed in the middle");
    }
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    until_equal_outside(&rig).await;
    let counts = counts(&rig.store(), BUCKET).await;
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{} of {FILES}: {twice:?}", twice.len());
    assert_eq!(daemon.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_during_uploads_it_ends_in_time_and_leaves_no_parts() {
    let rig = Rig::new();
    rig.write("first.txt", "first");
    let config = write_config(&rig, "shutdown_timeout = \"20s\"\n");
    let daemon = Running::start(&config, &[]).await;
    let store = rig.store();
    rig.write("large.bin", large());
    until("parts are under way", async || {
        !store.open_uploads(BUCKET, "").await.unwrap().is_empty()
    })
    .await;
    let asked = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(20 + 5), "{asked:?}");
    assert_eq!(store.open_uploads(BUCKET, "").await.unwrap(), []);
    let daemon = Running::start(&config, &[]).await;
    until_equal_outside(&rig).await;
    assert_eq!(counts(&store, BUCKET).await["large.bin"], 1);
    assert_eq!(daemon.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_abandoned_at_the_stop_is_cleared_away_and_sent_at_the_next_start() {
    let rig = Rig::new();
    rig.write("large.bin", large());
    let faults = Faults::new(|seen| match seen.uri.contains("x-id=UploadPart") {
        true => Fate::Late(Duration::from_secs(600)),
        false => Fate::Pass,
    });
    let mut config = rig.config();
    config.limits.shutdown_timeout_ms = 500;
    let slow = Some(rig.faulty_store(&faults));
    let daemon = rig.start_with(config, slow).await;
    let store = rig.store();
    until("parts are under way", async || {
        !store.open_uploads(BUCKET, "").await.unwrap().is_empty()
    })
    .await;
    let asked = Instant::now();
    daemon.stop().await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(5), "{asked:?}");
    assert!(in_bucket(&store).await.is_empty(), "nothing half done");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    until("no parts are left", async || {
        store.open_uploads(BUCKET, "").await.unwrap().is_empty()
    })
    .await;
    assert_eq!(counts(&store, BUCKET).await["large.bin"], 1);
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_killed_run_are_cleared_away_and_other_peoples_are_not() {
    let rig = Rig::new();
    rig.write("a.txt", "a");
    let (config, store) = (rig.config(), rig.store());
    let sdk = client(&rig.vault());
    let foreign = sdk
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("theirs.bin")
        .send()
        .await
        .unwrap();
    let fingerprint = {
        rig.write("large.bin", "x");
        let path = RelPath::from_bytes("large.bin").unwrap();
        keepwatch::files::stat(&rig.root(), &path).unwrap().unwrap()
    };
    assert_eq!(fingerprint.kind, Kind::File);
    let at = At {
        bucket: BUCKET,
        key: "large.bin",
    };
    let headers = ObjectHeaders {
        meta: keepwatch::types::ObjectMeta::of(&fingerprint, None),
        gzip: false,
        content_type: None,
    };
    let ours = store.begin_multipart(at, &headers).await.unwrap().id;
    {
        fs::create_dir_all(rig.state_dir()).unwrap();
        let (index, _) = Index::open(&rig.state_dir().join("index")).unwrap();
        let source = &config.sources[0];
        let destination = format!("vault:{}", rig.vault_dir().display());
        let id = index
            .source_id(&source.name, &source.bucket, &source.prefix, &destination)
            .unwrap();
        let key = RelKey::of_file(&RelPath::from_bytes("large.bin").unwrap());
        index
            .multipart_begin(Multipart::of(id, &key, &ours, (BUCKET, "large.bin")))
            .unwrap();
    }
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    let theirs = OpenUpload {
        key: "theirs.bin".into(),
        upload_id: foreign.upload_id().unwrap().into(),
    };
    until("only theirs is left", async || {
        store.open_uploads(BUCKET, "").await.unwrap() == [theirs.clone()]
    })
    .await;
    let ctx = daemon.components();
    until("it is forgotten", async || {
        ctx.index.multiparts().unwrap().is_empty()
    })
    .await;
    assert_eq!(in_bucket(&store).await, on_disk(&rig.root()));
    daemon.stop().await.unwrap();
}
