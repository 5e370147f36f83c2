//! What restore may do to a folder, and above all what it may not.

use super::left_out::MODE_SET_ID;
use super::*;
use crate::files::temp::is_temporary;
use crate::os;
use crate::os::testing::make_link;
use crate::types::Kind;
use proptest::prelude::*;
use std::collections::BTreeMap;

const MTIME_NS: i128 = 1_600_000_000_123_456_700;

fn p(text: &str) -> RelPath {
    RelPath::from_bytes(text).unwrap()
}

fn looks(mode: u32, mtime_ns: i128) -> Looks {
    Looks {
        mode,
        mtime_ns,
        owner: None,
    }
}

fn written() -> Committed {
    Committed::Written { left_out: None }
}

fn put(target: &Target, path: &str, text: &str, overwrite: bool) -> Result<Committed, Fault> {
    let mut pending = target.begin(&p(path), false)?;
    pending.write(text.as_bytes())?;
    pending.commit(overwrite, 0o644, MTIME_NS, None)
}

/// Every path below a folder, with a file's content or a link's target.
fn contents(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut out = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap().file_type();
            let text = if kind.is_symlink() {
                format!("-> {}", path.read_link().unwrap().display())
            } else if kind.is_dir() {
                todo.push(path.clone());
                "folder".to_owned()
            } else {
                std::fs::read_to_string(&path).unwrap()
            };
            out.insert(path, text);
        }
    }
    out
}

#[test]
fn a_file_comes_back_with_its_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(&dir.path().join("new/place")).unwrap();
    assert!(target.path().is_absolute() && target.free_bytes().unwrap() > 0);
    let mut pending = target.begin(&p("a/b/f"), true).unwrap();
    pending.write(b"one ").unwrap();
    pending.write(b"two").unwrap();
    assert_eq!(pending.file().metadata().unwrap().len(), 7);
    assert_eq!(target.existing(&p("a/b/f")).unwrap(), None);
    assert_eq!(
        pending.commit(false, 0o640, MTIME_NS, None).unwrap(),
        written()
    );
    target.sync().unwrap();
    let found = target.existing(&p("a/b/f")).unwrap().unwrap();
    assert_eq!((found.size_bytes, found.mtime_ns), (7, MTIME_NS));
    if os::HAS_MODES {
        assert_eq!(found.mode, 0o640);
        for folder in ["a", "a/b"] {
            let found = target.existing(&p(folder)).unwrap().unwrap();
            assert_eq!(found.mode, 0o700, "{folder}");
        }
    }
    assert_eq!(contents(target.path()).len(), 3);
}

#[test]
fn what_is_there_stays_unless_told() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    assert_eq!(put(&target, "f", "old", false).unwrap(), written());
    assert_eq!(
        put(&target, "f", "new", false).unwrap(),
        Committed::AlreadyThere
    );
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), b"old");
    assert_eq!(put(&target, "f", "new", true).unwrap(), written());
    assert_eq!(std::fs::read(dir.path().join("f")).unwrap(), b"new");
    // A folder is never replaced, nor its content touched.
    put(&target, "d/x", "x", false).unwrap();
    assert_eq!(
        put(&target, "d", "new", false).unwrap(),
        Committed::AlreadyThere
    );
    let fault = put(&target, "d", "new", true).unwrap_err();
    assert!(fault.hint.contains("folder"), "{fault}");
    let there = contents(dir.path());
    assert_eq!(there.len(), 3, "temporary files are left: {there:?}");
}

