//! What is copied is the version that was meant, on servers that ignore conditions
//! and name no versions in their answers: whatever happens to its path meanwhile.

use super::text;
use crate::delta::gateway::Gateway;
use crate::harness::{BUCKET, Rig, history, until};
use keepwatch::config::Config;
use keepwatch::daemon::{Daemon, Options};
use keepwatch::s3::{At, Store};
use keepwatch::types::{ContentHash, RelKey};
use std::fs;

const FILES: usize = 40;

struct Office {
    rig: Rig,
    gateway: Gateway,
    daemon: Option<Daemon>,
}

impl Office {
    async fn with(files: &[(String, Vec<u8>)]) -> Self {
        let rig = Rig::new();
        for (name, content) in files {
            rig.write(name, content);
        }
        let gateway = Gateway::before(rig.vault().connector());
        let mut office = Self {
            rig,
            gateway,
            daemon: None,
        };
        office.start().await;
        office.rest().await;
        office
    }

    fn config(&self) -> Config {
        let mut config = self.rig.config();
        // Every copy can be held back while all contents come.
        config.limits.workers = 2 * FILES;
        config
    }

    async fn start(&mut self) {
        let options = Options {
            store: Some(self.gateway.store()),
            ..Options::default()
        };
        let daemon = Daemon::start(self.config(), options).await.unwrap();
        self.daemon = Some(daemon);
    }

    async fn stop(&mut self) {
        self.daemon.take().unwrap().stop().await.unwrap();
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    async fn rest(&self) {
        self.rig.until_equal(self.daemon()).await;
        self.gateway.take();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.rig.path(from), self.rig.path(to)).unwrap();
    }

    fn version_id(&self, key: &str) -> Option<keepwatch::types::VersionId> {
        let (ctx, key) = (self.daemon().components(), RelKey::parse_full(key).unwrap());
        let record = ctx.index.get(ctx.sources[0].id, &key).unwrap();
        record.unwrap().version_id
    }

    async fn every_version_is_what_it_says(&self) {
        every_version_is_what_it_says(&self.rig.store()).await;
    }
}

/// Of all versions in the bucket: the recorded SHA-256 and size are those of the
/// body.
async fn every_version_is_what_it_says(store: &Store) {
    let (mut next, mut seen) = (None, 0);
    loop {
        let page = store.list_versions(BUCKET, "", next.as_deref()).await;
        let page = page.unwrap();
        for version in page.items {
            if version.is_marker || keepwatch::types::is_own(&version.key) {
                continue;
            }
            let at = At {
                bucket: BUCKET,
                key: &version.key,
            };
            let got = store.get(at, version.version_id.as_ref()).await;
            let (head, mut body) = got.unwrap();
            let mut bytes = Vec::new();
            while let Some(piece) = body.next().await.unwrap() {
                bytes.extend_from_slice(&piece);
            }
            let meta = head.meta.unwrap();
            let says = (meta.content.unwrap().to_hex(), meta.size_bytes);
            let is = (ContentHash::of(&bytes).to_hex(), bytes.len() as u64);
            assert_eq!(says, is, "{}", version.key);
            seen += 1;
        }
        match page.next {
            Some(token) => next = Some(token),
            None => break,
        }
    }
    assert!(seen > 0);
}

