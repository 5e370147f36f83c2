//! Clocks that are wrong, or differ.

use super::{compare, compared, listed, nearest, newest, office, origin, restored};
use crate::harness::{BUCKET, Rig, history};
use crate::raw::client;
use aws_sdk_s3::primitives::ByteStream;
use keepwatch::control;
use keepwatch::daemon::{Options, verify_once};
use keepwatch::history::{moments, sources};
use keepwatch::index::Index;
use keepwatch::manifest::format::key;
use keepwatch::manifest::{Header, ManifestEntry, Reading, Row, Writing, Written};
use keepwatch::retry::Stop;
use keepwatch::s3::At;
use keepwatch::verify::{Ask, Damage};
use std::fs;
use std::io::{Read as _, Write as _};

const MINUTE_MS: i64 = 60_000;

/// The same manifest, otherwise, and whole again.
pub fn rewritten(
    packed: &[u8],
    mut header: impl FnMut(&mut Header),
    mut line: impl FnMut(&mut ManifestEntry),
) -> Vec<u8> {
    let mut text = Vec::new();
    let mut unpack = flate2::read::MultiGzDecoder::new(packed);
    unpack.read_to_end(&mut text).unwrap();
    let (mut reading, mut writing) = (Reading::default(), Writing::default());
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut end = None;
    for bytes in lines {
        let bytes = match reading.row(bytes).unwrap() {
            Row::Header(mut first) => {
                header(&mut first);
                writing.header(&first).unwrap()
            }
            Row::Entry(mut one) => {
                line(&mut one);
                writing.line(&one).unwrap()
            }
            Row::End(last) => {
                end = Some(last);
                continue;
            }
        };
        out.write_all(&bytes).unwrap();
    }
    let end = end.unwrap();
    let (bytes, _) = writing.trailer(end.ended_ms, end.quiet).unwrap();
    out.write_all(&bytes).unwrap();
    out.finish().unwrap()
}

pub async fn body_of(rig: &Rig, key: &str) -> Vec<u8> {
    let get = client(&rig.vault()).get_object().bucket(BUCKET).key(key);
    let body = get.send().await.unwrap().body.collect().await.unwrap();
    body.to_vec()
}

pub async fn put(rig: &Rig, key: &str, body: Vec<u8>) {
    let put = client(&rig.vault()).put_object().bucket(BUCKET).key(key);
    put.body(ByteStream::from(body)).send().await.unwrap();
}

