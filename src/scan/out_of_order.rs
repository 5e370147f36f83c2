//! Handles objects that the listing has at another place than their paths, and objects that
//! Keepwatch has not written.

use super::compare::InBucket;
use super::listing::{Entry, Owner};
use super::merge::Merge;
use super::unverified::of_listed;
use crate::files;
use crate::types::{Fault, Fingerprint};

impl Merge<'_> {
    /// Handle an object that has no place in the order of paths. If it is ours and the
    /// index does not have it as listed, mark it unverified: a worker compares it.
    pub(super) fn out_of_order(&mut self, entry: Entry) -> Result<(), Fault> {
        let Owner::Shortened(key) = &entry.owner else {
            self.done.foreign += 1;
            return Ok(());
        };
        self.listing.shortened.listed(&entry.listed.key);
        let known = self.scanner.index.get(self.id, key)?;
        let listed = InBucket::present(&entry.listed);
        if known.as_ref().is_none_or(|r| {
            !r.is_distrusted() && listed.is_other_than(r) && self.listing.is_older(r)
        }) {
            let fingerprint = known.map_or(Fingerprint::UNSEEN, |r| r.fingerprint);
            let unverified = of_listed(fingerprint, &entry.listed);
            self.scanner.index.update(self.id, key, unverified)?;
            let root = &self.source.config.path;
            if files::stat(root, &key.path())?.is_some() {
                self.queue(key, None);
            } else {
                self.gone.known += 1;
                self.gone.add(key);
            }
        }
        Ok(())
    }

    /// Queue the records whose shortened keys the whole listing did not have: the object is
    /// gone, or is somebody else's now.
    pub(super) fn look_for_shortened(&mut self) -> Result<(), Fault> {
        let missing = self.listing.shortened.missing();
        if !self.join.bucket.has_ended() {
            return Ok(());
        }
        for key in missing {
            // A worker may have changed the record meanwhile.
            let Some(record) = self.scanner.index.get(self.id, &key)? else {
                continue;
            };
            if self.listing.is_younger(&record) {
                continue;
            }
            let root = &self.source.config.path;
            // The walk has noted what cannot be looked at.
            let Ok(seen) = files::stat(root, &key.path()) else {
                continue;
            };
            // What is gone from the disk was handled at its place in the order.
            if seen.is_some() {
                self.mark_unverified(&key, seen, Some(record), None)?;
                self.queue(&key, None);
            }
        }
        Ok(())
    }
}
