//! What else can befall a vault: hands, other disks, other processes, clocks, races.

use super::crash_tests::{BUCKET, get, open, put, stage};
use super::failure::{IN_USE, NOT_THERE};
use super::inner::{Inner, Versioning};
use super::list::{Item, Query};
use super::precondition::Precondition;
use super::record::{Entry, Object, Version, to_line};
use s3s::S3ErrorCode;
use s3s::dto::ETagCondition;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

struct Home {
    folder: tempfile::TempDir,
    vault: Arc<Inner>,
}

fn home() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let (vault, _) = open(folder.path());
    vault.ensure_bucket(BUCKET).unwrap();
    Home { folder, vault }
}

impl Home {
    fn plain(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(key)
    }
}

fn code(result: Result<String, s3s::S3Error>) -> String {
    result.unwrap_err().code().as_str().to_owned()
}

#[test]
fn a_file_changed_by_hand_is_refused_and_the_next_put_heals_it() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("longer", |path| {
            std::fs::write(path, "edited by hand").unwrap()
        }),
        ("same size", |path| std::fs::write(path, "0ne").unwrap()),
        ("gone", |path| std::fs::remove_file(path).unwrap()),
        ("a folder", |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
    ];
    for (name, change) in changes {
        let home = home();
        put(&home.vault, "f", "one").unwrap();
        change(&home.plain("f"));
        assert_eq!(code(get(&home.vault, "f", None)), "DamagedObject", "{name}");
        put(&home.vault, "f", "two").unwrap();
        assert_eq!(get(&home.vault, "f", None).unwrap(), "two", "{name}");
        if name != "a folder" {
            let shown = std::fs::read_to_string(home.plain("f")).unwrap();
            assert_eq!(shown, "two", "{name}");
        }
        // The bytes somebody typed are not thrown away.
        let aside = std::fs::read_dir(home.vault.layout.set_aside()).unwrap();
        let is_kept = matches!(name, "longer" | "same size");
        assert_eq!(aside.count(), usize::from(is_kept), "{name}");
    }
}

#[test]
fn a_marker_on_a_file_changed_by_hand_takes_the_file_away() {
    let home = home();
    put(&home.vault, "d/f", "one").unwrap();
    std::fs::write(home.plain("d/f"), "edited").unwrap();
    home.vault
        .delete(BUCKET, "d/f", &Precondition::default())
        .unwrap();
    assert!(!home.plain("d").exists());
}

#[test]
fn a_vault_copied_to_another_disk_is_as_good() {
    let home = home();
    put(&home.vault, "f", "one").unwrap();
    put(&home.vault, "f", "two").unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let all = [
        home.plain("f"),
        home.vault
            .layout
            .body(BUCKET, &older_body(&home.vault, "f")),
    ];
    for path in &all {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(old).unwrap();
    }
    assert_eq!(get(&home.vault, "f", None).unwrap(), "two");
    put(&home.vault, "f", "three").unwrap();
    let texts: Vec<String> = ids(&home.vault, "f")
        .iter()
        .map(|id| get(&home.vault, "f", Some(id)).unwrap())
        .collect();
    assert_eq!(texts, ["three", "two", "one"]);
    // Once read, the times are right again and nothing is read twice.
    let healed = std::fs::metadata(&all[1]).unwrap().modified().unwrap();
    assert_ne!(healed, old);
}

fn listed(vault: &Inner, key: &str) -> Vec<Version> {
    let query = Query {
        prefix: key.to_owned(),
        max: 1000,
        ..Query::default()
    };
    let page = vault.list_versions(BUCKET, &query).unwrap();
    page.items
        .into_iter()
        .filter_map(|item| match item {
            Item::Entry(listed) if listed.key == key => Some(listed.version),
            _ => None,
        })
        .collect()
}

fn ids(vault: &Inner, key: &str) -> Vec<String> {
    listed(vault, key).into_iter().map(|v| v.id).collect()
}

fn older_body(vault: &Inner, key: &str) -> String {
    listed(vault, key)[1].object.clone().unwrap().body
}

