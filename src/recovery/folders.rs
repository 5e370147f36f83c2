//! The looks of folders that are not empty: these have no object, so whoever knows
//! them (a manifest) gives them along with the request.
//!
//! They come last, when nothing more is written: a file that is written changes
//! its folder's time, and a folder may be meant to let nobody write.

use super::object::Shop;
use crate::error::Fault;
use crate::files::{Committed, Looks};
use crate::model::RelPath;

/// What one folder looked like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderLooks {
    /// Which folder.
    pub path: RelPath,
    /// Its rights, owner and time.
    pub looks: Looks,
}

/// All folders that are known, in the order of their keys (what is in a folder
/// comes after it). It may block.
pub type Folders = Box<dyn Iterator<Item = Result<FolderLooks, Fault>> + Send>;

/// The owner may look, list and write: what is in the folder can still be reached.
const MODE_OPEN: u32 = 0o700;

/// Folders that let not even their owner in, which are done at the very end; at
/// 200 bytes each, 2 MB. Nobody has so many.
const CLOSED_MAX: usize = 10_000;

/// Dress all of them that this restore has made. Blocks.
pub(super) fn dress_all(shop: &Shop, folders: Folders) {
    let mut closed = Vec::new();
    for folder in folders {
        match folder {
            Ok(folder)
                if folder.looks.mode & MODE_OPEN != MODE_OPEN && closed.len() < CLOSED_MAX =>
            {
                closed.push(folder);
            }
            Ok(folder) => dress(shop, &folder),
            Err(fault) => {
                // The rest of them are not known.
                shop.tally.left_out(fault);
                break;
            }
        }
        if shop.stop.is_asked() {
            return;
        }
    }
    // From the end, so that a folder comes after those in it.
    for folder in closed.into_iter().rev() {
        dress(shop, &folder);
    }
}

fn dress(shop: &Shop, folder: &FolderLooks) {
    let overwrite = shop.options.overwrite;
    let done = shop
        .target
        .dress_folder(&folder.path, folder.looks, overwrite);
    match done {
        Ok(Some(Committed::Written {
            left_out: Some(fault),
        }))
        | Err(fault) => shop.tally.left_out(fault),
        Ok(_) => {}
    }
}
