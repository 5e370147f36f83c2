//! Part lists: they come and go with the version that they describe.

use super::*;
use crate::index::engine::Batch;
use crate::index::keys::Space;
use crate::types::{Crc64, Parts, Segment};

fn list(record: &Record, segments: usize) -> Parts {
    let segment = |i: usize| Segment {
        raw_bytes: 8 << 20,
        stored_bytes: (5 << 20) + i as u64,
        sha256: ContentHash::of(&i.to_le_bytes()),
        crc64: Crc64(i as u64),
    };
    Parts {
        version_id: record.version_id.clone(),
        etag: record.etag.clone(),
        gzip: true,
        segments: (0..segments).map(segment).collect(),
    }
}

fn entries(index: &Index) -> usize {
    let low = [Space::Parts as u8];
    let end = crate::index::keys::end_of(&low);
    let engine = index.engine().unwrap();
    let page = engine.page(std::ops::Bound::Included(&low), &end, 10_000);
    page.unwrap().len()
}

const NONE: Activity = Activity {
    versions: 0,
    files_new: 0,
    raw_bytes: 0,
    stored_bytes: 0,
    saved_bytes: 0,
    deletions: 0,
    metadata_updates: 0,
    requests: 0,
};

#[test]
fn a_list_stays_with_its_version_and_goes_with_it() {
    let (_dir, root) = state();
    let mut index = open(&root);
    let source = docs(&index);
    let (a, b) = (key("big"), key("big.1"));
    let (one, two) = (record(1), record(2));
    let put = |index: &Index, key: &RelKey, record: &Record, segments: Option<usize>| {
        let parts = segments.map(|n| list(record, n));
        index
            .commit_parts(source, key, record.clone(), parts, &NONE)
            .unwrap();
    };
    // As long as a list may be; a neighbour whose key begins the same.
    put(&index, &a, &one, Some(10_000));
    put(&index, &b, &two, Some(3));
    drop(index);
    index = open(&root);
    assert_eq!(docs(&index), source);
    assert_eq!(index.parts(source, &a), Ok(Some(list(&one, 10_000))));
    assert_eq!(index.parts(source, &b), Ok(Some(list(&two, 3))));

    // What keeps the version keeps the list.
    let touched = Record {
        racy: !one.racy,
        ..one.clone()
    };
    index.update(source, &a, touched).unwrap();
    assert_eq!(index.parts(source, &a), Ok(Some(list(&one, 10_000))));
    // A shorter list leaves nothing of the longer one.
    put(&index, &a, &record(5), Some(2));
    assert_eq!(index.parts(source, &a), Ok(Some(list(&record(5), 2))));
    assert_eq!(entries(&index), 2);

    // Another version, without a list, by each way that writes records.
    for step in 0..4 {
        put(&index, &a, &one, Some(2));
        match step {
            0 => index.update(source, &a, two.clone()).unwrap(),
            1 => index.import(source, &[(a.clone(), two.clone())]).unwrap(),
            2 => put(&index, &a, &two, None),
            _ => index.commit(source, &a, Change::Remove, &NONE).unwrap(),
        }
        assert_eq!(index.parts(source, &a), Ok(None), "{step}");
        assert_eq!(entries(&index), 1, "{step}");
    }
    assert_eq!(index.parts(source, &b), Ok(Some(list(&two, 3))));
}

#[test]
fn what_is_too_long_or_of_another_version_is_not_kept() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    for parts in [list(&record(1), 10_001), list(&record(2), 1)] {
        index
            .commit_parts(source, &key("a"), record(1), Some(parts), &NONE)
            .unwrap();
        assert_eq!(index.parts(source, &key("a")), Ok(None));
        assert_eq!(entries(&index), 0);
    }
}

#[test]
fn a_list_that_cannot_be_read_is_none_and_no_damage() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    let parts = Some(list(&record(1), 1));
    index
        .commit_parts(source, &key("a"), record(1), parts, &NONE)
        .unwrap();
    let mut batch = Batch::default();
    let stored = Space::Parts.key(source, b"a\0\0\0");
    batch.put(stored, b"?");
    index.engine().unwrap().apply(batch).unwrap();
    assert_eq!(index.parts(source, &key("a")), Ok(None));
    assert_eq!(index.broken(), None);
    drop(index);
    let (index, opened) = Index::open(&root).unwrap();
    assert_eq!(opened, Opened::Existing);
    assert_eq!(index.parts(source, &key("a")), Ok(None));
    assert_eq!(index.get(source, &key("a")), Ok(Some(record(1))));
}

#[test]
fn the_lists_of_a_source_that_leaves_go() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    let parts = Some(list(&record(1), 200));
    index
        .commit_parts(source, &key("a"), record(1), parts, &NONE)
        .unwrap();
    assert!(entries(&index) > 1);
    index.retain_sources(&[]).unwrap();
    assert_eq!(entries(&index), 0);
}
