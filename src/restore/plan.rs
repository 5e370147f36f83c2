//! What a restore does with one object. Pure.
//!
//! [`next`] says from what is known so far either what to ask next, each question
//! costing more than the one before, or the [`Plan`]. `carry_out` asks and does.
//! Invariants: nothing is fetched for a path whose key is not believed, nor where the
//! same stands already; links and folders wait until all files are there.

use super::existing_target::Existing;
use super::faults::{damaged, folder_in_the_way, kept, other_name};
use super::outcome::Outcome;
use super::ownership::{foreign, true_key, unreadable_meta};
use super::range_buffer::RANGE_BYTES;
use super::request::Pass;
use crate::files::MODE_SET_ID;
use crate::history::{Chosen, Name, Selector};
use crate::s3::Head;
use crate::types::{Carried, Fault, Fingerprint, Kind, MetaRefused, ObjectMeta, Origin, RelPath};

/// The longest link target anywhere: Windows allows 32,767 UTF-16 units, which
/// are up to three bytes each; Linux ends at 4,096.
pub(crate) const LINK_TARGET_BYTES_MAX: u64 = 96 * 1024;

/// What a plan depends on beside the object.
#[derive(Clone, Copy)]
pub(crate) struct Policy<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) selector: &'a Selector,
    /// The target was empty when the run began.
    pub(crate) is_fresh: bool,
    /// The folder is in use: nothing of it may be lost.
    pub(crate) is_in_place: bool,
}

/// What is known of one object so far.
#[derive(Default)]
pub(crate) struct Facts {
    /// Something stands at its path.
    pub(crate) is_occupied: Option<bool>,
    /// The answer to HEAD, or to GET.
    pub(crate) head: Option<Head>,
    /// It is the answer to GET, and the body comes with it.
    pub(crate) has_body: bool,
    /// Its metadata with the attributes that are stored apart from it.
    pub(crate) completed: Option<ObjectMeta>,
    /// What stands at its path, compared with it.
    pub(crate) existing: Option<Existing>,
    /// In place: whether the bucket has the file that is to be replaced.
    pub(crate) replaced: Option<Replaced>,
}

/// What is known of the file that is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// The bucket has it as a version, as long as it still looks like this.
    Stored(Fingerprint),
    /// It has the right content, and wants another mode or time alone.
    SameContent,
    /// Nobody knows: it is kept beside the new one.
    Unknown,
}

/// An object of ours, and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) path: RelPath,
    pub(crate) meta: ObjectMeta,
}

/// What to find out, or to do, next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Ask(Question),
    Do(Plan),
}

/// What has to be known before there is a plan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Does anything stand at this path?
    IsOccupied(RelPath),
    /// What does the object say of itself? (HEAD)
    Metadata,
    /// The attributes that its metadata has no room for.
    Attributes(Described),
    /// What stands at the path, and is it the same?
    Existing(Described),
    /// Does the bucket have what stands at the path?
    Replaced(Described),
}

/// What is done with one object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Keepwatch did not write it.
    LeaveForeign,
    /// A link or a folder waits until all files are there.
    PutOff,
    /// It was not asked for, or is another pass's business.
    Skip,
    /// The same stands there, with this mode.
    LeaveIdentical(Described, u32),
    /// Something else stands there and stays.
    KeepExisting(RelPath),
    /// A file whose name differs in capital letters alone stands there and stays.
    KeepOtherName(RelPath),
    /// In place: the content is right, its metadata is given back.
    CopyMetadata(Described),
    /// Fetch it in one request, and look again at what that says.
    FetchWhole,
    /// Fetch it by ranges, each of which is tried again by itself.
    FetchRanges(Described),
    /// Its body is on its way: write it.
    Write(Described),
}

