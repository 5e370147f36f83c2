//! Every kind of disagreement between record, listing and HEAD, row by row.

use super::*;
use crate::manifest::ManifestEntry;
use crate::s3::BytesAre;
use crate::types::{Fingerprint, Look, VersionId, id_text};

fn record() -> Record {
    Record {
        fingerprint: Fingerprint {
            kind: Kind::File,
            size_bytes: 5,
            mtime_ns: 7,
            ctime_ns: 8,
            inode: 3,
            mode: 0o644,
            owner: None,
        },
        content: Some(ContentHash::of(b"hello")),
        version_id: VersionId::new("v2"),
        etag: "e2".into(),
        stored_bytes: 5,
        stored_at_ms: 0,
        racy: false,
        look: Look::Plain,
        attributes: None,
    }
}

fn listed(version_id: &str, etag: &str, stored_bytes: u64) -> ListedVersion {
    ListedVersion {
        key: "a".into(),
        version_id: VersionId::new(version_id),
        is_latest: true,
        is_marker: version_id.starts_with('x'),
        etag: etag.into(),
        stored_bytes,
        modified_ms: 1,
        storage_class: String::new(),
    }
}

/// These versions of one key, newest first.
fn versions_of(versions: &[ListedVersion]) -> Option<KeyVersions> {
    let (first, rest) = versions.split_first()?;
    let pinned = VersionId::new("v2");
    let mut all = KeyVersions::of(first.clone(), pinned.as_ref());
    rest.iter().for_each(|v| all.older(v, pinned.as_ref()));
    Some(all)
}

fn describe(next: Next) -> String {
    match next {
        Next::Nothing => "nothing".into(),
        Next::Wrong((damage, _), _) => format!("{damage:?}"),
        Next::Look(version, expect) => {
            let how = match expect {
                Expect::Recorded(_) => "recorded",
                Expect::NewerThan(_) => "newer",
                Expect::Unrecorded => "unrecorded",
                Expect::Itself => "itself",
            };
            format!("{} {how}", id_text(&version.version_id))
        }
    }
}

#[test]
fn a_record_and_its_versions() {
    let (v1, v2, v3) = (
        listed("v1", "e1", 5),
        listed("v2", "e2", 5),
        listed("v3", "e3", 9),
    );
    let marker = listed("x", "", 0);
    let known = record();
    let unverified = Record {
        content: None,
        ..record()
    };
    let unversioned = Record {
        version_id: None,
        ..record()
    };
    for (name, record, versions, want) in [
        (
            "as it was",
            Some(&known),
            vec![v2.clone(), v1.clone()],
            "v2 recorded",
        ),
        ("nothing left", Some(&known), vec![], "Missing"),
        (
            "marked",
            Some(&known),
            vec![marker.clone(), v2.clone()],
            "MarkedDeleted",
        ),
        ("newest gone", Some(&known), vec![v1.clone()], "VersionGone"),
        (
            "newer",
            Some(&known),
            vec![v3.clone(), v2.clone()],
            "v3 newer",
        ),
        (
            "shorter",
            Some(&known),
            vec![listed("v2", "e2", 4)],
            "Truncated",
        ),
        (
            "longer",
            Some(&known),
            vec![listed("v2", "e2", 6)],
            "Altered",
        ),
        (
            "other ETag",
            Some(&known),
            vec![listed("v2", "f", 5)],
            "Altered",
        ),
        (
            "no ETag listed",
            Some(&known),
            vec![listed("v2", "", 5)],
            "v2 recorded",
        ),
        (
            "unverified",
            Some(&unverified),
            vec![v3.clone()],
            "v3 itself",
        ),
        (
            "doubted, nothing there",
            Some(&unverified),
            vec![],
            "nothing",
        ),
        (
            "no versions kept",
            Some(&unversioned),
            vec![v1.clone()],
            "v1 recorded",
        ),
        ("unknown", None, vec![v1.clone()], "v1 unrecorded"),
        ("deleted", None, vec![marker, v1], "nothing"),
        ("never there", None, vec![], "nothing"),
    ] {
        let next = by_listing(record, versions_of(&versions).as_ref());
        assert_eq!(describe(next), want, "{name}");
    }
}

fn meta() -> ObjectMeta {
    ObjectMeta {
        seen_ms: None,
        beside: None,
        sparse_bytes: None,
        attributes: crate::types::Carried::Nothing,
        kind: Kind::File,
        content: Some(ContentHash::of(b"hello")),
        size_bytes: 5,
        mtime_ns: 7,
        mode: 0o644,
        owner: None,
        symlink_target: None,
        is_torn: false,
        full_key: None,
    }
}

fn head(meta: Result<ObjectMeta, MetaRefused>) -> Head {
    Head {
        version_id: VersionId::new("v2"),
        etag: "e2".into(),
        stored_bytes: 5,
        gzip: false,
        meta,
        bytes_are: BytesAre::default(),
    }
}

fn with(change: impl FnOnce(&mut ObjectMeta)) -> Head {
    let mut meta = meta();
    change(&mut meta);
    head(Ok(meta))
}

