//! A bucket that somebody else has written to: each odd object is named, none
//! gets outside, and everything else comes back.

use super::bench::{Bench, Object, gzip, read_tree};
use crate::harness::os::symlink;
use keepwatch::restore::Restored;
use keepwatch::types::Class;
use std::collections::BTreeMap;

/// Faults by what they are about.
fn faults(restored: &Restored) -> BTreeMap<&str, &str> {
    let all = restored
        .failed
        .items
        .iter()
        .chain(&restored.already_there.items);
    all.map(|fault| {
        assert!(!fault.hint.is_empty(), "{fault}");
        (fault.subject.as_str(), fault.cause.as_str())
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_lead_elsewhere() {
    let bench = Bench::new();
    let evil = Object::file(b"evil");
    let keys = [
        "../outside",
        "a/../../outside",
        "/etc/outside",
        "a//outside",
        "./outside",
        "%2E%2E/outside",
        "nul%00outside",
        "not%41canonical",
    ];
    for key in keys {
        bench.put_raw(key, &evil, &[]).await;
    }
    bench.put("good", &Object::file(b"good")).await;
    let restored = bench.restore("out").await.unwrap();
    let faults = faults(&restored);
    for key in keys {
        assert!(
            faults
                .get(key)
                .is_some_and(|cause| cause.contains("cannot be used")),
            "{key}: {faults:?}"
        );
    }
    assert_eq!(faults.len(), keys.len());
    // A backslash is part of a name on Unix and refused where it separates folders.
    bench.put("..\\..\\back", &evil).await;
    bench.restore("out").await.unwrap();
    let tree = read_tree(&bench.folder("out"));
    let backslash = if cfg!(windows) {
        None
    } else {
        Some("../../back".to_owned())
    };
    let want: Vec<String> = backslash.into_iter().chain(["good".to_owned()]).collect();
    assert_eq!(tree, want);
    let beside: Vec<_> = std::fs::read_dir(bench.folder(""))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(beside.len(), 2, "{beside:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_through_a_link() {
    let bench = Bench::new();
    let outside = bench.folder("outside");
    std::fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap().as_bytes();
    // A link of the bucket with a file beneath it.
    bench.put("way", &Object::link(target)).await;
    bench.put("way/in", &Object::file(b"evil")).await;
    // A link that stands in the target already.
    bench.put("planted/in", &Object::file(b"evil")).await;
    bench.put("good", &Object::file(b"good")).await;
    let out = bench.folder("out");
    std::fs::create_dir(&out).unwrap();
    let planted = symlink(&outside, out.join("planted"));

    let restored = bench.restore("out").await.unwrap();
    let faults = faults(&restored);
    assert!(faults.contains_key("way"), "{faults:?}");
    assert_eq!(faults.contains_key("planted/in"), planted, "{faults:?}");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(std::fs::read(out.join("good")).unwrap(), b"good");

    // The link first, the file in a later run.
    bench.delete("way/in").await;
    bench.restore("again").await.unwrap();
    bench.put("way/in", &Object::file(b"evil")).await;
    for overwrite in [false, true] {
        let restored = bench
            .restore_with("again", |request| request.options.overwrite = overwrite)
            .await
            .unwrap();
        assert!(
            restored
                .failed
                .items
                .iter()
                .any(|fault| fault.subject == "way/in")
        );
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn content_and_metadata_that_are_not_what_they_say() {
    let bench = Bench::new();
    let file = b"name;sum\n".repeat(2000);
    let plain = Object::file(&file);
    let packed = plain.clone().gzip();
    let with_body = |body: Vec<u8>| Object {
        body,
        ..packed.clone()
    };
    bench
        .put(
            "hash",
            &Object {
                body: vec![b'x'; file.len()],
                ..plain.clone()
            },
        )
        .await;
    bench
        .put(
            "longer",
            &Object {
                body: [&file[..], b"x"].concat(),
                ..plain.clone()
            },
        )
        .await;
    bench
        .put(
            "shorter",
            &Object {
                body: file[1..].to_vec(),
                ..plain.clone()
            },
        )
        .await;
    bench
        .put("bomb", &with_body(gzip(&vec![0; 200_000_000])))
        .await;
    bench
        .put(
            "cut",
            &with_body(packed.body[..packed.body.len() - 5].to_vec()),
        )
        .await;
    bench.put("no-gzip", &with_body(file.clone())).await;
    for (key, fields) in [
        ("newer", [("kw-format", "2")]),
        ("broken", [("kw-sha256", "12")]),
        ("size", [("kw-size", "-5")]),
        ("kind", [("kw-kind", "device")]),
        ("folder", [("kw-kind", "folder")]),
        ("huge-link", [("kw-kind", "symlink")]),
    ] {
        let body = if key == "huge-link" {
            Object::file(&vec![b'l'; 200_000])
        } else {
            plain.clone()
        };
        bench.put_raw(key, &body, &fields).await;
    }
    bench.put_raw("file/", &plain, &[]).await;
    bench.put("good.csv", &packed).await;
    bench.put("good.txt", &plain).await;

    let restored = bench.restore("out").await.unwrap();
    let faults = faults(&restored);
    for (path, in_cause) in [
        ("hash", "SHA-256"),
        ("longer", "more than"),
        ("shorter", "says it has"),
        ("bomb", "more than"),
        ("cut", "compressed content"),
        ("no-gzip", "compressed content"),
        ("newer", "newer"),
        ("broken", "sha256"),
        ("size", "size"),
        ("kind", "kind"),
        ("folder", "disagree"),
        ("huge-link", "longer than any path"),
        ("file", "disagree"),
    ] {
        let cause = faults.get(path).copied().unwrap_or("no fault");
        assert!(cause.contains(in_cause), "{path}: {cause}");
    }
    assert_eq!(faults.len(), 13, "{faults:?}");
    assert!(
        restored
            .failed
            .items
            .iter()
            .all(|fault| fault.class == Class::Damaged)
    );
    assert_eq!(read_tree(&bench.folder("out")), ["good.csv", "good.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn shortened_keys_that_claim_another_path() {
    let bench = Bench::new();
    let long = super::long_path();
    let path = keepwatch::types::RelPath::from_bytes(long.as_str()).unwrap();
    let key = keepwatch::types::RelKey::of_file(&path).in_bucket("").key;
    let other = format!("x~kw-{}", "0".repeat(32));
    for (key, claim) in [(key.as_str(), "good"), (other.as_str(), "../outside")] {
        bench
            .put_raw(key, &Object::file(b"evil"), &[("kw-key", claim)])
            .await;
    }
    bench
        .put_raw(
            &format!("y~kw-{}", "1".repeat(32)),
            &Object::file(b"evil"),
            &[],
        )
        .await;
    bench.put("good", &Object::file(b"good")).await;
    let restored = bench.restore("out").await.unwrap();
    assert_eq!(restored.failed.total, 3);
    assert_eq!(read_tree(&bench.folder("out")), ["good"]);
    assert_eq!(
        std::fs::read(bench.folder("out").join("good")).unwrap(),
        b"good"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_there_is_left_alone_and_counted() {
    let bench = Bench::new();
    for key in ["readme.txt", "folder/", "../odd", "/abs"] {
        bench.put_foreign(key).await;
    }
    bench.put("good", &Object::file(b"good")).await;
    let restored = bench.restore("out").await.unwrap();
    assert!(restored.is_complete(), "{restored:?}");
    assert_eq!(restored.skipped_foreign, 4);
    assert_eq!(read_tree(&bench.folder("out")), ["good"]);
    assert!(!bench.folder("out").join("folder").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_and_a_folder_of_one_name() {
    let bench = Bench::new();
    bench.put("a", &Object::file(b"file")).await;
    bench.put("a/b", &Object::file(b"below")).await;
    bench.put("c", &Object::folder()).await;
    let restored = bench.restore("out").await.unwrap();
    // One of the two has the name; the other is named as failed.
    assert_eq!(
        restored.files + restored.failed.total + restored.already_there.total,
        2
    );
    assert!(!restored.is_complete() && restored.folders == 1);
}
