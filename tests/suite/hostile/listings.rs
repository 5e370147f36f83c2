//! Servers whose lists repeat, never end, go back, or are no lists at all.

use super::{Lies, Line, answer, asked, line, objects_page, true_line, versions_page};
use crate::harness::{BUCKET as SOURCE, Rig, at_rest, claim, until};
use crate::restore::bench::{BUCKET, Bench, Object, read_tree};
use keepwatch::history::versions;
use keepwatch::restore::{Restored, restore};
use keepwatch::retry::Stop;
use keepwatch::s3::Listed;
use keepwatch::types::{Class, Fatal, Origin, RelPath, is_own};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A page of versions by its number, and the request's marker.
type Pages = dyn Fn(u64, &str) -> String + Send + Sync;

/// A server whose lists of versions are made by `page`.
fn listing(bench: &Bench, page: impl Fn(u64, &str) -> String + Send + Sync + 'static) -> Lies {
    let (page, number): (Arc<Pages>, _) = (Arc::new(page), AtomicU64::new(0));
    Lies::new(bench.wire.vault.clone(), move |request| {
        asked(request, "versions")?;
        let marker = asked(request, "key-marker").unwrap_or_default();
        let number = number.fetch_add(1, Ordering::Relaxed);
        Some(answer(200, page(number, &marker)))
    })
}

async fn restored(bench: &Bench, lies: &Lies, to: &str) -> Result<Restored, Fatal> {
    restore(&lies.store(), bench.request(to), |_| (), &Stop::never()).await
}

