//! What is not protected yet, and what the next digest will say.
//!
//! An unprotected path is remembered until it is protected, across restarts,
//! and is found by its next attempt without reading the others. Activity and
//! failures are kept until a digest that reports them has been handed over.

use super::engine::{Batch, Engine};
use super::entries::{about, apply_with_totals, from_json, json, read};
use super::handle::Index;
use super::keys;
use super::keys::Space;
use super::types::{Activity, Failure, Failures, Oldest, SourceId, Unprotected};
use crate::retry::WAIT_MAX_MS;
use crate::types::{Fault, RelKey, WallMs};
use serde::de::DeserializeOwned;
use std::ops::Bound;

/// Failed paths that the digest can name; further ones are counted. A digest
/// that names more helps nobody.
pub const FAILURES_MAX: u64 = 1_000;

/// Unprotected paths that are looked at in one go: 5 MB of them. Where there are
/// more, one that counts is among them, or the digest has much else to tell.
const LOOKED_AT_MAX: usize = 10_000;

impl Index {
    /// Remember that a path could not be backed up, and when to try again. The
    /// moment since when it is unprotected stays that of the first failure, unless
    /// the clock was set back since: it is never in the future.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn mark_unprotected(
        &self,
        source_id: SourceId,
        key: &RelKey,
        fault: &Fault,
        now_ms: WallMs,
        next_try_ms: WallMs,
    ) -> Result<(), Fault> {
        let (mut ledger, engine) = self.writer()?;
        let source = ledger.known(source_id).map_err(|fault| about(fault, key))?;
        let rest = key.as_str().as_bytes();
        let mut batch = Batch::default();
        let mut totals = source.totals;

        let stored = Space::Unprotected.key(source_id, rest);
        let old: Option<Unprotected> = read(&engine, &stored)?;
        if let Some(old) = &old {
            batch.remove(Space::Due.key(source_id, &keys::due_rest(old.next_try_ms, key)));
        }
        let entry = Unprotected {
            fault: fault.clone(),
            since_ms: old.as_ref().map_or(now_ms, |old| old.since_ms.min(now_ms)),
            attempts: old.as_ref().map_or(0, |old| old.attempts).saturating_add(1),
            next_try_ms,
        };
        batch.put(stored, json(&engine, &entry)?);
        // After the removal: the same moment twice is the same key.
        batch.put(
            Space::Due.key(source_id, &keys::due_rest(next_try_ms, key)),
            b"",
        );

        let stored = Space::Failure.key(source_id, rest);
        let failure: Option<Failure> = read(&engine, &stored)?;
        let is_new_failure = failure.is_none();
        if is_new_failure && source.failures >= FAILURES_MAX {
            totals.overflow = totals.overflow.saturating_add(1);
        } else {
            let failure = Failure {
                fault: fault.clone(),
                count: failure.map_or(0, |f| f.count).saturating_add(1),
                last_ms: now_ms,
            };
            batch.put(stored, json(&engine, &failure)?);
        }
        let overflowed = totals.overflow != source.totals.overflow;
        apply_with_totals(&engine, batch, source_id, source, totals)
            .map_err(|fault| about(fault, key))?;
        source.unprotected += u64::from(old.is_none());
        source.failures += u64::from(is_new_failure && !overflowed);
        Ok(())
    }

    /// Forget that a path is unprotected without anything having been stored
    /// (it is gone, or excluded now).
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn clear_unprotected(&self, source_id: SourceId, key: &RelKey) -> Result<(), Fault> {
        let (mut ledger, engine) = self.writer()?;
        let source = ledger.known(source_id)?;
        let mut batch = Batch::default();
        if source.unprotected > 0 && end_unprotected(&engine, &mut batch, source_id, key)? {
            engine.apply(batch).map_err(|fault| about(fault, key))?;
            source.unprotected -= 1;
        }
        Ok(())
    }

    /// The first `limit` unprotected paths in key order, and how many there are.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn unprotected(
        &self,
        source: SourceId,
        limit: usize,
    ) -> Result<(Vec<(RelKey, Unprotected)>, u64), Fault> {
        let total = self
            .ledger()
            .sources
            .get(&source)
            .map_or(0, |source| source.unprotected);
        let list = self.list(Space::Unprotected, source, limit)?;
        Ok((list, total))
    }

    /// The unprotected paths that `counts` says yes to: the oldest, and how many.
    /// Looks at [`LOOKED_AT_MAX`] at most.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn oldest_unprotected(
        &self,
        source: SourceId,
        counts: impl Fn(&Unprotected) -> bool,
    ) -> Result<Option<Oldest>, Fault> {
        let (list, _) = self.unprotected(source, LOOKED_AT_MAX)?;
        let mut found: Option<Oldest> = None;
        for (key, entry) in list.into_iter().filter(|(_, entry)| counts(entry)) {
            let count = found.as_ref().map_or(0, |f| f.count) + 1;
            match &mut found {
                Some(found) if found.since_ms <= entry.since_ms => found.count = count,
                _ => {
                    found = Some(Oldest {
                        since_ms: entry.since_ms,
                        fault: entry.fault.about(key.path().to_string()),
                        count,
                    });
                }
            }
        }
        Ok(found)
    }

    /// Up to `limit` paths whose next attempt is due, the longest due first.
    /// Costs nothing when none is. One that is due later than any wait reaches
    /// was put down by a clock that has been put back since: it is due, too.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn due(
        &self,
        source: SourceId,
        now_ms: WallMs,
        limit: usize,
    ) -> Result<Vec<RelKey>, Fault> {
        let begin = Space::Due.key(source, b"");
        let last = Space::Due.key(source, &keys::time_bytes(now_ms));
        let mut due = self.due_entries(&begin, &keys::end_of(&last), limit)?;
        let wait_max_ms = i64::try_from(WAIT_MAX_MS).unwrap_or(i64::MAX);
        let far = keys::time_bytes(now_ms + wait_max_ms + 1);
        let far = Space::Due.key(source, &far);
        let left = limit.saturating_sub(due.len());
        due.extend(self.due_entries(&far, &keys::end_of(&begin), left)?);
        Ok(due.into_iter().map(|(_, key)| key).collect())
    }

    /// When the next attempt of any path is due, milliseconds since 1970.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn next_due(&self, source: SourceId) -> Result<Option<WallMs>, Fault> {
        let begin = Space::Due.key(source, b"");
        let first = self.due_entries(&begin, &keys::end_of(&begin), 1)?;
        Ok(first.first().map(|(time_ms, _)| *time_ms))
    }

    fn due_entries(
        &self,
        begin: &[u8],
        end: &[u8],
        limit: usize,
    ) -> Result<Vec<(WallMs, RelKey)>, Fault> {
        let engine = self.engine()?;
        engine
            .page(Bound::Included(begin), end, limit)?
            .iter()
            .map(|(key, _)| {
                keys::due_parts(keys::rest_of(key))
                    .ok_or_else(|| engine.damaged("a due time cannot be read"))
            })
            .collect()
    }

    /// What was done for a source since the last digest.
    pub fn activity(&self, source: SourceId) -> Activity {
        self.ledger()
            .sources
            .get(&source)
            .map(|source| source.totals.activity)
            .unwrap_or_default()
    }

    /// What failed since the last digest.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn failures(&self, source: SourceId) -> Result<Failures, Fault> {
        let overflow = self
            .ledger()
            .sources
            .get(&source)
            .map_or(0, |source| source.totals.overflow);
        let limit = usize::try_from(FAILURES_MAX).unwrap_or(usize::MAX);
        Ok(Failures {
            list: self.list(Space::Failure, source, limit)?,
            overflow,
        })
    }

    /// A digest has reported these: take them off. What came meanwhile stays.
    ///
    /// # Errors
    /// When the index cannot be written; then nothing is taken off.
    pub fn close_period(
        &self,
        source_id: SourceId,
        activity: &Activity,
        failures: &Failures,
    ) -> Result<(), Fault> {
        let (mut ledger, engine) = self.writer()?;
        let source = ledger.known(source_id)?;
        let mut batch = Batch::default();
        let mut totals = source.totals;
        let mut removed = 0;
        totals.activity = totals.activity.minus(activity);
        totals.overflow = totals.overflow.saturating_sub(failures.overflow);
        for (key, reported) in &failures.list {
            let stored = Space::Failure.key(source_id, key.as_str().as_bytes());
            let Some(now) = read::<Failure>(&engine, &stored)? else {
                continue;
            };
            let count = now.count.saturating_sub(reported.count);
            if count == 0 {
                batch.remove(stored);
                removed += 1;
            } else {
                batch.put(stored, json(&engine, &Failure { count, ..now })?);
            }
        }
        apply_with_totals(&engine, batch, source_id, source, totals)?;
        source.failures = source.failures.saturating_sub(removed);
        Ok(())
    }

    /// The first `limit` entries of a namespace whose values are JSON.
    fn list<T: DeserializeOwned>(
        &self,
        space: Space,
        source: SourceId,
        limit: usize,
    ) -> Result<Vec<(RelKey, T)>, Fault> {
        let engine = self.engine()?;
        let begin = space.key(source, b"");
        engine
            .page(Bound::Included(&begin), &keys::end_of(&begin), limit)?
            .iter()
            .map(|(key, value)| {
                let key = keys::rel_key(keys::rest_of(key))
                    .ok_or_else(|| engine.damaged("a key cannot be read"))?;
                Ok((key, from_json(&engine, value)?))
            })
            .collect()
    }
}

/// Add to a batch that a path is unprotected no more; false when it was not.
pub(super) fn end_unprotected(
    engine: &Engine,
    batch: &mut Batch,
    source: SourceId,
    key: &RelKey,
) -> Result<bool, Fault> {
    let stored = Space::Unprotected.key(source, key.as_str().as_bytes());
    let Some(old) = read::<Unprotected>(engine, &stored)? else {
        return Ok(false);
    };
    batch.remove(stored);
    batch.remove(Space::Due.key(source, &keys::due_rest(old.next_try_ms, key)));
    Ok(true)
}
