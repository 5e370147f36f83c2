//! The hash of what a file or a link contains.

use super::read::{hash_file, open, read_link};
use crate::types::{Class, ContentHash, Fault, Kind, RelPath, chain};
use std::path::Path;

/// Reading buffer. More than a few hundred KiB gain nothing.
const BUFFER_BYTES: usize = 256 * 1024;

/// The hash of what a file or a link of this kind holds, and how many bytes that is;
/// `None` for what holds nothing by itself. Blocks.
///
/// # Errors
/// It cannot be read.
pub fn content_hash(
    root: &Path,
    path: &RelPath,
    kind: Kind,
) -> Result<Option<(ContentHash, u64)>, Fault> {
    match kind {
        Kind::Folder | Kind::Special => Ok(None),
        Kind::Symlink => {
            let leads_to = read_link(root, path)?;
            Ok(Some((ContentHash::of(&leads_to), leads_to.len() as u64)))
        }
        Kind::File => {
            let mut opened = open(root, path)?;
            let mut buffer = vec![0; BUFFER_BYTES];
            hash_file(&mut opened.file, None, &mut buffer)
                .map(Some)
                .map_err(|e| Fault::new(Class::Unreadable, "compare", path.to_string(), chain(&e)))
        }
    }
}
