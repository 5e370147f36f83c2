//! The disk itself: what lasts, what may, what never does.

use super::*;

fn file(disk: &mut Platter, name: &str, text: &str) -> u64 {
    let number = disk.make(ROOT, OsStr::new(name), Body::File(vec![]), 0o600, (0, 0));
    disk.write(number, 0, text.as_bytes());
    number
}

fn after(disk: &Platter, fate: Fate) -> Vec<(String, Vec<u8>)> {
    let disk = disk
        .clone()
        .after_cut(fate, &mut fastrand::Rng::with_seed(1));
    let Body::Folder(entries) = &disk.nodes[&ROOT].body else {
        panic!("the root is a folder");
    };
    let content = |number: &u64| match &disk.nodes[number].body {
        Body::File(bytes) => bytes.clone(),
        _ => panic!("files only"),
    };
    entries
        .iter()
        .map(|(name, number)| (name.to_str().unwrap().to_owned(), content(number)))
        .collect()
}

fn is(found: Vec<(String, Vec<u8>)>, expected: &[(&str, &str)]) {
    let expected: Vec<(String, Vec<u8>)> = expected
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn only_what_was_synced_lasts() {
    let mut disk = Platter::new();
    let a = file(&mut disk, "a", "old");
    is(after(&disk, Fate::Kept), &[("a", "old")]);
    is(after(&disk, Fate::Lost), &[]);
    is(after(&disk, Fate::NamesOnly), &[("a", "")]);
    is(after(&disk, Fate::Zeros), &[("a", "\0\0\0")]);
    disk.sync(a);
    is(after(&disk, Fate::Lost), &[]);
    disk.sync(ROOT);
    is(after(&disk, Fate::Lost), &[("a", "old")]);
    disk.write(a, 0, b"newer");
    is(after(&disk, Fate::Lost), &[("a", "old")]);
    is(after(&disk, Fate::Zeros), &[("a", "old\0\0")]);
    disk.set_length(a, 1);
    is(after(&disk, Fate::Kept), &[("a", "n")]);
}

#[test]
fn a_rename_is_in_both_folders_or_in_neither_and_order_is_kept() {
    let mut disk = Platter::new();
    let (a, root) = (file(&mut disk, "a", "x"), ROOT);
    disk.sync(a);
    disk.sync(root);
    let folder = disk.make(
        root,
        OsStr::new("f"),
        Body::Folder(BTreeMap::new()),
        0o700,
        (0, 0),
    );
    disk.rename((root, OsStr::new("a")), (folder, OsStr::new("b")));
    disk.rename((folder, OsStr::new("b")), (root, OsStr::new("c")));
    disk.remove(root, OsStr::new("f"));
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let left = disk.clone().after_cut(Fate::Mixed, &mut random);
        let files = left.nodes.values();
        let files = files.filter(|node| matches!(node.body, Body::File(_)));
        // A folder whose own name never lasted takes what is in it along.
        let is_orphaned = left.find(ROOT, OsStr::new("f")).is_none()
            && left.find(ROOT, OsStr::new("a")).is_none()
            && left.find(ROOT, OsStr::new("c")).is_none();
        assert!(files.count() == 1 || is_orphaned, "seed {seed}: {left:?}");
    }
    disk.sync(root);
    is(after(&disk, Fate::Lost), &[("c", "x")]);
}

#[test]
fn torn_writes_end_at_a_sector() {
    let mut disk = Platter::new();
    let a = file(&mut disk, "a", &"x".repeat(700));
    disk.sync(a);
    disk.sync(ROOT);
    disk.write(a, 700, &[b'y'; 2000]);
    let mut lengths = BTreeSet::new();
    for seed in 0..100 {
        let mut random = fastrand::Rng::with_seed(seed);
        let left = disk.clone().after_cut(Fate::Journal, &mut random);
        let Body::File(bytes) = &left.nodes[&a].body else {
            panic!("a file");
        };
        assert!(bytes[..700].iter().all(|&b| b == b'x'));
        assert!(bytes[700..].iter().all(|&b| b == b'y'));
        lengths.insert(bytes.len());
    }
    let expected = BTreeSet::from([1024, 1536, 2048, 2560, 2700]);
    assert!(
        lengths.is_subset(&expected) && lengths.len() > 3,
        "{lengths:?}"
    );
}
