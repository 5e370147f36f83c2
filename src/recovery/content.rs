//! One object's body becomes one file's content: unpacked, bounded, verified.
//!
//! Everything here blocks, save what it waits for from the network. Nothing has
//! its final name before size and hash are what the object's metadata says.

use super::retry::Stop;
use super::tally::Tally;
use crate::error::{Class, Fault, chain};
use crate::files::{Committed, Pending, Target};
use crate::model::hash::Hasher;
use crate::model::{ObjectMeta, RelPath};
use crate::store::GetBody;
use bytes::{Buf as _, Bytes};
use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;

/// What is unpacked and written at a time; with eight workers 2 MiB in all.
const BUFFER_BYTES: usize = 256 * 1024;

/// Gzip never makes content larger than by a few bytes in a thousand, and a
/// member takes 18 bytes: twice the content and this is more than any file of
/// ours needs. Beyond it, a body is members of nothing without end.
const GZIP_SLACK_BYTES: u64 = 64 * 1024;

/// What to read, and what it is said to be.
pub(super) struct Source {
    pub(super) body: GetBody,
    /// Bytes of the body as stored; 0 when the server did not say.
    pub(super) stored_bytes: u64,
    pub(super) gzip: bool,
    pub(super) meta: ObjectMeta,
    /// The file, as people know it.
    pub(super) subject: String,
    pub(super) stop: Stop,
}

/// The folders that a restore has to create are for the account alone: their
/// own rights are not in the bucket, and must not turn out wider than they were.
pub(super) const PRIVATE_FOLDERS: bool = true;

/// Write the file `rel` of the target from `source`; `make_way` comes when all of
/// it is there and verified, right before it takes its name. Blocks.
pub(super) fn write_file(
    target: &Target,
    rel: &RelPath,
    source: Source,
    overwrite: bool,
    tally: &Tally,
    make_way: impl FnOnce() -> Result<(), Fault>,
) -> Result<Committed, Fault> {
    let meta = source.meta.clone();
    has_room(target, meta.size_bytes, &source.subject)?;
    let mut pending = target.begin(rel, PRIVATE_FOLDERS)?;
    unpack(source, &mut |bytes| {
        pending.write(bytes)?;
        tally.moved(bytes.len() as u64);
        Ok(())
    })?;
    make_way()?;
    commit(pending, overwrite, &meta)
}

fn commit(pending: Pending, overwrite: bool, meta: &ObjectMeta) -> Result<Committed, Fault> {
    pending.commit(overwrite, meta.mode, meta.mtime_ns, meta.owner)
}

