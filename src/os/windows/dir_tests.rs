//! One folder of Windows: what is told of files, and what is done to them while others have
//! them open.

use super::leads_to_folder;
use crate::os::attributes::{attribute_names, attributes_of, remove_attribute, set_attribute};
use crate::os::found::time_of_ns;
use crate::os::mounts::{changes_unseen, mounts_of};
use crate::os::platform::create_private_dir_all;
use crate::os::platform::{Dir, fingerprint_of, id_at, id_of, set_mode};
use crate::os::trouble::{Trouble, trouble};
use crate::os::windows::system::can_write_in;
use crate::types::Kind;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::windows::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

fn dir() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open(temp.path()).unwrap();
    (temp, dir)
}

#[test]
fn handle_and_name_give_one_fingerprint() {
    let (temp, dir) = dir();
    std::fs::write(temp.path().join("f"), "12345").unwrap();
    let file = dir.open_to_set(b"f").unwrap();
    file.set_modified(time_of_ns(1_700_000_000_123_456_700))
        .unwrap();
    let by_name = dir.stat(b"f").unwrap();
    assert_eq!(by_name.fingerprint, fingerprint_of(&file).unwrap());
    assert_eq!(by_name.fingerprint.mtime_ns, 1_700_000_000_123_456_700);
    assert_eq!(by_name.fingerprint.size_bytes, 5);
    assert_ne!(by_name.fingerprint.inode, 0);
    assert_ne!(by_name.fingerprint.ctime_ns, 0);
    let id = (by_name.dev, by_name.fingerprint.inode);
    assert_eq!(id, id_of(&file).unwrap());
    let itself = dir.stat_self().unwrap();
    assert_eq!(itself.fingerprint.kind, Kind::Folder);
    let id = (itself.dev, itself.fingerprint.inode);
    assert_eq!(id, id_at(temp.path()).unwrap());
    assert_eq!(itself.fingerprint.size_bytes, 0);
}

#[test]
fn a_file_keeps_its_id_when_it_is_renamed_and_two_swap_theirs() {
    let (temp, dir) = dir();
    let at = |name: &str| temp.path().join(name);
    let id = |name: &str| dir.stat(name.as_bytes()).unwrap().fingerprint.inode;
    std::fs::write(at("a"), "one").unwrap();
    std::fs::write(at("b"), "two").unwrap();
    let (a, b) = (id("a"), id("b"));
    assert_ne!(a, b);
    std::fs::rename(at("a"), at("c")).unwrap();
    std::fs::rename(at("b"), at("a")).unwrap();
    std::fs::rename(at("c"), at("b")).unwrap();
    assert_eq!((id("a"), id("b")), (b, a));
}

#[test]
fn names_of_one_file_are_counted() {
    let (temp, dir) = dir();
    std::fs::write(temp.path().join("a"), "one").unwrap();
    assert_eq!(dir.stat(b"a").unwrap().links, 1);
    assert_eq!(dir.second_name(b"a", b"b").unwrap(), Some(true));
    let (a, b) = (dir.stat(b"a").unwrap(), dir.stat(b"b").unwrap());
    assert_eq!((a.links, b.links), (2, 2));
    assert_eq!(a.fingerprint.inode, b.fingerprint.inode);
    assert_eq!(dir.second_name(b"a", b"b").unwrap(), Some(false));
}

/// What others do to a file that Keepwatch has open is theirs to do.
#[test]
fn an_open_file_can_be_renamed_written_and_deleted_by_others() {
    let (temp, dir) = dir();
    let at = |name: &str| temp.path().join(name);
    std::fs::write(at("f"), "one").unwrap();
    let opened = [
        dir.open_file(b"f").unwrap(),
        dir.open_own_file(b"f").unwrap(),
        dir.open_to_set(b"f").unwrap(),
        dir.reopen_file(b"f").unwrap(),
    ];
    std::fs::rename(at("f"), at("g")).unwrap();
    // As Office does: nobody else may write meanwhile.
    let mut alone = OpenOptions::new().append(true).open(at("g")).unwrap();
    alone.write_all(b", two").unwrap();
    drop(alone);
    std::fs::remove_file(at("g")).unwrap();
    drop(opened);
    assert!(!at("g").exists() && !at("f").exists());
}

