//! Servers that give an upload's beginning as its time, and servers that give its
//! end; objects without the time of reading; computers whose clocks are wrong.

use crate::hostile::{Lies, answer, asked};
use crate::restore::bench::{BUCKET, Bench, Object};
use keepwatch::history::{Selector, Timeline};
use keepwatch::retry::Stop;
use keepwatch::types::WallMs;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// 2026-11-20T00:00:00Z.
const DAY_MS: i64 = 1_795_132_800_000;

/// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.mmm` of that day.
fn at(text: &str) -> WallMs {
    let (time, ms) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = time.split(':').map(|part| part.parse::<i64>().unwrap());
    let mut part = || parts.next().unwrap_or(0);
    let second_ms = DAY_MS + ((part() * 60 + part()) * 60 + part()) * 1_000;
    WallMs(second_ms + ms.parse::<i64>().unwrap())
}

/// One version as the server tells of it.
#[derive(Clone, Copy)]
struct Told {
    stored: &'static str,
    /// By the clock of the computer that read the file.
    seen: Option<&'static str>,
    is_marker: bool,
    etag: &'static str,
}

fn one(stored: &'static str, seen: Option<&'static str>) -> Told {
    Told {
        stored,
        seen,
        is_marker: false,
        etag: "e",
    }
}

fn parts(stored: &'static str, seen: Option<&'static str>) -> Told {
    Told {
        etag: "e-2",
        ..one(stored, seen)
    }
}

fn marker(stored: &'static str) -> Told {
    Told {
        is_marker: true,
        ..one(stored, None)
    }
}

/// A server whose list says exactly this, and how often its metadata was asked.
async fn server(stories: &[(&str, Vec<Told>)]) -> (Bench, Lies, Arc<AtomicU32>) {
    let bench = Bench::new();
    let mut xml = String::from("<?xml version=\"1.0\"?><ListVersionsResult>");
    for (key, story) in stories {
        for (number, told) in story.iter().enumerate() {
            let mut object = Object::file(format!("{key} {number}").as_bytes());
            object.meta.seen_ms = told.seen.map(at);
            bench.put(key, &object).await;
        }
        let page = bench.store.list_versions(BUCKET, key, None).await.unwrap();
        let ids = page.items.into_iter().filter(|v| v.key == *key);
        // Newest first, as the list has it.
        for (told, version) in story.iter().rev().zip(ids) {
            let element = if told.is_marker {
                "DeleteMarker"
            } else {
                "Version"
            };
            let stored = jiff::Timestamp::from_millisecond(at(told.stored).0).unwrap();
            let etag = told.etag;
            write!(
                xml,
                "<{element}><Key>{key}</Key><VersionId>{}</VersionId><IsLatest>false</IsLatest><LastModified>{stored}</LastModified><ETag>\"{etag}\"</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></{element}>",
                keepwatch::types::id_text(&version.version_id), version.stored_bytes,
            )
            .unwrap();
        }
    }
    xml.push_str("</ListVersionsResult>");
    let heads = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&heads);
    let lies = Lies::new(bench.wire.vault.clone(), move |request| {
        if request.method() == "HEAD" {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        asked(request, "versions")?;
        Some(answer(200, xml.clone()))
    });
    (bench, lies, heads)
}

/// Key and content of what was current then.
async fn current(bench: &Bench, lies: &Lies, at_ms: WallMs) -> BTreeMap<String, String> {
    let (store, origin, all) = (lies.store(), bench.origin(), Selector::everything());
    let mut timeline = Timeline::new(&store, &origin, &all, Some(at_ms));
    let mut found = BTreeMap::new();
    let mut keys = Vec::new();
    while let Some(chosen) = timeline.next(&mut Stop::never()).await.unwrap() {
        assert!(timeline.take_unsure().is_empty());
        let output = bench.client.get_object().bucket(BUCKET).key(&chosen.key);
        let output = output
            .version_id(keepwatch::types::id_text(&chosen.version_id))
            .send()
            .await
            .unwrap();
        let body = output.body.collect().await.unwrap().into_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let number = text.rsplit(' ').next().unwrap().to_owned();
        keys.push(chosen.key.clone());
        found.insert(chosen.key, number);
    }
    assert!(keys.is_sorted(), "{keys:?}");
    found
}

