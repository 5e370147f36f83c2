//! Writing down that nobody knows what the bucket has at a key.

use super::merge::Merge;
use crate::s3::Listed;
use crate::types::{Fault, Fingerprint, Record, RelKey};

impl Merge<'_> {
    /// Write down that nobody knows what the bucket has at this key. `seen` is what is on
    /// disk, `listed` what the listing has.
    pub(super) fn mark_unverified(
        &self,
        key: &RelKey,
        seen: Option<Fingerprint>,
        record: Option<Record>,
        listed: Option<&Listed>,
    ) -> Result<(), Fault> {
        let unverified = match (listed, record) {
            // What the bucket lists does not make it any better.
            (_, Some(record)) if record.is_distrusted() => return Ok(()),
            (Some(listed), _) => of_listed(seen.unwrap_or(Fingerprint::UNSEEN), listed),
            (None, Some(record)) => {
                // What nobody has seen there cannot be lost.
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
