//! Keys where more than their newest version, or their own name, decides: a file
//! of ours beneath somebody else's object, and one that earlier versions of
//! Keepwatch stored under another key.
//!
//! Invariant: what restore would bring back, or name, is looked at here too, by
//! the same rules. Nothing is changed.

use super::findings::Damage;
use super::groups::Group;
use super::judge;
use super::judge::{Expect, Wrong};
use super::look::{Job, Shop};
use super::run::Run;
use crate::history::{Chosen, Name, unless_newer};
use crate::restore::{Ours, shadowed_version};
use crate::retry::told;
use crate::s3::ListedVersion;
use crate::types::{Class, Fatal, Fault, RelKey};

impl Shop {
    /// The version of `job` is not ours: what is wrong, if it lies over one that
    /// is; `None` where nothing of ours lies beneath.
    pub(crate) async fn covered(&self, job: &Job) -> Result<Option<Wrong>, Fault> {
        // Something newer lies over an older one itself.
        if job.is_older {
            return Ok(None);
        }
        let Some(name) = Name::of(&job.listed.key, &self.origin.prefix) else {
            return Ok(None);
        };
        let over = Chosen::of(job.listed.clone(), name);
        let mut stop = self.stop.clone();
        match shadowed_version::ours(&self.store, &self.origin, &over, &mut stop).await {
            Ok(None) => Ok(None),
            Ok(Some(ours)) => {
                let mut why = "another program's object lies over it in the bucket; the newest version that Keepwatch wrote lies beneath".to_owned();
                if let Some((_, also)) = self.beneath(job, ours).await? {
                    why = format!("{why}, and is damaged: {also}");
                }
                Ok(Some((Damage::Overwritten, why)))
            }
            // More of them than are looked through.
            Err(fault) if fault.class == Class::Damaged => {
                Ok(Some((Damage::Overwritten, fault.cause)))
            }
            Err(fault) => Err(fault),
        }
    }

    /// What is wrong with the version that lies beneath.
    async fn beneath(&self, job: &Job, ours: Ours) -> Result<Option<Wrong>, Fault> {
        let Chosen {
            key,
            version_id,
            etag,
            stored_bytes,
            modified_ms,
            storage_class,
            ..
        } = ours.chosen;
        let listed = ListedVersion {
            key,
            version_id,
            is_latest: false,
            is_marker: false,
            etag,
            stored_bytes,
            modified_ms,
            storage_class,
        };
        let Some(head) = self.head(&listed).await? else {
            return Ok(None);
        };
        let meta = match judge::of_itself(job.rel.as_ref(), &head) {
            Ok(Some(meta)) => meta.clone(),
            Ok(None) => return Ok(None),
            Err(wrong) => return Ok(Some(wrong)),
        };
        if !job.deep || judge::is_cold(&listed.storage_class) {
            return Ok(None);
        }
        match self.content(&listed, &head, &meta).await {
            Err(fault) if fault.is_cold() => Ok(None),
            checked => checked,
        }
    }
}

impl Run<'_> {
    /// A version that is not the newest of its key.
    pub(crate) async fn older(
        &mut self,
        rel: Option<RelKey>,
        listed: ListedVersion,
    ) -> Result<(), Fatal> {
        self.offer(Job {
            rel,
            listed,
            expect: Expect::Itself,
            wrong: None,
            is_older: true,
            deep: false,
        })
        .await
    }

    /// A file by its older key: it counts until its path has anything under its
    /// own.
    pub(crate) async fn by_older_key(
        &mut self,
        key: RelKey,
        group: Option<Group>,
    ) -> Result<(), Fatal> {
        let newest = group.map(|group| group.newest);
        let Some(newest) = newest.filter(|newest| !newest.is_marker) else {
            return Ok(());
        };
        let shop = self.shop.clone();
        let mut stop = shop.stop.clone();
        let chosen = Chosen::of(newest.clone(), Name::Older(key.clone()));
        let counts = unless_newer(&shop.store, &shop.origin, chosen, None, &mut stop).await;
        match counts {
            Ok(Some(_)) => {
                self.offer(Job {
                    rel: Some(key),
                    listed: newest,
                    expect: Expect::Itself,
                    wrong: None,
                    is_older: false,
                    deep: false,
                })
                .await
            }
            Ok(None) if self.request.all_versions => self.older(Some(key), newest).await,
            Ok(None) => Ok(()),
            Err(fault) => self.weigh(told(fault).about(key.path().to_string())).await,
        }
    }
}
