//! Keepwatch's own version under another program's object.
//!
//! Invariant: what restore would bring back, or name, is checked here too, by the same
//! rules. Nothing is changed.

use super::context::VerifyContext;
use super::findings::Damage;
use super::judge;
use super::judge::Wrong;
use super::outcome::VersionCheck;
use crate::history::{Chosen, Name};
use crate::restore::{ShadowedVersion, shadowed_version};
use crate::s3::ListedVersion;
use crate::types::{Class, Fault};

impl VerifyContext {
    /// What is wrong with the version of ours that the foreign version of `check` shadows;
    /// `None` where it shadows nothing of ours.
    pub(super) async fn shadowed(&self, check: &VersionCheck) -> Result<Option<Wrong>, Fault> {
        // Something newer lies over an older one itself.
        if check.is_older {
            return Ok(None);
        }
        let Some(name) = Name::of(&check.listed.key, &self.origin.prefix) else {
            return Ok(None);
        };
        let over = Chosen::of(check.listed.clone(), name);
        let mut stop = self.stop.clone();
        match shadowed_version::find(&self.store, &self.origin, &over, &mut stop).await {
            Ok(None) => Ok(None),
            Ok(Some(shadowed)) => {
                let mut why = "another program's object lies over it in the bucket; the newest version that Keepwatch wrote lies beneath".to_owned();
                if let Some((_, also)) = self.damage_of(check, shadowed).await? {
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

    /// What is wrong with the shadowed version.
    async fn damage_of(
        &self,
        check: &VersionCheck,
        shadowed: ShadowedVersion,
    ) -> Result<Option<Wrong>, Fault> {
        let Chosen {
            key,
            version_id,
            etag,
            stored_bytes,
            modified_ms,
            storage_class,
            ..
        } = shadowed.chosen;
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
        let meta = match judge::of_itself(check.rel.as_ref(), &head) {
            Ok(Some(meta)) => meta.clone(),
            Ok(None) => return Ok(None),
            Err(wrong) => return Ok(Some(wrong)),
        };
        if !check.deep || judge::is_cold(&listed.storage_class) {
            return Ok(None);
        }
        match self.content(&listed, &head, &meta).await {
            Err(fault) if fault.is_cold() => Ok(None),
            checked => checked,
        }
    }
}
