//! What is at a path of a source. Links are described and not followed.
//!
//! Every path is walked name by name from the root. So a path that leads through a link counts
//! as "not there", and a root that cannot be opened is a fault: it never makes its files look
//! deleted.

use super::fault;
use super::fault::shown;
use super::root::root_fault;
use super::rules::{Chain, Rules};
use crate::os;
use crate::os::{Dir, Found};
use crate::types::{Fault, Fingerprint, Kind, RelPath};
use std::io;
use std::path::Path;

/// What stands at `rel`, links described and not followed; `None` when nothing
/// does, or when a folder above it is missing or is not a real folder. Blocks.
///
/// # Errors
/// [`Fault`] when that cannot be told, which includes a root that is not there.
pub fn stat(root: &Path, rel: &RelPath) -> Result<Option<Fingerprint>, Fault> {
    Ok(stat_found(root, rel)?.map(|found| found.fingerprint))
}

/// As [`stat`], with the file system and the number of names as well. Blocks.
///
/// # Errors
/// As [`stat`].
pub fn stat_found(root: &Path, rel: &RelPath) -> Result<Option<Found>, Fault> {
    let operation = "look at";
    let Some((dir, name)) = parent_of(root, rel, operation)? else {
        return Ok(None);
    };
    let found = match name {
        Some(name) => dir.stat(name),
        None => dir.stat_self(),
    };
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if os::trouble(&error).is_nothing() => Ok(None),
        Err(error) => Err(fault::reading(operation, shown(rel), &error)),
    }
}

/// As [`stat`], and `None` too for what the rules leave out. One way down from
/// the root for both. Blocks.
///
/// # Errors
/// As [`stat`].
pub fn stat_unless_excluded(
    root: &Path,
    rel: &RelPath,
    rules: &Rules,
) -> Result<Option<Fingerprint>, Fault> {
    let operation = "look at";
    let mut dir = Dir::open(root).map_err(|error| root_fault(operation, root, &error))?;
    let mut chain = Chain::default();
    let mut folder = RelPath::root();
    let mut names = rel.components().peekable();
    let unless_gone = |error: &io::Error| match os::trouble(error).is_no_folder() {
        true => Ok(None),
        false => Err(fault::reading(operation, shown(rel), error)),
    };
    while let Some(name) = names.next() {
        if let Some(file) = rules.load(&dir, &folder) {
            chain.push(&folder, file);
        }
        // The names of a path are single components: this cannot fail.
        let Ok(next) = folder.join(name) else {
            return Ok(None);
        };
        if names.peek().is_none() {
            let found = match dir.stat(name) {
                Ok(found) => found.fingerprint,
                Err(error) => return unless_gone(&error),
            };
            let is_folder = found.kind == Kind::Folder;
            let is_excluded = rules.leaves_out(&chain, next.as_bytes(), is_folder);
            return Ok((!is_excluded).then_some(found));
        }
        if rules.leaves_out(&chain, next.as_bytes(), true) {
            return Ok(None);
        }
        dir = match dir.open_dir(name) {
            Ok(next) => next,
            Err(error) => return unless_gone(&error),
        };
        folder = next;
    }
    match dir.stat_self() {
        Ok(found) => Ok(Some(found.fingerprint)),
        Err(error) => unless_gone(&error),
    }
}

