//! One version looked at: HEAD, and its content where that is asked for.
//!
//! Whatever seems wrong is settled before it is told: the record is read once
//! more, since files change while a verification goes on.

use super::findings::{Damage, Finding, WholeVersion};
use super::judge;
use super::judge::{Expect, Newer, Wrong};
use crate::history::Known;
use crate::restore::{Arrival, Source, content};
use crate::retry::{Patience, Stop, told};
use crate::s3::{At, Head, ListedVersion, Store};
use crate::types::{Class, Fault, Kind, ObjectMeta, Origin, RelKey, shown, unshortened};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Older versions that are tried when one is wanted that is whole. Whoever has
/// five damaged ones in a row has another problem.
const WHOLE_TRIES: usize = 5;

/// What all looks of one source share.
pub(crate) struct Shop {
    pub(crate) store: Store,
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) known: Option<Known>,
    /// Contents are downloaded, at least some.
    pub(crate) deep: bool,
    pub(crate) stop: Stop,
    /// Downloads at once.
    pub(crate) downloads: Semaphore,
}

/// One version to look at.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Its key without the prefix; `None` for a shortened one.
    pub(crate) rel: Option<RelKey>,
    pub(crate) listed: ListedVersion,
    pub(crate) expect: Expect,
    /// What the listing shows to be wrong already.
    pub(crate) wrong: Option<Wrong>,
    pub(crate) is_older: bool,
    /// Download and hash it.
    pub(crate) deep: bool,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// As it should be; bytes of the file, when it was hashed.
    Fine(Option<u64>),
    /// In cold storage, and it was to be downloaded.
    Cold,
    Foreign,
    /// Its path is known only now, and the index has a record of it: the run comes
    /// to it, or came, by that.
    ByRecord,
    /// It changed meanwhile.
    Moving,
    /// It seems wrong, and may be a worker's doing that is not written down yet:
    /// to be confirmed after a pause ([`Shop::confirm`]).
    Perhaps(Box<(Job, Wrong)>),
    Wrong(Box<Finding>),
}

/// What the HEAD leaves to do.
enum After {
    Ended(Outcome),
    /// Its content may be looked at.
    Content(Box<(Head, ObjectMeta)>),
    Wrong(Wrong),
}

impl Shop {
    /// Look at one version, trying again what passes by itself.
    pub(crate) async fn look(&self, job: &Job) -> Result<Outcome, Fault> {
        if let Some(wrong) = &job.wrong {
            return self.settle(job, wrong.clone()).await;
        }
        let mut stop = self.stop.clone();
        let mut patience = Patience::default();
        let about = |fault: Fault| told(fault).about(self.subject(job));
        let after = loop {
            match self.ask(job).await {
                Err(fault) if patience.again(&fault, &mut stop).await => {}
                done => break done.map_err(about)?,
            }
        };
        let (head, meta) = match after {
            After::Ended(outcome) => return Ok(outcome),
            After::Wrong(wrong) => return self.settle(job, wrong).await,
            After::Content(both) => *both,
        };
        if !job.deep {
            return Ok(Outcome::Fine(None));
        }
        if judge::is_cold(&job.listed.storage_class) {
            return Ok(Outcome::Cold);
        }
        let checked = loop {
            match self.content(&job.listed, &head, &meta).await {
                Err(fault) if patience.again(&fault, &mut stop).await => {}
                // The archives of Intelligent-Tiering have no class of their own.
                Err(fault) if fault.is_cold() => return Ok(Outcome::Cold),
                done => break done.map_err(about)?,
            }
        };
        match checked {
            None => Ok(Outcome::Fine(Some(meta.size_bytes))),
            Some(wrong) => self.settle(job, wrong).await,
        }
    }

    fn at<'a>(&'a self, listed: &'a ListedVersion) -> At<'a> {
        At {
            bucket: &self.origin.bucket,
            key: &listed.key,
        }
    }

    /// HEAD, with the server's checksums where they may be had: on a bucket that
    /// encrypts with KMS that takes the right to decrypt.
    pub(crate) async fn head(&self, listed: &ListedVersion) -> Result<Option<Head>, Fault> {
        let version = Some(listed.version_id.as_str());
        match self.store.head_with_sums(self.at(listed), version).await {
            Err(fault) if matches!(fault.class, Class::Denied | Class::Refused) => {
                self.store.head(self.at(listed), version).await
            }
            head => head,
        }
    }

