//! One version restored into the scratch folder, compared, and removed again.

use super::budget::Budget;
use super::candidate::Candidate;
use super::outcome::Failure;
use super::rehearse::{Rehearsed, rehearse};
use super::scratch;
use super::scratch::Scratch;
use super::why::Why;
use crate::clock::Clock;
use crate::index::Index;
use crate::os::blocking::blocking;
use crate::retry::Stop;
use crate::s3::{At, Head, Store};
use crate::source::{SourceRuntime, Sources};
use crate::types::{
    Class, ContentHash, Fault, MetaRefused, ObjectMeta, Origin, Record, RelKey, VersionId,
};
use crate::verify::{Damage, is_cold};
use std::path::PathBuf;
use std::sync::Arc;

/// What the state folder's disk must have left beside the file: the index lives
/// there, and a full disk stops the backup.
const SPARE_BYTES: u64 = 200_000_000;

/// Everything that one drill restores with.
pub(crate) struct Trial<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) store: &'a Store,
    pub(crate) index: &'a Index,
    pub(crate) clock: &'a Clock,
    pub(crate) budget: &'a mut Budget,
    pub(crate) scratch: Scratch,
    pub(crate) stop: Stop,
}

/// How one version ended.
pub(crate) enum Ended {
    Identical(Rehearsed),
    Wrong(Failure),
    /// Nothing can be downloaded without thawing it first.
    Cold,
    /// It does not fit the budget.
    TooLarge,
    /// The server gives out neither it nor its metadata, though it answers.
    Denied(Failure),
    /// Gone since it was drawn, somebody else's, or without a hash.
    Passed,
}

/// Where a source's copies are.
pub(crate) fn origin_of(source: &SourceRuntime) -> Origin {
    Origin {
        bucket: source.config.bucket.clone(),
        prefix: source.config.prefix.clone(),
    }
}

