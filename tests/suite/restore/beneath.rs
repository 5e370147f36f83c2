//! Another program puts its objects over ours: what lies beneath comes back, by
//! name and with its dates, in every way of looking at a moment.

use super::bench::{BUCKET, Bench, Meddling, Object, is_download, long_path, read_tree, selector};
use super::command::{run, text};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::StorageClass;
use keepwatch::restore::Restored;
use keepwatch::types::{Speed, Thaw};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Larger than what is fetched in one request; see `restore::arrival`.
const LARGE: usize = 9 << 20;

fn large() -> Vec<u8> {
    let mut out = vec![0; LARGE];
    fastrand::Rng::with_seed(11).fill(&mut out);
    out
}

async fn put_foreign(bench: &Bench, key: &str, body: Vec<u8>) {
    let request = bench.client.put_object().bucket(BUCKET).key(key);
    request.body(ByteStream::from(body)).send().await.unwrap();
}

fn covered(restored: &Restored) -> Vec<&str> {
    let mut paths: Vec<_> = restored.covered.items.iter().collect();
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    paths.iter().map(|one| one.path.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keepwatch_wrote_beneath_comes_back_whatever_it_is() {
    let bench = Bench::new();
    let (long, big) = (long_path(), large());
    for (path, object) in [
        ("big.bin", Object::file(&big)),
        ("table.csv", Object::file(b"a;b\n").gzip()),
        ("twice.txt", Object::file(b"twice")),
        ("link", Object::link(b"twice.txt")),
        ("nothing", Object::folder()),
        (long.as_str(), Object::file(b"long")),
        ("deleted.txt", Object::file(b"deleted")),
        ("before.txt", Object::file(b"before")),
        ("untouched.txt", Object::file(b"untouched")),
    ] {
        bench.put(path, &object).await;
    }
    let long_key = bench.store.list_versions(BUCKET, "ddd", None).await;
    let long_key = long_key.unwrap().items.remove(0).key;
    // Ours, marker, theirs: Keepwatch deleted it before they came.
    bench.delete("deleted.txt").await;
    for key in ["twice.txt", "big.bin", "table.csv", "nothing/", &long_key] {
        bench.put_foreign(key).await;
    }
    bench.put_foreign("twice.txt").await;
    bench.put_foreign("deleted.txt").await;
    // Never ours.
    bench.put_foreign("theirs.txt").await;
    // Theirs, then ours: that is ours.
    bench.put_foreign("after.txt").await;
    bench.put("after.txt", &Object::file(b"after")).await;
    // Theirs, and deleted then: it is gone.
    bench.put_foreign("before.txt").await;
    bench.delete("before.txt").await;
    // Larger than any link, over a link.
    put_foreign(&bench, "link", large()).await;

    for (run, written) in [(1, true), (2, false)] {
        let restored = bench.restore("out").await.unwrap();
        let want = [
            "big.bin",
            &long,
            "link",
            "nothing",
            "table.csv",
            "twice.txt",
        ];
        assert_eq!(covered(&restored), want, "{run}");
        assert_eq!(restored.skipped_foreign, 2, "{restored:?}");
        assert!(!restored.is_complete() && restored.is_all_there());
        assert_eq!(restored.files == 6, written, "{restored:?}");
        assert_eq!(restored.identical == 8, !written, "{restored:?}");
        for one in &restored.covered.items {
            let key = match one.path.as_str() {
                "nothing" => "nothing/",
                path if path == long => &long_key,
                path => path,
            };
            let times = bench.times(key).await;
            let dates = (Some(&one.covered_at_ms), Some(&one.stored_at_ms));
            assert_eq!(dates, (times.first(), times.last()), "{key}");
        }
    }
    let out = bench.folder("out");
    let read = |path: &str| std::fs::read(out.join(path)).unwrap();
    assert!(read("big.bin") == big);
    assert_eq!(read("table.csv"), b"a;b\n");
    assert_eq!(read("twice.txt"), b"twice");
    assert_eq!(read(&long), b"long");
    let link = std::fs::read_link(out.join("link")).unwrap();
    assert_eq!(link.to_str(), Some("twice.txt"));
    assert!(out.join("nothing").is_dir());
    assert_eq!(read_tree(&out).len(), 7, "{:?}", read_tree(&out));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_lies_over_it_at_the_moment_counts() {
    let bench = Bench::new();
    bench.put("f", &Object::file(b"one")).await;
    bench.put_foreign("f").await;
    bench.put("f", &Object::file(b"two")).await;
    bench.put_foreign("f").await;
    let times = bench.times("f").await;
    for (at, want, named) in [
        (times[3], "one", 0),
        (times[2], "one", 1),
        (times[1], "two", 0),
        (times[0], "two", 1),
    ] {
        let to = format!("at {}", at.0);
        let restored = bench.restore_with(&to, |r| r.at_ms = Some(at)).await;
        let restored = restored.unwrap();
        assert_eq!(restored.covered.total, named, "{want}");
        // Theirs says nothing of when the newest file was stored.
        let ours = if want == "one" { times[3] } else { times[1] };
        assert_eq!(restored.newest_ms, Some(ours));
        let came = std::fs::read(bench.folder(&to).join("f")).unwrap();
        assert_eq!(came, want.as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ours_beneath_and_damaged_is_named_and_not_skipped() {
    let bench = Bench::new();
    bench.put("f", &Object::file(b"older")).await;
    let newer = [("kw-format", "9")];
    bench.put_raw("f", &Object::file(b"newer"), &newer).await;
    bench.put_foreign("f").await;
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.files, restored.failed.total), (0, 1));
    let fault = &restored.failed.items[0];
    assert!(fault.hint.contains("newer Keepwatch"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_of_theirs_than_are_looked_at_is_said() {
    let bench = Bench::new();
    bench.put("f", &Object::file(b"ours")).await;
    for _ in 0..1_002 {
        bench.put_foreign("f").await;
    }
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.files, restored.failed.total), (0, 1));
    let fault = restored.failed.items[0].to_string();
    assert!(fault.contains("more than 1000 versions"), "{fault}");
    // One less, and it is found.
    let newest = bench.store.list_versions(BUCKET, "f", None).await.unwrap();
    for version in &newest.items[..2] {
        let request = bench.client.delete_object().bucket(BUCKET).key("f");
        let request = request.version_id(keepwatch::types::id_text(&version.version_id));
        request.send().await.unwrap();
    }
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.files, restored.covered.total), (1, 1));
}

/// A small object is fetched unseen where nothing stands, and a cold one is
/// refused before its metadata says whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_warm_beneath_a_cold_object_of_theirs_comes_back_unthawed() {
    let bench = Bench::new();
    bench.put("f", &Object::file(b"ours")).await;
    bench.put("z", &Object::file(b"beside")).await;
    for key in ["f", "theirs"] {
        let put = bench.client.put_object().bucket(BUCKET).key(key);
        let put = put.storage_class(StorageClass::Glacier);
        let put = put.body(ByteStream::from_static(b"foreign"));
        put.send().await.unwrap();
    }
    let listed = bench.store.list_versions(BUCKET, "", None).await.unwrap();
    let cold = listed.items.into_iter();
    let cold = cold.filter(|one| one.storage_class == "GLACIER");
    let cold: Vec<String> = cold
        .map(|one| keepwatch::types::id_text(&one.version_id).to_owned())
        .collect();
    assert_eq!(cold.len(), 2);
    let thaws = Arc::new(AtomicU32::new(0));
    let (asked, refused) = (thaws.clone(), Arc::new(AtomicU32::new(0)));
    let counted = refused.clone();
    bench.meddle(move |request| {
        let is_cold = cold.iter().any(|id| request.uri().contains(id.as_str()));
        match (is_cold, request.method()) {
            (true, "POST") => {
                asked.fetch_add(1, Ordering::Relaxed);
                Meddling::Answer(202, "")
            }
            (true, _) if is_download(request) => {
                counted.fetch_add(1, Ordering::Relaxed);
                Meddling::Answer(403, "InvalidObjectState")
            }
            _ => Meddling::Pass,
        }
    });
    for (to, thaw) in [
        ("left cold", None),
        (
            "thawed",
            Some(Thaw {
                speed: Speed::Standard,
                days: 3,
            }),
        ),
    ] {
        let done = bench.restore_with(to, |request| request.options.thaw = thaw);
        let restored = done.await.unwrap();
        assert_eq!(covered(&restored), ["f"], "{to}: {restored:?}");
        assert!(restored.is_all_there(), "{to}: {restored:?}");
        assert_eq!((restored.files, restored.skipped_foreign), (2, 1), "{to}");
        assert_eq!(std::fs::read(bench.folder(to).join("f")).unwrap(), b"ours");
    }
    assert!(refused.load(Ordering::Relaxed) >= 4, "none was cold");
    assert_eq!(thaws.load(Ordering::Relaxed), 0, "theirs was paid for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selection_is_not_told_of_others() {
    let bench = Bench::new();
    let long = long_path();
    for path in ["a", "b", long.as_str()] {
        bench.put(path, &Object::file(path.as_bytes())).await;
    }
    let listed = bench.store.list_versions(BUCKET, "", None).await.unwrap();
    for version in listed.items {
        bench.put_foreign(&version.key).await;
    }
    let restored = bench
        .restore_with("out", |r| r.selector = selector(&["a"]))
        .await
        .unwrap();
    assert_eq!(covered(&restored), ["a"]);
    assert_eq!(restored.skipped_foreign, 0, "{restored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_names_it_with_both_dates_and_code_3() {
    let bench = Bench::new();
    bench.put("d/plan.txt", &Object::file(b"the plan")).await;
    bench.put("b", &Object::file(b"b")).await;
    bench.put_foreign("d/plan.txt").await;
    let (vault, out) = (bench.vault(), bench.folder("out"));
    let base = ["restore", "--vault", text(&vault), "--to", text(&out)];
    let with = |more: &[&str]| run(&[&base[..], more].concat());

    let (code, stdout, _) = with(&["--dry-run", "--json"]);
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(code, 3, "{stdout}");
    let plan = lines.iter().find(|line| line["path"] == "d/plan.txt");
    let plan = plan.unwrap();
    assert_eq!(
        (&plan["action"], &plan["then"]["size_bytes"]),
        (&"write".into(), &8.into())
    );
    assert!(plan["covered"]["stored_at_ms"].is_i64(), "{plan}");
    assert_eq!(lines.last().unwrap()["summary"]["covered"], 1);

    let (code, stdout, stderr) = with(&["--dry-run"]);
    assert_eq!(code, 3, "{stdout}{stderr}");
    let line = stderr.lines().find(|line| line.starts_with("LOOK AT"));
    assert!(line.unwrap().contains("is what counts"), "{stderr}");
    assert!(stdout.contains("2 would be written"), "{stdout}");
    assert!(!out.exists());

    for _ in 0..2 {
        let (code, stdout, stderr) = with(&[]);
        assert_eq!(code, 3, "{stdout}{stderr}");
        assert!(stderr.contains("LOOK AT d/plan.txt"), "{stderr}");
        let line = stdout
            .lines()
            .find(|line| line.contains("LOOK AT d/plan.txt"));
        let line = line.unwrap();
        assert!(
            line.contains("put something over it in the bucket on 20"),
            "{line}"
        );
        assert!(line.contains("Keepwatch's own version of 20"), "{line}");
        assert!(
            line.contains("keepwatch versions d/plan.txt --vault "),
            "{line}"
        );
        assert!(
            stdout.contains("Everything that was asked for is there"),
            "{stdout}"
        );
        assert!(!stdout.contains("NOT"), "{stdout}");
        assert_eq!(std::fs::read(out.join("d/plan.txt")).unwrap(), b"the plan");
    }
    // Everything is as the moment has it, and still somebody has to look.
    let (code, stdout, stderr) = with(&["--diff"]);
    assert_eq!(code, 3, "{stdout}{stderr}");
    assert!(
        stdout.contains("2 the same") && stdout.contains("LOOK AT 1 file"),
        "{stdout}"
    );
    let (code, stdout, _) = run(&["versions", "d/plan.txt", "--vault", text(&vault)]);
    assert!(
        code == 3 && stdout.contains("was not written by Keepwatch"),
        "{stdout}"
    );
}
