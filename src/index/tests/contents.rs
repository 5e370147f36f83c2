//! Where contents are: with a path, or with a version of the last day.

use super::*;
use crate::index::contents::{COPY_FROM_BYTES, Elsewhere, PAST_MS};
use crate::types::WallMs;
use crate::types::{ETag, VersionId, id_text};

const SIZE: u64 = 10_000;

/// A version `version` of content `content`.
fn of(content: &str, version: &str) -> Record {
    let mut record = record(4);
    record.fingerprint.kind = Kind::File;
    record.fingerprint.size_bytes = SIZE;
    Record {
        content: Some(ContentHash::of(content.as_bytes())),
        version_id: VersionId::new(version),
        etag: format!("{version}-1").into(),
        stored_bytes: 77,
        ..record
    }
}

fn put(index: &Index, source: SourceId, path: &str, record: Record) {
    let change = Change::Put(record);
    let none = Activity::default();
    index.commit(source, &key(path), change, &none).unwrap();
}

fn remove(index: &Index, source: SourceId, path: &str) {
    let none = Activity::default();
    index
        .commit(source, &key(path), Change::Remove, &none)
        .unwrap();
}

fn find(index: &Index, source: SourceId, content: &str) -> Option<Elsewhere> {
    let content = ContentHash::of(content.as_bytes());
    index.elsewhere(source, &content, SIZE).unwrap()
}

/// `path@version`, with `!` behind a past one; empty for none.
fn found(index: &Index, source: SourceId, content: &str) -> String {
    find(index, source, content).map_or(String::new(), |at| {
        assert_eq!(*at.etag, format!("{}-1", id_text(&at.version_id)));
        assert_eq!(at.stored_bytes, 77);
        let past = if at.is_live { "" } else { "!" };
        format!("{}@{}{past}", at.key.as_str(), id_text(&at.version_id))
    })
}

#[test]
fn a_content_is_known_with_its_path_and_for_a_day_after() {
    let (_dir, root) = state();
    let mut index = open(&root);
    let source = docs(&index);
    let other = index.source_id("other", "b", "", "aws").unwrap();
    put(&index, source, "a", of("one", "v1"));
    assert_eq!(found(&index, source, "one"), "a@v1");
    assert_eq!(found(&index, other, "one"), "");
    assert_eq!(found(&index, source, "two"), "");
    // Another size is another content, whatever the hash.
    let one = ContentHash::of(b"one");
    assert_eq!(index.elsewhere(source, &one, SIZE + 1), Ok(None));

    // A rename, creation first; then the other way round.
    put(&index, source, "b", of("one", "v2"));
    assert_eq!(found(&index, source, "one"), "a@v1");
    remove(&index, source, "a");
    assert_eq!(found(&index, source, "one"), "a@v1!");
    put(&index, source, "c", of("one", "v3"));
    assert_eq!(found(&index, source, "one"), "c@v3");
    // Metadata alone makes another version of it.
    put(&index, source, "c", of("one", "v4"));
    assert_eq!(found(&index, source, "one"), "c@v4");

    // Replaced content; and after a restart.
    put(&index, source, "c", of("two", "v5"));
    drop(index);
    let (again, opened) = Index::open(&root).unwrap();
    assert_eq!(opened, Opened::Existing);
    index = again;
    assert_eq!(found(&index, source, "one"), "c@v4!");
    assert_eq!(found(&index, source, "two"), "c@v5");

    // Doubted (unverified), then verified again.
    let doubted = Record {
        content: None,
        ..of("two", "v5")
    };
    index.update(source, &key("c"), doubted).unwrap();
    assert_eq!(found(&index, source, "two"), "c@v5!");
    index.update(source, &key("c"), of("two", "v5")).unwrap();
    assert_eq!(found(&index, source, "two"), "c@v5");

    let now_ms = crate::os::clock::wall_ms();
    assert_eq!(index.forget_past_at(source, now_ms + PAST_MS / 2), Ok(0));
    assert_eq!(found(&index, source, "one"), "c@v4!");
    assert_eq!(index.forget_past_at(source, now_ms + 2 * PAST_MS), Ok(1));
    assert_eq!(found(&index, source, "one"), "");
    assert_eq!(found(&index, source, "two"), "c@v5");
    index.retain_sources(&[other]).unwrap();
    assert_eq!(index.forget_past_at(source, WallMs(i64::MAX)), Ok(0));
}

