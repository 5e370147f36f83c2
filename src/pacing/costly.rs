//! Which files cost most in versions, and what fewer of them would save.
//!
//! Invariant: memory is bounded; what is dropped first is what was stored once.

use crate::types::{RelPath, WallMs};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Files that are counted at a time: some 300 KB. The costly ones have many
/// versions, and those with one make room.
const FILES_MAX: usize = 2_000;

/// Files that are kept over a restart: as many as a digest names, and as many
/// again that may overtake them.
const KEPT_MAX: usize = 10;

/// Bytes that these may take in the index: a larger value is one that the index
/// cannot write at one stroke, and a power cut takes.
const KEPT_BYTES_MAX: usize = 4096;

/// The intervals that can be advised, shortest first: (in words, milliseconds).
const INTERVALS: [(&str, i64); 3] = [
    ("15m", 15 * 60_000),
    ("1h", 60 * 60_000),
    ("6h", 6 * 60 * 60_000),
];

/// One file's versions since the last digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    versions: u64,
    stored_bytes: u64,
    /// How many versions there would be with each interval, and when the last
    /// of them would have been stored.
    with: [(u64, WallMs); INTERVALS.len()],
}

/// What was stored of which files since the last digest.
#[derive(Debug, Clone, Default)]
pub struct VersionCosts(HashMap<RelPath, Count>);

/// A file that costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Costly {
    /// Which.
    pub path: RelPath,
    /// Versions in the period.
    pub versions: u64,
    /// Bytes that they take.
    pub stored_bytes: u64,
    /// An interval that would save at least half: in words, versions, bytes.
    pub with_interval: Option<(&'static str, u64, u64)>,
}

impl VersionCosts {
    /// A version was stored.
    pub fn add(&mut self, path: &RelPath, stored_bytes: u64, now_ms: WallMs) {
        if self.0.len() >= FILES_MAX && !self.0.contains_key(path) {
            self.shrink();
        }
        let count = self.0.entry(path.clone()).or_default();
        count.versions = count.versions.saturating_add(1);
        count.stored_bytes = count.stored_bytes.saturating_add(stored_bytes);
        for ((versions, last_ms), (_, interval_ms)) in count.with.iter_mut().zip(INTERVALS) {
            if *versions == 0 || !(0..interval_ms).contains(&(now_ms - *last_ms)) {
                *versions = versions.saturating_add(1);
                *last_ms = now_ms;
            }
        }
    }

    /// Keep the costlier half.
    fn shrink(&mut self) {
        let mut costs: Vec<_> = self.0.values().map(|count| count.cost()).collect();
        costs.sort_unstable();
        let middle = costs[costs.len() / 2];
        self.0.retain(|_, count| count.cost() > middle);
    }

    /// The `most` costliest files that have more than one version.
    pub fn costliest(&self, most: usize) -> Vec<Costly> {
        let mut list: Vec<_> = self.0.iter().filter(|(_, c)| c.versions > 1).collect();
        list.sort_by(|(a, x), (b, y)| y.cost().cmp(&x.cost()).then_with(|| a.cmp(b)));
        list.truncate(most);
        list.into_iter()
            .map(|(path, count)| Costly {
                path: path.clone(),
                versions: count.versions,
                stored_bytes: count.stored_bytes,
                with_interval: count.with_interval(),
            })
            .collect()
    }

    /// As text, to be kept over a restart: the costliest alone, and as many of
    /// them as fit. A name that is no text is left out.
    pub fn to_json(&self) -> serde_json::Value {
        let costly = self.0.iter().filter(|(_, count)| count.versions > 1);
        let texts = costly.filter_map(|(path, count)| {
            let text = std::str::from_utf8(path.as_bytes()).ok()?;
            Some((text, count))
        });
        let mut list: Vec<_> = texts.collect();
        list.sort_by_key(|(_, count)| std::cmp::Reverse(count.cost()));
        list.truncate(KEPT_MAX);
        loop {
            let kept = serde_json::to_value(&list).unwrap_or_default();
            if kept.to_string().len() <= KEPT_BYTES_MAX || list.pop().is_none() {
                return kept;
            }
        }
    }

    /// Read [`VersionCosts::to_json`] back; empty for anything else.
    pub fn from_json(value: serde_json::Value) -> Self {
        let list: Vec<(String, Count)> = serde_json::from_value(value).unwrap_or_default();
        let list = list.into_iter().take(KEPT_MAX);
        let paths = list.filter_map(|(text, count)| Some((RelPath::from_bytes(text).ok()?, count)));
        Self(paths.collect())
    }

    /// A new period begins.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Count {
    /// One version is what a backup is for; the others are what it costs.
    fn cost(&self) -> (u64, u64) {
        let each = self.stored_bytes / self.versions.max(1);
        let more = self.versions.saturating_sub(1);
        (each.saturating_mul(more), more)
    }

