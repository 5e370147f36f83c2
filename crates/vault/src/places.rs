//! Puts bodies in their places: the newest version at its plain place, the others hidden.
//!
//! A body is in the hidden tree or, if not there, at the key's plain place. Nothing records
//! which, so no record can be wrong, and a crash between two renames leaves nothing to
//! undo. [`Inner::settle`] brings a key to the state it should have, from whatever state it
//! is in. It never overwrites a file: a file in the way is hidden, set aside, or left
//! alone.

use super::disk;
use super::failure;
use super::inner::{Inner, KeyGuard, Slot};
use super::layout;
use super::log::Log;
use super::record::Object;
use md5::{Digest, Md5};
use s3s::S3Result;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How many versions are searched for the owner of a plain file, not counting removed ones.
/// Only the newest two can own it, unless a promotion failed before.
const OWNER_SEARCH_MAX: usize = 64;

/// A file that is set aside loses a longer name, because the id must fit too.
const ASIDE_NAME_BYTES_MAX: usize = 200;

/// Buffer for reading a body to check it.
pub(super) const CHECK_BUFFER_BYTES: usize = 256 * 1024;

/// How a file compares with what the log says of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// Size and time are as the vault left them.
    Exact,
    /// The size is right and the time is not: only the content can tell.
    Unsure,
    Other,
}

/// Whose body the file at a plain place is.
#[derive(Debug)]
enum Owner {
    /// A version's that is still there: the body's name.
    Kept(String),
    /// One's that was removed.
    Removed,
    /// None's; true when the body of a version is nowhere else.
    Nobody { is_claimed: bool },
}

/// Compare without reading.
pub(super) fn compare(meta: &std::fs::Metadata, object: &Object) -> Match {
    let (size, mtime_ns) = disk::size_and_mtime(meta);
    match (
        meta.is_file() && size == object.size,
        mtime_ns == object.mtime_ns,
    ) {
        (true, true) => Match::Exact,
        (true, false) => Match::Unsure,
        (false, _) => Match::Other,
    }
}

/// The MD5 of a whole file, in hex.
pub(super) fn md5_of(file: &mut File) -> io::Result<String> {
    let mut hasher = Md5::new();
    let mut buffer = vec![0; CHECK_BUFFER_BYTES];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&buffer[..n]);
    }
}

impl Inner {
    /// Is the file at `path` this body? Reads the file if its time differs (a vault copied
    /// to another disk), and then corrects the time.
    pub(super) fn is_body(&self, path: &Path, object: &Object) -> io::Result<bool> {
        let meta = match std::fs::symlink_metadata(path) {
            Ok(meta) => meta,
            Err(_) => return Ok(false),
        };
        match compare(&meta, object) {
            Match::Exact => Ok(true),
            Match::Other => Ok(false),
            Match::Unsure => {
                let mut file = File::open(path)?;
                let is_same = md5_of(&mut file)? == object.md5;
                if is_same && self.is_sole_writer() {
                    // Best effort: without it the file is only read again next time.
                    if let Ok(file) = File::options().write(true).open(path) {
                        let _ = disk::set_mtime(&file, object.mtime_ns);
                    }
                }
                Ok(is_same)
            }
        }
    }

    /// Bring a key's files to where they should be.
    pub(super) fn settle(&self, _guard: &KeyGuard<'_>, bucket: &str, key: &str) -> S3Result<()> {
        let log_path = self.layout.log(bucket, key);
        let fail = |e: io::Error| failure::disk("put in order", &log_path, &e);
        let log = Log::open(&log_path).map_err(fail)?;
        let newest = match &log {
            Some(log) => log.newest().map_err(fail)?,
            None => None,
        };
        let Some(plain) = self.layout.plain(bucket, key) else {
            return Ok(());
        };
        let fail = |e: io::Error| failure::disk("put in order", &plain, &e);
        let newest = newest.and_then(|found| found.version.object);
        if let Some(log) = &log {
            self.clear_plain(bucket, key, log, newest.as_ref(), &plain)
                .map_err(fail)?;
        }
        match newest {
            Some(object) => self.promote(bucket, &object, &plain),
            None => self.prune_plain(bucket, &plain),
        }
        Ok(())
    }