fn sums(of: &[u8], gzip: bool) -> Head {
    Head {
        gzip,
        bytes_are: BytesAre {
            sha256: Some(ContentHash::of(of)),
            ..BytesAre::default()
        },
        ..head(Ok(meta()))
    }
}

#[test]
fn a_record_and_what_the_object_says() {
    let key = RelKey::parse("a").unwrap();
    for (name, head, want) in [
        ("as it was", head(Ok(meta())), None),
        ("sum", sums(b"hello", false), None),
        ("sum differs", sums(b"jello", false), Some(Damage::Altered)),
        ("false gzip", sums(b"hello", true), Some(Damage::Metadata)),
        ("packed sum", sums(b"packed", true), None),
        (
            "stripped",
            head(Err(MetaRefused::Foreign)),
            Some(Damage::Metadata),
        ),
        (
            "broken",
            head(Err(MetaRefused::Broken("size"))),
            Some(Damage::Metadata),
        ),
        (
            "newer format",
            head(Err(MetaRefused::Newer(9))),
            Some(Damage::Metadata),
        ),
        (
            "hash",
            with(|m| m.content = Some(ContentHash::of(b"x"))),
            Some(Damage::Metadata),
        ),
        ("size", with(|m| m.size_bytes = 6), Some(Damage::Truncated)),
        (
            "kind",
            with(|m| m.kind = Kind::Symlink),
            Some(Damage::Metadata),
        ),
        (
            "folder",
            with(|m| m.kind = Kind::Folder),
            Some(Damage::Metadata),
        ),
        ("mode", with(|m| m.mode = 0o777), Some(Damage::Metadata)),
        ("time", with(|m| m.mtime_ns = 0), Some(Damage::Metadata)),
        ("owner", with(|m| m.owner = Some((0, 0))), None),
        (
            "ETag",
            Head {
                etag: "f".into(),
                ..head(Ok(meta()))
            },
            Some(Damage::Altered),
        ),
    ] {
        let wrong = by_record(&key, &record(), &head);
        assert_eq!(wrong.map(|(damage, _)| damage), want, "{name}");
    }
}

/// Named after the bug: after a recovery on a new computer every file was told as
/// damaged, since its accounts have other numbers.
#[test]
fn what_was_taken_over_from_another_computer_has_another_owner_and_is_whole() {
    let key = RelKey::parse("a").unwrap();
    let theirs = Record {
        fingerprint: Fingerprint {
            owner: Some((1000, 1000)),
            ..record().fingerprint
        },
        ..record()
    };
    let disk = Fingerprint {
        owner: Some((2000, 2000)),
        ..theirs.fingerprint
    };
    for (version_id, theirs_owner) in [("v2", Some((1000, 1000))), ("v2", None)] {
        let theirs = Record {
            version_id: VersionId::new(version_id),
            fingerprint: Fingerprint {
                owner: theirs_owner,
                ..theirs.fingerprint
            },
            ..theirs.clone()
        };
        let line = ManifestEntry::of(&key, &theirs, "", None).unwrap();
        let taken = line.record(&disk, true).unwrap();
        assert_eq!(taken.fingerprint.owner, disk.owner);
        let stored = |change: fn(&mut ObjectMeta)| {
            with(|meta| {
                meta.owner = theirs_owner;
                change(meta);
            })
        };
        assert_eq!(by_record(&key, &taken, &stored(|_| ())), None);
        // Everything else still counts.
        let other = by_record(&key, &taken, &stored(|meta| meta.mode = 0o777));
        assert_eq!(other.map(|(damage, _)| damage), Some(Damage::Metadata));
    }
    // Where no version is kept, the metadata can change: nothing is taken over,
    // and the owner is compared.
    for version_id in ["", "null"] {
        let kept = Record {
            version_id: VersionId::new(version_id),
            ..theirs.clone()
        };
        let line = ManifestEntry::of(&key, &kept, "", None).unwrap();
        assert_eq!(line.record(&disk, true), None);
        let wrong = by_record(&key, &kept, &with(|meta| meta.owner = Some((0, 0))));
        let (damage, why) = wrong.unwrap();
        assert!(damage == Damage::Metadata && why.contains("kw-owner"));
    }
}

#[test]
fn a_newer_version_is_ours_or_somebody_elses() {
    let key = RelKey::parse("a").unwrap();
    let other = ContentHash::of(b"other");
    let is_overwritten = |newer: &Newer| matches!(newer, Newer::Wrong((Damage::Overwritten, _)));
    let of = |head: &Head| newer(&key, &record(), head);
    assert_eq!(of(&with(|m| m.mode = 0o600)), Newer::Ours);
    assert_eq!(
        of(&with(|m| m.content = Some(other))),
        Newer::IfOnDisk(other)
    );
    assert!(is_overwritten(&of(&head(Err(MetaRefused::Foreign)))));
    assert!(is_overwritten(&of(&head(Err(MetaRefused::Broken("size"))))));
}

