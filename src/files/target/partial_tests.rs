//! Large files that take several runs, and what may lie in their way.

use super::*;
use crate::files::temp;
use crate::files::temp::is_temporary;
use crate::os;
use crate::os::testing::make_link;
use std::path::Path;

fn p(text: &str) -> RelPath {
    RelPath::from_bytes(text).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = dir
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn at(bytes: &[u8], source_bytes: u64) -> Checkpoint {
    Checkpoint {
        source_bytes,
        file_bytes: bytes.len() as u64,
        hash: ContentHash::of(bytes),
    }
}

/// A run that is cut short after a checkpoint and some bytes more.
fn begun(target: &Target, version: &str) {
    let (mut pending, from) = target.begin_partial(&p("d/f"), true, version).unwrap();
    assert!(from.is_none());
    pending.write(b"safe").unwrap();
    pending.checkpoint(&at(b"safe", 7)).unwrap();
    pending.write(b"unsafe").unwrap();
}

#[test]
fn a_later_run_goes_on_from_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    begun(&target, "v1");
    let left = names(&dir.path().join("d"));
    assert!(
        left.len() == 2 && left.iter().all(|n| is_temporary(n.as_bytes())),
        "{left:?}"
    );
    if os::HAS_MODES {
        for name in &left {
            let file = std::fs::File::open(dir.path().join("d").join(name)).unwrap();
            assert_eq!(os::fingerprint_of(&file).unwrap().mode, 0o600);
        }
    }
    assert_eq!(target.partial_bytes(&p("d/f"), "v1"), 10);
    assert_eq!(target.partial_bytes(&p("d/f"), "v2"), 0);
    let (mut pending, from) = target.begin_partial(&p("d/f"), true, "v1").unwrap();
    let (known, hasher) = from.unwrap();
    assert_eq!(known, at(b"safe", 7));
    assert_eq!(hasher.finish(), known.hash);
    pending.write(b" and sound").unwrap();
    pending.commit(false, 0o644, 5, None).unwrap();
    assert_eq!(names(&dir.path().join("d")), ["f"]);
    let content = std::fs::read(dir.path().join("d/f")).unwrap();
    assert_eq!(content, b"safe and sound");
}

#[test]
fn what_the_note_does_not_bear_out_is_begun_anew() {
    type Spoil = fn(&Path, &Path);
    let ways: [(&str, Spoil); 6] = [
        ("changed content", |file, _| {
            std::fs::write(file, "sAfe and more").unwrap()
        }),
        ("shorter file", |file, _| {
            std::fs::write(file, "sa").unwrap()
        }),
        ("no note", |_, note| std::fs::remove_file(note).unwrap()),
        ("empty note", |_, note| std::fs::write(note, "").unwrap()),
        ("another note", |_, note| {
            std::fs::write(note, "keepwatch-partial 2 1 1 00\n").unwrap()
        }),
        ("longer note", |_, note| {
            let text = std::fs::read_to_string(note).unwrap();
            std::fs::write(note, format!("{text}x")).unwrap();
        }),
    ];
    for (name, spoil) in ways {
        let dir = tempfile::tempdir().unwrap();
        let target = Target::open(dir.path()).unwrap();
        begun(&target, "v1");
        let left = names(&dir.path().join("d"));
        let at = |name: &String| dir.path().join("d").join(name);
        spoil(&at(&left[0]), &at(&left[1]));
        let (mut pending, from) = target.begin_partial(&p("d/f"), true, "v1").unwrap();
        assert!(from.is_none(), "{name}");
        pending.write(b"new").unwrap();
        pending.commit(false, 0o644, 5, None).unwrap();
        assert_eq!(
            std::fs::read(dir.path().join("d/f")).unwrap(),
            b"new",
            "{name}"
        );
        assert_eq!(names(&dir.path().join("d")), ["f"], "{name}");
    }
}