    /// Clear the plain place of what should not be there.
    fn clear_plain(
        &self,
        bucket: &str,
        key: &str,
        log: &Log,
        newest: Option<&Object>,
        plain: &Path,
    ) -> io::Result<()> {
        match self.owner_of(bucket, log, plain)? {
            Owner::Kept(body) if newest.is_some_and(|newest| newest.body == body) => Ok(()),
            Owner::Kept(body) => self.move_out(plain, &self.layout.body(bucket, &body)),
            Owner::Removed => self.drop_plain(plain),
            Owner::Nobody { is_claimed } => {
                let is_newest_lost =
                    newest.is_some_and(|newest| !self.layout.body(bucket, &newest.body).exists());
                if !is_claimed || is_newest_lost || !has_exact_name(plain) {
                    return Ok(());
                }
                let aside = self.layout.set_aside().join(aside_name(key));
                tracing::warn!(file = %plain.display(), kept_as = %aside.display(), "a file in the vault was changed by hand; it is set aside for the newer version");
                self.move_out(plain, &aside)
            }
        }
    }

    /// Whose body lies at the plain place. Versions with the same content differ in their
    /// times, and a live version comes before any removed one, so that no body of a live
    /// version is dropped by mistake.
    fn owner_of(&self, bucket: &str, log: &Log, plain: &Path) -> io::Result<Owner> {
        let meta = match std::fs::symlink_metadata(plain) {
            Ok(meta) if !meta.is_dir() => meta,
            _ => return Ok(Owner::Nobody { is_claimed: false }),
        };
        let (mut kept, mut removed) = (Vec::new(), Vec::new());
        let (mut objects, mut is_claimed, mut is_removed) = (0, false, false);
        for found in log.back_from(None)? {
            let found = found?;
            let Some(object) = found.version.object else {
                continue;
            };
            objects += usize::from(found.is_live);
            if objects > OWNER_SEARCH_MAX {
                break;
            }
            let likeness = compare(&meta, &object);
            if !found.is_live && likeness == Match::Other {
                continue;
            }
            // A body that is nowhere else belongs at the plain place: a file with our name
            // there is ours, changed or not.
            if self.layout.body(bucket, &object.body).exists() {
                continue;
            }
            is_claimed |= found.is_live;
            match (found.is_live, likeness) {
                (true, Match::Exact) => return Ok(Owner::Kept(object.body)),
                (true, Match::Unsure) => kept.push(object),
                (false, Match::Exact) => is_removed = true,
                (false, Match::Unsure) if removed.len() < OWNER_SEARCH_MAX => removed.push(object),
                _ => {}
            }
        }
        // The name is checked last, since that reads the folder.
        for object in kept {
            if self.is_body(plain, &object)? && has_exact_name(plain) {
                return Ok(Owner::Kept(object.body));
            }
        }
        for object in &removed {
            is_removed = is_removed || self.is_body(plain, object)?;
        }
        Ok(match is_removed && has_exact_name(plain) {
            true => Owner::Removed,
            false => Owner::Nobody { is_claimed },
        })
    }

    /// Move a plain file into the hidden tree.
    fn move_out(&self, plain: &Path, hidden: &Path) -> io::Result<()> {
        if let Some(shelf) = hidden.parent() {
            self.disk.make_dirs_in(&self.layout.buckets(), shelf)?;
        }
        {
            let _placement = self.lock_placement();
            self.disk.rename(plain, hidden)?;
        }
        if let Some(shelf) = hidden.parent() {
            self.disk.sync_dir(shelf)?;
        }
        // The folder may have been removed with another key.
        plain
            .parent()
            .map_or(Ok(()), |folder| self.disk.sync_dir_if_there(folder))
    }

    fn drop_plain(&self, plain: &Path) -> io::Result<()> {
        let _placement = self.lock_placement();
        self.disk.remove(plain)
    }

