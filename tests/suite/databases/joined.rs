//! What comes back of a journal when the bucket has it from one moment and its database
//! from another. The objects are as a kill, an outage or a slow line leaves them.

use crate::harness::{BUCKET, Rig};
use crate::raw::client;
use aws_sdk_s3::primitives::ByteStream;
use keepwatch::files::Target;
use keepwatch::history::{Selector, Typed};
use keepwatch::restore::{Options, Request, Restored, restore};
use keepwatch::retry::Stop;
use keepwatch::types::{ContentHash, Fingerprint, ObjectMeta, Origin, Reading, WallMs};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing that happened to the bucket.
enum Did {
    /// The database got this content.
    Database(&'static str),
    /// The journal got this content, read beside that one.
    Journal(&'static str, &'static str),
    /// By an earlier version of the program, which did not say beside what.
    OldJournal(&'static str),
    JournalGone,
    DatabaseGone,
}

use Did::{Database, DatabaseGone, Journal, JournalGone, OldJournal};

/// The journal's names; each has a bucket of its own.
const NAMES: [&str; 4] = ["x.db-wal", "x.db-journal", "x.db-shm", "x.db.wal"];

struct Scene {
    rig: Rig,
    sdk: aws_sdk_s3::Client,
    /// The server's time after each.
    times: Vec<WallMs>,
}

impl Scene {
    async fn of(journal: &str, did: &[Did]) -> Self {
        let rig = Rig::new();
        let sdk = client(&rig.vault());
        let mut scene = Self {
            rig,
            sdk,
            times: Vec::new(),
        };
        for one in did {
            match one {
                Database(content) => scene.put("x.db", content, None).await,
                Journal(content, beside) => scene.put(journal, content, Some(beside)).await,
                OldJournal(content) => scene.put(journal, content, None).await,
                JournalGone => scene.mark(journal).await,
                DatabaseGone => scene.mark("x.db").await,
            }
            let page = scene
                .rig
                .store()
                .list_versions(BUCKET, "", None)
                .await
                .unwrap();
            let newest = page.items.iter().map(|version| version.modified_ms).max();
            scene.times.push(newest.unwrap());
            // Each at a time of its own.
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        scene
    }

    async fn put(&self, key: &str, content: &str, beside: Option<&str>) {
        let file = Fingerprint {
            size_bytes: content.len() as u64,
            mode: 0o600,
            ..Fingerprint::UNSEEN
        };
        let meta = ObjectMeta {
            beside: beside.map(|text| ContentHash::of(text.as_bytes())),
            ..ObjectMeta::of(&file, Some(ContentHash::of(content.as_bytes())))
        };
        let put = self.sdk.put_object().bucket(BUCKET).key(key);
        let put = put.set_metadata(Some(meta.to_headers().into_iter().collect()));
        let body = ByteStream::from(content.as_bytes().to_vec());
        put.body(body).send().await.unwrap();
    }

    async fn mark(&self, key: &str) {
        let delete = self.sdk.delete_object().bucket(BUCKET).key(key);
        delete.send().await.unwrap();
    }

    async fn restore(
        &self,
        what: &[&str],
        at_ms: Option<WallMs>,
        to: &Path,
        options: Options,
    ) -> Restored {
        let request = Request {
            origin: Origin {
                bucket: BUCKET.to_owned(),
                prefix: String::new(),
            },
            selector: Selector::of(
                &what
                    .iter()
                    .map(|text| (Typed::new(text).unwrap(), Reading::Name))
                    .collect::<Vec<_>>(),
            ),
            at_ms,
            target: Arc::new(Target::open(to).unwrap()),
            options,
            preflight: None,
        };
        let store = self.rig.store();
        restore(&store, request, |_| (), &Stop::never())
            .await
            .unwrap()
    }

    fn to(&self) -> PathBuf {
        self.rig.dir.path().join("out")
    }
}

fn files_in(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

/// What comes back after each step: the database, the journal, and whether that is told.
async fn comes_back(did: &[Did], want: &[(Option<&str>, Option<&str>, bool)]) {
    for journal in NAMES {
        let scene = Scene::of(journal, did).await;
        assert_eq!(scene.times.len(), want.len());
        for (step, (database, beside, is_told)) in want.iter().enumerate() {
            let is_last = step + 1 == want.len();
            let mut moments = vec![Some(scene.times[step])];
            moments.extend(is_last.then_some(None));
            for at_ms in moments {
                let restored = scene
                    .restore(&[], at_ms, &scene.to(), Options::default())
                    .await;
                let got = files_in(&scene.to());
                fs::remove_dir_all(scene.to()).unwrap();
                let got = |name: &str| got.get(name).map(String::as_str);
                let case = format!("{journal}, step {step}, {at_ms:?}");
                assert_eq!((got("x.db"), got(journal)), (*database, *beside), "{case}");
                assert_eq!(
                    restored.remarks.total,
                    u64::from(*is_told),
                    "{case}: {:?}",
                    restored.remarks
                );
                assert!(restored.is_complete(), "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_of_before_does_not_join_the_database_of_after() {
    let did = [
        Database("one"),
        Journal("1a", "one"),
        Journal("1b", "one"),
        // Closed: the database is stored, the marker comes later, or never.
        Database("two"),
        JournalGone,
    ];
    comes_back(
        &did,
        &[
            (Some("one"), None, false),
            (Some("one"), Some("1a"), false),
            (Some("one"), Some("1b"), false),
            (Some("two"), None, true),
            (Some("two"), None, false),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_of_after_does_not_join_the_database_of_before() {
    let did = [
        Database("one"),
        Journal("1a", "one"),
        Journal("1b", "one"),
        // The database is large, and on its way.
        Journal("2a", "two"),
        Journal("3a", "three"),
        Database("three"),
    ];
    comes_back(
        &did,
        &[
            (Some("one"), None, false),
            (Some("one"), Some("1a"), false),
            (Some("one"), Some("1b"), false),
            (Some("one"), Some("1b"), true),
            (Some("one"), Some("1b"), true),
            (Some("three"), Some("3a"), false),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_gone_before_is_not_brought_back_from_before_that() {
    let did = [
        Database("one"),
        Journal("1a", "one"),
        JournalGone,
        Journal("2a", "two"),
        Database("two"),
        DatabaseGone,
    ];
    comes_back(
        &did,
        &[
            (Some("one"), None, false),
            (Some("one"), Some("1a"), false),
            (Some("one"), None, false),
            (Some("one"), None, true),
            (Some("two"), Some("2a"), false),
            (None, None, true),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_say_whose_it_is_comes_back_as_a_file_of_its_own() {
    let did = [Database("one"), OldJournal("1a"), Database("two")];
    comes_back(
        &did,
        &[
            (Some("one"), None, false),
            (Some("one"), Some("1a"), false),
            (Some("two"), Some("1a"), false),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_a_database_gets_its_journal_as_well() {
    let did = [Database("one"), Journal("1a", "one")];
    for journal in NAMES {
        let scene = Scene::of(journal, &did).await;
        scene
            .restore(&["x.db"], None, &scene.to(), Options::default())
            .await;
        let got = files_in(&scene.to());
        assert_eq!(
            got.get(journal).map(String::as_str),
            Some("1a"),
            "{journal}"
        );
    }
}

/// The folder is in use: what stands beside the database there is of today.
#[tokio::test(flavor = "multi_thread")]
async fn todays_journal_does_not_join_the_database_that_is_restored_over_todays() {
    let now = jiff::civil::date(2026, 11, 23).at(18, 0, 0, 0);
    let in_place = Options {
        overwrite: true,
        in_place: Some(now),
        ..Options::default()
    };
    let overwrite = Options {
        overwrite: true,
        ..Options::default()
    };
    let plain = Options::default();
    let dated = " (before restore 2026-11-23 18-00)";
    // The database as it stands there today, and whether the moment has a journal.
    for (options, today, has_journal, label) in [
        (in_place, Some("today"), false, Some(dated)),
        (in_place, Some("one"), false, Some(dated)),
        (in_place, Some("today"), true, None),
        (overwrite, Some("today"), false, Some(" (before restore)")),
        (plain, None, false, Some(" (before restore)")),
    ] {
        let mut did = vec![Database("one")];
        if has_journal {
            did.push(Journal("1a", "one"));
        }
        let scene = Scene::of("x.db-wal", &did).await;
        fs::create_dir(scene.to()).unwrap();
        if let Some(today) = today {
            fs::write(scene.to().join("x.db"), today).unwrap();
        }
        fs::write(scene.to().join("x.db-wal"), "today's").unwrap();
        fs::write(scene.to().join("other"), "of somebody").unwrap();
        let at_ms = scene.times.last().copied();
        scene.restore(&[], at_ms, &scene.to(), options).await;
        let got = files_in(&scene.to());
        let got = |name: &str| got.get(name).map(String::as_str);
        let case = format!("{today:?} {has_journal}: {:?}", files_in(&scene.to()));
        assert_eq!(got("x.db"), Some("one"), "{case}");
        assert_eq!(got("x.db-wal"), has_journal.then_some("1a"), "{case}");
        assert_eq!(got("other"), Some("of somebody"), "{case}");
        if let Some(label) = label {
            let beside = keepwatch::types::beside(
                &keepwatch::types::RelPath::from_bytes("x.db-wal").unwrap(),
                label.trim().trim_matches(['(', ')']),
                1,
            );
            let beside = beside.unwrap().to_string();
            assert_eq!(got(&beside), Some("today's"), "{case}");
        }
    }
}

/// What was left as it is keeps what belongs to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_replaced_keeps_its_journal() {
    let scene = Scene::of("x.db-wal", &[Database("one")]).await;
    fs::create_dir(scene.to()).unwrap();
    for (name, content) in [("x.db", "today"), ("x.db-wal", "today's")] {
        fs::write(scene.to().join(name), content).unwrap();
    }
    let restored = scene
        .restore(&[], None, &scene.to(), Options::default())
        .await;
    assert_eq!(restored.already_there.total, 1);
    let got = files_in(&scene.to());
    assert_eq!(got["x.db-wal"], "today's");
    assert_eq!(got.len(), 2);
}
