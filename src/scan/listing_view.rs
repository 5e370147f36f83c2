//! Judges what the bucket's listing says of a key: the listing may be older than the
//! record, and the record older than a version that came late.

use super::compare::InBucket;
use super::shortened::{Met, Shortened};
use crate::clock::Clock;
use crate::s3::Listed;
use crate::source::SourceRuntime;
use crate::types::{Record, RelKey};

/// Clocks of two threads may disagree by so much about which came first: a
/// record as young as that is not compared with an older listing.
const LISTING_MARGIN_MS: i64 = 2_000;

/// One listing, beside the records of one source.
pub(crate) struct ListingView<'a> {
    source: &'a SourceRuntime,
    clock: &'a Clock,
    started_ms: i64,
    /// How far the local clock is ahead of the server's.
    ahead_ms: i64,
    /// A request of the last run, which was cut off, may be carried out late.
    is_late_owed: bool,
    /// Objects that the listing has at another place than their paths.
    pub(crate) shortened: Shortened,
}

impl<'a> ListingView<'a> {
    /// Of a listing that was begun at `started_ms`.
    pub(crate) fn new(source: &'a SourceRuntime, clock: &'a Clock, started_ms: i64) -> Self {
        Self {
            source,
            clock,
            started_ms,
            ahead_ms: clock.apart_ms().unwrap_or(0),
            is_late_owed: source.late.is_owed(),
            shortened: Shortened::default(),
        }
    }

    /// What the listing says of this key; it has `listed` there.
    pub(crate) fn in_bucket<'l>(
        &mut self,
        key: &RelKey,
        record: Option<&Record>,
        listed: Option<&'l Listed>,
    ) -> InBucket<'l> {
        if record.is_some_and(|record| self.is_younger(record)) {
            return InBucket::NotAsked;
        }
        if let Some(listed) = listed {
            return InBucket::present(listed);
        }
        let in_bucket = self.source.bucket_key(key);
        if !in_bucket.shortened {
            return InBucket::Missing;
        }
        // The listing has it at another place.
        let met = match record {
            Some(_) => self.shortened.record(in_bucket.key, key),
            None => Met::Fine,
        };
        match met {
            Met::Fine => InBucket::NotAsked,
            // The worker finds it if it is there after all.
            Met::Ask => InBucket::Missing,
        }
    }

    /// True when it was stored while the listing may have been read already.
    pub(crate) fn is_younger(&self, record: &Record) -> bool {
        // A time in the future comes from a clock that was wrong.
        let now_ms = self.clock.now_ms() + LISTING_MARGIN_MS;
        !self.is_older(record) && record.stored_at_ms <= now_ms
    }

    /// True when it was stored before the listing began.
    pub(crate) fn is_older(&self, record: &Record) -> bool {
        record.stored_at_ms < self.started_ms - LISTING_MARGIN_MS
    }

    /// True when the bucket has a younger version than the recorded one, perhaps with the
    /// same bytes: a copy with older metadata that was carried out late.
    pub(crate) fn is_overtaken(
        &self,
        record: Option<&Record>,
        listed: Option<&Listed>,
        bucket: InBucket<'_>,
    ) -> bool {
        let (Some(record), Some(listed)) = (record, listed) else {
            return false;
        };
        let stored_ms = record.stored_at_ms.saturating_sub(self.ahead_ms);
        self.is_late_owed
            && bucket != InBucket::NotAsked
            && !record.is_distrusted()
            && listed.modified_ms > stored_ms.saturating_add(LISTING_MARGIN_MS)
    }
}