/// What is there is looked at when the new file is complete, its mode and time
/// included, and on the disk: nothing but the name is left to take.
#[test]
fn way_is_made_right_before_the_name_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let write = || {
        let mut pending = target.begin(&p("f"), false).unwrap();
        pending.write(b"new").unwrap();
        pending
    };
    let names = || std::fs::read_dir(dir.path()).unwrap().count();
    std::fs::write(dir.path().join("f"), "old").unwrap();
    let refused = write().commit_after(true, 0o600, MTIME_NS, None, || {
        assert_eq!(
            (std::fs::read(dir.path().join("f")).unwrap(), names()),
            (b"old".into(), 2)
        );
        Err(Fault::new(Class::Local, "keep", "f", "no name is free"))
    });
    assert_eq!(refused.unwrap_err().cause, "no name is free");
    assert_eq!(
        (std::fs::read(dir.path().join("f")).unwrap(), names()),
        (b"old".into(), 1)
    );
    let done = write().commit_after(true, 0o600, MTIME_NS, None, || {
        let new = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap());
        let mut new = new.map(|entry| std::fs::File::open(entry.path()).unwrap());
        let is_ready = |file: std::fs::File| {
            let there = os::fingerprint_of(&file).unwrap();
            there.size_bytes == 3 && there.mtime_ns == MTIME_NS
        };
        assert!(new.any(is_ready));
        Ok(())
    });
    assert_eq!(done, Ok(written()));
    assert_eq!(
        (std::fs::read(dir.path().join("f")).unwrap(), names()),
        (b"new".into(), 1)
    );
}

#[test]
fn a_dropped_file_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let mut pending = target.begin(&p("f"), false).unwrap();
    pending.write(b"half").unwrap();
    let name = contents(dir.path()).into_keys().next().unwrap();
    assert!(is_temporary(&os::bytes_of_name(name.file_name().unwrap())));
    if os::HAS_MODES {
        let file = std::fs::File::open(&name).unwrap();
        assert_eq!(os::fingerprint_of(&file).unwrap().mode, 0o600);
    }
    drop(pending);
    assert!(contents(dir.path()).is_empty());
}

#[test]
fn nothing_is_written_through_links_or_files() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("f"), "precious").unwrap();
    let before = contents(&outside);
    let target = Target::open(&dir.path().join("t")).unwrap();
    put(&target, "file", "x", false).unwrap();
    let planted = make_link(&outside, &dir.path().join("t/planted"))
        && make_link(Path::new("../outside/f"), &dir.path().join("t/to-file"));
    if planted {
        let to = outside.as_os_str().as_encoded_bytes();
        let made = target.symlink(&p("restored"), to, false, looks(0o777, MTIME_NS), false);
        assert_eq!(made.unwrap(), written());
        for path in ["planted/f", "planted/new/f", "restored/f", "to-file/f"] {
            for overwrite in [false, true] {
                let fault = put(&target, path, "evil", overwrite).unwrap_err();
                assert!(fault.hint.contains("through"), "{fault}");
                assert_eq!(fault.subject, path);
                assert!(
                    target
                        .folder(&p(path), looks(0o755, 0), &Attributes::default(), false)
                        .is_err()
                );
                let link = target.symlink(&p(path), b"x", overwrite, looks(0o777, 0), false);
                assert!(link.is_err());
            }
            assert_eq!(target.existing(&p(path)).unwrap(), None);
        }
        // A link is no folder, also as the last name; overwriting replaces the link.
        assert!(
            target
                .folder(
                    &p("planted"),
                    looks(0o755, 0),
                    &Attributes::default(),
                    false
                )
                .is_err()
        );
        assert_eq!(put(&target, "to-file", "mine", true).unwrap(), written());
        assert_eq!(put(&target, "restored", "mine", true).unwrap(), written());
    }
    let fault = put(&target, "file/below", "evil", true).unwrap_err();
    assert_eq!(fault.class, Class::Local);
    assert!(put(&target, "", "evil", true).is_err());
    assert_eq!(contents(&outside), before);
}

