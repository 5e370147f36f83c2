//! Temporary names: how a file is written where nobody looks yet.

use crate::platform::Dir;
use std::fs::File;
use std::io;

/// What every temporary name of ours begins with.
const PREFIX: &str = ".keepwatch-restore-";
/// Hex digits that follow.
const HEX_DIGITS: usize = 16;
/// Names to try; 64 random bits meet a taken name once only by intent.
const TRIES_MAX: usize = 16;

/// True for a name that only a temporary file of ours has. The scan leaves
/// such files out: they are never complete, and gone a moment later.
pub fn is_temporary(name: &[u8]) -> bool {
    name.strip_prefix(PREFIX.as_bytes())
        .is_some_and(|tail| tail.len() == HEX_DIGITS && tail.iter().all(u8::is_ascii_hexdigit))
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

    /// It has its final name now.
    pub(super) fn keep(&mut self) {
        self.kept = true;
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
