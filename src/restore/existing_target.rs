//! What stands at a path of the target already, against what is to stand there.
//!
//! Reads only. What is there decides whether an object is fetched at all.

use super::context::RestoreContext;
use super::disk_content::{has_attributes, holds_content};
use crate::types::{Fault, Fingerprint, Kind, ObjectMeta, RelPath};

/// What stands at the path, compared with what is to stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Nothing does.
    Free,
    /// Something else, which may be replaced.
    Replaceable,
    /// The same, with this mode.
    Same { mode: u32 },
    /// Something else, which stays.
    Different,
    /// A file whose name differs in capital letters alone, which are one to this system.
    OtherName,
    /// A folder, which no file may replace.
    FolderInTheWay,
}

/// What only reading the file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Whether it holds what the object says.
    Content,
    /// Whether it has the attributes that the object says.
    Attributes,
}

/// Look at what stands at the path. Blocks.
///
/// # Errors
/// It cannot be looked at.
pub(crate) fn inspect(
    ctx: &RestoreContext,
    path: &RelPath,
    meta: &ObjectMeta,
) -> Result<Existing, Fault> {
    let Some(found) = ctx.target.existing(path)? else {
        return Ok(Existing::Free);
    };
    let root = ctx.target.path();
    if ctx.target.is_spelled_otherwise(path)? {
        return Ok(Existing::OtherName);
    }
    let path = &ctx.target.here(path);
    let read = |reading| match reading {
        Reading::Content => holds_content(root, path, &found, meta),
        // A file that cannot be opened is replaced like one that differs.
        Reading::Attributes => Ok(has_attributes(root, path, meta).unwrap_or(false)),
    };
    compare(&found, meta, ctx.mode_of(meta), ctx.options.overwrite, read)
}

/// Size, time and mode first; the file is read only where they do not tell. `mode` is
/// the one that the object's file gets here.
fn compare(
    found: &Fingerprint,
    meta: &ObjectMeta,
    mode: u32,
    overwrite: bool,
    read: impl Fn(Reading) -> Result<bool, Fault>,
) -> Result<Existing, Fault> {
    let has_same_stat = found.size_bytes == meta.size_bytes
        && found.mtime_ns == meta.mtime_ns
        && (found.mode == meta.mode || found.mode == mode);
    let is_same = match (found.kind, meta.kind) {
        (Kind::Folder, Kind::Folder) => true,
        (Kind::Symlink, Kind::Symlink) => read(Reading::Content)?,
        // To overwrite means to have mode, time and attributes put right as well.
        (Kind::File, Kind::File) if overwrite => has_same_stat && read(Reading::Attributes)?,
        (Kind::File, Kind::File) => has_same_stat || read(Reading::Content)?,
        _ => false,
    };
    Ok(match (is_same, overwrite) {
        (true, _) => Existing::Same { mode: found.mode },
        (false, true) if found.kind == Kind::Folder => Existing::FolderInTheWay,
        (false, true) => Existing::Replaceable,
        (false, false) => Existing::Different,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kind: Kind, size_bytes: u64, mtime_ns: i128, mode: u32) -> Fingerprint {
        Fingerprint {
            kind,
            size_bytes,
            mtime_ns,
            mode,
            ..Fingerprint::UNSEEN
        }
    }

    /// What stands there, whether it may be replaced, what may be read and what that
    /// says, and what follows.
    #[test]
    fn what_stands_there_is_left_replaced_or_in_the_way() {
        use Reading::{Attributes, Content};
        let file = |size, time, mode| found(Kind::File, size, time, mode);
        let folder = found(Kind::Folder, 0, 1, 0o755);
        let link = found(Kind::Symlink, 5, 1, 0o777);
        let as_file = ObjectMeta::of(&file(5, 100, 0o4755), None);
        let as_folder = ObjectMeta::of(&folder, None);
        let as_link = ObjectMeta::of(&link, None);
        let same = |mode| Existing::Same { mode };
        let (different, replaceable) = (Existing::Different, Existing::Replaceable);
        for (name, now, then, overwrite, read, want) in [
            (
                "same stat",
                file(5, 100, 0o4755),
                &as_file,
                false,
                None,
                same(0o4755),
            ),
            (
                "mode withheld before",
                file(5, 100, 0o755),
                &as_file,
                false,
                None,
                same(0o755),
            ),
            (
                "touched",
                file(5, 7, 0o755),
                &as_file,
                false,
                Some((Content, true)),
                same(0o755),
            ),
            (
                "edited",
                file(5, 7, 0o755),
                &as_file,
                false,
                Some((Content, false)),
                different,
            ),
            (
                "same, attributes too",
                file(5, 100, 0o755),
                &as_file,
                true,
                Some((Attributes, true)),
                same(0o755),
            ),
            (
                "other attributes",
                file(5, 100, 0o755),
                &as_file,
                true,
                Some((Attributes, false)),
                replaceable,
            ),
            (
                "touched, to be put right",
                file(5, 7, 0o755),
                &as_file,
                true,
                None,
                replaceable,
            ),
            (
                "same link",
                link,
                &as_link,
                false,
                Some((Content, true)),
                same(0o777),
            ),
            (
                "other link",
                link,
                &as_link,
                true,
                Some((Content, false)),
                replaceable,
            ),
            (
                "other link that stays",
                link,
                &as_link,
                false,
                Some((Content, false)),
                different,
            ),
            ("folder", folder, &as_folder, false, None, same(0o755)),
            (
                "folder, to be put right",
                folder,
                &as_folder,
                true,
                None,
                same(0o755),
            ),
            (
                "folder for a file",
                folder,
                &as_file,
                true,
                None,
                Existing::FolderInTheWay,
            ),
            (
                "folder for a file that stays",
                folder,
                &as_file,
                false,
                None,
                different,
            ),
            (
                "file for a folder",
                file(5, 1, 0o644),
                &as_folder,
                true,
                None,
                replaceable,
            ),
            (
                "file for a link that stays",
                file(5, 1, 0o644),
                &as_link,
                false,
                None,
                different,
            ),
        ] {
            let asked = std::cell::Cell::new(None);
            let got = compare(&now, then, then.mode & 0o777, overwrite, |reading| {
                asked.set(Some(reading));
                Ok(read.is_some_and(|(_, answer)| answer))
            });
            let want_asked = read.map(|(reading, _)| reading);
            assert_eq!((got, asked.get()), (Ok(want), want_asked), "{name}");
        }
    }
}