    fn with_interval(&self) -> Option<(&'static str, u64, u64)> {
        let (versions, interval) = self
            .with
            .iter()
            .zip(INTERVALS)
            .map(|((versions, _), (interval, _))| (*versions, interval))
            .find(|(versions, _)| versions.saturating_mul(2) <= self.versions)?;
        let share = u128::from(self.stored_bytes) * u128::from(versions);
        let bytes = share / u128::from(self.versions.max(1));
        Some((interval, versions, u64::try_from(bytes).ok()?))
    }
}

/// A file of many versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CostlyFile {
    /// The file, as shown to people.
    pub path: String,
    /// Versions in the period.
    pub versions: u64,
    /// Bytes that they take in the bucket.
    pub stored_bytes: u64,
    /// What would save much: a `min_version_interval`, and about how many
    /// versions and bytes there would be with it.
    pub advice: Option<(String, u64, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    fn path(text: &str) -> RelPath {
        RelPath::from_bytes(text).unwrap()
    }

    fn tally(files: &[(&str, i64, i64, u64)]) -> VersionCosts {
        let mut tally = VersionCosts::default();
        for (name, versions, every_ms, bytes) in files {
            for at in 0..*versions {
                tally.add(&path(name), *bytes, WallMs(at * every_ms));
            }
        }
        tally
    }

    #[test]
    fn the_costliest_are_named_with_what_an_interval_saves() {
        let tally = tally(&[
            ("mail/archive.pst", 48, 30 * MINUTE_MS, 25_000_000),
            ("film.mov", 1, 1, 900_000_000),
            ("database.mdb", 96, 5 * MINUTE_MS, 1_000_000),
            ("letter.doc", 2, 600 * MINUTE_MS, 20_000),
        ]);
        let list = tally.costliest(5);
        let line = |costly: &Costly| {
            let (versions, bytes) = (costly.versions, costly.stored_bytes);
            (
                costly.path.to_string(),
                versions,
                bytes,
                costly.with_interval,
            )
        };
        let lines: Vec<_> = list.iter().map(line).collect();
        let want = |name: &str, versions, bytes, with| (name.to_owned(), versions, bytes, with);
        assert_eq!(
            lines,
            [
                want(
                    "mail/archive.pst",
                    48,
                    1_200_000_000,
                    Some(("1h", 24, 600_000_000))
                ),
                want(
                    "database.mdb",
                    96,
                    96_000_000,
                    Some(("15m", 32, 32_000_000))
                ),
                want("letter.doc", 2, 40_000, None),
            ]
        );
        assert_eq!(tally.costliest(1).len(), 1);
        let again = VersionCosts::from_json(tally.to_json());
        assert_eq!(again.costliest(5), list);
        assert_eq!(VersionCosts::from_json("?".into()).costliest(5), []);
    }

    #[test]
    fn what_is_kept_is_small_enough_to_be_written_at_one_stroke() {
        let mut tally = VersionCosts::default();
        for (number, at) in (0..FILES_MAX).zip([0, 1].into_iter().cycle()) {
            let name = format!("{number:04}{}", "n".repeat(996));
            for version in 0..=at {
                tally.add(&path(&name), number as u64, WallMs(version));
            }
        }
        let kept = tally.to_json();
        assert!(kept.to_string().len() <= 4096, "{}", kept.to_string().len());
        let again = VersionCosts::from_json(kept);
        assert_eq!(again.costliest(3), tally.costliest(3));
        assert_eq!(again.0.len(), 3, "what has one version costs nothing");
        // Control characters take six bytes each.
        let mut tally = VersionCosts::default();
        for at in [0, 1] {
            tally.add(&path(&"\u{1}".repeat(1000)), 1, WallMs(at));
            tally.add(&RelPath::from_bytes(vec![0xff]).unwrap(), 1, WallMs(at));
        }
        assert_eq!(tally.to_json(), serde_json::json!([]));
        // What earlier versions of the program kept is read as nothing.
        let old = serde_json::json!([[[97], {"versions": 2, "stored_bytes": 1,
            "with": [[1, 0], [1, 0], [1, 0]]}]]);
        assert_eq!(VersionCosts::from_json(old).costliest(5), []);
    }

    #[test]
    fn a_flood_of_new_files_does_not_push_out_the_costly_ones() {
        let mut tally = tally(&[("db", 10, 1, 1_000)]);
        for i in 0..10 * FILES_MAX {
            tally.add(&path(&format!("f{i}")), 1_000_000, WallMs(0));
            assert!(tally.0.len() <= FILES_MAX);
        }
        assert_eq!(tally.costliest(5)[0].path, path("db"));
    }
}