#[test]
fn links_and_folders_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let folder = |path, mode| {
        target.folder(
            &p(path),
            looks(mode, MTIME_NS),
            &Attributes::default(),
            false,
        )
    };
    assert_eq!(folder("a/empty", 0o6750).unwrap(), written());
    assert_eq!(folder("a/empty", 0o700).unwrap(), Committed::AlreadyThere);
    let found = target.existing(&p("a/empty")).unwrap().unwrap();
    assert_eq!((found.kind, found.mtime_ns), (Kind::Folder, MTIME_NS));
    assert!(!os::HAS_MODES || found.mode == 0o750, "{:o}", found.mode);
    if !make_link(Path::new("x"), &dir.path().join("can-link")) {
        return;
    }
    let link = |to: &[u8], overwrite| {
        target.symlink(&p("a/l"), to, overwrite, looks(0o777, MTIME_NS), false)
    };
    assert_eq!(link(b"/no/where", false).unwrap(), written());
    assert_eq!(link(b"other", false).unwrap(), Committed::AlreadyThere);
    assert_eq!(
        crate::files::read_link(dir.path(), &p("a/l")).unwrap(),
        b"/no/where"
    );
    assert_eq!(link(b"other", true).unwrap(), written());
    assert_eq!(
        crate::files::read_link(dir.path(), &p("a/l")).unwrap(),
        b"other"
    );
    let found = target.existing(&p("a/l")).unwrap().unwrap();
    assert_eq!((found.kind, found.mtime_ns), (Kind::Symlink, MTIME_NS));
    for bad in [&b""[..], b"nul\0"] {
        assert!(link(bad, true).is_err());
    }
    // Over a folder: refused, and no temporary link stays.
    assert!(
        target
            .symlink(&p("a/empty"), b"x", true, looks(0o777, 0), false)
            .is_err()
    );
    assert_eq!(contents(dir.path()).len(), 4);
}

#[test]
fn rights_of_another_account_are_kept_only_with_their_owner() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let commit = |path: &str, owner| {
        let pending = target.begin(&p(path), false).unwrap();
        let done = pending.commit(false, 0o6755, 0, owner).unwrap();
        let found = target.existing(&p(path)).unwrap().unwrap();
        // Withheld, it is said to be.
        let is_whole = found.mode & MODE_SET_ID != 0;
        if os::HAS_MODES {
            assert_eq!(done == written(), is_whole, "{done:?}");
        }
        found
    };
    if os::HAS_MODES {
        assert_eq!(commit("plain", None).mode, 0o755);
    }
    let owned = commit("owned", Some((12345, 54321)));
    if os::is_privileged() {
        assert_eq!(owned.owner, Some((12345, 54321)));
        assert_eq!(owned.mode, 0o6755);
    } else {
        assert_eq!(owned.mode & MODE_SET_ID, 0);
    }
}

#[test]
fn a_target_that_is_no_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::write(&file, "").unwrap();
    let fatal = Target::open(&file).unwrap_err();
    assert!(fatal.operation.contains("restore into"), "{fatal}");
    assert!(!fatal.hint.is_empty(), "{fatal}");
}

#[test]
fn names_too_long_for_the_disk_are_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let name = "x".repeat(300);
    let pending = target.begin(&p(&name), false).unwrap();
    let fault = pending.commit(false, 0o600, 0, None).unwrap_err();
    assert_eq!(fault.class, Class::Unstorable);
    assert!(put(&target, &format!("{name}/f"), "x", false).is_err());
    assert!(contents(dir.path()).is_empty());
    // Deeper than any path that the system takes in one piece.
    let deep = "a-folder/".repeat(1000) + "f";
    assert_eq!(put(&target, &deep, "x", false).unwrap(), written());
    assert!(target.existing(&p(&deep)).unwrap().is_some());
}

#[test]
fn what_a_disk_does_not_take_is_told_beside_the_success() {
    let mut left_out = LeftOut::default();
    left_out.note(Aspect::Time, Ok(()));
    left_out.note(Aspect::Mode, Err(io::ErrorKind::PermissionDenied.into()));
    let Committed::Written {
        left_out: Some(fault),
    } = left_out.committed("a/b".into())
    else {
        panic!("nothing was told");
    };
    assert_eq!(fault.subject, "a/b");
    assert_eq!(fault.reason(), "cannot keep its mode: permission denied");
}

/// What a bucket may ask for.
#[derive(Debug, Clone)]
enum Ask {
    File(String, bool),
    Link(String, String, bool),
    Folder(String),
}

