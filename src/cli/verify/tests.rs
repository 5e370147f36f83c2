//! Exit codes, and what an owner gets to read.

use super::progress::line;
use super::verdict::exit_code;
use super::words::{not_there, verdict, words};
use crate::cli::exit_code::{COMPLETE, FAILED, PARTIAL};
use crate::types::WallMs;
use crate::types::{Class, Fault, VersionId};
use crate::verify::{Damage, Finding, Progress, Repair, Verified, WholeVersion};
use jiff::tz::TimeZone;
use std::time::Duration;

fn finding() -> Finding {
    Finding {
        source: "office".into(),
        path: "Büro/my offer.pdf".into(),
        key: Some("Büro/my offer.pdf".into()),
        damage: Damage::Altered,
        why: "SHA-256 differs".into(),
        version_id: VersionId::new("v7"),
        stored_at_ms: Some(WallMs(1_700_000_000_000)),
        is_older: false,
        is_on_disk: Some(true),
        whole: None,
        repair: None,
    }
}

/// One version was looked at.
fn looked() -> Verified {
    let mut looked = Verified::default();
    looked.progress.looked = 1;
    looked
}

#[test]
fn exit_codes() {
    let well = looked();
    let mut found = looked();
    found.found(finding());
    let mut mended = found.clone();
    mended.findings[0].repair = Some(Repair::Done);
    let mut not_looked = looked();
    not_looked.not_looked(Fault::new(Class::Transient, "look up", "a", "reset"));
    let mistyped = Verified {
        unmatched: vec!["b.tx".to_owned()],
        ..looked()
    };
    let there = Verified {
        matched: mistyped.unmatched.clone(),
        ..looked()
    };
    for (results, want) in [
        (vec![], COMPLETE),
        // In one source of several it is there.
        (vec![there, mistyped.clone()], COMPLETE),
        (vec![well.clone(), mistyped], FAILED),
        (vec![well.clone(), mended], COMPLETE),
        (vec![well.clone(), not_looked.clone()], FAILED),
        (vec![not_looked, found], PARTIAL),
        // Named after the bug: "All is well" was said of a bucket in which nothing is.
        (vec![Verified::default(), Verified::default()], FAILED),
        (vec![Verified::default(), well.clone()], COMPLETE),
    ] {
        assert_eq!(exit_code(&results), want, "{results:?}");
    }
}

#[test]
fn a_finding_says_what_is_wrong_and_what_to_do() {
    let zone = TimeZone::UTC;
    for (name, finding, want) in [
        (
            "on disk",
            finding(),
            // As the shell of the system reads it.
            match cfg!(windows) {
                true => "what to do: keepwatch verify --deep --repair \"Büro/my offer.pdf\"",
                false => "what to do: keepwatch verify --deep --repair 'Büro/my offer.pdf'",
            },
        ),
        (
            "gone",
            Finding {
                is_on_disk: Some(false),
                whole: Some(WholeVersion {
                    version_id: VersionId::new("v6"),
                    stored_at_ms: WallMs(1_699_999_000_000),
                }),
                ..finding()
            },
            match cfg!(windows) {
                true => {
                    "the version of 2023-11-14 21:56:40 is whole: keepwatch restore \"Büro/my offer.pdf\" --at \"2023-11-14 21:56:40\""
                }
                false => {
                    "the version of 2023-11-14 21:56:40 is whole: keepwatch restore 'Büro/my offer.pdf' --at \"2023-11-14 21:56:40\""
                }
            },
        ),
        (
            "repaired",
            Finding {
                repair: Some(Repair::Done),
                ..finding()
            },
            "stored again and verified. The version of 2023-11-14 22:13:20 stays damaged and cannot be mended",
        ),
        (
            "in vain",
            Finding {
                repair: Some(Repair::Failed("offline".into())),
                ..finding()
            },
            "repairing it did not work: offline",
        ),
        (
            "older",
            Finding {
                is_older: true,
                ..finding()
            },
            "older version of 2023-11-14 22:13:20 (v7)",
        ),
    ] {
        let text = words(&finding, &zone).join("\n");
        assert!(text.contains(want), "{name}: {text}");
        assert!(text.contains("ALTERED"), "{name}: {text}");
    }
}

#[test]
fn the_verdict_says_no_more_than_what_is_mended() {
    let mut mended = looked();
    mended.found(finding());
    mended.findings[0].repair = Some(Repair::Done);
    let current = verdict(std::slice::from_ref(&mended));
    assert_eq!(
        current,
        "The current state of everything that was looked at can be restored. 1 older version is damaged or gone, and that stays so: see below."
    );
    mended.all_versions = true;
    assert_eq!(exit_code(std::slice::from_ref(&mended)), PARTIAL);
    assert!(verdict(std::slice::from_ref(&mended)).starts_with("NOT everything"));
    mended.findings[0].damage = Damage::Returned;
    let verdict = verdict(&[mended]);
    assert_eq!(
        verdict,
        "The current state of everything that was looked at can be restored."
    );
}

/// Named after the bug: each source said by itself what it lacks and what was meant, also when
/// another source has it.
#[test]
fn what_no_source_has_is_said_once_with_what_was_meant() {
    let verified = |matched: &[&str], unmatched: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Verified {
            matched: texts(matched),
            unmatched: texts(unmatched),
            near: vec!["b.txt".to_owned()],
            ..looked()
        }
    };
    let lines = not_there(&[verified(&["a"], &["b.tx"]), verified(&[], &["a", "b.tx"])]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("NOT FOUND") && lines[0].contains("b.tx"),
        "{lines:?}"
    );
    assert!(lines[1].ends_with("there is: b.txt"), "{lines:?}");
    assert!(not_there(&[verified(&["a"], &[]), verified(&[], &["a"])]).is_empty());
}

#[test]
fn a_line_says_how_far_it_is() {
    let progress = Progress {
        manifests: 0,
        seen: 9,
        looked: 1_200,
        hashed: 30,
        hashed_bytes: 3_400_000,
        found: 1,
    };
    assert_eq!(
        line(&progress, Duration::from_secs(2)),
        "1,200 versions looked at, 30 hashed (3.4 MB, 1.7 MB/s), 1 FOUND DAMAGED"
    );
}

/// Named after the bug: the backup's own list was counted as a file, 7 for 6.
#[test]
fn manifests_are_no_versions_of_files() {
    let progress = Progress {
        looked: 6,
        manifests: 1,
        ..Progress::default()
    };
    let text = line(&progress, Duration::from_secs(1));
    assert_eq!(text, "6 versions and 1 manifest looked at");
}
