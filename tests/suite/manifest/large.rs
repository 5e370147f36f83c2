//! Manifests of many paths: sent in parts, read without being held; and a bucket of
//! many objects, verified.

use super::{compare, listed, nearest, origin};
use crate::harness::{Faults, Rig};
use crate::raw::Requests;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use keepwatch::daemon::Components;
use keepwatch::history::Selector;
use keepwatch::index::ActivityDelta;
use keepwatch::retry::Stop;
use keepwatch::s3::Store;
use keepwatch::status::ScanDone;
use keepwatch::types::{ContentHash, Fingerprint, Kind, Look, ObjectMeta, Record, RelKey, WallMs};
use keepwatch::verify::{Damage, Deep, VerifyRequest, repair, verify};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

fn record(number: usize) -> Record {
    let hash = ContentHash::of(&number.to_le_bytes());
    Record {
        fingerprint: Fingerprint {
            kind: Kind::File,
            size_bytes: number as u64,
            mtime_ns: 1_795_000_000_000_000_000 + number as i128 * 7_919,
            ctime_ns: 1,
            inode: 1,
            mode: 0o644,
            owner: Some((1000, 1000)),
        },
        content: Some(hash),
        version_id: keepwatch::types::VersionId::new(&hash.to_hex()[..32]),
        etag: hash.to_hex()[32..].into(),
        stored_bytes: number as u64,
        stored_at_ms: WallMs(1_795_000_000_000),
        racy: false,
        look: Look::Plain,
        attributes: None,
    }
}

fn name(number: usize) -> String {
    format!("folder {:04}/file {number:07}.pdf", number / 500)
}

fn fill(ctx: &Components, count: usize) {
    let all: Vec<(RelKey, Record)> = (0..count)
        .map(|number| (RelKey::parse(&name(number)).unwrap(), record(number)))
        .collect();
    ctx.index.import(ctx.sources[0].id, &all).unwrap();
}

/// What this process holds, kilobytes.
fn resident_kb() -> u64 {
    status_kb("VmRSS")
}

/// The most that it held since the last time that this was asked, kilobytes.
fn peak_kb() -> u64 {
    let peak_kb = status_kb("VmHWM");
    // The kernel's way to begin anew (proc(5), clear_refs); not all let one.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    peak_kb
}

fn status_kb(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
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
    let ctx = daemon.components().clone();
    let shared = ctx.clone();
    tokio::task::spawn_blocking(move || fill(&shared, count))
        .await
        .unwrap();
    peak_kb();
    let (before_kb, began) = (resident_kb(), Instant::now());
    ctx.manifests().write_all(&[Some(whole())]).await;
    let (written, written_kb) = (began.elapsed(), peak_kb());
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
        "{count} paths: written in {written:.1?} ({} bytes), read twice in {:.1?}; resident {} MB before, at most {} MB while writing, {} MB while reading",
        all.last().unwrap().stored_bytes,
        began.elapsed(),
        before_kb / 1024,
        written_kb / 1024,
        peak_kb() / 1024
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
    let ctx = daemon.components().clone();
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
    ctx.manifests().write_all(&[Some(whole())]).await;
    stop.store(true, Ordering::Relaxed);
    storing.join().unwrap();
    let manifest = nearest(&rig.store()).await.manifest.unwrap();
    assert_eq!(
        (manifest.trailer.files, manifest.trailer.quiet),
        (3_000, false)
    );
    ctx.manifests().write_all(&[Some(whole())]).await;
    assert!(nearest(&rig.store()).await.manifest.unwrap().trailer.quiet);
    drop(daemon);
}

/// `cargo test --release --test suite manifest::large -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: a million paths"]
async fn a_million_paths() {
    // The smallest that goes in parts: fewer are one PUT.
    written_and_read(140_000).await;
    written_and_read(1_000_000).await;
}

/// A server whose bucket has all that [`fill`] writes into an index.
#[derive(Debug, Clone, Copy)]
struct Full {
    count: usize,
}

const PAGE: usize = 1000;

