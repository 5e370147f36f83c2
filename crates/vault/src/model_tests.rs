//! Random requests, answered by the vault and by a few lines of obvious code:
//! both must show the same objects, versions and pages.

use super::crash_tests::{BUCKET, files_beneath, get, open, put, set};
use super::inner::{Inner, Versioning};
use super::list::{Item, Page, Query};
use super::places::has_exact_name;
use super::precondition::Precondition;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeMap;

/// The obvious vault: for each key its versions, newest first.
#[derive(Default)]
struct Model {
    keys: BTreeMap<String, Vec<Kept>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Kept {
    id: String,
    content: Option<String>,
}

impl Model {
    fn add(&mut self, key: &str, kept: Kept) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        if kept.id == "null" {
            versions.retain(|old| old.id != "null");
        }
        versions.insert(0, kept);
    }

    fn remove(&mut self, key: &str, id: &str) {
        if let Some(versions) = self.keys.get_mut(key) {
            versions.retain(|old| old.id != id);
        }
        self.keys.retain(|_, versions| !versions.is_empty());
    }

    /// What a listing would show if it had no pages.
    fn list(&self, query: &Query, is_versions: bool) -> Vec<Item<(String, Kept)>> {
        let mut items = Vec::new();
        for (key, versions) in &self.keys {
            if !key.starts_with(&query.prefix) {
                continue;
            }
            let mut shown: Vec<Kept> = versions.clone();
            if !is_versions {
                shown.truncate(1);
                shown.retain(|kept| kept.content.is_some());
            }
            let rest = &key[query.prefix.len()..];
            let cut = query
                .delimiter
                .as_ref()
                .and_then(|d| rest.find(d).map(|at| query.prefix.len() + at + d.len()));
            match cut {
                Some(_) if shown.is_empty() => {}
                Some(cut) => {
                    let item = Item::Prefix(key[..cut].to_owned());
                    if items.last() != Some(&item) {
                        items.push(item);
                    }
                }
                None => items.extend(shown.into_iter().map(|k| Item::Entry((key.clone(), k)))),
            }
        }
        items
    }
}

#[derive(Debug, Clone)]
enum Step {
    Put(String, String),
    Delete(String),
    /// Remove the n-th version of the key.
    Remove(String, usize),
    Versioning(bool),
    /// Forget what is in memory.
    Reopen,
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[ab]{1,2}(/[abA]{0,2}){0,2}",
        2 => prop_oneof![Just("a"), Just("a/"), Just("a-"), Just("a/b"), Just("a0"), Just("é"), Just("//"), Just("..")].prop_map(str::to_owned),
        1 => (0usize..3).prop_map(|n| format!("{}/{}", "L".repeat(150), "x".repeat(n))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (key(), "[a-z]{0,4}").prop_map(|(key, content)| Step::Put(key, content)),
        3 => key().prop_map(Step::Delete),
        3 => (key(), 0usize..4).prop_map(|(key, n)| Step::Remove(key, n)),
        1 => any::<bool>().prop_map(Step::Versioning),
        1 => Just(Step::Reopen),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    (
        prop_oneof![Just(String::new()), "[ab/]{1,3}", key()],
        proptest::option::of(prop_oneof![Just("/"), Just("b"), Just("a/"), Just("é")]),
        1usize..5,
    )
        .prop_map(|(prefix, delimiter, max)| Query {
            prefix,
            delimiter: delimiter.map(str::to_owned),
            max,
            ..Query::default()
        })
}

/// Turn pages until the end. `last` says where an item's successor page begins.
fn all_pages<T>(
    mut query: Query,
    page: impl Fn(&Query) -> Page<T>,
    last: impl Fn(&T) -> (String, Option<String>),
) -> Vec<Item<T>> {
    let mut all = Vec::new();
    loop {
        let page = page(&query);
        assert!(page.items.len() <= query.max);
        let marker = page.items.last().map(|item| match item {
            Item::Prefix(prefix) => (prefix.clone(), None),
            Item::Entry(entry) => last(entry),
        });
        all.extend(page.items);
        if !page.is_truncated {
            return all;
        }
        let (key, version) = marker.expect("a page that is cut off shows something");
        query.after = Some(key);
        query.after_version = version;
    }
}

fn check_listing(vault: &Inner, model: &Model, query: &Query) {
    let objects: Vec<_> = all_pages(
        query.clone(),
        |query| vault.list_objects(BUCKET, query).unwrap(),
        |(key, _, _)| (key.clone(), None),
    )
    .into_iter()
    .map(|item| match item {
        Item::Prefix(prefix) => Item::Prefix(prefix),
        Item::Entry((key, _, object)) => Item::Entry((key, object.size)),
    })
    .collect();
    let expected: Vec<_> = model
        .list(query, false)
        .into_iter()
        .map(|item| match item {
            Item::Prefix(prefix) => Item::Prefix(prefix),
            Item::Entry((key, kept)) => {
                Item::Entry((key, kept.content.unwrap_or_default().len() as u64))
            }
        })
        .collect();
    assert_eq!(objects, expected, "objects of {query:?}");
    let mut is_first: BTreeMap<String, bool> = BTreeMap::new();
    let versions: Vec<_> = all_pages(
        query.clone(),
        |query| vault.list_versions(BUCKET, query).unwrap(),
        |listed| (listed.key.clone(), Some(listed.version.id.clone())),
    )
    .into_iter()
    .map(|item| match item {
        Item::Prefix(prefix) => Item::Prefix(prefix),
        Item::Entry(listed) => {
            let first = is_first.insert(listed.key.clone(), true).is_none();
            assert_eq!(listed.is_latest, first, "{listed:?}");
            let content = listed
                .version
                .object
                .as_ref()
                .map(|_| get(vault, &listed.key, Some(&listed.version.id)).unwrap());
            let id = listed.version.id;
            Item::Entry((listed.key, Kept { id, content }))
        }
    })
    .collect();
    assert_eq!(versions, model.list(query, true), "versions of {query:?}");
}

/// Few on every run; `PROPTEST_CASES` asks for more.
fn cases(few: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(few),
    }
}