#[test]
fn what_is_in_the_way_is_never_overwritten() {
    let home = home();
    std::fs::create_dir_all(home.plain("")).unwrap();
    // A file of somebody else, or another key's on a disk that ignores case.
    std::fs::write(home.plain("taken"), "not ours").unwrap();
    for text in ["one", "two"] {
        put(&home.vault, "taken", text).unwrap();
        assert_eq!(get(&home.vault, "taken", None).unwrap(), text);
    }
    home.vault
        .delete(BUCKET, "taken", &Precondition::default())
        .unwrap();
    let theirs = std::fs::read_to_string(home.plain("taken")).unwrap();
    assert_eq!(theirs, "not ours");
    // Once the place is free the next version takes it.
    std::fs::remove_file(home.plain("taken")).unwrap();
    put(&home.vault, "taken", "three").unwrap();
    let ours = std::fs::read_to_string(home.plain("taken")).unwrap();
    assert_eq!(ours, "three");
}

#[cfg(unix)]
#[test]
fn a_linked_folder_does_not_lead_out_of_the_vault() {
    let home = home();
    let outside = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.plain("")).unwrap();
    std::os::unix::fs::symlink(outside.path(), home.plain("link")).unwrap();
    put(&home.vault, "link/f", "one").unwrap();
    put(&home.vault, "link", "two").unwrap();
    assert_eq!(get(&home.vault, "link/f", None).unwrap(), "one");
    assert_eq!(get(&home.vault, "link", None).unwrap(), "two");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_file_and_a_folder_of_one_name_live_side_by_side() {
    let home = home();
    put(&home.vault, "a", "file").unwrap();
    put(&home.vault, "a/b", "below").unwrap();
    put(&home.vault, "c/d", "below").unwrap();
    put(&home.vault, "c", "file").unwrap();
    for (key, text) in [
        ("a", "file"),
        ("a/b", "below"),
        ("c", "file"),
        ("c/d", "below"),
    ] {
        assert_eq!(get(&home.vault, key, None).unwrap(), text);
    }
    assert_eq!(std::fs::read_to_string(home.plain("a")).unwrap(), "file");
    assert_eq!(std::fs::read_to_string(home.plain("c/d")).unwrap(), "below");
    // When the file goes, the folder's file gets its place with its next version.
    home.vault
        .delete(BUCKET, "a", &Precondition::default())
        .unwrap();
    put(&home.vault, "a/b", "again").unwrap();
    assert_eq!(std::fs::read_to_string(home.plain("a/b")).unwrap(), "again");
}

#[cfg(unix)]
#[test]
fn everything_is_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = home();
    put(&home.vault, "d/f", "one").unwrap();
    put(&home.vault, "d/f", "two").unwrap();
    let mut open_folders = vec![home.folder.path().to_owned()];
    while let Some(folder) = open_folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            if entry.metadata().unwrap().is_dir() {
                open_folders.push(entry.path());
                assert_eq!(mode, 0o700, "{:?}", entry.path());
            } else {
                assert_eq!(mode, 0o600, "{:?}", entry.path());
            }
        }
    }
}

#[test]
fn order_comes_from_the_log_and_times_rise_with_a_clock_set_back() {
    let home = home();
    for (text, shift_ms) in [("1", 0), ("2", 0), ("3", -60_000), ("4", -60_000), ("5", 0)] {
        home.vault.clock_shift_ms.store(shift_ms, Ordering::Relaxed);
        put(&home.vault, "f", text).unwrap();
    }
    // A jump of a year: the clock's word counts, the order stays.
    let year_ms = 365 * 24 * 60 * 60 * 1000;
    home.vault.clock_shift_ms.store(-year_ms, Ordering::Relaxed);
    put(&home.vault, "f", "6").unwrap();
    let all = listed(&home.vault, "f");
    let texts: Vec<String> = all
        .iter()
        .map(|v| get(&home.vault, "f", Some(&v.id)).unwrap())
        .collect();
    assert_eq!(texts, ["6", "5", "4", "3", "2", "1"]);
    let times: Vec<i64> = all.iter().skip(1).map(|v| v.modified_ms).collect();
    assert!(times.windows(2).all(|two| two[0] > two[1]), "{times:?}");
    assert!(all[0].modified_ms < times[4]);
}

