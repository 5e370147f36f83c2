//! Large files whose next version is put together from the one before: what goes
//! over the wire, that every version comes back as it was, and that no server is
//! believed which does not copy what it says.

mod costs;
pub mod gateway;
mod left_out;
mod lies;
mod line;
// Starts Python, and the servers that it has.
#[cfg(unix)]
mod moto;

use crate::errors::{config, indexed, start_on};
use crate::harness::{BUCKET, Rig, at_rest, until};
use gateway::Gateway;
use keepwatch::daemon::Daemon;
use keepwatch::s3::{At, Store};
use keepwatch::types::{ContentHash, Parts, RelKey, RelPath};
use line::{Line, Traffic};
use std::fs;

const MIB: usize = 1024 * 1024;

fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut out = vec![0; bytes];
    random.fill(&mut out);
    out
}

/// An office's table: like itself, but no two lines the same.
fn table(lines: usize, seed: u64) -> Vec<u8> {
    use std::io::Write as _;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut out = Vec::new();
    for line in 0..lines {
        let (who, sum) = (random.u32(..), random.u32(..10_000_000));
        writeln!(
            out,
            "{line};2026-11-{:02};customer {who:08x};{}.{:02};EUR;{:016x}",
            line % 28 + 1,
            sum / 100,
            sum % 100,
            random.u64(..)
        )
        .unwrap();
    }
    out
}

/// A daemon on the vault through a counting line, and the states of one file.
struct Desk {
    rig: Rig,
    line: Line,
    /// What stands before the vault, if anything.
    gateway: Option<Gateway>,
    daemon: Option<Daemon>,
    name: &'static str,
    /// Hash of each state that was stored, oldest first.
    states: Vec<String>,
}

impl Desk {
    async fn new(name: &'static str, content: &[u8]) -> (Self, Traffic) {
        Self::with(name, content, Line::default()).await
    }

    async fn with(name: &'static str, content: &[u8], line: Line) -> (Self, Traffic) {
        Self::behind(Rig::new(), None, (name, content), line).await
    }

    async fn behind(
        rig: Rig,
        gateway: Option<Gateway>,
        (name, content): (&'static str, &[u8]),
        line: Line,
    ) -> (Self, Traffic) {
        let mut desk = Self {
            daemon: None,
            rig,
            line,
            gateway,
            name,
            states: Vec::new(),
        };
        desk.start().await;
        let traffic = desk.save(content).await;
        (desk, traffic)
    }

    async fn start(&mut self) {
        let http = match &self.gateway {
            Some(gateway) => self.line.wrap(gateway.clone()),
            None => self.line.wrap(self.rig.vault().connector()),
        };
        let store = Store::vault(http, "the test vault");
        let mut config = config(&self.rig);
        config.sources[0].compress = vec!["*.csv".into()];
        self.daemon = Some(start_on(config, store).await);
    }

    async fn stop(&mut self) {
        self.daemon.take().unwrap().stop().await.unwrap();
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    /// Save that content and wait until it is stored: what that took.
    async fn save(&mut self, content: &[u8]) -> Traffic {
        let before = self.line.traffic();
        let temporary = self.rig.dir.path().join("saving");
        fs::write(&temporary, content).unwrap();
        fs::rename(&temporary, self.rig.path(self.name)).unwrap();
        let hash = ContentHash::of(content).to_hex();
        if self.states.last() != Some(&hash) {
            self.states.push(hash.clone());
        }
        self.stored(&hash).await;
        self.line.traffic() - before
    }

    async fn stored(&self, hash: &str) {
        let daemon = self.daemon();
        let on_disk = || {
            fs::metadata(self.rig.path(self.name))
                .unwrap()
                .modified()
                .unwrap()
        };
        until("it is stored", async || {
            at_rest(daemon)
                && indexed(daemon, self.name).as_deref() == Some(hash)
                && self.recorded_mtime() == Some(on_disk())
        })
        .await;
    }

    fn key(&self) -> RelKey {
        RelKey::of_file(&RelPath::from_bytes(self.name).unwrap())
    }

    fn recorded_mtime(&self) -> Option<std::time::SystemTime> {
        let ctx = self.daemon().components();
        let record = ctx.index.get(ctx.sources[0].id, &self.key()).unwrap()?;
        let since =
            std::time::Duration::from_nanos(record.fingerprint.mtime_ns.try_into().unwrap());
        Some(std::time::UNIX_EPOCH + since)
    }

    fn parts(&self) -> Option<Parts> {
        let ctx = self.daemon().components();
        ctx.index.parts(ctx.sources[0].id, &self.key()).unwrap()
    }

    /// Every version in the bucket, oldest first, as `unpack` gives it: exactly
    /// the states that were saved.
    async fn every_version_is_whole(&self, unpack: impl Fn(Vec<u8>) -> Vec<u8>) {
        let store = self.rig.store();
        let key = self.key();
        let page = store.list_versions(BUCKET, key.as_str(), None).await;
        let page = page.unwrap();
        let mut hashes = Vec::new();
        for version in page.items.iter().rev() {
            assert!(!version.is_marker);
            let at = At {
                bucket: BUCKET,
                key: key.as_str(),
            };
            let (head, mut body) = store.get(at, version.version_id.as_ref()).await.unwrap();
            let mut bytes = Vec::new();
            while let Some(piece) = body.next().await.unwrap() {
                bytes.extend_from_slice(&piece);
            }
            assert_eq!(bytes.len() as u64, head.stored_bytes);
            let hash = ContentHash::of(&unpack(bytes)).to_hex();
            let meta = head.meta.unwrap();
            assert_eq!(meta.content.map(ContentHash::to_hex).as_ref(), Some(&hash));
            hashes.push(hash);
        }
        // A version whose metadata alone changed has the same content.
        hashes.dedup();
        assert_eq!(hashes, self.states);
        assert!(store.open_uploads(BUCKET, "").await.unwrap().is_empty());
    }
}
