//! Versions in cold storage: named, thawed, waited for.

use super::bench::{BUCKET, Bench, Meddling, Object, is_download, read_tree};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::StorageClass;
use keepwatch::restore::{Request, Restored, preflight};
use keepwatch::retry::Stop;
use keepwatch::types::{Cold, Speed, Thaw};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// The archive behind the vault: since when each cold key is being thawed.
#[derive(Clone, Default)]
struct Archive {
    asked: Arc<Mutex<HashMap<String, Instant>>>,
    /// Requests to thaw, repeated ones among them.
    requests: Arc<AtomicU32>,
    takes: Arc<Mutex<Duration>>,
}

impl Archive {
    fn behind(bench: &Bench) -> Self {
        let archive = Self::default();
        let own = archive.clone();
        bench.meddle(move |request| {
            let uri = request.uri();
            let Some(at) = uri.find("cold-") else {
                return Meddling::Pass;
            };
            let key = uri[at..].split('?').next().unwrap().to_owned();
            let mut asked = own.asked.lock().unwrap();
            let takes = *own.takes.lock().unwrap();
            let is_ready = asked
                .get(&key)
                .is_some_and(|since| since.elapsed() >= takes);
            if request.method() == "POST" && uri.contains("restore") {
                own.requests.fetch_add(1, Ordering::Relaxed);
                if is_ready {
                    return Meddling::Answer(200, "");
                }
                return match asked.contains_key(&key) {
                    true => Meddling::Answer(409, "RestoreAlreadyInProgress"),
                    false => {
                        asked.insert(key, Instant::now());
                        Meddling::Answer(202, "")
                    }
                };
            }
            match is_download(request) && !is_ready {
                true => Meddling::Answer(403, "InvalidObjectState"),
                false => Meddling::Pass,
            }
        });
        archive
    }

    fn takes(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }
}

async fn put(bench: &Bench, key: &str, object: &Object, class: StorageClass) {
    bench
        .client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .set_metadata(Some(object.meta.to_headers().into_iter().collect()))
        .storage_class(class)
        .body(ByteStream::from(object.body.clone()))
        .send()
        .await
        .unwrap();
}

/// A warm file, a cold one, a cold large one, a cold link, and one in the
/// archive of Intelligent-Tiering, whose class does not say so.
async fn office() -> Bench {
    let bench = Bench::new();
    bench.put("warm", &Object::file(b"warm")).await;
    let large = vec![7; 20 << 20];
    for (key, object, class) in [
        ("cold-a", Object::file(b"cold"), StorageClass::Glacier),
        (
            "cold-large",
            Object::file(&large),
            StorageClass::DeepArchive,
        ),
        ("cold-link", Object::link(b"warm"), StorageClass::Glacier),
        (
            "cold-tier",
            Object::file(b"tier"),
            StorageClass::IntelligentTiering,
        ),
    ] {
        put(&bench, key, &object, class).await;
    }
    bench
}

fn thaw(request: &mut Request, speed: Speed, wait: bool) {
    request.options.thaw = Some(Thaw { speed, days: 3 });
    request.options.wait = wait;
}

fn named(restored: &Restored) -> Vec<&str> {
    let items = restored.failed.items.iter();
    let mut names: Vec<&str> = items.map(|fault| fault.subject.as_str()).collect();
    names.sort_unstable();
    names
}

