//! One pass over disk, index and (if asked) bucket, all in key order. Blocking.

use super::ahead::Ahead;
use super::bucket::{Bucket, Front};
use super::compare::{InBucket, OnDisk, Verdict, compare};
use super::gone::Gone;
use super::known::Known;
use super::listing::{Entry, Owner, Pages};
use super::scanner::Scanner;
use super::shortened::{Met, Shortened};
use crate::files;
use crate::files::{WalkEntry, WalkFault};
use crate::guard;
use crate::guard::{DeletionGuard, MOUNTS_MAX};
use crate::index::{Records, SourceId};
use crate::s3::Listed;
use crate::source::{FileId, SourceRuntime};
use crate::status::ScanDone;
use crate::types::{Fault, Fingerprint, Kind, Record, RelKey, RelPath};
use crate::work::{Hint, Lane};
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// How often the board hears of progress, in files.
const PROGRESS_EVERY: u64 = 500;

/// Reasons for incompleteness that are kept; the rest is in the log.
const REASONS_MAX: usize = 20;

/// Clocks of two threads may disagree by so much about which came first: a
/// record as young as that is not compared with an older listing.
const LISTING_MARGIN_MS: i64 = 2_000;

/// What to compare.
pub(crate) struct Work {
    pub scanner: Scanner,
    /// Root for everything.
    pub subtree: RelPath,
    pub listing: Option<Pages>,
    /// What the newest manifest knows, when the index is to be rebuilt.
    pub known: Option<Known>,
    pub started_ms: i64,
    /// Which lane the found paths go to.
    pub lane: Lane,
    /// Mark deletions, however many.
    pub confirmed: bool,
    pub cancelled: Arc<AtomicBool>,
}

/// Compare and queue what differs.
///
/// # Errors
/// The root cannot be read, or the index fails; single folders that cannot be
/// read are noted in the result instead.
pub(crate) fn merge(work: Work, runtime: &Handle) -> Result<ScanDone, Fault> {
    let scanner = work.scanner.clone();
    let source = &scanner.source;
    files::root_state(&source.config.path)?;
    if !work.confirmed {
        guard::look_at_root(&source.guard)?;
    }
    let prefix = RelKey::of_folder(&work.subtree);
    let gone = Gone {
        // Who confirms means everything that is missing.
        lost: match work.confirmed {
            true => Vec::new(),
            false => lost(&source.guard)?,
        },
        ..Gone::default()
    };
    let walk = files::walk(&source.config.path, &work.subtree, &source.rules);
    std::thread::scope(|scope| {
        let mut merge = Merge {
            id: source.id,
            walk: Ahead::start(scope, walk)?.peekable(),
            index: scanner
                .index
                .range(source.id, prefix.as_str(), None)
                .peekable(),
            bucket: Bucket::new(work.listing, runtime),
            known: work.known,
            shortened: Shortened::default(),
            gone,
            mounts: Vec::new(),
            had_faults: false,
            marks: source.marks_deletions(),
            is_late_owed: source.late.is_owed(),
            ahead_ms: scanner.clock.apart_ms().unwrap_or(0),
            unknown: Vec::new(),
            done: ScanDone::default(),
            scanner: &scanner,
            source,
            started_ms: work.started_ms,
            lane: work.lane,
            is_whole: work.subtree.is_root(),
            runtime,
        };
        while !work.cancelled.load(Ordering::Relaxed) {
            if !merge.step()? {
                merge.write_known(true)?;
                merge.look_for_shortened()?;
                // A root that went away meanwhile makes everything look deleted.
                files::root_state(&source.config.path)?;
                merge.decide_gone(&work.subtree, work.confirmed)?;
                merge.done.listed_whole = merge.bucket.has_ended();
                return Ok(merge.done);
            }
        }
        merge.incomplete("it was stopped".into());
        Ok(merge.done)
    })
}

/// Folders whose disk is not mounted any more, nothing missing below them yet.
fn lost(guard: &DeletionGuard) -> Result<Vec<(RelKey, u64)>, Fault> {
    let lost = guard::lost_mounts(guard)?;
    Ok(lost.into_iter().map(|folder| (folder, 0)).collect())
}