#[test]
fn other_versions_are_cleared_away_and_other_files_left() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    begun(&target, "v1");
    let (mut other, _) = target.begin_partial(&p("d/g"), true, "v1").unwrap();
    other.checkpoint(&at(b"", 0)).unwrap();
    let (pending, from) = target.begin_partial(&p("d/f"), true, "v2").unwrap();
    assert!(from.is_none());
    assert_eq!(names(&dir.path().join("d")).len(), 3, "g, its note and f");
    // One that is being written is nobody else's to clear away.
    let (_second, _) = target.begin_partial(&p("d/f"), true, "v3").unwrap();
    assert_eq!(names(&dir.path().join("d")).len(), 4);
    drop(pending);
    other.discard();
    assert_eq!(names(&dir.path().join("d")).len(), 1);
}

#[test]
fn two_at_once_do_not_share_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let (mut one, _) = target.begin_partial(&p("f"), true, "v1").unwrap();
    let (mut two, _) = target.begin_partial(&p("f"), true, "v1").unwrap();
    one.write(b"one").unwrap();
    two.write(b"two").unwrap();
    two.checkpoint(&at(b"two", 3)).unwrap();
    two.commit(false, 0o644, 5, None).unwrap();
    one.commit(true, 0o644, 5, None).unwrap();
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), b"one");
    assert_eq!(names(dir.path()), ["f"]);
}

#[test]
fn dropped_without_a_checkpoint_it_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let (mut pending, _) = target.begin_partial(&p("f"), true, "v1").unwrap();
    pending.write(b"half").unwrap();
    drop(pending);
    assert!(names(dir.path()).is_empty());
}

/// The name can be foretold by whoever knows the bucket.
#[test]
fn what_somebody_put_under_the_name_is_not_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let name = temp::partial_name(&temp::tag(b"f"), &temp::tag(b"v1"));
    let (trap, victim) = (dir.path().join(&name), dir.path().join("victim"));
    std::fs::write(&victim, "precious").unwrap();
    type Plant = fn(&Path, &Path) -> bool;
    let ways: [(&str, Plant); 3] = [
        ("link", |victim, trap| make_link(victim, trap)),
        ("second name", |victim, trap| {
            std::fs::hard_link(victim, trap).is_ok()
        }),
        ("folder", |_, trap| std::fs::create_dir(trap).is_ok()),
    ];
    for (what, plant) in ways {
        if !plant(&victim, &trap) || !os::HAS_MODES {
            continue;
        }
        let (mut pending, from) = target.begin_partial(&p("f"), true, "v1").unwrap();
        assert!(from.is_none());
        pending.write(b"mine").unwrap();
        pending.commit(true, 0o644, 5, None).unwrap();
        assert_eq!(
            std::fs::read(dir.path().join("f")).unwrap(),
            b"mine",
            "{what}"
        );
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious", "{what}");
        let _ = std::fs::remove_file(&trap);
        let _ = std::fs::remove_dir(&trap);
    }
}

/// A checkpoint in the middle of a hole: the file must be as long as that.
#[test]
fn a_later_run_goes_on_within_a_hole() {
    const HOLE_BYTES: usize = 300_000;
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let begin = || target.begin_partial(&p("f"), true, "v1").unwrap();
    let mut all = [&b"head"[..], &[0; HOLE_BYTES]].concat();
    let (mut pending, _) = begin();
    pending.leave_holes();
    pending.write(&all).unwrap();
    pending.checkpoint(&at(&all, 9)).unwrap();
    pending.write(&[0; 5_000]).unwrap();
    pending.write(b"lost").unwrap();
    drop(pending);
    let (mut pending, from) = begin();
    assert_eq!(from.unwrap().0, at(&all, 9));
    pending.leave_holes();
    pending.write(&[0; HOLE_BYTES]).unwrap();
    pending.write(b"tail").unwrap();
    pending.write(&[0; HOLE_BYTES]).unwrap();
    pending.commit(false, 0o644, 5, None).unwrap();
    all.resize(all.len() + HOLE_BYTES, 0);
    all.extend(b"tail");
    all.resize(all.len() + HOLE_BYTES, 0);
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), all);
    let mut file = std::fs::File::open(dir.path().join("f")).unwrap();
    let on_disk = os::sparse_bytes(&mut file).unwrap();
    assert_eq!(on_disk.is_some(), cfg!(target_os = "linux"));
    assert!(on_disk.unwrap_or(0) <= 3 * 4096, "{on_disk:?}");
}
