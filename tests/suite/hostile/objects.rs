//! Objects that lie about their place, size, mode, time or content. The rest
//! of what single objects can do wrong is in `restore::hostile`.

use super::{Lies, answer};
use crate::restore::bench::{Bench, Object, gzip, read_tree};
use keepwatch::files::Target;
use keepwatch::restore::restore;
use keepwatch::retry::Stop;
use keepwatch::types::RelPath;
use std::collections::BTreeMap;

/// Everything beside and above the target that a restore could reach.
fn beside(bench: &Bench) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(bench.folder(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_mean_something_elsewhere_are_plain_names_here_or_are_named() {
    let bench = Bench::new();
    let content = Object::file(b"x");
    // On this system all of these are names like any other; Windows' own rules
    // are tested in `os::names`, on every system.
    let plain = [
        "C:\\Windows\\evil.dll",
        "C:/Users/evil",
        "\\\\server\\share\\x",
        "..\\..\\up",
        "CON",
        "aux.txt",
        "nul/com1.log",
        "tail. ",
        "a:stream",
        "...",
        "~root/x",
        "-rf",
        "$(reboot)",
        "Readme",
        "README",
        "right\u{202e}left",
        ".keepwatch-restore-0123456789abcdef",
    ];
    for path in plain {
        bench.put(path, &content).await;
    }
    // Escapes that spell what may not be spelled out.
    let refused = [
        "a%00b",
        "%00",
        "%2e%2e/%2e%2e/x",
        "..%2Fx",
        "a%2F..%2F..%2Fx",
        "%2Fetc%2Fpasswd",
        "a/%2E/b",
        "a/..",
        "..",
        "a/./b",
        "//x",
        "x//",
    ];
    for key in refused {
        bench.put_raw(key, &content, &[]).await;
    }
    // No disk has names as long as this.
    let long = format!("long/{}", "n".repeat(300));
    bench.put(&long, &content).await;
    let restored = bench.restore("out").await.unwrap();
    assert_eq!(restored.files, plain.len() as u64, "{restored:?}");
    let named: BTreeMap<&str, &str> = restored
        .failed
        .items
        .iter()
        .map(|fault| (fault.subject.as_str(), fault.cause.as_str()))
        .collect();
    for key in refused {
        let cause = named.get(key).copied().unwrap_or("not named");
        assert!(cause.contains("cannot be used"), "{key}: {cause}");
    }
    assert!(named.contains_key(long.as_str()), "{named:?}");
    assert_eq!(named.len(), refused.len() + 1, "{named:?}");
    let mut want = plain.map(str::to_owned).map(|p| p.replace('\\', "/"));
    want.sort();
    let mut got = read_tree(&bench.folder("out"));
    got.sort();
    assert_eq!(got, want);
    assert_eq!(beside(&bench), ["out", "vault"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_lead_nowhere_for_those_who_write() {
    let bench = Bench::new();
    let outside = bench.folder("outside");
    std::fs::create_dir(&outside).unwrap();
    let out_text = outside.to_str().unwrap();
    let evil = Object::file(b"evil");
    for (path, target) in [
        ("abs", out_text.as_bytes()),
        ("rel", b"../outside"),
        ("here", b"."),
        ("chain", b"abs"),
        ("dangling", b"../outside/new"),
    ] {
        bench.put(path, &Object::link(target)).await;
    }
    bench.restore("out").await.unwrap();
    // Later versions of the bucket have files, folders and links below them.
    for link in ["abs", "rel", "here", "chain", "dangling"] {
        for (name, object) in [
            ("file", evil.clone()),
            ("deep/er/file", evil.clone()),
            ("folder", Object::folder()),
            ("link", Object::link(b"file")),
        ] {
            bench.put(&format!("{link}/{name}"), &object).await;
        }
    }
    for overwrite in [false, true] {
        let restored = bench
            .restore_with("out", |request| request.options.overwrite = overwrite)
            .await
            .unwrap();
        assert_eq!(restored.failed.total, 20, "{restored:?}");
        assert_eq!((restored.files, restored.folders), (0, 0));
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }
    // Into an empty folder the files win, and the links are named.
    let restored = bench.restore("fresh").await.unwrap();
    assert_eq!(
        (
            restored.files,
            restored.failed.total + restored.already_there.total
        ),
        (10, 5)
    );
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(beside(&bench), ["fresh", "out", "outside", "vault"]);
    // Targets that no link can have.
    for (path, target) in [
        ("empty", &b""[..]),
        ("nul", b"a\0b"),
        ("long", &[b'x'; 5_000]),
    ] {
        bench.put(path, &Object::link(target)).await;
    }
    let restored = bench
        .restore_with("odd", |request| {
            request.selector = crate::restore::bench::selector(&["empty", "nul", "long"]);
        })
        .await
        .unwrap();
    assert_eq!(
        (restored.links, restored.failed.total),
        (0, 3),
        "{restored:?}"
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_set_id_bit_comes_back_only_with_its_owner() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let bench = Bench::new();
    let program = Object::file(b"#!/bin/sh\n").mode(0o6755);
    bench.put("nobodys", &program).await;
    let mut owned = program.clone();
    owned.meta.owner = Some((12_345, 12_345));
    bench.put("somebodys", &owned).await;
    bench.put("folder", &Object::folder().mode(0o7777)).await;
    bench.put("plain", &Object::file(b"x").mode(0o1777)).await;
    // Not at all, unless it is asked for; and what does not is named.
    let restored = bench.restore("without").await.unwrap();
    assert_eq!((restored.is_complete(), restored.otherwise), (false, 2));
    let plain = std::fs::metadata(bench.folder("without/somebodys")).unwrap();
    assert_eq!(plain.permissions().mode() & 0o7777, 0o755);
    let asked = bench.restore_with("out", |r| r.options.keep_set_user_id = true);
    let restored = asked.await.unwrap();
    let is_root = rustix::process::geteuid().is_root();
    assert_eq!(
        restored.otherwise,
        if is_root { 1 } else { 2 },
        "{restored:?}"
    );
    let mode = |path: &str| {
        let meta = std::fs::symlink_metadata(bench.folder("out").join(path)).unwrap();
        (meta.permissions().mode() & 0o7777, meta.uid())
    };
    let me = rustix::process::geteuid();
    assert_eq!(mode("nobodys"), (0o755, me.as_raw()));
    if me.is_root() {
        // It runs with the rights of the account that it belonged to, as before.
        assert_eq!(mode("somebodys"), (0o6755, 12_345));
    } else {
        assert_eq!(mode("somebodys"), (0o755, me.as_raw()));
    }
    assert_eq!(mode("folder").0, 0o1777);
    assert_eq!(mode("plain").0, 0o1777);
    // Until its owner says otherwise, nobody else gets to any of it.
    let out = std::fs::metadata(bench.folder("out")).unwrap();
    assert_eq!(out.permissions().mode() & 0o7777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_sizes_and_metadata_beyond_all_bounds() {
    let bench = Bench::new();
    for (path, mtime_ns) in [
        ("min", i64::MIN.into()),
        ("max", i64::MAX.into()),
        ("zero", 0),
    ] {
        bench
            .put(path, &Object::file(b"x").mtime_ns(mtime_ns))
            .await;
        let link = format!("link-{path}");
        bench
            .put(&link, &Object::link(b"x").mtime_ns(mtime_ns))
            .await;
        let folder = format!("folder-{path}");
        bench
            .put(&folder, &Object::folder().mtime_ns(mtime_ns))
            .await;
    }
    let beyond = "9223372036854775808";
    let digits = "9".repeat(1_000);
    for (key, field, value) in [
        ("mtime", "kw-mtime-ns", "9223372036854775808000000001"),
        ("mtime-digits", "kw-mtime-ns", &digits),
        ("size", "kw-size", beyond),
        ("size-digits", "kw-size", &digits),
        ("size-most", "kw-size", "9223372036854775807"),
        ("size-none", "kw-size", "0"),
        ("mode", "kw-mode", "10000"),
        ("owner", "kw-owner", "4294967296:0"),
        ("format", "kw-format", "4294967296"),
        ("format-none", "kw-format", "0"),
        ("hash", "kw-sha256", &digits),
    ] {
        bench
            .put_raw(key, &Object::file(b"four"), &[(field, value)])
            .await;
    }
    // A path in the metadata of an object that needs none is nobody's business.
    bench
        .put_raw(
            "good",
            &Object::file(b"good"),
            &[("kw-key", "../../outside")],
        )
        .await;
    let restored = bench.restore("out").await.unwrap();
    assert_eq!(
        (restored.files, restored.links, restored.folders),
        (4, 3, 3),
        "{restored:?}"
    );
    assert_eq!(restored.failed.total, 11, "{restored:?}");
    let tree = read_tree(&bench.folder("out"));
    for path in ["good", "min", "max", "zero", "link-min"] {
        assert!(tree.contains(&path.to_owned()), "{path}: {tree:?}");
    }
    assert_eq!(tree.len(), 7, "{tree:?}");
    assert_eq!(beside(&bench), ["out", "vault"]);
    // What the disk could take of the times came back.
    let target = Target::open(&bench.folder("out")).unwrap();
    let zero = RelPath::from_bytes("zero").unwrap();
    assert_eq!(target.existing(&zero).unwrap().unwrap().mtime_ns, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_lies_about_what_it_holds_leaves_nothing_behind() {
    let bench = Bench::new();
    let file = b"name;sum\n".repeat(1_000);
    let honest = Object::file(&file).gzip();
    let with_body = |body: Vec<u8>| Object {
        body,
        ..honest.clone()
    };
    let nothing = gzip(b"");
    // A gzip header may hold a name: this one has no end.
    let mut named = gzip(&file);
    named[3] = 0x08;
    named.splice(10..10, std::iter::repeat_n(b'n', 500_000));
    let packed_twice = Object {
        body: gzip(&gzip(&file)),
        ..honest.clone()
    };
    for (path, object) in [
        (
            "members",
            with_body([gzip(&file), nothing.repeat(20_000)].concat()),
        ),
        ("only-members", with_body(nothing.repeat(20_000))),
        ("name", with_body(named)),
        ("twice", packed_twice),
        ("half", with_body(gzip(&file[..4_500]))),
        ("more", with_body([gzip(&file), gzip(b"!")].concat())),
        ("other", with_body(gzip(&vec![b'x'; file.len()]))),
    ] {
        bench.put(path, &object).await;
    }
    bench.put("good", &honest).await;
    let restored = bench.restore("out").await.unwrap();
    assert_eq!(
        (restored.files, restored.failed.total),
        (1, 7),
        "{restored:?}"
    );
    for fault in &restored.failed.items {
        assert_eq!(fault.class, keepwatch::types::Class::Damaged, "{fault}");
        assert!(fault.hint.contains("--at"), "{fault}");
    }
    assert_eq!(read_tree(&bench.folder("out")), ["good"]);
}

/// The vault has S3's limit on metadata; another server need not.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_without_measure_is_taken_or_left_but_stops_nothing() {
    let bench = Bench::new();
    let object = Object::file(b"stuffed");
    for path in ["good", "stuffed", "stuffed-path"] {
        bench.put(path, &object).await;
    }
    let lies = Lies::new(bench.wire.vault.clone(), move |request| {
        let (path, _) = request.uri().split_once('?')?;
        if !path.contains("/stuffed") || request.method() == "PUT" {
            return None;
        }
        let mut answer = answer(200, object.body.clone());
        for (name, value) in object.meta.to_headers() {
            answer
                .headers_mut()
                .insert(format!("x-amz-meta-{name}"), value);
        }
        let much = "=41".repeat(2_000_000);
        for name in ["kw-symlink-target", "kw-unknown", "other"] {
            answer
                .headers_mut()
                .insert(format!("x-amz-meta-{name}"), much.clone());
        }
        if path.ends_with("-path") {
            answer.headers_mut().insert("x-amz-meta-kw-sha256", much);
        }
        Some(answer)
    });
    let request = bench.request("out");
    let restored = restore(&lies.store(), request, |_| (), &Stop::never())
        .await
        .unwrap();
    assert_eq!(
        (restored.files, restored.failed.total),
        (2, 1),
        "{restored:?}"
    );
    let fault = &restored.failed.items[0];
    assert!(
        fault.to_string().len() < 5_000,
        "{} bytes",
        fault.cause.len()
    );
    assert_eq!(read_tree(&bench.folder("out")), ["good", "stuffed"]);
}
