//! Stores and removes versions: the order of the steps.
//!
//! Storing: the body is synced in `tmp`, moved to its hidden place, and the folder synced;
//! then the line is appended to the log and synced: **from that moment the version
//! exists**. Only then are the plain places put in order, so an uncommitted body is never
//! at one. Removing: the version is struck out of the log first, then its body is removed.
//! After a crash the slot names the key, and [`Inner::settle_after_crash`] finishes the
//! work. Must never remove a body that a live line needs.

use super::disk;
use super::failure;
use super::inner::{Bucket, Inner, KeyGuard, Slot, Versioning};
use super::log::{self, Log};
use super::precondition::Precondition;
use super::record::{NULL_ID, Object, Version};
use super::stage::Staged;
use s3s::{S3ErrorCode, S3Result};
use std::io;
use std::path::Path;

/// How far a version's time may be ahead of the clock, to keep the times of a key's
/// versions rising: clocks are set back by seconds or an hour; after a larger jump the
/// clock counts.
const CLOCK_STEP_MAX_MS: i64 = 60 * 60 * 1000;

/// How far apart the times of two versions' files of one size must be: FAT's times are two
/// seconds apart.
const MTIME_STEP_NS: i64 = 2_000_000_000;

/// The result of a removal.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Removed {
    /// The id of the version removed or of the marker set.
    pub(super) id: Option<String>,
    pub(super) is_marker: bool,
}

impl Inner {
    /// Store a body as the newest version of `key`.
    pub(super) fn put(
        &self,
        bucket: &str,
        key: &str,
        staged: Staged,
        mut object: Object,
        precondition: &Precondition,
    ) -> S3Result<Version> {
        check_key(key)?;
        self.own()?;
        let mut guard = self.lock_key(bucket, key);
        let state = self.bucket(bucket)?;
        let newest = self.newest(bucket, key)?;
        let newest_object = newest.as_ref().and_then(|version| version.object.as_ref());
        if let (Some(newest), Some(was)) = (&newest, newest_object)
            && object.upload.is_some()
            && was.upload == object.upload
        {
            // The answer to an earlier completion was lost; it is done.
            return Ok(newest.clone());
        }
        precondition.check(newest_object)?;
        object.body.clone_from(&staged.body);
        object.size = staged.size;
        object.md5.clone_from(&staged.md5);
        object.mtime_ns = tell_apart(&staged, newest_object)
            .map_err(|e| failure::disk("write", &staged.path, &e))?;
        guard.note(&Slot {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            body: Some(object.body.clone()),
        })?;
        let body = object.body.clone();
        let hidden = self.shelve(bucket, staged)?;
        let made = self.append(bucket, key, &state, newest.as_ref(), Some(object));
        if made.is_err() && !self.is_newest_body(bucket, key, &body) {
            // It was never committed. Best effort: the slot names the body too.
            let _ = self.disk.remove(&hidden);
        }
        let version = made?;
        self.after_commit(&guard, bucket, key, &state, &version);
        Ok(version)
    }

    /// Delete without naming a version: a marker, or the object itself where
    /// versioning was never enabled.
    pub(super) fn delete(
        &self,
        bucket: &str,
        key: &str,
        precondition: &Precondition,
    ) -> S3Result<Removed> {
        check_key(key)?;
        self.own()?;
        let mut guard = self.lock_key(bucket, key);
        let state = self.bucket(bucket)?;
        let newest = self.newest(bucket, key)?;
        precondition.check(newest.as_ref().and_then(|version| version.object.as_ref()))?;
        if state.versioning == Versioning::Never {
            self.strike_out(&mut guard, bucket, key, NULL_ID)?;
            return Ok(Removed::default());
        }
        guard.note(&Slot {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            body: None,
        })?;
        let version = self.append(bucket, key, &state, newest.as_ref(), None)?;
        self.after_commit(&guard, bucket, key, &state, &version);
        Ok(Removed {
            id: Some(version.id),
            is_marker: true,
        })
    }

    /// Remove one version for good; fine when there is none.
    pub(super) fn remove_version(&self, bucket: &str, key: &str, id: &str) -> S3Result<Removed> {
        self.own()?;
        let mut guard = self.lock_key(bucket, key);
        self.bucket(bucket)?;
        let was_marker = self.strike_out(&mut guard, bucket, key, id)?;
        Ok(Removed {
            id: Some(id.to_owned()),
            is_marker: was_marker,
        })
    }

