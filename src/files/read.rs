//! Looking at single files of a source: stat, open, links, the root itself.
//!
//! Every path is walked name by name from the root, so that a link anywhere in
//! it counts as "not there", and a root that cannot be opened is a fault: it
//! never makes its files look deleted.

use super::fault;
use super::fault::shown;
use super::rules::{Chain, Rules};
use crate::os;
use crate::os::{Dir, Found, Trouble};
use crate::types::{Class, ContentHash, Fault, Fingerprint, Hasher, Kind, RelPath, chain};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

/// What to do about a root that cannot be used.
const ROOT_HINT: &str = "see whether the disk or network folder that it is on is connected, and whether the account that runs Keepwatch may list it";

/// What tells a source's root from another folder mounted or made in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RootId {
    /// The file system (0 on Windows).
    pub dev: u64,
    /// The folder on it (on Windows: when it was made).
    pub inode: u64,
}

/// A regular file, open for reading.
#[derive(Debug)]
pub struct Opened {
    /// The file, at its beginning.
    pub file: File,
    /// What the open handle itself says.
    pub fingerprint: Fingerprint,
}

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

/// Open a regular file for reading. Never follows a link and never waits for
/// the other end of a FIFO. Blocks for the disk alone.
///
/// # Errors
/// [`Fault`]: `Vanished` when nothing is there, `Changed` when it is something
/// other than a regular file, `Unreadable` when it cannot be opened.
pub fn open(root: &Path, rel: &RelPath) -> Result<Opened, Fault> {
    let operation = "read";
    let failed = |error: &io::Error| fault::reading(operation, shown(rel), error);
    let (dir, name) = parent_of(root, rel, operation)?.ok_or_else(|| vanished(operation, rel))?;
    let Some(name) = name else {
        return Err(not_a_file(rel, Kind::Folder));
    };
    // Look first: merely opening a device can do things to it.
    let seen = dir.stat(name).map_err(|error| failed(&error))?;
    if seen.fingerprint.kind != Kind::File {
        return Err(not_a_file(rel, seen.fingerprint.kind));
    }
    let file = match dir.open_file(name) {
        Ok(file) => file,
        // A link or a socket has taken its place just now.
        Err(error) => match os::trouble(&error) {
            Trouble::Link => return Err(not_a_file(rel, Kind::Symlink)),
            _ => return Err(failed(&error)),
        },
    };
    let fingerprint = fingerprint_of(&file).map_err(|error| failed(&error))?;
    if fingerprint.kind != Kind::File {
        return Err(not_a_file(rel, fingerprint.kind));
    }
    Ok(Opened { file, fingerprint })
}

/// What an open file is now. Blocks.
///
/// # Errors
/// What the operating system says.
pub fn fingerprint_of(file: &File) -> io::Result<Fingerprint> {
    Ok(os::fingerprint_of(&file.metadata()?))
}

/// The target of a link, exactly as written there. Blocks.
///
/// # Errors
/// [`Fault`]: `Vanished` when nothing is there, `Changed` when it is no link.
pub fn read_link(root: &Path, rel: &RelPath) -> Result<Vec<u8>, Fault> {
    let operation = "read the link";
    let (dir, name) = parent_of(root, rel, operation)?.ok_or_else(|| vanished(operation, rel))?;
    let no_link = || {
        Fault::new(
            Class::Changed,
            operation,
            shown(rel),
            "it is not a link any more",
        )
    };
    let name = name.ok_or_else(no_link)?;
    dir.read_link(name).map_err(|error| {
        // "Invalid" is how systems answer for what is no link.
        if os::trouble(&error) == Trouble::BadName {
            no_link()
        } else {
            fault::reading(operation, shown(rel), &error)
        }
    })
}

/// What tells a source's root from another folder in its place, and when it was
/// made ([`super::root_made_ns`]), without listing it; `None` when it is not there.
/// Blocks.
pub fn root_id(root: &Path) -> Option<(RootId, Option<i64>)> {
    let meta = std::fs::metadata(root).ok()?;
    let (dev, inode) = os::folder_id(&meta);
    Some((RootId { dev, inode }, crate::files::marker::made_ns(&meta)))
}

/// See whether a source's root is a folder that can be listed; it may itself
/// be a link to one. Blocks.
///
/// # Errors
/// [`Fault`] with a remedy; then nothing may be concluded about its files.
pub fn root_state(root: &Path) -> Result<RootId, Fault> {
    let failed = |error: &io::Error| root_fault("list", root, error);
    let meta = std::fs::metadata(root).map_err(|error| failed(&error))?;
    if !meta.is_dir() {
        let error = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(failed(&error));
    }
    let mut entries = std::fs::read_dir(root).map_err(|error| failed(&error))?;
    if let Some(first) = entries.next() {
        first.map_err(|error| failed(&error))?;
    }
    let (dev, inode) = os::folder_id(&meta);
    Ok(RootId { dev, inode })
}

/// Hash a file from where it stands to its end, or up to `limit_bytes`; gives
/// the hash and the number of bytes hashed. `buf` is the reading buffer; more
/// than a few hundred KiB gain nothing. Blocks, and costs CPU.
///
/// # Errors
/// What the operating system says.
pub fn hash_file(
    file: &mut impl Read,
    limit_bytes: Option<u64>,
    buf: &mut [u8],
) -> io::Result<(ContentHash, u64)> {
    if buf.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the reading buffer is empty",
        ));
    }
    let mut hasher = Hasher::default();
    let mut done = 0u64;
    loop {
        let left = limit_bytes.map_or(u64::MAX, |limit| limit.saturating_sub(done));
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if want == 0 {
            break;
        }
        match file.read(&mut buf[..want]) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buf[..read]);
                done += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((hasher.finish(), done))
}

