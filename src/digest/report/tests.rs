//! What people get to read, word for word, and that it always fits.

use super::*;
use crate::destination::Trouble;
use crate::mail::SUBJECT_CHARS_MAX;
use crate::mail::testing::{at, berlin, failure};
use crate::types::WallMs;
use crate::types::{Traffic, text};
use proptest::prelude::*;

fn source(name: &str) -> SourceReport {
    SourceReport {
        name: name.to_owned(),
        path: format!("/srv/office/{name}"),
        destination: format!("s3://{name}-backup-254"),
        files_protected: 6_000,
        bytes_protected: 1_234_567_890,
        versions: 120,
        raw_bytes: 40_000_000,
        stored_bytes: 10_000_000,
        saved_bytes: 30_000_000,
        deletions: 3,
        scan: Some(ScanLine {
            started_ms: at("2026-11-23T01:30:00Z"),
            took_ms: 12_000,
            files: 6_000,
            complete: true,
        }),
        ..SourceReport::default()
    }
}

fn report(sources: Vec<SourceReport>) -> Report {
    Report {
        computer: "OFFICE-PC".to_owned(),
        scheduled_ms: at("2026-11-23T01:30:00Z"),
        from_ms: at("2026-11-22T01:30:00Z"),
        to_ms: at("2026-11-23T01:30:00Z"),
        time_zone: berlin(),
        traffic: Traffic {
            writes: 4_321,
            reads: 1_200,
            deletes: 3,
            sent_bytes: 77_000_000,
            received_bytes: 900_000,
        },
        is_billed: true,
        drill: None,
        program: "keepwatch".to_owned(),
        sources,
    }
}

fn unprotected(path: &str) -> UnprotectedLine {
    UnprotectedLine {
        path: path.to_owned(),
        reason: "permission denied".to_owned(),
        remedy: "let the account that runs Keepwatch read it".to_owned(),
        since_ms: at("2026-11-22T13:03:00Z"),
        files_below: 0,
    }
}

/// Named after the bug: the digest of a bucket whose versioning was switched off
/// said "all is well (earlier versions are kept)".
#[test]
fn a_bucket_without_versions_is_not_well() {
    let mut database = source("database");
    for kind in Kind::ALL {
        database.troubles = vec![Trouble {
            kind,
            since_ms: at("2026-11-23T01:00:00Z"),
            text: "the bucket b keeps no old versions".to_owned(),
            remedy: "turn on versioning".to_owned(),
            told: 1,
            told_ms: WallMs(0),
        }];
        let report = report(vec![source("photos"), database.clone()]);
        let (subject, body) = (report.subject(), report.body());
        assert!(
            !report.is_well() && subject.contains("ATTENTION"),
            "{subject}"
        );
        assert!(subject.contains("database"), "{subject}");
        assert!(!body.contains("All is well"), "{body}");
        for words in [
            "  - turn on versioning",
            &format!(
                "{} since 2026-11-23 02:00: the bucket b keeps no old versions",
                kind.label()
            ),
        ] {
            assert!(body.contains(words), "{body}");
        }
        assert_eq!(
            body.matches("earlier versions are kept").count(),
            1,
            "{body}"
        );
    }
}

fn troubled() -> Report {
    let mut photos = source("photos");
    photos.unprotected = vec![
        unprotected("Büro/a.jpg"),
        unprotected("evil\nAll is well.jpg"),
    ];
    photos.unprotected_total = 1_236;
    photos.failures = vec![failure("b.jpg", 5), failure("c.jpg", 1)];
    photos.failures_total = 2;
    photos.warnings = vec!["the watch limit is reached; changes are seen hourly".to_owned()];
    let mut documents = source("documents");
    documents.scan = None;
    documents.outage = Some(OutageLine {
        since_ms: at("2026-11-22T20:15:00Z"),
        reason: "the bucket documents-backup-254 does not exist".to_owned(),
        remedy: "create the bucket, or correct its name in the configuration".to_owned(),
    });
    report(vec![source("database"), photos, documents])
}