/// Keys whose plain places get into each other's way, and contents of which many
/// are equal.
fn crowded_step() -> impl Strategy<Value = Step> {
    let key = || prop_oneof![4 => Just("a"), 1 => Just("a/b")].prop_map(str::to_owned);
    let content = prop_oneof![2 => Just(""), 2 => Just("x"), 1 => Just("y")];
    prop_oneof![
        6 => (key(), content).prop_map(|(key, content)| Step::Put(key, content.to_owned())),
        2 => key().prop_map(Step::Delete),
        5 => (key(), 0usize..4).prop_map(|(key, n)| Step::Remove(key, n)),
        1 => any::<bool>().prop_map(Step::Versioning),
        4 => Just(Step::Reopen),
    ]
}

/// Both do the steps; afterwards, or after each one, they must show the same.
fn same_as_the_model(
    first: Versioning,
    steps: Vec<Step>,
    queries: &[Query],
    each: bool,
) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let (mut vault, _) = open(folder.path());
    vault.ensure_bucket(BUCKET).unwrap();
    set(&vault, first);
    let mut model = Model::default();
    let mut versioning = first;
    for step in steps {
        match step {
            Step::Put(key, content) => {
                let id = put(&vault, &key, &content).unwrap().id;
                prop_assert_eq!(id == "null", versioning != Versioning::Enabled);
                let content = Some(content);
                model.add(&key, Kept { id, content });
            }
            Step::Delete(key) => {
                let removed = vault
                    .delete(BUCKET, &key, &Precondition::default())
                    .unwrap();
                match removed.id {
                    Some(id) => model.add(&key, Kept { id, content: None }),
                    None => model.remove(&key, "null"),
                }
                prop_assert_eq!(removed.is_marker, versioning != Versioning::Never);
            }
            Step::Remove(key, n) => {
                let kept = model.keys.get(&key).and_then(|all| all.get(n)).cloned();
                let id = kept.map_or("null".to_owned(), |kept| kept.id);
                vault.remove_version(BUCKET, &key, &id).unwrap();
                model.remove(&key, &id);
            }
            Step::Versioning(is_on) => {
                versioning = if is_on {
                    Versioning::Enabled
                } else {
                    Versioning::Suspended
                };
                set(&vault, versioning);
            }
            Step::Reopen => {
                drop(vault);
                vault = open(folder.path()).0;
            }
        }
        if each {
            check_all(&vault, &model, queries)?;
            check_no_body_is_left_over(&vault, &model)?;
        }
    }
    check_all(&vault, &model, queries)
}

