//! Finds a folder that is deleted now, and the last moment at which it still existed.

use super::pages::Pages;
use super::selector::LISTING_PREFIX_BYTES_MAX;
use crate::history::timeline::chosen::Name;
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fatal, Origin, RelKey, RelPath, WallMs};
use std::collections::BTreeMap;

/// A folder of which everything is deleted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeletedFolder {
    /// When the last of it was marked as deleted, milliseconds since 1970.
    pub deleted_at_ms: WallMs,
    /// The moment before its deletion began: what had been deleted long before stays so.
    pub there_at_ms: WallMs,
    /// Files in it that were stored after that moment.
    pub later: u64,
}

/// Deletions closer together than this are one: a folder is deleted in one go, and
/// thousands of delete markers are set in a minute.
const ONE_DELETION_MS: i64 = 60_000;

/// Spans of [`ONE_DELETION_MS`] that are remembered, the newest ones: nobody spends two
/// weeks on deleting one folder.
const SPANS_MAX: usize = 20_000;

/// Whether everything below `path` is deleted now. `None` as well where there never was
/// a folder, and where a name below it is too long for its key.
///
/// # Errors
/// The listing cannot be had, or it was asked to stop.
pub async fn deleted_folder(
    store: &Store,
    origin: &Origin,
    path: &RelPath,
    stop: &mut Stop,
) -> Result<Option<DeletedFolder>, Fatal> {
    let below = format!("{}{}", origin.prefix, RelKey::of_folder(path).as_str());
    if below.len() > LISTING_PREFIX_BYTES_MAX {
        return Ok(None);
    }
    // The first walk finds when it was deleted, the second what was stored since. A
    // folder that still exists is seen on the first page.
    let mut spans = Spans::default();
    let mut pages = Pages::new(store, &origin.bucket, vec![below.clone()]);
    while let Some(page) = pages.next(stop).await? {
        for version in page.filter(|version| version.is_latest) {
            match Name::of(&version.key, &origin.prefix) {
                Some(Name::Path(_) | Name::Shortened) if version.is_marker => {
                    spans.add(version.modified_ms);
                }
                Some(Name::Path(_) | Name::Shortened) => return Ok(None),
                Some(Name::Older(_) | Name::Foreign(_)) | None => {}
            }
        }
    }
    let Some((first_ms, deleted_at_ms)) = spans.last_run() else {
        return Ok(None);
    };
    let there_at_ms = first_ms - 1;
    let mut later = 0;
    let mut last = String::new();
    let mut pages = Pages::new(store, &origin.bucket, vec![below]);
    while let Some(page) = pages.next(stop).await? {
        for version in page.filter(|version| !version.is_marker) {
            // The newest version of each comes first.
            if version.key != last {
                later += u64::from(version.modified_ms > there_at_ms);
                last = version.key;
            }
        }
    }
    Ok(Some(DeletedFolder {
        deleted_at_ms,
        there_at_ms,
        later,
    }))
}

/// When things were deleted, by the minute.
#[derive(Default)]
struct Spans(BTreeMap<i64, (WallMs, WallMs)>);

impl Spans {
    fn add(&mut self, at_ms: WallMs) {
        let span = self.0.entry(at_ms.0.div_euclid(ONE_DELETION_MS));
        let (first_ms, last_ms) = span.or_insert((at_ms, at_ms));
        *first_ms = at_ms.min(*first_ms);
        *last_ms = at_ms.max(*last_ms);
        if self.0.len() > SPANS_MAX {
            self.0.pop_first();
        }
    }

    /// Beginning and end of the last deletion.
    fn last_run(&self) -> Option<(WallMs, WallMs)> {
        let mut newest_first = self.0.values().rev();
        let (mut first_ms, end_ms) = *newest_first.next()?;
        for (earlier_ms, until_ms) in newest_first {
            if first_ms - *until_ms >= ONE_DELETION_MS {
                break;
            }
            first_ms = *earlier_ms;
        }
        Some((first_ms, end_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_deletion_begins_where_nothing_was_deleted_for_a_minute() {
        for (at_s, want) in [
            (&[][..], None),
            (&[100], Some((100, 100))),
            (&[100, 130, 185, 244], Some((100, 244))),
            (&[244, 100, 130, 185], Some((100, 244))),
            (&[100, 161], Some((161, 161))),
            // Long before, of the same day.
            (&[10, 20, 500, 510, 560, 600], Some((500, 600))),
        ] {
            let mut spans = Spans::default();
            for at_s in at_s {
                spans.add(WallMs(at_s * 1_000));
            }
            let at = |at_s: i64| WallMs(at_s * 1_000);
            let want = want.map(|(first_s, last_s)| (at(first_s), at(last_s)));
            assert_eq!(spans.last_run(), want, "{at_s:?}");
        }
    }
}