#[test]
fn a_file_that_a_program_keeps_to_itself_is_busy_and_seen() {
    let (temp, dir) = dir();
    std::fs::write(temp.path().join("mail.pst"), "12345").unwrap();
    let held = OpenOptions::new()
        .read(true)
        .write(true)
        .share_mode(0)
        .open(temp.path().join("mail.pst"))
        .unwrap();
    let error = dir.open_file(b"mail.pst").unwrap_err();
    assert_eq!(trouble(&error), Trouble::Busy, "{error}");
    // It is there all the same: what it is can be asked.
    assert_eq!(dir.stat(b"mail.pst").unwrap().fingerprint.size_bytes, 5);
    drop(held);
    assert!(dir.open_file(b"mail.pst").is_ok());
}

#[test]
fn a_locked_part_of_a_file_is_busy() {
    let (temp, dir) = dir();
    std::fs::write(temp.path().join("db"), "12345").unwrap();
    let held = dir.reopen_file(b"db").unwrap();
    held.try_lock().unwrap();
    let mut file = dir.open_file(b"db").unwrap();
    match std::io::copy(&mut file, &mut std::io::sink()) {
        Err(error) => assert_eq!(trouble(&error), Trouble::Busy, "{error}"),
        // Under wine a lock keeps only other locks away.
        Ok(bytes) => assert_eq!(bytes, 5),
    }
}

#[test]
fn a_read_only_file_is_renamed_replaced_and_removed() {
    let (temp, dir) = dir();
    let make = |name: &str, text: &str| {
        std::fs::write(temp.path().join(name), text).unwrap();
        let file = dir.open_to_set(name.as_bytes()).unwrap();
        set_mode(&file, 0o444).unwrap();
    };
    let is_read_only = |name: &str| dir.stat(name.as_bytes()).unwrap().fingerprint.mode == 0o444;
    make("temp", "new");
    assert!(is_read_only("temp"));
    assert!(dir.rename_new(b"temp", b"f").unwrap());
    assert!(is_read_only("f") && dir.stat(b"temp").is_err());
    make("temp", "newer");
    assert!(!dir.rename_new(b"temp", b"f").unwrap());
    dir.rename(b"temp", b"f").unwrap();
    assert!(is_read_only("f"));
    assert_eq!(std::fs::read(temp.path().join("f")).unwrap(), b"newer");
    // What cannot be replaced keeps its mark.
    assert!(dir.rename(b"gone", b"f").is_err());
    assert!(is_read_only("f"));
    dir.remove_file(b"f").unwrap();
    assert_eq!(trouble(&dir.stat(b"f").unwrap_err()), Trouble::Missing);
}

#[test]
fn what_is_not_there_is_told_from_what_cannot_be_looked_at() {
    let (temp, dir) = dir();
    std::fs::create_dir(temp.path().join("sub")).unwrap();
    let sub = dir.open_dir(b"sub").unwrap();
    for name in [&b"gone"[..], &b"l".repeat(300)] {
        assert!(trouble(&dir.stat(name).unwrap_err()).is_nothing());
    }
    std::fs::remove_dir(temp.path().join("sub")).unwrap();
    // The folder is gone, its drive is there.
    assert_eq!(trouble(&sub.stat(b"f").unwrap_err()), Trouble::Missing);
    assert!(trouble(&sub.list(|_, _| {}).unwrap_err()).is_no_folder());
    let nowhere = Dir {
        path: PathBuf::from(r"\\?\Q:\no\such\drive"),
    };
    for error in [
        nowhere.stat(b"f").unwrap_err(),
        nowhere.open_dir(b"f").unwrap_err(),
        nowhere.open_file(b"f").unwrap_err(),
        nowhere.list(|_, _| {}).unwrap_err(),
    ] {
        assert!(!trouble(&error).is_nothing(), "{error}");
    }
}

