//! Mode, time and owner of what is restored, and what of them a disk would not take.

use super::Committed;
use crate::error::{Class, Fault, chain};
use crate::platform::Dir;
use std::io;

/// Set-user-id and set-group-id: only kept together with the owner they meant,
/// or a file of one account would run with the rights of another.
pub(super) const MODE_SET_ID: u32 = 0o6000;

/// What a link or a folder has beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// Permission bits; a link has none.
    pub mode: u32,
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Set only where this account may (root).
    pub owner: Option<(u32, u32)>,
}

/// Owner first: changing that clears bits of the mode. The mode last: it may not
/// let us in any more.
pub(super) fn dressed(dir: &Dir, looks: Looks) -> LeftOut {
    let mut left_out = LeftOut::default();
    let owned = looks.owner.map(|owner| dir.set_self_owner(owner));
    let mode = left_out.mode_after(owned, looks.mode);
    left_out.note("mode and time", dir.set_self(mode, looks.mtime_ns));
    left_out
}

/// What a disk would not take of a file's metadata.
#[derive(Default)]
pub(super) struct LeftOut(Vec<String>);

impl LeftOut {
    pub(super) fn note(&mut self, what: &str, done: io::Result<()>) {
        if let Err(error) = done {
            self.0.push(format!("{what}: {}", chain(&error)));
        }
    }

    /// The mode to give after the owner was, or was not, given: without it, no
    /// bits that would let others run with its rights.
    pub(super) fn mode_after(&mut self, owned: Option<io::Result<bool>>, mode: u32) -> u32 {
        let is_owned = match owned {
            Some(Ok(done)) => done,
            Some(Err(error)) => {
                self.note("owner", Err(error));
                false
            }
            None => false,
        };
        if is_owned { mode } else { mode & !MODE_SET_ID }
    }

    pub(super) fn committed(self, subject: String) -> Committed {
        let left_out = self.fault(subject);
        Committed::Written { left_out }
    }

    pub(super) fn fault(self, subject: String) -> Option<Fault> {
        (!self.0.is_empty()).then(|| {
            Fault::new(
                Class::Local,
                "keep mode, owner and time",
                subject,
                self.0.join("; "),
            )
            .hint(
                "the content is complete; restore to a disk with another file system if it matters",
            )
        })
    }
}
