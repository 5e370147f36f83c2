//! What stands at a path of the target already, against what is to stand there.
//!
//! Reads only. What is there decides whether an object is fetched at all.

use super::shop::{Outcome, Shop};
use crate::files;
use crate::types::{Class, ContentHash, Fault, Fingerprint, Kind, ObjectMeta, RelPath, chain};

/// Reading buffer for comparing a file that is there already.
const COMPARE_BUFFER_BYTES: usize = 256 * 1024;

/// What stands at the path already decides: `None` means that it is free, or
/// may be replaced. Blocks.
pub(crate) fn against_disk(
    shop: &Shop,
    path: &RelPath,
    meta: &ObjectMeta,
) -> Result<Option<Outcome>, Fault> {
    let Some(there) = shop.target.existing(path)? else {
        return Ok(None);
    };
    let overwrite = shop.options.overwrite;
    let same_stat = there.size_bytes == meta.size_bytes
        && there.mtime_ns == meta.mtime_ns
        && (there.mode == meta.mode || there.mode == shop.mode_of(meta));
    let same = match (there.kind, meta.kind) {
        (Kind::Folder, Kind::Folder) => true,
        (Kind::Symlink, Kind::Symlink) => same_link(shop, path, meta)?,
        // To overwrite means to have mode, time and attributes put right as well.
        (Kind::File, Kind::File) => match overwrite {
            true => same_stat && same_attributes(shop, path, meta),
            false => same_stat || same_content(shop, path, meta, &there)?,
        },
        _ => false,
    };
    let is_folder = there.kind == Kind::Folder;
    Ok(if same {
        let withheld = shop.withheld(path, meta);
        if let Some(fault) = withheld.filter(|_| there.mode != meta.mode) {
            shop.tally.left_out(fault);
        }
        Some(Outcome::Identical)
    } else if is_folder && overwrite {
        // Said before anything is fetched: no file replaces a folder.
        return Err(in_the_way(path));
    } else if overwrite {
        None
    } else {
        Some(Outcome::Kept(kept(path)))
    })
}

/// What stands there has the attributes that the object says; of one that says none,
/// nobody knows.
fn same_attributes(shop: &Shop, path: &RelPath, meta: &ObjectMeta) -> bool {
    let Some(then) = meta.attributes.id() else {
        return true;
    };
    let opened = files::open(shop.target.path(), path);
    let now = opened.map(|opened| files::attributes_of(&opened.file));
    now.is_ok_and(|now| now.may_be(Some(then)))
}

fn same_link(shop: &Shop, path: &RelPath, meta: &ObjectMeta) -> Result<bool, Fault> {
    let target = files::read_link(shop.target.path(), path)?;
    Ok(meta.content == Some(ContentHash::of(&target)))
}

fn same_content(
    shop: &Shop,
    path: &RelPath,
    meta: &ObjectMeta,
    there: &Fingerprint,
) -> Result<bool, Fault> {
    let Some(content) = meta.content else {
        return Ok(false);
    };
    if there.size_bytes != meta.size_bytes {
        return Ok(false);
    }
    let mut opened = files::open(shop.target.path(), path)?;
    let mut buffer = vec![0; COMPARE_BUFFER_BYTES];
    files::hash_file(&mut opened.file, None, &mut buffer)
        .map(|(hash, _)| hash == content)
        .map_err(|e| Fault::new(Class::Unreadable, "compare", path.to_string(), chain(&e)))
}

fn in_the_way(path: &RelPath) -> Fault {
    Fault::new(
        Class::Local,
        "restore",
        path.to_string(),
        "a folder stands where the file was",
    )
    .hint("move the folder away and run the restore again")
}

pub(crate) fn kept(path: &RelPath) -> Fault {
    Fault::new(
        Class::Local,
        "restore",
        path.to_string(),
        "something else is there already, and was not overwritten",
    )
    .hint("restore into an empty folder, or give --overwrite to replace it")
}