    /// The newest version of a key, be it an object or a marker.
    pub(super) fn newest(&self, bucket: &str, key: &str) -> S3Result<Option<Version>> {
        let path = self.layout.log(bucket, key);
        let read = || -> io::Result<Option<Version>> {
            match Log::open(&path)? {
                Some(log) => Ok(log.newest()?.map(|found| found.version)),
                None => Ok(None),
            }
        };
        read().map_err(|e| failure::disk("read", &path, &e))
    }

    /// Does the log name this body, although writing reported an error? In doubt it does: a
    /// body too many is better than one too few.
    fn is_newest_body(&self, bucket: &str, key: &str, body: &str) -> bool {
        self.newest(bucket, key).map_or(true, |newest| {
            newest
                .and_then(|version| version.object)
                .is_some_and(|object| object.body == body)
        })
    }

    /// Move a staged body to its hidden place, durably.
    fn shelve(&self, bucket: &str, staged: Staged) -> S3Result<std::path::PathBuf> {
        let hidden = self.layout.body(bucket, &staged.body);
        let shelf = hidden.parent().unwrap_or(&self.layout.hidden);
        self.disk
            .make_dirs_in(&self.layout.buckets(), shelf)
            .and_then(|()| self.disk.rename(&staged.path, &hidden))
            .and_then(|()| self.disk.sync_dir(shelf))
            .map_err(|e| failure::disk("write", &hidden, &e))?;
        staged.forget();
        Ok(hidden)
    }

    /// Write the line that makes the version exist.
    fn append(
        &self,
        bucket: &str,
        key: &str,
        state: &Bucket,
        newest: Option<&Version>,
        object: Option<Object>,
    ) -> S3Result<Version> {
        let path = self.layout.log(bucket, key);
        let modified_ms = rising(self.now_ms(), newest.map(|version| version.modified_ms));
        let is_enabled = state.versioning == Versioning::Enabled;
        let write = || -> io::Result<Version> {
            let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
            let log = {
                // Emptied key folders are removed under the same lock.
                let _placement = self.lock_placement();
                if !path.exists() {
                    self.disk.make_dirs_in(&self.layout.buckets(), folder)?;
                }
                Log::open_rw(&self.disk, &path)?
            };
            if log.is_empty()? {
                // Sync the name first: a version must not be in a file that no folder
                // lists. The file may be empty and not new, if this failed before.
                self.disk.sync_dir(folder)?;
            }
            let version = log.append(&self.disk, key, |offset| Version {
                id: if is_enabled {
                    log::new_id(offset)
                } else {
                    NULL_ID.to_owned()
                },
                modified_ms,
                object,
            })?;
            self.names.added(&self.layout.keys(bucket), key);
            Ok(version)
        };
        write().map_err(|e| failure::disk("write", &path, &e))
    }

    /// Do what follows the commit. The version is stored whatever happens here: an error
    /// would make the client store it again, so it is only logged.
    fn after_commit(
        &self,
        guard: &KeyGuard<'_>,
        bucket: &str,
        key: &str,
        state: &Bucket,
        version: &Version,
    ) {
        let tidy = || -> S3Result<()> {
            if version.id == NULL_ID {
                self.strike_shadowed(guard, bucket, key)?;
            }
            self.settle(guard, bucket, key)?;
            if state.versioning == Versioning::Never {
                self.compact(bucket, key, version)?;
            }
            Ok(())
        };
        if let Err(e) = tidy() {
            tracing::warn!(
                bucket,
                key,
                error = failure::words(&e),
                "a version is stored, but its file could not be put in its plain place"
            );
        }
    }

    /// Strike out every `null` version but the newest: a new one replaces the old.
    /// [`Inner::settle`] must follow.
    pub(super) fn strike_shadowed(
        &self,
        _guard: &KeyGuard<'_>,
        bucket: &str,
        key: &str,
    ) -> S3Result<()> {
        let path = self.layout.log(bucket, key);
        let fail = |e: io::Error| failure::disk("write", &path, &e);
        let Some(reader) = Log::open(&path).map_err(fail)? else {
            return Ok(());
        };
        let mut has_null = false;
        let mut shadowed = Vec::new();
        for found in reader.back_from(None).map_err(fail)? {
            let found = found.map_err(fail)?;
            if found.is_live && found.version.id == NULL_ID {
                if has_null {
                    shadowed.push(found);
                }
                has_null = true;
            }
        }
        if shadowed.is_empty() {
            return Ok(());
        }
        let log = Log::open_rw(&self.disk, &path).map_err(fail)?;
        for found in shadowed {
            log.strike(&self.disk, found.offset).map_err(fail)?;
            if let Some(object) = &found.version.object {
                self.discard(bucket, &object.body)?;
            }
        }
        Ok(())
    }

