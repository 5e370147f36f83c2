//! Writes our own small files (status, outbox, digest) completely or not at all.

use super::fault;
use super::temp::TempFile;
use crate::os::{Dir, bytes_of_name};
use crate::types::Fault;
use std::io;
use std::io::Write;
use std::path::Path;

/// Write a small file of our own: a reader sees the old content or the new,
/// never half, also after a power cut. For its owner alone (0600). The folder
/// must be there. Blocks.
///
/// # Errors
/// [`Fault`]; the old content, if any, is untouched.
pub fn write_private_atomic(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    write(path, bytes).map_err(|error| fault::writing("write", path.display().to_string(), &error))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it has no file name"))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temp = TempFile::create(Dir::open(parent)?)?;
    temp.file.write_all(bytes)?;
    temp.file.sync_all()?;
    temp.dir.rename(&temp.name, &bytes_of_name(name))?;
    temp.keep();
    temp.dir.sync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Class;

    #[test]
    fn replaces_whole_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("status.json");
        write_private_atomic(&path, b"a long first content").unwrap();
        write_private_atomic(&path, b"short").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"short");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
        if crate::os::HAS_MODES {
            let file = std::fs::File::open(&path).unwrap();
            assert_eq!(crate::os::fingerprint_of(&file).unwrap().mode, 0o600);
        }
    }

    #[test]
    fn failure_keeps_what_was_there_and_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        let fault = write_private_atomic(&path, b"x").unwrap_err();
        assert_eq!(fault.class, Class::Local);
        assert!(fault.subject.ends_with("taken") && !fault.hint.is_empty());
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
        assert!(write_private_atomic(&dir.path().join("no/such"), b"x").is_err());
        assert!(write_private_atomic(Path::new("/"), b"x").is_err());
    }
}
