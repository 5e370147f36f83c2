//! Keys through time, told in versions (`v`), versions in parts (`p`) and
//! delete markers (`x`), each with the time at which it was stored.

use super::*;
use crate::types::{VersionId, id_text};

fn version(key: &str, version_id: &str, modified_ms: i64) -> ListedVersion {
    ListedVersion {
        version_id: VersionId::new(version_id),
        is_marker: version_id.starts_with('x'),
        etag: match version_id.starts_with('p') {
            true => "0123-2".into(),
            false => "0123".into(),
        },
        stored_bytes: 1,
        modified_ms: WallMs(modified_ms),
        ..ListedVersion::unlisted(key)
    }
}

/// `key@by_then` for each key, with `?undecided` where the metadata decides and
/// `!doubtful` where nothing does.
fn told(candidate: Candidate) -> String {
    let undecided = candidate
        .undecided
        .iter()
        .map(|undecided| &undecided.version);
    let doubtful = candidate.doubt.iter().flat_map(|doubt| &doubt.versions);
    let mut all = candidate
        .by_then
        .iter()
        .chain(undecided.clone())
        .chain(doubtful.clone());
    let mut text = all
        .next()
        .map(|version| version.key.clone())
        .unwrap_or_default();
    if let Some(by_then) = &candidate.by_then {
        text.push_str(&format!("@{}", id_text(&by_then.version_id)));
    }
    for undecided in undecided {
        text.push_str(&format!("?{}", id_text(&undecided.version_id)));
    }
    for doubtful in doubtful {
        text.push_str(&format!("!{}", id_text(&doubtful.version_id)));
    }
    text
}

/// In pages of `page` versions: the version_selector outlives them.
fn choose_in(
    at_ms: Option<i64>,
    now_ms: i64,
    listing: &[(&str, &str, i64)],
    page: usize,
) -> Vec<String> {
    let mut version_selector = VersionSelector::new(at_ms.map(WallMs), WallMs(now_ms));
    let mut picks = Vec::new();
    for page in listing.chunks(page) {
        for (key, id, ms) in page {
            picks.extend(
                version_selector
                    .push(version(key, id, *ms))
                    .into_iter()
                    .flatten(),
            );
        }
    }
    picks.extend(version_selector.end());
    picks.into_iter().map(told).collect()
}

fn choose(at_ms: Option<i64>, listing: &[(&str, &str, i64)]) -> Vec<String> {
    choose_now(at_ms, i64::MAX, listing)
}

fn choose_now(at_ms: Option<i64>, now_ms: i64, listing: &[(&str, &str, i64)]) -> Vec<String> {
    let whole = choose_in(at_ms, now_ms, listing, usize::MAX);
    for page in 1..=listing.len() {
        let paged = choose_in(at_ms, now_ms, listing, page);
        assert_eq!(paged, whole, "pages of {page}");
    }
    whole
}

const MINUTE_MS: i64 = 60_000;

#[test]
fn one_key_through_time() {
    let hour_ms = 60 * MINUTE_MS;
    let listing = [
        ("k", "v5", 5 * hour_ms),
        ("k", "x4", 4 * hour_ms),
        ("k", "v3", 3 * hour_ms),
        ("k", "v2", 2 * hour_ms),
    ];
    for (at_ms, want) in [
        (None, vec!["k@v5"]),
        (Some(i64::MAX), vec!["k@v5"]),
        (Some(5 * hour_ms), vec!["k@v5"]),
        // Stored a moment later: it may have been there.
        (Some(5 * hour_ms - 1), vec!["k?v5"]),
        (Some(4 * hour_ms), vec![]),
        // A deletion is not asked: it holds nothing.
        (Some(4 * hour_ms - 1), vec!["k@v3"]),
        (Some(3 * hour_ms - MINUTE_MS), vec!["k@v2?v3"]),
        (Some(3 * hour_ms - 16 * MINUTE_MS), vec!["k@v2"]),
        (Some(2 * hour_ms - 16 * MINUTE_MS), vec![]),
    ] {
        assert_eq!(choose(at_ms, &listing), want, "{at_ms:?}");
    }
}

