//! A lost index is rebuilt from a manifest: nothing is uploaded, and hardly
//! anything is asked.

use super::clocks::{body_of, put, rewritten};
use super::{chmod, compare, compared, listed, newest, office};
use crate::harness::{BUCKET, Rig, at_rest, history, on_disk};
use crate::raw::{Requests, client, counts};
use aws_sdk_s3::types::MetadataDirective;
use keepwatch::daemon::Daemon;
use keepwatch::destination::COMPARED;
use keepwatch::index::Index;
use keepwatch::manifest::format;
use keepwatch::retry::Stop;
use keepwatch::types::{RelKey, WallMs};
use keepwatch::verify::{Ask, Deep, Finding, repair};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

const FILES: usize = 300;

/// An old office of many files, so that nothing is as fresh as the clock's grain.
fn many(rig: &Rig) {
    office(rig);
    let then = SystemTime::now() - Duration::from_secs(3_600);
    for number in 0..FILES {
        let name = format!("many/{}/{number}.txt", number % 7);
        rig.write(&name, format!("file {number}"));
        let file = fs::File::options()
            .write(true)
            .open(rig.path(&name))
            .unwrap();
        file.set_modified(then).unwrap();
    }
}

async fn backed_up(rig: &Rig) {
    compared(rig).await;
    assert_eq!(listed(&rig.store()).await.len(), 1);
    rig.lose_state();
}

/// The objects' HEADs and puts that went by, those of manifests left out.
fn asked(requests: &Requests) -> (usize, Vec<String>) {
    let changes = requests.changes();
    let of_files = |line: &String| {
        let is_own = line.contains("/.keepwatch/");
        let is_reading = [
            "ListObjectVersions",
            "GetBucketVersioning",
            "ListMultipartUploads",
        ];
        !is_own && !is_reading.iter().any(|name| line.starts_with(name))
    };
    let changes = changes.into_iter().filter(of_files).collect();
    (requests.heads_of_files(), changes)
}

