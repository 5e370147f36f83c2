//! Reads the newest manifest beside the merge that rebuilds a lost index: a file that is as
//! the manifest has it needs no request of its own.
//!
//! Invariants: the listing decides which version is current (by ETag, size, and nothing
//! stored since the manifest's moment). What is taken over is hashed once, by the next scan
//! (`Record::racy`). A manifest that ends early only means more requests. Memory holds a
//! few batches of lines.

use crate::index::{Index, SourceId};
use crate::manifest::{ManifestEntry, read};
use crate::os;
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::s3::{Listed, Store};
use crate::source::{Owners, SourceRuntime};
use crate::types::{Fault, Fingerprint, Origin, Record, RelKey};
use std::collections::VecDeque;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Entries per batch: each batch may cost a change of threads.
const BATCH: usize = 256;

/// Batches read ahead of the merge; with those in hand they take half a megabyte.
const BATCHES_AHEAD: usize = 4;

/// Records written into the index at a time.
const WRITTEN_AT_ONCE: usize = 500;

/// A manifest is read when the index lacks more than one in so many of its paths: after a
/// mere kill it lacks a handful.
const LACKING_ONE_IN: u64 = 10;

/// The entries of the manifest, and what was taken over from them.
pub(crate) struct Known {
    batches: mpsc::Receiver<Vec<ManifestEntry>>,
    batch: VecDeque<ManifestEntry>,
    moment_ms: i64,
    /// Another computer wrote it, on which accounts have other numbers.
    is_elsewhere: bool,
    owners: Owners,
    unwritten: Vec<(RelKey, Record)>,
    taken: u64,
}

/// Begin to read the newest manifest, if the source's index lacks much of it. `None` if it
/// does not, or no manifest can be had.
pub(crate) async fn start(source: &SourceRuntime, index: &Index, store: &Store) -> Option<Known> {
    match Box::pin(begin(source, index, store)).await {
        Ok(known) => known,
        Err(fault) => {
            tracing::info!(source = %source.config.name, "the index is rebuilt without a manifest: {fault}");
            None
        }
    }
}

async fn begin(
    source: &SourceRuntime,
    index: &Index,
    store: &Store,
) -> Result<Option<Known>, Fault> {
    let settings = &source.config;
    let origin = Origin {
        bucket: settings.bucket.clone(),
        prefix: settings.prefix.clone(),
    };
    let mut stop = Stop::never();
    let all = read::list(store, &origin, &mut stop).await?;
    let Some(newest) = read::newest(&all) else {
        return Ok(None);
    };
    // If it cannot be read, an older one may be.
    if let Ok(header) = read::header(store, &origin.bucket, newest, &stop).await {
        let protected = counted(source, index).await?;
        let lacking = header.files.saturating_sub(protected);
        if lacking.saturating_mul(LACKING_ONE_IN) <= header.files {
            return Ok(None);
        }
    }
    let found = read::nearest(store, &origin, None, u64::MAX, &mut stop).await?;
    for fault in &found.damaged {
        tracing::warn!(source = %settings.name, "{fault}");
    }
    let Some(manifest) = found.manifest else {
        return Ok(None);
    };
    let moment_ms = manifest.header.moment_ms;
    let is_elsewhere = manifest.header.host != os::computer_name();
    let mut lines = manifest.lines(store, &stop).await?;
    let (to, batches) = mpsc::channel(BATCHES_AHEAD);
    tokio::spawn(async move {
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            while batch.len() < BATCH {
                match lines.next().await {
                    Ok(Some(line)) => batch.push(line),
                    // The worker asks the bucket about the rest.
                    Ok(None) | Err(_) => break,
                }
            }
            let is_last = batch.len() < BATCH;
            if to.send(batch).await.is_err() || is_last {
                return;
            }
        }
    });
    Ok(Some(Known {
        batches,
        batch: VecDeque::new(),
        moment_ms,
        is_elsewhere,
        owners: source.owners(),
        unwritten: Vec::new(),
        taken: 0,
    }))
}

async fn counted(source: &SourceRuntime, index: &Index) -> Result<u64, Fault> {
    let (index, id) = (index.clone(), source.id);
    blocking(move || Ok(index.counts(id).protected())).await
}

impl Known {
    /// Take a path over if the manifest has it exactly as disk and bucket do. Keys must
    /// come in order. Blocking.
    pub fn take(
        &mut self,
        key: &RelKey,
        disk: &Fingerprint,
        listed: &Listed,
        runtime: &Handle,
    ) -> bool {
        let Some(line) = self.line(key, runtime) else {
            return false;
        };
        // The same content may have been stored there again since.
        if listed.etag.is_empty() || listed.modified_ms > self.moment_ms {
            return false;
        }
        let is_listed = line.etag == listed.etag && line.stored_bytes == listed.stored_bytes;
        let others = self.is_elsewhere || self.owners.are_forgiven(disk);
        let Some(record) = line.record(disk, others).filter(|_| is_listed) else {
            return false;
        };
        self.unwritten.push((key.clone(), record));
        self.taken += 1;
        true
    }

    /// The entry of this path.
    fn line(&mut self, key: &RelKey, runtime: &Handle) -> Option<ManifestEntry> {
        loop {
            while let Some(line) = self.batch.pop_front() {
                match line.path.as_str().cmp(key.as_str()) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return Some(line),
                    std::cmp::Ordering::Greater => {
                        self.batch.push_front(line);
                        return None;
                    }
                }
            }
            self.batch = runtime.block_on(self.batches.recv())?.into();
        }
    }

    /// Write what was taken over into the index, once there is enough or `all`. Blocking.
    pub fn write(&mut self, index: &Index, id: SourceId, all: bool) -> Result<(), Fault> {
        if self.unwritten.len() >= WRITTEN_AT_ONCE || (all && !self.unwritten.is_empty()) {
            index.import(id, &self.unwritten)?;
            self.unwritten.clear();
        }
        Ok(())
    }

    /// Paths taken over so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }
}
