//! A folder of the user's called `.keepwatch`, as earlier versions stored it: under
//! that name, where Keepwatch's own objects lie today.

use super::bench::{Bench, Object, read_tree, selector};
use super::command::{run, text};
use keepwatch::history::versions;
use keepwatch::restore::Restored;
use keepwatch::retry::Stop;
use keepwatch::types::{FullKey, RelKey, RelPath, WallMs};
use serde_json::Value;

const OLD: &str = ".keepwatch/mine.txt";
const NEW: &str = "%2Ekeepwatch/mine.txt";

async fn restored(bench: &Bench, to: &str, at_ms: Option<WallMs>) -> (Restored, Vec<String>) {
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
        request.selector = selector(&[".keepwatch"]);
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

/// Exit code, and `word path` of each line that names a path.
fn told(arguments: &[&str], word: &str) -> (i32, Vec<String>) {
    let (code, stdout, stderr) = run(&[arguments, &["--json"]].concat());
    let line =
        |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {stdout}{stderr}"));
    let lines: Vec<Value> = stdout.lines().map(line).collect();
    let named = lines.iter().filter_map(|line| {
        let (word, path) = (line[word].as_str()?, line["path"].as_str()?);
        Some(format!("{word} {path}"))
    });
    (code, named.collect())
}

/// Named after the bug: such a file was said not to have existed then, and to be
/// left alone, while the run replaced it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_today_is_compared_with_its_older_key() {
    let bench = Bench::new();
    let same = "a/.keepwatch/same.txt";
    for (key, content) in [(OLD, &b"then"[..]), (same, b"same")] {
        bench.put_raw(key, &Object::file(content), &[]).await;
    }
    bench
        .put_raw(".keepwatch/gone.txt", &Object::file(b"gone"), &[])
        .await;
    let (vault, out) = (bench.vault(), bench.folder("out"));
    bench.restore("out").await.unwrap();
    std::fs::remove_file(out.join(".keepwatch/gone.txt")).unwrap();
    std::fs::write(out.join(OLD), b"today's").unwrap();
    std::fs::write(out.join(".keepwatch/new.txt"), b"new").unwrap();
    let base = ["restore", "--vault", text(&vault), "--to", text(&out)];
    let with = |more: &[&'static str]| [&base[..], more].concat();

    let sorted = |(code, mut lines): (i32, Vec<String>)| {
        lines.sort();
        (code, lines)
    };
    let diff = sorted(told(&with(&["--diff"]), "change"));
    let want = [
        "added .keepwatch/new.txt",
        "changed .keepwatch/mine.txt",
        "removed .keepwatch/gone.txt",
    ];
    assert_eq!(diff, (4, want.map(str::to_owned).to_vec()));
    let plan = sorted(told(&with(&["--in-place", "--dry-run"]), "action"));
    let want = [
        "leave .keepwatch/new.txt",
        "replace .keepwatch/mine.txt",
        "write .keepwatch/gone.txt",
    ];
    assert_eq!(plan, (0, want.map(str::to_owned).to_vec()));
    let (code, stdout, stderr) = run(&with(&["--in-place", "--json"]));
    assert_eq!(code, 0, "{stdout}{stderr}");
    let done: Value = serde_json::from_str(&stdout).unwrap();
    let alone = &done["sources"][0]["left_alone"];
    assert_eq!(alone["items"], serde_json::json!([".keepwatch/new.txt"]));
    assert_eq!(std::fs::read(out.join(OLD)).unwrap(), b"then");
    // Nor does another program's object under the new key hide it.
    bench.put_foreign(NEW).await;
    std::fs::write(out.join(OLD), b"once more").unwrap();
    let (code, plan) = told(&with(&["--in-place", "--dry-run", OLD]), "action");
    assert_eq!((code, plan), (0, vec![format!("replace {OLD}")]));
}

/// Named after the bug: between two moments it was both removed and added.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_got_its_new_key_meanwhile_is_one_file() {
    let bench = Bench::new();
    let (old_same, new_same) = (".keepwatch/same", "%2Ekeepwatch/same");
    for (key, content) in [(OLD, &b"then"[..]), (old_same, b"same")] {
        bench.put_raw(key, &Object::file(content), &[]).await;
    }
    let then_ms = bench.times(old_same).await[0];
    for (key, content) in [(NEW, &b"later"[..]), (new_same, b"same")] {
        bench.put_raw(key, &Object::file(content), &[]).await;
    }
    let now_ms = bench.times(new_same).await[0];
    assert!(bench.times(NEW).await[0] > then_ms);
    let vault = bench.vault();
    let at = |ms| jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
    let (then, now) = (at(then_ms.0), at(now_ms.0));
    for (from, to) in [(&then, &now), (&now, &then)] {
        let diff = [
            "restore",
            "--vault",
            text(&vault),
            "--at",
            from,
            "--diff",
            to,
        ];
        let want = vec![format!("changed {OLD}")];
        assert_eq!(told(&diff, "change"), (4, want), "{from} {to}");
    }
}

