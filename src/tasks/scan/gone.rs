//! What a scan found missing from the disk, and whether to believe it.
//!
//! Invariant: an empty or mostly empty folder is not taken for "everything
//! deleted": a disk that is not mounted, a folder of the same name on a new
//! computer and a mistyped path look just like that.

use crate::model::RelKey;

/// Keys kept while scanning; more are found again by a second look at the index.
pub(super) const KEYS_MAX: usize = 1000;

/// Fewer missing files than this are believed, as long as others are there.
const BELIEVED: u64 = 10;

/// What is known to index or bucket and not on disk.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// The first of them.
    pub keys: Vec<RelKey>,
    /// How many.
    pub total: u64,
    /// Keys that index or bucket know, on disk or not.
    pub known: u64,
}

impl Gone {
    pub fn add(&mut self, key: &RelKey) {
        self.total += 1;
        if self.keys.len() < KEYS_MAX {
            self.keys.push(key.clone());
        }
    }

    /// True when a person should say that so much was really deleted: more than
    /// half is gone and nothing like it has come instead (a renamed folder), or
    /// nothing is left of the whole source.
    pub fn is_suspicious(&self, files_on_disk: u64, whole_source: bool) -> bool {
        let nothing_left = whole_source && files_on_disk == 0 && self.total > 0;
        let most_is_gone = self.total >= BELIEVED && self.total * 2 > self.known;
        let little_is_there = files_on_disk * 2 < self.known;
        nothing_left || (most_is_gone && little_is_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_is_believed() {
        for (total, known, on_disk, want) in [
            (0, 0, 0, false),
            (0, 100, 100, false),
            (1, 1, 0, true),
            (9, 10, 1, false),
            (10, 12, 2, true),
            (50, 100, 50, false),
            (51, 100, 49, true),
            (100, 100, 0, true),
            (100, 100, 20, true),
            // Renamed folders: as many files as before, elsewhere.
            (60, 100, 100, false),
            (100, 100, 100, false),
        ] {
            let gone = Gone {
                total,
                known,
                ..Gone::default()
            };
            assert_eq!(
                gone.is_suspicious(on_disk, true),
                want,
                "{total} of {known}"
            );
        }
    }

    #[test]
    fn a_folder_may_lose_its_last_few_files() {
        let gone = Gone {
            total: 9,
            known: 9,
            ..Gone::default()
        };
        assert!(!gone.is_suspicious(0, false) && gone.is_suspicious(0, true));
    }
}
