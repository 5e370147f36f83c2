//! Matches records with shortened keys, which the listing has at another place than their
//! paths: each must be met once in both. Pure.
//!
//! Invariant: a record that a whole listing did not have goes to a worker, which asks the
//! bucket. Beyond the bound every further record does.

use crate::types::RelKey;
use std::collections::{HashMap, HashSet};

/// Keys kept of either side; each takes some 2 KB with its path. Paths as long as these are
/// rare.
const KEPT_MAX: usize = 10_000;

/// What was met on one side only.
#[derive(Debug, Default)]
pub(crate) struct Shortened {
    /// In the index, by their keys in the bucket.
    wanted: HashMap<String, RelKey>,
    /// In the listing.
    seen: HashSet<String>,
}

/// What to do about a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// The listing has it, or may have it later on.
    Fine,
    /// Too many are waited for: ask the bucket about this one.
    Ask,
}

impl Shortened {
    /// The index has this key.
    pub(crate) fn record(&mut self, bucket_key: String, key: &RelKey) -> Met {
        if self.seen.remove(&bucket_key) {
            return Met::Fine;
        }
        if self.wanted.len() == KEPT_MAX {
            return Met::Ask;
        }
        self.wanted.insert(bucket_key, key.clone());
        Met::Fine
    }

    /// The listing has this key, and it is ours.
    pub(crate) fn listed(&mut self, bucket_key: &str) {
        if self.wanted.remove(bucket_key).is_none() && self.seen.len() < KEPT_MAX {
            self.seen.insert(bucket_key.to_owned());
        }
    }

    /// What the whole listing did not have.
    pub(crate) fn missing(&mut self) -> Vec<RelKey> {
        let mut missing: Vec<RelKey> = std::mem::take(&mut self.wanted).into_values().collect();
        missing.sort();
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> RelKey {
        RelKey::parse_full(text).unwrap()
    }

    #[test]
    fn what_is_met_on_both_sides_in_either_order_is_not_missing() {
        let mut all = Shortened::default();
        assert_eq!(all.record("early".into(), &key("a")), Met::Fine);
        all.listed("early");
        all.listed("late");
        assert_eq!(all.record("late".into(), &key("b")), Met::Fine);
        assert_eq!(all.record("gone".into(), &key("c")), Met::Fine);
        all.listed("unknown");
        assert_eq!(all.missing(), [key("c")]);
        assert!(all.missing().is_empty());
    }

    #[test]
    fn beyond_the_bound_the_bucket_is_asked() {
        let mut all = Shortened::default();
        for n in 0..KEPT_MAX {
            assert_eq!(all.record(n.to_string(), &key("a")), Met::Fine);
            all.listed(&format!("other {n}"));
        }
        assert_eq!(all.record("more".into(), &key("a")), Met::Ask);
        all.listed("not kept");
        assert_eq!(all.missing().len(), KEPT_MAX);
    }
}
