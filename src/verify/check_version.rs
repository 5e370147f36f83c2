//! One version checked: HEAD, and its content where that is asked for.
//!
//! It asks; `judge` decides. Whatever seems wrong is confirmed before it is told
//! (`confirm`), since files change while a verification goes on.

use super::context::VerifyContext;
use super::findings::Damage;
use super::judge;
use super::judge::{Expect, Measured, Unrecorded, Wrong};
use super::outcome::{CheckOutcome, VersionCheck};
use crate::os::blocking::blocking_on;
use crate::restore::{BodyReader, Source, content};
use crate::retry::{advise_rerun, with_retries};
use crate::s3::{Head, ListedVersion};
use crate::types::{Class, Fault, ObjectMeta, shown};

/// What the HEAD leaves to do.
enum After {
    Ended(CheckOutcome),
    /// Its content may be looked at.
    Content(Box<(Head, ObjectMeta)>),
    Wrong(Wrong),
}

impl VerifyContext {
    /// Check one version, trying again what passes by itself.
    pub(super) async fn check(&self, check: &VersionCheck) -> Result<CheckOutcome, Fault> {
        if let Some(wrong) = &check.wrong {
            return self.settle(check, wrong.clone()).await;
        }
        let mut stop = self.stop.clone();
        let about = |fault: Fault| advise_rerun(fault).about(self.subject(check));
        let after = with_retries(&mut stop, || self.ask(check)).await;
        let (head, meta) = match after.map_err(about)? {
            After::Ended(outcome) => return Ok(outcome),
            After::Wrong(wrong) => return self.settle(check, wrong).await,
            After::Content(both) => *both,
        };
        if !check.deep {
            return Ok(CheckOutcome::Fine(None));
        }
        if judge::is_cold(&check.listed.storage_class) {
            return Ok(CheckOutcome::Cold);
        }
        let hashed = with_retries(&mut stop, || self.content(&check.listed, &head, &meta)).await;
        match hashed {
            Ok(None) => Ok(CheckOutcome::Fine(Some(meta.size_bytes))),
            Ok(Some(wrong)) => self.settle(check, wrong).await,
            // The archives of Intelligent-Tiering have no class of their own.
            Err(fault) if fault.is_cold() => Ok(CheckOutcome::Cold),
            Err(fault) => Err(about(fault)),
        }
    }

    /// Ask what the version says of itself, and whatever else decides.
    async fn ask(&self, check: &VersionCheck) -> Result<After, Fault> {
        let rel = check.rel.as_ref();
        let head = self.head(&check.listed).await?;
        match judge::by_expectation(rel, &check.expect, head.as_ref()) {
            Measured::AsExpected => {}
            Measured::Moving => return Ok(After::Ended(CheckOutcome::Moving)),
            Measured::Wrong(wrong) => return Ok(After::Wrong(wrong)),
            Measured::IfOnDisk(key, content) => {
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
        let Some(head) = head else {
            return Ok(After::Ended(CheckOutcome::Moving));
        };
        let meta = match judge::of_itself(rel, &head) {
            Ok(Some(meta)) => meta.clone(),
            Ok(None) => return self.not_ours(check).await,
            Err(wrong) => return Ok(After::Wrong(wrong)),
        };
        if rel.is_none() && self.full_key(&check.listed.key, &meta).is_none() {
            let why = "its key is shortened, and its metadata does not say the path (kw-key, kw-key-rest)";
            return Ok(After::Wrong((Damage::Metadata, why.to_owned())));
        }
        if matches!(check.expect, Expect::Unrecorded)
            && let Some(outcome) = self.unrecorded(check, &meta).await?
        {
            return Ok(After::Ended(outcome));
        }
        Ok(After::Content(Box::new((head, meta))))
    }

    /// The version is another program's, perhaps over one of ours.
    async fn not_ours(&self, check: &VersionCheck) -> Result<After, Fault> {
        match self.shadowed(check).await {
            Ok(Some(wrong)) => Ok(After::Wrong(wrong)),
            Ok(None) => Ok(After::Ended(CheckOutcome::Foreign)),
            Err(fault) if fault.class == Class::NotFound => Ok(After::Ended(CheckOutcome::Moving)),
            Err(fault) => Err(fault),
        }
    }

    /// An object of ours that the index has no record of.
    async fn unrecorded(
        &self,
        check: &VersionCheck,
        meta: &ObjectMeta,
    ) -> Result<Option<CheckOutcome>, Fault> {
        let Some(known) = self.known.as_ref().filter(|known| known.is_compared) else {
            return Ok(None);
        };
        let full = self.full_key(&check.listed.key, meta);
        let Some(key) = check.rel.clone().or(full) else {
            return Ok(None);
        };
        if known.record(&key).await?.is_some() {
            // One that is not shortened came just now.
            return Ok(Some(match check.rel {
                None => CheckOutcome::ByRecord,
                Some(_) => CheckOutcome::Moving,
            }));
        }
        let is_gone = matches!(known.on_disk(&key.path()).await, Ok(None));
        match judge::unrecorded(meta.kind, is_gone, known.marks_deletions) {
            Unrecorded::OnItsWay => Ok(Some(CheckOutcome::Moving)),
            Unrecorded::Kept => Ok(None),
            Unrecorded::Returned(wrong) => {
                let check = VersionCheck {
                    rel: Some(key),
                    ..check.clone()
                };
                self.settle(&check, wrong).await.map(Some)
            }
        }
    }

    /// Download the content; what is wrong with it, if anything is.
    pub(super) async fn content(
        &self,
        listed: &ListedVersion,
        head: &Head,
        meta: &ObjectMeta,
    ) -> Result<Option<Wrong>, Fault> {
        let Ok(_turn) = self.downloads.acquire().await else {
            return Ok(None);
        };
        let version = listed.version_id.as_ref();
        let (got, body) = match self.store.get(self.at(&listed.key), version).await {
            Err(fault) if fault.class == Class::Damaged => {
                return Ok(Some((Damage::Altered, fault.cause)));
            }
            got => got?,
        };
        let subject = shown(&listed.key);
        let (reader, _feeding) =
            BodyReader::streamed(body, got.stored_bytes, &subject, self.stop.clone());
        let source = Source {
            body: reader,
            gzip: head.gzip,
            meta: meta.clone(),
            subject,
        };
        let size_bytes = meta.size_bytes;
        let check = move || Ok(content::check(source));
        let (bytes, done) = blocking_on("verify", shown(&listed.key), check).await?;
        match done {
            Ok(()) => Ok(None),
            Err(fault) if fault.class == Class::Damaged => {
                let damage = judge::by_content(bytes, size_bytes, head.gzip);
                Ok(Some((damage, fault.cause)))
            }
            Err(fault) => Err(fault),
        }
    }
}
