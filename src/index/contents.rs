//! Where the bucket has a content, under any path. A file that was renamed, moved, copied or
//! put back is then copied on the server instead of uploaded.
//!
//! There is one small entry for each content. While the record of some path has the content,
//! the entry is the key of that path. When that record is removed or changes, the entry
//! becomes a *past* entry, which describes the version itself: a rename is a deletion and a
//! creation in either order, and swapped files are both at once.
//!
//! An entry is never needed: when none is found, the file is uploaded. Old indexes have no
//! entries; they are written together with records.

use super::bytes::{ByteReader, put_number};
use super::engine::{Batch, Engine};
use super::entries::about;
use super::handle::Index;
use super::keys::Space;
use super::ledger::Ledger;
use super::packing::{pack, unpack};
use super::record_change::RecordChange;
use super::types::SourceId;
use super::{codec, keys};
use crate::os::clock::wall_ms;
use crate::types::{ContentHash, ETag, Fault, Kind, Record, RelKey, VersionId, WallMs, id_text};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Smaller contents are not worth_noting: sending one costs the same single request,
/// and few more bytes than the headers and the answer of a copy.
pub const COPY_FROM_BYTES: u64 = 4 * 1024;

/// From which size on a content is worth_noting while the index holds so many entries.
/// sled takes about a kilobyte of disk for one, since they come in no order, and
/// a million records must fit a gigabyte: 600 MB of that are the records. In a
/// very large office it is the small files that are sent again when renamed.
const ROOM: [(u64, u64); 3] = [
    (200_000, COPY_FROM_BYTES),
    (300_000, 128 * 1024),
    (350_000, 8 * 1024 * 1024),
];

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
    pub version_id: Option<VersionId>,
    /// Its ETag, without quotes.
    pub etag: ETag,
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
                Some(ContentEntry::Past(past)) => {
                    let is_it = past.content == *content && past.size_bytes == size_bytes;
                    return Ok(is_it.then_some(past.version));
                }
                Some(ContentEntry::Live(key)) => key,
            };
            let record = self.get(source, &key)?;
            let holds_it = |record: &Record| {
                worth_noting(Some(record)) == Some(*content)
                    && record.fingerprint.size_bytes == size_bytes
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
        let (mut ledger, engine) = self.writer()?;
        let stored = content_key(source, content);
        let is_it = match engine.get(&stored)?.as_deref().and_then(decode) {
            Some(ContentEntry::Live(key)) => key == gone.key,
            Some(ContentEntry::Past(past)) => past.version.version_id == gone.version_id,
            None => false,
        };
        if is_it {
            let mut batch = Batch::default();
            batch.remove(stored);
            engine
                .apply(batch)
                .map_err(|fault| about(fault, &gone.key))?;
            fewer(&mut ledger, source, 1);
        }
        Ok(())
    }

    /// Forget the contents that no path of the source has held for
    /// [`PAST_MS`], a page at a time: others can write meanwhile. Says how many.
    ///
    /// # Errors
    /// When the index cannot be read or written.
    pub fn forget_past(&self, source: SourceId) -> Result<u64, Fault> {
        // Only ages are taken from the computer's clock; a wrong one costs sending a
        // file that need not have been.
        self.forget_past_at(source, wall_ms())
    }

    pub(super) fn forget_past_at(&self, source: SourceId, now_ms: WallMs) -> Result<u64, Fault> {
        let begin = Space::Content.key(source, b"");
        let end = keys::end_of(&begin);
        let mut last: Option<Vec<u8>> = None;
        let mut forgotten = 0;
        loop {
            // Locked from reading to writing: an entry may be live again.
            let (mut ledger, engine) = self.writer()?;
            let low = last
                .as_deref()
                .map_or(Bound::Included(&begin[..]), Bound::Excluded);
            let page = engine.page(low, &end, SWEEP_PAGE)?;
            last = page.last().map(|(key, _)| key.clone());
            let mut batch = Batch::default();
            let before = forgotten;
            for (key, value) in page {
                let is_over = match decode(&value) {
                    // One of the future is of a clock that has been put right.
                    Some(ContentEntry::Past(past)) => {
                        !(-PAST_MS..PAST_MS).contains(&(now_ms - past.since_ms))
                    }
                    Some(ContentEntry::Live(_)) => false,
                    None => true,
                };
                if is_over {
                    batch.remove(key);
                    forgotten += 1;
                }
            }
            if !batch.0.is_empty() {
                engine.apply(batch)?;
                fewer(&mut ledger, source, forgotten - before);
            }
            if last.is_none() {
                return Ok(forgotten);
            }
        }
    }
}

fn fewer(ledger: &mut Ledger, source: SourceId, count: u64) {
    if let Some(source) = ledger.sources.get_mut(&source) {
        source.contents = source.contents.saturating_sub(count);
    }
}

/// How many entries there are, while a batch is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryCount {
    /// Those of other sources.
    others: u64,
    /// Those of the source that is written.
    pub(super) own: u64,
}

impl EntryCount {
    pub(super) fn of(ledger: &Ledger, source: SourceId) -> Self {
        let own = ledger.sources.get(&source).map_or(0, |s| s.contents);
        let all: u64 = ledger.sources.values().map(|s| s.contents).sum();
        Self {
            others: all.saturating_sub(own),
            own,
        }
    }

