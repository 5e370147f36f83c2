//! Which objects unanswered requests were to change.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Keys noted until somebody asks; of further ones only that there were some.
const NOTED_MAX: usize = 10_000;

/// Objects that unanswered requests were to change.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unanswered {
    /// Bucket and full key of each.
    pub keys: BTreeSet<(String, String)>,
    /// There were more.
    pub more: bool,
}

/// Handle to the notes; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct UnansweredNotes(Arc<Mutex<Unanswered>>);

impl UnansweredNotes {
    pub(super) fn add(&self, bucket: String, key: String) {
        let mut noted = self.0.lock();
        if noted.keys.len() >= NOTED_MAX {
            noted.more = true;
            return;
        }
        noted.keys.insert((bucket, key));
    }

    pub(super) fn take(&self) -> Unanswered {
        std::mem::take(&mut *self.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded_and_taken_once() {
        let notes = UnansweredNotes::default();
        for number in 0..NOTED_MAX + 1 {
            notes.add("b".to_owned(), number.to_string());
        }
        let taken = notes.take();
        assert_eq!((taken.keys.len(), taken.more), (NOTED_MAX, true));
        assert_eq!(notes.take(), Unanswered::default());
    }
}
