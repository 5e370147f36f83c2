//! What is written is read back; what is damaged is refused.

use super::proof::{Reading, Row, Writing, encode};
use super::*;
use crate::types::VersionId;
use proptest::prelude::*;

fn header() -> Header {
    Header {
        keepwatch_manifest: MANIFEST_VERSION,
        source: "documents".into(),
        root: "/srv/office".into(),
        bucket: "b-1".into(),
        prefix: "office/".into(),
        moment: "2026-11-23T02:00:14.123Z".into(),
        moment_ms: WallMs(1_795_399_214_123),
        host: "BÜRO".into(),
        keepwatch: "0.1.0".into(),
        files: 2,
        bytes: 3,
        settings: Settings::default(),
    }
}

fn record(size_bytes: u64, stored_bytes: u64, kind: Kind) -> Record {
    Record {
        fingerprint: Fingerprint {
            kind,
            size_bytes,
            mtime_ns: -7,
            ctime_ns: 0,
            inode: 0,
            mode: 0o640,
            owner: Some((1000, 100)),
        },
        content: Some(ContentHash::of(b"x")),
        version_id: VersionId::new("v1"),
        etag: "e1".into(),
        stored_bytes,
        stored_at_ms: WallMs(99),
        racy: false,
        look: Look::Unknown,
        attributes: None,
    }
}

fn rel(text: &str) -> RelKey {
    RelKey::parse_full(text).unwrap()
}

fn lines() -> Vec<ManifestEntry> {
    let link = record(3, 3, Kind::Symlink);
    let folder = record(0, 0, Kind::Folder);
    vec![
        ManifestEntry::of(&rel("a.csv"), &record(9, 4, Kind::File), "office/", None).unwrap(),
        ManifestEntry::without_object(&rel("b/"), &folder.fingerprint),
        ManifestEntry::of(&rel("b/l"), &link, "office/", Some(b"a/\xff")).unwrap(),
        ManifestEntry::of(&rel("c/"), &folder, "office/", None).unwrap(),
    ]
}

fn written(lines: &[ManifestEntry]) -> Vec<Vec<u8>> {
    let mut writing = Writing::default();
    let mut out = vec![writing.header(&header()).unwrap()];
    out.extend(lines.iter().map(|line| writing.line(line).unwrap()));
    out.push(writing.trailer(WallMs(77), true).unwrap().0);
    out
}

/// Everything in it, or why it is refused.
fn read(rows: &[Vec<u8>]) -> Result<(Vec<ManifestEntry>, Trailer), String> {
    let mut reading = Reading::default();
    let (mut lines, mut end) = (Vec::new(), None);
    for row in rows {
        match reading.row(row.strip_suffix(b"\n").unwrap_or(row))? {
            Row::Header(found) => assert_eq!(*found, header()),
            Row::Entry(line) => lines.push(*line),
            Row::End(trailer) => end = Some(trailer),
        }
    }
    reading.finish()?;
    Ok((lines, end.ok_or("no end")?))
}

#[test]
fn what_is_written_is_read_back() {
    let (found, end) = read(&written(&lines())).unwrap();
    assert_eq!(found, lines());
    assert_eq!((end.lines, end.files, end.links, end.folders), (4, 1, 1, 2));
    assert_eq!((end.bytes, end.stored_bytes, end.quiet), (12, 7, true));
    assert!(found[0].gzip && !found[2].gzip && !found[1].has_object());
    assert_eq!(found[2].target.as_deref(), Some("a/%FF"));
    assert_eq!(found[0].fingerprint().unwrap().mtime_ns, -7);
    assert_eq!(found[0].content(), Some(ContentHash::of(b"x")));
    assert_eq!(found[0].bucket_key("office/"), "office/a.csv");
    let (none, _) = read(&written(&[])).unwrap();
    assert!(none.is_empty());
}