#[test]
fn a_junction_is_a_link_and_comes_back_as_one() {
    let (temp, dir) = dir();
    std::fs::create_dir(temp.path().join("real")).unwrap();
    std::fs::write(temp.path().join("real/f"), "x").unwrap();
    let real = temp.path().join("real");
    let target = format!(r"\??\{}", real.display()).into_bytes();
    match dir.create_link(&target, b"junction") {
        Ok(()) => {}
        // wine knows junctions since version 9.
        Err(error) => {
            assert!(
                dir.stat(b"junction").is_err(),
                "{error}: nothing is left of it"
            );
            return;
        }
    }
    let found = dir.stat(b"junction").unwrap().fingerprint;
    if found.kind != Kind::Symlink {
        // wine 8 says success, and there is an empty folder.
        return;
    }
    assert_eq!(dir.read_link(b"junction").unwrap(), target);
    assert_eq!(found.size_bytes, target.len() as u64);
    let error = dir.open_dir(b"junction").unwrap_err();
    assert!(trouble(&error).is_no_folder());
    dir.remove_file(b"junction").unwrap();
    assert!(real.join("f").exists());
}

/// Named after the class: what a bucket says of a link makes this computer log on nowhere.
#[test]
fn where_a_link_leads_is_asked_of_this_computer_alone_and_through_no_other_link() {
    let (temp, dir) = dir();
    let at = temp.path();
    std::fs::create_dir_all(at.join("real").join("inner")).unwrap();
    std::fs::write(at.join("file"), "x").unwrap();
    let there = at.join("real").to_string_lossy().into_owned();
    // wine knows junctions since version 9.
    let junction = format!(r"\??\{there}");
    let has_junction = dir.create_link(junction.as_bytes(), b"junction").is_ok();
    for (target, want) in [
        ("real", true),
        (r"real\inner", true),
        (r"real/../real\.\inner\", true),
        (there.as_str(), true),
        ("junction", has_junction),
        (r"junction\inner", false),
        ("file", false),
        (r"file\real", false),
        ("missing", false),
        (r"\\127.0.0.1\c$\windows", false),
        ("//127.0.0.1/c$/windows", false),
        (r"\\?\UNC\127.0.0.1\c$", false),
        (r"\\.\C:\windows", false),
    ] {
        assert_eq!(leads_to_folder(at, Path::new(target)), want, "{target}");
    }
}

#[test]
fn marks_are_read_given_and_taken_away() {
    let (temp, dir) = dir();
    std::fs::write(temp.path().join("f"), "x").unwrap();
    dir.create_dir(b"d", true).unwrap();
    let folder = dir.open_dir(b"d").unwrap();
    let wanted = |name: &str| name == "windows.attributes";
    for file in [dir.open_to_set(b"f").unwrap(), folder.open_self().unwrap()] {
        let marks = || attributes_of(&file, 1000, wanted).unwrap().unwrap();
        assert_eq!(marks(), []);
        set_attribute(&file, "windows.attributes", b"hidden,system").unwrap();
        let want = ("windows.attributes".to_owned(), b"hidden,system".to_vec());
        assert_eq!(marks(), [want]);
        assert_eq!(
            attribute_names(&file).unwrap().unwrap(),
            ["windows.attributes"]
        );
        remove_attribute(&file, "windows.attributes").unwrap();
        assert_eq!(marks(), []);
        let error = set_attribute(&file, "user.comment", b"x").unwrap_err();
        assert_eq!(trouble(&error), Trouble::Unsupported);
    }
    // The mark that is a mode stays what it is.
    let file = dir.open_to_set(b"f").unwrap();
    set_mode(&file, 0o444).unwrap();
    set_attribute(&file, "windows.attributes", b"hidden").unwrap();
    assert_eq!(fingerprint_of(&file).unwrap().mode, 0o444);
}

#[test]
fn rights_are_read_and_given_as_text() {
    let (temp, dir) = dir();
    std::fs::write(temp.path().join("f"), "x").unwrap();
    let file = dir.open_to_set(b"f").unwrap();
    let list = "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;OW)";
    if set_attribute(&file, "windows.sddl", list.as_bytes()).is_err() {
        // Not every disk has rights.
        return;
    }
    let read = attributes_of(&file, 10_000, |_| true).unwrap().unwrap();
    let rights = read.iter().find(|(name, _)| name == "windows.sddl");
    let text = String::from_utf8(rights.unwrap().1.clone()).unwrap();
    // wine forgets that nothing is to be inherited.
    assert!(text.contains("D:") && text.contains(";SY)"), "{text}");
    assert!(set_attribute(&file, "windows.sddl", b"D:(nonsense").is_err());
    // Those of another computer's accounts would keep out whoever restores.
    let theirs = "D:P(A;;FA;;;S-1-5-21-1111111111-2222222222-3333333333-1001)";
    let error = set_attribute(&file, "windows.sddl", theirs.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("does not know"), "{error}");
}

#[test]
fn paths_of_a_thousand_characters_are_walked_written_and_read() {
    let (temp, _) = dir();
    let mut path = PathBuf::from(temp.path());
    let part = "a long name of a folder, as people make them";
    let mut dir = Dir::open(&path).unwrap();
    while path.as_os_str().len() < 1_000 {
        dir.create_dir(part.as_bytes(), true).unwrap();
        dir = dir.open_dir(part.as_bytes()).unwrap();
        path.push(part);
    }
    let mut file = dir.create_file(b"f.txt").unwrap();
    file.write_all(b"deep").unwrap();
    drop(file);
    assert_eq!(dir.stat(b"f.txt").unwrap().fingerprint.size_bytes, 4);
    assert!(dir.rename_new(b"f.txt", b"g.txt").unwrap());
    // Also where the path is given in its short form.
    assert_eq!(std::fs::read(path.join("g.txt")).unwrap(), b"deep");
    let again = Dir::open(&path).unwrap();
    let mut names = Vec::new();
    again.list(|name, _| names.push(name.to_vec())).unwrap();
    assert_eq!(names, [b"g.txt"]);
}

#[test]
fn a_folder_of_ours_is_for_its_account_the_system_and_administrators() {
    let temp = tempfile::tempdir().unwrap();
    let (state, inner) = (temp.path().join("state"), temp.path().join("state/index"));
    create_private_dir_all(&inner).unwrap();
    std::fs::write(inner.join("f"), "x").unwrap();
    let rights = |path: &std::path::Path| {
        let dir = Dir::open(path).unwrap();
        let all = dir.attributes(10_000, |_| true).unwrap().unwrap();
        let found = all.into_iter().find(|(name, _)| name == "windows.sddl");
        String::from_utf8(found.unwrap().1).unwrap()
    };
    let text = rights(&state);
    let (_, list) = text.split_once("D:").unwrap();
    let accounts: Vec<&str> = list
        .split('(')
        .skip(1)
        .filter_map(|entry| entry.trim_end_matches(')').rsplit(';').next())
        .collect();
    for account in &accounts {
        // wine makes a mode of it, which has an entry for everybody ("WD").
        let is_ours =
            ["SY", "BA", "OW", "LA", "WD"].contains(account) || account.starts_with("S-1-5-21-");
        assert!(is_ours, "{account} in {text}");
    }
    assert!(accounts.len() >= 2, "{text}");
    // What is there keeps its rights.
    create_private_dir_all(&state).unwrap();
    assert_eq!(rights(&state), text);
    assert!(can_write_in(&inner));
    assert!(!can_write_in(&inner.join("f")));
    assert!(!can_write_in(&inner.join("gone")));
}

#[test]
fn a_disk_of_this_computer_is_no_network_drive() {
    let temp = tempfile::tempdir().unwrap();
    assert_eq!(mounts_of(temp.path()).own, None);
    let share = std::path::Path::new(r"\\server.invalid\share\office");
    let own = mounts_of(share).own.unwrap();
    assert_eq!(own.point, PathBuf::from(r"\\server.invalid\share\"));
    assert!(changes_unseen(&own.kind));
}