#[test]
fn if_none_match_is_atomic() {
    let home = home();
    let precondition = Precondition {
        if_none_match: Some(ETagCondition::Any),
        if_match: None,
    };
    let winners: usize = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..8)
            .map(|n| {
                let (vault, precondition) = (&home.vault, &precondition);
                scope.spawn(move || {
                    let staged = stage(vault, format!("{n}").as_bytes()).unwrap();
                    vault.put(BUCKET, "f", staged, Object::default(), precondition)
                })
            })
            .collect();
        racers
            .into_iter()
            .map(|racer| match racer.join().unwrap() {
                Ok(_) => 1,
                Err(e) => {
                    assert_eq!(*e.code(), S3ErrorCode::PreconditionFailed);
                    0
                }
            })
            .sum()
    });
    assert_eq!(winners, 1);
    assert_eq!(listed(&home.vault, "f").len(), 1);
}

#[test]
fn a_reader_gets_one_whole_version_while_writers_race() {
    let home = home();
    let text = |n: usize| format!("{n:04}").repeat(500);
    put(&home.vault, "f", &text(0)).unwrap();
    std::thread::scope(|scope| {
        let vault = &home.vault;
        let writer = scope.spawn(move || {
            for n in 1..150 {
                put(vault, "f", &text(n)).unwrap();
                if n % 10 == 0 {
                    vault.delete(BUCKET, "f", &Precondition::default()).unwrap();
                }
            }
        });
        let mut reads = 0;
        while !writer.is_finished() {
            match get(vault, "f", None) {
                Ok(found) => {
                    assert_eq!(found, found[..4].repeat(500));
                    reads += 1;
                }
                Err(e) => assert_eq!(*e.code(), S3ErrorCode::NoSuchKey, "{e}"),
            }
        }
        assert!(reads > 0);
    });
    assert_eq!(std::fs::read_to_string(home.plain("f")).unwrap(), text(149));
}

#[test]
fn writers_of_different_keys_do_not_disturb_each_other() {
    let home = home();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let vault = &home.vault;
            scope.spawn(move || {
                for n in 0..40 {
                    let key = format!("d{}/e/{writer}-{}", n % 3, n % 5);
                    put(vault, &key, &format!("{n}")).unwrap();
                    if n % 4 == 0 {
                        vault
                            .delete(BUCKET, &key, &Precondition::default())
                            .unwrap();
                    }
                }
            });
        }
    });
    let query = Query {
        max: 1000,
        ..Query::default()
    };
    let shown = home.vault.list_objects(BUCKET, &query).unwrap();
    assert!(!shown.items.is_empty());
    for item in shown.items {
        if let Item::Entry((key, _, _)) = item {
            let plain = std::fs::read_to_string(home.plain(&key)).unwrap();
            assert_eq!(plain, get(&home.vault, &key, None).unwrap());
        }
    }
}

#[test]
fn one_process_has_one_vault_and_another_has_to_wait() {
    let home = home();
    let (again, _) = open(home.folder.path());
    assert!(Arc::ptr_eq(&home.vault, &again));
    put(&again, "f", "one").unwrap();
    drop((again, home.vault));
    // Another process holds the lock.
    let lock = std::fs::File::options()
        .write(true)
        .open(home.folder.path().join(".keepwatch-vault/lock"))
        .unwrap();
    lock.lock().unwrap();
    let (vault, _) = open(home.folder.path());
    assert_eq!(get(&vault, "f", None).unwrap(), "one");
    let refused = put(&vault, "f", "two").unwrap_err();
    assert_eq!(refused.code().as_str(), IN_USE);
    drop(lock);
    put(&vault, "f", "two").unwrap();
    assert_eq!(get(&vault, "f", None).unwrap(), "two");
}

#[test]
fn a_disk_that_was_pulled_out_is_not_an_empty_vault() {
    let home = home();
    put(&home.vault, "f", "one").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let hidden = home.folder.path().join(".keepwatch-vault");
    std::fs::rename(&hidden, elsewhere.path().join("v")).unwrap();
    for refused in [
        put(&home.vault, "f", "two").map(drop).unwrap_err(),
        get(&home.vault, "f", None).map(drop).unwrap_err(),
    ] {
        assert_eq!(refused.code().as_str(), NOT_THERE);
        assert!(refused.message().unwrap().contains("is its disk attached"));
    }
    assert!(!hidden.exists());
}

