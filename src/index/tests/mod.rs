//! The index as its callers see it, on real sled databases.

mod contents;
mod damage;
mod kill;
mod numbers;
mod outbox;
mod parts;
mod pending;

use super::handle::close;
use super::opening::Opening;
use super::*;
use crate::types::WallMs;
use crate::types::{Class, ContentHash, Fault, Fingerprint, Kind, Record, RelKey, VersionId};
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A state folder and where its index is.
pub(super) fn state() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("index");
    (dir, root)
}

pub(super) fn open(root: &Path) -> Index {
    Index::open(root).unwrap().0
}

pub(super) fn docs(index: &Index) -> SourceId {
    index.source_id("docs", "bucket", "", "aws").unwrap()
}

pub(super) fn key(text: &str) -> RelKey {
    RelKey::parse_full(text).unwrap()
}

/// A record that `seed` decides in every field that counts.
pub(super) fn record(seed: u64) -> Record {
    Record {
        fingerprint: Fingerprint {
            kind: [Kind::File, Kind::File, Kind::Symlink, Kind::Folder][seed as usize % 4],
            size_bytes: seed * 3,
            mtime_ns: 1_795_000_000_000_000_000 + seed as i128,
            ctime_ns: 1_795_000_000_000_000_500 + seed as i64,
            inode: seed,
            mode: 0o644,
            owner: Some((1000, 1000)),
        },
        content: (!seed.is_multiple_of(5)).then(|| ContentHash::of(&seed.to_le_bytes())),
        version_id: VersionId::new(format!("PHtexPGjH2y.zBgT8LmB7wwLI{seed:07}")),
        etag: format!("{seed:032x}").into(),
        stored_bytes: seed * 2,
        stored_at_ms: WallMs(1_795_000_001_000),
        racy: seed.is_multiple_of(7),
        look: if seed.is_multiple_of(3) {
            crate::types::Look::Noise
        } else {
            crate::types::Look::Plain
        },
        attributes: seed.is_multiple_of(11).then_some(seed),
    }
}

pub(super) fn all(index: &Index, source: SourceId) -> Vec<(RelKey, Record)> {
    index.range(source, "", None).map(Result::unwrap).collect()
}

/// The counts as a scan finds them.
pub(super) fn counted(records: &[(RelKey, Record)]) -> Counts {
    let mut counts = Counts::default();
    for (_, record) in records {
        counts.add(record);
    }
    counts
}

#[test]
fn what_is_committed_is_there_after_a_restart() {
    let (_dir, root) = state();
    let (index, opened) = Index::open(&root).unwrap();
    assert_eq!(opened, Opened::Fresh);
    let source = docs(&index);
    let one = Activity {
        versions: 1,
        raw_bytes: 9,
        ..Activity::default()
    };
    index
        .commit(source, &key("a/b"), Change::Put(record(1)), &one)
        .unwrap();
    index
        .commit(source, &key("a/c"), Change::Put(record(2)), &one)
        .unwrap();
    index
        .commit(source, &key("a/c"), Change::Remove, &Activity::default())
        .unwrap();
    index.update(source, &key("a/b"), record(3)).unwrap();
    drop(index);

    let (index, opened) = Index::open(&root).unwrap();
    assert_eq!(opened, Opened::Existing);
    assert_eq!(docs(&index), source);
    assert_eq!(index.get(source, &key("a/b")), Ok(Some(record(3))));
    assert_eq!(index.get(source, &key("a/c")), Ok(None));
    assert_eq!(index.activity(source), one.plus(&one));
    assert_eq!(index.counts(source), counted(&all(&index, source)));
}

#[test]
fn a_second_process_is_told_to_ask_the_first() {
    let (_dir, root) = state();
    let index = open(&root);
    let fatal = Index::open(&root).unwrap_err();
    assert!(fatal.hint.contains("keepwatch status"), "{fatal}");
    assert!(root.join("gen-1").exists());
    drop(index);
    assert_eq!(Index::open(&root).unwrap().1, Opened::Existing);
}

#[cfg(unix)]
#[test]
fn only_the_owner_gets_at_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_dir, root) = state();
    drop(open(&root));
    let _index = open(&root);
    let mut folders = vec![root];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            seen += 1;
            if path.is_dir() {
                folders.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
    assert!(seen > 4);
}

#[test]
fn a_source_that_moved_is_another_and_its_old_records_go() {
    let (_dir, root) = state();
    let index = open(&root);
    let first = docs(&index);
    let other = index.source_id("photos", "bucket", "p/", "aws").unwrap();
    let records: Vec<_> = (0..1200)
        .map(|i| (key(&format!("f{i}")), record(i)))
        .collect();
    index.import(first, &records).unwrap();
    index.import(other, &records[..3]).unwrap();
    let fault = Fault::new(Class::Unreadable, "read", "x", "denied");
    index
        .mark_unprotected(first, &key("x"), &fault, WallMs(1), WallMs(2))
        .unwrap();
    index
        .source_state_set(first, "compared", &true.into())
        .unwrap();

    let second = index.source_id("docs", "bucket", "", "vault").unwrap();
    assert!(second != first && second != other);
    assert_eq!(all(&index, first), []);
    assert_eq!(index.source_state_get(first, "compared"), Ok(None));
    assert_eq!(index.next_due(first), Ok(None));
    assert!(index.update(first, &key("f1"), record(1)).is_err());
    assert_eq!(all(&index, other), records[..3].to_vec().tap_sort());
    index.retain_sources(&[second]).unwrap();
    assert_eq!(all(&index, other), []);
    // Ids are not used again, not even after a restart.
    drop(index);
    let index = open(&root);
    let back = docs(&index);
    assert!(back > second, "{back:?}");
}

trait TapSort {
    fn tap_sort(self) -> Self;
}
impl TapSort for Vec<(RelKey, Record)> {
    fn tap_sort(mut self) -> Self {
        self.sort_by(|a, b| a.0.cmp(&b.0));
        self
    }
}