/// A server that tells milliseconds tells a whole second, too, once in a thousand
/// times. Before: a file that was deleted then came back for a second's moments.
#[test]
fn a_whole_second_is_rounded_only_where_all_times_are_whole() {
    let to_the_millisecond = [("k", "x2", 9_000), ("k", "v1", 5_123)];
    let rounded = [("k", "x2", 9_000), ("k", "v1", 5_000)];
    for (listing, want) in [(&to_the_millisecond, vec![]), (&rounded, vec!["k@v1"])] {
        for at_ms in [9_001, 9_500, 9_999] {
            assert_eq!(choose(Some(at_ms), listing), want, "{at_ms}");
        }
        assert_eq!(choose(Some(9_000), listing), Vec::<String>::new());
        assert_eq!(choose(Some(10_000), listing), Vec::<String>::new());
        assert_eq!(choose(Some(8_999), listing), ["k@v1"]);
    }
    // One time is enough, of whatever key, and later ones go by it as well.
    let several = [
        ("a", "x2", 9_000),
        ("a", "v1", 5_123),
        ("b", "x2", 9_000),
        ("b", "v1", 5_000),
    ];
    assert_eq!(choose(Some(9_500), &several), Vec::<String>::new());
    let version = [("k", "v2", 9_000), ("k", "v1", 5_123)];
    assert_eq!(choose(Some(9_500), &version), ["k@v2"]);
}

#[test]
fn several_keys_markers_and_ties() {
    for (at_ms, listing, want) in [
        // A marker that is the newest: no file, whatever lies below.
        (
            None,
            vec![("a", "x2", 2), ("a", "v1", 1), ("b", "v1", 1)],
            vec!["b@v1"],
        ),
        // Of one instant, the server's order decides.
        (Some(5), vec![("a", "v2", 5), ("a", "v1", 5)], vec!["a@v2"]),
        (Some(5), vec![("a", "v2", 5), ("a", "x1", 5)], vec!["a@v2"]),
        (Some(5), vec![("a", "x2", 5), ("a", "v1", 5)], vec![]),
        // Each key is decided for itself, also one that has not begun yet.
        (
            Some(5),
            vec![
                ("a", "v1", 9),
                ("b", "v2", 9),
                ("b", "v1", 4),
                ("c", "v1", 5),
            ],
            vec!["a?v1", "b@v1?v2", "c@v1"],
        ),
        // Only the first after the moment, and no deletion before it.
        (
            Some(5),
            vec![
                ("a", "v4", 8),
                ("a", "v3", 7),
                ("a", "x2", 6),
                ("a", "v1", 5),
            ],
            vec!["a@v1"],
        ),
        (
            Some(5),
            vec![("a", "x4", 8), ("a", "v3", 7), ("a", "v1", 5)],
            vec!["a@v1?v3"],
        ),
        // A key that is the beginning of another is another key.
        (
            None,
            vec![("a", "v1", 1), ("a/", "v1", 1), ("a/b", "v1", 1)],
            vec!["a@v1", "a/@v1", "a/b@v1"],
        ),
        (None, vec![], vec![]),
    ] {
        assert_eq!(choose(at_ms, &listing), want, "{listing:?}");
    }
}

#[test]
fn what_was_in_parts_may_have_been_there_for_days() {
    let day_ms = 24 * 60 * MINUTE_MS;
    let listing = [("a", "p2", 20 * day_ms), ("a", "v1", day_ms)];
    for (at_ms, want) in [
        (12 * day_ms, "a@v1?p2"),
        (12 * day_ms - 1, "a@v1"),
        (20 * day_ms, "a@p2"),
    ] {
        assert_eq!(choose(Some(at_ms), &listing), [want], "{at_ms}");
    }
}

#[test]
fn the_metadata_decides_unless_its_clock_cannot_be_right() {
    let undecided = |before_ms| Undecided {
        version: version("a", "v2", 100_000),
        before_ms,
    };
    for (before_ms, seen_ms, at_ms, want) in [
        (None, Some(90_000), 95_000, true),
        (None, Some(90_000), 89_999, false),
        (None, None, 99_999, false),
        // A clock ahead: the server's time counts.
        (None, Some(100_001), 99_999, false),
        // A clock behind the version before.
        (Some(92_000), Some(90_000), 95_000, false),
    ] {
        let got = undecided(before_ms.map(WallMs)).was_current(WallMs(at_ms), seen_ms.map(WallMs));
        assert_eq!(got, want, "{before_ms:?} {seen_ms:?} {at_ms}");
    }
}

#[test]
fn within_one_second_the_metadata_decides() {
    // A server that says whole seconds.
    let listing = [
        ("k", "v4", 8_000),
        ("k", "v3", 7_000),
        ("k", "x2", 7_000),
        ("k", "v1", 7_000),
        ("k", "v0", 3_000),
    ];
    for (at_ms, want) in [
        (8_000, "k@v4"),
        // The newest that was read by then; the deletion is nobody's to ask.
        (7_500, "k@v0?v4?v3?v1"),
        // The second that the server shows: all of it.
        (7_000, "k@v3?v4"),
        (6_999, "k@v0?v1"),
        (3_500, "k?v1?v0"),
    ] {
        assert_eq!(choose(Some(at_ms), &listing), [want], "{at_ms}");
    }
}