fn ask() -> impl Strategy<Value = Ask> {
    let path = "[abc](/[abc]){0,3}";
    let to = prop_oneof![
        Just("../outside".to_owned()),
        Just("..".to_owned()),
        Just("../../outside".to_owned()),
        Just("/tmp".to_owned()),
        Just(".".to_owned()),
        "[abc]",
    ];
    prop_oneof![
        (path, any::<bool>()).prop_map(|(p, o)| Ask::File(p, o)),
        (path, to, any::<bool>()).prop_map(|(p, t, o)| Ask::Link(p, t, o)),
        path.prop_map(Ask::Folder),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_order_of_restoring_leads_outside(asks in proptest::collection::vec(ask(), 1..25)) {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir_all(outside.join("a/b")).unwrap();
        std::fs::write(outside.join("b"), "precious").unwrap();
        let before = contents(&outside);
        let target = Target::open(&dir.path().join("t")).unwrap();
        for ask in &asks {
            // Most of these are refused; that is as good.
            let _ = match ask {
                Ask::File(path, overwrite) => put(&target, path, "evil", *overwrite),
                Ask::Link(path, to, overwrite) => {
                    target.symlink(&p(path), to.as_bytes(), *overwrite, looks(0o777, 0), false)
                }
                Ask::Folder(path) => target.folder(&p(path), looks(0o755, 0), &Attributes::default(), false),
            };
        }
        prop_assert_eq!(contents(&outside), before);
        prop_assert_eq!(dir.path().read_dir().unwrap().count(), 2);
        for path in contents(target.path()).keys() {
            let name = os::bytes_of_name(path.file_name().unwrap());
            prop_assert!(!is_temporary(&name), "left behind: {:?}", path);
        }
    }
}

/// Two files whose names differ in capital letters alone: on a system that takes them for
/// one, the second is left out and said, also when all may be overwritten.
#[test]
fn capital_letters_alone_overwrite_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    let write = |name: &str, text: &str| {
        let mut pending = target.begin(&p(name), false).unwrap();
        pending.write(text.as_bytes()).unwrap();
        pending.commit(true, 0o644, MTIME_NS, None).unwrap()
    };
    assert_eq!(write("Plan.txt", "one"), written());
    assert!(!target.is_spelled_otherwise(&p("Plan.txt")).unwrap());
    let second = write("plan.txt", "two");
    let is_one = std::fs::read_dir(dir.path()).unwrap().count() == 1;
    assert_eq!(is_one, second == Committed::AlreadyThere);
    // macOS' disks fold, and do not tell the spelling: the last one counts there.
    assert!(is_one == cfg!(windows) || cfg!(target_os = "macos"));
    if is_one {
        assert!(target.is_spelled_otherwise(&p("plan.txt")).unwrap());
        assert_eq!(std::fs::read(dir.path().join("Plan.txt")).unwrap(), b"one");
    }
    assert_eq!(write("Plan.txt", "three"), written());
    let text = std::fs::read(dir.path().join("Plan.txt")).unwrap();
    assert_eq!(text, b"three");
}

/// Names of other systems: here under their own, or under one that is told.
#[test]
fn names_that_this_system_does_not_take_come_back_under_another_and_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::open(dir.path()).unwrap();
    for name in [
        "10:30/CON",
        "10:30/a?b.txt",
        "10:30/a*b.txt",
        "10:30/nul.txt",
        "10:30/dot.",
        "10:30/a\\b",
    ] {
        let rel = p(name);
        let mut pending = target.begin(&rel, false).unwrap();
        pending.write(name.as_bytes()).unwrap();
        let Committed::Written { left_out } = pending.commit(false, 0o644, MTIME_NS, None).unwrap()
        else {
            panic!("{name} is new");
        };
        assert_eq!(left_out.is_some(), cfg!(windows), "{left_out:?}");
        let here = target.here(&rel);
        if let Some(fault) = left_out {
            assert_eq!(fault.class, Class::Unstorable);
            assert!(fault.cause.contains(&here.to_string()), "{fault}");
        }
        assert!(target.existing(&rel).unwrap().is_some(), "{name}");
        let text = std::fs::read(dir.path().join(os::rel_to_os(&here).unwrap())).unwrap();
        assert_eq!(text, name.as_bytes());
    }
    let folder = target.here(&p("10:30")).into_owned();
    let folder = dir.path().join(os::rel_to_os(&folder).unwrap());
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 6);
    let keep = crate::files::Keep::Nothing;
    let looks = crate::files::Looks {
        mode: 0o700,
        mtime_ns: MTIME_NS,
        owner: None,
    };
    let done = target.finish_folder(&p("10:30"), looks, &Attributes::default(), keep);
    done.unwrap();
    let found = target.existing(&p("10:30")).unwrap().unwrap();
    assert_eq!(found.mtime_ns, MTIME_NS);
}
