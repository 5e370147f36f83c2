//! Keys through time, told in versions (`v`), versions in parts (`p`) and
//! delete markers (`x`), each with the time at which it was stored.

use super::*;

fn version(key: &str, version_id: &str, modified_ms: i64) -> ListedVersion {
    ListedVersion {
        key: key.to_owned(),
        version_id: version_id.to_owned(),
        is_latest: false,
        is_marker: version_id.starts_with('x'),
        etag: match version_id.starts_with('p') {
            true => "0123-2".to_owned(),
            false => "0123".to_owned(),
        },
        stored_bytes: 1,
        modified_ms,
        storage_class: String::new(),
    }
}

/// `key@by_then` for each key, with `?perhaps` where the metadata decides.
fn told(pick: Pick) -> String {
    let perhaps = pick.perhaps.map(|perhaps| perhaps.version);
    let key = pick.by_then.as_ref().or(perhaps.as_ref());
    let mut text = key.map(|version| version.key.clone()).unwrap_or_default();
    if let Some(by_then) = &pick.by_then {
        text.push_str(&format!("@{}", by_then.version_id));
    }
    if let Some(perhaps) = &perhaps {
        text.push_str(&format!("?{}", perhaps.version_id));
    }
    text
}

/// In pages of `page` versions: the chooser outlives them.
fn choose_in(at_ms: Option<i64>, listing: &[(&str, &str, i64)], page: usize) -> Vec<String> {
    let mut chooser = Chooser::new(at_ms);
    let mut picks = Vec::new();
    for page in listing.chunks(page) {
        for (key, id, ms) in page {
            picks.extend(chooser.push(version(key, id, *ms)).into_iter().flatten());
        }
    }
    picks.extend(chooser.end());
    picks.into_iter().map(told).collect()
}

fn choose(at_ms: Option<i64>, listing: &[(&str, &str, i64)]) -> Vec<String> {
    let whole = choose_in(at_ms, listing, usize::MAX);
    for page in 1..=listing.len() {
        assert_eq!(choose_in(at_ms, listing, page), whole, "pages of {page}");
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
    let perhaps = |before_ms| Perhaps {
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
        let got = perhaps(before_ms).was_current(at_ms, seen_ms);
        assert_eq!(got, want, "{before_ms:?} {seen_ms:?} {at_ms}");
    }
}