/// Named after the bug: the versions by the older key were not shown once there
/// was one by the new key.
#[tokio::test(flavor = "multi_thread")]
async fn the_versions_of_a_file_are_those_of_both_its_keys() {
    let bench = Bench::new();
    for content in [&b"1"[..], b"22"] {
        bench.put_raw(OLD, &Object::file(content), &[]).await;
    }
    let past = async || {
        let path = RelPath::from_bytes(OLD).unwrap();
        let past = versions(
            &bench.store,
            &bench.origin(),
            &path,
            None,
            &mut Stop::never(),
        )
        .await;
        let past = past.unwrap();
        let rows = past.versions.iter();
        let rows = rows.map(|v| (v.size_bytes, v.current, v.older_key.clone()));
        (past.key.clone(), past.more, rows.collect::<Vec<_>>())
    };
    let older = || Some(OLD.to_owned());
    let rows = [(Some(2), true, None), (Some(1), false, None)];
    assert_eq!(past().await, (OLD.to_owned(), false, rows.to_vec()));
    bench.put_raw(NEW, &Object::file(b"333"), &[]).await;
    let rows = [
        (Some(3), true, None),
        (Some(2), false, older()),
        (Some(1), false, older()),
    ];
    assert_eq!(past().await, (NEW.to_owned(), false, rows.to_vec()));
    // What an earlier version stored after that does not count.
    bench.put_raw(OLD, &Object::file(b"4444"), &[]).await;
    assert_eq!(past().await, (NEW.to_owned(), false, rows.to_vec()));
}

/// A path of folders with so many bytes.
fn path_of(bytes: usize) -> String {
    let folders = format!("{}/", "d".repeat(99)).repeat(bytes / 100);
    format!("{folders}{}", "x".repeat(bytes - folders.len()))
}

/// What earlier versions stored by keys that Swift or AWS refuse: over 1,006 bytes,
/// shortened or not, and `soap`.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_by_a_key_that_some_servers_refuse_counts_until_it_has_another() {
    for path in ["soap".to_owned(), path_of(1_010), path_of(1_130)] {
        let bench = Bench::new();
        let rel = RelPath::from_bytes(path.as_str()).unwrap();
        let key = RelKey::of_file(&rel);
        let (older, today) = (key.older("").unwrap(), key.in_bucket("").key);
        let mut object = Object::file(b"old");
        if older != path {
            object.meta.full_key = Some(FullKey::Whole(path.clone()));
        }
        bench.put_raw(&older, &object, &[]).await;
        let content = |to: &str| std::fs::read(bench.folder(to).join(&path)).unwrap();
        let (done, _) = restored(&bench, "old", None).await;
        assert_eq!((done.files, done.is_complete()), (1, true), "{done:?}");
        assert_eq!(content("old"), b"old");
        let one = bench.restore_with("one", |request| request.selector = selector(&[&path]));
        assert_eq!(one.await.unwrap().files, 1);

        bench.put(&path, &Object::file(b"newer")).await;
        let (done, _) = restored(&bench, "now", None).await;
        assert_eq!((done.files, done.is_complete()), (1, true), "{done:?}");
        assert_eq!(content("now"), b"newer");
        let new_ms = bench.times(&today).await[0];
        let (done, _) = restored(&bench, "then", Some(new_ms - 1)).await;
        assert_eq!((done.files, done.is_complete()), (1, true), "{done:?}");
        assert_eq!(content("then"), b"old");
        let mut stop = Stop::never();
        let all = versions(&bench.store, &bench.origin(), &rel, None, &mut stop).await;
        assert_eq!(all.unwrap().versions.len(), 2);

        bench.delete(&today).await;
        let (done, tree) = restored(&bench, "deleted", None).await;
        assert!(done.is_complete() && tree.is_empty(), "{done:?} {tree:?}");
    }
}
