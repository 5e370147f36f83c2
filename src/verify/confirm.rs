//! Takes a second look at what seems wrong, and gathers all that can be said about it.

use super::context::VerifyContext;
use super::findings::{Damage, Finding, WholeVersion};
use super::judge;
use super::judge::Wrong;
use super::outcome::{CheckOutcome, VersionCheck};
use crate::s3::ListedVersion;
use crate::types::{Fault, WallMs};

/// Older versions that are tried to find one that is whole. Five damaged ones in a row
/// are another problem.
const WHOLE_TRIES: usize = 5;

impl VerifyContext {
    /// Something seems wrong. What one of our workers may be doing right now is checked again
    /// after a pause, everything else at once.
    pub(super) async fn settle(
        &self,
        check: &VersionCheck,
        wrong: Wrong,
    ) -> Result<CheckOutcome, Fault> {
        if self.known.is_some() && check.rel.is_some() && judge::may_be_ours(wrong.0) {
            return Ok(CheckOutcome::Unconfirmed(Box::new((check.clone(), wrong))));
        }
        self.confirm(check, wrong).await
    }

    /// Check once more whether it is really wrong, and gather all that can be said.
    pub(super) async fn confirm(
        &self,
        check: &VersionCheck,
        (damage, why): Wrong,
    ) -> Result<CheckOutcome, Fault> {
        let mut is_on_disk = None;
        if let (Some(known), Some(key)) = (&self.known, &check.rel) {
            let record = known.record(key).await?;
            if judge::has_changed(&check.expect, record.as_ref()) {
                return Ok(CheckOutcome::Moving);
            }
            // The list was read before the pause, and may have changed since.
            if judge::may_be_ours(damage) && !self.is_still_newest(&check.listed).await? {
                return Ok(CheckOutcome::Moving);
            }
            // A disk that cannot be read says nothing.
            is_on_disk = known.on_disk(&key.path()).await.ok().map(|f| f.is_some());
            if known.marks_deletions && judge::is_own_marker(damage, is_on_disk) {
                return Ok(CheckOutcome::Moving);
            }
        }
        let whole = match damage {
            Damage::Returned | Damage::Missing => None,
            // The finding is reported even when no more can be said about it.
            _ => self.newest_whole(check).await.unwrap_or_default(),
        };
        Ok(CheckOutcome::Wrong(Box::new(Finding {
            source: self.name.clone(),
            path: self.subject(check),
            key: check.rel.as_ref().map(|key| key.as_str().to_owned()),
            damage,
            why,
            version_id: check.listed.version_id.clone(),
            stored_at_ms: (check.listed.modified_ms > WallMs::default())
                .then_some(check.listed.modified_ms),
            is_older: check.is_older,
            is_on_disk,
            whole,
            repair: None,
        })))
    }

    /// Whether this version is still the newest of its key, or there is still none where
    /// none was listed.
    async fn is_still_newest(&self, listed: &ListedVersion) -> Result<bool, Fault> {
        let (bucket, key) = (&self.origin.bucket, &listed.key);
        let page = self.store.list_past(bucket, key, None).await?;
        let newest = page.items.first().filter(|newest| newest.key == *key);
        Ok(newest.and_then(|newest| newest.version_id.as_ref()) == listed.version_id.as_ref())
    }

    /// The newest version besides the damaged one that can be restored, as far
    /// as that is looked for.
    async fn newest_whole(&self, check: &VersionCheck) -> Result<Option<WholeVersion>, Fault> {
        let (bucket, key) = (&self.origin.bucket, &check.listed.key);
        let page = self.store.list_past(bucket, key, None).await?;
        let others = page
            .items
            .into_iter()
            .filter(|v| v.key == *key && !v.is_marker && v.version_id != check.listed.version_id)
            .take(WHOLE_TRIES);
        for version in others {
            let Some(head) = self.head(&version).await? else {
                continue;
            };
            let Ok(Some(meta)) = judge::of_itself(check.rel.as_ref(), &head) else {
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
