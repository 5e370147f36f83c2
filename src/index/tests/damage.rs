//! Damage of every kind: opening always ends, and never with a wrong index.

use super::*;
use crate::index::{engine, keys, ledger};
use crate::types::WallMs;
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, mpsc};

const IMPORTS: u64 = 200;
const IMPORT_RECORDS: u64 = 20;

/// How often each of [`WHOLE`] was opened and written to.
const ROUNDS: [u64; 2] = [1, 3];

/// An index that was closed well, and one that was opened again since, which
/// makes sled read in another way (from a snapshot).
static WHOLE: LazyLock<[TempDir; 2]> = LazyLock::new(|| {
    ROUNDS.map(|rounds| {
        let (dir, root) = state();
        for round in 0..rounds {
            let index = open(&root);
            let source = docs(&index);
            for n in 0..IMPORTS {
                index.import(source, &imported(round, n)).unwrap();
            }
        }
        dir
    })
});

/// What one import (one batch) writes.
fn imported(round: u64, n: u64) -> Vec<(RelKey, Record)> {
    (0..IMPORT_RECORDS)
        .map(|i| {
            (
                key(&format!("f{:05}", n + i * 211)),
                record(n * 7 + i + round),
            )
        })
        .collect()
}

/// Everything that one of [`WHOLE`] holds.
fn intact(whole: usize) -> Vec<(RelKey, Record)> {
    let imports = (0..ROUNDS[whole]).flat_map(|round| (0..IMPORTS).map(move |n| (round, n)));
    let map: BTreeMap<_, _> = imports.flat_map(|(round, n)| imported(round, n)).collect();
    map.into_iter().collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn damaged_copy(whole: usize) -> (TempDir, PathBuf, PathBuf) {
    let (dir, root) = state();
    copy(&WHOLE[whole].path().join("index"), &root);
    let sled = root.join("gen-1/sled");
    (dir, root, sled)
}

fn expect_rebuilt(root: &Path, why_has: &str) {
    let (index, opened) = Index::open(root).unwrap();
    let Opened::Rebuilt {
        moved_to,
        why,
        thread_left_behind,
    } = opened
    else {
        panic!("{opened:?}, not rebuilt");
    };
    assert!(why.contains(why_has), "{why}");
    assert!(!thread_left_behind);
    assert!(moved_to.join("ready").exists(), "{}", moved_to.display());
    let source = docs(&index);
    assert_eq!(all(&index, source), []);
    index.update(source, &key("new"), record(1)).unwrap();
    drop(index);
    let (index, opened) = Index::open(root).unwrap();
    assert_eq!(opened, Opened::Existing);
    assert_eq!(all(&index, docs(&index)).len(), 1);
}

#[test]
fn gross_damage_is_set_aside() {
    let garbage: Vec<u8> = (0..300_000u32)
        .map(|i| (i.wrapping_mul(i) >> 3) as u8)
        .collect();
    for whole in 0..2 {
        let (_d, root, sled) = damaged_copy(whole);
        fs::write(sled.join("db"), &garbage).unwrap();
        expect_rebuilt(&root, "");

        let (_d, root, sled) = damaged_copy(whole);
        fs::write(sled.join("db"), b"").unwrap();
        expect_rebuilt(&root, "");

        let (_d, root, sled) = damaged_copy(whole);
        fs::write(sled.join("conf"), &garbage[..60]).unwrap();
        expect_rebuilt(&root, "");

        let (_d, root, sled) = damaged_copy(whole);
        fs::remove_dir_all(sled).unwrap();
        expect_rebuilt(&root, "lost its contents");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_damage_is_found_or_takes_nothing(
        whole in 0..2usize,
        places in proptest::collection::vec((0.0..1.0f64, 1..5000usize, any::<u8>()), 0..5),
        cut in proptest::option::of(0.0..1.0f64),
    ) {
        let (_dir, root, sled) = damaged_copy(whole);
        let mut bytes = fs::read(sled.join("db")).unwrap();
        for (at, count, with) in places {
            let begin = (at * bytes.len() as f64) as usize;
            let end = (begin + count).min(bytes.len());
            bytes[begin..end].iter_mut().for_each(|byte| *byte = byte.wrapping_mul(5) ^ with);
        }
        if let Some(cut) = cut {
            bytes.truncate((cut * bytes.len() as f64) as usize);
        }
        fs::write(sled.join("db"), bytes).unwrap();
        let (index, opened) = Index::open(&root).unwrap();
        let records = all(&index, docs(&index));
        let is_rebuilt = matches!(opened, Opened::Rebuilt { .. });
        prop_assert!(!is_rebuilt || records.is_empty());
        prop_assert!(is_rebuilt || opened == Opened::Existing, "{:?}", opened);
        prop_assert!(is_rebuilt || records == intact(whole), "{} records", records.len());
    }
}

#[test]
fn damage_met_while_running_is_set_aside_at_the_next_start() {
    let (_dir, root, _) = damaged_copy(0);
    let index = open(&root);
    let fault = index.engine().unwrap().damaged("page 7 is missing");
    assert_eq!(
        index.get(docs_id(), &key("f00001")).unwrap_err().cause,
        fault.cause
    );
    assert!(index.broken().is_some());
    drop(index);
    expect_rebuilt(&root, "page 7 is missing");
}

fn docs_id() -> SourceId {
    SourceId(1)
}

#[test]
fn a_broken_index_opens_again_while_running() {
    let (_dir, root, _) = damaged_copy(0);
    let index = open(&root);
    let source = docs(&index);
    let next = index.source_id("next", "b", "", "aws").unwrap();
    // As after a full disk: failed, not damaged.
    let before = all(&index, source);
    assert_eq!(index.reopen(), Ok(Opened::Existing));
    assert_eq!(all(&index, source), before);
    assert_eq!(index.counts(source), counted(&before));

    index.engine().unwrap().damaged("page 7 is missing");
    assert!(index.update(source, &key("a"), record(1)).is_err());
    let opened = index.reopen().unwrap();
    assert!(matches!(opened, Opened::Rebuilt { .. }), "{opened:?}");
    assert!(index.broken().is_none());
    // The ids that callers hold stay valid, and nobody else gets them.
    assert_eq!((docs(&index), all(&index, source)), (source, vec![]));
    index.update(next, &key("a"), record(1)).unwrap();
    drop(index);
    let index = open(&root);
    assert_eq!(docs(&index), source);
    assert_eq!(all(&index, next).len(), 1);
    assert!(index.source_id("third", "c", "", "aws").unwrap() > next);
}

#[test]
fn a_newer_layout_is_set_aside() {
    let (_dir, root, _) = damaged_copy(0);
    let index = open(&root);
    let mut batch = engine::Batch::default();
    batch.put(
        keys::Space::Meta.key(SourceId(0), ledger::META_SCHEMA),
        ledger::number_bytes(SCHEMA_VERSION + 1),
    );
    index.engine().unwrap().apply(batch).unwrap();
    drop(index);
    expect_rebuilt(&root, "another version of Keepwatch");
}

#[test]
fn three_damaged_ones_are_kept() {
    let (dir, root) = state();
    let mut aside = Vec::new();
    for _ in 0..5 {
        let index = open(&root);
        index.engine().unwrap().damaged("x");
        drop(index);
        let Opened::Rebuilt { moved_to, .. } = Index::open(&root).unwrap().1 else {
            panic!("not rebuilt");
        };
        aside.push(moved_to);
    }
    let kept: Vec<_> = aside.iter().map(|path| path.exists()).collect();
    assert_eq!(kept, [false, false, true, true, true]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
}

/// What a test waits for a call that never ends. A disk under wine takes longer for one that
/// does.
const STALL: Duration = Duration::from_secs(if cfg!(windows) { 20 } else { 1 });

fn opening(root: &Path, open_db: impl Fn() -> sled::Error + Send + Sync + 'static) -> Opening {
    let mut opening = Opening::new(root);
    opening.stall = STALL;
    opening.open_db = Arc::new(move |_| Err(open_db()));
    opening
}

#[test]
fn an_opening_that_never_ends_is_left_behind() {
    let (_dir, root, _) = damaged_copy(0);
    let (hold, held) = mpsc::sync_channel::<()>(0);
    let held = Mutex::new(held);
    let opening = opening(&root, move || {
        let _ = held.lock().recv();
        sled::Error::ReportableBug("woken".into())
    });
    let (index, opened) = Index::open_with(opening).unwrap();
    let Opened::Rebuilt {
        moved_to,
        thread_left_behind,
        ..
    } = opened
    else {
        panic!("{opened:?}");
    };
    assert!(thread_left_behind && moved_to.exists());
    assert!(root.join("gen-2").exists() && !root.join("gen-1").exists());
    let source = docs(&index);
    index.update(source, &key("a"), record(1)).unwrap();
    drop((index, hold));
    assert_eq!(all(&open(&root), source).len(), 1);
}

#[test]
fn a_call_that_never_ends_is_given_up_and_the_index_opens_again() {
    let (_dir, root) = state();
    let mut opening = Opening::new(&root);
    opening.stall = STALL;
    let (index, _) = Index::open_with(opening).unwrap();
    let source = docs(&index);
    let (hold, held) = mpsc::sync_channel::<()>(0);
    let engine = index.engine().unwrap();
    let fault = engine.never_ends(held).unwrap_err();
    drop(engine);
    assert_eq!(index.get(source, &key("a")).unwrap_err().cause, fault.cause);
    let Ok(Opened::Rebuilt {
        thread_left_behind, ..
    }) = index.reopen()
    else {
        panic!("not rebuilt");
    };
    assert!(thread_left_behind);
    index.update(source, &key("a"), record(1)).unwrap();
    drop(hold);
}

#[test]
fn a_failing_computer_moves_nothing() {
    let (dir, root, _) = damaged_copy(0);
    type Make = fn() -> std::io::Error;
    for (error, hint_has) in [
        (
            (|| std::io::ErrorKind::StorageFull.into()) as Make,
            "free some space",
        ),
        (
            || std::io::ErrorKind::PermissionDenied.into(),
            "let the account",
        ),
        (
            || std::io::Error::other("could not acquire lock on db"),
            "keepwatch status",
        ),
    ] {
        let opening = opening(&root, move || sled::Error::Io(error()));
        let fatal = Index::open_with(opening).unwrap_err();
        assert!(fatal.hint.contains(hint_has), "{fatal}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
    let index = open(&root);
    let source = docs(&index);
    assert_eq!(index.counts(source), counted(&all(&index, source)));
}

#[test]
fn an_interrupted_making_is_made_again() {
    let (_dir, root) = state();
    drop(open(&root));
    fs::remove_file(root.join("gen-1/ready")).unwrap();
    assert_eq!(Index::open(&root).unwrap().1, Opened::Fresh);
    assert!(!root.join("gen-1").exists());
}

/// Where open folders cannot be moved, the old one stays, and goes next time.
#[test]
fn an_old_generation_that_stayed_is_set_aside_later() {
    let (dir, root) = state();
    drop(open(&root));
    copy(&root.join("gen-1"), &root.join("gen-2"));
    assert_eq!(Index::open(&root).unwrap().1, Opened::Existing);
    assert!(!root.join("gen-1").exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn every_call_on_a_broken_index_says_so() {
    let (_dir, root) = state();
    let index = open(&root);
    index.engine().unwrap().damaged("gone");
    let source = SourceId(1);
    for failed in [
        index.state_set("a", &true.into()).is_err(),
        index.outbox_peek().is_err(),
        index.multiparts().is_err(),
        index.due(source, WallMs(0), 1).is_err(),
        index.flush().is_err(),
        index
            .range(source, "", None)
            .next()
            .is_some_and(|r| r.is_err()),
        index.range(source, "", None).take(9).count() == 1,
        index.source_id("a", "b", "", "c").is_err(),
    ] {
        assert!(failed, "{index:?}");
    }
}

/// An index whose disk is full, while that is true, once it has been rebuilt.
fn full_after_rebuilding(root: &Path) -> (Opening, Arc<AtomicBool>) {
    let full = Arc::new(AtomicBool::new(false));
    let mut opening = Opening::new(root);
    let (carry, is_full) = (opening.carry_uploads.clone(), full.clone());
    opening.carry_uploads = Arc::new(move |engine, folder| {
        if is_full.load(Ordering::Relaxed) {
            return Err(Fault::new(Class::Local, "write", "index", "disk full"));
        }
        carry(engine, folder)
    });
    (opening, full)
}

#[test]
fn a_reopening_that_failed_after_it_rebuilt_says_so_at_the_next_try() {
    let (_dir, root, _) = damaged_copy(0);
    let (opening, full) = full_after_rebuilding(&root);
    let (index, _) = Index::open_with(opening).unwrap();
    let source = docs(&index);
    index
        .multipart_begin(Multipart::of(source, &key("a"), "u1", ("bucket", "p/a")))
        .unwrap();
    index.engine().unwrap().damaged("page 7 is missing");
    full.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        assert!(index.reopen().is_err());
    }
    full.store(false, Ordering::Relaxed);
    let opened = index.reopen();
    let Ok(Opened::Rebuilt { why, .. }) = &opened else {
        panic!("{opened:?}, not rebuilt");
    };
    assert!(why.contains("page 7 is missing"), "{why}");
    assert_eq!((docs(&index), all(&index, source)), (source, vec![]));
    assert_eq!(index.multiparts().unwrap().len(), 1);
    // Said once: what is there now is what there is.
    assert_eq!(index.reopen(), Ok(Opened::Existing));
}

/// The disk was full while the fresh one was noted as ready, which it is.
#[test]
fn a_fresh_index_that_nobody_was_told_of_is_not_taken_for_the_old_one() {
    let (_dir, root, _) = damaged_copy(0);
    let index = open(&root);
    let source = docs(&index);
    index.engine().unwrap().damaged("page 7 is missing");
    close(index.0.engine.write().take().unwrap());
    drop(index.0.opening.open().unwrap());
    assert_eq!(index.reopen(), Ok(Opened::Fresh));
    assert_eq!((docs(&index), all(&index, source)), (source, vec![]));
    assert_eq!(index.reopen(), Ok(Opened::Existing));
}

#[test]
fn a_start_that_failed_after_it_rebuilt_is_made_good_by_the_next() {
    let (_dir, root, _) = damaged_copy(0);
    let index = open(&root);
    let source = docs(&index);
    index
        .multipart_begin(Multipart::of(source, &key("a"), "u1", ("bucket", "p/a")))
        .unwrap();
    index
        .source_state_set(source, "compared", &true.into())
        .unwrap();
    index.engine().unwrap().damaged("page 7 is missing");
    drop(index);
    let (opening, full) = full_after_rebuilding(&root);
    full.store(true, Ordering::Relaxed);
    assert!(Index::open_with(opening).is_err());
    let (index, opened) = Index::open(&root).unwrap();
    assert_eq!(opened, Opened::Existing);
    assert_eq!(index.multiparts().unwrap().len(), 1);
    // Its sources count as never compared with their buckets.
    let source = docs(&index);
    assert_eq!(index.source_state_get(source, "compared"), Ok(None));
}

/// Named after the bug: everything was written into a folder that nobody could see,
/// and a second process could have made another beside it.
#[test]
fn a_folder_that_was_removed_or_replaced_under_it_is_noticed_and_made_again() {
    let (dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    index.import(source, &[(key("a"), record(1))]).unwrap();
    assert_eq!(index.broken(), None);
    fs::remove_dir_all(dir.path()).unwrap();
    let fault = index.broken().unwrap();
    assert!(fault.cause.contains("was removed or replaced"), "{fault}");
    assert_eq!(index.reopen(), Ok(Opened::Fresh));
    assert_eq!(index.broken(), None);
    assert!(Index::is_in_use(&root), "it is locked again");
    assert_eq!(index.get(source, &key("a")), Ok(None));
    index.import(source, &[(key("b"), record(2))]).unwrap();
    // Another one in its place is no longer believed to know everything.
    let aside = dir.path().join("aside");
    fs::rename(&root, &aside).unwrap();
    copy(&aside, &root);
    assert!(index.broken().is_some());
    assert_eq!(index.reopen(), Ok(Opened::Fresh));
    assert_eq!(index.broken(), None);
    assert_eq!(index.reopen(), Ok(Opened::Existing));
}

/// Named after the bug: of two `status` at one moment each took the other for a daemon.
#[test]
fn whoever_looks_whether_an_index_is_in_use_does_not_use_it() {
    let (_dir, root) = state();
    let index = open(&root);
    assert!(Index::is_in_use(&root));
    drop(index);
    assert!(!Index::is_in_use(&root));
    // As another one who looks holds it.
    let looking = fs::File::options()
        .write(true)
        .open(root.join("lock"))
        .unwrap();
    looking.lock_shared().unwrap();
    assert!(!Index::is_in_use(&root));
}
