//! The moments that a person can go back to: those of manifests, and the days on which
//! something was stored or deleted.
//!
//! Any moment can be restored. Between these moments nothing changed. The number of days
//! and of pages read from the bucket's list is bounded.

use super::pages::{Pages, has_past};
use crate::manifest::{Listing, read};
use crate::retry::Stop;
use crate::s3::Store;
use crate::types::{Fatal, Origin, WallMs, is_own};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// Days that are kept: thirty years.
const DAYS_MAX: usize = 11_000;

/// Pages of the list that are read: two million versions, some minutes.
const PAGES_MAX: u64 = 2_000;

/// What happened on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Day {
    /// Versions stored.
    pub stored: u64,
    /// Deletions marked.
    pub deleted: u64,
    /// When the last change was made, milliseconds since 1970.
    pub last_ms: WallMs,
}

/// The moments of one source.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    /// Manifests, oldest first.
    pub manifests: Vec<Listing>,
    /// Manifests that are ignored, because the clock of their computer was ahead.
    pub ahead: Vec<Listing>,
    /// Days with changes, by the zone's calendar.
    pub days: BTreeMap<Date, Day>,
    /// When the first version was stored.
    pub first_ms: Option<WallMs>,
    /// The bucket has more versions than were looked at.
    pub cut: bool,
}

/// The moments of what lies below an origin's prefix.
///
/// # Errors
/// The listing cannot be had, or it was asked to stop.
pub async fn moments(
    store: &Store,
    origin: &Origin,
    zone: &TimeZone,
    stop: &mut Stop,
) -> Result<Moments, Fatal> {
    // A restore works without the right to list them.
    let listed = read::list(store, origin, stop).await.unwrap_or_default();
    let (ahead, manifests) = listed.into_iter().partition(Listing::is_ahead);
    let mut all = Moments {
        manifests,
        ahead,
        ..Moments::default()
    };
    let mut pages = Pages::new(store, &origin.bucket, vec![origin.prefix.clone()]);
    while pages.turned() < PAGES_MAX {
        let Some(page) = pages.next(stop).await? else {
            return Ok(all);
        };
        has_past(store, &origin.bucket)?;
        for version in page.filter(|version| !is_own(&version.key)) {
            all.count(version.modified_ms, version.is_marker, zone);
        }
        if stop.is_asked() {
            return Err(Fatal::interrupted("list moments"));
        }
    }
    all.cut = true;
    Ok(all)
}

impl Moments {
    fn count(&mut self, at_ms: WallMs, is_marker: bool, zone: &TimeZone) {
        let Ok(at) = at_ms.timestamp() else {
            return;
        };
        if !is_marker {
            self.first_ms = Some(self.first_ms.map_or(at_ms, |first| first.min(at_ms)));
        }
        let day = self.days.entry(zone.to_datetime(at).date()).or_default();
        day.stored += u64::from(!is_marker);
        day.deleted += u64::from(is_marker);
        day.last_ms = day.last_ms.max(at_ms);
        if self.days.len() > DAYS_MAX {
            self.days.pop_first();
            self.cut = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn changes_count_for_the_day_on_the_wall() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let mut all = Moments::default();
        for (text, is_marker) in [
            ("2026-11-20T22:59:59Z", false),
            ("2026-11-20T23:00:00Z", false),
            ("2026-11-21T08:00:00Z", true),
        ] {
            let at: Timestamp = text.parse().unwrap();
            all.count(at.into(), is_marker, &berlin);
        }
        let days: Vec<(String, u64, u64)> = all
            .days
            .iter()
            .map(|(date, day)| (date.to_string(), day.stored, day.deleted))
            .collect();
        assert_eq!(
            days,
            [("2026-11-20".into(), 1, 0), ("2026-11-21".into(), 1, 1)]
        );
        assert_eq!(all.first_ms, Some(WallMs(1_795_215_599_000)));
    }

    #[test]
    fn days_are_bounded_and_the_oldest_go() {
        let mut all = Moments::default();
        for day in 0..DAYS_MAX as i64 + 2 {
            all.count(WallMs(day * 86_400_000), false, &TimeZone::UTC);
        }
        assert!(all.cut && all.days.len() == DAYS_MAX);
        let (first, _) = all.days.first_key_value().unwrap();
        assert_eq!(first.to_string(), "1970-01-03");
    }
}
