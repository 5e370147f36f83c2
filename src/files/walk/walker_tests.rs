//! The walk against a naive one, and against what goes wrong on real disks.

use super::*;
use crate::files::path_stat::stat;
use crate::os;
use crate::os::testing::{asked, make_fifo, make_link, make_socket, set_path_mode};
use proptest::prelude::*;

fn p(bytes: impl AsRef<[u8]>) -> RelPath {
    RelPath::from_bytes(bytes.as_ref()).unwrap()
}

fn rules(root: &Path, exclude: &[&str]) -> Rules {
    let exclude: Vec<String> = exclude.iter().map(|text| (*text).to_owned()).collect();
    Rules::new(root, &exclude).unwrap()
}

/// Key and emptiness of all entries; fails on a fault.
fn all(root: &Path, subtree: &RelPath, rules: &Rules) -> Vec<(String, bool)> {
    walk(root, subtree, rules)
        .map(|item| item.unwrap())
        .map(|entry| (entry.key.as_str().to_owned(), entry.empty))
        .collect()
}

fn keys(root: &Path, subtree: &RelPath, rules: &Rules) -> Vec<String> {
    all(root, subtree, rules).into_iter().map(|e| e.0).collect()
}

/// Collect everything, ask about each path by itself, sort at the end.
fn naive(root: &Path, rules: &Rules) -> Vec<(String, bool)> {
    fn children(root: &Path, folder: &RelPath, rules: &Rules) -> Vec<(RelPath, Kind)> {
        let path = root.join(os::rel_to_os(folder).unwrap());
        let mut out = Vec::new();
        for entry in path.read_dir().unwrap() {
            let name = os::bytes_of_name(&entry.unwrap().file_name());
            let path = folder.join(&name).unwrap();
            let kind = stat(root, &path).unwrap().unwrap().kind;
            if !rules.excluded(&path, kind == Kind::Folder) {
                out.push((path, kind));
            }
        }
        out
    }
    let mut out = Vec::new();
    let mut todo = vec![RelPath::root()];
    while let Some(folder) = todo.pop() {
        for (path, kind) in children(root, &folder, rules) {
            if kind == Kind::Folder {
                let empty = children(root, &path, rules).is_empty();
                out.push((RelKey::of_folder(&path).as_str().to_owned(), empty));
                todo.push(path);
            } else {
                out.push((RelKey::of_file(&path).as_str().to_owned(), false));
            }
        }
    }
    out.sort();
    out
}

/// Make what can be made of this; names that the disk refuses are passed over.
fn plant(root: &Path, tree: &[(Vec<u8>, u8)]) {
    for (path, what) in tree {
        let Ok(path) = RelPath::from_bytes(path.clone()) else {
            continue;
        };
        let Ok(path) = os::rel_to_os(&path) else {
            continue;
        };
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            let _ = std::fs::create_dir_all(parent);
        }
        let _ = match what {
            0 => std::fs::create_dir(&path),
            1 => {
                // Never out of the tree: later paths may lead through it.
                make_link(Path::new("."), &path);
                Ok(())
            }
            2 if !path.exists() => std::fs::write(path, "*-\n/a\n!a-\n"),
            _ if !path.exists() => std::fs::write(path, "x"),
            _ => Ok(()),
        };
    }
}

