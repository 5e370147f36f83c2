//! Which version of each key was current at a moment, from a listing alone, and
//! where the listing alone cannot say.
//!
//! Pure. Holds two versions of one key, however many there are.

use crate::model::state_time::{is_in_parts, may_have_been, state_ms};
use crate::store::ListedVersion;

/// What is known of one key from the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pick {
    /// Stored by then, and current if nothing else was: `None` when there was
    /// nothing, or a deletion.
    pub(super) by_then: Option<ListedVersion>,
    /// Stored after the moment, and perhaps what the file was by then.
    pub(super) perhaps: Option<Perhaps>,
}

/// A version whose metadata decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Perhaps {
    pub(super) version: ListedVersion,
    /// When the version or deletion before it was stored.
    before_ms: Option<i64>,
}

impl Perhaps {
    /// Whether it was the file's state at the moment, given what its metadata says.
    pub(super) fn was_current(&self, at_ms: i64, seen_ms: Option<i64>) -> bool {
        let stored_ms = self.version.modified_ms;
        let in_parts = is_in_parts(&self.version.etag);
        state_ms(stored_ms, seen_ms, in_parts, self.before_ms) <= at_ms
    }
}

/// Takes a listing, newest version first within each key.
#[derive(Debug, Default)]
pub(super) struct Chooser {
    at_ms: Option<i64>,
    key: Option<String>,
    decided: bool,
    /// The last of this key that was stored after the moment.
    after: Option<ListedVersion>,
}

impl Chooser {
    pub(super) fn new(at_ms: Option<i64>) -> Self {
        Self {
            at_ms,
            ..Self::default()
        }
    }

    /// Take the next version of the listing. Gives what is known of the key
    /// before it, when that has ended undecided, and of its own key.
    pub(super) fn push(&mut self, version: ListedVersion) -> [Option<Pick>; 2] {
        let ended = match self.key.as_deref() == Some(version.key.as_str()) {
            true => None,
            false => {
                let ended = self.end();
                self.key = Some(version.key.clone());
                self.decided = false;
                ended
            }
        };
        if self.decided {
            return [ended, None];
        }
        let is_after = self.at_ms.is_some_and(|at_ms| version.modified_ms > at_ms);
        if is_after {
            self.after = Some(version);
            return [ended, None];
        }
        self.decided = true;
        let before_ms = Some(version.modified_ms);
        let perhaps = self.perhaps(before_ms);
        // A delete marker that is the one means that there was no file.
        let by_then = (!version.is_marker).then_some(version);
        [ended, some(by_then, perhaps)]
    }

    /// The listing has ended, or a new key begins: what is known of the last one.
    pub(super) fn end(&mut self) -> Option<Pick> {
        let perhaps = self.perhaps(None);
        some(None, perhaps)
    }

    /// Of those after the moment only the first can have been read before it:
    /// each is read after the one before it is stored.
    fn perhaps(&mut self, before_ms: Option<i64>) -> Option<Perhaps> {
        let (version, at_ms) = (self.after.take()?, self.at_ms?);
        let in_parts = is_in_parts(&version.etag);
        let worth_asking =
            !version.is_marker && may_have_been(at_ms, version.modified_ms, in_parts);
        worth_asking.then_some(Perhaps { version, before_ms })
    }
}

fn some(by_then: Option<ListedVersion>, perhaps: Option<Perhaps>) -> Option<Pick> {
    (by_then.is_some() || perhaps.is_some()).then_some(Pick { by_then, perhaps })
}

#[cfg(test)]
#[path = "chooser_tests.rs"]
mod tests;