    async fn ask(&self, job: &Job) -> Result<After, Fault> {
        let Some(head) = self.head(&job.listed).await? else {
            return Ok(match &job.expect {
                Expect::Recorded(_) => {
                    let why = "it was removed from the bucket while it was looked at";
                    After::Wrong((Damage::VersionGone, why.to_owned()))
                }
                _ => After::Ended(Outcome::Moving),
            });
        };
        if let (Some(key), Expect::Recorded(record)) = (&job.rel, &job.expect)
            && let Some(wrong) = judge::by_record(key, record, &head)
        {
            return Ok(After::Wrong(wrong));
        }
        if let (Some(key), Expect::NewerThan(record)) = (&job.rel, &job.expect) {
            match judge::newer(key, record, &head) {
                Newer::Ours => {}
                Newer::Wrong(wrong) => return Ok(After::Wrong(wrong)),
                Newer::IfOnDisk(content) => {
                    let on_disk = match &self.known {
                        Some(known) => known.hash_on_disk(&key.path()).await?,
                        None => None,
                    };
                    if on_disk != Some(content) {
                        let why = "a newer version is there that this computer did not store";
                        return Ok(After::Wrong((Damage::Overwritten, why.to_owned())));
                    }
                }
            }
        }
        let meta = match judge::of_itself(job.rel.as_ref(), &head) {
            Ok(Some(meta)) => meta.clone(),
            Ok(None) => {
                return match self.covered(job).await {
                    Ok(Some(wrong)) => Ok(After::Wrong(wrong)),
                    Ok(None) => Ok(After::Ended(Outcome::Foreign)),
                    Err(fault) if fault.class == Class::NotFound => {
                        Ok(After::Ended(Outcome::Moving))
                    }
                    Err(fault) => Err(fault),
                };
            }
            Err(wrong) => return Ok(After::Wrong(wrong)),
        };
        if job.rel.is_none() && self.full_key(&job.listed.key, &meta).is_none() {
            let why = "its key is shortened, and its metadata does not say the path (kw-key, kw-key-rest)";
            return Ok(After::Wrong((Damage::Metadata, why.to_owned())));
        }
        if matches!(job.expect, Expect::Unrecorded)
            && let Some(outcome) = self.unrecorded(job, &meta).await?
        {
            return Ok(After::Ended(outcome));
        }
        Ok(After::Content(Box::new((head, meta))))
    }

    /// The path of a shortened key, if its metadata can be believed.
    pub(crate) fn full_key(&self, bucket_key: &str, meta: &ObjectMeta) -> Option<RelKey> {
        let full = meta.full_key.as_ref()?;
        unshortened(&self.origin.prefix, bucket_key, full)
    }

    /// An object of ours that the index has no record of.
    async fn unrecorded(&self, job: &Job, meta: &ObjectMeta) -> Result<Option<Outcome>, Fault> {
        let Some(known) = self.known.as_ref().filter(|known| known.is_compared) else {
            return Ok(None);
        };
        let full = self.full_key(&job.listed.key, meta);
        let Some(key) = job.rel.clone().or(full) else {
            return Ok(None);
        };
        if known.record(&key).await?.is_some() {
            // One that is not shortened came just now.
            return Ok(Some(match job.rel {
                None => Outcome::ByRecord,
                Some(_) => Outcome::Moving,
            }));
        }
        // A folder's object may stay when the folder fills.
        let is_gone = matches!(known.on_disk(&key.path()).await, Ok(None));
        if !is_gone || meta.kind == Kind::Folder {
            return Ok(Some(Outcome::Moving));
        }
        if !known.marks_deletions {
            return Ok(None);
        }
        let job = Job {
            rel: Some(key),
            ..job.clone()
        };
        let why = "the file was deleted on this computer; its delete marker is not there any more";
        let wrong = (Damage::Returned, why.to_owned());
        self.settle(&job, wrong).await.map(Some)
    }

    /// Download the content; what is wrong with it, if anything is.
    pub(crate) async fn content(
        &self,
        listed: &ListedVersion,
        head: &Head,
        meta: &ObjectMeta,
    ) -> Result<Option<Wrong>, Fault> {
        let Ok(_turn) = self.downloads.acquire().await else {
            return Ok(None);
        };
        let version = Some(listed.version_id.as_str());
        let (got, body) = match self.store.get(self.at(listed), version).await {
            Err(fault) if fault.class == Class::Damaged => {
                return Ok(Some((Damage::Altered, fault.cause)));
            }
            got => got?,
        };
        let subject = shown(&listed.key);
        let (arrival, _feeding) =
            Arrival::streamed(body, got.stored_bytes, &subject, self.stop.clone());
        let source = Source {
            arrival,
            gzip: head.gzip,
            meta: meta.clone(),
            subject,
        };
        let size_bytes = meta.size_bytes;
        let checked = tokio::task::spawn_blocking(move || content::check(source)).await;
        let (bytes, done) = checked.map_err(|e| {
            Fault::new(
                Class::Local,
                "verify",
                shown(&listed.key),
                crate::types::chain(&e),
            )
        })?;
        match done {
            Ok(()) => Ok(None),
            Err(fault) if fault.class == Class::Damaged => {
                let damage = if bytes < size_bytes && !head.gzip {
                    Damage::Truncated
                } else {
                    Damage::Altered
                };
                Ok(Some((damage, fault.cause)))
            }
            Err(fault) => Err(fault),
        }
    }

