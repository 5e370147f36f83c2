//! Lists in pages: whatever a server does with markers, tokens and encodings, a
//! list is complete, in order and without doubles, or it is said that it is not.

mod server;

use crate::restore::bench::{BUCKET, Bench, Object};
use keepwatch::restore::restore;
use keepwatch::retry::Stop;
use keepwatch::s3::{Listed, ListedVersion, ListingGuard, Next, PAGE_KEYS, Store};
use keepwatch::types::{Fault, RelKey, RelPath};
use server::{Entry, Lists, Quirk};
use std::collections::BTreeSet;

/// What must become of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// All of it comes, in order, each item once.
    Complete,
    /// It is said that it is not complete, or not in order.
    Told,
    /// One of the two, as the last name of a page will have it.
    Either,
}
use Want::{Complete, Either, Told};

impl Want {
    fn is_met_by(self, said: bool) -> bool {
        match self {
            Complete => !said,
            Told => said,
            Either => true,
        }
    }
}

/// Every peculiarity, what becomes of a list of versions and of objects.
const TABLE: &[(Quirk, Want, Want)] = &[
    (Quirk::Plain, Complete, Complete),
    (Quirk::MarkerNotEncoded, Complete, Complete),
    (Quirk::NothingEncoded, Complete, Complete),
    (Quirk::DecodesTwice, Either, Either),
    (Quirk::Inclusive, Complete, Complete),
    (Quirk::Earlier(7), Complete, Complete),
    (Quirk::Earlier(40), Complete, Complete),
    (Quirk::FromTheBeginning, Told, Told),
    // So few are among those that come again.
    (Quirk::LeavesOut(3), Complete, Complete),
    (Quirk::LeavesOut(8), Told, Told),
    (Quirk::LeavesOut(100), Told, Told),
    (Quirk::NoMarker, Complete, Complete),
    (Quirk::NoWord, Complete, Complete),
    (Quirk::SaysItIsTheLast, Complete, Complete),
    (Quirk::EmptyPages, Complete, Complete),
    (Quirk::KeysAsMarkers, Complete, Complete),
    (Quirk::Doubles, Complete, Told),
    (Quirk::Swapped, Told, Told),
    (Quirk::Utf16, Told, Told),
    (Quirk::MarkersBehind, Complete, Complete),
    (Quirk::CountsMore, Complete, Told),
    (Quirk::CountsNone, Complete, Complete),
    (Quirk::TokensOnly, Complete, Complete),
    (Quirk::NoTokens, Complete, Complete),
];

/// Names that are read otherwise when they are decoded once too often or too
/// rarely, and such as UTF-16 puts elsewhere.
fn names(count: usize) -> BTreeSet<String> {
    let name = |n: usize| match n % 12 {
        0 => format!("Kunden %FF/{n:05}%FF"),
        1 => format!("a+{n}+"),
        2 => format!("a%20{n}%20"),
        3 => format!("a {n} "),
        4 => format!("{n:05} 100%"),
        5 => format!("Büro/{n}%2B"),
        6 => format!("z\u{1f600}{n}"),
        7 => format!("z\u{fffd}{n}"),
        8 => format!("z\u{e000}{n}&<x>"),
        9 => format!("%41{n}%"),
        10 => format!("A{n}%%"),
        _ => format!("plain/{n:05}.txt"),
    };
    (0..count).map(name).collect()
}

/// Versions of all of them: of every seventh file several within one second, the
/// newest of every fourteenth a delete marker.
fn entries(count: usize) -> Vec<Entry> {
    let mut all = Vec::new();
    for (number, key) in names(count).into_iter().enumerate() {
        let of_key = if number % 7 == 0 { 4 } else { 1 };
        for version in 0..of_key {
            let is_marker = match number % 14 {
                0 => version == 0,
                _ => version == 2,
            };
            all.push(Entry {
                key: key.clone(),
                version_id: format!("v{number}.{version}"),
                is_marker,
                is_latest: version == 0,
                bytes: u64::from(!is_marker) * 5,
                at_s: 1_700_000_000 - i64::from(version == 3),
            });
        }
    }
    all
}

async fn all_versions(store: &Store) -> Result<(Vec<ListedVersion>, bool), Fault> {
    let (mut all, mut in_order) = (Vec::new(), true);
    let (mut next, mut guard) = (None::<Box<Next>>, ListingGuard::default());
    loop {
        let page = store.list_versions(BUCKET, "", next.as_deref()).await?;
        in_order &= guard.versions(&page, BUCKET)?;
        all.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok((all, in_order));
        }
    }
}