pub(crate) struct Merge<'a> {
    pub(crate) scanner: &'a Scanner,
    pub(crate) source: &'a Arc<SourceRuntime>,
    pub(crate) id: SourceId,
    walk: Peekable<Ahead>,
    index: Peekable<Records>,
    pub(crate) bucket: Bucket,
    known: Option<Known>,
    /// Objects that the listing has elsewhere than their paths.
    shortened: Shortened,
    /// What is known and not on disk.
    pub(crate) gone: Gone,
    /// Folder keys whose contents could not be read: nothing in there is gone.
    unknown: Vec<WalkFault>,
    /// Folders on which another disk is mounted.
    pub(crate) mounts: Vec<RelKey>,
    /// Something on disk could not be looked at.
    pub(crate) had_faults: bool,
    /// Deletions may be marked, as it was when this scan began: one that learns
    /// of it halfway has not looked for what is gone in the first half.
    pub(crate) marks: bool,
    pub(crate) done: ScanDone,
    /// Something that was on the line when the last run was cut off may come late.
    is_late_owed: bool,
    /// How far the clock here is ahead of the server's.
    ahead_ms: i64,
    started_ms: i64,
    lane: Lane,
    /// Only the scan of a whole source is told as one on the board.
    is_whole: bool,
    runtime: &'a Handle,
}

