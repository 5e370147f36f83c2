//! What is said of an object that cannot be restored.

use crate::history::Chosen;
use crate::types::{Class, Fault, RelPath, command};

/// The version is not in the bucket any more.
pub(crate) fn gone(chosen: &Chosen) -> Fault {
    Fault::new(
        Class::NotFound,
        "restore",
        chosen.subject(),
        "this version was removed from the bucket a moment ago",
    )
    .hint(format!(
        "see what is left of it with `{}`",
        command::on_copies("versions FILE")
    ))
}

/// What came back is not what was stored.
pub(crate) fn damaged(subject: &str, cause: impl Into<String>) -> Fault {
    Fault::new(Class::Damaged, "restore", subject, cause).hint(format!(
        "see the file's other versions with `{}`, and restore an earlier one with --at",
        command::on_copies("versions FILE")
    ))
}

/// A folder stands where a file belongs, and no file replaces a folder.
pub(super) fn folder_in_the_way(path: &RelPath) -> Fault {
    Fault::new(
        Class::Local,
        "restore",
        path.to_string(),
        "a folder stands where the file was",
    )
    .hint("move the folder away and run the restore again")
}

/// Two files of the backup whose names differ in capital letters alone.
pub(super) fn other_name(path: &RelPath) -> Fault {
    Fault::new(
        Class::Local,
        "restore",
        path.to_string(),
        "a file whose name differs only in capital letters is there, and this system takes both names for one; that file was not overwritten",
    )
    .hint("restore this one by itself into another folder")
}

/// Something else stands there, and was not to be replaced.
pub(super) fn kept(path: &RelPath) -> Fault {
    Fault::new(
        Class::Local,
        "restore",
        path.to_string(),
        "something else is there already, and was not overwritten",
    )
    .hint("restore into an empty folder, or give --overwrite to replace it")
}