/// What stands at each of these names in one folder, as [`stat_unless_excluded`] has
/// it: one way down from the root for all. Blocks.
///
/// # Errors
/// As [`stat`].
pub fn stat_names(
    root: &Path,
    folder: &RelPath,
    names: &[&[u8]],
    rules: &Rules,
) -> Result<Vec<Option<Fingerprint>>, Fault> {
    let operation = "look at";
    let nothing = || vec![None; names.len()];
    let mut dir = Dir::open(root).map_err(|error| root_fault(operation, root, &error))?;
    let mut chain = Chain::default();
    let mut at = RelPath::root();
    for name in folder.components() {
        if let Some(file) = rules.load(&dir, &at) {
            chain.push(&at, file);
        }
        let Ok(next) = at.join(name) else {
            return Ok(nothing());
        };
        if rules.leaves_out(&chain, next.as_bytes(), true) {
            return Ok(nothing());
        }
        dir = match dir.open_dir(name) {
            Ok(next) => next,
            Err(error) if os::trouble(&error).is_no_folder() => return Ok(nothing()),
            Err(error) => return Err(fault::reading(operation, shown(&next), &error)),
        };
        at = next;
    }
    if let Some(file) = rules.load(&dir, &at) {
        chain.push(&at, file);
    }
    let look = |name: &&[u8]| {
        let Ok(path) = at.join(name) else {
            return Ok(None);
        };
        match dir.stat(name) {
            Ok(found) => {
                let is_folder = found.fingerprint.kind == Kind::Folder;
                let is_excluded = rules.leaves_out(&chain, path.as_bytes(), is_folder);
                Ok((!is_excluded).then_some(found.fingerprint))
            }
            Err(error) if os::trouble(&error).is_nothing() => Ok(None),
            Err(error) => Err(fault::reading(operation, shown(&path), &error)),
        }
    };
    names.iter().map(look).collect()
}

/// True when `rel` is a folder on another device than the folder that it is in:
/// a disk is mounted there. Blocks.
///
/// # Errors
/// As [`stat`].
pub fn is_mounted(root: &Path, rel: &RelPath) -> Result<bool, Fault> {
    let operation = "look at";
    let Some((dir, Some(name))) = parent_of(root, rel, operation)? else {
        return Ok(false);
    };
    let both = dir.stat(name).and_then(|it| Ok((it, dir.stat_self()?)));
    match both {
        Ok((it, above)) => Ok(it.fingerprint.kind == Kind::Folder && it.dev != above.dev),
        Err(error) if os::trouble(&error).is_no_folder() => Ok(false),
        Err(error) => Err(fault::reading(operation, shown(rel), &error)),
    }
}

/// The open folder that a path is in, and its name there (`None` for the root).
pub(super) type Place<'a> = (Dir, Option<&'a [u8]>);

/// Where `rel` is; `None` when the folder it is in is missing or no real folder.
pub(super) fn parent_of<'a>(
    root: &Path,
    rel: &'a RelPath,
    operation: &str,
) -> Result<Option<Place<'a>>, Fault> {
    let mut dir = Dir::open(root).map_err(|error| root_fault(operation, root, &error))?;
    let mut names = rel.components().peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            return Ok(Some((dir, Some(name))));
        }
        dir = match dir.open_dir(name) {
            Ok(next) => next,
            Err(error) if os::trouble(&error).is_no_folder() => return Ok(None),
            Err(error) => return Err(fault::reading(operation, shown(rel), &error)),
        };
    }
    Ok(Some((dir, None)))
}

