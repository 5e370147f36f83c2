//! Cold storage: which classes are cold, and what thawing takes and costs.
//!
//! Times: Amazon S3 User Guide, "Understanding archive retrieval options" (read in
//! November 2026): typical ones, larger amounts may take longer. Prices: estimates
//! by AWS's list for us-east-1; other regions ask up to 1.4 times as much. Where
//! each is from stands beside it.

use serde::Serialize;

/// Days that a thawed copy is kept when nobody says otherwise: a restore that is
/// begun on Friday is still to be finished on the Monday after next.
pub const THAW_DAYS_DEFAULT: u32 = 10;

/// How fast a version is to be thawed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// Hours, at the normal price.
    #[default]
    Standard,
    /// The slowest and cheapest.
    Bulk,
    /// Minutes, at three times the price of each gigabyte and two hundred times
    /// that of each object; not for the deep archive.
    Expedited,
}

impl Speed {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Bulk => "bulk",
            Self::Expedited => "expedited",
        }
    }

    /// From the word for it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "standard" => Some(Self::Standard),
            "bulk" => Some(Self::Bulk),
            "expedited" => Some(Self::Expedited),
            _ => None,
        }
    }
}

/// How thawing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thaw {
    /// How fast.
    pub speed: Speed,
    /// How long the thawed copy is kept.
    pub days: u32,
}

/// A storage class whose bytes must be thawed before they can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cold {
    /// Glacier Flexible Retrieval.
    Glacier,
    /// Glacier Deep Archive.
    DeepArchive,
}

/// What prices these are, for whoever reads an estimate.
pub const PRICES_OF: &str = "us-east-1, as known in November 2026";

/// A thawed copy lies in S3 Standard beside the archived one for as long as it is
/// kept (AWS re:Post, "restore an S3 object from the Glacier storage class", read
/// in November 2026); a gigabyte there is 0.023 US dollars a month.
const COPY_GIB_MONTH_MICRO_USD: u64 = 23_000;

/// Days of a month, as that price is taken apart.
const MONTH_DAYS: u64 = 30;

/// Millionths of a US dollar.
struct Price {
    per_1000_requests: u64,
    per_gib: u64,
}

impl Cold {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Glacier, Self::DeepArchive];

    /// From S3's name of the class; `None` for one that is read at once. (The
    /// archive tiers of `INTELLIGENT_TIERING` show only when they are read.)
    pub fn of_class(storage_class: &str) -> Option<Self> {
        match storage_class {
            "GLACIER" => Some(Self::Glacier),
            "DEEP_ARCHIVE" => Some(Self::DeepArchive),
            _ => None,
        }
    }

    /// S3's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
        }
    }

    /// How long thawing takes, in words; `None` when the class has no such speed.
    pub fn takes(self, speed: Speed) -> Option<&'static str> {
        match (self, speed) {
            (Self::Glacier, Speed::Expedited) => Some("1 to 5 minutes"),
            (Self::Glacier, Speed::Standard) => Some("3 to 5 hours"),
            (Self::Glacier, Speed::Bulk) => Some("5 to 12 hours"),
            (Self::DeepArchive, Speed::Standard) => Some("up to 12 hours"),
            (Self::DeepArchive, Speed::Bulk) => Some("up to 48 hours"),
            (Self::DeepArchive, Speed::Expedited) => None,
        }
    }

    /// An estimate of what AWS asks for thawing and for keeping the copies,
    /// millionths of a US dollar; what leaves AWS's network costs beside that.
    pub fn micro_usd(self, thaw: Thaw, objects: u64, bytes: u64) -> u64 {
        let price = self.price(thaw.speed);
        let kept = COPY_GIB_MONTH_MICRO_USD * u64::from(thaw.days) / MONTH_DAYS;
        let gib = u128::from(bytes) * u128::from(price.per_gib + kept) / (1 << 30);
        let requests = u128::from(objects) * u128::from(price.per_1000_requests) / 1000;
        u64::try_from(gib + requests).unwrap_or(u64::MAX)
    }

    /// Glacier, standard and expedited requests: AWS re:Post, "s3-manage-data-retrieval"
    /// (its worked example, undated); that bulk is free: cloudcostkit.com, "S3
    /// Glacier Pricing" (2026-06-18). Deep archive: a summary of the price list of
    /// March 2023 on gist.github.com, none newer was found. A gigabyte of the
    /// expedited kind is from memory. All read in November 2026.
    fn price(self, speed: Speed) -> Price {
        let (per_1000_requests, per_gib) = match (self, speed) {
            (Self::Glacier, Speed::Expedited) => (10_000_000, 30_000),
            (Self::Glacier, Speed::Standard) => (50_000, 10_000),
            (Self::Glacier, Speed::Bulk) => (0, 0),
            (Self::DeepArchive, Speed::Bulk) => (25_000, 2_500),
            // The deep archive has no expedited tier: the standard one is asked for.
            (Self::DeepArchive, _) => (100_000, 20_000),
        };
        Price {
            per_1000_requests,
            per_gib,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_speeds_and_prices() {
        for (class, want) in [
            ("GLACIER", Some(Cold::Glacier)),
            ("DEEP_ARCHIVE", Some(Cold::DeepArchive)),
            // Instant retrieval is read at once.
            ("GLACIER_IR", None),
            ("STANDARD", None),
            ("INTELLIGENT_TIERING", None),
        ] {
            assert_eq!(Cold::of_class(class), want, "{class}");
        }
        for cold in Cold::ALL {
            assert_eq!(Cold::of_class(cold.name()), Some(cold));
            assert!(cold.takes(Speed::Standard).is_some());
        }
        assert_eq!(Cold::DeepArchive.takes(Speed::Expedited), None);
        // 2,000 objects of 10 GiB in all: 0.10 USD of requests, 0.10 of bytes, and
        // 0.23 for a month of copies.
        for (days, want) in [(0, 200_000), (30, 430_000)] {
            let speed = Speed::Standard;
            let usd = Cold::Glacier.micro_usd(Thaw { speed, days }, 2_000, 10 << 30);
            assert_eq!(usd, want);
        }
        assert_eq!(Speed::parse("bulk"), Some(Speed::Bulk));
        assert_eq!(Speed::parse("slow"), None);
    }
}
