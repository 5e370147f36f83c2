//! Servers that fail, and somebody who presses Ctrl-C.

use super::bench::{Bench, Meddling, Object, is_download, read_tree};
use keepwatch::restore::{Event, restore};
use keepwatch::retry::Stop;
use keepwatch::types::{Class, FatalKind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_is_tried_again() {
    let bench = Bench::new();
    let file = b"0123456789".repeat(50_000);
    bench.put("a.csv", &Object::file(&file).gzip()).await;
    bench.put("b.bin", &Object::file(&file)).await;
    let downloads = AtomicU32::new(0);
    bench.meddle(move |request| {
        let is_early = is_download(request) && downloads.fetch_add(1, Ordering::Relaxed) < 2;
        if is_early {
            Meddling::Cut
        } else {
            Meddling::Pass
        }
    });
    let restored = bench.restore("out").await.unwrap();
    assert!(restored.is_complete(), "{:?}", restored.failed);
    assert_eq!(bench.gets(), 4);
    assert_eq!(
        std::fs::read(bench.folder("out").join("a.csv")).unwrap(),
        file
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_locked_object_does_not_keep_the_others() {
    let bench = Bench::new();
    for path in ["a", "frozen", "z"] {
        bench.put(path, &Object::file(path.as_bytes())).await;
    }
    bench.meddle(|request| {
        if is_download(request) && request.uri().contains("/frozen") {
            Meddling::Answer(403, "InvalidObjectState")
        } else {
            Meddling::Pass
        }
    });
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.files, restored.failed.total), (2, 1));
    let fault = &restored.failed.items[0];
    assert!(
        fault.subject == "frozen" && fault.hint.contains("Glacier"),
        "{fault}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_get_better_ends_the_run() {
    for (code, class_word) in [
        ("InvalidAccessKeyId", "access key"),
        ("AccessDenied", "s3:GetObject"),
        ("NoSuchBucket", "bucket"),
    ] {
        let bench = Bench::new();
        bench.put("a", &Object::file(b"a")).await;
        bench.meddle(move |request| {
            let is_listing = request.uri().contains("versions");
            match code {
                "NoSuchBucket" if is_listing => Meddling::Answer(404, code),
                _ if is_download(request) => Meddling::Answer(403, code),
                _ => Meddling::Pass,
            }
        });
        let fatal = bench.restore("out").await.unwrap_err();
        assert!(fatal.hint.contains(class_word), "{code}: {fatal}");
        assert!(read_tree(&bench.folder("out")).is_empty());
    }
}

/// Named after the bug: a denied object ended the run when its answer came before that of
/// one that may be read.
#[tokio::test(flavor = "multi_thread")]
async fn one_locked_object_does_not_end_the_run_also_when_it_is_asked_for_first() {
    for (path, one_at_a_time) in [("a", true), ("a", false), ("z", true)] {
        let bench = Bench::new();
        for name in ["a", "m", "z"] {
            bench.put(name, &Object::file(name.as_bytes())).await;
        }
        bench.meddle(move |request| {
            match is_download(request) && request.uri().contains(&format!("/{path}?")) {
                true => Meddling::Answer(403, "AccessDenied"),
                false => Meddling::Pass,
            }
        });
        let restored = bench
            .restore_with("out", |request| {
                if one_at_a_time {
                    request.options.workers = 1;
                }
            })
            .await
            .unwrap();
        assert_eq!((restored.files, restored.failed.total), (2, 1), "{path}");
        assert_eq!(restored.failed.items[0].subject, path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_damaged_copies_do_not_end_the_run() {
    let bench = Bench::new();
    for number in 0..12 {
        bench
            .put(&format!("d/{number}"), &Object::file(b"content"))
            .await;
    }
    bench.put("z", &Object::file(b"good")).await;
    // Somebody edits the vault's plain files by hand.
    for number in 0..12 {
        let plain = bench
            .vault()
            .join(super::bench::BUCKET)
            .join(format!("d/{number}"));
        std::fs::write(plain, "edited!").unwrap();
    }
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.files, restored.failed.total), (1, 12));
    for fault in &restored.failed.items {
        assert_eq!(fault.class, Class::Damaged, "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_in_the_middle_it_leaves_whole_files_alone() {
    let bench = Bench::new();
    for number in 0..200 {
        bench
            .put(&format!("{number:03}"), &Object::file(&vec![b'x'; 10_000]))
            .await;
    }
    let (ask, asked) = watch::channel(false);
    let ask = Arc::new(ask);
    let stop = Stop::new(asked);
    let told = Arc::new(Mutex::new(0));
    let counting = told.clone();
    let report = move |event: Event<'_>| {
        if let Event::Progress(progress) = event {
            *counting.lock().unwrap() = progress.files;
            if progress.files >= 20 {
                ask.send_replace(true);
            }
        }
    };
    let fatal = restore(&bench.store, bench.request("out"), report, &stop)
        .await
        .unwrap_err();
    assert_eq!(fatal.kind, FatalKind::Interrupted);
    assert_eq!(fatal.exit_code(), 130);
    let tree = read_tree(&bench.folder("out"));
    assert!((20..200).contains(&tree.len()), "{}", tree.len());
    for path in &tree {
        let whole = std::fs::metadata(bench.folder("out").join(path))
            .unwrap()
            .len()
            == 10_000;
        assert!(whole && path.len() == 3, "{path}");
    }
    let rest = bench.restore("out").await.unwrap();
    assert_eq!(rest.identical, tree.len() as u64);
    assert_eq!(rest.files + rest.identical, 200);
}

/// Named after the bug: a stop waited for the answer about one more file, more than a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fell_silent_does_not_hold_a_stop_up() {
    for is_silent in [
        |method: &str| method == "GET",
        |method: &str| method == "HEAD",
    ] {
        let bench = Bench::new();
        let large = vec![b'x'; 17_000_000];
        for (name, content) in [("a", &b"small"[..]), ("z", &large)] {
            bench.put(name, &Object::file(content)).await;
        }
        let (ask, asked) = watch::channel(false);
        bench.meddle(move |request| {
            let is_of_file = ["/a?", "/z?", "/z"]
                .iter()
                .any(|end| request.uri().contains(end));
            if !(is_of_file && is_silent(request.method())) {
                return Meddling::Pass;
            }
            ask.send_replace(true);
            Meddling::Hang
        });
        let stop = Stop::new(asked);
        let run = restore(&bench.store, bench.request("out"), |_| (), &stop);
        let ended = tokio::time::timeout(Duration::from_secs(20), run).await;
        let fatal = ended.expect("it ends").unwrap_err();
        assert_eq!(fatal.kind, FatalKind::Interrupted);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_for_some_objects_is_still_there_for_the_rest() {
    let bench = Bench::new();
    for number in 0..40 {
        bench
            .put(&format!("bad/{number}"), &Object::file(b"x"))
            .await;
    }
    bench.put("good", &Object::file(b"good")).await;
    bench.meddle(|request| {
        if is_download(request) && request.uri().contains("/bad/") {
            Meddling::Answer(500, "InternalError")
        } else {
            Meddling::Pass
        }
    });
    let restored = bench.restore("out").await.unwrap();
    assert_eq!((restored.files, restored.failed.total), (1, 40));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_ends_the_run() {
    let bench = Bench::new();
    for number in 0..50 {
        bench.put(&format!("{number}"), &Object::file(b"x")).await;
    }
    let listed = AtomicU32::new(0);
    bench.meddle(move |_| {
        let is_first = listed.fetch_add(1, Ordering::Relaxed) == 0;
        if is_first {
            Meddling::Pass
        } else {
            Meddling::Answer(503, "ServiceUnavailable")
        }
    });
    let told = Arc::new(AtomicU32::new(0));
    let counting = told.clone();
    let report = move |event: Event<'_>| {
        if matches!(event, Event::Failed(_)) {
            counting.fetch_add(1, Ordering::Relaxed);
        }
    };
    let done = restore(&bench.store, bench.request("out"), report, &Stop::never()).await;
    assert_eq!(done.unwrap_err().exit_code(), 1);
    assert_eq!(
        told.load(Ordering::Relaxed),
        32,
        "not each of 50 files is waited for"
    );
}