async fn start(rig: &Rig) -> (Daemon, Requests) {
    let (requests, store) = Requests::listen(rig);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    (daemon, requests)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_uploaded_and_hardly_anything_is_asked() {
    let rig = Rig::new();
    many(&rig);
    backed_up(&rig).await;
    let before = counts(&rig.store(), crate::harness::BUCKET).await;
    let (daemon, requests) = start(&rig).await;
    assert!(compare(&daemon).await.complete());
    rig.until_equal(&daemon).await;
    let (heads, changes) = asked(&requests);
    println!("HEAD requests for {} objects: {heads}", before.len());
    assert_eq!(changes, Vec::<String>::new());
    assert!(heads <= 3, "{heads} of {FILES}");
    let ctx = daemon.components().clone();
    let counted = ctx.index.counts(ctx.sources[0].id);
    assert_eq!(
        (counted.files, counted.links, counted.unverified),
        (306, 1, 0)
    );
    // The next comparison hashes them from the disk and still asks nothing.
    requests.clear();
    assert!(compare(&daemon).await.complete());
    let (heads, changes) = asked(&requests);
    assert_eq!((heads, changes), (0, Vec::new()));
    let record = ctx
        .index
        .get(ctx.sources[0].id, &RelKey::parse("many/3/3.txt").unwrap());
    let record = record.unwrap().unwrap();
    assert!(!record.racy && record.fingerprint.inode != 0, "{record:?}");
    daemon.stop().await.unwrap();
    assert_eq!(counts(&rig.store(), crate::harness::BUCKET).await, before);
}

/// Named after the bug: after a recovery on a new computer, whose accounts have other
/// numbers, `verify` told every file as damaged.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_new_computer_with_other_accounts_everything_is_whole() {
    let rig = Rig::new();
    many(&rig);
    backed_up(&rig).await;
    // As an older computer would have stored it: its name and its accounts.
    let client = client(&rig.vault());
    let here = newest(&rig.store()).await;
    let mut stored = BTreeMap::new();
    for path in here.keys().filter(|path| path.starts_with("many/")) {
        if !here[path].has_object() {
            continue;
        }
        let copied = client.copy_object().bucket(BUCKET).key(path);
        let head = client.head_object().bucket(BUCKET).key(path).send().await;
        let head = head.unwrap();
        let mut fields = head.metadata.clone().unwrap();
        fields.insert("kw-owner".into(), "4711:4712".into());
        let copied = copied
            .copy_source(format!("{BUCKET}/{path}"))
            .metadata_directive(MetadataDirective::Replace)
            .set_metadata(Some(fields))
            .set_content_encoding(head.content_encoding.clone())
            .send()
            .await
            .unwrap();
        let etag = copied.copy_object_result().and_then(|r| r.e_tag());
        let etag = keepwatch::types::ETag::of_header(etag);
        let version_id = copied
            .version_id()
            .and_then(keepwatch::types::VersionId::new);
        stored.insert(path.clone(), (version_id, etag));
    }
    let copied_ms = jiff::Timestamp::now().as_millisecond();
    let listing = listed(&rig.store()).await.remove(0);
    let theirs = rewritten(
        &body_of(&rig, &listing.key).await,
        |header| {
            header.host = "the-old-computer".into();
            header.moment_ms += 60_000;
        },
        |line| {
            if let Some((version_id, etag)) = stored.remove(&line.path) {
                line.owner = Some("4711:4712".into());
                (line.version_id, line.etag) = (version_id, etag);
                line.stored_at_ms = WallMs(copied_ms);
            }
        },
    );
    let moment_ms = listing.moment_ms + 60_000;
    put(&rig, &format::key("", moment_ms), theirs).await;
    let before = counts(&rig.store(), BUCKET).await;
    let (daemon, requests) = start(&rig).await;
    assert!(compare(&daemon).await.complete());
    rig.until_equal(&daemon).await;
    let (heads, changes) = asked(&requests);
    assert!(heads < 20 && changes.is_empty(), "{heads} {changes:?}");
    // And the scan that hashes them.
    assert!(compare(&daemon).await.complete());
    crate::harness::until("the daemon rests", async || at_rest(&daemon)).await;
    let ask = Ask {
        deep: Deep::All,
        ..Ask::default()
    };
    let ctx = daemon.components();
    let verified = repair::run(&ctx.repairer(), &ask, |_| (), &Stop::never()).await;
    let verified = verified.unwrap().remove(0);
    let of_files = |finding: &&Finding| finding.key.is_some();
    let wrong: Vec<_> = verified.findings.iter().filter(of_files).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(verified.progress.hashed >= FILES as u64, "{verified:?}");
    daemon.stop().await.unwrap();
    let mut after = counts(&rig.store(), BUCKET).await;
    after.retain(|key, _| before.contains_key(key));
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_manifest_each_file_is_asked_for_once_as_before() {
    let rig = Rig::new();
    many(&rig);
    backed_up(&rig).await;
    let key = listed(&rig.store()).await.remove(0).key;
    let at = keepwatch::s3::At {
        bucket: crate::harness::BUCKET,
        key: &key,
    };
    rig.store().mark_deleted(at).await.unwrap();
    let (daemon, requests) = start(&rig).await;
    assert!(compare(&daemon).await.complete());
    rig.until_equal(&daemon).await;
    let (heads, changes) = asked(&requests);
    println!("HEAD requests without a manifest: {heads}");
    assert!(heads >= FILES && changes.is_empty(), "{heads} {changes:?}");
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_the_manifest_is_seen() {
    let rig = Rig::new();
    many(&rig);
    // Stored after the manifest, by a daemon whose index is lost as well.
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    rig.write("many/1/1.txt", "stored after the manifest");
    let touched = fs::File::options()
        .write(true)
        .open(rig.path("many/2/2.txt"))
        .unwrap();
    touched
        .set_modified(SystemTime::now() - Duration::from_secs(60))
        .unwrap();
    fs::remove_file(rig.path("many/3/3.txt")).unwrap();
    rig.until_equal(&daemon).await;
    crate::harness::until("the touch is a version", async || {
        history(&rig.store(), "many/2/2.txt").await.len() == 2
    })
    .await;
    daemon.stop().await.unwrap();
    rig.lose_state();
    // Changed while nothing ran.
    rig.write("many/4/4.txt", "changed while nothing ran");
    chmod(&rig.path("many/5/5.txt"), 0o600);
    fs::remove_file(rig.path("many/6/6.txt")).unwrap();
    // The same size and time, and other content: only hashing finds it.
    let sly = rig.path("many/0/7.txt");
    let time = fs::metadata(&sly).unwrap().modified().unwrap();
    fs::write(&sly, "FILE 7").unwrap();
    let file = fs::File::options().write(true).open(&sly).unwrap();
    file.set_modified(time).unwrap();
    let before = counts(&rig.store(), crate::harness::BUCKET).await;

    let (daemon, requests) = start(&rig).await;
    assert!(compare(&daemon).await.complete());
    assert!(compare(&daemon).await.complete());
    rig.until_equal(&daemon).await;
    let (heads, _) = asked(&requests);
    assert!(heads < 20, "{heads}");
    let store = rig.store();
    assert_eq!(
        history(&store, "many/0/7.txt").await[0].as_deref(),
        Some(&b"FILE 7"[..])
    );
    assert_eq!(history(&store, "many/6/6.txt").await[0], None);
    let after = counts(&store, crate::harness::BUCKET).await;
    let more: Vec<&String> = after
        .keys()
        .filter(|key| after[*key] != before[*key])
        .collect();
    assert_eq!(more, ["many/0/7.txt", "many/4/4.txt", "many/5/5.txt"]);
    assert!(on_disk(&rig.root()).contains_key("many/4/4.txt"));
    daemon.stop().await.unwrap();
}

/// A damaged version has its old ETag and size: a manifest written before says that
/// all is well with it, and the repair was forgotten when it was cut off.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_repair_distrusts_is_sent_again_whatever_the_manifest_says() {
    let rig = Rig::new();
    many(&rig);
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    let id = daemon.components().sources[0].id;
    daemon.stop().await.unwrap();
    {
        let (index, _) = Index::open(&rig.state_dir().join("index")).unwrap();
        let all: Vec<_> = index.range(id, "many/", None).map(Result::unwrap).collect();
        for (key, record) in all {
            if !key.is_folder() {
                index.update(id, &key, record.distrusted()).unwrap();
            }
        }
        // As after a kill.
        index.source_state_set(id, COMPARED, &false.into()).unwrap();
    }
    let daemon = rig.start().await;
    assert!(compare(&daemon).await.complete());
    crate::harness::until("the daemon rests", async || at_rest(&daemon)).await;
    let counts = counts(&rig.store(), crate::harness::BUCKET).await;
    let names = (0..FILES).map(|n| format!("many/{}/{n}.txt", n % 7));
    let believed: Vec<String> = names.filter(|name| counts[name] != 2).collect();
    assert_eq!(believed, Vec::<String>::new(), "not sent again");
    daemon.stop().await.unwrap();
}