#[test]
fn cold_classes() {
    for (class, want) in [
        ("STANDARD", false),
        ("GLACIER_IR", false),
        ("GLACIER", true),
        ("DEEP_ARCHIVE", true),
    ] {
        assert_eq!(is_cold(class), want, "{class}");
    }
}

/// What a HEAD says (or that the version is gone), measured by every expectation.
#[test]
fn a_version_is_measured_by_what_is_expected_of_it() {
    let key = RelKey::parse("a").unwrap();
    let recorded = || Expect::Recorded(Box::new(record()));
    let newer_than = || Expect::NewerThan(Box::new(record()));
    let (ours, other) = (head(Ok(meta())), ContentHash::of(b"other"));
    let edited = with(|meta| meta.content = Some(other));
    let foreign = head(Err(MetaRefused::Foreign));
    let wrong = |damage| Err(Some(damage));
    for (why, key, expect, head, want) in [
        (
            "gone, and recorded",
            Some(&key),
            recorded(),
            None,
            wrong(Damage::VersionGone),
        ),
        (
            "gone, shortened and recorded",
            None,
            recorded(),
            None,
            wrong(Damage::VersionGone),
        ),
        ("gone, replaced", Some(&key), newer_than(), None, Err(None)),
        (
            "gone, not recorded",
            Some(&key),
            Expect::Unrecorded,
            None,
            Err(None),
        ),
        (
            "gone, by itself",
            Some(&key),
            Expect::Itself,
            None,
            Err(None),
        ),
        ("as recorded", Some(&key), recorded(), Some(&ours), Ok(None)),
        (
            "not as recorded",
            Some(&key),
            recorded(),
            Some(&edited),
            wrong(Damage::Metadata),
        ),
        (
            "newer, the same content",
            Some(&key),
            newer_than(),
            Some(&ours),
            Ok(None),
        ),
        (
            "newer, perhaps the file on disk",
            Some(&key),
            newer_than(),
            Some(&edited),
            Ok(Some(other)),
        ),
        (
            "newer, another program's",
            Some(&key),
            newer_than(),
            Some(&foreign),
            wrong(Damage::Overwritten),
        ),
        (
            "a shortened key has no record yet",
            None,
            newer_than(),
            Some(&foreign),
            Ok(None),
        ),
        (
            "by itself",
            Some(&key),
            Expect::Itself,
            Some(&edited),
            Ok(None),
        ),
        (
            "not recorded",
            Some(&key),
            Expect::Unrecorded,
            Some(&foreign),
            Ok(None),
        ),
    ] {
        let got = match by_expectation(key, &expect, head) {
            Measured::AsExpected => Ok(None),
            Measured::IfOnDisk(_, content) => Ok(Some(content)),
            Measured::Moving => Err(None),
            Measured::Wrong((damage, _)) => Err(Some(damage)),
        };
        assert_eq!(got, want, "{why}");
    }
}

#[test]
fn what_has_no_record_was_returned_only_if_its_deletion_was_marked() {
    for (kind, is_gone, marks, want) in [
        (Kind::File, false, true, "on its way"),
        (Kind::Folder, true, true, "on its way"),
        (Kind::File, true, false, "kept"),
        (Kind::File, true, true, "returned"),
        (Kind::Symlink, true, true, "returned"),
    ] {
        let got = match unrecorded(kind, is_gone, marks) {
            Unrecorded::OnItsWay => "on its way",
            Unrecorded::Kept => "kept",
            Unrecorded::Returned((damage, _)) => {
                assert_eq!(damage, Damage::Returned);
                "returned"
            }
        };
        assert_eq!(got, want, "{kind:?} {is_gone} {marks}");
    }
}

#[test]
fn what_changed_meanwhile_is_no_finding() {
    let (then, now) = (
        record(),
        Record {
            version_id: VersionId::new("v3"),
            ..record()
        },
    );
    let recorded = || Expect::Recorded(Box::new(then.clone()));
    for (expect, record, want) in [
        (recorded(), Some(&then), false),
        (recorded(), Some(&now), true),
        (recorded(), None, true),
        (Expect::NewerThan(Box::new(then.clone())), Some(&now), true),
        (Expect::Unrecorded, None, false),
        (Expect::Unrecorded, Some(&now), true),
        (Expect::Itself, Some(&now), false),
    ] {
        assert_eq!(has_changed(&expect, record), want, "{expect:?}");
    }
    for (damage, is_on_disk, want) in [
        (Damage::MarkedDeleted, Some(false), true),
        (Damage::MarkedDeleted, Some(true), false),
        (Damage::MarkedDeleted, None, false),
        (Damage::Missing, Some(false), false),
    ] {
        assert_eq!(
            is_own_marker(damage, is_on_disk),
            want,
            "{damage:?} {is_on_disk:?}"
        );
    }
    for (bytes, gzip, want) in [
        (4, false, Damage::Truncated),
        (4, true, Damage::Altered),
        (5, false, Damage::Altered),
    ] {
        assert_eq!(by_content(bytes, 5, gzip), want, "{bytes} {gzip}");
    }
}
