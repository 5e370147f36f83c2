//! Files that only their owner can read.

use super::platform::{private_options, set_mode};
use std::fs::File;
use std::io;
use std::path::Path;

/// Create, or empty, a file that only its owner can read (0600).
///
/// # Errors
/// What the operating system says.
pub fn create_private_file(path: &Path) -> io::Result<File> {
    let file = private_options().truncate(true).open(path)?;
    // The mode above counts for a new file only.
    set_mode(&file, 0o600)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::platform::{create_private_dir_all, fingerprint_of};

    #[test]
    fn private_means_private_even_for_a_file_that_was_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "old").unwrap();
        let open = std::fs::File::open(&path).unwrap();
        set_mode(&open, 0o666).unwrap();
        drop(create_private_file(&path).unwrap());
        let meta = std::fs::metadata(&path).unwrap();
        assert_eq!(meta.len(), 0);
        let nested = dir.path().join("a/b");
        create_private_dir_all(&nested).unwrap();
        create_private_dir_all(&nested).unwrap();
        if !cfg!(windows) {
            for (made, mode) in [("f", 0o600), ("a", 0o700), ("a/b", 0o700)] {
                let made_file = File::open(dir.path().join(made)).unwrap();
                assert_eq!(fingerprint_of(&made_file).unwrap().mode, mode, "{made}");
            }
        }
    }
}
