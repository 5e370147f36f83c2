//! Folders' modes: a folder's own object says them where it has one, which may
//! stay when the folder fills; the manifest those of all others.

use super::{chmod, compare, mode, origin, restored};
use crate::harness::os::symlink;
use crate::harness::{BUCKET, Rig, at_rest, until};
use crate::raw::client;
use keepwatch::daemon::Daemon;
use keepwatch::files::Target;
use keepwatch::history::Selector;
use keepwatch::restore::{Options, Request, restore};
use keepwatch::retry::Stop;
use keepwatch::types::RelKey;
use std::fs;
use std::sync::Arc;

/// The bucket equals the folder, in the objects of filled folders as well.
async fn until_folders_agree(rig: &Rig, daemon: &Daemon, with_object: &[&str]) {
    rig.until_equal(daemon).await;
    let ctx = daemon.components();
    until("the folders' objects say how they are", async || {
        at_rest(daemon)
            && with_object.iter().all(|name| {
                let key = RelKey::parse(&format!("{name}/")).unwrap();
                let record = ctx.index.get(ctx.sources[0].id, &key).unwrap();
                record.is_some_and(|record| {
                    record.content.is_some() && record.fingerprint.mode == mode(&rig.path(name))
                })
            })
    })
    .await;
}

/// Found by the random history, seed 4: the folder's own object says what it was
/// like, and the manifest of before said otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_folder_that_was_closed_after_the_manifest_stays_closed() {
    let rig = Rig::new();
    fs::create_dir(rig.path("empty")).unwrap();
    rig.write("emptied/a.txt", "a");
    chmod(&rig.path("empty"), 0o755);
    chmod(&rig.path("emptied"), 0o755);
    let daemon = rig.start().await;
    rig.until_equal(&daemon).await;
    assert!(compare(&daemon).await.complete());
    fs::remove_file(rig.path("emptied/a.txt")).unwrap();
    for name in ["empty", "emptied"] {
        chmod(&rig.path(name), 0o700);
    }
    until_folders_agree(&rig, &daemon, &["empty", "emptied"]).await;
    daemon.stop().await.unwrap();
    let done = restored(&rig, &rig.store(), None, "out").await;
    assert!(done.is_complete(), "{done:?}");
    for name in ["empty", "emptied"] {
        let mode = mode(&rig.dir.path().join("out").join(name));
        assert_eq!(mode, 0o700, "{name}");
    }
}

/// Found by the random history, seeds 842927458 and 4653913: which of two workers
/// came first decided.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_filled_is_as_its_own_object_says() {
    let rig = Rig::new();
    // Its name; its mode at the manifest and after it; what fills it.
    let filled = [
        ("by a folder", 0o755, 0o755, "in/"),
        ("by a file", 0o755, 0o755, "a.txt"),
        ("opened", 0o700, 0o755, "a.txt"),
        ("closed", 0o755, 0o700, "in/"),
        ("closed to its owner", 0o755, 0o500, "in/"),
        ("read only", 0o755, 0o555, "in/deeper/a.txt"),
    ];
    let names = filled.map(|(name, ..)| name);
    for (name, before, ..) in filled {
        fs::create_dir(rig.path(name)).unwrap();
        chmod(&rig.path(name), before);
    }
    rig.write("never empty/a.txt", "a");
    chmod(&rig.path("never empty"), 0o750);
    let daemon = rig.start().await;
    until_folders_agree(&rig, &daemon, &names).await;
    assert!(compare(&daemon).await.complete());
    for (name, _, after, inner) in filled {
        let inner = format!("{name}/{inner}");
        match inner.strip_suffix('/') {
            Some(folder) => fs::create_dir(rig.path(folder)).unwrap(),
            None => rig.write(&inner, "a"),
        }
        symlink("elsewhere", rig.path(&format!("{name}/link")));
        chmod(&rig.path(name), after);
    }
    until_folders_agree(&rig, &daemon, &names).await;
    daemon.stop().await.unwrap();
    // As a bucket's console makes them: no word about a mode.
    let console = client(&rig.vault()).put_object().bucket(BUCKET);
    console.key("never empty/").send().await.unwrap();

    // One at a time, and as many at once as may be.
    for (number, workers) in [1, 2, 32].into_iter().enumerate() {
        let out = rig.dir.path().join(format!("out {number}"));
        let again = Options {
            workers,
            ..Options::default()
        };
        let overwritten = Options {
            overwrite: true,
            ..again
        };
        let chosen = out.join("by a file");
        for (what, options, want_chosen) in [
            ("the first time", again, 0o755),
            ("again", again, 0o755),
            ("with a mode of one's own", again, 0o711),
            ("over it", overwritten, 0o755),
        ] {
            if want_chosen == 0o711 {
                chmod(&chosen, want_chosen);
            }
            let request = Request {
                origin: origin(),
                selector: Selector::everything(),
                at_ms: None,
                target: Arc::new(Target::open(&out).unwrap()),
                options,
                preflight: None,
            };
            let done = restore(&rig.store(), request, |_| {}, &Stop::never()).await;
            let done = done.unwrap();
            let faults = (&done.failed.items, &done.left_out.items);
            assert_eq!(faults, (&vec![], &vec![]), "{what}");
            for (name, _, want, inner) in filled {
                let want = if name == "by a file" {
                    want_chosen
                } else {
                    want
                };
                let found = mode(&out.join(name));
                assert_eq!(found, want, "{name}, {what}: {found:o} for {want:o}");
                assert!(out.join(name).join(inner).exists(), "{name}, {what}");
                let link = out.join(name).join("link");
                assert!(fs::symlink_metadata(link).is_ok(), "{name}, {what}");
            }
            assert_eq!(mode(&out.join("never empty")), 0o750, "{what}");
        }
    }
}

/// A folder in use keeps the mode it has, whatever its object says.
#[tokio::test(flavor = "multi_thread")]
async fn in_place_only_folders_that_were_gone_get_the_mode_of_their_object() {
    let rig = Rig::new();
    for name in ["gone", "in use"] {
        fs::create_dir(rig.path(name)).unwrap();
        chmod(&rig.path(name), 0o755);
    }
    let daemon = rig.start().await;
    until_folders_agree(&rig, &daemon, &["gone", "in use"]).await;
    for name in ["gone", "in use"] {
        rig.write(&format!("{name}/a.txt"), "a");
    }
    until_folders_agree(&rig, &daemon, &["gone", "in use"]).await;
    daemon.stop().await.unwrap();
    fs::remove_dir_all(rig.path("gone")).unwrap();
    fs::remove_file(rig.path("in use/a.txt")).unwrap();
    chmod(&rig.path("in use"), 0o700);
    let request = Request {
        origin: origin(),
        selector: Selector::everything(),
        at_ms: None,
        target: Arc::new(Target::open(&rig.root()).unwrap()),
        options: Options {
            overwrite: true,
            in_place: Some(jiff::civil::date(2026, 1, 2).at(3, 4, 0, 0)),
            ..Options::default()
        },
        preflight: None,
    };
    let done = restore(&rig.store(), request, |_| {}, &Stop::never()).await;
    assert!(done.unwrap().is_complete());
    for (name, want) in [("gone", 0o755), ("in use", 0o700)] {
        assert_eq!(mode(&rig.path(name)), want, "{name}");
        assert!(rig.path(name).join("a.txt").exists(), "{name}");
    }
}