/// The root could not be used. Never `Vanished`: that would say "deleted".
pub(super) fn root_fault(operation: &str, root: &Path, error: &io::Error) -> Fault {
    let cause = match os::trouble(error) {
        Trouble::NotFolder => "it is not a folder".to_owned(),
        Trouble::Missing => "the folder is not there".to_owned(),
        _ => chain(error),
    };
    Fault::new(
        Class::Unreadable,
        operation,
        root.display().to_string(),
        cause,
    )
    .hint(ROOT_HINT)
}

/// The open folder that a path is in, and its name there (`None` for the root).
type Place<'a> = (Dir, Option<&'a [u8]>);

/// Where `rel` is; `None` when the folder it is in is missing or no real folder.
fn parent_of<'a>(
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

fn vanished(operation: &str, rel: &RelPath) -> Fault {
    Fault::new(
        Class::Vanished,
        operation,
        shown(rel),
        "it is not there any more",
    )
}

/// It was a file when it was queued; looking again finds what it is now.
fn not_a_file(rel: &RelPath, kind: Kind) -> Fault {
    let what = match kind {
        Kind::Symlink => "a link",
        Kind::Folder => "a folder",
        Kind::File | Kind::Special => "a socket, FIFO or device",
    };
    Fault::new(
        Class::Changed,
        "read",
        shown(rel),
        format!("it is {what} and not a regular file any more"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os;
    use crate::os::testing::{make_fifo, make_link, make_socket, set_path_mode};
    use std::io::Write;

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
    fn a_missing_root_never_makes_its_files_look_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("unplugged");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for root in [&gone, &file] {
            for fault in [
                stat(root, &p("a")).unwrap_err(),
                open(root, &p("a")).unwrap_err(),
                read_link(root, &p("a")).unwrap_err(),
                root_state(root).unwrap_err(),
            ] {
                assert_eq!(fault.class, Class::Unreadable, "{fault}");
                assert!(fault.hint.contains("connected"), "{fault}");
                assert_eq!(fault.subject, root.display().to_string());
            }
        }
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

    #[test]
    fn only_regular_files_are_opened_and_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::write(root.join("f"), "abc").unwrap();
        std::fs::create_dir(root.join("folder")).unwrap();
        let mut cases = vec![
            ("folder", Class::Changed),
            ("absent", Class::Vanished),
            ("folder/absent", Class::Vanished),
            ("f/below", Class::Vanished),
        ];
        if make_fifo(&root.join("fifo")) {
            cases.push(("fifo", Class::Changed));
        }
        if make_socket(&root.join("socket")) {
            cases.push(("socket", Class::Changed));
        }
        if make_link(Path::new("f"), &root.join("link")) {
            cases.push(("link", Class::Changed));
            cases.push(("link/x", Class::Vanished));
        }
        if make_link(Path::new("loop"), &root.join("loop")) {
            cases.push(("loop", Class::Changed));
        }
        for (path, want) in cases {
            let fault = open(root, &p(path)).unwrap_err();
            assert_eq!(fault.class, want, "{fault}");
            assert_eq!(fault.subject, path);
        }
        assert_eq!(open(root, &RelPath::root()).unwrap_err().subject, ".");
        let mut opened = open(root, &p("f")).unwrap();
        let mut text = String::new();
        opened.file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        assert_eq!(Some(opened.fingerprint), stat(root, &p("f")).unwrap());
    }

    #[test]
    fn the_handle_sees_the_file_change() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "abc").unwrap();
        let opened = open(dir.path(), &p("f")).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(dir.path().join("f"))
            .unwrap()
            .write_all(b"d")
            .unwrap();
        let now = fingerprint_of(&opened.file).unwrap();
        assert_ne!(now, opened.fingerprint);
        assert_eq!(now.size_bytes, 4);
    }

    #[test]
    fn links_are_read_as_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "").unwrap();
        if make_link(Path::new("../no/such place"), &dir.path().join("l")) {
            assert_eq!(read_link(dir.path(), &p("l")).unwrap(), b"../no/such place");
        }
        let fault = read_link(dir.path(), &p("f")).unwrap_err();
        assert_eq!(fault.class, Class::Changed);
        let fault = read_link(dir.path(), &p("none")).unwrap_err();
        assert_eq!(fault.class, Class::Vanished);
    }

    #[test]
    fn unreadable_is_said_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "x").unwrap();
        set_path_mode(&path, 0);
        // Root reads everything, and Windows has no such mode; there the
        // table test in `fault` has to do.
        match open(dir.path(), &p("secret")) {
            Err(fault) => {
                assert_eq!(fault.class, Class::Unreadable);
                assert!(fault.hint.contains("account"), "{fault}");
            }
            Ok(_) => assert!(os::is_privileged() || !os::HAS_MODES),
        }
    }

    #[test]
    fn hashes_up_to_a_limit_with_any_buffer() {
        let text = b"the quick brown fox";
        for (limit, want) in [(None, 19), (Some(100), 19), (Some(5), 5), (Some(0), 0)] {
            for size in [1, 7, 64] {
                let got = hash_file(&mut &text[..], limit, &mut vec![0; size]).unwrap();
                assert_eq!(got, (ContentHash::of(&text[..want]), want as u64));
            }
        }
        assert!(hash_file(&mut &text[..], None, &mut []).is_err());
    }
}