/// What `verify` finds, by path.
async fn findings(rig: &Rig) -> Vec<(Damage, String)> {
    let (to, mut lines) = tokio::sync::mpsc::channel(16);
    let reading = tokio::spawn(async move { while lines.recv().await.is_some() {} });
    let told = verify_once(rig.config(), Options::default(), Ask::default(), to).await;
    reading.await.unwrap();
    let control::Line::Verified { mut sources } = told.unwrap() else {
        panic!("it was not verified");
    };
    let findings = sources.remove(0).findings.into_iter();
    findings.map(|one| (one.damage, one.path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_moment_to_come_is_used_for_nothing_and_said() {
    let rig = Rig::new();
    office(&rig);
    compared(&rig).await;
    let store = rig.store();
    let real = listed(&store).await.remove(0);
    // Whole in itself, of ten years from now; and one whose clock was a little ahead.
    let whole = body_of(&rig, &real.key).await;
    let ahead_ms = real.moment_ms + 3_653 * 24 * 60 * MINUTE_MS;
    let little_ms = real.moment_ms + 10 * MINUTE_MS;
    for moment_ms in [ahead_ms, little_ms] {
        let other = rewritten(&whole, |header| header.moment_ms = moment_ms, |_| {});
        put(&rig, &key("", moment_ms), other).await;
    }
    let found = nearest(&store).await;
    assert_eq!(found.manifest.unwrap().header.moment_ms, little_ms);
    assert_eq!(found.damaged.len(), 1);
    assert!(found.damaged[0].cause.contains("the clock of the computer"));
    let done = restored(&rig, &store, None, "out").await;
    assert!(done.is_complete() && done.remarks.total == 1, "{done:?}");
    let mut stop = Stop::never();
    let zone = jiff::tz::TimeZone::UTC;
    let all = moments(&store, &origin(), &zone, &mut stop).await.unwrap();
    let ahead: Vec<i64> = all.ahead.iter().map(|one| one.moment_ms).collect();
    assert_eq!((all.manifests.len(), ahead), (2, vec![ahead_ms]));
    let search = sources::find(&store, BUCKET, "", 0, &mut stop)
        .await
        .unwrap();
    let newest = search.found[0].newest.as_ref().unwrap();
    assert_eq!(newest.moment_ms, little_ms);
    // Said by verify, too, beside that this computer did not write the other one.
    let (ahead, little) = (key("", ahead_ms), key("", little_ms));
    assert_eq!(
        findings(&rig).await,
        [(Damage::Overwritten, little), (Damage::Metadata, ahead)]
    );
}

/// Named after the bug: each manifest that tells of a later moment was told as
/// somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_written_with_the_clock_put_back_accuses_no_others() {
    let rig = Rig::new();
    office(&rig);
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    let id = daemon.components().sources[0].id;
    daemon.stop().await.unwrap();
    let real = listed(&rig.store()).await.remove(0);
    let whole = body_of(&rig, &real.key).await;
    // The computer began with the clock of 2000, and wrote one.
    let year_2000_ms = 946_684_800_000;
    let of_then = rewritten(&whole, |header| header.moment_ms = year_2000_ms, |_| {});
    let client = client(&rig.vault());
    let head = client.head_object().bucket(BUCKET).key(&real.key);
    let fields = head.send().await.unwrap().metadata.unwrap();
    let past = key("", year_2000_ms);
    let sum = keepwatch::types::ContentHash::of(&of_then);
    let (size, sum) = (of_then.len().to_string(), sum.to_hex());
    let fields = fields.into_iter().map(|(name, value)| match name.as_str() {
        "kw-size" => (name, size.clone()),
        "kw-sha256" => (name, sum.clone()),
        _ => (name, value),
    });
    let put = client.put_object().bucket(BUCKET).key(&past);
    let put = put.set_metadata(Some(fields.collect()));
    let put = put.body(ByteStream::from(of_then)).send().await.unwrap();
    let written = Written {
        key: past,
        etag: keepwatch::types::ETag::of_header(put.e_tag()),
        ahead: Vec::new(),
        says: None,
    };
    {
        let (index, _) = Index::open(&rig.state_dir().join("index")).unwrap();
        let value = written.to_value();
        index.source_state_set(id, Written::NAME, &value).unwrap();
    }
    let findings = findings(&rig).await;
    assert_eq!(findings, []);
    // One that somebody puts now is told.
    let later_ms = real.moment_ms + MINUTE_MS;
    let other = rewritten(&whole, |header| header.moment_ms = later_ms, |_| {});
    self::put(&rig, &key("", later_ms), other).await;
    let told = self::findings(&rig).await;
    assert_eq!(told, [(Damage::Overwritten, key("", later_ms))]);
}

/// The computer's clock was ahead of the server's: what replaced a version seems to
/// be older than it. Neither says when it was read then.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_expired_by_rule_is_not_missing_by_a_clock_that_is_ahead() {
    let rig = Rig::new();
    rig.write("a.txt", "one");
    rig.write("gone.txt", "gone");
    compared(&rig).await;
    let store = rig.store();
    let real = listed(&store).await.remove(0);
    let whole = body_of(&rig, &real.key).await;
    let skewed = rewritten(
        &whole,
        |_| {},
        |line| {
            if line.has_object() {
                line.stored_at_ms += 10 * MINUTE_MS;
            }
        },
    );
    put(&rig, &real.key, skewed).await;
    let before = newest(&store).await;
    let at = At {
        bucket: BUCKET,
        key: "a.txt",
    };
    let mut meta = store.head(at, None).await.unwrap().unwrap().meta.unwrap();
    meta.seen_ms = None;
    meta.content = Some(keepwatch::types::ContentHash::of(b"two"));
    let sdk = client(&rig.vault());
    let put = sdk.put_object().bucket(BUCKET).key("a.txt");
    let put = put.set_metadata(Some(meta.to_headers().into_iter().collect()));
    put.body(ByteStream::from_static(b"two"))
        .send()
        .await
        .unwrap();
    for name in ["a.txt", "gone.txt"] {
        let delete = sdk.delete_object().bucket(BUCKET).key(name);
        let delete = delete.version_id(keepwatch::types::id_text(&before[name].version_id));
        delete.send().await.unwrap();
    }
    assert_eq!(history(&store, "a.txt").await, [Some(b"two".to_vec())]);
    let done = restored(&rig, &store, None, "out").await;
    let named: Vec<&str> = done
        .failed
        .items
        .iter()
        .map(|f| f.subject.as_str())
        .collect();
    assert_eq!(named, ["gone.txt"]);
    assert_eq!(fs::read(rig.dir.path().join("out/a.txt")).unwrap(), b"two");
}

/// Another program writes a file's object anew without its metadata, and the bucket's
/// rule removes ours beneath: only the manifest knows that there was a file.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_stored_later_replaces_no_version_of_ours() {
    let rig = Rig::new();
    // Covered long after it was stored, about then, over a younger one of ours,
    // over an older one of ours; and replaced by ours, as files are.
    let names = ["late.txt", "soon.txt", "newer.txt", "older.txt", "ours.txt"];
    rig.write("older.txt", "older");
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    for name in names {
        rig.write(name, format!("one of {name}"));
    }
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    daemon.stop().await.unwrap();
    let store = rig.store();
    let real = listed(&store).await.remove(0);
    let whole = body_of(&rig, &real.key).await;
    let long_before = rewritten(
        &whole,
        |_| {},
        |line| {
            let is_long = !["soon.txt", "older.txt"].contains(&line.path.as_str());
            if line.has_object() && is_long {
                line.stored_at_ms -= 60 * MINUTE_MS;
            }
        },
    );
    put(&rig, &real.key, long_before).await;
    let before = newest(&store).await;
    let sdk = client(&rig.vault());
    for name in ["newer.txt", "ours.txt"] {
        let at = At {
            bucket: BUCKET,
            key: name,
        };
        let mut meta = store.head(at, None).await.unwrap().unwrap().meta.unwrap();
        meta.content = Some(keepwatch::types::ContentHash::of(b"two"));
        meta.size_bytes = 3;
        let put = sdk.put_object().bucket(BUCKET).key(name);
        let put = put.set_metadata(Some(meta.to_headers().into_iter().collect()));
        let put = put.body(ByteStream::from_static(b"two"));
        put.send().await.unwrap();
    }
    let gone = |name: &'static str| {
        let delete = sdk.delete_object().bucket(BUCKET).key(name);
        delete
            .version_id(keepwatch::types::id_text(&before[name].version_id))
            .send()
    };
    gone("ours.txt").await.unwrap();
    // Nobody else has written anything yet: nothing is missing.
    let done = restored(&rig, &store, None, "before").await;
    assert!(done.is_complete(), "{done:?}");
    for name in &names[..4] {
        put(&rig, name, b"foreign".to_vec()).await;
        gone(name).await.unwrap();
    }
    let done = restored(&rig, &store, None, "out").await;
    let mut named: Vec<&str> = done
        .failed
        .items
        .iter()
        .map(|f| f.subject.as_str())
        .collect();
    named.sort_unstable();
    assert_eq!(named, ["late.txt", "older.txt", "soon.txt"], "{done:?}");
    assert_eq!((done.skipped_foreign, done.covered.total), (2, 2));
    assert!(!done.is_all_there());
    let read = |name: &str| fs::read(rig.dir.path().join("out").join(name)).ok();
    for (name, want) in [
        ("late.txt", None),
        ("soon.txt", None),
        ("newer.txt", Some(b"two".to_vec())),
        ("older.txt", Some(b"older".to_vec())),
        ("ours.txt", Some(b"two".to_vec())),
    ] {
        assert_eq!(read(name), want, "{name}");
    }
}
