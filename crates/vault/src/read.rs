//! Finds a version and opens its body while others write.
//!
//! It takes no lock at first: a body is in one of two places and moves between them by a
//! rename, so looking in both, twice, finds it. A body is opened first and compared
//! afterwards, so the bytes served are those that the log names, whatever happens to the
//! path meanwhile. A file that was changed by hand is refused: its bytes must never be
//! served under the old ETag.

use super::failure;
use super::inner::Inner;
use super::log::Log;
use super::places::{Match, compare};
use super::record::{Object, Version};
use bytes::Bytes;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Error, S3ErrorCode, S3Result};
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

/// How often both places are looked at before the key's lock is taken.
const TRIES_WITHOUT_LOCK: usize = 3;

/// How much of a body is read at once.
const CHUNK_BYTES: usize = 256 * 1024;

impl Inner {
    /// The version a request asks for, which must be an object.
    pub(super) fn lookup(
        &self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
    ) -> S3Result<(Version, Object)> {
        self.bucket(bucket)?;
        let version = match id {
            None => self.newest(bucket, key)?.ok_or_else(|| no_such_key(key))?,
            Some(id) => self
                .version(bucket, key, id)?
                .ok_or_else(|| no_such_version(key, id))?,
        };
        match version.object.clone() {
            Some(object) => Ok((version, object)),
            None => Err(is_marker(key, &version, id.is_some())),
        }
    }

    fn version(&self, bucket: &str, key: &str, id: &str) -> S3Result<Option<Version>> {
        let path = self.layout.log(bucket, key);
        let read = || -> io::Result<Option<Version>> {
            match Log::open(&path)? {
                Some(log) => Ok(log.find(id)?.map(|found| found.version)),
                None => Ok(None),
            }
        };
        read().map_err(|e| failure::disk("read", &path, &e))
    }

    /// Find a version and open its body.
    pub(super) fn open_version(
        &self,
        bucket: &str,
        key: &str,
        id: Option<&str>,
    ) -> S3Result<(Version, Object, File)> {
        for _ in 0..TRIES_WITHOUT_LOCK {
            let (version, object) = self.lookup(bucket, key, id)?;
            if let Some(file) = self.open_body(bucket, key, &object) {
                return Ok((version, object, file));
            }
            // It was moved, replaced or removed meanwhile, or changed by hand: look again.
        }
        let _guard = self.lock_key(bucket, key);
        let (version, object) = self.lookup(bucket, key, id)?;
        let file = match self.open_body(bucket, key, &object) {
            Some(file) => file,
            None => self.open_doubtful(bucket, key, &object)?,
        };
        Ok((version, object, file))
    }

    fn open_body(&self, bucket: &str, key: &str, object: &Object) -> Option<File> {
        let hidden = self.layout.body(bucket, &object.body);
        let plain = self.layout.plain(bucket, key);
        [Some(hidden), plain]
            .into_iter()
            .flatten()
            .find_map(|path| {
                let file = open_file(&path).ok()?;
                let meta = file.metadata().ok()?;
                (compare(&meta, object) == Match::Exact).then_some(file)
            })
    }

    /// The body is in neither place as the vault left it. Perhaps only its time differs (a
    /// vault copied to a new disk): then its content decides.
    fn open_doubtful(&self, bucket: &str, key: &str, object: &Object) -> S3Result<File> {
        let hidden = self.layout.body(bucket, &object.body);
        let plain = self.layout.plain(bucket, key);
        for path in [Some(&hidden), plain.as_ref()].into_iter().flatten() {
            if self.is_body(path, object).unwrap_or(false)
                && let Ok(file) = open_file(path)
            {
                return Ok(file);
            }
        }
        let path = plain.filter(|path| path.exists()).unwrap_or(hidden);
        Err(failure::damaged(format!(
            "{} is not the file that was stored (changed, replaced or removed by hand): take an older version, or let the next backup of the file replace it",
            path.display()
        )))
    }
}

/// Open an ordinary file; a link could lead out of the vault.
fn open_file(path: &Path) -> io::Result<File> {
    if !std::fs::symlink_metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    File::open(path)
}

fn no_such_key(key: &str) -> S3Error {
    failure::refuse(
        S3ErrorCode::NoSuchKey,
        format!("the bucket has no object {key}"),
    )
}

fn no_such_version(key: &str, id: &str) -> S3Error {
    failure::refuse(
        S3ErrorCode::NoSuchVersion,
        format!("the object {key} has no version {id}"),
    )
}

/// The version is a delete marker: not found when asked for by key, not allowed when asked
/// for by id.
fn is_marker(key: &str, version: &Version, is_by_id: bool) -> S3Error {
    let mut error = if is_by_id {
        failure::refuse(
            S3ErrorCode::MethodNotAllowed,
            format!("this version of {key} is a delete marker"),
        )
    } else {
        no_such_key(key)
    };
    let mut headers = http::HeaderMap::new();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("application/xml"),
    );
    headers.insert(
        "x-amz-delete-marker",
        http::HeaderValue::from_static("true"),
    );
    if let Ok(id) = http::HeaderValue::from_str(&version.id) {
        headers.insert("x-amz-version-id", id);
    }
    if is_by_id {
        headers.insert("allow", http::HeaderValue::from_static("DELETE"));
    }
    error.set_headers(headers);
    error
}

/// Part of a body as a stream. When the file ends too soon it ends in an error, never
/// short.
pub(super) struct BodyStream {
    inner: ReaderStream<tokio::io::Take<tokio::fs::File>>,
    left: u64,
}

impl BodyStream {
    /// Stream `range` of `file`. Seeks: call it on a blocking thread.
    pub(super) fn new(mut file: File, range: &Range<u64>) -> io::Result<Self> {
        file.seek(SeekFrom::Start(range.start))?;
        let left = range.end - range.start;
        let reader = tokio::fs::File::from_std(file).take(left);
        Ok(Self {
            inner: ReaderStream::with_capacity(reader, CHUNK_BYTES),
            left,
        })
    }
}

impl futures::Stream for BodyStream {
    type Item = Result<Bytes, s3s::StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match Pin::new(&mut self.inner).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(None) if self.left > 0 => {
                self.left = 0;
                let short = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was read",
                );
                Poll::Ready(Some(Err(short.into())))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(e))) => Poll::Ready(Some(Err(e.into()))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl ByteStream for BodyStream {
    fn remaining_length(&self) -> RemainingLength {
        usize::try_from(self.left)
            .map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}