    fn has_room(self, size_bytes: u64) -> bool {
        let entries = self.others.saturating_add(self.own);
        ROOM.iter()
            .any(|(below, from_bytes)| entries < *below && size_bytes >= *from_bytes)
    }
}

/// The entries that some changes of records concern, read all at once.
pub(super) struct EntriesBefore(BTreeMap<Vec<u8>, Vec<u8>>);

impl EntriesBefore {
    pub(super) fn of(
        engine: &Engine,
        source: SourceId,
        changes: &[RecordChange<'_>],
    ) -> Result<Self, Fault> {
        let contents = changes.iter().flat_map(|change| {
            let (was, is) = change.both();
            [worth_noting(was), worth_noting(is)].into_iter().flatten()
        });
        let keys: Vec<_> = contents
            .map(|content| content_key(source, &content))
            .collect();
        let values = engine.get_many(keys.clone())?;
        let both = keys.into_iter().zip(values);
        Ok(Self(both.filter_map(|(k, v)| Some((k, v?))).collect()))
    }

    fn live(&self, stored: &[u8]) -> Option<RelKey> {
        match self.0.get(stored).and_then(|bytes| decode(bytes))? {
            ContentEntry::Live(key) => Some(key),
            ContentEntry::Past(_) => None,
        }
    }
}

/// Add to a batch what a change of a record means for where contents are.
/// Of two changes in one batch that concern one content, the entry may follow
/// the last one alone: then one more file is sent one day.
pub(super) fn follow(
    held: &EntriesBefore,
    batch: &mut Batch,
    source: SourceId,
    change: &RecordChange<'_>,
    count: &mut EntryCount,
) {
    let (before, after) = change.both();
    let (was, is) = (worth_noting(before), worth_noting(after));
    if let (Some(content), Some(old)) = (was.filter(|_| was != is), before) {
        let stored = content_key(source, &content);
        if held.live(&stored).as_ref() == Some(change.key) {
            // Without versions, what is replaced is gone.
            match old.version_id.is_none() {
                true => {
                    batch.remove(stored);
                    count.own = count.own.saturating_sub(1);
                }
                false => batch.put(stored, encode_past(change.key, old, &content)),
            }
        }
    }
    if let (Some(content), Some(record)) = (is, after) {
        let stored = content_key(source, &content);
        let is_new = !held.0.contains_key(&stored);
        let has_place = !is_new || count.has_room(record.fingerprint.size_bytes);
        if held.live(&stored).is_none() && has_place {
            count.own = count.own.saturating_add(u64::from(is_new));
            batch.put(stored, [&[LIVE], change.key.as_str().as_bytes()].concat());
        }
    }
}

/// The content that is worth noting of a record.
fn worth_noting(record: Option<&Record>) -> Option<ContentHash> {
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

enum ContentEntry {
    Live(RelKey),
    Past(Box<Past>),
}

struct Past {
    content: ContentHash,
    size_bytes: u64,
    since_ms: WallMs,
    version: Elsewhere,
}

fn encode_past(key: &RelKey, old: &Record, content: &ContentHash) -> Vec<u8> {
    let (etag_form, etag) = pack(&old.etag);
    let (version_form, version) = pack(id_text(&old.version_id));
    let mut out = Vec::with_capacity(128 + key.as_str().len());
    out.extend([PAST, etag_form | version_form << 4]);
    codec::put_signed(&mut out, wall_ms().0);
    put_number(&mut out, old.fingerprint.size_bytes);
    put_number(&mut out, old.stored_bytes);
    out.extend(content.0);
    out.extend(etag);
    out.extend(version);
    out.extend(key.as_str().as_bytes());
    out
}

/// Read an entry; `None` for what is none, and never a panic.
fn decode(bytes: &[u8]) -> Option<ContentEntry> {
    let mut from = ByteReader(bytes);
    match from.byte()? {
        LIVE => keys::rel_key(from.0).map(ContentEntry::Live),
        PAST => {
            let forms = from.byte()?;
            let since_ms = WallMs(from.signed()?);
            let size_bytes = from.number()?;
            let stored_bytes = from.number()?;
            let content = ContentHash(from.bytes(32)?.try_into().ok()?);
            let etag = unpack(forms & 0xf, &mut from)?.into();
            let version_id = VersionId::new(unpack(forms >> 4, &mut from)?);
            let key = keys::rel_key(from.0)?;
            Some(ContentEntry::Past(Box::new(Past {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_crowded_index_notes_large_contents_only() {
        for (others, own, from_bytes) in [
            (0, 0, Some(COPY_FROM_BYTES)),
            (150_000, 49_999, Some(COPY_FROM_BYTES)),
            (150_000, 50_000, Some(128 << 10)),
            (0, 299_999, Some(128 << 10)),
            (300_000, 0, Some(8 << 20)),
            (350_000, 0, None),
            (u64::MAX, 1, None),
        ] {
            let worth_noting = EntryCount { others, own };
            let from = from_bytes.unwrap_or(u64::MAX);
            assert_eq!(
                worth_noting.has_room(from),
                from_bytes.is_some(),
                "{others} {own}"
            );
            assert!(!worth_noting.has_room(from - 1), "{others} {own}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode(&[&[PAST], &bytes[..]].concat());
        }
    }
}