/// The folder at `rel`; `None` when it is missing or no real folder. Blocks.
///
/// # Errors
/// As [`stat`].
pub(super) fn folder(root: &Path, rel: &RelPath) -> Result<Option<Dir>, Fault> {
    let operation = "look at";
    match parent_of(root, rel, operation)? {
        None => Ok(None),
        Some((dir, None)) => Ok(Some(dir)),
        Some((dir, Some(name))) => match dir.open_dir(name) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if os::trouble(&error).is_no_folder() => Ok(None),
            Err(error) => Err(fault::reading(operation, shown(rel), &error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::root::root_state;
    use crate::os::testing::make_link;
    use crate::types::Class;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    #[test]
    fn what_is_there_and_what_counts_as_missing() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("real/sub")).unwrap();
        std::fs::write(root.join("real/f"), "12345").unwrap();
        let linked = make_link(Path::new("real"), &root.join("link"));
        make_link(Path::new("loop"), &root.join("loop"));
        for (path, want) in [
            ("real/f", Some((Kind::File, 5))),
            ("real", Some((Kind::Folder, 0))),
            ("link", linked.then_some((Kind::Symlink, 4))),
            ("link/f", None),
            ("loop/f", None),
            ("real/f/below", None),
            ("real/absent", None),
            ("absent/f", None),
        ] {
            let got = stat(root, &p(path)).unwrap();
            assert_eq!(got.map(|f| (f.kind, f.size_bytes)), want, "{path}");
        }
        let itself = stat(root, &RelPath::root()).unwrap().unwrap();
        assert_eq!(itself.kind, Kind::Folder);
    }

    #[test]
    fn one_way_down_finds_what_looking_and_asking_the_rules_find() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for name in ["a/b/f.txt", "a/b/f.tmp", "a/out/f.txt", "a/keep/f.tmp"] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), "x").unwrap();
        }
        std::fs::write(root.join("a/.keepwatchignore"), "out/\n").unwrap();
        std::fs::write(root.join("a/keep/.keepwatchignore"), "!f.tmp\n").unwrap();
        make_link(Path::new("a"), &root.join("link"));
        let rules = Rules::new(root, &["*.tmp".into()]).unwrap();
        let mut left_out = 0;
        for path in [
            "",
            "a",
            "a/b",
            "a/b/f.txt",
            "a/b/f.tmp",
            "a/b/gone",
            "a/b/f.txt/below",
            "a/out",
            "a/out/f.txt",
            "a/out/gone",
            "a/keep/f.tmp",
            "link",
            "link/b/f.txt",
            "gone/x",
        ] {
            let found = stat(root, &p(path)).unwrap();
            let is_folder = found.is_some_and(|found| found.kind == Kind::Folder);
            let is_excluded = rules.excluded(&p(path), is_folder);
            let want = found.filter(|_| !is_excluded);
            left_out += usize::from(want != found);
            assert_eq!(
                stat_unless_excluded(root, &p(path), &rules).unwrap(),
                want,
                "{path}"
            );
        }
        assert_eq!(left_out, 3);
        for (folder, names) in [
            ("a/b", ["f.txt", "f.tmp", "gone"]),
            ("a/out", ["f.txt", "gone", "f.tmp"]),
            ("a/keep", ["f.tmp", "f.txt", "a"]),
            ("gone", ["a", "b", "c"]),
            ("", ["a", "link", "x.tmp"]),
        ] {
            let one_by_one = names.map(|name| {
                let path = p(folder).join(name.as_bytes()).unwrap();
                stat_unless_excluded(root, &path, &rules).unwrap()
            });
            let names = names.map(str::as_bytes);
            let at_once = stat_names(root, &p(folder), &names, &rules).unwrap();
            assert_eq!(at_once, one_by_one, "{folder}");
        }
        let gone = stat_unless_excluded(&root.join("unplugged"), &p("a"), &rules).unwrap_err();
        assert_eq!(gone.class, Class::Unreadable);
    }

    #[test]
    fn a_name_that_the_disk_cannot_hold_is_the_name_of_nothing() {
        let dir = tempfile::tempdir().unwrap();
        // What belongs to the file with the longest name has a longer one.
        let long = [b"l".repeat(255), b"-wal".to_vec()].concat();
        let path = RelPath::root().join(&long).unwrap();
        assert_eq!(stat(dir.path(), &path), Ok(None));
        let rules = Rules::new(dir.path(), &[]).unwrap();
        let stand = stat_names(dir.path(), &RelPath::root(), &[&long], &rules);
        assert_eq!(stand, Ok(vec![None]));
    }

    #[test]
    fn the_root_may_be_a_link_and_is_told_from_another() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        std::fs::write(dir.path().join("a/f"), "x").unwrap();
        let a = root_state(&dir.path().join("a")).unwrap();
        assert_ne!(a, root_state(&dir.path().join("b")).unwrap());
        if make_link(Path::new("a"), &dir.path().join("l")) {
            assert_eq!(root_state(&dir.path().join("l")).unwrap(), a);
            assert!(stat(&dir.path().join("l"), &p("f")).unwrap().is_some());
        }
    }
}
