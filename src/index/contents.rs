//! Where the bucket has a content, whatever the path: what is renamed, moved,
//! copied or put back is then copied on the server and not sent.
//!
//! One small entry per content. While some path's record holds it, the entry is
//! that path's key alone. When that record goes or gets another content, the
//! entry becomes a *past* one that says all of the version: a rename is a
//! deletion and a creation, in either order, and swapped files are both at once.
//! It is never needed: a content that is not found is sent. Old indexes have no
//! entries; they come with the records that are written.

use super::codec::{Reader, put_number};
use super::engine::{Batch, Engine};
use super::keys::{self, Space};
use super::packing::{pack, unpack};
use super::records::about;
use super::types::SourceId;
use super::{Index, codec};
use crate::error::Fault;
use crate::model::{ContentHash, Kind, Record, RelKey};
use std::ops::Bound;
use std::time::{SystemTime, UNIX_EPOCH};

/// Smaller contents are not noted: sending one costs the same single request,
/// and few more bytes than the headers and the answer of a copy.
pub const COPY_FROM_BYTES: u64 = 4 * 1024;

/// How long a content that no path holds any more is known: whoever moves a
/// folder has done so within a day, and the bucket's lifecycle rules may end
/// old versions from then on.
pub const PAST_MS: i64 = 24 * 60 * 60 * 1000;

/// Bytes of a content's hash in its key. A million contents share one by chance
/// once in 30 million; the whole hash is compared besides.
const HASH_BYTES: usize = 8;

/// Entries read at a time by [`Index::forget_past`].
const SWEEP_PAGE: usize = 256;

/// How often a record that changes under the look is looked up again.
const LOOKS: u32 = 3;

/// The first byte of an entry.
const LIVE: u8 = 1;
const PAST: u8 = 2;

/// A version in the bucket that holds a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// Whose version.
    pub key: RelKey,
    /// Its id; empty where the bucket keeps none, then it is the current one.
    pub version_id: String,
    /// Its ETag, without quotes.
    pub etag: String,
    /// Bytes of the object.
    pub stored_bytes: u64,
    /// The path still holds it.
    pub is_live: bool,
}

impl Index {
    /// Where the bucket has this content already, under any path of the source.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn elsewhere(
        &self,
        source: SourceId,
        content: &ContentHash,
        size_bytes: u64,
    ) -> Result<Option<Elsewhere>, Fault> {
        let engine = self.engine()?;
        for _ in 0..LOOKS {
            let entry = engine.get(&content_key(source, content))?;
            let key = match entry.as_deref().and_then(decode) {
                None => return Ok(None),
                Some(Entry::Past(past)) => {
                    let is_it = past.content == *content && past.size_bytes == size_bytes;
                    return Ok(is_it.then_some(past.version));
                }
                Some(Entry::Live(key)) => key,
            };
            let record = self.get(source, &key)?;
            let holds_it = |record: &Record| {
                noted(Some(record)) == Some(*content) && record.fingerprint.size_bytes == size_bytes
            };
            if let Some(record) = record.filter(holds_it) {
                return Ok(Some(Elsewhere {
                    key,
                    version_id: record.version_id,
                    etag: record.etag,
                    stored_bytes: record.stored_bytes,
                    is_live: true,
                }));
            }
            // It has changed since the entry was read: that says more by now.
        }
        Ok(None)
    }

    /// Forget that version: the bucket does not have it any more.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn forget_elsewhere(
        &self,
        source: SourceId,
        content: &ContentHash,
        gone: &Elsewhere,
    ) -> Result<(), Fault> {
        let (_ledger, engine) = self.writer()?;
        let stored = content_key(source, content);
        let is_it = match engine.get(&stored)?.as_deref().and_then(decode) {
            Some(Entry::Live(key)) => key == gone.key,
            Some(Entry::Past(past)) => past.version.version_id == gone.version_id,
            None => false,
        };
        if is_it {
            let mut batch = Batch::default();
            batch.remove(stored);
            engine
                .apply(batch)
                .map_err(|fault| about(fault, &gone.key))?;
        }
        Ok(())
    }

    /// Forget the contents that no path of the source has held for
    /// [`PAST_MS`], a page at a time: others can write meanwhile. Says how many.
    ///
    /// # Errors
    /// When the index cannot be read or written.
    pub fn forget_past(&self, source: SourceId) -> Result<u64, Fault> {
        self.forget_past_at(source, wall_ms())
    }

    pub(super) fn forget_past_at(&self, source: SourceId, now_ms: i64) -> Result<u64, Fault> {
        let begin = Space::Content.key(source, b"");
        let end = keys::end_of(&begin);
        let mut last: Option<Vec<u8>> = None;
        let mut forgotten = 0;
        loop {
            // Locked from reading to writing: an entry may be live again.
            let (_ledger, engine) = self.writer()?;
            let low = last
                .as_deref()
                .map_or(Bound::Included(&begin[..]), Bound::Excluded);
            let page = engine.page(low, &end, SWEEP_PAGE)?;
            last = page.last().map(|(key, _)| key.clone());
            let mut batch = Batch::default();
            for (key, value) in page {
                let is_over = match decode(&value) {
                    // One of the future is of a clock that has been put right.
                    Some(Entry::Past(past)) => {
                        !(-PAST_MS..PAST_MS).contains(&now_ms.saturating_sub(past.since_ms))
                    }
                    Some(Entry::Live(_)) => false,
                    None => true,
                };
                if is_over {
                    batch.remove(key);
                    forgotten += 1;
                }
            }
            if !batch.0.is_empty() {
                engine.apply(batch)?;
            }
            if last.is_none() {
                return Ok(forgotten);
            }
        }
    }
}

