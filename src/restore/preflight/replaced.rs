//! How much more disk space a restore over existing files needs, asked only where
//! space is scarce.
//!
//! Judged by the listing alone, an existing file saves the space of its new version.
//! That is true of a file that is the same. One that differs stays until its new
//! version has its name; in place, it stays for good unless the bucket has it as a
//! version. Metadata tells these cases apart: no file is read for it.

use crate::s3::{At, Store};
use crate::types::{Fingerprint, ObjectMeta, VersionId};
use futures::stream;
use futures::stream::StreamExt as _;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// So many of the largest files are asked about, with up to two requests each. The
/// others count as the same; each is compared again before it is written.
const ASKED_MAX: usize = 256;

/// Requests at once, before a restore.
pub(super) const ASKED_AT_ONCE: usize = 8;

/// A file that stands where one is to be restored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    /// The space that it seemed to save.
    pub(crate) saved_bytes: u64,
    pub(crate) key: String,
    pub(crate) version: Option<VersionId>,
    pub(crate) size_bytes: u64,
    pub(crate) mtime_ns: i128,
}

impl Standing {
    pub(crate) fn new(
        key: String,
        version: Option<VersionId>,
        found: &Fingerprint,
        saved: u64,
    ) -> Self {
        Self {
            saved_bytes: saved,
            key,
            version,
            size_bytes: found.size_bytes,
            mtime_ns: found.mtime_ns,
        }
    }

    fn is(&self, meta: &ObjectMeta) -> bool {
        (self.size_bytes, self.mtime_ns) == (meta.size_bytes, meta.mtime_ns)
    }
}

/// The largest of them, and all their bytes.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    largest: BinaryHeap<Reverse<Standing>>,
}

/// What becomes of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is the same: nothing is written.
    Stays,
    /// Its space is free when the new one has its name.
    Replaced,
    /// It stays beside the new one.
    KeptBeside,
}

impl Standings {
    pub(crate) fn push(&mut self, standing: Standing) {
        self.largest.push(Reverse(standing));
        if self.largest.len() > ASKED_MAX {
            self.largest.pop();
        }
    }

    /// What they may need at most.
    pub(crate) fn bytes_max(&self) -> u64 {
        let each = self.largest.iter().map(|Reverse(one)| one.saved_bytes);
        each.fold(0, u64::saturating_add)
    }

    /// Ask, and say how much more the disk needs at least.
    pub(crate) async fn more_bytes(self, store: &Store, bucket: &str, in_place: bool) -> u64 {
        let fates = stream::iter(self.largest).map(|Reverse(one)| async move {
            let fate = fate(store, bucket, &one, in_place).await;
            (fate, one.saved_bytes)
        });
        let fates: Vec<_> = fates.buffer_unordered(ASKED_AT_ONCE).collect().await;
        more(&fates)
    }
}

/// Those kept beside, and the largest of the replaced: one at a time is the
/// least there is.
fn more(fates: &[(Fate, u64)]) -> u64 {
    let of = |wanted| fates.iter().filter(move |(fate, _)| *fate == wanted);
    let beside = of(Fate::KeptBeside).map(|(_, bytes)| *bytes);
    let replaced = of(Fate::Replaced).map(|(_, bytes)| *bytes).max();
    let beside = beside.fold(0, u64::saturating_add);
    beside.saturating_add(replaced.unwrap_or(0))
}

/// A file that cannot be asked about counts as the same. Its failure is reported when
/// it is fetched.
async fn fate(store: &Store, bucket: &str, one: &Standing, in_place: bool) -> Fate {
    let at = At {
        bucket,
        key: &one.key,
    };
    let meta = async |version| store.head(at, version).await.ok().flatten()?.meta.ok();
    let Some(then) = meta(one.version.as_ref()).await else {
        return Fate::Stays;
    };
    if one.is(&then) {
        return Fate::Stays;
    }
    // The newest version is this very file as a rule: the backup goes on.
    let is_stored = in_place && meta(None).await.is_some_and(|newest| one.is(&newest));
    match is_stored || !in_place {
        true => Fate::Replaced,
        false => Fate::KeptBeside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_beside_adds_up_and_what_is_replaced_does_not() {
        use super::Fate::{KeptBeside, Replaced, Stays};
        for (fates, want) in [
            (&[][..], 0),
            (&[(Stays, 50)], 0),
            (&[(Replaced, 5), (Replaced, 7), (Stays, 50)], 7),
            (&[(KeptBeside, 5), (KeptBeside, 7), (Replaced, 3)], 15),
            (&[(KeptBeside, u64::MAX), (Replaced, 3)], u64::MAX),
        ] {
            assert_eq!(more(fates), want, "{fates:?}");
        }
    }

    #[test]
    fn only_the_largest_are_asked_about() {
        let mut standings = Standings::default();
        for saved_bytes in 0..ASKED_MAX as u64 + 10 {
            standings.push(Standing {
                saved_bytes,
                key: saved_bytes.to_string(),
                version: None,
                size_bytes: saved_bytes,
                mtime_ns: 0,
            });
        }
        let least = standings.largest.iter().map(|Reverse(one)| one.saved_bytes);
        assert_eq!(
            (least.min(), standings.largest.len()),
            (Some(10), ASKED_MAX)
        );
    }
}
