//! Draws the versions of a sample. Pure.
//!
//! Each version has a lot that follows from the seed, its key and its id alone,
//! so a run can be repeated. Every version has the same chance in a sample by
//! share or by number. A sample by bytes takes the lowest lots that fit, so
//! large objects have less of a chance, and what is larger than the whole
//! sample has none (it is counted).

use super::findings::{DRAWN_MAX, Deep};
use crate::types::ContentHash;
use std::collections::BTreeMap;

/// One million: shares are counted in millionths.
const MILLION: u64 = 1_000_000;

/// A version's lot.
pub(crate) fn lot(seed: u64, key: &str, version_id: &str) -> u64 {
    let hash = ContentHash::of(format!("{seed}\0{key}\0{version_id}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.0[..8]);
    u64::from_be_bytes(first)
}

/// What happens to a version that is offered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drawn {
    /// It is downloaded now.
    Now,
    /// Not drawn, or not yet decided.
    No,
    /// It is larger than the whole sample.
    TooLarge,
}

/// The sample so far.
pub(crate) struct Draw<T> {
    deep: Deep,
    seed: u64,
    lots: BTreeMap<(u64, u64), (u64, T)>,
    bytes: u64,
    number: u64,
}

impl<T> Draw<T> {
    pub(crate) fn new(deep: Deep, seed: u64) -> Self {
        Self {
            deep,
            seed,
            lots: BTreeMap::new(),
            bytes: 0,
            number: 0,
        }
    }

    /// Offer a version of so many bytes; `item` is called only when it must be kept.
    pub(crate) fn offer(
        &mut self,
        key: &str,
        version_id: &str,
        bytes: u64,
        item: impl FnOnce() -> T,
    ) -> Drawn {
        let (files_max, bytes_max) = match self.deep {
            Deep::No => return Drawn::No,
            Deep::All => return Drawn::Now,
            Deep::Share(millionths) => {
                let lot = lot(self.seed, key, version_id) % MILLION;
                return self.by_share(lot, millionths, bytes, item);
            }
            Deep::Files(files) => (files.min(DRAWN_MAX), u64::MAX),
            Deep::Bytes(bytes) => (DRAWN_MAX, bytes),
        };
        if bytes > bytes_max {
            return Drawn::TooLarge;
        }
        self.number += 1;
        // The number only tells equal lots apart.
        let place = (lot(self.seed, key, version_id), self.number);
        self.lots.insert(place, (bytes, item()));
        self.bytes = self.bytes.saturating_add(bytes);
        while self.lots.len() > files_max || self.bytes > bytes_max {
            let Some((_, (bytes, _))) = self.lots.pop_last() else {
                break;
            };
            self.bytes -= bytes;
        }
        Drawn::No
    }

    /// By its own lot alone; the nearest to be drawn is kept until one is. A sample of nothing
    /// would say that all is well.
    fn by_share(
        &mut self,
        lot: u64,
        millionths: u32,
        bytes: u64,
        item: impl FnOnce() -> T,
    ) -> Drawn {
        if lot < u64::from(millionths) {
            self.number += 1;
            self.lots.clear();
            return Drawn::Now;
        }
        let is_nearest = |(nearest, _): &(u64, u64)| lot < *nearest;
        if self.number == 0 && self.lots.keys().next().is_none_or(is_nearest) {
            self.lots.clear();
            self.lots.insert((lot, 0), (bytes, item()));
        }
        Drawn::No
    }

    /// What was drawn, when everything has been offered.
    pub(crate) fn into_items(self) -> impl Iterator<Item = T> {
        self.lots.into_values().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(deep: Deep, seed: u64, offers: &[(&str, u64)]) -> (Vec<String>, usize) {
        let mut draw = Draw::new(deep, seed);
        let mut now = Vec::new();
        let mut too_large = 0;
        for (key, bytes) in offers {
            match draw.offer(key, "v", *bytes, || (*key).to_owned()) {
                Drawn::Now => now.push((*key).to_owned()),
                Drawn::No => {}
                Drawn::TooLarge => too_large += 1,
            }
        }
        now.extend(draw.into_items());
        now.sort();
        (now, too_large)
    }

    #[test]
    fn a_sample_keeps_to_its_bounds_and_can_be_repeated() {
        let names: Vec<String> = (0..1_000).map(|n| format!("f{n}")).collect();
        let offers: Vec<(&str, u64)> = names.iter().map(|n| (n.as_str(), 10)).collect();
        for (deep, from, to) in [
            (Deep::No, 0, 0),
            (Deep::All, 1_000, 1_000),
            (Deep::Share(100_000), 60, 140),
            // The nearest to be drawn: never nothing.
            (Deep::Share(1), 1, 1),
            (Deep::Share(1_000_000), 1_000, 1_000),
            (Deep::Files(7), 7, 7),
            (Deep::Bytes(105), 10, 10),
            (Deep::Bytes(9), 0, 0),
        ] {
            let (items, _) = drawn(deep, 5, &offers);
            assert!(
                (from..=to).contains(&items.len()),
                "{deep:?}: {}",
                items.len()
            );
            assert_eq!(drawn(deep, 5, &offers).0, items, "the same seed");
        }
        let one = drawn(Deep::Files(7), 5, &offers);
        assert_ne!(drawn(Deep::Files(7), 6, &offers), one, "another seed");
    }

    #[test]
    fn what_is_larger_than_the_sample_is_counted_and_hinders_nobody() {
        let (items, too_large) = drawn(Deep::Bytes(25), 1, &[("a", 10), ("big", 26), ("b", 10)]);
        assert_eq!((items.len(), too_large), (2, 1));
    }
}