    fn subject(&self, job: &Job) -> String {
        match &job.rel {
            Some(key) => key.path().to_string(),
            None => shown(&job.listed.key),
        }
    }

    /// Something seems wrong: what may be our own doing has to wait for a second
    /// look, everything else gets it now.
    async fn settle(&self, job: &Job, wrong: Wrong) -> Result<Outcome, Fault> {
        if self.known.is_some() && job.rel.is_some() && may_be_ours(wrong.0) {
            return Ok(Outcome::Perhaps(Box::new((job.clone(), wrong))));
        }
        self.confirm(job, wrong).await
    }

    /// Look once more whether it is as it seems, and say all about it.
    pub(crate) async fn confirm(&self, job: &Job, (damage, why): Wrong) -> Result<Outcome, Fault> {
        let mut is_on_disk = None;
        if let (Some(known), Some(key)) = (&self.known, &job.rel) {
            let record = known.record(key).await?;
            let is_other = match &job.expect {
                Expect::Recorded(then) | Expect::NewerThan(then) => {
                    record.as_ref() != Some(then.as_ref())
                }
                Expect::Unrecorded => record.is_some(),
                Expect::Itself => false,
            };
            if is_other {
                return Ok(Outcome::Moving);
            }
            // The list was read before the pause: it must still be so after it.
            if may_be_ours(damage) && !self.is_still_newest(&job.listed).await? {
                return Ok(Outcome::Moving);
            }
            // A disk that cannot be looked at says nothing.
            let there = known.on_disk(&key.path()).await.ok().map(|f| f.is_some());
            if damage == Damage::MarkedDeleted && there == Some(false) && known.marks_deletions {
                // Our own marker: the record goes in a moment.
                return Ok(Outcome::Moving);
            }
            is_on_disk = there;
        }
        let whole = match damage {
            Damage::Returned | Damage::Missing => None,
            // What was found is told, also when no more can be said about it.
            _ => self.newest_whole(job).await.unwrap_or_default(),
        };
        Ok(Outcome::Wrong(Box::new(Finding {
            source: self.name.clone(),
            path: self.subject(job),
            key: job.rel.as_ref().map(|key| key.as_str().to_owned()),
            damage,
            why,
            version_id: job.listed.version_id.clone(),
            stored_at_ms: (job.listed.modified_ms > 0).then_some(job.listed.modified_ms),
            is_older: job.is_older,
            is_on_disk,
            whole,
            repair: None,
        })))
    }

    /// The bucket shows this version and no marker or newer one over it; nothing
    /// at all, where nothing was listed.
    async fn is_still_newest(&self, listed: &ListedVersion) -> Result<bool, Fault> {
        let (bucket, key) = (&self.origin.bucket, &listed.key);
        let page = self.store.list_past(bucket, key, None).await?;
        let newest = page.items.first().filter(|newest| newest.key == *key);
        Ok(newest.map_or("", |newest| newest.version_id.as_str()) == listed.version_id)
    }

    /// The newest version besides the damaged one that can be restored, as far
    /// as that is looked for.
    async fn newest_whole(&self, job: &Job) -> Result<Option<WholeVersion>, Fault> {
        let (bucket, key) = (&self.origin.bucket, &job.listed.key);
        let page = self.store.list_past(bucket, key, None).await?;
        let others = page
            .items
            .into_iter()
            .filter(|v| v.key == *key && !v.is_marker && v.version_id != job.listed.version_id)
            .take(WHOLE_TRIES);
        for version in others {
            let Some(head) = self.head(&version).await? else {
                continue;
            };
            let Ok(Some(meta)) = judge::of_itself(job.rel.as_ref(), &head) else {
                continue;
            };
            let meta = meta.clone();
            let is_looked_into = self.deep && !judge::is_cold(&version.storage_class);
            if is_looked_into && self.content(&version, &head, &meta).await?.is_some() {
                continue;
            }
            return Ok(Some(WholeVersion {
                version_id: version.version_id,
                stored_at_ms: version.modified_ms,
            }));
        }
        Ok(None)
    }
}

/// A worker whose change the bucket has taken, and who has not written it down
/// yet, looks like this.
fn may_be_ours(damage: Damage) -> bool {
    matches!(
        damage,
        Damage::Missing | Damage::MarkedDeleted | Damage::Overwritten | Damage::Returned
    )
}

/// What many looks share.
pub(crate) type SharedShop = Arc<Shop>;
