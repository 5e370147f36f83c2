//! Whether a file or link of today holds what an object says of itself: the one
//! comparison of contents, for restore and diff. Blocks, and reads only.

use crate::files;
use crate::os;
use crate::types::{Carried, Fault, Fingerprint, Kind, ObjectMeta, RelPath};
use std::path::Path;

/// The file or link that was `found` holds what the object says. Nobody knows of an
/// object without a hash.
///
/// # Errors
/// It cannot be read.
pub(super) fn holds_content(
    root: &Path,
    path: &RelPath,
    found: &Fingerprint,
    meta: &ObjectMeta,
) -> Result<bool, Fault> {
    let Some(content) = meta.content else {
        return Ok(false);
    };
    if found.kind == Kind::File && found.size_bytes != meta.size_bytes {
        return Ok(false);
    }
    let held = files::content_hash(root, path, found.kind)?;
    Ok(held.is_some_and(|(hash, _)| hash == content))
}

/// The file has the attributes that the object says, as far as this system knows such; of
/// one that says none, nobody knows.
///
/// # Errors
/// It cannot be opened.
pub(super) fn has_attributes(
    root: &Path,
    path: &RelPath,
    meta: &ObjectMeta,
) -> Result<bool, Fault> {
    let then = match &meta.attributes {
        Carried::Here(all) => all.only(os::knows_attribute).id(),
        there => there.id(),
    };
    let Some(then) = then.filter(|_| meta.kind == Kind::File) else {
        return Ok(true);
    };
    let opened = files::open(root, path)?;
    Ok(files::attributes_of(&opened.file).may_be(Some(then)))
}
