//! Receives bodies: streams them to a file in `tmp`, hashes and checks them.
//!
//! A body is never in memory whole. Nothing is stored unless its length and every digest
//! from the client are right. A blocking thread writes each piece; at most [`BATCH_BYTES`],
//! or the client's own piece, waits for it.

use super::checksum::{Algorithm, sums_of};
use super::disk;
use super::failure;
use super::inner::Inner;
use super::layout;
use super::places::CHECK_BUFFER_BYTES;
use super::record::Sums;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures::StreamExt as _;
use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Checksum as _;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3ErrorCode, S3Result};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How much is gathered before a blocking thread is asked to write it.
const BATCH_BYTES: usize = 1 << 20;

/// How much of a refused body is read, so that the client sees the refusal and not a broken
/// connection.
const DRAIN_BYTES_MAX: usize = 8 << 20;

/// A body's time is set this far into the past: FAT's times are two seconds
/// apart, and a change by hand in the same moment must get another one.
const MTIME_BACK_NS: i64 = 2_000_000_000;

/// exFAT's grain. Below it the time is random in steps that NTFS keeps, so
/// that two bodies of one moment differ where the disk can tell.
const MTIME_GRAIN_NS: i64 = 10_000_000;
const MTIME_STEP_NS: i64 = 100;

/// A body wholly on the disk, in `tmp`. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) path: PathBuf,
    pub(super) body: String,
    pub(super) size: u64,
    pub(super) mtime_ns: i64,
    pub(super) md5: String,
    is_kept: bool,
}

impl Staged {
    /// The file was moved away: nothing is left to remove.
    pub(super) fn forget(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_kept {
            // Best effort: what is left in `tmp` is removed at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A body being written.
pub(super) struct Stager {
    vault: Arc<Inner>,
    file: File,
    staged: Staged,
    md5: Md5,
    sums: ChecksumHasher,
}

impl Stager {
    /// Begin; `sums` says which checksums to compute besides MD5.
    pub(super) fn new(vault: &Arc<Inner>, sums: &Wanted) -> S3Result<Self> {
        vault.own()?;
        let body = layout::random_id();
        let path = vault.layout.tmp().join(&body);
        let file = vault
            .disk
            .create(&path)
            .map_err(|e| failure::disk("write", &path, &e))?;
        Ok(Self {
            vault: Arc::clone(vault),
            file,
            staged: Staged {
                path,
                body,
                size: 0,
                mtime_ns: 0,
                md5: String::new(),
                is_kept: false,
            },
            md5: Md5::new(),
            sums: sums.hasher(),
        })
    }

    /// Append and hash.
    pub(super) fn write(&mut self, bytes: &[u8]) -> S3Result<()> {
        self.md5.update(bytes);
        self.sums.update(bytes);
        self.vault
            .disk
            .write_at(&self.file, self.staged.size, bytes)
            .map_err(|e| failure::disk("write", &self.vault.layout.root, &e))?;
        self.staged.size += bytes.len() as u64;
        Ok(())
    }

    /// Append `size` bytes of `file` from its position; returns their MD5 in hex.
    pub(super) fn append(&mut self, file: &mut File, path: &Path, size: u64) -> S3Result<String> {
        let mut md5 = Md5::new();
        let mut buffer = vec![0; CHECK_BUFFER_BYTES];
        let mut left = size;
        while left > 0 {
            let room = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            let n = file
                .read(&mut buffer[..room])
                .map_err(|e| failure::disk("read", path, &e))?;
            if n == 0 {
                break;
            }
            md5.update(&buffer[..n]);
            self.write(&buffer[..n])?;
            left -= n as u64;
        }
        Ok(hex::encode(md5.finalize()))
    }

    /// How much was written.
    pub(super) fn len(&self) -> u64 {
        self.staged.size
    }

    /// Sync the body: all of it is written.
    pub(super) fn finish(mut self) -> S3Result<(Staged, Sums)> {
        let settle = || -> io::Result<i64> {
            let now = disk::size_and_mtime(&self.file.metadata()?).1 - MTIME_BACK_NS;
            let jitter = fastrand::i64(0..MTIME_GRAIN_NS / MTIME_STEP_NS) * MTIME_STEP_NS;
            let time = now - now.rem_euclid(MTIME_GRAIN_NS) + jitter;
            // Setting the time also keeps a late write-back from changing it. Where it
            // cannot be set, the time read below does as well.
            let _ = disk::set_mtime(&self.file, time);
            self.vault.disk.sync(&self.file)?;
            Ok(disk::size_and_mtime(&self.file.metadata()?).1)
        };
        self.staged.mtime_ns =
            settle().map_err(|e| failure::disk("write", &self.vault.layout.root, &e))?;
        self.staged.md5 = hex::encode(self.md5.finalize());
        Ok((self.staged, sums_of(self.sums.finalize())))
    }
}

/// Which checksums to compute, and what they must be where that is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// What the client says they are (headers).
    pub(super) given: Sums,
    /// Algorithms to compute besides those.
    pub(super) algorithms: Vec<Algorithm>,
    /// Algorithms whose value follows the body.
    pub(super) trailing: Vec<Algorithm>,
    /// Base64, from `Content-MD5`.
    pub(super) md5: Option<String>,
    /// The length that was announced.
    pub(super) size: Option<u64>,
}

impl Wanted {
    pub(super) fn hasher(&self) -> ChecksumHasher {
        let wants = |algorithm: Algorithm| {
            self.algorithms.contains(&algorithm)
                || self.trailing.contains(&algorithm)
                || algorithm.of(&self.given).is_some()
        };
        ChecksumHasher {
            crc32: wants(Algorithm::Crc32).then(s3s::crypto::Crc32::new),
            crc32c: wants(Algorithm::Crc32c).then(s3s::crypto::Crc32c::new),
            sha1: wants(Algorithm::Sha1).then(s3s::crypto::Sha1::new),
            sha256: wants(Algorithm::Sha256).then(s3s::crypto::Sha256::new),
            crc64nvme: wants(Algorithm::Crc64Nvme).then(s3s::crypto::Crc64Nvme::new),
        }
    }

    /// Check that the body received is the one announced.
    pub(super) fn check(&self, staged: &Staged, computed: &Sums) -> S3Result<()> {
        for algorithm in Algorithm::ALL {
            if let Some(given) = algorithm.of(&self.given)
                && algorithm.of(computed) != Some(given)
            {
                return Err(failure::refuse(
                    S3ErrorCode::BadDigest,
                    format!(
                        "the body's {} is not the one that was announced",
                        algorithm.name()
                    ),
                ));
            }
        }
        let Some(given) = &self.md5 else {
            return Ok(());
        };
        match BASE64.decode(given) {
            Ok(md5) if md5.len() == 16 && hex::encode(&md5) == staged.md5 => Ok(()),
            Ok(md5) if md5.len() == 16 => Err(failure::refuse(
                S3ErrorCode::BadDigest,
                "the body's MD5 is not the one that was announced",
            )),
            _ => Err(failure::refuse(
                S3ErrorCode::InvalidDigest,
                "Content-MD5 is not base64 of 16 bytes",
            )),
        }
    }
}

/// Run blocking work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(failure::refuse(
            S3ErrorCode::InternalError,
            format!("the vault's worker stopped: {e}"),
        )),
    }
}