fn tree() -> impl Strategy<Value = Vec<(Vec<u8>, u8)>> {
    let name = prop_oneof![
        4 => prop::sample::select(vec![
            &b"a"[..], b"a.b", b"a-", b"a0", b"a!", b"%41", b"a%41", b"%", b"b", b"\xff",
            b"a\xff", b"\xc3\xa9", b"a\nb", b"\n", b"~", b" ", b"A", b"a\x01",
            b".keepwatchignore",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(1u8.., 1..4),
    ];
    let path = prop::collection::vec(name, 1..5).prop_map(|names| names.join(&b'/'));
    prop::collection::vec((path, 0u8..6), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_walk_is_the_naive_one_in_key_order(tree in tree()) {
        let dir = tempfile::tempdir().unwrap();
        plant(dir.path(), &tree);
        let plain = rules(dir.path(), &[]);
        for exclude in [&[][..], &["a", "!a.b/a"], &["b/", "/a-"]] {
            let rules = rules(dir.path(), exclude);
            let got: Vec<_> = walk(dir.path(), &RelPath::root(), &rules).flatten().collect();
            prop_assert!(got.is_sorted_by(|a, b| a.key < b.key));
            for entry in &got {
                prop_assert_eq!(RelKey::parse_full(entry.key.as_str()), Ok(entry.key.clone()));
                prop_assert_eq!(Some(entry.fingerprint), stat(dir.path(), &entry.path()).unwrap());
            }
            let got: Vec<_> = got.into_iter().map(|e| (e.key.as_str().to_owned(), e.empty)).collect();
            prop_assert_eq!(got, naive(dir.path(), &rules));
        }
        // Any subtree is the part of the whole with that beginning.
        let whole = naive(dir.path(), &plain);
        for (key, _) in &whole {
            let path = RelKey::parse_full(key).unwrap().path();
            let want: Vec<_> = whole.iter().filter(|(k, _)| k == key
                || (key.ends_with('/') && k.starts_with(key.as_str()))).cloned().collect();
            let got: Vec<_> = walk(dir.path(), &path, &plain).flatten()
                .map(|e| (e.key.as_str().to_owned(), e.empty)).collect();
            prop_assert_eq!(got, want);
        }
    }
}

#[test]
fn folders_come_before_their_contents_and_after_like_named_files() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.b", "a-", "a0", "a/z", "a/é"] {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    std::fs::create_dir(dir.path().join("a/empty")).unwrap();
    std::fs::create_dir(dir.path().join("a/left")).unwrap();
    std::fs::write(dir.path().join("a/left/x.tmp"), "").unwrap();
    let rules = rules(dir.path(), &["*.tmp"]);
    let got = all(dir.path(), &RelPath::root(), &rules);
    let got: Vec<_> = got.iter().map(|(k, e)| (k.as_str(), *e)).collect();
    let want = [
        ("a-", false),
        ("a.b", false),
        ("a/", false),
        ("a/empty/", true),
        ("a/left/", true),
        ("a/z", false),
        ("a/é", false),
        ("a0", false),
    ];
    assert_eq!(got, want);
}

#[test]
fn special_files_are_named_and_do_not_fill_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    if !make_fifo(&dir.path().join("d/fifo")) || !make_socket(&dir.path().join("d/sock")) {
        return;
    }
    let rules = rules(dir.path(), &[]);
    let got: Vec<_> = walk(dir.path(), &RelPath::root(), &rules)
        .map(|item| item.unwrap())
        .map(|e| (e.key.as_str().to_owned(), e.fingerprint.kind, e.empty))
        .collect();
    let want = [
        ("d/".to_owned(), Kind::Folder, true),
        ("d/fifo".to_owned(), Kind::Special, false),
        ("d/sock".to_owned(), Kind::Special, false),
    ];
    assert_eq!(got, want);
}

#[test]
fn links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    std::fs::write(dir.path().join("d/f"), "").unwrap();
    if !make_link(Path::new("d"), &dir.path().join("l")) {
        return;
    }
    make_link(Path::new("."), &dir.path().join("d/round"));
    let rules = rules(dir.path(), &[]);
    let root = RelPath::root();
    assert_eq!(
        keys(dir.path(), &root, &rules),
        ["d/", "d/f", "d/round", "l"]
    );
    assert_eq!(keys(dir.path(), &p("l"), &rules), ["l"]);
    assert!(keys(dir.path(), &p("l/f"), &rules).is_empty());
    // The source itself may be a link.
    assert_eq!(keys(&dir.path().join("l"), &root, &rules), ["f", "round"]);
}

#[test]
fn a_subtree_may_be_a_file_gone_or_left_out() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("a/out/x")).unwrap();
    std::fs::write(dir.path().join("a/f"), "").unwrap();
    std::fs::write(dir.path().join("a").join(RULE_FILE_NAME), "out\n").unwrap();
    let rules = rules(dir.path(), &[]);
    for (subtree, want) in [
        ("a", vec!["a/", "a/.keepwatchignore", "a/f"]),
        ("a/f", vec!["a/f"]),
        ("a/f/below", vec![]),
        ("a/gone", vec![]),
        ("gone/x", vec![]),
        ("a/out", vec![]),
        ("a/out/x", vec![]),
    ] {
        assert_eq!(keys(dir.path(), &p(subtree), &rules), want, "{subtree}");
    }
}

#[test]
fn a_root_that_is_not_there_leaves_everything_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("unplugged");
    let rules = rules(&gone, &[]);
    for subtree in [RelPath::root(), p("a/b")] {
        let got: Vec<_> = walk(&gone, &subtree, &rules).collect();
        let [Err(lost)] = &got[..] else {
            panic!("{got:?}");
        };
        assert_eq!(lost.fault.class, Class::Unreadable);
        assert!(lost.fault.hint.contains("connected"));
        // The subtree may have been a file.
        assert!(lost.covers(&RelKey::of_file(&p("a/b"))));
        assert!(lost.covers(&RelKey::of_file(&p("a/b/c"))));
    }
}