fn name(round: usize, file: usize) -> String {
    format!("round {round} file {file:02}.txt")
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_files_moved_and_replaced_under_their_old_names_at_once_are_themselves() {
    let files: Vec<_> = (0..FILES)
        .map(|file| (name(0, file), text(&format!("first {file}"), 5 + file % 3)))
        .collect();
    let office = Office::with(&files).await;
    // After this the server has named none of the versions.
    for file in 0..FILES {
        office.rename(&name(0, file), &name(1, file));
    }
    office.rig.until_equal(office.daemon()).await;
    let asked = office.gateway.take();
    assert_eq!((asked.copies.len(), asked.stored), (FILES, 0), "{asked:?}");
    assert_eq!(asked.with_tags, 0, "tags take rights that nobody gave");
    assert!(
        asked.copies.iter().all(|from| from.contains("versionId=")),
        "{asked:?}"
    );
    assert!(office.version_id(&name(1, 0)).is_some(), "it was asked for");
    // Copies come when what replaces their originals has come already.
    office.gateway.copy_after(FILES as u64);
    for file in 0..FILES {
        office.rename(&name(1, file), &name(2, file));
        // As long as what was there, so that no size tells them apart.
        let other = text(&format!("other {file}"), 5 + file % 3);
        office.rig.write(&name(1, file), other);
    }
    office.rig.until_equal(office.daemon()).await;
    let asked = office.gateway.take();
    assert_eq!((asked.copies.len(), asked.stored as usize), (FILES, FILES));
    office.every_version_is_what_it_says().await;
    office.daemon.unwrap().stop().await.unwrap();
}

/// In a chain each copy is of what a copy has made; a swap crosses two of them.
#[tokio::test(flavor = "multi_thread")]
async fn chains_and_swaps_of_renames_send_nothing_and_keep_every_version() {
    let files = [("a.doc", 30), ("b.doc", 30)].map(|(name, size)| (name.into(), text(name, size)));
    let office = Office::with(&files).await;
    for (from, to) in [("a.doc", "c.doc"), ("c.doc", "d.doc"), ("d.doc", "a.doc")] {
        office.rename(from, to);
        office.rig.until_equal(office.daemon()).await;
        let asked = office.gateway.take();
        assert_eq!((asked.copies.len(), asked.stored), (1, 0), "{from}");
    }
    for _ in 0..2 {
        office.rename("a.doc", "swap");
        office.rename("b.doc", "a.doc");
        office.rename("swap", "b.doc");
        office.rig.until_equal(office.daemon()).await;
        assert_eq!(office.gateway.take().stored, 0);
    }
    office.every_version_is_what_it_says().await;
    office.daemon.unwrap().stop().await.unwrap();
}

/// An index from before has no version ids of what such a server has copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_the_index_does_not_know_is_asked_for() {
    let office = Office::with(&[("a.doc".into(), text("a", 30))]).await;
    let ctx = office.daemon().components();
    let (id, key) = (ctx.sources[0].id, RelKey::parse_full("a.doc").unwrap());
    let mut record = ctx.index.get(id, &key).unwrap().unwrap();
    record.version_id = None;
    ctx.index.update(id, &key, record).unwrap();
    fs::copy(office.rig.path("a.doc"), office.rig.path("b.doc")).unwrap();
    office.rig.until_equal(office.daemon()).await;
    let asked = office.gateway.take();
    assert_eq!((asked.copies.len(), asked.stored), (1, 0), "{asked:?}");
    assert!(asked.copies[0].contains("versionId="), "{asked:?}");
    office.daemon.unwrap().stop().await.unwrap();
}

/// A copy in one piece of what came in parts has another ETag, and nobody knows
/// checksums: it is read.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_nothing_is_said_of_is_read_back() {
    let large = text("film", 9 << 10);
    let office = Office::with(&[("film.bin".into(), large)]).await;
    office.rename("film.bin", "summer.bin");
    office.rig.until_equal(office.daemon()).await;
    let asked = office.gateway.take();
    assert_eq!((asked.copies.len(), asked.stored), (1, 0), "{asked:?}");
    office.daemon.unwrap().stop().await.unwrap();
}

/// It names versions and copies what is newest: nothing but the proof finds it out.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_copies_another_version_is_found_out_and_remembered() {
    for kilobytes in [30, 9 << 10] {
        let content = |name: &str| text(name, kilobytes);
        let files = ["a.doc", "b.doc", "c.doc"].map(|name| (name.to_owned(), content(name)));
        let mut office = Office::with(&files).await;
        office.gateway.ignore_versions();
        office.gateway.copy_after(1);
        office.rename("a.doc", "moved.doc");
        office.rig.write("a.doc", content("x.doc"));
        let believed = |office: &Office, key: &str, content: Vec<u8>| {
            let (ctx, key) = (
                office.daemon().components(),
                RelKey::parse_full(key).unwrap(),
            );
            let record = ctx.index.get(ctx.sources[0].id, &key).unwrap();
            record.and_then(|record| record.content) == Some(ContentHash::of(&content))
        };
        until("what was moved is stored", async || {
            believed(&office, "moved.doc", content("a.doc"))
        })
        .await;
        let store = office.rig.store();
        let newest = history(&store, "moved.doc").await.remove(0);
        assert!(newest == Some(content("a.doc")), "{kilobytes}");
        office.rig.until_equal(office.daemon()).await;
        let asked = office.gateway.take();
        assert_eq!(asked.copies.len(), 1, "{asked:?}");
        let made = history(&store, "moved.doc").await.len();
        assert_eq!(made, 2, "a wrong one, and what was sent: {asked:?}");
        // Not asked again, also not by the next run.
        for (from, to) in [("b.doc", "b2.doc"), ("c.doc", "c2.doc")] {
            office.gateway.copy_after(0);
            office.rename(from, to);
            office.rig.until_equal(office.daemon()).await;
            let asked = office.gateway.take();
            assert!(
                asked.copies.is_empty() && asked.stored > 0,
                "{to}: {asked:?}"
            );
            office.stop().await;
            office.start().await;
            office.rest().await;
        }
        office.stop().await;
    }
}
