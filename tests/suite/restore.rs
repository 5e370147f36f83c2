//! Restore against the vault: what comes back, as of when, and what is refused.

pub mod bench;
mod beneath;
// Modes and owners.
#[cfg(unix)]
mod closed;
mod cold;
mod command;
mod faults;
// Mounts small disks, in a namespace.
#[cfg(target_os = "linux")]
mod full;
mod hostile;
mod large;
mod looks;
mod names;
// Windows cannot hold them.
#[cfg(unix)]
mod odd_names;
mod older;
// Mounts a disk read-only, in a namespace.
#[cfg(target_os = "linux")]
mod read_only;
mod replaced;
mod room;
mod typed;
mod verified;

use bench::{Bench, Object, long_path, read_tree, selector};
use keepwatch::history::versions;
use keepwatch::retry::Stop;
use keepwatch::types::{Class, Kind, RelPath, WallMs};

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back_as_it_was() {
    let bench = Bench::new();
    let big = b"name;sum\nMiller;100\n".repeat(60_000);
    let long = long_path();
    for (path, object) in [
        ("a.txt", Object::file(b"hello")),
        ("empty", Object::file(b"")),
        ("Büro/Rechnung 1.pdf", Object::file(b"%PDF").mode(0o640)),
        ("Büro/zweite Ebene/x", Object::file(b"x").mode(0o400)),
        ("db/customers.csv", Object::file(&big).gzip()),
        ("old", Object::file(b"1969").mtime_ns(-1_500_000_000)),
        ("100%41", Object::file(b"percent")),
        ("new\nline", Object::file(b"n")),
        (long.as_str(), Object::file(b"long")),
        ("link", Object::link("Büro/Rechnung 1.pdf".as_bytes())),
        ("up", Object::link(b"../../outside")),
        ("nothing/here", Object::folder().mode(0o750)),
    ] {
        bench.put(path, &object).await;
    }
    let restored = bench.restore("out").await.unwrap();
    assert_eq!(
        (restored.files, restored.links, restored.folders),
        (9, 2, 1)
    );
    assert!(
        restored.is_complete() && restored.left_out.total == 0,
        "{restored:?}"
    );
    assert_eq!(restored.bytes, 5 + 4 + 1 + big.len() as u64 + 4 + 7 + 1 + 4);
    assert!(restored.newest_ms.is_some());

    let out = bench.folder("out");
    assert_eq!(std::fs::read(out.join("db/customers.csv")).unwrap(), big);
    assert_eq!(std::fs::read(out.join("new\nline")).unwrap(), b"n");
    assert_eq!(std::fs::read(out.join("100%41")).unwrap(), b"percent");
    assert_eq!(std::fs::read(out.join(&long)).unwrap(), b"long");
    let link = std::fs::read_link(out.join("link")).unwrap();
    assert_eq!(link.to_str(), Some("Büro/Rechnung 1.pdf"));
    assert!(out.join("nothing/here").is_dir());
    for (path, mode, mtime_ns) in [
        ("Büro/Rechnung 1.pdf", 0o640, bench::MTIME_NS),
        ("Büro/zweite Ebene/x", 0o400, bench::MTIME_NS),
        ("old", 0o644, -1_500_000_000),
        ("nothing/here", 0o750, bench::MTIME_NS),
    ] {
        let rel = RelPath::from_bytes(path).unwrap();
        let found = keepwatch::files::stat(&out, &rel).unwrap().unwrap();
        assert_eq!((found.mode, found.mtime_ns), (mode, mtime_ns), "{path}");
    }
    assert!(
        !read_tree(&out)
            .iter()
            .any(|path| path.contains("keepwatch-restore"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn as_it_was_at_any_moment() {
    let bench = Bench::new();
    bench.put("kept", &Object::file(b"always")).await;
    bench.put("f", &Object::file(b"one")).await;
    bench.put("f", &Object::file(b"two")).await;
    bench.delete("f").await;
    bench.put("f", &Object::file(b"three")).await;
    bench.put("late", &Object::file(b"late")).await;
    let times = bench.times("f").await;
    assert_eq!(times.len(), 4, "newest first");
    for (number, (at_ms, want)) in [
        (Some(times[0]), Some("three")),
        (Some(times[0] - 1), None),
        (Some(times[1]), None),
        (Some(times[1] - 1), Some("two")),
        (Some(times[2]), Some("two")),
        (Some(times[2] - 1), Some("one")),
        (Some(times[3]), Some("one")),
        (Some(times[3] - 1), None),
        (None, Some("three")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("out{number}");
        let restored = bench
            .restore_with(&name, |request| request.at_ms = at_ms)
            .await
            .unwrap();
        assert!(restored.is_complete());
        let got = std::fs::read_to_string(bench.folder(&name).join("f")).ok();
        assert_eq!(got.as_deref(), want, "{at_ms:?}");
        assert!(bench.folder(&name).join("kept").exists());
        let is_now = at_ms.is_none();
        assert_eq!(bench.folder(&name).join("late").exists(), is_now);
    }
    let before = bench
        .restore_with("before", |request| request.at_ms = Some(WallMs(1)))
        .await
        .unwrap();
    assert_eq!(before.found(), 0);
    assert!(
        before.first_ms.is_some_and(|first| first > WallMs(1)),
        "it can say since when there is one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_fetches_nothing_and_replaces_nothing() {
    let bench = Bench::new();
    for number in 0..20 {
        let content = format!("content {number}");
        bench
            .put(&format!("d/{number}"), &Object::file(content.as_bytes()))
            .await;
    }
    bench.put("link", &Object::link(b"d/1")).await;
    bench.put("empty", &Object::folder()).await;
    bench.restore("out").await.unwrap();
    let out = bench.folder("out");
    std::fs::write(out.join("d/3"), "edited by hand").unwrap();
    // The same content with another time is the same file.
    std::fs::write(out.join("d/4"), "content 4").unwrap();

    let again = bench.restore("out").await.unwrap();
    assert_eq!((again.files, again.links, again.folders), (0, 0, 0));
    assert_eq!((again.identical, again.already_there.total), (21, 1));
    let fault = &again.already_there.items[0];
    assert!(
        fault.subject == "d/3" && fault.hint.contains("--overwrite"),
        "{fault}"
    );
    assert_eq!(std::fs::read(out.join("d/3")).unwrap(), b"edited by hand");
    // Links are looked at twice: when they are met, and when they are made.
    assert_eq!(bench.gets(), 23, "only the first run downloads");

    let forced = bench
        .restore_with("out", |request| request.options.overwrite = true)
        .await
        .unwrap();
    assert!(forced.is_complete());
    assert_eq!((forced.files, forced.identical), (2, 20));
    assert_eq!(std::fs::read(out.join("d/3")).unwrap(), b"content 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_and_no_more() {
    let bench = Bench::new();
    let long = long_path();
    for path in [
        "Customers/Miller/a.csv",
        "Customers/Miller2/b.csv",
        "c.csv",
        "c.txt",
        &long,
    ] {
        bench.put(path, &Object::file(path.as_bytes())).await;
    }
    for (number, (what, want)) in [
        (vec!["Customers/Miller"], vec!["Customers/Miller/a.csv"]),
        (
            vec!["*.csv"],
            vec!["Customers/Miller/a.csv", "Customers/Miller2/b.csv", "c.csv"],
        ),
        (
            vec!["c.*", "Customers/Miller2/"],
            vec!["Customers/Miller2/b.csv", "c.csv", "c.txt"],
        ),
        (vec![long.as_str()], vec![long.as_str()]),
        (vec!["c.txt", "absent*"], vec!["c.txt"]),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("out{number}");
        let restored = bench
            .restore_with(&name, |request| request.selector = selector(&what))
            .await
            .unwrap();
        assert_eq!(read_tree(&bench.folder(&name)), want, "{what:?}");
        assert!(restored.is_complete());
        let unmatched: Vec<&str> = what
            .iter()
            .copied()
            .filter(|w| w.starts_with("absent"))
            .collect();
        assert_eq!(restored.unmatched, unmatched);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_the_bucket_and_the_whole_bucket() {
    let bench = Bench::new();
    bench.put("office/a", &Object::file(b"a")).await;
    bench.put("other/b", &Object::file(b"b")).await;
    let long = long_path();
    bench.put_at("office/", &long, &Object::file(b"long")).await;
    let mut want = vec!["a".to_owned(), long.clone()];
    bench
        .restore_with("one", |request| request.origin.prefix = "office/".into())
        .await
        .unwrap();
    assert_eq!(read_tree(&bench.folder("one")), want);
    let all = bench.restore("all").await.unwrap();
    assert!(all.is_complete(), "{:?}", all.failed);
    for path in &mut want {
        path.insert_str(0, "office/");
    }
    want.push("other/b".into());
    assert_eq!(read_tree(&bench.folder("all")), want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_files_past_newest_first() {
    let bench = Bench::new();
    bench.put("f.csv", &Object::file(b"first")).await;
    bench.put("f.csv2", &Object::file(b"another file")).await;
    bench.delete("f.csv").await;
    bench
        .put("f.csv", &Object::file(&[b'x'; 5000]).gzip())
        .await;
    bench.put("nothing", &Object::folder()).await;
    let of = async |path: &str| {
        let path = RelPath::from_bytes(path).unwrap();
        versions(
            &bench.store,
            &bench.origin(),
            &path,
            None,
            &mut Stop::never(),
        )
        .await
        .unwrap()
    };
    let past = of("f.csv").await;
    let seen: Vec<_> = past
        .versions
        .iter()
        .map(|v| (v.size_bytes, v.current, v.deleted, v.compressed))
        .collect();
    assert_eq!(
        seen,
        [
            (Some(5000), true, false, true),
            (None, false, true, false),
            (Some(5), false, false, false),
        ]
    );
    assert!(past.versions[0].stored_bytes < 5000 && !past.more);
    assert_eq!(of("nothing").await.key, "nothing/");
    assert!(of("f.cs").await.versions.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_too_large_for_the_disk_is_refused_before_it_is_written() {
    let bench = Bench::new();
    let mut object = Object::file(b"small");
    object.meta.size_bytes = u64::MAX / 4;
    bench.put("huge", &object).await;
    bench.put("fine", &Object::file(b"fine")).await;
    let restored = bench.restore("out").await.unwrap();
    let fault = &restored.failed.items[0];
    assert_eq!(
        (fault.class, fault.subject.as_str()),
        (Class::Local, "huge"),
        "{fault}"
    );
    assert!(fault.cause.contains("the disk has"), "{fault}");
    assert_eq!(read_tree(&bench.folder("out")), ["fine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_never_rested_comes_back_and_is_named() {
    let bench = Bench::new();
    let mut object = Object::file(b"torn");
    object.meta.is_torn = true;
    object.meta.content = None;
    assert_eq!(object.meta.kind, Kind::File);
    bench.put("log", &object).await;
    let restored = bench.restore("out").await.unwrap();
    assert!(restored.is_complete());
    assert_eq!(restored.torn.items, ["log"]);
}