/// Receive a request's body into `tmp`. `trailers` is asked once the body is
/// through; it must then have the checksums that were to follow.
pub(super) async fn receive(
    vault: &Arc<Inner>,
    body: Option<StreamingBlob>,
    mut wanted: Wanted,
    trailers: impl FnOnce() -> Option<http::HeaderMap>,
) -> S3Result<(Staged, Sums)> {
    let Some(size) = wanted.size else {
        return Err(failure::refuse(
            S3ErrorCode::MissingContentLength,
            "the length of the body must be announced",
        ));
    };
    let (owner, begin) = (Arc::clone(vault), wanted.clone());
    let mut stager = blocking(move || Stager::new(&owner, &begin)).await?;
    let mut batch: Vec<Bytes> = Vec::new();
    let mut gathered = 0;
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|e| broken_body(e.as_ref()))?;
            gathered += piece.len();
            batch.push(piece);
            if gathered >= BATCH_BYTES {
                stager = write_batch(stager, std::mem::take(&mut batch)).await?;
                gathered = 0;
            }
            if stager.len() > size {
                break;
            }
        }
    }
    stager = write_batch(stager, batch).await?;
    if stager.len() != size {
        return Err(failure::refuse(
            S3ErrorCode::IncompleteBody,
            format!("{} bytes came, {size} were announced", stager.len()),
        ));
    }
    take_trailers(&mut wanted, trailers())?;
    blocking(move || {
        let (staged, sums) = stager.finish()?;
        wanted.check(&staged, &sums)?;
        Ok((staged, sums))
    })
    .await
}

async fn write_batch(mut stager: Stager, batch: Vec<Bytes>) -> S3Result<Stager> {
    if batch.is_empty() {
        return Ok(stager);
    }
    blocking(move || {
        for piece in &batch {
            stager.write(piece)?;
        }
        Ok(stager)
    })
    .await
}

/// Take the checksums that came after the body.
fn take_trailers(wanted: &mut Wanted, trailers: Option<http::HeaderMap>) -> S3Result<()> {
    for &algorithm in &wanted.trailing {
        let value = trailers
            .as_ref()
            .and_then(|map| map.get(algorithm.header()))
            .and_then(|value| value.to_str().ok());
        let Some(value) = value else {
            // The checksum comes last: without it the body may have been cut off.
            return Err(failure::refuse(
                S3ErrorCode::IncompleteBody,
                format!(
                    "the {} that was to follow the body did not come",
                    algorithm.name()
                ),
            ));
        };
        *algorithm.slot(&mut wanted.given) = Some(value.to_owned());
    }
    Ok(())
}

/// Why a body broke off. s3s keeps its error types private, so the text must tell a wrong
/// hash from a short body.
fn broken_body(error: &(dyn std::error::Error + Send + Sync + 'static)) -> S3Error {
    let text = error.to_string();
    if text.contains("Sha256Mismatch") {
        return failure::custom(
            "XAmzContentSHA256Mismatch",
            http::StatusCode::BAD_REQUEST,
            "the body's SHA-256 is not the one that was signed".to_owned(),
        );
    }
    if text.contains("SignatureMismatch") {
        return failure::refuse(
            S3ErrorCode::SignatureDoesNotMatch,
            "the signature of a piece of the body is wrong",
        );
    }
    failure::refuse(
        S3ErrorCode::IncompleteBody,
        format!("the body broke off: {text}"),
    )
}

/// Read what is left of a refused request's body, up to a limit.
pub(super) async fn drain(body: Option<StreamingBlob>) {
    let Some(mut body) = body else { return };
    let mut read = 0;
    while let Some(Ok(piece)) = body.next().await {
        read += piece.len();
        if read > DRAIN_BYTES_MAX {
            break;
        }
    }
}