#[test]
fn a_deletion_of_the_same_second_leaves_the_file_until_the_second_is_over() {
    let listing = [("k", "x2", 7_000), ("k", "v1", 6_000)];
    for (at_ms, want) in [
        (6_500, vec!["k?v1"]),
        (6_999, vec!["k?v1"]),
        (7_001, vec!["k@v1"]),
        (7_999, vec!["k@v1"]),
        (7_000, vec![]),
        (8_000, vec![]),
    ] {
        assert_eq!(choose(Some(at_ms), &listing), want, "{at_ms}");
    }
}

const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Named after the bug: a file that was saved while the clock was a day ahead came
/// back with the content before it.
#[test]
fn a_clock_that_was_a_day_ahead_is_bounded_by_what_was_written_since() {
    let today = 100 * DAY_MS;
    let listing = [
        ("k", "v4", today + 3 * HOUR_MS),
        ("k", "v3", today + 2 * HOUR_MS),
        // In truth an hour before `v3` at the latest.
        ("k", "v2", today + DAY_MS + HOUR_MS),
        ("k", "v1", today - 5 * HOUR_MS),
    ];
    for now_ms in [today + 4 * HOUR_MS, today + 9 * DAY_MS] {
        for (at_ms, want) in [
            (today - 6 * HOUR_MS, vec![]),
            (today - 5 * HOUR_MS, vec!["k!v2"]),
            (today, vec!["k!v2"]),
            (today + 90 * MINUTE_MS, vec!["k!v2"]),
            (today + 2 * HOUR_MS, vec!["k@v3"]),
            (today + 3 * HOUR_MS, vec!["k@v4"]),
            (today + 4 * HOUR_MS, vec!["k@v4"]),
        ] {
            let at = (at_ms - today) / MINUTE_MS;
            assert_eq!(choose_now(Some(at_ms), now_ms, &listing), want, "{at} min");
        }
    }
}

/// Named after the bug: a file that was renamed while the year was 2037 came back
/// under its old name at every later moment.
#[test]
fn a_deletion_whose_time_has_not_come_is_named_and_not_passed_over() {
    let listing = [("k", "x2", 4_000 * DAY_MS), ("k", "v1", 10 * DAY_MS)];
    let now_ms = 20 * DAY_MS;
    for (at_ms, want) in [
        (Some(9 * DAY_MS), vec![]),
        (Some(10 * DAY_MS), vec!["k!x2"]),
        (Some(now_ms - 1), vec!["k!x2"]),
        // How things are now needs no times.
        (None, vec![]),
    ] {
        assert_eq!(choose_now(at_ms, now_ms, &listing), want, "{at_ms:?}");
    }
    // The same time when it has come.
    let now_ms = 4_001 * DAY_MS;
    assert_eq!(choose_now(Some(3_000 * DAY_MS), now_ms, &listing), ["k@v1"]);
}

#[test]
fn one_time_against_another_is_in_doubt_until_both_are_past() {
    let listing = [
        ("k", "v3", 9 * DAY_MS),
        ("k", "v2", 4 * DAY_MS),
        ("k", "v1", 6 * DAY_MS),
        ("k", "v0", 3 * DAY_MS),
    ];
    for (at_day, want) in [
        (2, vec![]),
        (3, vec!["k!v2!v1"]),
        (4, vec!["k!v2!v1"]),
        (5, vec!["k!v2!v1"]),
        // Whichever clock was wrong, `v2` was written last.
        (6, vec!["k@v2"]),
        (8, vec!["k@v2"]),
        (9, vec!["k@v3"]),
    ] {
        assert_eq!(choose(Some(at_day * DAY_MS), &listing), want, "{at_day}");
    }
}

#[test]
fn a_key_of_many_versions_is_decided_within_bounds() {
    let count = 4 * BESIDE_MAX as i64;
    let ids: Vec<String> = (0..count).map(|n| format!("v{n}")).collect();
    let mut listing: Vec<(&str, &str, i64)> = (0..count)
        .rev()
        .map(|n| ("k", ids[n as usize].as_str(), n * HOUR_MS))
        .collect();
    for n in [0, 1, count / 2, count - 1] {
        let at_ms = n * HOUR_MS + 30 * MINUTE_MS;
        let picks = choose_in(Some(at_ms), i64::MAX, &listing, 100);
        assert_eq!(picks, [format!("k@v{n}")]);
    }
    // One wrong clock far from the moment changes nothing about it.
    listing[3].2 = 10_000 * HOUR_MS;
    let picks = choose_in(Some(100 * HOUR_MS), i64::MAX, &listing, 100);
    assert_eq!(picks, ["k@v100"]);
}
