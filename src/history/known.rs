//! What this computer knows of a source: the index in key order, and the disk.
//!
//! Both block, so both are asked on blocking threads, a batch at a time.

use crate::files;
use crate::index::{Index, SourceId};
use crate::manifest::Written;
use crate::os::blocking::blocking;
use crate::types::{ContentHash, Fatal, Fault, Fingerprint, Record, RelKey, RelPath};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Records read in one batch: some 50 KB. Each batch costs a change of thread.
const BATCH: usize = 256;

/// What stands at a path, rules applied.
pub type Stat = Arc<dyn Fn(&RelPath) -> Result<Option<Fingerprint>, Fault> + Send + Sync>;

/// What this computer knows of a source.
#[derive(Clone)]
pub struct Known {
    /// The index.
    pub index: Index,
    /// The source's number in it.
    pub source: SourceId,
    /// The source's folder.
    pub root: PathBuf,
    /// What stands at a path; nothing for what the rules leave out.
    pub stat: Stat,
    /// Index and bucket have been compared: what the index lacks is unknown to
    /// this computer, not only to a new index.
    pub is_compared: bool,
    /// Files that are deleted here are marked so in the bucket.
    pub marks_deletions: bool,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Known({:?})", self.source)
    }
}

impl Known {
    pub(crate) async fn record(&self, key: &RelKey) -> Result<Option<Record>, Fault> {
        let (known, key) = (self.clone(), key.clone());
        blocking(move || known.index.get(known.source, &key)).await
    }

    /// The newest manifest that this computer wrote.
    pub(crate) async fn newest_manifest(&self) -> Result<Option<Written>, Fault> {
        let known = self.clone();
        let value = blocking(move || known.index.source_state_get(known.source, Written::NAME));
        // What a later version of Keepwatch wrote there may not be readable.
        Ok(value.await?.and_then(|value| Written::from_value(&value)))
    }

    pub(crate) async fn on_disk(&self, path: &RelPath) -> Result<Option<Fingerprint>, Fault> {
        let (known, path) = (self.clone(), path.clone());
        blocking(move || (known.stat)(&path)).await
    }

    /// The hash of what stands at the path now; `None` when nothing does, or a folder.
    pub(crate) async fn hash_on_disk(&self, path: &RelPath) -> Result<Option<ContentHash>, Fault> {
        let (known, path) = (self.clone(), path.clone());
        blocking(move || {
            let Some(found) = (known.stat)(&path)? else {
                return Ok(None);
            };
            let held = files::content_hash(&known.root, &path, found.kind)?;
            Ok(held.map(|(hash, _)| hash))
        })
        .await
    }
}

/// The records below a prefix, in key order, a batch in memory.
pub(crate) struct Records {
    known: Option<Known>,
    prefix: String,
    after: Option<RelKey>,
    batch: VecDeque<(RelKey, Record)>,
}

impl Records {
    /// Nothing without an index.
    pub(crate) fn new(known: Option<Known>, prefix: &str) -> Self {
        Self {
            known,
            prefix: prefix.to_owned(),
            after: None,
            batch: VecDeque::new(),
        }
    }

    /// The next record's key; `None` at the end.
    pub(crate) async fn peek(&mut self) -> Result<Option<&RelKey>, Fatal> {
        if self.batch.is_empty()
            && let Some(known) = self.known.clone()
        {
            let (prefix, after) = (self.prefix.clone(), self.after.take());
            let batch: VecDeque<_> = blocking(move || {
                let records = known.index.range(known.source, &prefix, after.as_ref());
                records.take(BATCH).collect::<Result<_, _>>()
            })
            .await?;
            self.after = batch.back().map(|(key, _)| key.clone());
            if batch.is_empty() {
                self.known = None;
            }
            self.batch = batch;
        }
        Ok(self.batch.front().map(|(key, _)| key))
    }

    pub(crate) fn take(&mut self) -> Option<(RelKey, Record)> {
        self.batch.pop_front()
    }
}
