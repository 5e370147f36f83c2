//! A folder of the user's called `.keepwatch`, as earlier versions stored it: under
//! that name, where Keepwatch's own objects lie today.

use super::bench::{Bench, Object, read_tree};
use keepwatch::recovery::{Restored, Selector};

const OLD: &str = ".keepwatch/mine.txt";
const NEW: &str = "%2Ekeepwatch/mine.txt";

async fn restored(bench: &Bench, to: &str, at_ms: Option<i64>) -> (Restored, Vec<String>) {
    let done = bench.restore_with(to, |request| request.at_ms = at_ms);
    let done = done.await.unwrap();
    (done, read_tree(&bench.folder(to)))
}

/// Named after the bug: whatever lay in such a folder was taken for Keepwatch's
/// own, and neither restored nor counted.
#[tokio::test(flavor = "multi_thread")]
async fn what_lies_there_is_restored_and_only_manifests_are_left_out() {
    let bench = Bench::new();
    bench.put_raw(OLD, &Object::file(b"mine"), &[]).await;
    bench
        .put_raw("a/.keepwatch/deep/x", &Object::file(b"x"), &[])
        .await;
    bench
        .put_raw(".keepwatch/empty/", &Object::folder(), &[])
        .await;
    let manifest = ".keepwatch/manifests/2026-11-23T02-00-14.123Z.jsonl.gz";
    bench
        .put_raw(manifest, &Object::file(b"no manifest"), &[])
        .await;
    let (done, tree) = restored(&bench, "out", None).await;
    assert!(done.is_complete(), "{:?}", done.failed);
    assert_eq!((done.files, done.folders), (2, 1));
    assert_eq!(tree, [OLD, "a/.keepwatch/deep/x"]);
    assert!(bench.folder("out").join(".keepwatch/empty").is_dir());
    // By its name alone as well.
    let some = bench.restore_with("some", |request| {
        request.selector = Selector::new(&[".keepwatch"]).unwrap();
    });
    assert_eq!(some.await.unwrap().files, 1);
    assert_eq!(read_tree(&bench.folder("some")), [OLD]);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_new_key_counts_from_its_first_version_or_deletion_on() {
    let bench = Bench::new();
    bench.put_raw(OLD, &Object::file(b"old"), &[]).await;
    bench
        .put_raw(NEW, &Object::file(b"new and longer"), &[])
        .await;
    let content = |to: &str| std::fs::read(bench.folder(to).join(OLD)).unwrap();
    let new_ms = bench.times(NEW).await[0];
    let (done, _) = restored(&bench, "now", None).await;
    assert_eq!((done.files, done.is_complete()), (1, true), "{done:?}");
    assert_eq!(content("now"), b"new and longer");
    let (done, _) = restored(&bench, "before", Some(new_ms - 1)).await;
    assert_eq!((done.files, done.is_complete()), (1, true), "{done:?}");
    assert_eq!(content("before"), b"old");
    // Deleted since: the older key does not bring it back.
    bench.delete(NEW).await;
    let (done, tree) = restored(&bench, "deleted", None).await;
    assert!(done.is_complete() && tree.is_empty(), "{done:?} {tree:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keepwatch_did_not_write_there_is_foreign() {
    let bench = Bench::new();
    bench.put_foreign(OLD).await;
    let (done, tree) = restored(&bench, "out", None).await;
    assert_eq!((done.skipped_foreign, tree.len()), (1, 0), "{done:?}");
}

/// Named after the bug: whatever another program put under the new key took the
/// file's place, and nothing came back.
#[tokio::test(flavor = "multi_thread")]
async fn another_programs_object_under_the_new_key_does_not_hide_the_older_one() {
    let bench = Bench::new();
    bench.put_raw(OLD, &Object::file(b"old"), &[]).await;
    bench.put_foreign(NEW).await;
    bench.put_foreign(NEW).await;
    let content = |to: &str| std::fs::read(bench.folder(to).join(OLD)).unwrap();
    for (to, at_ms) in [("now", None), ("then", Some(bench.times(NEW).await[0]))] {
        let (done, tree) = restored(&bench, to, at_ms).await;
        assert_eq!((done.files, done.skipped_foreign), (1, 1), "{done:?}");
        assert_eq!((done.failed.total, tree), (0, vec![OLD.to_owned()]));
        assert_eq!(content(to), b"old");
    }
    // Keepwatch's own version counts, whether something lies over it or not.
    bench.put_raw(NEW, &Object::file(b"newer"), &[]).await;
    bench.put_foreign(NEW).await;
    let (done, _) = restored(&bench, "covered", None).await;
    assert_eq!((done.files, done.covered.total), (1, 1), "{done:?}");
    assert_eq!(content("covered"), b"newer");
    // So does a deletion that something was put over.
    bench.delete(NEW).await;
    bench.put_foreign(NEW).await;
    let (done, tree) = restored(&bench, "deleted", None).await;
    assert_eq!((done.files, done.skipped_foreign), (0, 1), "{done:?}");
    assert!(tree.is_empty(), "{tree:?}");
}
