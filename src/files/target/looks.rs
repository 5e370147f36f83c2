//! Mode, time, owner and attributes of a link or a folder that is restored.

use super::given;
use super::left_out::{Aspect, LeftOut};
use crate::os::Dir;
use crate::types::{Attributes, Kind};

/// What a link or a folder has beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// Permission bits; a link has none.
    pub mode: u32,
    /// Nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Set only where this account may (root).
    pub owner: Option<(u32, u32)>,
}

/// Owner first: changing that clears bits of the mode. The mode last: it may not
/// let us in any more. One that is new loses what the folder above gave it.
pub(super) fn dressed(dir: &Dir, looks: Looks, attributes: &Attributes, is_new: bool) -> LeftOut {
    let mut left_out = LeftOut::default();
    let owned = looks.owner.map(|owner| dir.set_self_owner(owner));
    let mode = left_out.mode_after(owned, looks.mode, Kind::Folder);
    // Opened before its mode closes it.
    let handle = match given::handle(dir, attributes, is_new) {
        Some(Ok(handle)) => Some(handle),
        Some(Err(error)) => {
            left_out.note(Aspect::Attributes, Err(error));
            None
        }
        None => None,
    };
    if let Some(handle) = &handle {
        if is_new {
            given::take_others(handle, attributes, &mut left_out);
        }
        given::give(handle, attributes, &mut left_out);
    }
    let done = dir.set_self(attributes.mode_without_acl(mode), looks.mtime_ns);
    let now = || Ok(dir.stat_self()?.fingerprint.mtime_ns);
    left_out.note_time(&[Aspect::Mode], looks.mtime_ns, done, now);
    if let Some(handle) = &handle {
        given::give_lists(handle, attributes, &mut left_out);
    }
    left_out
}
