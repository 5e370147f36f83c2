//! One pass over disk, index and, if asked for, bucket: acts on each key. Blocking.

use super::bucket::Bucket;
use super::compare::{InBucket, OnDisk, Verdict, compare};
use super::gone::Gone;
use super::known::Known;
use super::listing::Pages;
use super::listing_view::ListingView;
use super::merge_join::{MergeJoin, Next, Row};
use super::read_ahead::ReadAhead;
use super::scanner::Scanner;
use crate::files;
use crate::files::{WalkEntry, WalkFault};
use crate::guard;
use crate::guard::{DeletionGuard, MOUNTS_MAX};
use crate::index::SourceId;
use crate::s3::Listed;
use crate::source::{FileId, SourceRuntime};
use crate::status::ScanDone;
use crate::types::{Fault, Kind, Record, RelKey, RelPath, WallMs};
use crate::work::{Hint, Lane};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

/// Files between two reports of progress.
const PROGRESS_EVERY: u64 = 500;

/// Reasons for incompleteness that are kept; the log has the others.
const REASONS_MAX: usize = 20;

/// What to compare.
pub(crate) struct Work {
    pub scanner: Scanner,
    /// Root for everything.
    pub subtree: RelPath,
    pub listing: Option<Pages>,
    /// The newest manifest, when the index is rebuilt.
    pub known: Option<Known>,
    pub started_ms: WallMs,
    /// The lane of the found paths.
    pub lane: Lane,
    /// Mark deletions, however many.
    pub confirmed: bool,
    pub cancelled: Arc<AtomicBool>,
}

/// Compare and queue what differs.
///
/// # Errors
/// The root cannot be read, or the index fails. Single folders that cannot be read are
/// noted in the result.
pub(crate) fn merge(work: Work, runtime: &Handle) -> Result<ScanDone, Fault> {
    let scanner = work.scanner.clone();
    let source = &scanner.source;
    files::root_state(&source.config.path)?;
    if !work.confirmed {
        guard::look_at_root(&source.guard)?;
    }
    let prefix = RelKey::of_folder(&work.subtree);
    let gone = Gone {
        // Whoever confirms means everything that is missing.
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
            join: MergeJoin {
                walk: ReadAhead::start(scope, walk)?.peekable(),
                index: scanner
                    .index
                    .range(source.id, prefix.as_str(), None)
                    .peekable(),
                bucket: Bucket::new(work.listing, runtime),
            },
            listing: ListingView::new(source, &scanner.clock, work.started_ms),
            known: work.known,
            gone,
            mounts: Vec::new(),
            had_faults: false,
            marks: source.marks_deletions(),
            unknown: Vec::new(),
            done: ScanDone::default(),
            scanner: &scanner,
            source,
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
                merge.done.listed_whole = merge.join.bucket.has_ended();
                return Ok(merge.done);
            }
        }
        merge.incomplete("it was stopped".into());
        Ok(merge.done)
    })
}

/// Folders whose disk is no longer mounted; nothing is counted below them yet.
fn lost(guard: &DeletionGuard) -> Result<Vec<(RelKey, u64)>, Fault> {
    let lost = guard::lost_mounts(guard)?;
    Ok(lost.into_iter().map(|folder| (folder, 0)).collect())
}

pub(crate) struct Merge<'a> {
    pub(crate) scanner: &'a Scanner,
    pub(crate) source: &'a Arc<SourceRuntime>,
    pub(crate) id: SourceId,
    pub(super) join: MergeJoin,
    pub(super) listing: ListingView<'a>,
    known: Option<Known>,
    /// What is known and not on disk.
    pub(crate) gone: Gone,
    /// Folders whose contents could not be read: nothing in them is gone.
    unknown: Vec<WalkFault>,
    /// Folders on which another disk is mounted.
    pub(crate) mounts: Vec<RelKey>,
    /// Something on disk could not be looked at.
    pub(crate) had_faults: bool,
    /// Whether deletions could be marked when this scan began. If that changes halfway, the
    /// first half was not searched for what is gone.
    pub(crate) marks: bool,
    pub(crate) done: ScanDone,
    lane: Lane,
    /// Only the scan of a whole source shows its progress in the status.
    is_whole: bool,
    runtime: &'a Handle,
}

impl Merge<'_> {
    /// Handle what comes next; false at the end.
    fn step(&mut self) -> Result<bool, Fault> {
        match self.join.next()? {
            Next::Row(row) => self.handle(row)?,
            Next::Unreadable(broken) => self.note_unreadable(broken),
            Next::OutOfOrder(entry) => self.out_of_order(entry)?,
            Next::NoListing(reason) => self.incomplete(reason),
            Next::End => return Ok(false),
        }
        Ok(true)
    }

    /// Write down a part of the disk that cannot be read: nothing in it is gone.
    fn note_unreadable(&mut self, broken: WalkFault) {
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

    pub(crate) fn incomplete(&mut self, reason: String) {
        if self.done.incomplete.len() < REASONS_MAX {
            self.done.incomplete.push(reason);
        }
    }

    fn handle(&mut self, row: Row) -> Result<(), Fault> {
        let Row {
            key,
            disk,
            record,
            listed,
        } = row;
        let (key, disk) = (&key, disk.as_ref());
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
        let bucket = match self.join.bucket.is_asked() {
            true => self
                .listing
                .in_bucket(key, record.as_ref(), listed.as_ref()),
            false => InBucket::NotAsked,
        };
        let on_disk = disk.map(|entry| OnDisk {
            fingerprint: &entry.fingerprint,
            empty: entry.empty,
        });
        let is_absent = record.is_some() && bucket == InBucket::Missing && !key.is_folder();
        let verdict = match compare(on_disk, record.as_ref(), bucket) {
            _ if self
                .listing
                .is_overtaken(record.as_ref(), listed.as_ref(), bucket) =>
            {
                Verdict::MarkUnverified
            }
            verdict => verdict,
        };
        match verdict {
            Verdict::Nothing => return Ok(()),
            Verdict::Examine => {}
            Verdict::MarkUnverified => {
                let seen = disk.map(|entry| entry.fingerprint);
                self.mark_unverified(key, seen, record, listed.as_ref())?;
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

    /// True when the index lacked the path and the manifest has it exactly as disk and
    /// bucket do: no worker needs to ask the bucket about it.
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
        // A record that a repair distrusts is sent again, whatever the manifest says.
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

    /// True when nobody could see whether it is there. Faults that lie behind this key are
    /// dropped, so that few are kept.
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

    pub(crate) fn queue(&mut self, key: &RelKey, disk: Option<&WalkEntry>) {
        self.done.examined += 1;
        let now_ms = self.scanner.clock.monotonic_ms();
        let path = key.path();
        let mtime_ms = disk.map_or(WallMs::default(), |entry| entry.fingerprint.mtime_ms());
        let age_ms = self.scanner.clock.now_ms() - mtime_ms;
        let is_file = disk.is_some_and(|entry| entry.fingerprint.kind == Kind::File);
        if is_file && (0..self.scanner.debounce_ms).contains(&age_ms) {
            // Somebody is still writing it: it is debounced like any other edit.
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

/// After so long a folder that could not be read is tried again, besides at every scan.
const RETRY_FOLDER_MS: i64 = 60_000;
