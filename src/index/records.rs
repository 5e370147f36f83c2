//! Records: what the bucket holds at each path, read, written and walked.
//!
//! A record and everything that follows from it (numbers, checks, the end of
//! its path's being unprotected) change in one batch, or not at all.

use super::contents::EntryCount;
use super::engine::{Batch, Engine, Entry};
use super::entries::{about, apply_with_totals};
use super::handle::Index;
use super::keys::Space;
use super::record_change::{RecordChange, read_record, with_before};
use super::types::{ActivityDelta, Change, Commit, Counts, SourceId};
use super::{codec, contents, keys, parts, pending};
use crate::types::{Fault, Parts, Record, RelKey};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// Records written in one batch by [`Index::import`].
const IMPORT_BATCH: usize = 500;

/// Records read at a time while walking: some 50 KB.
const RANGE_PAGE: usize = 256;

impl Index {
    /// What the bucket holds at a path, as far as the index knows.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn get(&self, source: SourceId, key: &RelKey) -> Result<Option<Record>, Fault> {
        let engine = self.engine()?;
        let stored = Space::Record.key(source, key.as_str().as_bytes());
        engine
            .get(&stored)
            .and_then(|value| value.map(|bytes| read_record(&engine, &bytes)).transpose())
            .map_err(|fault| about(fault, key))
    }

    /// What the bucket holds at several paths of one source, in their order.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn get_all<const N: usize>(
        &self,
        source: SourceId,
        keys: [&RelKey; N],
    ) -> Result<[Option<Record>; N], Fault> {
        let engine = self.engine()?;
        let stored = keys.map(|key| Space::Record.key(source, key.as_str().as_bytes()));
        let mut values = engine
            .get_many(stored.to_vec())
            .map_err(|fault| keys.first().map_or(fault.clone(), |key| about(fault, key)))?
            .into_iter();
        let mut records = [const { None }; N];
        for (record, key) in records.iter_mut().zip(keys) {
            if let Some(bytes) = values.next().flatten() {
                *record = Some(read_record(&engine, &bytes).map_err(|fault| about(fault, key))?);
            }
        }
        Ok(records)
    }

    /// The records of some paths, in their order.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn get_each(
        &self,
        source: SourceId,
        keys: &[RelKey],
    ) -> Result<Vec<Option<Record>>, Fault> {
        let engine = self.engine()?;
        let stored = keys
            .iter()
            .map(|key| Space::Record.key(source, key.as_str().as_bytes()));
        let values = engine
            .get_many(stored.collect())
            .map_err(|fault| keys.first().map_or(fault.clone(), |key| about(fault, key)))?;
        values
            .into_iter()
            .zip(keys)
            .map(|(bytes, key)| {
                let record = bytes.map(|bytes| read_record(&engine, &bytes)).transpose();
                record.map_err(|fault| about(fault, key))
            })
            .collect()
    }

    /// Write what S3 has acknowledged: the record, its share of the digest and
    /// the end of the path's being unprotected, in one batch.
    ///
    /// # Errors
    /// When the index cannot be written; then nothing of it counts.
    pub fn commit(
        &self,
        source: SourceId,
        key: &RelKey,
        change: Change,
        activity: &ActivityDelta,
    ) -> Result<(), Fault> {
        self.write(source, [(key, change.record())], activity, true, None)
            .map_err(|fault| about(fault, key))
    }

    /// Like [`Index::commit`] for several, in one batch per source where the
    /// paths differ: a batch costs the same whatever it holds. One result each,
    /// in their order.
    pub fn commit_all(&self, commits: &[Commit]) -> Vec<Result<(), Fault>> {
        let mut results = vec![Ok(()); commits.len()];
        let mut left: Vec<usize> = (0..commits.len()).collect();
        while let Some(&first) = left.first() {
            let source = commits[first].source;
            // Of a key that comes twice, the second one waits for the next batch.
            let mut taken = BTreeMap::new();
            let mut activity = ActivityDelta::default();
            left.retain(|&at| {
                let commit = &commits[at];
                if commit.source != source || taken.contains_key(&commit.key) {
                    return true;
                }
                taken.insert(&commit.key, at);
                activity = activity.plus(&commit.activity);
                false
            });
            let changes = taken
                .iter()
                .map(|(&key, &at)| (key, commits[at].change.record()));
            if let Err(fault) = self.write(source, changes, &activity, true, None) {
                for (key, at) in taken {
                    results[at] = Err(about(fault.clone(), key));
                }
            }
        }
        results
    }

    /// Write a record that nothing was stored for (fingerprint refreshed, racy
    /// flag cleared). The path stays unprotected when it is.
    ///
    /// # Errors
    /// As [`Index::commit`].
    pub fn update(&self, source: SourceId, key: &RelKey, record: Record) -> Result<(), Fault> {
        let nothing = ActivityDelta::default();
        self.write(source, [(key, Some(&record))], &nothing, false, None)
            .map_err(|fault| about(fault, key))
    }

    /// Write many records at once, as found in a bucket's listing: like
    /// [`Index::update`], twenty times as fast.
    ///
    /// # Errors
    /// As [`Index::commit`]; what was written before the failure stays.
    pub fn import(&self, source: SourceId, records: &[(RelKey, Record)]) -> Result<(), Fault> {
        for some in records.chunks(IMPORT_BATCH) {
            // Of a key that comes twice, the last one counts.
            let some: BTreeMap<_, _> = some.iter().map(|(k, r)| (k, Some(r))).collect();
            self.write(source, some, &ActivityDelta::default(), false, None)?;
        }
        Ok(())
    }

    /// Count work that no record came of (listings, failed requests).
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn add_activity(&self, source: SourceId, activity: &ActivityDelta) -> Result<(), Fault> {
        self.write(source, [], activity, false, None)
    }

    /// The records of the keys that begin with `prefix`, behind `after` when it
    /// is given, in key order. Reads a few at a time: writes meanwhile neither
    /// wait nor disturb it, and show when they are ahead of it.
    pub fn range(&self, source: SourceId, prefix: &str, after: Option<&RelKey>) -> Records {
        let begin = Space::Record.key(source, prefix.as_bytes());
        let after = after
            .map(|key| Space::Record.key(source, key.as_str().as_bytes()))
            .filter(|after| *after >= begin);
        Records {
            index: self.clone(),
            end: keys::end_of(&begin),
            begin,
            after,
            page: VecDeque::new(),
            is_done: false,
        }
    }

    /// The source in numbers; all zero for an unknown one. Costs nothing.
    pub fn counts(&self, source: SourceId) -> Counts {
        self.ledger()
            .sources
            .get(&source)
            .map(|source| source.counts)
            .unwrap_or_default()
    }

    /// All records of one batch, with numbers and totals. Keys are distinct.
    /// Of a single one, what it is made of can be told.
    pub(super) fn write<'a>(
        &self,
        source_id: SourceId,
        changes: impl IntoIterator<Item = (&'a RelKey, Option<&'a Record>)>,
        activity: &ActivityDelta,
        is_protected_now: bool,
        layout: Option<&Parts>,
    ) -> Result<(), Fault> {
        let (mut ledger, engine) = self.writer()?;
        let mut entries = EntryCount::of(&ledger, source_id);
        let source = ledger.known(source_id)?;
        let mut batch = Batch::default();
        let mut counts = source.counts;
        let mut totals = source.totals;
        let mut unprotected = source.unprotected;
        totals.activity = totals.activity.plus(activity);
        let changes = with_before(&engine, source_id, changes)?;
        let before = contents::EntriesBefore::of(&engine, source_id, &changes)?;
        for change in &changes {
            let RecordChange { key, stored, .. } = change;
            let rest = key.as_str().as_bytes();
            if let Some((bytes, was)) = &change.before {
                totals.records_sum.subtract(rest, bytes);
                counts.subtract(was);
                if change.after.is_none() {
                    batch.remove(stored.clone());
                }
            }
            contents::follow(&before, &mut batch, source_id, change, &mut entries);
            parts::follow(&engine, &mut batch, source_id, key, change.both(), layout)?;
            if let Some(record) = change.after {
                let value = codec::encode(record);
                totals.records_sum.add(rest, &value);
                counts.add(record);
                batch.put(stored.clone(), value);
            }
            if is_protected_now
                && unprotected > 0
                && pending::end_unprotected(&engine, &mut batch, source_id, key)?
            {
                unprotected -= 1;
            }
        }
        apply_with_totals(&engine, batch, source_id, source, totals)?;
        source.counts = counts;
        source.unprotected = unprotected;
        source.contents = entries.own;
        Ok(())
    }
}

