//! The bucket's list of versions, walked beside the lines of a manifest: what
//! became of the version that a line names.
//!
//! Invariant: in doubt a version counts as replaced by a younger one, and is not
//! told as missing; another program's object replaces none. Holds one page.

use crate::history::{OLDER_MAX, Pages, head_at};
use crate::manifest::{CLOCKS_APART_MAX_MS, ManifestEntry};
use crate::restore::context::RestoreContext;
use crate::retry::Stop;
use crate::s3::{At, Head, ListedVersion};
use crate::types::{Fault, MetaRefused, VersionId, WallMs};
use std::cmp::Ordering;
use std::iter::Peekable;

/// Versions of one key whose metadata is asked for, to tell whether they are older
/// or younger than one that is gone. Whoever saves more often than this in a
/// quarter of an hour has a younger one among them.
const DOUBTS_MAX: usize = 8;

/// What the bucket has of a line's key.
#[derive(Debug, Default)]
pub(crate) struct Fate {
    /// The very version is there.
    pub(crate) is_there: bool,
    /// It is what was current at the moment, as far as the server's times tell.
    pub(crate) is_current: bool,
    /// Some version (no deletion) was current at the moment.
    pub(crate) has_object: bool,
    /// A deletion stood in its place at the moment.
    is_deleted: bool,
    /// Versions that are surely younger, newest first: it is replaced if one of them
    /// is ours.
    younger: Vec<Option<VersionId>>,
    /// Versions of which the times do not tell.
    doubts: Vec<Doubt>,
    /// There were more of these than are asked.
    has_more_doubts: bool,
    is_begun: bool,
}

#[derive(Debug)]
struct Doubt {
    version_id: Option<VersionId>,
    /// By the server's time it was stored after the moment.
    is_later: bool,
}

impl Fate {
    /// The next of the key's versions, newest first. The server's clock gave
    /// `version` its time, the computer's gave `line` its own.
    fn consider(&mut self, version: &ListedVersion, line: &ManifestEntry, until_ms: WallMs) {
        let is_later = version.modified_ms > until_ms;
        let is_it = !version.is_marker && version.version_id == line.version_id;
        if !is_later && !self.is_begun {
            self.is_begun = true;
            self.has_object = !version.is_marker;
            self.is_current = is_it;
        }
        self.is_there |= is_it;
        let after_ms = version.modified_ms - line.stored_at_ms;
        let too_late_ms = version.modified_ms - until_ms;
        if is_it || after_ms < -CLOCKS_APART_MAX_MS || too_late_ms > CLOCKS_APART_MAX_MS {
            return;
        }
        let is_surely_younger = after_ms > CLOCKS_APART_MAX_MS && !is_later;
        // A deletion has nothing that could be asked.
        if version.is_marker {
            self.is_deleted |= !is_later;
        } else if is_surely_younger {
            // One more than are asked shows that there are more.
            if self.younger.len() <= OLDER_MAX {
                self.younger.push(version.version_id.clone());
            }
        } else if self.doubts.len() < DOUBTS_MAX {
            self.doubts.push(Doubt {
                version_id: version.version_id.clone(),
                is_later,
            });
        } else {
            self.has_more_doubts = true;
        }
    }
}