#[test]
fn a_good_day() {
    let report = report(vec![source("database"), source("photos")]);
    assert!(report.is_well());
    assert_eq!(
        report.subject(),
        "Keepwatch OFFICE-PC: all is well, 12,000 files protected"
    );
    insta::assert_snapshot!(report.body(), @r#"
    All is well: every file is protected.

    Computer: OFFICE-PC
    Period:   2026-11-22 02:30 to 2026-11-23 02:30 (Europe/Berlin)
    In all:   12,000 files (2.5 GB) protected, 0 not protected, 240 new versions in the period
    Requests: 5,524 (23.0 for each new version), 0.02 USD at AWS's list price; 77.0 MB sent, 900.0 kB received

    Folder database
      /srv/office/database -> s3://database-backup-254
      Protected: 6,000 files, 1.2 GB
      New versions: 120, 40.0 MB stored as 10.0 MB (30.0 MB saved)
      Deleted: 3 files (earlier versions are kept)
      Full check: 2026-11-23 02:30, complete, 6,000 files in 12 seconds

    Folder photos
      /srv/office/photos -> s3://photos-backup-254
      Protected: 6,000 files, 1.2 GB
      New versions: 120, 40.0 MB stored as 10.0 MB (30.0 MB saved)
      Deleted: 3 files (earlier versions are kept)
      Full check: 2026-11-23 02:30, complete, 6,000 files in 12 seconds
    "#);
}

#[test]
fn a_bad_day() {
    let report = troubled();
    assert!(!report.is_well());
    assert_eq!(
        report.subject(),
        "Keepwatch OFFICE-PC: ATTENTION, 1,236 files are not protected; 2 more"
    );
    insta::assert_snapshot!(report.body(), @r#"
    ATTENTION: 1,236 files are not protected.
    ATTENTION: the backup of documents cannot be reached.
    ATTENTION: the check of documents is not complete.
    There is 1 warning; see below.

    What to do
      - create the bucket, or correct its name in the configuration
      - let the account that runs Keepwatch read it

    Computer: OFFICE-PC
    Period:   2026-11-22 02:30 to 2026-11-23 02:30 (Europe/Berlin)
    In all:   18,000 files (3.7 GB) protected, 1,236 not protected, 360 new versions in the period
    Requests: 5,524 (15.3 for each new version), 0.02 USD at AWS's list price; 77.0 MB sent, 900.0 kB received

    Folder photos
      /srv/office/photos -> s3://photos-backup-254
      Protected: 6,000 files, 1.2 GB
      New versions: 120, 40.0 MB stored as 10.0 MB (30.0 MB saved)
      Deleted: 3 files (earlier versions are kept)
      Full check: 2026-11-23 02:30, complete, 6,000 files in 12 seconds
      NOT PROTECTED: 1,236 files
        - Büro/a.jpg: permission denied (since 2026-11-22 14:03)
        - evil\u{a}All is well.jpg: permission denied (since 2026-11-22 14:03)
        ... and 1,234 more
      Warnings
        - the watch limit is reached; changes are seen hourly
      Failed at some time in the period: 2 files
        - b.jpg: the connection was reset (5 times)
        - c.jpg: the connection was reset

    Folder documents
      /srv/office/documents -> s3://documents-backup-254
      Protected: 6,000 files, 1.2 GB
      New versions: 120, 40.0 MB stored as 10.0 MB (30.0 MB saved)
      Deleted: 3 files (earlier versions are kept)
      Full check: NOT YET DONE
      OUT OF REACH since 2026-11-22 21:15: the bucket documents-backup-254 does not exist

    Folder database
      /srv/office/database -> s3://database-backup-254
      Protected: 6,000 files, 1.2 GB
      New versions: 120, 40.0 MB stored as 10.0 MB (30.0 MB saved)
      Deleted: 3 files (earlier versions are kept)
      Full check: 2026-11-23 02:30, complete, 6,000 files in 12 seconds
    "#);
}

/// Named after the bug: files that were in no bucket yet were told as "0 not protected".
#[test]
fn files_in_no_bucket_are_not_protected_and_before_a_check_nobody_knows() {
    let (database, mut photos) = (source("database"), source("photos"));
    photos.files_protected = 0;
    photos.files_not_stored = 3;
    let body = report(vec![database.clone(), photos]).body();
    assert!(body.contains(" protected, 3 not protected, "), "{body}");
    assert!(
        body.contains("Protected: 0 files, 1.2 GB; in no bucket yet: 3"),
        "{body}"
    );
    let mut cut = source("photos");
    cut.scan.as_mut().unwrap().complete = false;
    let unchecked = SourceReport {
        scan: None,
        ..source("photos")
    };
    for unchecked in [unchecked, cut] {
        let body = report(vec![database.clone(), unchecked]).body();
        assert!(!body.contains("0 not protected"), "{body}");
        assert!(
            body.contains("how many are not is known after a full check"),
            "{body}"
        );
    }
}

#[test]
fn each_trouble_alone_is_in_the_subject() {
    type Spoil = fn(&mut SourceReport);
    let table: [(Spoil, &str); 8] = [
        (
            |source| source.files_not_stored = 3,
            "ATTENTION, 3 files are not protected",
        ),
        (
            |source| source.unprotected_total = 1,
            "ATTENTION, 1 file is not protected",
        ),
        (
            |source| source.unprotected = vec![unprotected("a"), unprotected("b")],
            "ATTENTION, 2 files are not protected",
        ),
        (
            |source| source.outage = Some(OutageLine::default()),
            "ATTENTION, the backup of photos cannot be reached",
        ),
        (
            |source| source.scan = None,
            "ATTENTION, the check of photos is not complete",
        ),
        (
            |source| source.scan = Some(ScanLine::default()),
            "ATTENTION, the check of photos is not complete",
        ),
        (
            |source| source.warnings = vec![String::new()],
            "all is well, 6,000 files protected, 1 warning",
        ),
        (
            |source| source.files_protected = 0,
            "ATTENTION, no file is protected yet",
        ),
    ];
    for (spoil, expected) in table {
        let mut photos = source("photos");
        spoil(&mut photos);
        assert_eq!(
            report(vec![photos]).subject(),
            format!("Keepwatch OFFICE-PC: {expected}")
        );
    }
    let mut troubled = vec![source("a"), source("b"), source("c")];
    troubled[0].scan = None;
    troubled[2].scan = None;
    assert_eq!(
        report(troubled).subject(),
        "Keepwatch OFFICE-PC: ATTENTION, the check of 2 folders is not complete"
    );
    // what failed and was made good since is no reason to worry
    let mut healed = source("photos");
    healed.failures = vec![failure("a", 3)];
    assert!(report(vec![healed]).is_well());
}

#[test]
fn subjects_are_what_sns_takes() {
    for computer in [
        "",
        "BÜRO\r\nBcc: x",
        "办公室电脑办公室电脑",
        &"x".repeat(500),
    ] {
        let mut report = troubled();
        report.computer = computer.to_owned();
        let subject = report.subject();
        assert!(subject.len() <= SUBJECT_CHARS_MAX, "{subject}");
        assert!(subject.starts_with("Keepwatch"), "{subject}");
        assert!(
            subject.bytes().all(|b| (b' '..=b'~').contains(&b)),
            "{subject}"
        );
        assert!(subject.contains("ATTENTION, 1,236 files"), "{subject}");
    }
}

#[test]
fn a_huge_report_is_cut_between_lines_and_keeps_its_counts() {
    let mut report = troubled();
    let lines = 10_000;
    report.sources[1].unprotected = (0..lines)
        .map(|n| unprotected(&format!("Büro/{n:06}.jpg")))
        .collect();
    report.sources[1].unprotected_total = 50_000;
    let body = report.body();
    assert!(body.len() <= BODY_BYTES_MAX);
    assert!(body.len() > BODY_BYTES_MAX * 9 / 10, "{}", body.len());
    assert!(body.starts_with("ATTENTION: 50,000 files are not protected."));
    let shown: u64 = body.matches(".jpg: permission denied (since").count() as u64;
    let left = format!("    ... and {} more\n", text::number(50_000 - shown));
    assert!(body.contains(&left), "{left}");
    for survivor in [
        "NOT PROTECTED: 50,000 files",
        "c.jpg",
        "Folder database",
        "hourly",
    ] {
        assert!(body.contains(survivor), "{survivor}");
    }
    assert!(body.lines().all(|line| {
        !line.starts_with("    - Büro") || line.ends_with("(since 2026-11-22 14:03)")
    }));
}

#[test]
fn thousands_of_folders_are_cut_with_the_troubled_ones_first() {
    let mut sources: Vec<_> = (0..20_000).map(|n| source(&format!("s{n}"))).collect();
    sources[19_999].unprotected = vec![unprotected("lost.txt")];
    let body = report(sources).body();
    assert!(body.len() <= BODY_BYTES_MAX);
    assert!(body.contains("lost.txt"));
    assert!(body.contains("In all:   120,000,000 files"));
    let shown = body.matches("\nFolder ").count();
    let left = text::number(20_000 - shown as u64);
    assert!(body.ends_with(&format!(
        "... and {left} more folders; the figures at the top count them\n"
    )));
}

#[test]
fn one_endless_line_does_not_push_out_the_rest() {
    let mut report = troubled();
    report.sources[1].unprotected[0].path = "ß".repeat(300_000);
    report.sources[1].unprotected[0].remedy = "do ".repeat(300_000);
    report.sources[2].path = "p".repeat(300_000);
    let body = report.body();
    assert!(body.len() <= BODY_BYTES_MAX);
    for survivor in [
        "1,236 files",
        "evil\\u{a}All is well.jpg",
        "create the bucket",
    ] {
        assert!(body.contains(survivor), "{survivor}");
    }
}

#[test]
fn as_json_it_has_the_zones_name() {
    let value = serde_json::to_value(report(vec![source("a")])).unwrap();
    assert_eq!(value["time_zone"], "Europe/Berlin");
    assert_eq!(value["sources"][0]["files_protected"], 6_000);
}

proptest! {
    // Each case lays out a whole report; a few dozen cover the kinds of names.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever names and numbers come in: the bounds hold, no line is forged
    /// (each begins in one of our own ways), nothing panics.
    #[test]
    fn it_always_fits(
        names in proptest::collection::vec(".{0,300}", 1..20),
        lines in 0usize..3_000,
        total: u64,
        ms: i64,
    ) {
        let mut sources: Vec<_> = names.iter().map(|name| source(name)).collect();
        for source in &mut sources {
            source.unprotected = vec![unprotected(&source.name); lines];
            source.unprotected_total = total;
            source.bytes_protected = total;
            source.outage = Some(OutageLine { since_ms: WallMs(ms), ..OutageLine::default() });
        }
        let mut report = report(sources);
        report.computer = names.concat();
        report.from_ms = WallMs(ms);
        let body = report.body();
        prop_assert!(body.len() <= BODY_BYTES_MAX);
        prop_assert!(body.starts_with("ATTENTION: "));
        prop_assert!(!body.contains('\r'));
        let folders = body.lines().filter(|line| line.starts_with("Folder ")).count();
        prop_assert_eq!(folders, names.len());
        let subject = report.subject();
        prop_assert!(subject.len() <= SUBJECT_CHARS_MAX);
        prop_assert!(subject.bytes().all(|b| (b' '..=b'~').contains(&b)));
    }
}

/// Named after the bug: a folder of 50 files that cannot be read counted as one file.
#[test]
fn a_folder_that_cannot_be_read_counts_with_the_files_in_it() {
    let mut source = source("documents");
    source.unprotected = vec![
        UnprotectedLine {
            files_below: 50,
            ..unprotected("closed")
        },
        unprotected("a.txt"),
    ];
    source.unprotected_total = 2;
    let body = report(vec![source]).message().body;
    assert!(body.contains("NOT PROTECTED: 51 files"), "{body}");
    assert!(body.contains("closed and the 50 files in it: "), "{body}");
    assert!(!body.contains("more"), "{body}");
}