/// The body of a link, verified: where it leads. Blocks.
pub(super) fn read_link_target(source: Source, bytes_max: u64) -> Result<Vec<u8>, Fault> {
    if source.meta.size_bytes > bytes_max {
        return Err(damaged(
            &source.subject,
            "the link's target is longer than any path",
        ));
    }
    let mut target = Vec::new();
    unpack(source, &mut |bytes| {
        target.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(target)
}

/// Read the body to its end and keep nothing of it: how many bytes of the file
/// came, and whether they were all and the right ones. Blocks.
pub(super) fn check(source: Source) -> (u64, Result<(), Fault>) {
    let mut bytes = 0;
    let done = unpack(source, &mut |some| {
        bytes += some.len() as u64;
        Ok(())
    });
    (bytes, done)
}

/// A file that cannot fit is refused before any of it is written.
fn has_room(target: &Target, bytes: u64, subject: &str) -> Result<(), Fault> {
    // A disk that does not say how full it is gets the benefit of the doubt.
    let Ok(free) = target.free_bytes() else {
        return Ok(());
    };
    if bytes <= free {
        return Ok(());
    }
    Err(Fault::new(
        Class::Local,
        "restore",
        subject,
        format!("it has {bytes} bytes and the disk has {free} bytes left"),
    )
    .hint("free some space or restore to another disk with --to"))
}

/// Read the body to its end and hand on the file's bytes; only `Ok` says that
/// they were all and the right ones.
fn unpack(source: Source, write: &mut dyn FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
    let Source {
        body,
        stored_bytes,
        gzip,
        meta,
        subject,
        stop,
    } = source;
    let trouble = Arc::new(Mutex::new(None));
    let body = BodyReader {
        feed: body,
        runtime: Handle::current(),
        piece: Bytes::new(),
        received: 0,
        expected: stored_bytes,
        received_max: match gzip {
            true => meta
                .size_bytes
                .saturating_mul(2)
                .saturating_add(GZIP_SLACK_BYTES),
            // Plain content is counted as it is copied.
            false => u64::MAX,
        },
        stop,
        subject: subject.clone(),
        trouble: trouble.clone(),
    };
    drain(body, gzip, &trouble, &meta, &subject, write)
}

fn drain(
    body: impl Read,
    gzip: bool,
    trouble: &Mutex<Option<Fault>>,
    meta: &ObjectMeta,
    subject: &str,
    write: &mut dyn FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let copied = if gzip {
        // Large files are a series of gzip members.
        let mut unpacked = flate2::bufread::MultiGzDecoder::new(BufReader::new(body));
        copy(&mut unpacked, meta, subject, write)
    } else {
        let mut body = body;
        copy(&mut body, meta, subject, write)
    };
    // What happened to the connection explains better what the unpacking makes of it.
    match trouble
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
    {
        Some(fault) => Err(fault),
        None => copied,
    }
}

/// Copy until the end or until more arrives than there should be.
fn copy(
    reader: &mut dyn Read,
    meta: &ObjectMeta,
    subject: &str,
    write: &mut dyn FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut hasher = Hasher::default();
    let mut total = 0u64;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(damaged(
                    subject,
                    format!("its compressed content is broken: {}", chain(&error)),
                ));
            }
        };
        total += read as u64;
        if total > meta.size_bytes {
            return Err(damaged(
                subject,
                format!(
                    "it holds more than the {} bytes it says it has",
                    meta.size_bytes
                ),
            ));
        }
        hasher.update(&buffer[..read]);
        write(&buffer[..read])?;
    }
    if total != meta.size_bytes {
        return Err(damaged(
            subject,
            format!("it holds {total} bytes and says it has {}", meta.size_bytes),
        ));
    }
    // Only a large file that never rested has no hash.
    if meta.content.is_some_and(|want| want != hasher.finish()) {
        return Err(damaged(
            subject,
            "its content is not what was backed up (SHA-256 differs)",
        ));
    }
    Ok(())
}

/// What came back is not what was stored.
pub(super) fn damaged(subject: &str, cause: impl Into<String>) -> Fault {
    Fault::new(Class::Damaged, "restore", subject, cause).hint(
        "see the file's other versions with `keepwatch versions`, and restore an earlier one with --at",
    )
}

/// Where the stored bytes come from.
trait Feed {
    /// The next piece; `None` at the end.
    async fn piece(&mut self) -> Result<Option<Bytes>, Fault>;
}

impl Feed for GetBody {
    async fn piece(&mut self) -> Result<Option<Bytes>, Fault> {
        self.next().await
    }
}

/// A body as a blocking reader. What goes wrong on the way is kept as the
/// [`Fault`] it is, since a reader can only pass on an `io::Error`.
struct BodyReader<F> {
    feed: F,
    runtime: Handle,
    piece: Bytes,
    received: u64,
    /// 0 when the server did not say.
    expected: u64,
    /// More than any honest body has.
    received_max: u64,
    stop: Stop,
    subject: String,
    trouble: Arc<Mutex<Option<Fault>>>,
}

impl<F: Feed> BodyReader<F> {
    fn fail(&self, fault: Fault) -> io::Error {
        let text = fault.cause.clone();
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(fault.about(&self.subject));
        io::Error::other(text)
    }

    fn fault(&self, cause: &str) -> Fault {
        Fault::new(Class::Transient, "download", &self.subject, cause)
    }
}

impl<F: Feed> Read for BodyReader<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let (feed, stop) = (&mut self.feed, &mut self.stop);
            let next = self.runtime.block_on(async {
                tokio::select! {
                    next = feed.piece() => Some(next),
                    () = stop.asked() => None,
                }
            });
            match next {
                None => return Err(self.fail(self.fault("it was asked to stop"))),
                Some(Err(fault)) => return Err(self.fail(fault)),
                Some(Ok(Some(piece))) => {
                    self.received += piece.len() as u64;
                    if self.received > self.received_max {
                        return Err(self.fail(damaged(
                            &self.subject,
                            "it holds more than it says: its compressed content goes on and on",
                        )));
                    }
                    self.piece = piece;
                }
                Some(Ok(None)) if self.received < self.expected => {
                    return Err(self.fail(self.fault("the connection ended in the middle")));
                }
                Some(Ok(None)) => return Ok(0),
            }
        }
        let count = self.piece.len().min(out.len());
        self.piece.copy_to_slice(&mut out[..count]);
        Ok(count)
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
