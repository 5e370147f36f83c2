//! Recovers after a crash: settles the keys that were in work, and makes durable what is
//! visible.
//!
//! A process that begins to write runs this first. It must never remove a body that a live
//! line needs, and nobody may rely on what a power cut could still undo.

use super::failure;
use super::inner::{Inner, STRIPES, Slot};
use super::log::Log;
use super::record;
use s3s::S3Result;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

impl Inner {
    /// Finish what was cut off. Cheap: at most one key per slot.
    pub(super) fn recover(&self) -> S3Result<()> {
        self.names.clear();
        let mut synced = self.sync_fixed()?;
        for number in 0..STRIPES {
            let path = self.slot_path(number);
            let Ok(bytes) = std::fs::read(&path) else {
                continue;
            };
            let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
            // A torn slot means that its work had not begun.
            let Some((_, slot)) = record::from_line::<Slot>(line) else {
                continue;
            };
            if self.find_bucket(&slot.bucket)?.is_none() {
                continue;
            }
            let guard = self.guard(number);
            let settled = self.settle_after_crash(&guard, &slot);
            self.sync_key(&slot, &mut synced)?;
            if let Err(e) = settled {
                // What is stored is safe; only this key's plain file may be an older one.
                // That must not keep the vault shut.
                tracing::warn!(
                    bucket = slot.bucket,
                    key = slot.key,
                    error = failure::words(&e),
                    "cannot put a file of the vault in its place"
                );
            }
        }
        let tmp = self.layout.tmp();
        let fail = |e: io::Error| failure::disk("tidy", &tmp, &e);
        for entry in std::fs::read_dir(&tmp).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.is_dir() {
                self.disk.remove_tree(&path).map_err(fail)?;
            } else {
                self.disk.remove(&path).map_err(fail)?;
            }
        }
        Ok(())
    }

    /// Sync the folders that every key needs. What a process that died left visible may
    /// still be lost in a power cut, and whoever opens the vault next relies on what it
    /// sees.
    fn sync_fixed(&self) -> S3Result<BTreeSet<PathBuf>> {
        let layout = &self.layout;
        let mut folders = vec![
            layout.root.clone(),
            layout.hidden.clone(),
            layout.slots(),
            layout.buckets(),
        ];
        let fail = |e: io::Error| failure::disk("read", &layout.buckets(), &e);
        for entry in std::fs::read_dir(layout.buckets()).map_err(fail)? {
            let folder = entry.map_err(fail)?.path();
            folders.push(folder.join("bodies"));
            folders.push(folder);
        }
        let mut synced = BTreeSet::new();
        self.sync_folders(folders, &mut synced)?;
        Ok(synced)
    }

    /// The same for the key that was in work: its log, and where its bodies lie.
    fn sync_key(&self, slot: &Slot, synced: &mut BTreeSet<PathBuf>) -> S3Result<()> {
        let log_path = self.layout.log(&slot.bucket, &slot.key);
        let fail = |e: io::Error| failure::disk("sync", &log_path, &e);
        if let Some(log) = Log::open_to_sync(&log_path).map_err(fail)? {
            log.sync(&self.disk).map_err(fail)?;
        }
        let body = slot.body.as_ref();
        let body = body.map(|body| self.layout.body(&slot.bucket, body));
        let plain = self.layout.plain(&slot.bucket, &slot.key);
        let files = [Some(&log_path), body.as_ref(), plain.as_ref()];
        let folders = files.into_iter().flatten().flat_map(|file| {
            let above = file.ancestors().skip(1);
            above
                .take_while(|folder| folder.starts_with(&self.layout.root))
                .map(Path::to_owned)
        });
        self.sync_folders(folders, synced)
    }

    fn sync_folders(
        &self,
        folders: impl IntoIterator<Item = PathBuf>,
        synced: &mut BTreeSet<PathBuf>,
    ) -> S3Result<()> {
        for folder in folders {
            if folder.is_dir() && !synced.contains(&folder) {
                let fail = |e: io::Error| failure::disk("sync", &folder, &e);
                self.disk.sync_dir(&folder).map_err(fail)?;
                synced.insert(folder);
            }
        }
        Ok(())
    }
}