impl Trial<'_> {
    /// A fault that concerns everything ends the drill.
    pub(crate) fn ends(&self, fault: Fault) -> Why {
        Why::NotRun(fault.to_string())
    }

    /// Restore it and compare.
    pub(crate) async fn restore(&mut self, candidate: &Candidate) -> Result<Ended, Why> {
        let origin = origin_of(&candidate.source);
        let version = &candidate.version;
        if candidate.is_missing() {
            return self.missing(candidate).await;
        }
        if is_cold(&version.storage_class) {
            return Ok(Ended::Cold);
        }
        let at = At {
            bucket: &origin.bucket,
            key: &version.key,
        };
        let head = self.store.head(at, version.version_id.as_ref()).await;
        self.budget.looked();
        let head = match head {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(Ended::Passed),
            // An object under a key of the customer's own (SSE-C) is refused so.
            Err(fault) if matches!(fault.class, Class::Denied | Class::Refused) => {
                return Ok(Ended::Denied(self.failure(candidate, None, fault.reason())));
            }
            Err(fault) => return Err(self.ends(fault)),
        };
        let recorded = self.recorded(candidate).await?;
        let meta = match Self::believed(&head, recorded) {
            Ok(Some(meta)) => meta,
            Ok(None) => return Ok(Ended::Passed),
            Err(why) => return Ok(self.wrong(candidate, Some(Damage::Metadata), why)),
        };
        if !self
            .budget
            .take(head.stored_bytes, meta.size_bytes, &version.storage_class)
        {
            return Ok(Ended::TooLarge);
        }
        let folder = self.scratch.next();
        let target = self.room(folder.clone(), meta.disk_bytes()).await?;
        let store = self.store;
        let stop = &self.stop;
        let done = rehearse(store, &origin, version, &meta, recorded, &target, stop).await;
        drop(target);
        self.remove(folder).await?;
        self.ended(candidate, done)
    }

    /// What the end of a restore says of the version.
    fn ended(&self, candidate: &Candidate, done: Result<Rehearsed, Fault>) -> Result<Ended, Why> {
        match done {
            Ok(restored) => Ok(Ended::Identical(restored)),
            Err(fault) if fault.class == Class::NotFound => Ok(Ended::Passed),
            // The archives of Intelligent-Tiering have no class of their own.
            Err(fault) if fault.is_cold() => Ok(Ended::Cold),
            Err(fault) if fault.class == Class::Damaged => {
                Ok(self.wrong(candidate, Some(Damage::Altered), fault.cause))
            }
            Err(fault) if fault.class == Class::Refused => {
                Ok(self.wrong(candidate, None, fault.reason()))
            }
            // So is one whose KMS key is disabled or gone.
            Err(fault) if fault.class == Class::Denied => {
                Ok(Ended::Denied(self.failure(candidate, None, fault.reason())))
            }
            // This system has no such names.
            Err(fault) if fault.class == Class::Unstorable => Ok(Ended::Passed),
            // The line, the server, this computer: that says nothing of the file.
            Err(fault) => Err(self.ends(fault)),
        }
    }

    /// Nothing of it is listed: unless it was deleted just now, that is damage.
    async fn missing(&self, candidate: &Candidate) -> Result<Ended, Why> {
        Ok(
            match self
                .is_counted_on(&candidate.source, &candidate.key)
                .await?
            {
                true => {
                    let why = "the bucket holds no version of it".to_owned();
                    self.wrong(candidate, Some(Damage::Missing), why)
                }
                false => Ended::Passed,
            },
        )
    }

    /// The index says that the bucket has this key.
    pub(crate) async fn is_counted_on(
        &self,
        source: &SourceRuntime,
        key: &str,
    ) -> Result<bool, Why> {
        let found = self.known(source, key).await?;
        Ok(found.is_some_and(|record| record.content.is_some()))
    }

    /// What the index knows of a key in the bucket.
    async fn known(&self, source: &SourceRuntime, key: &str) -> Result<Option<Record>, Fault> {
        let within = key.strip_prefix(source.config.prefix.as_str());
        let Some(Ok(key)) = within.map(RelKey::parse) else {
            return Ok(None);
        };
        let (index, id) = (self.index.clone(), source.id);
        blocking(move || index.get(id, &key)).await
    }

    /// What this computer wrote down of the very version.
    async fn recorded(&self, candidate: &Candidate) -> Result<Option<ContentHash>, Why> {
        let known = self.known(&candidate.source, &candidate.key).await?;
        Ok(known
            .filter(|record| record.version_id == candidate.version.version_id)
            .and_then(|record| record.content))
    }

    /// The object's own words, unless they cannot be true. `None` for what
    /// cannot be compared.
    fn believed(head: &Head, recorded: Option<ContentHash>) -> Result<Option<ObjectMeta>, String> {
        let meta = match (&head.meta, recorded) {
            (Ok(meta), _) => meta,
            (Err(MetaRefused::Foreign), None) => return Ok(None),
            (Err(refused), _) => return Err(refused.to_string()),
        };
        match (meta.content, recorded) {
            (None, _) => Ok(None),
            (Some(content), Some(recorded)) if content != recorded => {
                Err("its kw-sha256 is not what this computer recorded".to_owned())
            }
            _ => Ok(Some(meta.clone())),
        }
    }

    /// What tells one version from all others.
    pub(crate) fn name(&self, candidate: &Candidate) -> (String, String, Option<VersionId>) {
        let source = &candidate.source.config.name;
        let version_id = &candidate.version.version_id;
        (source.clone(), candidate.key.clone(), version_id.clone())
    }

    fn wrong(&self, candidate: &Candidate, damage: Option<Damage>, why: String) -> Ended {
        Ended::Wrong(self.failure(candidate, damage, why))
    }

    fn failure(&self, candidate: &Candidate, damage: Option<Damage>, why: String) -> Failure {
        let config = &candidate.source.config;
        let within = candidate.key.strip_prefix(config.prefix.as_str());
        let path = match within.map(RelKey::parse) {
            Some(Ok(key)) => key.path().to_string(),
            _ => candidate.key.clone(),
        };
        Failure {
            source: config.name.clone(),
            path,
            key: candidate.key.clone(),
            version_id: candidate.version.version_id.clone(),
            stored_at_ms: candidate.version.modified_ms,
            damage,
            why,
            is_older: candidate.is_older,
            since_ms: self.clock.now_ms(),
            told: false,
        }
    }

    /// A folder for it, on a disk that has room.
    async fn room(&self, folder: PathBuf, bytes: u64) -> Result<Arc<crate::files::Target>, Why> {
        let opened = blocking(move || {
            let target = scratch::open(&folder)?;
            // A disk that does not say how full it is gets the benefit of the doubt.
            let free = target.free_bytes().unwrap_or(u64::MAX);
            if free < bytes.saturating_add(SPARE_BYTES) {
                return Err(Fault::new(
                    Class::Local,
                    "restore into",
                    target.path().display().to_string(),
                    format!("the disk has only {free} bytes left"),
                )
                .hint("make room on the disk that the state folder is on"));
            }
            Ok(target)
        })
        .await;
        opened.map_err(|fault| self.ends(fault))
    }

    async fn remove(&self, folder: PathBuf) -> Result<(), Why> {
        let removed = blocking(move || {
            scratch::remove(&folder).map_err(|e| {
                Fault::new(
                    Class::Local,
                    "remove",
                    folder.display().to_string(),
                    crate::types::chain(&e),
                )
            })
        })
        .await;
        removed.map_err(|fault| self.ends(fault))
    }
}