/// What to find out or to do next with `chosen`.
///
/// # Errors
/// It cannot be restored: it is not what its key or its metadata claims, or a folder
/// stands in its place.
pub(crate) fn next(
    chosen: &Chosen,
    pass: Pass,
    policy: Policy<'_>,
    facts: &Facts,
) -> Result<Next, Fault> {
    if let Name::Path(key) | Name::Older(key) = &chosen.name
        && key.is_folder()
        && pass == Pass::Files
    {
        return Ok(Next::Do(Plan::PutOff));
    }
    let Some(head) = &facts.head else {
        return Ok(first_request(chosen, policy, facts));
    };
    if let Name::Foreign(why) = &chosen.name {
        return foreign(chosen, why, head).map(|()| Next::Do(Plan::LeaveForeign));
    }
    let Some(described) = describe(chosen, policy.origin, head)? else {
        return Ok(Next::Do(Plan::LeaveForeign));
    };
    if matches!(chosen.name, Name::Shortened) && !policy.selector.matches(&described.path) {
        return Ok(Next::Do(Plan::Skip));
    }
    match (pass, described.meta.kind) {
        (Pass::Files, Kind::Symlink | Kind::Folder) => return Ok(Next::Do(Plan::PutOff)),
        (Pass::LinksAndFolders, Kind::File) => return Ok(Next::Do(Plan::Skip)),
        _ => {}
    }
    let described = match &facts.completed {
        Some(meta) => Described {
            meta: meta.clone(),
            ..described
        },
        None if matches!(described.meta.attributes, Carried::Apart(_)) => {
            return Ok(Next::Ask(Question::Attributes(described)));
        }
        None => described,
    };
    let is_surely_free = facts.has_body && policy.is_fresh;
    match facts.existing {
        None if is_surely_free => Ok(Next::Do(Plan::Write(described))),
        None => Ok(Next::Ask(Question::Existing(described))),
        Some(Existing::Same { mode }) => Ok(Next::Do(Plan::LeaveIdentical(described, mode))),
        Some(Existing::Different) => Ok(Next::Do(Plan::KeepExisting(described.path))),
        Some(Existing::OtherName) => Ok(Next::Do(Plan::KeepOtherName(described.path))),
        Some(Existing::FolderInTheWay) => Err(folder_in_the_way(&described.path)),
        Some(Existing::Free | Existing::Replaceable) if facts.has_body => {
            Ok(Next::Do(Plan::Write(described)))
        }
        Some(Existing::Free | Existing::Replaceable) => {
            Ok(fetch(chosen, described, policy, facts.replaced))
        }
    }
}

/// Ask first where a download may not be needed at all.
fn first_request(chosen: &Chosen, policy: Policy<'_>, facts: &Facts) -> Next {
    let is_large = chosen.stored_bytes > RANGE_BYTES;
    match (&chosen.name, facts.is_occupied) {
        (Name::Foreign(_) | Name::Shortened, _) => Next::Ask(Question::Metadata),
        _ if is_large => Next::Ask(Question::Metadata),
        _ if policy.is_fresh => Next::Do(Plan::FetchWhole),
        (Name::Path(key) | Name::Older(key), None) => Next::Ask(Question::IsOccupied(key.path())),
        (_, Some(true)) => Next::Ask(Question::Metadata),
        (_, Some(false)) => Next::Do(Plan::FetchWhole),
    }
}

/// It is to come; its place is free, or what stands there may be replaced.
fn fetch(
    chosen: &Chosen,
    described: Described,
    policy: Policy<'_>,
    replaced: Option<Replaced>,
) -> Next {
    if policy.is_in_place {
        match replaced {
            None => return Next::Ask(Question::Replaced(described)),
            Some(Replaced::SameContent) => return Next::Do(Plan::CopyMetadata(described)),
            Some(Replaced::Stored(_) | Replaced::Unknown) => {}
        }
    }
    if chosen.stored_bytes > RANGE_BYTES && described.meta.kind == Kind::File {
        return Next::Do(Plan::FetchRanges(described));
    }
    Next::Do(Plan::FetchWhole)
}

/// What the object says of itself, believed; `None` when it is not ours.
fn describe(chosen: &Chosen, origin: &Origin, head: &Head) -> Result<Option<Described>, Fault> {
    let meta = match &head.meta {
        Ok(meta) => meta.clone(),
        Err(MetaRefused::Foreign) => return Ok(None),
        Err(refused) => return Err(unreadable_meta(chosen, refused)),
    };
    let key = true_key(origin, chosen, &meta)?;
    if key.is_folder() != (meta.kind == Kind::Folder) {
        return Err(damaged(
            &chosen.subject(),
            "its key and its metadata disagree on whether it is a folder",
        ));
    }
    let path = key.path();
    Ok(Some(Described { path, meta }))
}

/// The outcome of a file that came to be there while it was being restored.
///
/// # Errors
/// A folder stands in its place.
pub(crate) fn if_meanwhile(existing: Existing, path: &RelPath) -> Result<Outcome, Fault> {
    match existing {
        Existing::Same { .. } => Ok(Outcome::Identical),
        Existing::FolderInTheWay => Err(folder_in_the_way(path)),
        Existing::OtherName => Ok(Outcome::Kept(other_name(path))),
        Existing::Different | Existing::Free | Existing::Replaceable => {
            Ok(Outcome::Kept(kept(path)))
        }
    }
}

/// The bits that a file in place keeps beyond what is given to it: what it may do on
/// this computer already is not the bucket's gift.
pub(crate) fn has_all_rights(found: &Fingerprint, meta: &ObjectMeta) -> bool {
    let is_same_owner = meta.owner.is_none() || found.owner == meta.owner;
    is_same_owner && found.mode & meta.mode & MODE_SET_ID == meta.mode & MODE_SET_ID
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
