//! What one drill may take, and what it has taken.

use crate::config::DrillConfig;
use crate::types::{Traffic, download_micro_usd};

/// Bytes of a listing's answer per entry, about; they cost like any download.
const LISTED_ENTRY_BYTES: u64 = 400;

/// Of bytes, cost and time, one part in so many is for second looks at what was
/// found before; the sample has the rest for itself, whatever they need.
pub(crate) const AGAIN_PART: u64 = 5;

/// Bytes and cost that are left.
pub(crate) struct Budget {
    traffic: Traffic,
    downloads_micro_usd: u64,
    bytes: u64,
    bytes_max: u64,
    cost_max_micro_usd: u64,
    is_billed: bool,
    /// Only one part in so many of both may be taken as yet.
    part: u64,
}

impl Budget {
    pub(crate) fn new(config: &DrillConfig, is_billed: bool) -> Self {
        Self {
            traffic: Traffic::default(),
            downloads_micro_usd: 0,
            bytes: 0,
            bytes_max: config.bytes_max,
            cost_max_micro_usd: config.cost_max_micro_usd,
            is_billed,
            part: AGAIN_PART,
        }
    }

    /// The second looks are over: the rest is the sample's.
    pub(crate) fn begin_sample(&mut self) {
        self.part = 1;
    }

    /// Let one second look take all that the drill may, or end that again.
    pub(crate) fn allow_all(&mut self, all: bool) {
        self.part = if all { 1 } else { AGAIN_PART };
    }

    /// Nothing was restored yet: what does not fit now is larger than its part.
    pub(crate) fn is_untouched(&self) -> bool {
        self.bytes == 0
    }

    fn bytes_max(&self) -> u64 {
        self.bytes_max / self.part
    }

    fn cost_max_micro_usd(&self) -> u64 {
        self.cost_max_micro_usd / self.part
    }

    /// A page of so many entries was listed.
    pub(crate) fn listed(&mut self, entries: usize) {
        self.traffic.writes += 1;
        self.received(entries as u64 * LISTED_ENTRY_BYTES, "");
    }

    /// An object was asked about.
    pub(crate) fn looked(&mut self) {
        self.traffic.reads += 1;
    }

    /// Take a download, unless it does not fit: so many bytes of the bucket,
    /// so many on disk.
    pub(crate) fn take(&mut self, stored: u64, unpacked: u64, storage_class: &str) -> bool {
        let bytes = self.bytes.saturating_add(stored.max(unpacked));
        let cost = self
            .cost_micro_usd()
            .saturating_add(download_micro_usd(stored, storage_class));
        if bytes > self.bytes_max() || (self.is_billed && cost > self.cost_max_micro_usd()) {
            return false;
        }
        self.bytes = bytes;
        self.traffic.reads += 1;
        self.received(stored, storage_class);
        true
    }

    fn received(&mut self, bytes: u64, storage_class: &str) {
        self.traffic.received_bytes = self.traffic.received_bytes.saturating_add(bytes);
        self.downloads_micro_usd = self
            .downloads_micro_usd
            .saturating_add(download_micro_usd(bytes, storage_class));
    }

    fn cost_micro_usd(&self) -> u64 {
        self.traffic
            .micro_usd()
            .saturating_add(self.downloads_micro_usd)
    }

    /// Nothing more may be asked.
    pub(crate) fn is_used_up(&self) -> bool {
        self.bytes >= self.bytes_max()
            || (self.is_billed && self.cost_micro_usd() >= self.cost_max_micro_usd())
    }

    /// What went over the line, tries that were repeated not counted.
    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// What it cost; `None` where nothing is billed.
    pub(crate) fn micro_usd(&self) -> Option<u64> {
        self.is_billed.then(|| self.cost_micro_usd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(is_billed: bool) -> Budget {
        let config = DrillConfig {
            enabled: true,
            files: 14,
            bytes_max: 1_000_000_000,
            cost_max_micro_usd: 9_000,
            time_max_ms: 1,
        };
        let mut budget = Budget::new(&config, is_billed);
        budget.begin_sample();
        budget
    }

    #[test]
    fn second_looks_leave_the_sample_its_part() {
        let fifth = 200_000_000;
        for is_billed in [false, true] {
            let mut budget = budget(is_billed);
            budget.part = AGAIN_PART;
            assert!(!budget.take(fifth + 1, 5, "STANDARD"), "more than its part");
            while budget.take(5_000_000, 5, "STANDARD") {}
            for _ in 0..300 {
                if !budget.is_used_up() {
                    budget.listed(10);
                    budget.take(1, 1, "STANDARD");
                }
            }
            budget.begin_sample();
            assert!(!budget.is_used_up());
            assert!(budget.take(60_000_000, 5, "STANDARD"), "{is_billed}");
        }
    }

    #[test]
    fn one_second_look_may_take_all_and_no_more() {
        let mut budget = budget(false);
        budget.allow_all(false);
        assert!(!budget.take(300_000_000, 5, "STANDARD") && budget.is_untouched());
        budget.allow_all(true);
        assert!(!budget.take(1_000_000_001, 5, "STANDARD"));
        assert!(budget.take(300_000_000, 5, "STANDARD") && !budget.is_untouched());
        budget.allow_all(false);
        assert!(budget.is_used_up(), "the other second looks wait");
        budget.begin_sample();
        assert!(budget.take(700_000_000, 5, "STANDARD"), "the rest");
    }

    #[test]
    fn bytes_and_cost_are_bounds() {
        let tenth_gb = (1u64 << 30) / 10;
        let mut billed = budget(true);
        assert!(billed.take(tenth_gb - 1_000_000, 5, "STANDARD"));
        assert!(!billed.take(tenth_gb, 5, "STANDARD"), "too dear");
        assert!(!billed.is_used_up());
        for _ in 0..30 {
            billed.listed(1_000);
        }
        assert!(billed.is_used_up(), "{:?}", billed.micro_usd());

        let mut free = budget(false);
        assert!(free.take(900_000_000, 5, "STANDARD"));
        assert!(!free.take(5, 200_000_000, "STANDARD"), "too large unpacked");
        assert!(free.take(5, 100_000_000, "STANDARD"));
        assert!(free.is_used_up());
        assert_eq!((free.micro_usd(), free.traffic().reads), (None, 2));
    }
}