/// Add to a batch what a change of a record means for where contents are.
pub(super) fn follow(
    engine: &Engine,
    batch: &mut Batch,
    source: SourceId,
    key: &RelKey,
    change: (Option<&Record>, Option<&Record>),
) -> Result<(), Fault> {
    let (was, is) = (noted(change.0), noted(change.1));
    if let (Some(content), Some(old)) = (was.filter(|_| was != is), change.0) {
        let stored = content_key(source, &content);
        let entry = engine.get(&stored)?;
        if matches!(entry.as_deref().and_then(decode), Some(Entry::Live(live)) if live == *key) {
            // Without versions, what is replaced is gone.
            match old.version_id.is_empty() {
                true => batch.remove(stored),
                false => batch.put(stored, encode_past(key, old, &content)),
            }
        }
    }
    if let Some(content) = is {
        let stored = content_key(source, &content);
        let entry = engine.get(&stored)?;
        if !matches!(entry.as_deref().and_then(decode), Some(Entry::Live(_))) {
            batch.put(stored, [&[LIVE], key.as_str().as_bytes()].concat());
        }
    }
    Ok(())
}

/// The content that is worth noting of a record.
fn noted(record: Option<&Record>) -> Option<ContentHash> {
    let record = record?;
    let file = &record.fingerprint;
    let is_worth_it = file.kind == Kind::File && file.size_bytes >= COPY_FROM_BYTES;
    // A copy is guarded by the ETag.
    record
        .content
        .filter(|_| is_worth_it && !record.etag.is_empty())
}

fn content_key(source: SourceId, content: &ContentHash) -> Vec<u8> {
    Space::Content.key(source, &content.0[..HASH_BYTES])
}

enum Entry {
    Live(RelKey),
    Past(Box<Past>),
}

struct Past {
    content: ContentHash,
    size_bytes: u64,
    since_ms: i64,
    version: Elsewhere,
}

fn encode_past(key: &RelKey, old: &Record, content: &ContentHash) -> Vec<u8> {
    let (etag_form, etag) = pack(&old.etag);
    let (version_form, version) = pack(&old.version_id);
    let mut out = Vec::with_capacity(128 + key.as_str().len());
    out.extend([PAST, etag_form | version_form << 4]);
    codec::put_signed(&mut out, wall_ms());
    put_number(&mut out, old.fingerprint.size_bytes);
    put_number(&mut out, old.stored_bytes);
    out.extend(content.0);
    out.extend(etag);
    out.extend(version);
    out.extend(key.as_str().as_bytes());
    out
}

/// Read an entry; `None` for what is none, and never a panic.
fn decode(bytes: &[u8]) -> Option<Entry> {
    let mut from = Reader(bytes);
    match from.byte()? {
        LIVE => keys::rel_key(from.0).map(Entry::Live),
        PAST => {
            let forms = from.byte()?;
            let since_ms = from.signed()?;
            let size_bytes = from.number()?;
            let stored_bytes = from.number()?;
            let content = ContentHash(from.bytes(32)?.try_into().ok()?);
            let etag = unpack(forms & 0xf, &mut from)?;
            let version_id = unpack(forms >> 4, &mut from)?;
            let key = keys::rel_key(from.0)?;
            Some(Entry::Past(Box::new(Past {
                content,
                size_bytes,
                since_ms,
                version: Elsewhere {
                    key,
                    version_id,
                    etag,
                    stored_bytes,
                    is_live: false,
                },
            })))
        }
        _ => None,
    }
}

/// The computer's clock. Only ages are taken from it, and a wrong one costs
/// sending a file that need not have been.
pub(super) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode(&[&[PAST], &bytes[..]].concat());
        }
    }
}