/// The same as `key number`, at a time of that day.
async fn told(bench: &Bench, lies: &Lies, time: &str) -> Vec<String> {
    let found = current(bench, lies, at(time)).await;
    let text = |(key, number): (&String, &String)| format!("{key} {number}");
    found.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_counts_is_when_the_file_was_like_that() {
    let stories = [
        // Read at noon; the upload began at once and took two hours. The server
        // tells of its beginning, or of its end.
        (
            "begin",
            vec![
                one("10:00", Some("10:00")),
                parts("12:00:05", Some("12:00")),
            ],
        ),
        (
            "end",
            vec![one("10:00", Some("10:00")), parts("14:00", Some("12:00"))],
        ),
        // Written by an earlier Keepwatch.
        (
            "old begin",
            vec![one("10:00", None), parts("12:00:05", None)],
        ),
        ("old end", vec![one("10:00", None), parts("14:00", None)]),
        // One piece, ten minutes on a slow line.
        (
            "slow",
            vec![one("10:00", Some("10:00")), one("12:10", Some("12:00"))],
        ),
        // The computer's clock is ahead, or ten minutes behind.
        (
            "ahead",
            vec![one("10:00", Some("17:00")), one("12:00", Some("19:00"))],
        ),
        (
            "behind",
            vec![one("10:00", Some("09:50")), one("12:10", Some("12:00"))],
        ),
        // So far behind that it was read before what was stored before it.
        (
            "set back",
            vec![one("12:05", Some("12:05")), one("12:10", Some("12:00"))],
        ),
        // Deleted, and there again.
        (
            "again",
            vec![
                one("10:00", Some("10:00")),
                marker("11:00"),
                one("12:00:30", Some("12:00")),
            ],
        ),
        ("gone", vec![one("10:00", Some("10:00")), marker("12:00")]),
        ("new", vec![one("12:01", Some("12:00"))]),
    ];
    let (bench, lies, _) = server(&stories).await;
    for (time, want) in [
        ("09:00", ""),
        (
            "10:00",
            "ahead 0, again 0, begin 0, behind 0, end 0, gone 0, old begin 0, old end 0, slow 0",
        ),
        (
            "11:59:59",
            "ahead 0, begin 0, behind 0, end 0, gone 0, old begin 0, old end 0, slow 0",
        ),
        (
            "12:00",
            "again 2, ahead 1, begin 1, behind 1, end 1, new 0, old begin 0, old end 0, slow 1",
        ),
        (
            "12:00:05",
            "again 2, ahead 1, begin 1, behind 1, end 1, new 0, old begin 1, old end 0, slow 1",
        ),
        (
            "12:07",
            "again 2, ahead 1, begin 1, behind 1, end 1, new 0, old begin 1, old end 0, set back 0, slow 1",
        ),
        (
            "14:00",
            "again 2, ahead 1, begin 1, behind 1, end 1, new 0, old begin 1, old end 1, set back 1, slow 1",
        ),
    ] {
        let got = told(&bench, &lies, time).await;
        let mut want: Vec<&str> = want.split(", ").filter(|text| !text.is_empty()).collect();
        want.sort_unstable();
        assert_eq!(got, want, "at {time}");
    }
}

/// Found by a trial on Ceph RGW: a run was killed with a copy on the line, the next
/// run stored what had been saved since, and then the copy arrived.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_after_its_run_was_cut_off_is_not_what_the_file_was() {
    let of = |etag, stored, seen| Told {
        etag,
        ..one(stored, seen)
    };
    let stories = [
        (
            "late",
            vec![
                of("saved", "12:00:00", Some("11:59:59.900")),
                of("late", "12:01:00", Some("11:59:58")),
                of("saved", "12:16:30", Some("12:16:29")),
            ],
        ),
        (
            "undone",
            vec![
                of("first", "12:00:00", Some("11:59:58")),
                of("second", "12:01:00", Some("12:00:59")),
                of("first", "12:16:30", Some("12:16:29")),
            ],
        ),
        (
            "unknown",
            vec![
                of("first", "12:00:00", None),
                of("second", "12:01:00", Some("11:00")),
                of("first", "12:16:30", None),
            ],
        ),
    ];
    let (bench, lies, heads) = server(&stories).await;
    for (time, want, asked) in [
        ("12:00:30", "late 0, undone 0, unknown 0", 3),
        ("12:05", "late 0, undone 1, unknown 1", 9),
        ("12:20", "late 2, undone 2, unknown 2", 0),
    ] {
        heads.store(0, Ordering::Relaxed);
        let got = told(&bench, &lies, time).await;
        assert_eq!(got.join(", "), want, "at {time}");
        assert_eq!(heads.load(Ordering::Relaxed), asked, "at {time}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_can_change_the_answer_is_asked() {
    let mut stories: Vec<(String, Vec<Told>)> = Vec::new();
    for number in 0..200 {
        // Long before, and long after.
        let story = vec![one("10:00", Some("10:00")), one("15:00", Some("15:00"))];
        stories.push((format!("far {number:03}"), story));
    }
    for number in 0..70 {
        stories.push((
            format!("near {number:03}"),
            vec![one("12:00:10", Some("12:00"))],
        ));
    }
    stories.push(("parts".to_owned(), vec![parts("15:00", Some("11:00"))]));
    let borrowed: Vec<(&str, Vec<Told>)> = stories
        .iter()
        .map(|(key, story)| (key.as_str(), story.clone()))
        .collect();
    let (bench, lies, heads) = server(&borrowed).await;
    let got = current(&bench, &lies, at("12:00:05")).await;
    assert_eq!(got.len(), 271);
    assert_eq!(heads.load(Ordering::Relaxed), 71);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_which_nobody_can_say_what_it_was_is_named_and_not_guessed() {
    let stories = [
        ("a", vec![one("10:00", Some("10:00"))]),
        (
            "b",
            vec![one("10:00", Some("10:00")), one("12:00:10", Some("12:00"))],
        ),
        ("c", vec![one("10:00", Some("10:00"))]),
    ];
    let (bench, lies, _) = server(&stories).await;
    let refuses = Lies::new(bench.wire.vault.clone(), {
        let xml = listing_of(&lies).await;
        move |request| {
            if request.method() == "HEAD" {
                return Some(answer(403, ""));
            }
            asked(request, "versions")?;
            Some(answer(200, xml.clone()))
        }
    });
    let (store, origin, all) = (refuses.store(), bench.origin(), Selector::everything());
    let mut timeline = Timeline::new(&store, &origin, &all, Some(at("12:00:05")));
    let (mut keys, mut unsure) = (Vec::new(), Vec::new());
    while let Some(chosen) = timeline.next(&mut Stop::never()).await.unwrap() {
        keys.push(chosen.key);
        unsure.extend(timeline.take_unsure());
    }
    unsure.extend(timeline.take_unsure());
    assert_eq!(keys, ["a", "c"]);
    let subjects: Vec<&str> = unsure.iter().map(|fault| fault.subject.as_str()).collect();
    assert_eq!(subjects, ["b"]);
}

/// What that server's list says.
async fn listing_of(lies: &Lies) -> String {
    let page = lies.store().list_versions(BUCKET, "", None).await.unwrap();
    let mut xml = String::from("<?xml version=\"1.0\"?><ListVersionsResult>");
    for version in page.items {
        let stored = jiff::Timestamp::from_millisecond(version.modified_ms.0).unwrap();
        write!(
            xml,
            "<Version><Key>{}</Key><VersionId>{}</VersionId><IsLatest>false</IsLatest><LastModified>{stored}</LastModified><ETag>\"{}\"</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Version>",
            version.key, keepwatch::types::id_text(&version.version_id), version.etag, version.stored_bytes,
        )
        .unwrap();
    }
    xml + "</ListVersionsResult>"
}

/// Named after the bug: the time of reading was not believed where the list's time
/// is rounded down, so a swap was seen halfway, and a deletion hid what came first.
#[tokio::test(flavor = "multi_thread")]
async fn what_happened_within_one_second_keeps_its_order() {
    let then = || one("10:00", Some("10:00"));
    let stories = [
        // Swapped at 5.4 s, stored at 5.9 and 6.1.
        ("a", vec![then(), one("12:00:05", Some("12:00:05.400"))]),
        ("b", vec![then(), one("12:00:06", Some("12:00:05.400"))]),
        // Renamed at 5.3 s; the new name was stored first.
        ("new", vec![one("12:00:05", Some("12:00:05.300"))]),
        ("old", vec![then(), marker("12:00:05")]),
        // Saved twice, and deleted and made again.
        (
            "twice",
            vec![
                then(),
                one("12:00:05", Some("12:00:05.100")),
                one("12:00:05", Some("12:00:05.600")),
            ],
        ),
    ];
    let (bench, lies, _) = server(&stories).await;
    for (time, want) in [
        ("12:00:04", "a 0, b 0, old 0, twice 0"),
        ("12:00:05.050", "a 0, b 0, old 0, twice 0"),
        ("12:00:05.150", "a 0, b 0, old 0, twice 1"),
        // Under both names rather than under none.
        ("12:00:05.350", "a 0, b 0, new 0, old 0, twice 1"),
        ("12:00:05.400", "a 1, b 1, new 0, old 0, twice 1"),
        ("12:00:05.700", "a 1, b 1, new 0, old 0, twice 2"),
        // As the server shows it: all of that second.
        ("12:00:05", "a 1, b 1, new 0, twice 2"),
        ("12:00:06", "a 1, b 1, new 0, twice 2"),
    ] {
        let got = told(&bench, &lies, time).await;
        assert_eq!(got.join(", "), want, "at {time}");
    }
}
