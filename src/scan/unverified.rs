//! Marks records unverified: what the bucket has at their keys is unknown.

use super::merge::Merge;
use crate::s3::Listed;
use crate::types::{Fault, Fingerprint, Record, RelKey};

impl Merge<'_> {
    /// Mark the record of this key unverified. `seen` is what is on disk, `listed` what the
    /// listing has.
    pub(super) fn mark_unverified(
        &self,
        key: &RelKey,
        seen: Option<Fingerprint>,
        record: Option<Record>,
        listed: Option<&Listed>,
    ) -> Result<(), Fault> {
        let unverified = match (listed, record) {
            // A listing does not make such a record any better.
            (_, Some(record)) if record.is_distrusted() => return Ok(()),
            (Some(listed), _) => of_listed(seen.unwrap_or(Fingerprint::UNSEEN), listed),
            (None, Some(record)) => {
                // What is not on disk, or was never verified, is no loss to tell of.
                if seen.is_some() && record.content.is_some() {
                    tracing::warn!(
                        source = %self.source.config.name,
                        path = %key.path(),
                        "the bucket's list lacks it: unless it is there after all, it is uploaded again"
                    );
                }
                Record {
                    content: None,
                    ..record
                }
            }
            (None, None) => return Ok(()),
        };
        self.scanner.index.update(self.id, key, unverified)
    }
}

/// The record of an object that is known from the listing alone.
pub(super) fn of_listed(fingerprint: Fingerprint, listed: &Listed) -> Record {
    Record {
        etag: listed.etag.clone(),
        stored_bytes: listed.stored_bytes,
        ..Record::unverified(fingerprint)
    }
}
