//! Opening and reading the files and links of a source.
//!
//! It never follows a link, and never opens what could block.

use super::fault;
use super::fault::shown;
use super::path_stat::parent_of;
use crate::os;
use crate::os::Trouble;
use crate::types::{Class, ContentHash, Fault, Fingerprint, Hasher, Kind, RelPath, chain};
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;

/// A regular file, open for reading.
#[derive(Debug)]
pub struct Opened {
    /// The file, at its beginning.
    pub file: File,
    /// What the open handle itself says.
    pub fingerprint: Fingerprint,
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
            Trouble::Busy => open_held(&dir, name, failed(&error))?,
            _ => return Err(failed(&error)),
        },
    };
    let fingerprint = fingerprint_of(&file).map_err(|error| failed(&error))?;
    if fingerprint.kind != Kind::File {
        return Err(not_a_file(rel, fingerprint.kind));
    }
    Ok(Opened { file, fingerprint })
}

/// A file that a program keeps to itself, from a shadow copy where there are some. What
/// has changed since that was made is found like any other change.
fn open_held(dir: &os::Dir, name: &[u8], held: Fault) -> Result<File, Fault> {
    match dir.open_in_shadow(name) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(held),
        Err(error) => {
            let cause = format!(
                "{}; no shadow copy of its drive: {}",
                held.cause,
                chain(&error)
            );
            Err(Fault { cause, ..held })
        }
    }
}

/// What an open file is now. Blocks.
///
/// # Errors
/// What the operating system says.
pub fn fingerprint_of(file: &File) -> io::Result<Fingerprint> {
    os::fingerprint_of(file)
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

/// Reading the open file failed.
pub fn reading_fault(rel: &RelPath, error: &io::Error) -> Fault {
    fault::reading("read", shown(rel), error)
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
    use crate::files::path_stat::stat;
    use crate::files::root::root_state;
    use crate::os;
    use crate::os::testing::{make_fifo, make_link, make_socket, set_path_mode};
    use std::io::Write;

    fn p(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
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
