//! A small office, backed up by the real daemon, that can be damaged and put
//! back as it was any number of times.

use super::acts::Wire;
use crate::harness::os::{copy_tree, symlink};
use crate::harness::{BUCKET, Rig};
use crate::manifest;
use crate::raw;
use keepwatch::config::Config;
use keepwatch::control::Line;
use keepwatch::daemon::{Options, verify_once};
use keepwatch::files::Target;
use keepwatch::history::Selector;
use keepwatch::manifest::format::key;
use keepwatch::restore::{Request, Restored, restore};
use keepwatch::retry::Stop;
use keepwatch::s3::{ListedVersion, Store};
use keepwatch::types::{Origin, WallMs};
use keepwatch::verify::{Ask, Deep, Verified};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is never damaged, and must come back whatever else is.
pub const BYSTANDER: &str = "other.txt";

/// What of the rig a damage can touch.
const PARTS: [&str; 3] = ["vault", "state", BUCKET];

/// A file of several parts in the bucket.
pub fn large() -> Vec<u8> {
    let mut seed = 7u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    };
    (0..17_000_000).map(|_| next()).collect()
}

/// An office with one thing in it to damage.
pub struct World {
    pub rig: Rig,
    /// The thing's path, as people know it.
    pub path: String,
    /// Its key.
    pub key: String,
    /// The moments of the manifests that were drawn, oldest first.
    pub manifests_ms: Vec<WallMs>,
}

impl World {
    /// Back up `versions` of the path, one after the other; `None` deletes it.
    pub async fn new(path: &str, versions: &[Option<Thing>]) -> Self {
        Self::backed_up(path, versions, false).await
    }

    /// The same, compared in full after each version: a manifest remembers it.
    pub async fn with_manifests(path: &str, versions: &[Option<Thing>]) -> Self {
        Self::backed_up(path, versions, true).await
    }

    /// A world in which the newest manifest is what is damaged.
    pub async fn of_a_manifest() -> Self {
        let versions = [file("before"), file("small content")];
        let mut world = Self::with_manifests("small.txt", &versions).await;
        world.key = key("", world.manifests_ms[1]);
        world.path.clone_from(&world.key);
        world
    }

    async fn backed_up(path: &str, versions: &[Option<Thing>], compares: bool) -> Self {
        let rig = Rig::new();
        rig.write(BYSTANDER, "not concerned");
        let daemon = rig.start().await;
        rig.until_equal(&daemon).await;
        for version in versions {
            match version {
                None => fs::remove_file(rig.path(path)).unwrap(),
                Some(Thing::File(content)) => rig.write(path, content),
                Some(Thing::Link(target)) => {
                    symlink(target, rig.path(path));
                }
                Some(Thing::Folder) => fs::create_dir(rig.path(path)).unwrap(),
            }
            rig.until_equal(&daemon).await;
            if compares {
                assert!(manifest::compare(&daemon).await.complete());
            }
        }
        daemon.stop().await.unwrap();
        let is_folder = matches!(versions.last(), Some(Some(Thing::Folder)));
        let listed = manifest::listed(&rig.store()).await;
        let world = Self {
            manifests_ms: listed.iter().map(|one| one.moment_ms).collect(),
            rig,
            path: path.to_owned(),
            key: format!("{path}{}", if is_folder { "/" } else { "" }),
        };
        for part in PARTS {
            copy(&world.place(part), &world.template(part));
        }
        world
    }

    fn place(&self, part: &str) -> PathBuf {
        self.rig.dir.path().join(part)
    }

    fn template(&self, part: &str) -> PathBuf {
        self.rig.dir.path().join("template").join(part)
    }

    /// As it was before any damage.
    pub fn reset(&self) {
        for part in PARTS {
            fs::remove_dir_all(self.place(part)).unwrap();
            copy(&self.template(part), &self.place(part));
        }
        let out = self.place("out");
        if out.exists() {
            fs::remove_dir_all(out).unwrap();
        }
    }

    pub fn config(&self) -> Config {
        self.rig.config()
    }

    /// The store through which everything goes, falsified by `wire`.
    pub fn store(&self, wire: &Wire) -> Store {
        Store::vault(wire.client(self.rig.vault().connector()), "the test vault")
    }

    pub fn client(&self) -> aws_sdk_s3::Client {
        raw::client(&self.rig.vault())
    }

    /// All versions and markers of the thing, newest first.
    pub async fn versions(&self) -> Vec<ListedVersion> {
        let store = self.rig.store();
        let page = store.list_versions(BUCKET, &self.key, None).await.unwrap();
        let ours = page.items.into_iter().filter(|v| v.key == self.key);
        ours.collect()
    }

    pub async fn verify(&self, wire: &Wire, deep: bool, all_versions: bool) -> Verified {
        let ask = Ask {
            deep: if deep { Deep::All } else { Deep::No },
            all_versions,
            ..Ask::default()
        };
        self.ask(wire, ask).await
    }

    pub async fn ask(&self, wire: &Wire, ask: Ask) -> Verified {
        self.ask_through(self.store(wire), ask).await
    }

    pub async fn ask_through(&self, store: Store, ask: Ask) -> Verified {
        let options = Options {
            store: Some(store),
            ..Options::default()
        };
        let (to, mut lines) = tokio::sync::mpsc::channel(16);
        let reading = tokio::spawn(async move { while lines.recv().await.is_some() {} });
        let line = verify_once(self.config(), options, ask, to).await.unwrap();
        reading.await.unwrap();
        let Line::Verified { mut sources } = line else {
            panic!("{line:?}");
        };
        assert_eq!(sources.len(), 1);
        sources.remove(0)
    }

    /// Restore everything; where it went, and how that ended.
    pub async fn restore(&self, wire: &Wire, at_ms: Option<WallMs>) -> (PathBuf, Restored) {
        let out = self.place("out");
        let request = Request {
            origin: Origin {
                bucket: BUCKET.into(),
                prefix: String::new(),
            },
            selector: Selector::everything(),
            at_ms,
            target: Arc::new(Target::open(&out).unwrap()),
            options: Default::default(),
            preflight: None,
        };
        let store = self.store(wire);
        let restored = restore(&store, request, |_| (), &Stop::never()).await;
        (out, restored.unwrap())
    }
}

/// What is backed up.
pub enum Thing {
    File(Vec<u8>),
    Link(&'static str),
    Folder,
}

pub fn file(content: &str) -> Option<Thing> {
    Some(Thing::File(content.as_bytes().to_vec()))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    copy_tree(from, to);
}
