//! One object's body becomes one file's content: unpacked, bounded, verified.
//!
//! Everything here blocks. Nothing has its final name before size and hash are
//! what the object's metadata says.

use super::faults::damaged;
use super::range_buffer::BodyReader;
use super::stats::RestoreStats;
use crate::files::{Checkpoint, Pending, Target};
use crate::types::{Class, Fault, Hasher, ObjectMeta, RelPath, chain};
use bytes::Bytes;
use std::io;
use std::io::{BufRead as _, Read as _};
use std::sync::mpsc;

/// What is unpacked and written at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// Gzip enlarges content by a few bytes in a thousand at most, and each member takes
/// 18 bytes more. Twice the content plus this is more than any file of ours needs. A
/// longer body is an endless series of empty members.
const GZIP_SLACK_BYTES: u64 = 64 * 1024;

/// A large file is synced to disk after this many bytes. A run that is killed loses no
/// more than that, and at 64 MB/s the disk is waited for once a second at most.
const CHECKPOINT_BYTES: u64 = 64 * 1024 * 1024;

/// A body to read, and what its object says of it.
pub(crate) struct Source {
    pub(crate) body: BodyReader,
    pub(crate) gzip: bool,
    pub(crate) meta: ObjectMeta,
    /// The file, as people know it.
    pub(crate) subject: String,
}

/// Only this account may enter the folders that a restore has to create. Their own
/// rights are not in the bucket, and must not become wider than they were.
pub(crate) const PRIVATE_FOLDERS: bool = true;

/// The most bytes that the body of an object with this metadata can have.
pub(crate) fn body_bytes_max(meta: &ObjectMeta, gzip: bool) -> u64 {
    match gzip {
        true => meta
            .size_bytes
            .saturating_mul(2)
            .saturating_add(GZIP_SLACK_BYTES),
        false => meta.size_bytes,
    }
}

/// The fault of a body that has more bytes than it can have.
pub(crate) fn body_too_long(meta: &ObjectMeta, gzip: bool, subject: &str) -> Fault {
    damaged(
        subject,
        match gzip {
            true => "it holds more than it says: its compressed content goes on and on".to_owned(),
            false => more_than(meta),
        },
    )
}

fn more_than(meta: &ObjectMeta) -> String {
    format!(
        "it holds more than the {} bytes it says it has",
        meta.size_bytes
    )
}

/// Write the file `rel` of the target from `source`, under a temporary name.
pub(crate) fn write_small(
    target: &Target,
    rel: &RelPath,
    source: Source,
    stats: &RestoreStats,
) -> Result<Pending, Fault> {
    let meta = &source.meta;
    let mut pending = target.begin(rel, PRIVATE_FOLDERS)?;
    if meta.sparse_bytes.is_some() {
        pending.leave_holes();
    }
    let mut sink = Sink::new(meta, &source.subject);
    unpack(source.body, source.gzip, &mut sink, &mut |bytes, _| {
        if let Some(bytes) = bytes {
            pending.write(bytes)?;
            stats.written(bytes.len() as u64);
        }
        Ok(())
    })?;
    Ok(pending)
}

/// A large file that was begun or resumed.
pub(crate) struct Begun {
    pub(crate) pending: Pending,
    pub(crate) from: Option<(Checkpoint, Hasher)>,
}

/// Write the rest of a large file. It is whole and verified when this is `Ok`;
/// otherwise a later run goes on from the last checkpoint, unless the content
/// itself is wrong.
pub(crate) fn write_large(
    begun: Begun,
    source: Source,
    stats: &RestoreStats,
) -> Result<Pending, Fault> {
    let Begun { mut pending, from } = begun;
    let meta = &source.meta;
    if meta.sparse_bytes.is_some() {
        pending.leave_holes();
    }
    let mut sink = Sink::new(meta, &source.subject);
    if let Some((at, hasher)) = from {
        (sink.hasher, sink.total) = (hasher, at.file_bytes);
    }
    // Hashing and writing take about as long: one thread for each.
    let (to, steps) = mpsc::sync_channel(STEPS_AHEAD);
    let mut safe_bytes = sink.total;
    let desk = &mut pending;
    let (read, written) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || write_steps(desk, steps, stats));
        let read = unpack(source.body, source.gzip, &mut sink, &mut |bytes, at| {
            let step = match bytes {
                Some(bytes) => Step::Write(bytes.clone()),
                None if at.file_bytes - safe_bytes >= CHECKPOINT_BYTES => {
                    safe_bytes = at.file_bytes;
                    Step::Checkpoint(at.checkpoint())
                }
                None => return Ok(()),
            };
            to.send(step).map_err(|_| stopped_writing(&source.subject))
        });
        drop(to);
        (read, writer.join())
    });
    let written = written.unwrap_or_else(|_| Err(stopped_writing(&source.subject)));
    // What the disk says explains why the reading had to end.
    match written.and(read) {
        Ok(()) => Ok(pending),
        Err(fault) if fault.class == Class::Damaged => {
            pending.discard();
            Err(fault)
        }
        Err(fault) => Err(fault),
    }
}

/// Pieces and checkpoints on their way to the disk: some 256 KiB each.
const STEPS_AHEAD: usize = 8;

/// What is to be done with a large file, in order.
enum Step {
    Write(Bytes),
    Checkpoint(Checkpoint),
}

/// Carry out the steps until there are no more, or the disk fails. Then `steps` is
/// dropped, which ends the reading side as well.
fn write_steps(
    pending: &mut Pending,
    steps: mpsc::Receiver<Step>,
    stats: &RestoreStats,
) -> Result<(), Fault> {
    for step in steps {
        match step {
            Step::Write(bytes) => {
                pending.write(&bytes)?;
                stats.written(bytes.len() as u64);
            }
            Step::Checkpoint(at) => pending.checkpoint(&at)?,
        }
    }
    Ok(())
}

