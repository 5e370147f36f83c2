//! What stands at a path on disk, and what tells that it has changed.

use super::instant::WallMs;
use serde::{Deserialize, Serialize};

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File,
    /// A symbolic link: stored as a link, never followed.
    Symlink,
    /// A folder: stored only when empty.
    Folder,
    /// A socket, FIFO or device: skipped and counted, never opened.
    Special,
}

/// What one `stat` says. Equal fingerprints mean "not changed since", save for
/// changes within the clock's grain (see [`super::Record::racy`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// What stands there.
    pub kind: Kind,
    /// Size in bytes (of the target text for a link, 0 for a folder).
    pub size_bytes: u64,
    /// Last modification, nanoseconds since 1970. File systems hold times that
    /// 64 bits do not (before 1677, after 2262).
    pub mtime_ns: i128,
    /// Last status change, nanoseconds since 1970; 0 where there is none.
    pub ctime_ns: i64,
    /// Inode or file id; 0 where there is none.
    pub inode: u64,
    /// Permission bits (`0o7777` at most).
    pub mode: u32,
    /// Owner and group ids, where the platform has them.
    pub owner: Option<(u32, u32)>,
}

impl Fingerprint {
    /// The modification time in milliseconds; beyond what 64 bits hold of them,
    /// the nearest time that they do.
    pub fn mtime_ms(&self) -> WallMs {
        WallMs(nearest(self.mtime_ns / 1_000_000))
    }

    /// The time of the last status change, in milliseconds.
    pub fn ctime_ms(&self) -> WallMs {
        WallMs(self.ctime_ns / 1_000_000)
    }

    /// An object's metadata would say the same of both. A folder's size and times change
    /// with what is in it; they are none of its own.
    pub fn has_same_meta(&self, other: &Self) -> bool {
        let own = |one: &Self| (one.kind, one.mode, one.owner);
        let of_file = |one: &Self| (one.size_bytes, one.mtime_ns);
        own(self) == own(other) && (self.kind == Kind::Folder || of_file(self) == of_file(other))
    }

    /// What is put down for an object that is not on disk; its size does not matter.
    pub const UNSEEN: Self = Self {
        kind: Kind::File,
        size_bytes: 0,
        mtime_ns: 0,
        ctime_ns: 0,
        inode: 0,
        mode: 0,
        owner: None,
    };
}

fn nearest(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(match number < 0 {
        true => i64::MIN,
        false => i64::MAX,
    })
}
