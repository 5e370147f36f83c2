//! Order of ranges and exactness of numbers, against a plain map.

use super::*;
use crate::types::WallMs;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Commit(RelKey, u64),
    Update(RelKey, u64),
    Remove(RelKey),
    Import(Vec<(RelKey, u64)>),
    Mark(RelKey, i64),
    Restart,
}

fn any_key() -> impl Strategy<Value = RelKey> {
    "[a-c./%ü]{1,6}/?".prop_filter_map("a path", |text| RelKey::parse_full(&text).ok())
}

fn any_step() -> impl Strategy<Value = Step> {
    let seeded = || (any_key(), 0..1000u64);
    prop_oneof![
        6 => seeded().prop_map(|(key, seed)| Step::Commit(key, seed)),
        2 => seeded().prop_map(|(key, seed)| Step::Update(key, seed)),
        3 => any_key().prop_map(Step::Remove),
        1 => proptest::collection::vec(seeded(), 0..20).prop_map(Step::Import),
        2 => (any_key(), -5..5i64).prop_map(|(key, at)| Step::Mark(key, at)),
        1 => Just(Step::Restart),
    ]
}

/// A failure at a moment.
fn fault() -> Fault {
    Fault::new(Class::Unreadable, "read", "x", "denied")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn the_index_is_a_map_that_survives_restarts(
        steps in proptest::collection::vec(any_step(), 1..60),
        prefix in "[a-c/]{0,2}",
        after in proptest::option::of(any_key()),
    ) {
        let (_dir, root) = state();
        let mut index = open(&root);
        let source = docs(&index);
        let neighbour = index.source_id("other", "b", "", "aws").unwrap();
        index.update(neighbour, &key("b"), record(1)).unwrap();
        let mut map: BTreeMap<RelKey, Record> = BTreeMap::new();
        let mut unprotected: BTreeMap<RelKey, i64> = BTreeMap::new();
        let one = Activity { versions: 1, ..Activity::default() };
        let mut commits = 0;
        for step in steps {
            match step {
                Step::Commit(key, seed) => {
                    index.commit(source, &key, Change::Put(record(seed)), &one).unwrap();
                    unprotected.remove(&key);
                    map.insert(key, record(seed));
                    commits += 1;
                }
                Step::Update(key, seed) => {
                    index.update(source, &key, record(seed)).unwrap();
                    map.insert(key, record(seed));
                }
                Step::Remove(key) => {
                    index.commit(source, &key, Change::Remove, &one).unwrap();
                    unprotected.remove(&key);
                    map.remove(&key);
                    commits += 1;
                }
                Step::Import(some) => {
                    let some: Vec<_> = some.into_iter().map(|(k, s)| (k, record(s))).collect();
                    index.import(source, &some).unwrap();
                    map.extend(some);
                }
                Step::Mark(key, at) => {
                    index.mark_unprotected(source, &key, &fault(), WallMs(0), WallMs(at)).unwrap();
                    unprotected.insert(key, at);
                }
                Step::Restart => {
                    drop(index);
                    let (again, opened) = Index::open(&root).unwrap();
                    prop_assert_eq!(opened, Opened::Existing);
                    index = again;
                }
            }
        }
        let want: Vec<_> = map.clone().into_iter().collect();
        prop_assert_eq!(index.counts(source), counted(&want));
        prop_assert_eq!(all(&index, source), want);
        prop_assert_eq!(index.activity(source).versions, commits);
        prop_assert_eq!(all(&index, neighbour).len(), 1);

        let (list, total) = index.unprotected(source, 1000).unwrap();
        prop_assert_eq!(total, unprotected.len() as u64);
        prop_assert!(list.iter().map(|(k, u)| (k, u.next_try_ms)).eq(unprotected.iter().map(|(k, at)| (k, WallMs(*at)))));
        prop_assert_eq!(index.next_due(source).unwrap(), unprotected.values().min().copied().map(WallMs));

        let some: Vec<_> = index.range(source, &prefix, after.as_ref()).map(Result::unwrap).map(|(k, _)| k).collect();
        let want: Vec<_> = map.into_keys()
            .filter(|k| k.as_str().starts_with(&prefix) && after.as_ref().is_none_or(|after| k > after))
            .collect();
        prop_assert_eq!(some, want);
    }
}

#[test]
fn a_range_over_many_pages_misses_and_repeats_nothing() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    let records: Vec<_> = (0..1024)
        .map(|i| (key(&format!("d{:02}/f{i:04}", i % 40)), record(i)))
        .collect();
    index.import(source, &records).unwrap();
    let got = all(&index, source);
    assert_eq!(got, records.tap_sort());
    let middle = &got[500].0;
    let rest: Vec<_> = index
        .range(source, "", Some(middle))
        .map(Result::unwrap)
        .collect();
    assert_eq!(rest, got[501..]);
}

#[test]
fn ranges_and_commits_do_not_disturb_each_other() {
    let (_dir, root) = state();
    let index = open(&root);
    let source = docs(&index);
    // Even ones stay; odd ones come and go while ranges run.
    let staying: Vec<_> = (0..1000)
        .step_by(2)
        .map(|i| (key(&format!("f{i:04}")), record(i)))
        .collect();
    index.import(source, &staying).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..3u64 {
            let index = index.clone();
            scope.spawn(move || {
                for i in (1..1000).step_by(2).filter(|i| i % 3 == writer) {
                    let key = key(&format!("f{i:04}"));
                    let none = Activity::default();
                    index
                        .commit(source, &key, Change::Put(record(i)), &none)
                        .unwrap();
                    if i % 4 == 1 {
                        index.commit(source, &key, Change::Remove, &none).unwrap();
                    }
                }
            });
        }
        for _ in 0..10 {
            let seen: Vec<_> = index.range(source, "", None).map(Result::unwrap).collect();
            assert!(seen.is_sorted_by(|a, b| a.0 < b.0));
            let even: Vec<_> = seen
                .into_iter()
                .filter(|(_, r)| r.fingerprint.inode % 2 == 0)
                .collect();
            assert_eq!(even, staying);
        }
    });
    let records = all(&index, source);
    assert_eq!(records.len(), 500 + 250);
    assert_eq!(index.counts(source), counted(&records));
}
