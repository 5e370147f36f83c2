//! Files that belong together only by their names: when one goes, the others stay what
//! they are, files of their own.

use crate::harness::{BUCKET, Rig, on_disk};
use keepwatch::daemon::Daemon;
use keepwatch::files::Target;
use keepwatch::recovery::{Options, Origin, Request, Selector, Stop, restore};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

/// What is restored now is exactly the folder, and nothing is told of it.
async fn comes_back(rig: &Rig, daemon: &Daemon, case: &str) {
    rig.until_equal(daemon).await;
    let to = rig.dir.path().join("out");
    let request = Request {
        origin: Origin {
            bucket: BUCKET.to_owned(),
            prefix: String::new(),
        },
        selector: Selector::everything(),
        at_ms: None,
        target: Arc::new(Target::open(&to).unwrap()),
        options: Options::default(),
        survey: None,
    };
    let restored = restore(&rig.store(), request, |_| (), &Stop::never()).await;
    let restored = restored.unwrap();
    assert_eq!(on_disk(&to), on_disk(&rig.root()), "{case}");
    assert!(restored.is_complete(), "{case}");
    assert_eq!(restored.remarks.total, 0, "{case}: {:?}", restored.remarks);
    fs::remove_dir_all(to).unwrap();
}

/// Before: its object went on saying that it belongs to a file which is not there, and
/// a restore left it out.
#[tokio::test(flavor = "multi_thread")]
async fn what_stays_when_its_file_goes_comes_back_without_it() {
    type Change = fn(&Rig);
    let changes: [(&str, Change); 5] = [
        ("deleted", |rig| fs::remove_file(rig.path("plan")).unwrap()),
        ("renamed", |rig| {
            fs::rename(rig.path("plan"), rig.path("old plan")).unwrap();
        }),
        ("a folder", |rig| {
            fs::remove_file(rig.path("plan")).unwrap();
            fs::create_dir(rig.path("plan")).unwrap();
            rig.write("plan/a", "content");
        }),
        ("an empty folder", |rig| {
            fs::remove_file(rig.path("plan")).unwrap();
            fs::create_dir(rig.path("plan")).unwrap();
        }),
        ("a link", |rig| {
            fs::remove_file(rig.path("plan")).unwrap();
            symlink("elsewhere", rig.path("plan")).unwrap();
        }),
    ];
    for (name, change) in changes {
        let rig = Rig::new();
        for file in ["plan", "plan-journal", "plan-wal", "another"] {
            rig.write(file, format!("content of {file}"));
        }
        let daemon = rig.start().await;
        comes_back(&rig, &daemon, name).await;
        change(&rig);
        comes_back(&rig, &daemon, name).await;
        // And once it is back, they go with it again.
        if rig.path("plan").symlink_metadata().is_ok() {
            let _ = fs::remove_file(rig.path("plan"));
            let _ = fs::remove_dir_all(rig.path("plan"));
            rig.until_equal(&daemon).await;
        }
        rig.write("plan", "content again");
        comes_back(&rig, &daemon, name).await;
        daemon.stop().await.unwrap();
    }
}

/// Before: the folder's turn was given to the file that it is named after, and nobody
/// marked it: a restore brought it back.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_named_like_a_journal_is_marked_when_it_goes() {
    let rig = Rig::new();
    rig.write("plan", "content");
    for folder in ["plan-journal", "plan-wal", "plan.lck"] {
        fs::create_dir(rig.path(folder)).unwrap();
    }
    let daemon = rig.start().await;
    comes_back(&rig, &daemon, "folders").await;
    for folder in ["plan-journal", "plan-wal", "plan.lck"] {
        fs::remove_dir(rig.path(folder)).unwrap();
    }
    comes_back(&rig, &daemon, "no folders").await;
    // A file in its place, and that is gone as well.
    rig.write("plan-journal", "content");
    fs::create_dir(rig.path("plan-wal")).unwrap();
    comes_back(&rig, &daemon, "a file").await;
    fs::remove_file(rig.path("plan-journal")).unwrap();
    fs::remove_dir(rig.path("plan-wal")).unwrap();
    comes_back(&rig, &daemon, "nothing").await;
    daemon.stop().await.unwrap();
}
