//! What one path's turn consists of.

use crate::types::{Kind, Record};

/// One step of a path's turn. Each plans one object, or hands a path on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The path is gone. Defer the deletion until newer files are uploaded: it may be half
    /// of a rename, and the content must be reachable under one of the two names at every
    /// moment.
    AwaitNewerFiles,
    /// Give all companions turns of their own: the path is no file any more.
    ReleaseCompanions,
    /// The same for those that are still there, before the file is marked as deleted.
    ReleasePresentCompanions,
    /// Plan the file's object: nothing stands there any more.
    DeleteFile,
    /// The same for what belonged to it and is gone. Once the bucket has acknowledged the
    /// file's own deletion: alone they harm nobody, and it without them does.
    DeleteCompanions,
    /// Plan the folder's object: there is no folder any more.
    DeleteFolder,
    /// The same beside a file or link that took its place, which tells how the turn ended.
    DeleteReplacedFolder,
    /// Let the folder that the path was in have a turn: it may be empty now.
    VisitParent,
    /// Plan the file or link.
    Store,
    /// Plan the file and its companions, read at one moment.
    StoreTogether,
    /// Plan the folder's own object.
    StoreFolder,
}

/// What a path's turn depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    /// What stands there.
    pub kind: Option<Kind>,
    /// The record of the file or link.
    pub file: Option<&'a Record>,
    /// Something stands, or stood, beside the file and belongs to it.
    pub has_companions: bool,
    /// The deletion was deferred before.
    pub was_deferred: bool,
    /// Deletions are marked in the bucket.
    pub marks_deletions: bool,
}

/// The steps of the turn, in order.
pub(crate) fn steps(turn: &Turn<'_>) -> &'static [Step] {
    use Step::{
        AwaitNewerFiles, DeleteCompanions, DeleteFile, DeleteFolder, DeleteReplacedFolder,
        ReleaseCompanions, ReleasePresentCompanions, Store, StoreFolder, StoreTogether,
        VisitParent,
    };
    match turn.kind {
        None if !turn.marks_deletions => &[DeleteFile, DeleteFolder],
        None if turn.file.is_some() && !turn.was_deferred => &[AwaitNewerFiles],
        None => &[
            ReleasePresentCompanions,
            DeleteFile,
            DeleteCompanions,
            DeleteFolder,
            VisitParent,
        ],
        Some(Kind::File) if turn.has_companions => &[DeleteReplacedFolder, StoreTogether],
        Some(Kind::File | Kind::Symlink) => &[DeleteReplacedFolder, ReleaseCompanions, Store],
        Some(Kind::Folder) => &[ReleaseCompanions, DeleteFile, StoreFolder],
        Some(Kind::Special) => &[ReleaseCompanions, DeleteFile, DeleteFolder],
    }
}
