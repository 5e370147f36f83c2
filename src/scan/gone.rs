//! What a scan found missing from the disk.
//!
//! The deletion guard decides whether to believe it (`guard::policy`).

use crate::guard::is_below;
use crate::types::RelKey;

/// Keys kept while scanning; if there are more, a second look at the index finds them
/// again.
pub(crate) const KEYS_MAX: usize = 1000;

/// What index or bucket know and the disk does not have.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    /// The first of them.
    pub keys: Vec<RelKey>,
    /// How many.
    pub total: u64,
    /// How many of them the bucket has as deleted already.
    pub absent: u64,
    /// Keys that index or bucket know, on disk or not.
    pub known: u64,
    /// How many of those cannot be looked at: they are not gone.
    pub unseen: u64,
    /// Folders whose disk is no longer mounted, and how many known files are missing below
    /// each. They count nowhere else.
    pub lost: Vec<(RelKey, u64)>,
}

impl Gone {
    /// Add a key that is known and not on disk.
    pub fn add(&mut self, key: &RelKey) {
        if let Some((_, files)) = self.lost.iter_mut().find(|(lost, _)| is_below(key, lost)) {
            self.known = self.known.saturating_sub(1);
            *files += u64::from(!key.is_folder());
            return;
        }
        self.total += 1;
        if self.keys.len() < KEYS_MAX {
            self.keys.push(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_lost_disk_is_counted_apart() {
        let key = |text| RelKey::parse_full(text).unwrap();
        let mut gone = Gone {
            lost: vec![(key("disk/"), 0)],
            known: 5,
            ..Gone::default()
        };
        for text in ["a", "disk/", "disk/b", "disk/c/d", "disk2/e"] {
            gone.add(&key(text));
        }
        assert_eq!((gone.total, gone.known), (2, 2));
        assert_eq!(gone.keys, [key("a"), key("disk2/e")]);
        assert_eq!(gone.lost[0].1, 2);
    }
}