    /// Give the newest version its plain place. Where that is impossible (name refused,
    /// place taken), it stays hidden and is as safe there.
    fn promote(&self, bucket: &str, object: &Object, plain: &Path) {
        let hidden = self.layout.body(bucket, &object.body);
        if !hidden.exists() {
            return;
        }
        let taken = || -> io::Result<bool> {
            let _placement = self.lock_placement();
            let folder = plain.parent().ok_or(io::ErrorKind::NotFound)?;
            self.disk.make_dirs_in(&self.layout.root, folder)?;
            match std::fs::symlink_metadata(plain) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                _ => return Ok(false),
            }
            self.disk.rename(&hidden, plain)?;
            Ok(true)
        };
        match taken() {
            Ok(true) => {
                for folder in [plain.parent(), hidden.parent()].into_iter().flatten() {
                    if let Err(e) = self.disk.sync_dir(folder) {
                        tracing::warn!(folder = %folder.display(), error = %e, "cannot make sure of a file's place in the vault");
                    }
                }
            }
            Ok(false) => {}
            Err(e) => {
                tracing::debug!(file = %plain.display(), error = %e, "the disk refuses this name; the file is kept in the hidden tree");
                self.prune_plain(bucket, plain);
            }
        }
    }

    /// Remove folders that became empty, up to the bucket's own.
    pub(super) fn prune_plain(&self, bucket: &str, plain: &Path) {
        let root = self.layout.plain_root(bucket);
        let _placement = self.lock_placement();
        for folder in plain.ancestors().skip(1) {
            if folder == root || !folder.starts_with(&root) {
                break;
            }
            // If it is gone already, go on above it; if it is not empty, stop.
            if folder.exists() && !self.disk.remove_empty_dir(folder) {
                break;
            }
        }
    }

    /// Remove the body of a version that was struck out from the hidden tree.
    /// [`Inner::settle`] must follow, and finds it at the plain place.
    pub(super) fn discard(&self, bucket: &str, body: &str) -> S3Result<()> {
        let hidden = self.layout.body(bucket, body);
        match hidden.exists() {
            true => self.disk.remove(&hidden),
            false => Ok(()),
        }
        .map_err(|e| failure::disk("remove", &hidden, &e))
    }

    /// Finish or undo what a crash cut off while this key was in work.
    pub(super) fn settle_after_crash(&self, guard: &KeyGuard<'_>, slot: &Slot) -> S3Result<()> {
        let (bucket, key) = (slot.bucket.as_str(), slot.key.as_str());
        let path = self.layout.log(bucket, key);
        let fail = |e: io::Error| failure::disk("read", &path, &e);
        let log = Log::open(&path).map_err(fail)?;
        let mut has_live = false;
        let mut is_needed = false;
        if let Some(log) = &log {
            for found in log.back_from(None).map_err(fail)? {
                let found = found.map_err(fail)?;
                has_live |= found.is_live;
                let body = found.version.object.map(|object| object.body);
                is_needed |= found.is_live && body.is_some() && body == slot.body;
            }
        }
        if let (Some(body), false) = (&slot.body, is_needed) {
            // The log does not have it: it was never committed, and never left the hidden
            // tree.
            self.discard(bucket, body)?;
        }
        self.strike_shadowed(guard, bucket, key)?;
        self.settle(guard, bucket, key)?;
        if log.is_some() && !has_live {
            self.forget_key(guard, bucket, key)?;
        }
        Ok(())
    }
}

/// A new name for a file that is set aside, with its own name in it if that fits.
fn aside_name(key: &str) -> String {
    let id = layout::random_id();
    match key.rsplit('/').next() {
        Some(name) if name.len() <= ASIDE_NAME_BYTES_MAX => format!("{}-{name}", &id[..8]),
        _ => id,
    }
}

/// Does the folder list exactly this name? A disk that ignores case finds
/// `A.txt` under `a.txt`, but that file is another key's.
pub(super) fn has_exact_name(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return false;
    };
    std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() == name))
    })
}
