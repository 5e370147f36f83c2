//! One path looked at on both sides.
//!
//! It asks for metadata, and reads a file of today only where size and time say
//! nothing; never an object's body.

use super::compare::{Object, between, change_of, difference, one_side};
use super::difference::{Against, Change, Comparison, Finding, Side};
use super::pairs::{Now, Pair};
use crate::files;
use crate::history::{Chosen, Name, current_of, head};
use crate::os::blocking::blocking_on;
use crate::restore::disk_content::{has_attributes, holds_content};
use crate::restore::faults::gone;
use crate::restore::report::Covered;
use crate::restore::{ownership, shadowed_version};
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fault, Fingerprint, MetaRefused, RelKey, RelPath};

/// Compares one path.
pub(super) struct EntryComparer {
    store: Store,
    comparison: Comparison,
    stop: Stop,
    /// What another program has put over the object, once that is known.
    covered: Option<Covered>,
}

impl EntryComparer {
    pub(super) fn new(store: &Store, comparison: &Comparison, stop: &Stop) -> Self {
        Self {
            store: store.clone(),
            comparison: comparison.clone(),
            stop: stop.clone(),
            covered: None,
        }
    }

    /// Look at both sides and say how they differ.
    ///
    /// # Errors
    /// One of them cannot be looked at.
    pub(super) async fn finding(mut self, pair: Pair) -> Result<Finding, Fault> {
        let mut finding = self.compare(pair).await?;
        if let Finding::Compared(difference) = &mut finding {
            difference.covered = self.covered;
        }
        Ok(finding)
    }

    async fn compare(&mut self, pair: Pair) -> Result<Finding, Fault> {
        let Pair { then, now } = pair;
        match (then, now) {
            (None, Now::Nothing | Now::Unseen) => Ok(Finding::Nothing),
            (None, Now::OnDisk { key, found, .. }) => self.only_on_disk(key, found).await,
            (None, Now::Chosen(now)) => {
                let known = self.known(&now).await?;
                if known.is_ok() && self.by_other_key(&now, true).await?.is_some() {
                    // Told where the moment's own key has its turn.
                    return Ok(Finding::Nothing);
                }
                Ok(one_side(None, known))
            }
            (Some(then), Now::Chosen(now)) if then.version_id == now.version_id => {
                let known = self.known(&then).await?;
                Ok(match known {
                    Ok(known) => {
                        let side = Side::of_meta(&known.meta);
                        difference(&known.key, Change::Same, Some(side), Some(side))
                    }
                    Err(finding) => finding,
                })
            }
            (Some(then), Now::Chosen(now)) => self.both(&then, &now).await,
            (Some(then), Now::OnDisk { found, empty, .. }) => match self.known(&then).await? {
                Ok(then) => self.with_disk(then, Some(found), empty).await,
                Err(finding) => Ok(finding),
            },
            (Some(then), Now::Nothing) => {
                if let Some(now) = self.by_other_key(&then, false).await? {
                    return self.both(&then, &now).await;
                }
                Ok(match self.known(&then).await? {
                    Ok(then) => one_side(Some(Side::of_meta(&then.meta)), Ok(then)),
                    Err(finding) => finding,
                })
            }
            (Some(then), Now::Unseen) => self.unseen(then).await,
        }
    }

    async fn both(&mut self, then: &Chosen, now: &Chosen) -> Result<Finding, Fault> {
        let (then, now) = (self.known(then).await?, self.known(now).await?);
        Ok(match (then, now) {
            (Ok(then), Ok(now)) => between(&then, &now),
            (Ok(then), Err(_)) => one_side(Some(Side::of_meta(&then.meta)), Ok(then)),
            (Err(finding), _) => finding,
        })
    }

    /// Between two moments: the same file on the other side, then (`in_then`) or
    /// now, where it has another key there. Few have two.
    async fn by_other_key(
        &mut self,
        chosen: &Chosen,
        in_then: bool,
    ) -> Result<Option<Chosen>, Fault> {
        let Against::Moment(now_ms) = self.comparison.against else {
            return Ok(None);
        };
        let (Name::Path(key) | Name::Older(key)) = &chosen.name else {
            return Ok(None);
        };
        if key.older(&self.comparison.origin.prefix).is_none() {
            return Ok(None);
        }
        let at_ms = match in_then {
            true => self.comparison.at_ms,
            false => now_ms,
        };
        let origin = &self.comparison.origin;
        current_of(&self.store, origin, key, at_ms, &mut self.stop).await
    }

