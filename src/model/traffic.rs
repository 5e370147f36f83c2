//! What went over the line to the bucket, and what S3 asks for it.

use serde::{Deserialize, Serialize};

/// AWS's list price of 1,000 writing or listing requests, millionths of a US
/// dollar (S3 Standard, us-east-1, 2026; other regions up to 1.4 times that).
const WRITE_1000_MICRO_USD: u64 = 5_000;

/// The same for reading requests. Deleting costs nothing.
const READ_1000_MICRO_USD: u64 = 400;

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
