//! Temporary names: how a file is written where nobody looks yet.

use crate::os::Dir;
use crate::types::ContentHash;
use std::fs::File;
use std::io;

/// What every temporary name of ours begins with.
const PREFIX: &str = ".keepwatch-restore-";
/// Hex digits that follow.
const HEX_DIGITS: usize = 16;
/// Names to try; 64 random bits meet a taken name once only by intent.
const TRIES_MAX: usize = 16;

/// What a file that may take several runs is called until it is whole, and what
/// the note beside it ends in.
const PARTIAL_PREFIX: &str = ".keepwatch-partial-";
const NOTE_SUFFIX: &str = ".state";

/// True for a name that only a temporary file of ours has. The scan leaves
/// such files out: they are never complete, and gone a moment later.
pub fn is_temporary(name: &[u8]) -> bool {
    let is_random = name.strip_prefix(PREFIX.as_bytes()).is_some_and(is_tag);
    is_random || partial_of(name).is_some()
}

fn is_tag(text: &[u8]) -> bool {
    text.len() == HEX_DIGITS && text.iter().all(u8::is_ascii_hexdigit)
}

/// The first digits of a hash: enough that no two files of a folder share them.
pub(super) fn tag(bytes: &[u8]) -> String {
    let mut hex = ContentHash::of(bytes).to_hex();
    hex.truncate(HEX_DIGITS);
    hex
}

/// The name under which that version of a file grows. A later run finds it.
pub(super) fn partial_name(file_tag: &str, version_tag: &str) -> String {
    format!("{PARTIAL_PREFIX}{file_tag}-{version_tag}")
}

/// The note of what is safe of a partial file.
pub(super) fn note_name(partial: &str) -> String {
    format!("{partial}{NOTE_SUFFIX}")
}

/// Which file a partial file or its note is of, as its tag.
pub(super) fn partial_of(name: &[u8]) -> Option<&[u8]> {
    let tags = name.strip_prefix(PARTIAL_PREFIX.as_bytes())?;
    let tags = tags.strip_suffix(NOTE_SUFFIX.as_bytes()).unwrap_or(tags);
    let (file, version) = tags.split_at_checked(HEX_DIGITS)?;
    (is_tag(file) && version.strip_prefix(b"-").is_some_and(is_tag)).then_some(file)
}

/// Call `make` with fresh temporary names until one is free.
pub(super) fn with_fresh_name<T>(
    mut make: impl FnMut(&[u8]) -> io::Result<T>,
) -> io::Result<(Vec<u8>, T)> {
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..TRIES_MAX {
        let name = format!("{PREFIX}{:016x}", fastrand::u64(..)).into_bytes();
        match make(&name) {
            Ok(made) => return Ok((name, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// A temporary file in a folder, removed unless [`TempFile::keep`] is called.
#[derive(Debug)]
pub(super) struct TempFile {
    pub(super) dir: Dir,
    pub(super) name: Vec<u8>,
    pub(super) file: File,
    kept: bool,
}

impl TempFile {
    /// Create one, readable for its owner alone.
    pub(super) fn create(dir: Dir) -> io::Result<Self> {
        let (name, file) = with_fresh_name(|name| dir.create_file(name))?;
        Ok(Self {
            dir,
            name,
            file,
            kept: false,
        })
    }

    /// One that has its name already, removed like the others.
    pub(super) fn adopt(dir: Dir, name: Vec<u8>, file: File) -> Self {
        Self {
            dir,
            name,
            file,
            kept: false,
        }
    }

    /// It has its final name now, or is to be found by a later run.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// It goes when it is dropped, after all.
    pub(super) fn give_up(&mut self) {
        self.kept = false;
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody is left to tell: the next restore or a person removes it.
            let _ = self.dir.remove_file(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_temporary() {
        for (name, want) in [
            (".keepwatch-restore-0123456789abcdef", true),
            (".keepwatch-restore-0123456789abcdeg", false),
            (".keepwatch-restore-", false),
            (".keepwatch-restore-0123456789abcdef.txt", false),
            ("keepwatch-restore-0123456789abcdef", false),
            (".keepwatch-partial-0123456789abcdef-0123456789abcdef", true),
            (
                ".keepwatch-partial-0123456789abcdef-0123456789abcdef.state",
                true,
            ),
            (
                ".keepwatch-partial-0123456789abcdef-0123456789abcdef.txt",
                false,
            ),
            (".keepwatch-partial-0123456789abcdef", false),
            (
                ".keepwatch-partial-0123456789abcdef_0123456789abcdef",
                false,
            ),
        ] {
            assert_eq!(is_temporary(name.as_bytes()), want, "{name}");
        }
    }

    #[test]
    fn a_taken_name_is_passed_over_and_tries_end() {
        let mut seen = Vec::new();
        let (name, ()) = with_fresh_name(|name| {
            seen.push(name.to_vec());
            match seen.len() {
                1 | 2 => Err(io::ErrorKind::AlreadyExists.into()),
                _ => Ok(()),
            }
        })
        .unwrap();
        assert!(is_temporary(&name) && seen.len() == 3 && seen[0] != seen[1]);
        let mut tries = 0;
        let refused = with_fresh_name(|_| {
            tries += 1;
            Err::<(), _>(io::ErrorKind::AlreadyExists.into())
        });
        assert_eq!((refused.is_err(), tries), (true, TRIES_MAX));
    }
}