async fn all_objects(store: &Store) -> Result<Vec<Listed>, Fault> {
    let mut all = Vec::new();
    let (mut next, mut guard) = (None::<Box<Next>>, ListingGuard::default());
    loop {
        let page = store.list(BUCKET, "", next.as_deref(), PAGE_KEYS).await?;
        guard.objects(&page, BUCKET)?;
        all.extend(page.items);
        next = page.next;
        if next.is_none() {
            return Ok(all);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_versions_is_complete_or_it_is_said_that_it_is_not() {
    let truth = entries(4_000);
    let sorted = |mut entries: Vec<Entry>| {
        entries.sort_by(|a, b| a.key.cmp(&b.key).then(a.version_id.cmp(&b.version_id)));
        entries
    };
    for (quirk, want, _) in TABLE {
        let lists = Lists::new(truth.clone(), *quirk, 1_000, None);
        let (got, said) = match all_versions(&lists.store()).await {
            Ok((got, in_order)) => (got.iter().map(Entry::of).collect(), !in_order),
            Err(fault) => {
                assert!(fault.cause.contains("list is broken"), "{quirk:?}: {fault}");
                (Vec::new(), true)
            }
        };
        let count = got.len();
        assert!(
            want.is_met_by(said),
            "{quirk:?}: {count} of {}, told: {said}",
            truth.len()
        );
        match quirk {
            _ if said => {}
            // Its order within one second is not known.
            Quirk::MarkersBehind => assert!(sorted(got) == sorted(truth.clone())),
            _ => assert!(got == truth, "{quirk:?}: {} of {}", got.len(), truth.len()),
        }
        assert!(lists.asked() < 150, "{quirk:?}: {} pages", lists.asked());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_objects_is_complete_or_it_is_said_that_it_is_not() {
    let all = entries(4_000);
    let truth: Vec<&str> = all
        .iter()
        .filter(|entry| entry.is_latest && !entry.is_marker)
        .map(|entry| entry.key.as_str())
        .collect();
    for (quirk, _, want) in TABLE {
        let lists = Lists::new(all.clone(), *quirk, 1_000, None);
        let got = all_objects(&lists.store()).await;
        assert!(want.is_met_by(got.is_err()), "{quirk:?}: {:?}", got.err());
        if let Ok(got) = got {
            let got: Vec<&str> = got.iter().map(|listed| listed.key.as_str()).collect();
            assert!(got == truth, "{quirk:?}: {} of {}", got.len(), truth.len());
        }
        assert!(lists.asked() < 150, "{quirk:?}: {} pages", lists.asked());
    }
}

/// As the daemon lists while files come and go: what goes breaks no seam.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_deleted_while_they_are_listed_break_no_list() {
    let before = entries(2_000);
    let lists = Lists::new(before.clone(), Quirk::Plain, 1_000, None);
    let first = lists
        .store()
        .list(BUCKET, "", None, PAGE_KEYS)
        .await
        .unwrap();
    // Everything around the end of the first page.
    let gone: BTreeSet<&str> = first.items[900..].iter().map(|l| l.key.as_str()).collect();
    let after: Vec<Entry> = before
        .iter()
        .filter(|entry| !gone.contains(entry.key.as_str()))
        .cloned()
        .collect();
    let lists = Lists::new(after.clone(), Quirk::Plain, 1_000, None);
    let second = lists
        .store()
        .list(BUCKET, "", first.next.as_deref(), PAGE_KEYS)
        .await;
    let second = second.unwrap();
    let got: Vec<&String> = second.items.iter().map(|listed| &listed.key).collect();
    let last = &first.items.last().unwrap().key;
    let want: Vec<&String> = after
        .iter()
        .filter(|entry| entry.is_latest && !entry.is_marker && entry.key > *last)
        .map(|entry| &entry.key)
        .collect();
    assert_eq!(got, want);
}

/// Named after the bug: over 1,000 files below a folder with a Latin-1 name, on
/// a server that does not encode its markers; files were missing from a restore
/// that said it was complete.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_over_many_pages_is_complete_or_says_that_it_is_not() {
    let bench = Bench::new();
    let mut paths = Vec::new();
    for number in 0..240 {
        let name: Vec<u8> = match number % 6 {
            // Windows holds no name that is no text.
            0 if cfg!(windows) => format!("B\u{fc}ro/{number:03}\u{e9}").into_bytes(),
            0 => [
                b"B\xfcro/".as_slice(),
                format!("{number:03}\u{e9}").as_bytes(),
                b"\xff".as_slice(),
            ]
            .concat(),
            1 => format!("a+{number:03}+").into_bytes(),
            2 => format!("a%20{number:03}%20").into_bytes(),
            3 => format!("a {number:03} b").into_bytes(),
            4 => format!("z\u{1f600}{number:03}%").into_bytes(),
            _ => format!("z\u{fffd}{number:03}").into_bytes(),
        };
        let path = RelPath::from_bytes(name).unwrap();
        let object = Object::file(format!("content {number}").as_bytes());
        bench
            .put_raw(RelKey::of_file(&path).as_str(), &object, &[])
            .await;
        paths.push(path);
    }
    let (versions, _) = all_versions(&bench.store).await.unwrap();
    let truth: Vec<Entry> = versions.iter().map(Entry::of).collect();
    assert_eq!(truth.len(), paths.len());
    for (number, (quirk, want, _)) in TABLE.iter().enumerate() {
        // These two say nothing, and count on pages of the size that was asked for.
        let page_max = match quirk {
            Quirk::NoWord | Quirk::SaysItIsTheLast => 1_000,
            _ => 50,
        };
        let lists = Lists::new(
            truth.clone(),
            *quirk,
            page_max,
            Some(bench.wire.vault.clone()),
        );
        let to = format!("out{number}");
        let (store, stop) = (lists.store(), Stop::never());
        let run = restore(&store, bench.request(&to), |_| (), &stop);
        let is_whole = match run.await {
            Ok(result) => {
                let is_whole = result.is_complete();
                let files = usize::try_from(result.files).unwrap();
                assert!(
                    !is_whole || files == paths.len(),
                    "{quirk:?}: {files} files"
                );
                is_whole
            }
            Err(fatal) => {
                assert!(fatal.cause.contains("list is broken"), "{quirk:?}: {fatal}");
                false
            }
        };
        assert!(want.is_met_by(!is_whole), "{quirk:?}: whole: {is_whole}");
    }
}

/// What a vault stored within one and the same second comes in the order in which
/// it was stored: its server library has versions and markers apart.
#[tokio::test(flavor = "multi_thread")]
async fn the_vault_says_in_which_order_things_were_stored() {
    let bench = Bench::new();
    for content in [b"1", b"2"] {
        bench.put("a", &Object::file(content)).await;
        bench.delete("a").await;
    }
    bench.put("a", &Object::file(b"3")).await;
    bench.put("b", &Object::file(b"1")).await;
    bench.delete("b").await;
    // All of them within one second, as S3 gives times.
    let (wire, seconds) = (bench.wire.clone(), "<LastModified>2026-11-29T10:00:00Z<");
    let store = Store::vault(rounding(wire, seconds), "a vault that gives seconds");
    let (all, in_order) = all_versions(&store).await.unwrap();
    let kinds: Vec<(&str, bool)> = all.iter().map(|v| (v.key.as_str(), v.is_marker)).collect();
    let want = [
        ("a", false),
        ("a", true),
        ("a", false),
        ("a", true),
        ("a", false),
        ("b", true),
        ("b", false),
    ];
    assert_eq!(kinds, want);
    assert!(in_order && all.iter().all(|v| v.modified_ms == all[0].modified_ms));
}

/// Passes everything on and puts one moment into every list.
fn rounding(
    wire: crate::restore::bench::Wire,
    moment: &'static str,
) -> aws_smithy_runtime_api::client::http::SharedHttpClient {
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_types::body::SdkBody;

    #[derive(Debug)]
    struct Rounding(crate::restore::bench::Wire, &'static str);
    impl HttpConnector for Rounding {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let (answer, moment) = (self.0.call(request), self.1);
            HttpConnectorFuture::new(async move {
                let mut answer = answer.await?;
                let body = std::mem::replace(answer.body_mut(), SdkBody::empty());
                let body = aws_sdk_s3::primitives::ByteStream::new(body)
                    .collect()
                    .await
                    .unwrap();
                let text = String::from_utf8(body.to_vec()).unwrap();
                let mut pieces = text.split("<LastModified>");
                let mut rounded = pieces.next().unwrap_or_default().to_owned();
                for piece in pieces {
                    rounded += moment;
                    rounded += piece.split_once('<').unwrap().1;
                }
                *answer.body_mut() = SdkBody::from(rounded);
                Ok(answer)
            })
        }
    }
    let connector = SharedHttpConnector::new(Rounding(wire, moment));
    http_client_fn(move |_, _| connector.clone())
}
