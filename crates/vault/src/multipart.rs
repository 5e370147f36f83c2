//! Multipart uploads under way: their parts on the disk.
//!
//! An upload is a folder with what was said at its start, a log of its parts and a file
//! for each. A part that was uploaded twice counts as it was last. Must never touch an
//! object.

use super::checksum::Algorithm;
use super::disk;
use super::failure;
use super::inner::Inner;
use super::layout;
use super::record::{self, Header, Sums};
use super::stage::Staged;
use s3s::{S3Error, S3ErrorCode, S3Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// S3's largest part number.
pub(super) const PART_NUMBER_MAX: i32 = 10_000;

/// What was said when the upload began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Upload {
    #[serde(skip)]
    pub(super) id: String,
    pub(super) key: String,
    pub(super) initiated_ms: i64,
    #[serde(default)]
    pub(super) headers: BTreeMap<Header, String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    /// The checksum's name, e.g. `CRC32`.
    #[serde(default)]
    pub(super) checksum: Option<String>,
    /// True when the object's checksum is of its bytes, not of the parts' checksums.
    #[serde(default)]
    pub(super) is_full_checksum: bool,
}

/// One part on the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) number: i32,
    pub(super) body: String,
    pub(super) size: u64,
    /// In hex; it is the part's ETag.
    pub(super) md5: String,
    pub(super) modified_ms: i64,
    #[serde(default)]
    pub(super) sums: Sums,
}

impl Upload {
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_deref().and_then(Algorithm::parse)
    }
}

pub(super) fn no_such_upload(id: &str) -> S3Error {
    failure::refuse(
        S3ErrorCode::NoSuchUpload,
        format!("there is no upload {id}: it was completed or aborted, or never begun"),
    )
}

impl Inner {
    /// An upload's folder. An id that the vault did not make is no path.
    pub(super) fn upload_folder(&self, bucket: &str, id: &str) -> S3Result<PathBuf> {
        let is_ours = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_ours {
            return Err(no_such_upload(id));
        }
        Ok(self.layout.uploads(bucket).join(id))
    }

    /// Begin an upload.
    pub(super) fn begin_upload(&self, bucket: &str, upload: &Upload) -> S3Result<String> {
        self.own()?;
        self.bucket(bucket)?;
        let id = layout::random_id();
        let folder = self.upload_folder(bucket, &id)?;
        let begin = || -> io::Result<()> {
            let bytes = serde_json::to_vec(upload)?;
            self.disk.make_dirs_in(&self.layout.buckets(), &folder)?;
            self.disk
                .write_whole(&folder.join("upload.json"), &self.layout.new_tmp(), &bytes)
        };
        begin().map_err(|e| failure::disk("write", &folder, &e))?;
        Ok(id)
    }

    /// An upload under way; its key must be the one that was begun with.
    pub(super) fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<Upload> {
        self.bucket(bucket)?;
        let folder = self.upload_folder(bucket, id)?;
        read_upload(&folder, id)
            .map_err(|e| failure::disk("read", &folder, &e))?
            .filter(|upload| upload.key == key)
            .ok_or_else(|| no_such_upload(id))
    }

    /// All uploads of a bucket, by key, then in the order they began.
    pub(super) fn uploads(&self, bucket: &str) -> S3Result<Vec<Upload>> {
        self.bucket(bucket)?;
        let root = self.layout.uploads(bucket);
        let read = || -> io::Result<Vec<Upload>> {
            let entries = match std::fs::read_dir(&root) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                other => other?,
            };
            let mut all = Vec::new();
            for entry in entries {
                let entry = entry?;
                let id = entry.file_name().to_string_lossy().into_owned();
                all.extend(read_upload(&entry.path(), &id)?);
            }
            all.sort_by(|a, b| {
                (&a.key, a.initiated_ms, &a.id).cmp(&(&b.key, b.initiated_ms, &b.id))
            });
            Ok(all)
        };
        read().map_err(|e| failure::disk("list", &root, &e))
    }

    /// Keep a staged body as a part.
    pub(super) fn put_part(
        &self,
        bucket: &str,
        upload: &Upload,
        number: i32,
        staged: Staged,
        sums: Sums,
    ) -> S3Result<Part> {
        let folder = self.upload_folder(bucket, &upload.id)?;
        let part = Part {
            number,
            body: staged.body.clone(),
            size: staged.size,
            md5: staged.md5.clone(),
            modified_ms: self.now_ms(),
            sums,
        };
        let keep = || -> io::Result<()> {
            let line = record::to_line(&part)?;
            self.disk
                .rename(&staged.path, &folder.join(format!("p-{}", part.body)))?;
            self.disk.sync_dir(&folder)?;
            let _guard = self.lock_key(bucket, &upload.id);
            append_line(self, &folder.join("parts.log"), &line)
        };
        keep().map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => no_such_upload(&upload.id),
            _ => failure::disk("write", &folder, &e),
        })?;
        staged.forget();
        Ok(part)
    }

    /// The parts that have come, by number.
    pub(super) fn parts(&self, bucket: &str, id: &str) -> S3Result<BTreeMap<i32, Part>> {
        let path = self.upload_folder(bucket, id)?.join("parts.log");
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            other => other.map_err(|e| failure::disk("read", &path, &e))?,
        };
        Ok(bytes
            .split(|&b| b == b'\n')
            .filter_map(record::from_line::<Part>)
            .map(|(_, part)| (part.number, part))
            .collect())
    }

    /// Forget an upload and its parts.
    pub(super) fn end_upload(&self, bucket: &str, id: &str) -> S3Result<()> {
        self.own()?;
        let folder = self.upload_folder(bucket, id)?;
        // One rename hides it; the next start removes what a crash leaves in `tmp`.
        let tmp = self.layout.new_tmp();
        match self.disk.rename(&folder, &tmp) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(no_such_upload(id)),
            other => other
                // Otherwise a power cut brings back an upload that nobody knows any more.
                .and_then(|()| self.disk.sync_dir(&self.layout.uploads(bucket)))
                .and_then(|()| self.disk.remove_tree(&tmp))
                .map_err(|e| failure::disk("remove", &folder, &e))?,
        }
        Ok(())
    }
}

fn append_line(vault: &Inner, path: &Path, line: &[u8]) -> io::Result<()> {
    let file = vault.disk.open_rw(path)?;
    let len = file.metadata()?.len();
    if len == 0
        && let Some(folder) = path.parent()
    {
        vault.disk.sync_dir(folder)?;
    }
    let is_torn = len > 0 && disk::read_at(&file, len - 1, 1)? != b"\n";
    let mut bytes = if is_torn { vec![b'\n'] } else { Vec::new() };
    bytes.extend_from_slice(line);
    vault.disk.write_at(&file, len, &bytes)?;
    vault.disk.sync(&file)
}

fn read_upload(folder: &Path, id: &str) -> io::Result<Option<Upload>> {
    match std::fs::read(folder.join("upload.json")) {
        Ok(bytes) => {
            let upload: Upload = serde_json::from_slice(&bytes)?;
            Ok(Some(Upload {
                id: id.to_owned(),
                ..upload
            }))
        }
        // It was cut off before its id was told to anybody, or has just ended.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