#[test]
fn what_a_fault_covers() {
    let lost = |subtree| WalkFault {
        fault: Fault::new(Class::Unreadable, "list", "a", "x"),
        subtree,
    };
    let folder = lost(RelKey::of_folder(&p("a")));
    let file = lost(RelKey::of_file(&p("a")));
    for (key, by_folder, by_file) in [
        (RelKey::of_file(&p("a")), false, true),
        (RelKey::of_folder(&p("a")), true, false),
        (RelKey::of_file(&p("a/b")), true, false),
        (RelKey::of_file(&p("ab")), false, false),
        (RelKey::of_file(&p("a.b")), false, false),
    ] {
        assert_eq!(folder.covers(&key), by_folder, "{key:?}");
        assert_eq!(file.covers(&key), by_file, "{key:?}");
    }
}

#[test]
fn an_unreadable_folder_is_named_and_the_walk_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("b/secret")).unwrap();
    std::fs::write(dir.path().join("c"), "").unwrap();
    set_path_mode(&dir.path().join("b/secret"), 0);
    let rules = rules(dir.path(), &[]);
    let got: Vec<_> = walk(dir.path(), &RelPath::root(), &rules).collect();
    set_path_mode(&dir.path().join("b/secret"), 0o700);
    assert_eq!(got.len(), 3, "{got:?}");
    assert_eq!(got[2].as_ref().unwrap().key.as_str(), "c");
    match &got[1] {
        Err(lost) => {
            assert_eq!(lost.subtree.as_str(), "b/secret/");
            assert_eq!(lost.fault.class, Class::Unreadable);
            assert_eq!(lost.fault.subject, "b/secret");
            assert!(lost.fault.hint.contains("account"));
        }
        // Root reads everything; an endless path takes the same way below.
        Ok(_) => assert!(os::is_privileged() || !os::HAS_MODES),
    }
}

#[test]
fn an_unusable_rule_file_is_reported_and_excludes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("d").join(RULE_FILE_NAME)).unwrap();
    std::fs::write(dir.path().join("d/f"), "").unwrap();
    let rules = rules(dir.path(), &[]);
    let got: Vec<_> = walk(dir.path(), &RelPath::root(), &rules).collect();
    let faults: Vec<_> = got.iter().filter_map(|i| i.as_ref().err()).collect();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].fault.subject, "d/.keepwatchignore");
    assert_eq!(faults[0].subtree.as_str(), "d/.keepwatchignore");
    assert_eq!(got.len(), 4);
}

#[test]
fn what_changes_its_kind_meanwhile_is_found_or_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["b", "d", "e"] {
        std::fs::write(at(name), "").unwrap();
    }
    std::fs::create_dir_all(at("c/sub")).unwrap();
    std::fs::create_dir_all(at("f/sub")).unwrap();
    std::fs::create_dir_all(at("g/sub")).unwrap();
    std::fs::write(at("a"), "").unwrap();
    let rules = rules(dir.path(), &["out/"]);
    let mut walk = walk(dir.path(), &RelPath::root(), &rules);
    assert_eq!(walk.next().unwrap().unwrap().key.as_str(), "a");
    // The root has been listed; now everything in it changes.
    std::fs::remove_file(at("b")).unwrap();
    std::fs::create_dir_all(at("b/new")).unwrap();
    std::fs::remove_dir_all(at("c")).unwrap();
    std::fs::write(at("c"), "").unwrap();
    std::fs::remove_file(at("d")).unwrap();
    std::fs::remove_dir_all(at("f")).unwrap();
    let got: Vec<String> = walk
        .map(|item| match item {
            Ok(entry) => entry.key.as_str().to_owned(),
            Err(lost) => format!("{:?} {}", lost.fault.class, lost.subtree.as_str()),
        })
        .collect();
    assert_eq!(got, ["b/", "b/new/", "Changed c", "e", "g/", "g/sub/"]);
}

#[test]
fn a_name_of_unknown_kind_is_both_until_it_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    std::fs::create_dir_all(dir.path().join("folder/sub")).unwrap();
    let rules = rules(dir.path(), &[]);
    let mut walk = walk(dir.path(), &RelPath::root(), &rules);
    walk.start = None;
    walk.root_dir = Some(Dir::open(dir.path()).unwrap());
    let too_long = vec![b'x'; 300];
    let mut rest = Vec::new();
    for name in [&b"file"[..], b"folder", &too_long, b"gone"] {
        for is_folder in [false, true] {
            rest.push(Child::new(name, is_folder, true));
        }
    }
    rest.sort_unstable_by(|a, b| b.cmp(a));
    walk.frames.push(Frame {
        dir: Some(Dir::open(dir.path()).unwrap()),
        id: (0, 0),
        rest,
        chain_len: 0,
    });
    let got: Vec<String> = walk
        .map(|item| match item {
            Ok(entry) => entry.key.as_str().to_owned(),
            Err(lost) => format!("lost {}", lost.subtree.as_str().len()),
        })
        .collect();
    let want = ["file", "folder/", "folder/sub/", "lost 300", "lost 301"];
    assert_eq!(got, want);
}

