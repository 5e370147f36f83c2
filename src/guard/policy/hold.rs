//! One hold: which deletions are held back, why, and what the owner was told of it.

use crate::types::RelKey;
use serde::{Deserialize, Serialize};

/// Time between an alert and its reminder: once a day is what people still read.
pub const REMIND_MS: i64 = 24 * 60 * 60 * 1_000;

/// Alerts and reminders of one hold; the digest and `status` go on saying it.
pub const TOLD_MAX: u32 = 14;

/// Why deletions are held back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum HoldCause {
    /// Most of the files are gone.
    Fall,
    /// The folder is not the one that was backed up.
    OtherRoot,
    /// The folder is not there at all.
    Away,
    /// A disk that was mounted on this folder of the source is gone.
    Unmounted {
        /// The folder's key.
        folder: RelKey,
    },
    /// Many files look encrypted.
    Encrypted {
        /// Just before the first of them, milliseconds since 1970.
        before_ms: i64,
        /// The extension that most of them were given, if any.
        ending: Option<String>,
        /// Most of them are empty now.
        #[serde(default)]
        is_emptied: bool,
    },
}

impl HoldCause {
    /// Whether a deletion at this key is held back for this cause.
    pub fn covers(&self, key: &RelKey) -> bool {
        match self {
            Self::Unmounted { folder } => is_below(key, folder),
            Self::Fall | Self::OtherRoot | Self::Away | Self::Encrypted { .. } => true,
        }
    }

    /// The same trouble, whatever its figures.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Encrypted { .. }, Self::Encrypted { .. }) => true,
            _ => self == other,
        }
    }
}

/// True for the folder itself and all that is in it.
pub fn is_below(key: &RelKey, folder: &RelKey) -> bool {
    key.as_str().starts_with(folder.as_str())
        || folder.as_str().strip_suffix('/') == Some(key.as_str())
}

/// Deletions that are held back until things are as before, or somebody says that they
/// are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletionHold {
    /// Why.
    #[serde(flatten)]
    pub cause: HoldCause,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// How many files it is about, as last counted.
    pub files: u64,
    /// Of how many.
    pub of: u64,
    /// How many of them Keepwatch had marked as deleted before it held the rest back.
    #[serde(default)]
    pub marked: u64,
    /// How many more the bucket has as deleted, as last compared: no answer came to
    /// their markers, or a kill took the note of it.
    #[serde(default)]
    pub found_marked: u64,
    /// A moment of the server's clock before the first of them was marked, or before
    /// anything else came of it; milliseconds since 1970, 0: unknown.
    #[serde(default)]
    pub moment_ms: i64,
    /// How often the owner has been told.
    pub told: u32,
    /// When last, milliseconds since 1970.
    pub told_ms: i64,
}

impl DeletionHold {
    /// How many files are marked as deleted in the bucket because of it.
    pub fn marked_in_all(&self) -> u64 {
        self.marked.saturating_add(self.found_marked)
    }

    /// Whether its moment may move on: nothing has come of it in the bucket, and each
    /// later moment has more of what was saved before.
    pub fn may_move(&self) -> bool {
        let is_such = matches!(self.cause, HoldCause::Fall | HoldCause::Unmounted { .. });
        is_such && self.moment_ms > 0 && self.marked_in_all() == 0
    }

    /// Whether an alert (`Some(false)`) or a reminder (`Some(true)`) is owed.
    pub fn owes(&self, now_ms: i64) -> Option<bool> {
        if self.told == 0 {
            return Some(false);
        }
        // A clock that was put back must not silence it.
        let waited_ms = now_ms.saturating_sub(self.told_ms).saturating_abs();
        (self.told < TOLD_MAX && waited_ms >= REMIND_MS).then_some(true)
    }
}
