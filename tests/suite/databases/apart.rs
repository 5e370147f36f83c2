//! Files that belong together only by their names: when one goes, the others stay what
//! they are, files of their own.

use crate::harness::{BUCKET, Rig, Thing, on_disk};
use crate::seed::seed;
use keepwatch::daemon::Daemon;
use keepwatch::files::Target;
use keepwatch::history::Selector;
use keepwatch::restore::{Options, Request, restore};
use keepwatch::retry::Stop;
use keepwatch::types::{Origin, WallMs};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

/// What is restored now is exactly the folder, and nothing is told of it.
async fn comes_back(rig: &Rig, daemon: &Daemon, case: &str) {
    rig.until_equal(daemon).await;
    is_restored(rig, None, &on_disk(&rig.root()), case).await;
}

async fn is_restored(rig: &Rig, at_ms: Option<WallMs>, want: &BTreeMap<String, Thing>, case: &str) {
    let to = rig.dir.path().join("out");
    let request = Request {
        origin: Origin {
            bucket: BUCKET.to_owned(),
            prefix: String::new(),
        },
        selector: Selector::everything(),
        at_ms,
        target: Arc::new(Target::open(&to).unwrap()),
        options: Options::default(),
        preflight: None,
    };
    let restored = restore(&rig.store(), request, |_| (), &Stop::never()).await;
    let restored = restored.unwrap();
    assert_eq!(on_disk(&to), *want, "{case}");
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
    // One that a file takes the place of.
    fs::create_dir(rig.path("plan-shm")).unwrap();
    comes_back(&rig, &daemon, "a folder again").await;
    fs::remove_dir(rig.path("plan-shm")).unwrap();
    rig.write("plan-shm", "content");
    comes_back(&rig, &daemon, "a file instead of it").await;
    daemon.stop().await.unwrap();
}

/// Names that belong together and things that do not, in any order: each rest comes
/// back, now and at its moment.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_names_that_belong_together_comes_back() {
    const NAMES: [&str; 7] = [
        "plan",
        "plan-journal",
        "plan-wal",
        "plan-shm",
        "plan.lck",
        "~$plan",
        "other",
    ];
    let seed = seed(468_522, 1_000_000);
    let mut rng = fastrand::Rng::with_seed(seed);
    let rig = Rig::new();
    for n in 0..20 {
        rig.write(&format!("more/{n}"), "content");
    }
    let daemon = rig.start().await;
    let mut rests = Vec::new();
    for turn in 0..24 {
        let mut said = Vec::new();
        for _ in 0..rng.usize(1..6) {
            let name = NAMES[rng.usize(..NAMES.len())];
            let path = rig.path(name);
            let remove = || {
                let _ = fs::remove_file(&path);
                let _ = fs::remove_dir_all(&path);
            };
            match rng.u8(..12) {
                0..=3 => {
                    if path.is_dir() || path.is_symlink() {
                        remove();
                    }
                    fs::write(&path, format!("{turn} {}", rng.u8(..3))).unwrap();
                    said.push(format!("write {name}"));
                }
                4..=5 => {
                    remove();
                    said.push(format!("remove {name}"));
                }
                6 => {
                    remove();
                    fs::create_dir(&path).unwrap();
                    said.push(format!("folder {name}"));
                }
                7 => {
                    remove();
                    fs::create_dir(&path).unwrap();
                    fs::write(path.join("in"), "content").unwrap();
                    said.push(format!("filled folder {name}"));
                }
                8 => {
                    remove();
                    symlink(format!("to {turn}"), &path).unwrap();
                    said.push(format!("link {name}"));
                }
                _ => {
                    let to = NAMES[rng.usize(..NAMES.len())];
                    let _ = fs::rename(&path, rig.path(to));
                    said.push(format!("rename {name} to {to}"));
                }
            }
            if rng.bool() {
                tokio::time::sleep(std::time::Duration::from_millis(rng.u64(..700))).await;
            }
        }
        let case = format!("seed {seed}, turn {turn}: {said:?}");
        println!("{case}");
        comes_back(&rig, &daemon, &case).await;
        let at_ms = jiff::Timestamp::now().as_millisecond();
        rests.push((at_ms, on_disk(&rig.root()), case));
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    daemon.stop().await.unwrap();
    for (at_ms, want, case) in rests {
        is_restored(&rig, Some(WallMs(at_ms)), &want, &case).await;
    }
}

/// Before: a journal that was written a minute after its file counted from when the
/// file was found to be as it is, and came back at moments before it was written.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_beside_a_file_later_was_not_there_before() {
    let rig = Rig::new();
    rig.write("plan", "content");
    let daemon = rig.start().await;
    for name in ["plan-journal", "plan-wal"] {
        rig.until_equal(&daemon).await;
        let before = on_disk(&rig.root());
        let at_ms = jiff::Timestamp::now().as_millisecond();
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        rig.write(name, "content");
        // The file is read once more with it.
        filetime::set_file_mtime(rig.path("plan"), filetime::FileTime::from_unix_time(1, 0))
            .unwrap();
        rig.until_equal(&daemon).await;
        is_restored(&rig, Some(WallMs(at_ms)), &before, name).await;
    }
    daemon.stop().await.unwrap();
}