/// Another process may write while the disk is elsewhere, and what was open on it then is of
/// no use any more.
#[test]
fn a_disk_that_is_back_is_taken_up_anew() {
    let home = home();
    put(&home.vault, "f", "one").unwrap();
    assert!(home.vault.is_sole_writer());
    let elsewhere = tempfile::tempdir().unwrap();
    let (hidden, away) = (
        home.folder.path().join(".keepwatch-vault"),
        elsewhere.path().join("v"),
    );
    std::fs::rename(&hidden, &away).unwrap();
    get(&home.vault, "f", None).unwrap_err();
    assert!(!home.vault.is_sole_writer());
    // The disk comes back with other files: a copy has other inodes.
    copy_tree(&away, &hidden);
    put(&home.vault, "f", "two").unwrap();
    assert!(home.vault.is_sole_writer());
    assert_eq!(get(&home.vault, "f", None).unwrap(), "two");
    let lock = std::fs::File::open(hidden.join("lock")).unwrap();
    assert!(lock.try_lock().is_err(), "the lock is held on the new disk");
    let slots = std::fs::read_dir(hidden.join("slots")).unwrap();
    let is_noted = slots
        .map(|slot| std::fs::read_to_string(slot.unwrap().path()).unwrap())
        .any(|slot| slot.contains("\"f\""));
    assert!(is_noted, "what is in work is noted on the new disk");
    // Exchanged once more, and nobody has looked meanwhile.
    #[cfg(unix)]
    {
        std::fs::rename(&hidden, elsewhere.path().join("second")).unwrap();
        copy_tree(&elsewhere.path().join("second"), &hidden);
        put(&home.vault, "f", "three").unwrap();
        let lock = std::fs::File::open(hidden.join("lock")).unwrap();
        assert!(
            lock.try_lock().is_err(),
            "the lock is held on the third disk"
        );
    }
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_tree(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn keys_that_no_s3_takes_are_refused_wherever_they_come_from() {
    let home = home();
    for key in [String::new(), "k".repeat(1025)] {
        let deleted = home.vault.delete(BUCKET, &key, &Precondition::default());
        assert_eq!(*deleted.unwrap_err().code(), S3ErrorCode::KeyTooLongError);
        assert!(put(&home.vault, &key, "x").is_err());
    }
    put(&home.vault, &"k".repeat(1024), "x").unwrap();
}

#[test]
fn a_vault_of_a_newer_format_is_left_alone() {
    let home = home();
    let format = home.vault.layout.format();
    let folder = home.folder;
    drop(home.vault);
    std::fs::write(format, r#"{"format":2}"#).unwrap();
    let refused = super::Vault::open(folder.path()).unwrap_err();
    assert!(refused.to_string().contains("newer Keepwatch"), "{refused}");
}

#[test]
fn an_often_overwritten_key_without_versions_stays_small() {
    let home = home();
    super::crash_tests::set(&home.vault, Versioning::Never);
    for n in 0..600 {
        put(&home.vault, "f", &format!("{n}")).unwrap();
    }
    let log = std::fs::metadata(home.vault.layout.log(BUCKET, "f")).unwrap();
    assert!(log.len() < 100_000, "{}", log.len());
    assert_eq!(get(&home.vault, "f", None).unwrap(), "599");
}

#[test]
fn a_listing_of_many_keys_reads_each_folder_once() {
    let home = home();
    // Logs alone: a listing looks at nothing else.
    let count = 5_000;
    let folder = home.vault.layout.keys(BUCKET).join("d-flat");
    std::fs::create_dir(&folder).unwrap();
    for n in 0..count {
        let key = format!("flat/{n:06}");
        let mut bytes = to_line(&Entry::Head { key: key.clone() }).unwrap();
        bytes.extend(
            to_line(&Entry::Version(Box::new(Version {
                id: "null".to_owned(),
                modified_ms: n,
                object: Some(Object::default()),
            })))
            .unwrap(),
        );
        std::fs::write(home.vault.layout.log(BUCKET, &key), bytes).unwrap();
    }
    home.vault.own().unwrap();
    home.vault.names.clear();
    let before = home.vault.names.reads.load(Ordering::Relaxed);
    let mut query = Query {
        max: 100,
        ..Query::default()
    };
    let mut seen = 0;
    loop {
        let page = home.vault.list_objects(BUCKET, &query).unwrap();
        seen += i64::try_from(page.items.len()).unwrap();
        match page.items.last() {
            Some(Item::Entry((key, _, _))) if page.is_truncated => query.after = Some(key.clone()),
            _ => break,
        }
    }
    assert_eq!(seen, count);
    let reads = home.vault.names.reads.load(Ordering::Relaxed) - before;
    assert_eq!(reads, 2);
}