const ALL_COLD: [&str; 4] = ["cold-a", "cold-large", "cold-link", "cold-tier"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cold_is_told_before_and_left_without_the_word_to_thaw() {
    let bench = office().await;
    let archive = Archive::behind(&bench);
    archive.takes(Duration::from_secs(3600));
    let request = bench.request("out");
    let seen = preflight(&bench.store, &request, &|_| (), &Stop::never())
        .await
        .unwrap();
    let cold: Vec<_> = seen
        .cold
        .iter()
        .map(|c| (c.class, c.objects, c.bytes))
        .collect();
    assert_eq!(
        cold,
        [(Cold::Glacier, 2, 8), (Cold::DeepArchive, 1, 20 << 20)]
    );
    let restored = bench.restore("out").await.unwrap();
    assert_eq!(named(&restored), ALL_COLD);
    assert!(!restored.is_complete() && archive.requests() == 0);
    for fault in &restored.failed.items {
        assert!(fault.hint.contains("--thaw"), "{fault}");
    }
    assert_eq!(read_tree(&bench.folder("out")), ["warm"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_once_and_fetched_by_a_later_run() {
    let bench = office().await;
    let archive = Archive::behind(&bench);
    archive.takes(Duration::from_secs(3600));
    let run = async || {
        bench
            .restore_with("out", |request| thaw(request, Speed::Expedited, false))
            .await
            .unwrap()
    };
    let restored = run().await;
    assert_eq!((restored.files, named(&restored).len()), (1, 4));
    let hint = |name: &str| {
        let mut items = restored.failed.items.iter();
        items
            .find(|fault| fault.subject == name)
            .unwrap()
            .hint
            .clone()
    };
    assert!(
        hint("cold-a").contains("1 to 5 minutes"),
        "{}",
        hint("cold-a")
    );
    // The deep archive has no such speed.
    assert!(hint("cold-large").contains("up to 12 hours"));
    // Again too early: nothing is asked for a second time that is under way.
    assert_eq!(named(&run().await).len(), 4);
    assert_eq!(archive.asked.lock().unwrap().len(), 4);

    archive.takes(Duration::ZERO);
    let restored = run().await;
    assert!(restored.is_complete(), "{:?}", restored.failed);
    assert_eq!((restored.files, restored.links), (3, 1));
    let out = bench.folder("out");
    assert_eq!(
        std::fs::read(out.join("cold-large")).unwrap().len(),
        20 << 20
    );
    assert_eq!(std::fs::read(out.join("cold-link")).unwrap(), b"warm");
}

#[tokio::test(start_paused = true)]
async fn waited_for_until_it_is_there() {
    let bench = office().await;
    let archive = Archive::behind(&bench);
    archive.takes(Duration::from_secs(4 * 3600));
    let began = Instant::now();
    let restored = bench
        .restore_with("out", |request| thaw(request, Speed::Standard, true))
        .await
        .unwrap();
    assert!(restored.is_complete(), "{:?}", restored.failed);
    assert_eq!((restored.files, restored.links), (4, 1));
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(4 * 3600) && took < Duration::from_secs(5 * 3600),
        "{took:?}"
    );
    // Every five minutes, four objects.
    assert!(archive.requests() < 4 * 60, "{}", archive.requests());
}

#[tokio::test(start_paused = true)]
async fn what_never_thaws_is_not_waited_for_for_ever() {
    let bench = office().await;
    let archive = Archive::behind(&bench);
    archive.takes(Duration::MAX);
    let began = Instant::now();
    let restored = bench
        .restore_with("out", |request| thaw(request, Speed::Bulk, true))
        .await
        .unwrap();
    assert_eq!(named(&restored), ALL_COLD);
    assert!(began.elapsed() < Duration::from_secs(61 * 3600));
}

/// The deep archive of Intelligent-Tiering, which the class does not name: what S3 does
/// not thaw quickly is thawed at the normal speed.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_thawed_quickly_is_thawed_at_the_normal_speed() {
    let bench = Bench::new();
    let tier = StorageClass::IntelligentTiering;
    put(&bench, "cold-deep", &Object::file(b"deep"), tier).await;
    let asked = Arc::<Mutex<Vec<bool>>>::default();
    let seen = Arc::clone(&asked);
    bench.meddle(move |request| match request.method() {
        "POST" => {
            let body = request.body().bytes().unwrap_or_default();
            let body = String::from_utf8_lossy(body).into_owned();
            let is_quick = body.contains("Expedited");
            seen.lock().unwrap().push(is_quick);
            match is_quick {
                true => Meddling::Answer(400, "InvalidArgument"),
                false => Meddling::Answer(202, ""),
            }
        }
        _ if is_download(request) => Meddling::Answer(403, "InvalidObjectState"),
        _ => Meddling::Pass,
    });
    let restored = bench
        .restore_with("out", |request| thaw(request, Speed::Expedited, false))
        .await
        .unwrap();
    assert_eq!(named(&restored), ["cold-deep"]);
    let hint = &restored.failed.items[0].hint;
    assert!(hint.contains("run the same command again"), "{hint}");
    assert_eq!(*asked.lock().unwrap(), [true, false]);
}

/// It has been moved back meanwhile: that is no refusal.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_an_active_tier_already_is_not_refused() {
    let bench = Bench::new();
    let tier = StorageClass::IntelligentTiering;
    put(&bench, "cold-back", &Object::file(b"back"), tier).await;
    let back = Arc::<AtomicU32>::default();
    let seen = Arc::clone(&back);
    bench.meddle(move |request| match request.method() {
        "POST" => {
            seen.store(1, Ordering::SeqCst);
            Meddling::Answer(403, "ObjectAlreadyInActiveTierError")
        }
        _ if is_download(request) && seen.load(Ordering::SeqCst) == 0 => {
            Meddling::Answer(403, "InvalidObjectState")
        }
        _ => Meddling::Pass,
    });
    let run = async || {
        bench
            .restore_with("out", |request| thaw(request, Speed::Standard, false))
            .await
            .unwrap()
    };
    let restored = run().await;
    let hint = &restored.failed.items[0].hint;
    assert!(hint.contains("run the same command again"), "{hint}");
    assert!(run().await.is_complete());
    assert_eq!(back.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_thaw_is_told_which_permission_it_lacks() {
    let bench = office().await;
    bench.meddle(|request| {
        let is_cold = request.uri().contains("cold-");
        match (is_cold, request.method()) {
            (true, "POST") => Meddling::Answer(403, "AccessDenied"),
            (true, _) if is_download(request) => Meddling::Answer(403, "InvalidObjectState"),
            _ => Meddling::Pass,
        }
    });
    let restored = bench
        .restore_with("out", |request| thaw(request, Speed::Standard, false))
        .await
        .unwrap();
    let fault = &restored.failed.items[0];
    assert!(fault.hint.contains("s3:RestoreObject"), "{fault}");
}