async fn bench_with_good() -> (Bench, Line) {
    let bench = Bench::new();
    bench.put("good", &Object::file(b"good")).await;
    let good = true_line(&bench, "good").await;
    (bench, good)
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_versions_that_never_end_are_given_up_and_say_so() {
    let (bench, good) = bench_with_good().await;
    let one = move |next: &str, version: &str| {
        versions_page(std::slice::from_ref(&good), Some((next, version)))
    };
    let again = one.clone();
    let circle = one.clone();
    let fresh = one.clone();
    type Case = (&'static str, &'static str, u32, Lies);
    let cases: Vec<Case> = vec![
        (
            "the same page and token",
            "again and again",
            4,
            listing(&bench, move |_, _| again("good", "v")),
        ),
        (
            "truncated, and no word where to go on",
            "again and again",
            4,
            listing(&bench, move |_, _| one("", "")),
        ),
        (
            "a circle of 50 tokens",
            "again and again",
            210,
            listing(&bench, move |n, _| circle("good", &(n % 50).to_string())),
        ),
        (
            "the same page under fresh tokens",
            "again and again",
            4,
            listing(&bench, move |n, _| fresh("good", &n.to_string())),
        ),
        (
            "empty pages",
            "empty pages",
            1_002,
            listing(&bench, |n, _| {
                versions_page(&[], Some(("x", &n.to_string())))
            }),
        ),
    ];
    for (number, (name, in_cause, pages_max, lies)) in cases.into_iter().enumerate() {
        let to = format!("out{number}");
        let fatal = restored(&bench, &lies, &to).await.unwrap_err();
        assert!(fatal.cause.contains(in_cause), "{name}: {fatal}");
        assert!(fatal.hint.contains("technician"), "{name}: {fatal}");
        assert!(lies.told() <= pages_max, "{name}: {} pages", lies.told());
        // What was under way when it ended came back whole or not at all.
        let tree = read_tree(&bench.folder(&to));
        assert!(tree.iter().all(|path| path == "good"), "{name}: {tree:?}");
        // One file's past is asked from the same server.
        let path = RelPath::from_bytes("good").unwrap();
        let origin = bench.origin();
        let before = lies.told();
        let asked = versions(&lies.store(), &origin, &path, None, &mut Stop::never()).await;
        let fatal = asked.unwrap_err();
        assert!(fatal.cause.contains(in_cause), "{name}: {fatal}");
        assert!(
            lies.told() - before <= pages_max,
            "{name}: {} pages",
            lies.told()
        );
    }
}

/// Named after the bug: whether a file by its older key still counts was asked
/// for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeating_list_of_an_older_keys_successor_is_given_up() {
    let bench = Bench::new();
    let old = Object::file(b"old");
    bench.put_raw(".keepwatch/x", &old, &[]).await;
    bench.put("good", &Object::file(b"good")).await;
    const NEW: &str = "%2Ekeepwatch/x";
    let lies = Lies::new(bench.wire.vault.clone(), |request| {
        asked(request, "versions")?;
        asked(request, "prefix").filter(|prefix| prefix == NEW)?;
        let later = Line {
            at_s: 4_000_000_000,
            ..line(NEW, "v")
        };
        Some(answer(200, versions_page(&[later], Some((NEW, "v")))))
    });
    let mut request = bench.request("out");
    request.at_ms = Some(bench.times("good").await[0]);
    let (store, stop) = (lies.store(), Stop::never());
    let run = restore(&store, request, |_| (), &stop);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), run).await;
    let result = ended.expect("it ends").unwrap();
    assert_eq!((result.files, result.failed.total), (1, 1), "{result:?}");
    let fault = result.failed.items[0].to_string();
    assert!(fault.contains("again and again"), "{fault}");
    assert!(lies.told() <= 4, "{} pages", lies.told());
    assert_eq!(read_tree(&bench.folder("out")), ["good"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_out_of_order_are_told_and_replace_nothing() {
    let bench = Bench::new();
    for (content, mtime_ns) in [(b"old", 1_000), (b"new", 2_000)] {
        let object = Object::file(content).mtime_ns(mtime_ns);
        bench.put("b", &object).await;
    }
    bench.put("a", &Object::file(b"a")).await;
    let page = bench.store.list_versions(BUCKET, "b", None).await.unwrap();
    let [new, old] = [0, 1].map(|n: usize| Line {
        bytes: 3,
        ..line("b", keepwatch::types::id_text(&page.items[n].version_id))
    });
    let a = true_line(&bench, "a").await;
    // The newest of b, then back to a, then b's older version as if it were the newest.
    let lies = listing(&bench, move |_, marker| match marker {
        "" => versions_page(std::slice::from_ref(&new), Some(("b1", "x"))),
        "b" => versions_page(std::slice::from_ref(&a), Some(("b2", "x"))),
        _ => versions_page(std::slice::from_ref(&old), None),
    });
    let result = restored(&bench, &lies, "out").await.unwrap();
    assert!(!result.is_complete());
    let fault = &result.failed.items[0];
    assert!(fault.cause.contains("in order"), "{fault}");
    assert_eq!(result.already_there.total, 1, "{result:?}");
    let out = bench.folder("out");
    assert_eq!(read_tree(&out), ["a", "b"]);
    assert_eq!(std::fs::read(out.join("b")).unwrap(), b"new");
    // To overwrite with doubtful versions would make things worse.
    let mut request = bench.request("out");
    request.options.overwrite = true;
    let refused = restore(&lies.store(), request, |_| (), &Stop::never()).await;
    assert!(refused.unwrap_err().cause.contains("in order"));
    assert_eq!(std::fs::read(out.join("b")).unwrap(), b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_page_fields_nobody_knows_and_thousands_of_versions() {
    let (bench, good) = bench_with_good().await;
    let foreign: Vec<Line> = (0..1_001)
        .map(|n| line(&format!("../{n:04}"), "v"))
        .collect();
    // More keys than were asked for, and fields of the future.
    let lies = listing(&bench, move |_, _| {
        let mut lines = foreign.clone();
        lines.push(good.clone());
        versions_page(&lines, None)
            .replace("<Key>", "<Color hue=\"3\">red<x/></Color><Key>")
            .replace("</ListVersionsResult>", "<Mood/></ListVersionsResult>")
    });
    let result = restored(&bench, &lies, "out").await.unwrap();
    // The vault does not have the foreign ones: each is named.
    assert_eq!((result.files, result.failed.total), (1, 1_001));
    assert_eq!(result.failed.items.len(), 1_000);
    assert_eq!(read_tree(&bench.folder("out")), ["good"]);

    // 20,000 versions of one key in pages of 1,000; one of them is real.
    let good = true_line(&bench, "good").await;
    let lines: Vec<Line> = (0..20_000)
        .map(|at| {
            let id = match at {
                15_500 => good.version_id.clone(),
                at => format!("v{at:06}"),
            };
            Line {
                at_s: 1_700_000_000 - at,
                bytes: 4,
                ..line("good", &id)
            }
        })
        .collect();
    let lies = Lies::new(bench.wire.vault.clone(), move |request| {
        asked(request, "versions")?;
        let behind = asked(request, "version-id-marker");
        let behind = behind.map(|id| lines.iter().position(|l| l.version_id == id).unwrap());
        let rest = &lines[behind.map_or(0, |place| place + 1)..];
        let page = &rest[..rest.len().min(1_000)];
        let last = page.last().unwrap().version_id.as_str();
        let next = (page.len() < rest.len()).then_some(("good", last));
        Some(answer(200, versions_page(page, next)))
    });
    let mut request = bench.request("then");
    request.at_ms = Some((1_700_000_000 - 15_500) * 1_000);
    let result = restore(&lies.store(), request, |_| (), &Stop::never())
        .await
        .unwrap();
    assert_eq!((result.files, result.failed.total), (1, 0), "{result:?}");
    // Each page but the first begins with the last eight versions of the one before.
    assert_eq!(lies.told(), 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_no_lists() {
    let (bench, _) = bench_with_good().await;
    let long = "k".repeat(3_000);
    let bomb = {
        let mut dtd = String::from("<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a0 \"ha\">");
        for n in 1..30 {
            let inner = format!("&a{};", n - 1).repeat(10);
            dtd += &format!("<!ENTITY a{n} \"{inner}\">");
        }
        dtd + "]><ListVersionsResult><Version><Key>&a29;</Key><VersionId>v</VersionId></Version></ListVersionsResult>"
    };
    let deep = "<ListVersionsResult>".to_owned() + &"<a>".repeat(1_000_000);
    let closed = format!("{deep}{}</ListVersionsResult>", "</a>".repeat(1_000_000));
    for (name, body, in_cause) in [
        (
            "a long key",
            versions_page(&[line(&long, "v")], None),
            "3000 bytes",
        ),
        (
            "a long id",
            versions_page(&[line("a", &long)], None),
            "3000 bytes",
        ),
        (
            "a long token",
            versions_page(&[line("a", "v")], Some((&long, ""))),
            "3000 bytes",
        ),
        ("entities", bomb, ""),
        ("deep and open", deep, ""),
        ("deep and closed", closed, "nothing"),
        ("another list", objects_page(&["good".into()], None), ""),
        ("no XML", "{\"keys\": []}".into(), ""),
        ("cut", "<ListVersionsResult><Version><Key>a".into(), ""),
        ("nothing", String::new(), ""),
    ] {
        let lies = listing(&bench, move |_, _| body.clone());
        let began = std::time::Instant::now();
        match lies.store().list_versions(BUCKET, "", None).await {
            // An empty list is what is left of what is not understood.
            Ok(page) => assert!(
                page.items.iter().all(|v| v.key.len() < 100) && page.next.is_none(),
                "{name}: {:?}",
                page.items
            ),
            Err(fault) => assert!(fault.cause.contains(in_cause), "{name}: {fault}"),
        }
        assert!(began.elapsed().as_secs() < 60, "{name}");
    }
}

/// The daemon's comparison with the bucket must end, say why it is not
/// complete, and keep nothing from being backed up.
#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_with_a_list_that_never_ends_says_so_and_the_daemon_works_on() {
    type Case = (&'static str, fn(u64) -> String, &'static str);
    let cases: [Case; 6] = [
        (
            "the same page",
            |_| objects_page(&["k".into()], Some("t")),
            "again and again",
        ),
        (
            "empty pages of one token",
            |_| objects_page(&[], Some("t")),
            "again and again",
        ),
        (
            "empty pages",
            |n| objects_page(&[], Some(&n.to_string())),
            "empty pages",
        ),
        (
            "a key twice",
            |_| objects_page(&["k".into(), "k".into()], None),
            "order",
        ),
        (
            "back",
            |_| objects_page(&["k".into(), "a".into()], None),
            "order",
        ),
        (
            "a long key",
            |_| objects_page(&["k".repeat(3_000)], None),
            "3000 bytes",
        ),
    ];
    for (name, page, in_reason) in cases {
        let rig = Rig::new();
        rig.write("a.txt", "mine");
        // Else nothing is sent to where somebody's files may be.
        claim(&rig).await;
        let number = AtomicU64::new(0);
        let lies = Lies::new(rig.vault().connector(), move |request| {
            asked(request, "list-type")?;
            // Whether the bucket answers at all is asked with one key.
            if asked(request, "max-keys").as_deref() == Some("1") {
                return None;
            }
            Some(answer(200, page(number.fetch_add(1, Ordering::Relaxed))))
        });
        let daemon = rig.start_with(rig.config(), Some(lies.store())).await;
        let ctx = daemon.components().clone();
        until("the scan ends and the file is stored", async || {
            let scan = Some(ctx.sources[0].status.snapshot()).and_then(|board| board.last_scan);
            let file = RelPath::from_bytes("a.txt").unwrap();
            let key = keepwatch::types::RelKey::of_file(&file);
            let record = ctx.index.get(ctx.sources[0].id, &key).unwrap();
            scan.is_some() && record.is_some_and(|r| r.content.is_some())
        })
        .await;
        let scan = ctx.sources[0].status.snapshot().last_scan.unwrap();
        assert!(!scan.complete() && !scan.listed_whole, "{name}: {scan:?}");
        let reasons = scan.incomplete.join("\n");
        assert!(reasons.contains(in_reason), "{name}: {reasons}");
        assert!(lies.told() < 1_010, "{name}: {}", lies.told());
        until("nothing waits", async || at_rest(&daemon)).await;
        let object = rig.store().list(SOURCE, "", None, 10).await.unwrap();
        let is_file = |object: &&Listed| !is_own(&object.key);
        assert_eq!(object.items.iter().filter(is_file).count(), 1, "{name}");
        daemon.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_never_answers_does_not_keep_the_daemon_from_stopping() {
    let rig = Rig::new();
    rig.write("a.txt", "mine");
    let silent = crate::harness::Faults::new(|seen| {
        if seen.uri.contains("list-type") && !seen.uri.contains("max-keys=1&") {
            crate::harness::Fate::Late(std::time::Duration::from_secs(3_600))
        } else {
            crate::harness::Fate::Pass
        }
    });
    let store = rig.faulty_store(&silent);
    let daemon = rig.start_with(rig.config(), Some(store)).await;
    until("the list is asked for", async || silent.requests() > 1).await;
    let began = std::time::Instant::now();
    daemon.stop().await.unwrap();
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_servers_words_can_forge_no_line_and_fill_no_log() {
    let bench = Bench::new();
    let message = format!(
        "no\n2026 ERROR forged \u{1b}[2J\u{202e}{}",
        "x".repeat(100_000)
    );
    let lies = Lies::new(bench.wire.vault.clone(), move |request| {
        asked(request, "versions")?;
        let body = format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>");
        // Some bytes of it are not XML 1.0: as references they are not either.
        Some(answer(403, body.replace('\u{1b}', "\u{9b}")))
    });
    let origin = Origin {
        bucket: BUCKET.into(),
        prefix: String::new(),
    };
    let path = RelPath::from_bytes("good").unwrap();
    let fatal = versions(&lies.store(), &origin, &path, None, &mut Stop::never())
        .await
        .unwrap_err();
    assert!(fatal.cause.contains("forged"), "{fatal}");
    assert!(!fatal.cause.chars().any(char::is_control), "{fatal}");
    assert!(!fatal.cause.contains('\u{202e}'), "{fatal}");
    assert!(fatal.cause.len() < 5_000, "{} bytes", fatal.cause.len());
    let fault = lies
        .store()
        .list_versions(BUCKET, "", None)
        .await
        .unwrap_err();
    assert_eq!(fault.class, Class::Denied, "{fault}");
}
