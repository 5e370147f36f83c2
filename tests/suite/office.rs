//! A whole office: thousands of files of every kind, edited, renamed, deleted,
//! the daemon killed in the middle, and everything had back byte for byte.
//!
//! What is done is drawn from a seed, printed by each test; set
//! `KEEPWATCH_TEST_SEED` to run that one again.

mod clerk;

pub use clerk::{Clerk, make_office};

use crate::harness::tree::{Node, assert_same_tree, differences, tree};
use crate::harness::{BUCKET, Rig, Running, finish, program, until, write_config};
use futures::future::join_all;
use keepwatch::s3::{At, Store};
use keepwatch::types::{Kind, RelKey, is_own};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The seed of this run: the same every time, or the one in `KEEPWATCH_TEST_SEED`.
pub fn seed() -> u64 {
    const FIXED_SEED: u64 = 20_261_129;
    crate::seed::seed(FIXED_SEED, u64::MAX)
}

/// What the bucket's current objects say of themselves. Reads no bodies: the
/// restore afterwards does that.
async fn claimed(store: &Store) -> BTreeMap<PathBuf, Node> {
    let mut out = BTreeMap::new();
    let mut next = None;
    loop {
        let page = store.list(BUCKET, "", next.as_deref(), 1000).await.unwrap();
        let items = page.items.iter().filter(|item| !is_own(&item.key));
        let heads = items.clone().map(|item| {
            let at = At {
                bucket: BUCKET,
                key: &item.key,
            };
            store.head(at, None)
        });
        for (item, head) in items.zip(join_all(heads).await) {
            // It may have been deleted since it was listed.
            let Some(meta) = head.unwrap().map(|head| head.meta.unwrap()) else {
                continue;
            };
            let full = meta.full_key.as_ref().map(|full| full.at(&item.key));
            let path = RelKey::parse_full(full.as_ref().unwrap_or(&item.key))
                .unwrap()
                .path();
            let mtime_ns = meta.mtime_ns;
            let node = match meta.kind {
                Kind::Folder => Node::EmptyFolder(meta.mode),
                Kind::Symlink => {
                    let target = meta.symlink_target.unwrap();
                    Node::Link(mtime_ns, PathBuf::from(OsStr::from_bytes(&target)))
                }
                _ => Node::File(meta.mode, mtime_ns, meta.content.unwrap().to_hex()),
            };
            out.insert(PathBuf::from(OsStr::from_bytes(path.as_bytes())), node);
        }
        match page.next {
            Some(token) => next = Some(token),
            None => break,
        }
    }
    // The object of a folder that was empty once may stay.
    let paths: Vec<PathBuf> = out.keys().cloned().collect();
    let is_filled = |folder: &Path| {
        let at = paths.partition_point(|path| path.as_path() <= folder);
        paths.get(at).is_some_and(|next| next.starts_with(folder))
    };
    out.retain(|path, node| !matches!(node, Node::EmptyFolder(_)) || !is_filled(path));
    out
}

/// Files and links below `root` that are backed up.
fn count_files(root: &Path) -> usize {
    let entries = fs::read_dir(root).unwrap().map(Result::unwrap);
    let counts = entries.map(|entry| match entry.file_type().unwrap().is_dir() {
        true => count_files(&entry.path()),
        false => usize::from(entry.file_name() != keepwatch::files::MARKER_FILE_NAME),
    });
    counts.sum()
}

/// Current objects in the bucket that are no folders.
async fn count_listed(store: &Store) -> usize {
    let (mut count, mut next) = (0, None);
    loop {
        let page = store.list(BUCKET, "", next.as_deref(), 1000).await.unwrap();
        let is_file = |key: &str| !key.ends_with('/') && !is_own(key);
        let files = page.items.iter().filter(|item| is_file(&item.key));
        count += files.count();
        match page.next {
            Some(token) => next = Some(token),
            None => return count,
        }
    }
}

/// Wait until the bucket says the same of every file as the disk does.
pub async fn until_backed_up(store: &Store, root: &Path) {
    let mut last = Vec::new();
    until("the bucket is as the folder", async || {
        // Thousands of HEADs only when that may be the end of it.
        if count_listed(store).await != count_files(root) {
            return false;
        }
        let found = differences(&claimed(store).await, &tree(root));
        let is_equal = found.is_empty();
        if found != last {
            println!("{found:#?}");
            last = found;
        }
        is_equal
    })
    .await;
}

#[test]
fn the_generator_makes_the_same_office_from_the_same_seed() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let count = make_office(one.path(), 7);
    assert!(count >= 2_000, "only {count} files and links");
    make_office(two.path(), 7);
    assert_same_tree(one.path(), two.path());
    Clerk::new(one.path(), 8).work(300);
    assert!(tree(one.path()) != tree(two.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_survives_edits_a_kill_and_comes_back_from_the_vault_alone() {
    let seed = seed();
    let rig = Rig::new();
    let count = make_office(&rig.root(), seed);
    let config = write_config(&rig, "");
    let daemon = Running::start(&config, &[]).await;
    // Opened after the daemon's: one process writes to a vault.
    let store = rig.store();
    let mut clerk = Clerk::new(&rig.root(), seed.wrapping_add(1));
    until("the first upload is under way", async || {
        let page = store.list(BUCKET, "", None, 1000).await.unwrap();
        page.items.len() > 200
    })
    .await;
    clerk.work(150);
    daemon.kill();
    clerk.work(150);
    let daemon = Running::start(&config, &[]).await;
    clerk.work(300);
    until_backed_up(&store, &rig.root()).await;
    let status = daemon.status().unwrap();
    assert_eq!(status["sources"][0]["unprotected_total"], 0, "{status}");
    assert_eq!(daemon.stop(), Some(0));
    assert!(store.open_uploads(BUCKET, "").await.unwrap().is_empty());
    assert!(count >= 2_000);

    // The computer burns down: only the vault is left.
    rig.lose_state();
    let to = rig.dir.path().join("new computer");
    let restore = finish(program().arg("restore").args([
        OsStr::new("--to"),
        to.as_os_str(),
        OsStr::new("--vault"),
        rig.vault_dir().as_os_str(),
    ]));
    let text = String::from_utf8_lossy(&restore.stderr).into_owned();
    assert_eq!(restore.status.code(), Some(0), "{text}");
    assert_same_tree(&to, &rig.root());

    // And a daemon without an index adopts the bucket: nothing is sent again.
    let again = finish(program().args(["--config", config.to_str().unwrap(), "--reconcile"]));
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert_eq!(again.status.code(), Some(0), "{text}");
    assert!(text.contains("nothing to send"), "{text}");
}