/// A chain of folders, each with a file sorted after it, made name by name
/// since no system takes such a path in one piece.
fn plant_deep(root: &Path, name: &[u8], depth: usize) {
    let mut dir = Dir::open(root).unwrap();
    for _ in 0..depth {
        dir.create_dir(name, false).unwrap();
        dir.create_file(b"z").unwrap();
        dir = dir.open_dir(name).unwrap();
    }
}

#[test]
fn deep_trees_are_walked_with_few_open_folders() {
    let dir = tempfile::tempdir().unwrap();
    plant_deep(dir.path(), b"folder", 1000);
    let rules = rules(dir.path(), &[]);
    let mut open_most = 0;
    let mut walk = walk(dir.path(), &RelPath::root(), &rules);
    let mut found = 0;
    let mut last = None;
    while let Some(item) = walk.next() {
        let entry = item.unwrap();
        assert!(last.is_none_or(|last| last < entry.key));
        last = Some(entry.key);
        found += 1;
        let open = walk.frames.iter().filter(|f| f.dir.is_some()).count();
        open_most = open.max(open_most);
    }
    assert_eq!((found, open_most), (2000, FOLDERS_OPEN_MAX));
    let deep = p(b"folder/"
        .repeat(999)
        .as_slice()
        .strip_suffix(b"/")
        .unwrap());
    assert_eq!(keys(dir.path(), &deep, &rules).len(), 3);
}

#[test]
fn a_path_without_end_is_a_fault_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    plant_deep(dir.path(), &[b'x'; 200], PATH_BYTES_MAX / 200 + 3);
    let rules = rules(dir.path(), &[]);
    let got: Vec<_> = walk(dir.path(), &RelPath::root(), &rules).collect();
    let lost: Vec<_> = got.iter().filter_map(|item| item.as_ref().err()).collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].fault.class, Class::Unstorable);
    assert!(lost[0].fault.subject.starts_with("xxx"));
    assert!(lost[0].subtree.is_folder());
    // The walk has gone on, up to the outermost file.
    assert_eq!(got.last().unwrap().as_ref().unwrap().key.as_str(), "z");
}

#[test]
fn a_deep_folder_moved_away_meanwhile_is_unknown_and_not_deleted() {
    let dir = tempfile::tempdir().unwrap();
    plant_deep(dir.path(), b"d", FOLDERS_OPEN_MAX + 4);
    let rules = rules(dir.path(), &[]);
    let mut walk = walk(dir.path(), &RelPath::root(), &rules);
    let deepest = RelKey::of_file(&p(["d"; FOLDERS_OPEN_MAX + 3].join("/") + "/z"));
    assert!(walk.any(|item| item.unwrap().key == deepest));
    // Where the walk has to open folders again, another one stands now.
    std::fs::rename(dir.path().join("d/d"), dir.path().join("moved")).unwrap();
    std::fs::create_dir(dir.path().join("d/d")).unwrap();
    plant_deep(&dir.path().join("d/d"), b"d", 4);
    let lost: Vec<String> = walk
        .filter_map(|item| item.err())
        .map(|lost| lost.subtree.as_str().to_owned())
        .collect();
    assert_eq!(lost, ["d/d/d/d/", "d/d/d/", "d/d/"]);
}

#[test]
fn ten_thousand_names_in_one_folder() {
    let dir = tempfile::tempdir().unwrap();
    let open = Dir::open(dir.path()).unwrap();
    for n in 0..10_000 {
        open.create_file(format!("{n}.dat").as_bytes()).unwrap();
    }
    let rules = rules(dir.path(), &["*7.dat"]);
    let got = keys(dir.path(), &RelPath::root(), &rules);
    assert_eq!(got.len(), 9000);
    assert!(got.is_sorted());
}

#[test]
fn each_folder_is_read_once_and_each_file_looked_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let (folders, files_each) = (12, 30);
    for folder in 0..folders {
        // One in the other, and side by side.
        let path = temp.path().join(["a", "a/b", "c"][folder % 3]);
        let path = path.join(format!("folder {folder}"));
        std::fs::create_dir_all(&path).unwrap();
        for file in 0..files_each {
            std::fs::write(path.join(format!("file {file}")), "x").unwrap();
        }
    }
    let before = asked();
    let found = all(temp.path(), &RelPath::root(), &rules(temp.path(), &[]));
    let after = asked();
    let files = (folders * files_each) as u64;
    let all_folders = folders as u64 + 3;
    assert_eq!(found.len() as u64, files + all_folders);
    // And the root.
    assert_eq!(after.lists - before.lists, all_folders + 1);
    if cfg!(unix) {
        // And whether each folder has a rule file.
        assert_eq!(after.stats - before.stats, files + all_folders + 1);
    }
}
