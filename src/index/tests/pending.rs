//! Unprotected paths, failures, and what a digest takes off.

use super::*;
use crate::types::WallMs;

fn fault(cause: &str) -> Fault {
    Fault::new(Class::Unreadable, "read", "x", cause)
}

#[test]
fn the_first_moment_stays_and_attempts_count() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    let a = key("a");
    for (now_ms, next_ms) in [(100, 200), (200, 200), (200, 400)] {
        index
            .mark_unprotected(
                source,
                &a,
                &fault("denied"),
                WallMs(now_ms),
                WallMs(next_ms),
            )
            .unwrap();
    }
    drop(index);
    let index = open(&root);
    let (list, total) = index.unprotected(source, 10).unwrap();
    let want = Unprotected {
        fault: fault("denied"),
        since_ms: WallMs(100),
        attempts: 3,
        next_try_ms: WallMs(400),
    };
    assert_eq!((list, total), (vec![(a.clone(), want)], 1));
    assert_eq!(index.next_due(source), Ok(Some(WallMs(400))));

    index
        .commit(source, &a, Change::Put(record(1)), &Activity::default())
        .unwrap();
    assert_eq!(index.unprotected(source, 10), Ok((vec![], 0)));
    assert_eq!(index.next_due(source), Ok(None));
    // The digest still says that it failed.
    let failures = index.failures(source).unwrap();
    assert_eq!(failures.list[0].1.count, 3);
}

#[test]
fn nothing_is_unprotected_since_the_future_after_the_clock_was_set_back() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    for (now_ms, since_ms) in [(9_000, 9_000), (100, 100), (200, 100)] {
        index
            .mark_unprotected(
                source,
                &key("a"),
                &fault("denied"),
                WallMs(now_ms),
                WallMs(now_ms + 1),
            )
            .unwrap();
        let (list, _) = index.unprotected(source, 10).unwrap();
        assert_eq!(list[0].1.since_ms, WallMs(since_ms), "at {now_ms}");
    }
}

#[test]
fn an_update_protects_nothing_and_clearing_does() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    for name in ["a", "b"] {
        index
            .mark_unprotected(source, &key(name), &fault("x"), WallMs(1), WallMs(2))
            .unwrap();
    }
    index.update(source, &key("a"), record(1)).unwrap();
    index.clear_unprotected(source, &key("b")).unwrap();
    index.clear_unprotected(source, &key("never")).unwrap();
    let (list, total) = index.unprotected(source, 10).unwrap();
    assert_eq!((list[0].0.clone(), total), (key("a"), 1));
}

#[test]
fn due_comes_in_order_of_time_and_only_when_due() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    for (name, at) in [("a", 300), ("b", 100), ("c", 200), ("d", 201), ("e", -7)] {
        index
            .mark_unprotected(source, &key(name), &fault("x"), WallMs(1), WallMs(at))
            .unwrap();
    }
    let due = |now_ms, limit| -> Vec<String> {
        let keys = index.due(source, now_ms, limit).unwrap();
        keys.iter().map(|k| k.as_str().to_owned()).collect()
    };
    for (now_ms, limit, want) in [
        (-8, 10, ""),
        (99, 10, "e"),
        (200, 10, "ebc"),
        (200, 2, "eb"),
        (i64::MAX, 10, "ebcda"),
    ] {
        assert_eq!(due(WallMs(now_ms), limit).concat(), want, "{now_ms}");
    }
    assert_eq!(index.next_due(source), Ok(Some(WallMs(-7))));
}

#[test]
fn a_digest_takes_off_only_what_it_reported() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    let delta = |versions| Activity {
        versions,
        requests: 2,
        ..Activity::default()
    };
    let fail = |name: &str, cause: &str| {
        index
            .mark_unprotected(source, &key(name), &fault(cause), WallMs(1), WallMs(2))
            .unwrap();
    };
    index.add_activity(source, &delta(5)).unwrap();
    fail("a", "first");
    fail("b", "only");
    let (activity, failures) = (index.activity(source), index.failures(source).unwrap());
    // While the digest is on its way:
    index.add_activity(source, &delta(1)).unwrap();
    fail("a", "second");
    fail("c", "new");
    index.close_period(source, &activity, &failures).unwrap();
    assert_eq!(index.activity(source), delta(1));
    drop(index);

    let index = open(&root);
    assert_eq!(index.activity(source), delta(1));
    let left: Vec<_> = index
        .failures(source)
        .unwrap()
        .list
        .into_iter()
        .map(|(key, f)| (key.as_str().to_owned(), f.count, f.fault.cause))
        .collect();
    let want = [("a", 1, "second"), ("c", 1, "new")];
    assert_eq!(left, want.map(|(k, n, why)| (k.into(), n, why.into())));
    assert_eq!(index.unprotected(source, 0).unwrap().1, 3);
}

#[test]
fn failures_are_bounded_and_the_rest_counted() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    for i in 0..FAILURES_MAX + 2 {
        index
            .mark_unprotected(
                source,
                &key(&format!("f{i:05}")),
                &fault("x"),
                WallMs(1),
                WallMs(2),
            )
            .unwrap();
    }
    // One that is listed already is no further path.
    index
        .mark_unprotected(source, &key("f00000"), &fault("x"), WallMs(1), WallMs(2))
        .unwrap();
    let failures = index.failures(source).unwrap();
    assert_eq!(failures.list.len() as u64, FAILURES_MAX);
    assert_eq!(failures.overflow, 2);
    // None is forgotten for it.
    assert_eq!(index.unprotected(source, 1).unwrap().1, FAILURES_MAX + 2);
    index
        .close_period(source, &Activity::default(), &failures)
        .unwrap();
    assert_eq!(index.failures(source), Ok(Failures::default()));
    index
        .mark_unprotected(source, &key("f00001"), &fault("x"), WallMs(1), WallMs(2))
        .unwrap();
    assert_eq!(index.failures(source).unwrap().list.len(), 1);
}

#[test]
fn a_next_try_put_down_by_a_clock_that_ran_ahead_is_due_when_that_is_put_right() {
    const HOUR_MS: i64 = 3_600_000;
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    let day_ms = 24 * HOUR_MS;
    for (name, next_ms) in [("wrong", 400 * day_ms), ("soon", day_ms + HOUR_MS)] {
        index
            .mark_unprotected(
                source,
                &key(name),
                &fault("x"),
                WallMs(next_ms - 1),
                WallMs(next_ms),
            )
            .unwrap();
    }
    let due = |now_ms| {
        let due = index.due(source, now_ms, 10).unwrap();
        due.into_iter()
            .map(|key| key.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(due(WallMs(day_ms)), ["wrong"]);
    assert_eq!(due(WallMs(day_ms + HOUR_MS)), ["soon", "wrong"]);
    assert_eq!(
        index
            .due(source, WallMs(day_ms + HOUR_MS), 1)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn the_oldest_of_the_failures_that_count_is_found() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    assert_eq!(index.oldest_unprotected(source, |_| true).unwrap(), None);
    for (name, now_ms) in [("a", 30), ("b", 10), ("c", 20)] {
        index
            .mark_unprotected(source, &key(name), &fault("x"), WallMs(now_ms), WallMs(99))
            .unwrap();
    }
    let found = index
        .oldest_unprotected(source, |entry| entry.since_ms > WallMs(10))
        .unwrap()
        .unwrap();
    assert_eq!((found.since_ms, found.count), (WallMs(20), 2));
    assert_eq!(found.fault.subject, "c");
}