/// The walk.
pub(crate) struct Listing<'a> {
    ctx: &'a RestoreContext,
    until_ms: WallMs,
    /// The restore has met objects of other programs: only then is it asked whose
    /// the younger ones are.
    any_foreign: bool,
    pages: Pages<'a>,
    page: Peekable<std::vec::IntoIter<ListedVersion>>,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(ctx: &'a RestoreContext, until_ms: WallMs) -> Self {
        let prefixes = ctx.selector.prefixes(&ctx.origin.prefix);
        let met = ctx.stats.result();
        Self {
            ctx,
            until_ms,
            any_foreign: met.skipped_foreign > 0 || met.covered.total > 0,
            pages: Pages::new(&ctx.store, &ctx.origin.bucket, prefixes),
            page: Vec::new().into_iter().peekable(),
        }
    }

    /// What became of a line. Keys come in order, save shortened ones: these stand
    /// elsewhere in the list. `None` when the server does not keep to the order,
    /// and nothing can be said any more.
    pub(crate) async fn fate(
        &mut self,
        key: &str,
        is_shortened: bool,
        line: &ManifestEntry,
        stop: &mut Stop,
    ) -> Result<Option<Fate>, Fault> {
        let (mut fate, until_ms) = (Fate::default(), self.until_ms);
        if is_shortened {
            self.alone(key, line, &mut fate, stop).await?;
            return Ok(Some(fate));
        }
        while let Some(version) = self.peek(stop).await? {
            match version.key.as_str().cmp(key) {
                Ordering::Greater => break,
                Ordering::Equal => fate.consider(version, line, until_ms),
                Ordering::Less => {}
            }
            self.page.next();
        }
        let is_known = self.pages.is_in_order() && !stop.is_asked();
        Ok(is_known.then_some(fate))
    }

    async fn alone(
        &self,
        key: &str,
        line: &ManifestEntry,
        fate: &mut Fate,
        stop: &mut Stop,
    ) -> Result<(), Fault> {
        let ctx = self.ctx;
        let mut pages = Pages::new(&ctx.store, &ctx.origin.bucket, vec![key.to_owned()]);
        while let Some(page) = pages.next(stop).await? {
            for version in page {
                match version.key == key {
                    true => fate.consider(&version, line, self.until_ms),
                    // Longer keys with the same beginning come after it.
                    false => return Ok(()),
                }
            }
        }
        Ok(())
    }

    async fn peek(&mut self, stop: &mut Stop) -> Result<Option<&ListedVersion>, Fault> {
        while self.page.peek().is_none() {
            if !self.pages.is_in_order() || stop.is_asked() {
                return Ok(None);
            }
            let Some(page) = self.pages.next(stop).await? else {
                return Ok(None);
            };
            self.page = page.peekable();
        }
        Ok(self.page.peek())
    }

    /// Whether the line's version is gone, and nothing younger of ours stood in its
    /// place at the moment.
    pub(crate) async fn is_missing(
        &self,
        key: &str,
        line: &ManifestEntry,
        fate: &Fate,
        stop: &mut Stop,
    ) -> Result<bool, Fault> {
        if fate.is_there || fate.is_deleted || self.is_replaced(key, fate, stop).await {
            return Ok(false);
        }
        for doubt in &fate.doubts {
            if self.is_younger(key, line, doubt, stop).await? {
                return Ok(false);
            }
        }
        // Other programs' objects may have been all that was asked.
        let is_in_doubt = fate.has_more_doubts && self.any_foreign;
        Ok(!is_in_doubt && !stop.is_asked())
    }

    /// Whether one of the surely younger versions is ours. What cannot be asked, or
    /// not within bounds, counts as ours.
    async fn is_replaced(&self, key: &str, fate: &Fate, stop: &mut Stop) -> bool {
        if fate.younger.is_empty() {
            return false;
        }
        if !self.any_foreign || fate.younger.len() > OLDER_MAX {
            return true;
        }
        for version_id in &fate.younger {
            match self.head(key, version_id.as_ref(), stop).await {
                Ok(Some(head)) if is_foreign(&head) => {}
                _ => return true,
            }
        }
        false
    }

    /// Ask a version when its file was read: by the clock that the line's time is
    /// by. Where it does not say, the clocks differed, and it may be younger.
    async fn is_younger(
        &self,
        key: &str,
        line: &ManifestEntry,
        doubt: &Doubt,
        stop: &mut Stop,
    ) -> Result<bool, Fault> {
        let head = self.head(key, doubt.version_id.as_ref(), stop).await?;
        if head.as_ref().is_some_and(is_foreign) {
            return Ok(false);
        }
        let seen_ms = head.and_then(|head| head.meta.ok()?.seen_ms);
        Ok(match seen_ms {
            Some(seen_ms) => seen_ms >= line.stored_at_ms && seen_ms <= self.until_ms,
            None => !doubt.is_later,
        })
    }

    async fn head(
        &self,
        key: &str,
        version_id: Option<&VersionId>,
        stop: &mut Stop,
    ) -> Result<Option<Head>, Fault> {
        let bucket = &self.ctx.origin.bucket;
        let at = At { bucket, key };
        head_at(&self.ctx.store, at, version_id, stop).await
    }
}

fn is_foreign(head: &Head) -> bool {
    matches!(head.meta, Err(MetaRefused::Foreign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Fingerprint, RelKey};

    const HOUR_MS: i64 = 3_600_000;
    const MINUTE_MS: i64 = 60_000;

    fn version(id: &str, modified_ms: i64, is_marker: bool) -> ListedVersion {
        ListedVersion {
            version_id: VersionId::new(id),
            is_marker,
            modified_ms: WallMs(modified_ms),
            ..ListedVersion::unlisted("a")
        }
    }

    #[test]
    fn clocks_may_differ_by_a_quarter_of_an_hour() {
        let line = ManifestEntry {
            version_id: VersionId::new("it"),
            stored_at_ms: WallMs(HOUR_MS),
            ..ManifestEntry::without_object(&RelKey::parse("a").unwrap(), &Fingerprint::UNSEEN)
        };
        let put = |minutes: i64| version("other", HOUR_MS + minutes * MINUTE_MS, false);
        let marker = |minutes: i64| version("mark", HOUR_MS + minutes * MINUTE_MS, true);
        let it = version("it", HOUR_MS, false);
        // What the list has, the moment in minutes after the line; there, current,
        // surely replaced, and how many are to be asked.
        for (name, listed, until, want) in [
            ("nothing", vec![], 600, (false, false, false, 0)),
            ("itself", vec![it.clone()], 600, (true, true, false, 0)),
            (
                "surely younger",
                vec![put(16)],
                600,
                (false, false, true, 0),
            ),
            (
                "surely older",
                vec![put(-16)],
                600,
                (false, false, false, 0),
            ),
            (
                "by a clock that is behind",
                vec![put(-10)],
                600,
                (false, false, false, 1),
            ),
            (
                "by the same clock",
                vec![put(1)],
                600,
                (false, false, false, 1),
            ),
            (
                "deleted, by a clock that is behind",
                vec![marker(-10)],
                600,
                (false, false, true, 0),
            ),
            (
                "deleted long before",
                vec![marker(-16)],
                600,
                (false, false, false, 0),
            ),
            (
                "after the moment",
                vec![put(50)],
                30,
                (false, false, false, 0),
            ),
            (
                "a little after it",
                vec![put(40)],
                30,
                (false, false, false, 1),
            ),
            (
                "deleted after it",
                vec![marker(40)],
                30,
                (false, false, false, 0),
            ),
            (
                "replaced since",
                vec![put(50), it.clone()],
                30,
                (true, true, false, 0),
            ),
            (
                "replaced by then",
                vec![put(50), it.clone()],
                60,
                (true, false, true, 0),
            ),
        ] {
            let mut fate = Fate::default();
            for version in &listed {
                fate.consider(version, &line, WallMs(HOUR_MS + until * MINUTE_MS));
            }
            let doubts = fate.doubts.len();
            let is_replaced = fate.is_deleted || !fate.younger.is_empty();
            let got = (fate.is_there, fate.is_current, is_replaced, doubts);
            assert_eq!(got, want, "{name}");
        }
    }
}