    /// Strike one version out and remove its body. Says whether it was a marker.
    fn strike_out(
        &self,
        guard: &mut KeyGuard<'_>,
        bucket: &str,
        key: &str,
        id: &str,
    ) -> S3Result<bool> {
        let path = self.layout.log(bucket, key);
        let fail = |e: io::Error| failure::disk("write", &path, &e);
        let found = match Log::open(&path).map_err(fail)? {
            Some(log) => log.find(id).map_err(fail)?,
            None => None,
        };
        let Some(found) = found else {
            return Ok(false);
        };
        let object = found.version.object;
        guard.note(&Slot {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            body: object.as_ref().map(|object| object.body.clone()),
        })?;
        let log = Log::open_rw(&self.disk, &path).map_err(fail)?;
        log.strike(&self.disk, found.offset).map_err(fail)?;
        if let Some(object) = &object {
            self.discard(bucket, &object.body)?;
        }
        self.settle(guard, bucket, key)?;
        if log.newest().map_err(fail)?.is_none() {
            drop(log);
            self.forget_key(guard, bucket, key)?;
        }
        Ok(object.is_none())
    }

    /// Remove the log of a key without versions, and the folders that become empty.
    pub(super) fn forget_key(
        &self,
        _guard: &KeyGuard<'_>,
        bucket: &str,
        key: &str,
    ) -> S3Result<()> {
        let path = self.layout.log(bucket, key);
        let keys = self.layout.keys(bucket);
        let fail = |e: io::Error| failure::disk("remove", &path, &e);
        let _placement = self.lock_placement();
        self.disk.remove(&path).map_err(fail)?;
        for folder in path.ancestors().skip(1) {
            if folder == keys || !folder.starts_with(&keys) || !self.disk.remove_empty_dir(folder) {
                break;
            }
        }
        self.names
            .removed(&keys, key, |folder: &Path| !folder.exists());
        Ok(())
    }

    /// Keep the log of an often overwritten, never versioned key short.
    fn compact(&self, bucket: &str, key: &str, version: &Version) -> S3Result<()> {
        let path = self.layout.log(bucket, key);
        let rewrite = || -> io::Result<()> {
            if let Some(log) = Log::open(&path)?
                && log.is_mostly_dead()?
            {
                log.compact(&self.disk, &self.layout.new_tmp(), key, version)?;
            }
            Ok(())
        };
        rewrite().map_err(|e| failure::disk("write", &path, &e))
    }
}

/// S3's limit on a key: 1,024 bytes of UTF-8 (Amazon S3 User Guide, "Naming objects").
const KEY_BYTES_MAX: usize = 1024;

/// Nobody has checked the keys in a request's body yet.
fn check_key(key: &str) -> S3Result<()> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX {
        return Err(failure::refuse(
            S3ErrorCode::KeyTooLongError,
            format!("a key has 1 to {KEY_BYTES_MAX} bytes, not {}", key.len()),
        ));
    }
    Ok(())
}

/// The new version's time: the clock's, unless that is not after `last`.
fn rising(now_ms: i64, last_ms: Option<i64>) -> i64 {
    match last_ms {
        Some(last) if now_ms <= last && last - now_ms <= CLOCK_STEP_MAX_MS => last + 1,
        _ => now_ms,
    }
}

/// Make sure that a body differs in size or time from the ones before it, so that neither a
/// reader nor recovery confuses them.
fn tell_apart(staged: &Staged, newest: Option<&Object>) -> io::Result<i64> {
    let is_alike =
        |newest: &&Object| newest.size == staged.size && newest.mtime_ns == staged.mtime_ns;
    let Some(newest) = newest.filter(is_alike) else {
        return Ok(staged.mtime_ns);
    };
    let file = std::fs::File::options().write(true).open(&staged.path)?;
    disk::set_mtime(&file, newest.mtime_ns - MTIME_STEP_NS)?;
    Ok(disk::size_and_mtime(&file.metadata()?).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rise_unless_the_clock_was_far_off() {
        for (now, last, expected) in [
            (10, None, 10),
            (10, Some(9), 10),
            (10, Some(10), 11),
            (10, Some(500), 501),
            (10, Some(11 + CLOCK_STEP_MAX_MS), 10),
        ] {
            assert_eq!(rising(now, last), expected, "{now} {last:?}");
        }
    }
}
