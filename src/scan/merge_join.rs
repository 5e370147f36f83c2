//! Walks disk, index and bucket side by side in key order. Blocking.

use super::bucket::{Bucket, Front};
use super::listing::Entry;
use super::read_ahead::ReadAhead;
use crate::files::{WalkEntry, WalkFault};
use crate::index::Records;
use crate::s3::Listed;
use crate::types::{Fault, Record, RelKey};
use std::iter::Peekable;

/// What the three sides have at one key.
pub(crate) struct Row {
    pub key: RelKey,
    pub disk: Option<WalkEntry>,
    pub record: Option<Record>,
    pub listed: Option<Listed>,
}

/// What comes next.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are rows, and a box would cost an allocation for each file"
)]
pub(crate) enum Next {
    /// The lowest key that any side has.
    Row(Row),
    /// A part of the disk that cannot be read.
    Unreadable(WalkFault),
    /// An object that is not ours, or that the listing has at another place than its path.
    OutOfOrder(Entry),
    /// Why the listing cannot be used any further; from here on the bucket is not asked.
    NoListing(String),
    End,
}

/// The three sides.
pub(crate) struct MergeJoin {
    pub walk: Peekable<ReadAhead>,
    pub index: Peekable<Records>,
    pub bucket: Bucket,
}

impl MergeJoin {
    /// Take the lowest key of any side, or whatever has no place in that order.
    ///
    /// # Errors
    /// The index fails.
    pub fn next(&mut self) -> Result<Next, Fault> {
        if let Some(broken) = self.walk.next_if(Result::is_err).and_then(Result::err) {
            return Ok(Next::Unreadable(broken));
        }
        let entry = self.walk.peek().and_then(|entry| entry.as_ref().ok());
        let disk_key = entry.map(|entry| &entry.key);
        let index_key = match self.index.peek() {
            Some(Ok((key, _))) => Some(key),
            Some(Err(fault)) => return Err(fault.clone()),
            None => None,
        };
        let bucket_key = match self.bucket.peek() {
            Ok(Front::Ours(key)) => Some(key),
            Ok(Front::End) => None,
            Ok(Front::OutOfOrder(entry)) => return Ok(Next::OutOfOrder(entry)),
            Err(reason) => return Ok(Next::NoListing(reason)),
        };
        let keys = [disk_key, index_key, bucket_key.as_ref()];
        let Some(least) = keys.into_iter().flatten().min().cloned() else {
            return Ok(Next::End);
        };
        let [on_disk, in_index, in_bucket] = keys.map(|key| key == Some(&least));
        let disk = if on_disk { self.walk.next() } else { None };
        let record = if in_index { self.index.next() } else { None };
        let listed = if in_bucket { self.bucket.take() } else { None };
        Ok(Next::Row(Row {
            key: least,
            disk: disk.and_then(Result::ok),
            record: record.and_then(Result::ok).map(|(_, record)| record),
            listed,
        }))
    }
}