impl Full {
    fn versions(self, uri: &str) -> String {
        use std::fmt::Write as _;
        let marker = uri.split("key-marker=").nth(1);
        let from = marker.map_or(0, |after| numbered(after) + 1);
        let to = self.count.min(from + PAGE);
        let mut xml = String::from("<ListVersionsResult><EncodingType>url</EncodingType>");
        for number in from..to {
            let one = record(number);
            write!(
                xml,
                "<Version><Key>{}</Key><VersionId>{}</VersionId><IsLatest>true</IsLatest>\
                 <LastModified>2026-11-18T00:00:00.000Z</LastModified><ETag>\"{}\"</ETag>\
                 <Size>{}</Size><StorageClass>STANDARD</StorageClass></Version>",
                name(number).replace(' ', "%20"),
                keepwatch::types::id_text(&one.version_id),
                one.etag,
                one.stored_bytes
            )
            .unwrap();
        }
        if to < self.count {
            let last = name(to - 1).replace(' ', "%20");
            write!(
                xml,
                "<IsTruncated>true</IsTruncated><NextKeyMarker>{last}</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
            )
            .unwrap();
        }
        xml + "</ListVersionsResult>"
    }
}

/// The number in what a URI has of a name.
fn numbered(text: &str) -> usize {
    let (_, after) = text.split_once("file").unwrap();
    let digits = after.strip_prefix("%20").or(after.strip_prefix('+'));
    digits.unwrap()[..7].parse().unwrap()
}

impl HttpConnector for Full {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri();
        let mut answer = HttpResponse::new(200.try_into().unwrap(), SdkBody::empty());
        if request.method() == "HEAD" {
            let one = record(numbered(uri));
            let meta = ObjectMeta::of(&one.fingerprint, one.content);
            let headers = answer.headers_mut();
            for (name, value) in meta.to_headers() {
                headers.insert(format!("x-amz-meta-{name}"), value);
            }
            headers.insert("content-length", one.stored_bytes.to_string());
            headers.insert("etag", format!("\"{}\"", one.etag));
            headers.insert(
                "x-amz-version-id",
                keepwatch::types::id_text(&one.version_id).to_owned(),
            );
        } else {
            let list = match uri.contains("list-type=2") {
                true => "<ListBucketResult></ListBucketResult>".to_owned(),
                false => self.versions(uri),
            };
            *answer.body_mut() = SdkBody::from(list);
        }
        HttpConnectorFuture::ready(Ok(answer))
    }
}

async fn verified(count: usize) {
    let rig = Rig::new();
    let daemon = rig.start().await;
    assert!(compare(&daemon).await.complete());
    let ctx = daemon.components().clone();
    let shared = ctx.clone();
    tokio::task::spawn_blocking(move || fill(&shared, count))
        .await
        .unwrap();
    let store = Store::vault(Faults::none().wrap(Full { count }), "a full bucket");
    let request = VerifyRequest {
        name: "office".into(),
        origin: origin(),
        selector: Selector::everything(),
        only: None,
        known: Some(repair::known(&ctx.repairer(), &ctx.sources[0])),
        deep: Deep::No,
        seed: 0,
        all_versions: false,
    };
    peak_kb();
    let (before_kb, began) = (resident_kb(), Instant::now());
    let found = verify(&store, request, |_| (), &Stop::never())
        .await
        .unwrap();
    println!(
        "{count} objects verified in {:.1?}: {} looked at; resident {} MB before, at most {} MB",
        began.elapsed(),
        found.progress.looked,
        before_kb / 1024,
        peak_kb() / 1024
    );
    assert_eq!(found.progress.looked, count as u64);
    // The newest manifest, which that bucket has not, is all that is missed.
    let named: Vec<_> = found.findings.iter().map(|one| one.damage).collect();
    assert_eq!(named, [Damage::Missing], "{:?}", found.findings);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_of_some_thousand_objects_is_verified_against_a_listing() {
    verified(2_500).await;
}

/// `cargo test --release --test suite manifest::large -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: 300,000 objects"]
async fn many_objects_verified() {
    verified(30_000).await;
    verified(300_000).await;
}
