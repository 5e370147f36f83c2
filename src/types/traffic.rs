//! What was sent to and received from the bucket, and what S3 charges for it.

use serde::{Deserialize, Serialize};

/// AWS's list price of 1,000 writing or listing requests, millionths of a US
/// dollar (S3 Standard, us-east-1, 2026; other regions up to 1.4 times that). All
/// that is made of these prices are estimates. The S3 pricing page fills its tables
/// in by script, so others were read in November 2026: writing, a summary of the list on
/// gist.github.com (March 2023); leaving AWS, go-cloud.io on S3 prices (it gives 450
/// for 5 TB); Standard-IA, howtogeek.com, "AWS S3 Pricing Explained". Reading and
/// Glacier Instant Retrieval are from memory.
const WRITE_1000_MICRO_USD: u64 = 5_000;

/// The same for reading requests. Deleting costs nothing.
const READ_1000_MICRO_USD: u64 = 400;

/// AWS's list price of a gigabyte that leaves AWS, millionths of a US dollar (to
/// the internet, us-east-1, 2026; the first 100 GB of a month are free, which is
/// not counted on).
const EGRESS_GB_MICRO_USD: u64 = 90_000;

/// What getting a gigabyte out of the cheaper classes costs besides, likewise.
/// Standard costs nothing.
const RETRIEVAL_GB_MICRO_USD: [(&str, u64); 3] = [
    ("STANDARD_IA", 10_000),
    ("ONEZONE_IA", 10_000),
    ("GLACIER_IR", 30_000),
];

/// Bytes of a gigabyte, as AWS counts.
const GB: u64 = 1 << 30;

/// What AWS asks for downloading so many bytes of a class, by its list,
/// millionths of a US dollar. The request itself comes on top.
pub fn download_micro_usd(bytes: u64, storage_class: &str) -> u64 {
    let class = RETRIEVAL_GB_MICRO_USD
        .iter()
        .find(|(name, _)| *name == storage_class);
    let of_gb = EGRESS_GB_MICRO_USD + class.map_or(0, |(_, price)| *price);
    u64::try_from(u128::from(bytes) * u128::from(of_gb) / u128::from(GB)).unwrap_or(u64::MAX)
}

/// Requests and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests that write, copy or list, repeated ones among them.
    pub writes: u64,
    /// Requests that read.
    pub reads: u64,
    /// Requests that delete or abort.
    pub deletes: u64,
    /// Bytes of bodies to the server.
    pub sent_bytes: u64,
    /// Bytes of bodies from the server, as far as it said how many.
    pub received_bytes: u64,
}

impl Traffic {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.writes
            .saturating_add(self.reads)
            .saturating_add(self.deletes)
    }

    /// What AWS asks for the requests by its list, millionths of a US dollar.
    pub fn micro_usd(&self) -> u64 {
        let price = |requests: u64, of_1000: u64| requests.saturating_mul(of_1000) / 1000;
        price(self.writes, WRITE_1000_MICRO_USD)
            .saturating_add(price(self.reads, READ_1000_MICRO_USD))
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// This without the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    fn each(&self, other: &Self, step: fn(u64, u64) -> u64) -> Self {
        Self {
            writes: step(self.writes, other.writes),
            reads: step(self.reads, other.reads),
            deletes: step(self.deletes, other.deletes),
            sent_bytes: step(self.sent_bytes, other.sent_bytes),
            received_bytes: step(self.received_bytes, other.received_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downloads_cost_by_size_and_class() {
        for (bytes, class, want) in [
            (1 << 30, "STANDARD", 90_000),
            (1 << 29, "", 45_000),
            (1 << 30, "GLACIER_IR", 120_000),
            (u64::MAX, "STANDARD_IA", u64::MAX / GB * 100_000 + 99_999),
            (0, "STANDARD", 0),
        ] {
            assert_eq!(download_micro_usd(bytes, class), want, "{bytes} {class}");
        }
    }

    #[test]
    fn sums_and_prices() {
        let one = Traffic {
            writes: 2_000,
            reads: 10_000,
            deletes: 7,
            sent_bytes: 5,
            received_bytes: 6,
        };
        assert_eq!((one.requests(), one.micro_usd()), (12_007, 14_000));
        assert_eq!(one.plus(&one).minus(&one), one);
        assert_eq!(Traffic::default().minus(&one), Traffic::default());
    }
}