    /// There is no object, or none that stands where this path's would.
    async fn only_on_disk(&mut self, key: RelKey, found: Fingerprint) -> Result<Finding, Fault> {
        let origin = &self.comparison.origin;
        if !key.may_be_elsewhere(&origin.prefix) {
            let now = Some(Side::of_disk(&found));
            return Ok(difference(&key, Change::Added, None, now));
        }
        let at_ms = self.comparison.at_ms;
        let current = current_of(&self.store, origin, &key, at_ms, &mut self.stop).await?;
        let Some(then) = current else {
            let now = Some(Side::of_disk(&found));
            return Ok(difference(&key, Change::Added, None, now));
        };
        if is_told_by_older(&then, &key) {
            return Ok(Finding::Nothing);
        }
        match self.known(&then).await? {
            Ok(then) => self.with_disk(then, Some(found), false).await,
            Err(finding) => Ok(finding),
        }
    }

    /// What stands at the object's path is not known yet.
    async fn unseen(&mut self, then: Chosen) -> Result<Finding, Fault> {
        let known = match self.known(&then).await? {
            Ok(known) => known,
            Err(finding) => return Ok(finding),
        };
        let path = known.key.path();
        if !self.comparison.selector.matches(&path) {
            return Ok(Finding::Nothing);
        }
        let (root, is_walked) = match &self.comparison.against {
            Against::Folder { root, .. } => (root.clone(), true),
            Against::Target(root) => (root.clone(), false),
            Against::Moment(_) => return Ok(Finding::Nothing),
        };
        let found = blocking(&path.clone(), move || match root.is_dir() {
            true => files::stat(&root, &path),
            // It is to be made yet.
            false => Ok(None),
        })
        .await?;
        if is_walked && found.is_some() && !is_told_by_older(&then, &known.key) {
            // The walk comes by, and asks for the object.
            return Ok(Finding::Nothing);
        }
        self.with_disk(known, found, false).await
    }

    async fn with_disk(
        &mut self,
        then: Object,
        found: Option<Fingerprint>,
        empty: bool,
    ) -> Result<Finding, Fault> {
        let side = Some(Side::of_meta(&then.meta));
        let Some(found) = found else {
            return Ok(difference(&then.key, Change::Removed, side, None));
        };
        let root = match &self.comparison.against {
            Against::Folder { root, .. } | Against::Target(root) => root.clone(),
            Against::Moment(_) => return Ok(Finding::Nothing),
        };
        let (path, meta) = (then.key.path(), then.meta.clone());
        let subject = path.clone();
        let change = blocking(&subject, move || {
            let change = change_of(&meta, &found, empty, || {
                holds_content(&root, &path, &found, &meta)
            })?;
            match change == Change::Same && !has_attributes(&root, &path, &meta)? {
                true => Ok(Change::Metadata),
                false => Ok(change),
            }
        })
        .await?;
        let now = Some(Side::of_disk(&found));
        Ok(difference(&then.key, change, side, now))
    }

    /// What the object says of itself; a finding when it is none of ours.
    async fn known(&mut self, chosen: &Chosen) -> Result<Result<Object, Finding>, Fault> {
        let origin = &self.comparison.origin;
        let Some(head) = head(&self.store, origin, chosen, &mut self.stop).await? else {
            return Err(gone(chosen));
        };
        let head = match head.meta {
            Err(MetaRefused::Foreign) => {
                let origin = &self.comparison.origin;
                let shadowed =
                    shadowed_version::find(&self.store, origin, chosen, &mut self.stop).await?;
                let Some(shadowed) = shadowed else {
                    return Ok(Err(Finding::Foreign));
                };
                self.covered = Some(shadowed_version::covered(origin, chosen, &shadowed));
                shadowed.head
            }
            _ => head,
        };
        let meta = match head.meta {
            Ok(meta) => meta,
            Err(refused) => return Err(ownership::unreadable_meta(chosen, &refused)),
        };
        if let Name::Foreign(why) = &chosen.name {
            return Err(ownership::misplaced(chosen, why));
        }
        let key = ownership::true_key(&self.comparison.origin, chosen, &meta)?;
        Ok(Ok(Object {
            key,
            meta,
            etag: head.etag,
        }))
    }
}

/// A file by its older key is told when that has its turn: something of another
/// program's may have the new key's. Whether a folder is empty the walk knows.
fn is_told_by_older(then: &Chosen, key: &RelKey) -> bool {
    matches!(then.name, Name::Older(_)) && !key.is_folder()
}

async fn blocking<T: Send + 'static>(
    path: &RelPath,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    blocking_on("compare", path.to_string(), work).await
}