fn check_all(vault: &Inner, model: &Model, queries: &[Query]) -> Result<(), TestCaseError> {
    for query in queries {
        check_listing(vault, model, query);
    }
    for (key, versions) in &model.keys {
        let newest = get(vault, key, None).ok();
        prop_assert_eq!(&newest, &versions[0].content, "{}", key);
        // What has a plain place is there, and is the newest version.
        let plain = vault.layout.plain(BUCKET, key);
        let plain = plain.filter(|plain| plain.is_file() && has_exact_name(plain));
        if let Some(plain) = plain {
            prop_assert_eq!(std::fs::read_to_string(plain).ok(), newest, "{}", key);
        }
    }
    Ok(())
}

/// Each body is there once, and nothing but bodies is.
fn check_no_body_is_left_over(vault: &Inner, model: &Model) -> Result<(), TestCaseError> {
    let kept = model.keys.values().flatten();
    let bodies = kept.filter(|kept| kept.content.is_some()).count();
    let plain = files_beneath(&vault.layout.plain_root(BUCKET)).len();
    let hidden = files_beneath(&vault.layout.bucket(BUCKET).join("bodies")).len();
    prop_assert_eq!(plain + hidden, bodies, "{} plain, {} hidden", plain, hidden);
    Ok(())
}

proptest! {
    #![proptest_config(cases(32))]
    #[test]
    fn the_vault_is_the_model(
        first in prop_oneof![Just(Versioning::Never), Just(Versioning::Enabled)],
        steps in proptest::collection::vec(step(), 1..40),
        queries in proptest::collection::vec(query(), 1..6),
    ) {
        same_as_the_model(first, steps, &queries, false)?;
    }

    #[test]
    fn versions_of_one_content_are_each_their_own(
        first in prop_oneof![1 => Just(Versioning::Never), 4 => Just(Versioning::Enabled)],
        steps in proptest::collection::vec(crowded_step(), 1..25),
    ) {
        let all = Query { max: 1000, ..Query::default() };
        same_as_the_model(first, steps, &[all], true)?;
    }
}

/// A removed version's body was taken for the one of the same content that had
/// taken its place, and that was dropped: at the next start, or by the next save.
#[test]
fn what_a_removal_leaves_is_as_good_after_a_restart_as_before() {
    let a = || "a".to_owned();
    let put = |content: &str| Step::Put(a(), content.to_owned());
    let remove = |n| Step::Remove(a(), n);
    let all = [Query {
        max: 1000,
        ..Query::default()
    }];
    for content in ["", "the same"] {
        for steps in [
            vec![put(content), put(content), remove(0), Step::Reopen],
            vec![put(content), put(content), remove(1), Step::Reopen],
            vec![put(content), put(content), remove(0), put("other")],
            vec![put(content), put(content), remove(0), Step::Delete(a())],
            vec![
                put(content),
                Step::Delete(a()),
                put(content),
                remove(0),
                remove(0),
                Step::Reopen,
            ],
            vec![
                put(content),
                put("other"),
                put(content),
                remove(0),
                remove(0),
                Step::Reopen,
                Step::Reopen,
            ],
            vec![
                Step::Versioning(false),
                put(content),
                put(content),
                Step::Versioning(true),
                put(content),
                remove(0),
                Step::Reopen,
            ],
            // Below its own name.
            vec![
                put(content),
                put(content),
                Step::Put("a/b".to_owned(), content.to_owned()),
                remove(0),
                Step::Reopen,
                remove(0),
                Step::Put("a/b".to_owned(), content.to_owned()),
                Step::Reopen,
            ],
        ] {
            let shown = format!("{steps:?}");
            same_as_the_model(Versioning::Enabled, steps, &all, true)
                .unwrap_or_else(|e| panic!("{shown}: {e}"));
        }
    }
}

/// More was removed at a key than its owner is looked for.
#[test]
fn the_body_at_the_plain_place_is_found_beneath_many_removed_ones() {
    let a = || "a".to_owned();
    let all = [Query {
        max: 1000,
        ..Query::default()
    }];
    let mut steps = vec![Step::Put(a(), "kept".to_owned())];
    for _ in 0..70 {
        steps.push(Step::Put(a(), "gone".to_owned()));
        steps.push(Step::Remove(a(), 0));
    }
    steps.push(Step::Put(a(), "newest".to_owned()));
    steps.push(Step::Remove(a(), 1));
    steps.push(Step::Remove(a(), 0));
    same_as_the_model(Versioning::Enabled, steps, &all, true).unwrap();
}