#[test]
fn a_shortened_key_is_said_and_what_only_a_listing_knows_is_left_out() {
    let long = rel(&"x".repeat(1_100));
    let line = ManifestEntry::of(&long, &record(1, 1, Kind::File), "p/", None).unwrap();
    assert_eq!(line.bucket_key("p/"), long.in_bucket("p/").key);
    let unverified = Record {
        content: None,
        ..record(1, 1, Kind::File)
    };
    assert_eq!(ManifestEntry::of(&long, &unverified, "p/", None), None);
}

#[test]
fn every_damage_is_found() {
    let whole = written(&lines());
    type Damage = fn(&mut Vec<Vec<u8>>);
    let cases: [(&str, Damage); 9] = [
        ("its end is cut", |rows| drop(rows.pop())),
        ("a line is missing", |rows| drop(rows.remove(2))),
        ("two lines changed places", |rows| rows.swap(1, 2)),
        ("a line comes twice", |rows| rows.insert(2, rows[1].clone())),
        ("something follows", |rows| rows.push(rows[1].clone())),
        ("no header", |rows| drop(rows.remove(0))),
        ("another hash", |rows| {
            let at = rows[1].windows(6).position(|w| w == b"sha256").unwrap() + 10;
            rows[1][at] = if rows[1][at] == b'0' { b'1' } else { b'0' };
        }),
        ("no hash", |rows| {
            let text = String::from_utf8(rows[1].clone()).unwrap();
            rows[1] = text.replace("\"sha256\":\"", "\"sha256\":\"z").into();
        }),
        ("a path that leads out", |rows| {
            let text = String::from_utf8(rows[1].clone()).unwrap();
            rows[1] = text.replace("a.csv", "../a").into();
        }),
    ];
    for (name, damage) in cases {
        let mut rows = whole.clone();
        damage(&mut rows);
        assert!(read(&rows).is_err(), "{name}");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let newer = Header {
        keepwatch_manifest: MANIFEST_VERSION + 1,
        ..header()
    };
    let row = encode(&newer).unwrap();
    let refused = Reading::default().row(&row).unwrap_err();
    assert!(refused.contains("format is 2"), "{refused}");
}

#[test]
fn names_sort_like_moments_and_give_them_back() {
    let moments = [0, 1, 999, 1_795_399_214_000, 1_795_399_214_123];
    let keys: Vec<String> = moments.iter().map(|ms| key("p/", WallMs(*ms))).collect();
    assert!(keys.is_sorted());
    assert_eq!(
        keys[4],
        "p/.keepwatch/manifests/2026-11-23T02-00-14.123Z.jsonl.gz"
    );
    for (at, moment_ms) in keys.iter().zip(moments) {
        assert_eq!(moment_of("p/", at), Some(WallMs(moment_ms)));
        assert_eq!(moment_of("", at), None);
    }
    for other in ["x", "2026-11-23.jsonl.gz", "2026-11-23T02-00-14Z.jsonl.gz"] {
        assert_eq!(moment_of("", &format!("{}{other}", folder(""))), None);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(rows in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 0..60), 0..5)) {
        let mut reading = Reading::default();
        let first = encode(&header()).unwrap();
        let _ = reading.row(first.strip_suffix(b"\n").unwrap());
        for row in rows {
            let _ = reading.row(&row);
        }
    }
}

/// Named after the loss: a configuration that was rebuilt from the manifest had none
/// of what the bucket demands.
#[test]
fn what_the_bucket_demands_is_in_the_header_and_older_headers_are_read() {
    let mut with = header();
    with.settings.s3 = Demands {
        kms_key_id: Some("alias/office".into()),
        requester_pays: true,
        ..Demands::default()
    };
    let text = serde_json::to_value(&with).unwrap();
    let told = serde_json::json!({"kms_key_id": "alias/office", "requester_pays": true});
    assert_eq!(text["settings"]["s3"], told);
    assert_eq!(serde_json::from_value::<Header>(text).unwrap(), with);
    // Written before there were any, and where nothing is demanded: the same.
    let without = serde_json::to_value(header()).unwrap();
    assert!(without["settings"].get("s3").is_none(), "{without}");
    assert_eq!(serde_json::from_value::<Header>(without).unwrap(), header());
}