fn stopped_writing(subject: &str) -> Fault {
    Fault::new(Class::Local, "write", subject, "the writing ended early")
}

/// Read and verify the body of a link: where it leads.
pub(crate) fn read_link_target(source: Source, bytes_max: u64) -> Result<Vec<u8>, Fault> {
    let meta = &source.meta;
    if meta.size_bytes > bytes_max {
        return Err(damaged(
            &source.subject,
            "the link's target is longer than any path",
        ));
    }
    let mut target = Vec::new();
    let mut sink = Sink::new(meta, &source.subject);
    unpack(source.body, source.gzip, &mut sink, &mut |bytes, _| {
        target.extend_from_slice(bytes.map_or(&[], |bytes| bytes));
        Ok(())
    })?;
    Ok(target)
}

/// Read the body to its end and keep nothing of it: how many bytes of the file
/// came, and whether they were all and the right ones. Blocks.
pub(crate) fn check(source: Source) -> (u64, Result<(), Fault>) {
    let mut bytes = 0;
    let mut sink = Sink::new(&source.meta, &source.subject);
    let done = unpack(source.body, source.gzip, &mut sink, &mut |some, _| {
        bytes += some.map_or(0, |some| some.len() as u64);
        Ok(())
    });
    (bytes, done)
}

/// How far the reading is, at a place where a later run could resume.
struct Place<'a> {
    source_bytes: u64,
    file_bytes: u64,
    hasher: &'a Hasher,
}

impl Place<'_> {
    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            source_bytes: self.source_bytes,
            file_bytes: self.file_bytes,
            hash: self.hasher.clone().finish(),
        }
    }
}

/// Takes the file's bytes, or none at a place where a later run could resume.
type Write<'a> = &'a mut dyn FnMut(Option<&Bytes>, &Place<'_>) -> Result<(), Fault>;

/// Counts and hashes what is handed on.
struct Sink<'a> {
    hasher: Hasher,
    total: u64,
    meta: &'a ObjectMeta,
    subject: &'a str,
}

impl<'a> Sink<'a> {
    fn new(meta: &'a ObjectMeta, subject: &'a str) -> Self {
        Self {
            hasher: Hasher::default(),
            total: 0,
            meta,
            subject,
        }
    }

    fn take(&mut self, bytes: &Bytes, write: Write<'_>) -> Result<(), Fault> {
        self.total += bytes.len() as u64;
        if self.total > self.meta.size_bytes {
            return Err(damaged(self.subject, more_than(self.meta)));
        }
        // Handed on first, so that it is written while it is hashed.
        write(Some(bytes), &self.place(0))?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// So many bytes of the body are used up, none of them in part.
    fn rest(&self, source_bytes: u64, write: Write<'_>) -> Result<(), Fault> {
        write(None, &self.place(source_bytes))
    }

    fn place(&self, source_bytes: u64) -> Place<'_> {
        Place {
            source_bytes,
            file_bytes: self.total,
            hasher: &self.hasher,
        }
    }

    fn end(&self) -> Result<(), Fault> {
        let (total, meta) = (self.total, self.meta);
        if total != meta.size_bytes {
            return Err(damaged(
                self.subject,
                format!("it holds {total} bytes and says it has {}", meta.size_bytes),
            ));
        }
        // Only a large file that never rested has no hash.
        let is_other = |want| want != self.hasher.clone().finish();
        if meta.content.is_some_and(is_other) {
            return Err(damaged(
                self.subject,
                "its content is not what was backed up (SHA-256 differs)",
            ));
        }
        Ok(())
    }
}

/// Read the body to its end and hand on the file's bytes; only `Ok` says that
/// they were all and the right ones.
fn unpack(
    body: BodyReader,
    gzip: bool,
    sink: &mut Sink<'_>,
    write: Write<'_>,
) -> Result<(), Fault> {
    let trouble = body.trouble();
    let done = match gzip {
        true => members(body, sink, write),
        false => plain(body, sink, write),
    };
    // What happened on the way explains better what the unpacking makes of it.
    match trouble.take() {
        Some(fault) => Err(fault),
        None => done.and_then(|()| sink.end()),
    }
}

fn plain(mut body: BodyReader, sink: &mut Sink<'_>, write: Write<'_>) -> Result<(), Fault> {
    while let Some(piece) = body.piece().map_err(|e| broken(sink, &e))? {
        sink.take(&piece, write)?;
        sink.rest(body.read_bytes(), write)?;
    }
    Ok(())
}

/// Large files are a series of gzip members, and each begins anew.
fn members(mut body: BodyReader, sink: &mut Sink<'_>, write: Write<'_>) -> Result<(), Fault> {
    // A run that was killed at the very end left nothing to fetch.
    if sink.total > 0 && body.fill_buf().map_err(|e| broken(sink, &e))?.is_empty() {
        return Ok(());
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let mut member = flate2::bufread::GzDecoder::new(&mut body);
        loop {
            match member.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => sink.take(&Bytes::copy_from_slice(&buffer[..read]), write)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(sink, &error)),
            }
        }
        sink.rest(body.read_bytes(), write)?;
        if body.fill_buf().map_err(|e| broken(sink, &e))?.is_empty() {
            return Ok(());
        }
    }
}

fn broken(sink: &Sink<'_>, error: &io::Error) -> Fault {
    damaged(
        sink.subject,
        format!("its compressed content is broken: {}", chain(error)),
    )
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