impl Merge<'_> {
    /// Handle the lowest key that any side has; false at the end.
    fn step(&mut self) -> Result<bool, Fault> {
        self.skip_faults();
        let disk_key = self
            .walk
            .peek()
            .and_then(|e| e.as_ref().ok())
            .map(|e| &e.key);
        let index_key = match self.index.peek() {
            Some(Ok((key, _))) => Some(key),
            Some(Err(fault)) => return Err(fault.clone()),
            None => None,
        };
        let bucket_key = match self.bucket.peek() {
            Ok(Front::Ours(key)) => Some(key),
            Ok(Front::End) => None,
            Ok(Front::Aside(entry)) => {
                self.aside(entry)?;
                return Ok(true);
            }
            Err(reason) => {
                self.incomplete(reason);
                return Ok(true);
            }
        };
        let keys = [disk_key, index_key, bucket_key.as_ref()];
        let Some(least) = keys.into_iter().flatten().min() else {
            return Ok(false);
        };
        let [on_disk, in_index, in_bucket] = keys.map(|key| key == Some(least));
        let disk = if on_disk { self.walk.next() } else { None };
        let disk = disk.and_then(Result::ok);
        let record = if in_index { self.index.next() } else { None };
        let (index_key, record) = record.and_then(Result::ok).unzip();
        let listed = if in_bucket { self.bucket.take() } else { None };
        let disk_key = disk.as_ref().map(|entry| &entry.key);
        if let Some(key) = disk_key.or(index_key.as_ref()).or(bucket_key.as_ref()) {
            self.handle(key, disk.as_ref(), record, listed)?;
        }
        Ok(true)
    }

    /// An object that has no place in the order of paths. One of ours that the
    /// index does not know (or knows otherwise) is written down as unverified:
    /// the next look at its path compares it.
    fn aside(&mut self, entry: Entry) -> Result<(), Fault> {
        let Owner::Shortened(key) = &entry.owner else {
            self.done.foreign += 1;
            return Ok(());
        };
        self.shortened.listed(&entry.listed.key);
        let known = self.scanner.index.get(self.id, key)?;
        let listed = InBucket::Present {
            etag: &entry.listed.etag,
            stored_bytes: entry.listed.stored_bytes,
        };
        if known.as_ref().is_none_or(|r| {
            !r.is_distrusted()
                && listed.is_other_than(r)
                && r.stored_at_ms < self.started_ms - LISTING_MARGIN_MS
        }) {
            let fingerprint = known.map_or(Fingerprint::UNSEEN, |r| r.fingerprint);
            let unverified = unverified(fingerprint, &entry.listed);
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

    /// Records whose shortened keys a whole listing does not have: whatever was
    /// there is gone, or is somebody else's now. The worker asks the bucket.
    fn look_for_shortened(&mut self) -> Result<(), Fault> {
        let missing = self.shortened.missing();
        if !self.bucket.has_ended() {
            return Ok(());
        }
        for key in missing {
            // A worker may have changed it meanwhile.
            let Some(record) = self.scanner.index.get(self.id, &key)? else {
                continue;
            };
            if self.is_younger(&record) {
                continue;
            }
            let root = &self.source.config.path;
            // What cannot be looked at is named by the walk.
            let Ok(seen) = files::stat(root, &key.path()) else {
                continue;
            };
            // What is gone from the disk was found to be so in its place.
            if seen.is_some() {
                self.doubt(&key, seen, Some(record), None)?;
                self.queue(&key, None);
            }
        }
        Ok(())
    }

    /// It was stored when the listing may have been read already.
    fn is_younger(&self, record: &Record) -> bool {
        // A time in the future was noted by a clock that was wrong.
        let now_ms = self.scanner.clock.now_ms() + LISTING_MARGIN_MS;
        (self.started_ms - LISTING_MARGIN_MS..=now_ms).contains(&record.stored_at_ms)
    }

    /// Faults of the walk come in order with its entries: note them.
    fn skip_faults(&mut self) {
        while let Some(Err(_)) = self.walk.peek() {
            if let Some(Err(broken)) = self.walk.next() {
                let now_ms = self.scanner.clock.now_ms();
                let noted = self.scanner.index.mark_unprotected(
                    self.id,
                    // Named like a file, as a worker that tries again names it.
                    &RelKey::of_file(&broken.subtree.path()),
                    &broken.fault,
                    now_ms,
                    now_ms + RETRY_FOLDER_MS,
                );
                if let Err(fault) = noted {
                    self.incomplete(fault.to_string());
                }
                self.incomplete(broken.fault.to_string());
                self.had_faults = true;
                self.unknown.push(broken);
            }
        }
    }

    pub(crate) fn incomplete(&mut self, reason: String) {
        if self.done.incomplete.len() < REASONS_MAX {
            self.done.incomplete.push(reason);
        }
    }

    fn handle(
        &mut self,
        key: &RelKey,
        disk: Option<&WalkEntry>,
        record: Option<Record>,
        listed: Option<Listed>,
    ) -> Result<(), Fault> {
        self.gone.known += u64::from(record.is_some() || listed.is_some());
        if let Some(entry) = disk {
            self.count(entry);
        } else if self.is_unknown(key) {
            self.gone.unseen += u64::from(record.is_some());
            return Ok(());
        }
        if disk.is_none() && !self.marks {
            return Ok(());
        }
        if self.is_taken_over(key, disk, record.as_ref(), listed.as_ref())? {
            return Ok(());
        }
        let bucket = self.in_bucket(key, record.as_ref(), listed.as_ref());
        let on_disk = disk.map(|entry| OnDisk {
            fingerprint: &entry.fingerprint,
            empty: entry.empty,
        });
        let is_absent = record.is_some() && bucket == InBucket::Missing && !key.is_folder();
        let verdict = match compare(on_disk, record.as_ref(), bucket) {
            _ if self.is_overtaken(record.as_ref(), listed.as_ref(), bucket) => Verdict::Doubt,
            verdict => verdict,
        };
        match verdict {
            Verdict::Nothing => return Ok(()),
            Verdict::Examine => {}
            Verdict::Doubt => {
                let seen = disk.map(|entry| entry.fingerprint);
                self.doubt(key, seen, record, listed.as_ref())?;
            }
        }
        if disk.is_none() {
            self.gone.add(key);
            let is_new = is_absent && !guard::is_counted(&self.source.guard, key);
            self.gone.absent += u64::from(is_new);
        } else {
            self.queue(key, disk);
        }
        Ok(())
    }

    /// True when the manifest has the path exactly as disk and bucket do, and
    /// the index lacked it: no worker needs to ask the bucket about it.
    fn is_taken_over(
        &mut self,
        key: &RelKey,
        disk: Option<&WalkEntry>,
        record: Option<&Record>,
        listed: Option<&Listed>,
    ) -> Result<bool, Fault> {
        let (Some(known), Some(disk), Some(listed)) = (&mut self.known, disk, listed) else {
            return Ok(false);
        };
        // What a repair distrusts is sent again, whatever a manifest says of it.
        let is_known =
            record.is_some_and(|record| record.content.is_some() || record.is_distrusted());
        if is_known || !known.take(key, &disk.fingerprint, listed, self.runtime) {
            return Ok(false);
        }
        self.write_known(false)?;
        Ok(true)
    }

    fn write_known(&mut self, all: bool) -> Result<(), Fault> {
        let Some(known) = &mut self.known else {
            return Ok(());
        };
        if all {
            tracing::info!(
                source = %self.source.config.name,
                paths = known.taken(),
                "taken over from the manifest"
            );
        }
        known.write(&self.scanner.index, self.id, all)
    }

    /// True when nobody could look whether it is there. Faults whose keys have
    /// passed are dropped, so few are kept.
    fn is_unknown(&mut self, key: &RelKey) -> bool {
        self.unknown.retain(|u| u.subtree > *key || u.covers(key));
        self.unknown.iter().any(|u| u.covers(key))
    }

    fn count(&mut self, entry: &WalkEntry) {
        if let Some(file) = FileId::of_entry(entry) {
            self.source.links.note(file, self.source.id, &entry.path());
            self.done.linked += 1;
        }
        match entry.fingerprint.kind {
            Kind::Folder => {
                self.done.folders += 1;
                if entry.mounted && self.mounts.len() < MOUNTS_MAX {
                    self.mounts.push(entry.key.clone());
                }
            }
            Kind::Special => self.done.special += 1,
            Kind::File | Kind::Symlink => {
                self.done.files += 1;
                if self.is_whole && self.done.files.is_multiple_of(PROGRESS_EVERY) {
                    let files = self.done.files;
                    self.source
                        .status
                        .update(|status| status.scanning = Some(files));
                }
            }
        }
    }

    /// The bucket has a younger version than the record tells of, though it may have
    /// the same bytes: a copy that gave an older mode or time, and came late.
    fn is_overtaken(
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

    fn in_bucket<'l>(
        &mut self,
        key: &RelKey,
        record: Option<&Record>,
        listed: Option<&'l Listed>,
    ) -> InBucket<'l> {
        if !self.bucket.is_asked() {
            return InBucket::NotAsked;
        }
        if record.is_some_and(|record| self.is_younger(record)) {
            return InBucket::NotAsked;
        }
        match listed {
            Some(listed) => InBucket::Present {
                etag: &listed.etag,
                stored_bytes: listed.stored_bytes,
            },
            None => {
                let in_bucket = self.source.bucket_key(key);
                if !in_bucket.shortened {
                    return InBucket::Missing;
                }
                // It stands elsewhere in the listing than its path.
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
        }
    }

    /// Write down that nobody knows what the bucket has at this key.
    fn doubt(
        &self,
        key: &RelKey,
        seen: Option<Fingerprint>,
        record: Option<Record>,
        listed: Option<&Listed>,
    ) -> Result<(), Fault> {
        let unverified = match (listed, record) {
            // What the bucket lists does not make it any better.
            (_, Some(record)) if record.is_distrusted() => return Ok(()),
            (Some(listed), _) => unverified(seen.unwrap_or(Fingerprint::UNSEEN), listed),
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

    pub(crate) fn queue(&mut self, key: &RelKey, disk: Option<&WalkEntry>) {
        self.done.examined += 1;
        let now_ms = self.scanner.clock.steady_ms();
        let path = key.path();
        let mtime_ms = disk.map_or(0, |entry| entry.fingerprint.mtime_ms());
        let age_ms = self.scanner.clock.now_ms().saturating_sub(mtime_ms);
        let is_file = disk.is_some_and(|entry| entry.fingerprint.kind == Kind::File);
        if is_file && (0..self.scanner.debounce_ms).contains(&age_ms) {
            // Somebody is still writing it: let it settle like any other edit.
            self.source.work.hint(Hint {
                path,
                first_ms: now_ms,
                last_ms: now_ms - age_ms,
                is_given_back: false,
            });
            return;
        }
        let queue = &self.source.work.queue;
        if self.lane == Lane::Edit && queue.push_edit(path.clone(), now_ms, false).is_ok() {
            return;
        }
        self.runtime.block_on(queue.push_backlog(path, now_ms));
    }
}

/// A folder that could not be read is tried again after this (and at every scan).
const RETRY_FOLDER_MS: i64 = 60_000;

/// An object known from the listing alone.
fn unverified(fingerprint: Fingerprint, listed: &Listed) -> Record {
    Record {
        etag: listed.etag.clone(),
        stored_bytes: listed.stored_bytes,
        ..Record::unverified(fingerprint)
    }
}