#[test]
fn swapped_files_both_find_the_other() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    put(&index, source, "a", of("one", "v1"));
    put(&index, source, "b", of("two", "v2"));
    put(&index, source, "a", of("two", "v3"));
    assert_eq!(found(&index, source, "one"), "a@v1!");
    put(&index, source, "b", of("one", "v4"));
    assert_eq!(found(&index, source, "one"), "b@v4");
    assert_eq!(found(&index, source, "two"), "b@v2!");
}

#[test]
fn what_is_not_worth_a_copy_or_has_gone_is_not_known() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    for step in 0..4 {
        let mut record = of("x", "v1");
        match step {
            0 => record.fingerprint.size_bytes = COPY_FROM_BYTES - 1,
            1 => record.fingerprint.kind = Kind::Symlink,
            2 => record.etag = ETag::default(),
            _ => record.content = None,
        }
        let size = record.fingerprint.size_bytes;
        put(&index, source, "a", record);
        let content = ContentHash::of(b"x");
        assert_eq!(index.elsewhere(source, &content, size), Ok(None), "{step}");
    }
    // Without versions: the current object alone.
    let mut record = of("x", "");
    record.etag = "-1".into();
    put(&index, source, "a", record);
    assert_eq!(found(&index, source, "x"), "a@");
    put(&index, source, "a", of("y", "v1"));
    assert_eq!(found(&index, source, "x"), "");
    // A lifecycle rule was quicker.
    let gone = find(&index, source, "y").unwrap();
    let content = ContentHash::of(b"y");
    index.forget_elsewhere(source, &content, &gone).unwrap();
    assert_eq!(found(&index, source, "y"), "");
}

#[test]
fn an_entry_that_cannot_be_read_is_none_and_no_damage() {
    use crate::index::engine::Batch;
    use crate::index::keys::Space;
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    put(&index, source, "a", of("one", "v1"));
    let mut batch = Batch::default();
    let hash = ContentHash::of(b"one").0;
    batch.put(Space::Content.key(source, &hash[..8]), b"?");
    index.engine().unwrap().apply(batch).unwrap();
    assert_eq!(found(&index, source, "one"), "");
    drop(index);
    let (index, opened) = Index::open(&root).unwrap();
    assert_eq!(opened, Opened::Existing);
    put(&index, source, "a", of("one", "v2"));
    assert_eq!(found(&index, source, "one"), "a@v2");
}

/// What a million records take, with where their contents are.
#[test]
#[ignore = "a measurement: cargo test --release --lib index::tests::contents::a_million -- --ignored --nocapture"]
fn a_million_records_in_figures() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    let began = std::time::Instant::now();
    let env = |name: &str, default: u64| {
        let set = std::env::var(name).ok().and_then(|n| n.parse().ok());
        set.unwrap_or(default)
    };
    let count = env("KEEPWATCH_TEST_RECORDS", 1_000_000);
    let mut some = Vec::new();
    for i in 0..count {
        let path = format!(
            "documents/customers/{:04}/correspondence/{:02}/letter of {i:07}.docx",
            i / 400,
            i / 20 % 20
        );
        let mut record = of(&i.to_string(), &format!("PHtexPGjH2y.zBgT8LmB7wwLI{i:07}"));
        // Every third file of an office is too small to be noted.
        let share: u64 = env("KEEPWATCH_TEST_NOTED_PERCENT", 65);
        if i % 100 >= share {
            record.fingerprint.size_bytes = COPY_FROM_BYTES - 1;
        }
        record.etag = hex::encode(&ContentHash::of(&i.to_be_bytes()).0[..16]).into();
        some.push((key(&path), record));
        if some.len() == 500 {
            index.import(source, &std::mem::take(&mut some)).unwrap();
        }
    }
    index.import(source, &some).unwrap();
    index.flush().unwrap();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
        line.to_owned()
    };
    println!(
        "written in {:?}: {} MB on disk, {}",
        began.elapsed(),
        index.disk_bytes().unwrap() / 1_000_000,
        resident()
    );
    drop(index);
    let index = open(&root);
    let disk = index.disk_bytes().unwrap() / 1_000_000;
    println!("opened again: {disk} MB on disk, {}", resident());
    assert!(disk < 1_000);
}