/// A walk over records in key order; see [`Index::range`]. Ends after an error.
pub struct Records {
    index: Index,
    begin: Vec<u8>,
    end: Vec<u8>,
    after: Option<Vec<u8>>,
    page: VecDeque<Entry>,
    is_done: bool,
}

impl Records {
    fn fill(&mut self) -> Result<Arc<Engine>, Fault> {
        let engine = self.index.engine()?;
        if self.page.is_empty() {
            let low = self
                .after
                .as_deref()
                .map_or(Bound::Included(&self.begin[..]), Bound::Excluded);
            self.page = engine.page(low, &self.end, RANGE_PAGE)?.into();
            // A short page is the last one: no need to look once more.
            self.is_done = self.page.len() < RANGE_PAGE;
            self.after = self.page.back().map(|(key, _)| key.clone());
        }
        Ok(engine)
    }

    fn read(&mut self) -> Result<Option<(RelKey, Record)>, Fault> {
        if self.page.is_empty() && self.is_done {
            return Ok(None);
        }
        let engine = self.fill()?;
        let Some((key, value)) = self.page.pop_front() else {
            return Ok(None);
        };
        let rel = keys::rel_key(keys::rest_of(&key))
            .ok_or_else(|| engine.damaged("a key cannot be read"))?;
        Ok(Some((rel, read_record(&engine, &value)?)))
    }
}

impl Iterator for Records {
    type Item = Result<(RelKey, Record), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.page.clear();
            self.is_done = true;
        }
        item
    }
}
