//! Buffers stored bytes between the network and the reader: several ranges of one
//! version are fetched ahead, and handed over in order.
//!
//! All downloads of a restore share one [`MemoryBudget`]: a range counts from its
//! request until the reader has taken its last byte.
//! Each file takes its ranges in order, so the one that its reader waits for is
//! never behind the others, and nothing blocks in a circle.

use crate::retry::Stop;
use crate::s3::GetBody;
use crate::types::{Class, Fault, Operation};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::io::{BufRead, Read};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// Objects up to this size are fetched in one request and held in memory, larger ones
/// by ranges of this size. Several ranges under way hide the round trip, and a range
/// that fits the processor's cache is hashed and written faster.
pub(crate) const RANGE_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of all bodies held in memory. Together with the program itself this stays
/// under 150 MB, like the daemon.
const BUDGET_BYTES: u64 = 48 * 1024 * 1024;

/// One permit stands for this many bytes.
pub(crate) const GRAIN_BYTES: u64 = 64 * 1024;

/// The memory that bodies may take on their way.
#[derive(Clone)]
pub(crate) struct MemoryBudget(Arc<Semaphore>);

impl Default for MemoryBudget {
    fn default() -> Self {
        let grains = usize::try_from(BUDGET_BYTES / GRAIN_BYTES).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(grains)))
    }
}

impl MemoryBudget {
    /// Wait for memory for so many bytes; nothing larger than a range is asked for.
    /// `None` when the run has ended.
    pub(crate) async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0)
            .acquire_many_owned(grains(bytes))
            .await
            .ok()
    }

    /// The same, if there is memory at once.
    pub(crate) fn take_now(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0)
            .try_acquire_many_owned(grains(bytes))
            .ok()
    }
}

fn grains(bytes: u64) -> u32 {
    let grains = bytes.min(RANGE_BYTES).div_ceil(GRAIN_BYTES).max(1);
    u32::try_from(grains).unwrap_or(u32::MAX)
}

/// Consecutive bytes, and the memory they take.
#[derive(Default)]
pub(crate) struct BufferedRange {
    pub(crate) pieces: VecDeque<Bytes>,
    pub(crate) _memory: Option<OwnedSemaphorePermit>,
}

/// A body in order, for whoever reads it on a blocking thread. What goes wrong
/// on the way is kept as the [`Fault`] it is, since a reader can only pass on an
/// `io::Error`.
pub(crate) struct BodyReader {
    now: BufferedRange,
    pub(crate) rest: Option<mpsc::Receiver<Result<BufferedRange, Fault>>>,
    read_bytes: u64,
    end: u64,
    subject: String,
    trouble: Arc<Mutex<Option<Fault>>>,
}

/// Why a body ended early.
#[derive(Clone)]
pub(crate) struct Trouble(Arc<Mutex<Option<Fault>>>);

impl Trouble {
    /// What happened, once.
    pub(crate) fn take(&self) -> Option<Fault> {
        self.0.lock().take()
    }
}

impl BodyReader {
    pub(crate) fn new(now: BufferedRange, from: u64, end: u64, subject: String) -> Self {
        Self {
            now,
            rest: None,
            read_bytes: from,
            end,
            subject,
            trouble: Arc::default(),
        }
    }

    /// A reader of a body that is in memory already.
    pub(crate) fn whole(pieces: impl IntoIterator<Item = Bytes>, subject: &str) -> Self {
        let pieces: VecDeque<Bytes> = pieces.into_iter().collect();
        let end = pieces.iter().map(|piece| piece.len() as u64).sum();
        let range = BufferedRange {
            pieces,
            _memory: None,
        };
        Self::new(range, 0, end, subject.to_owned())
    }

    /// A reader of a body that comes in a single answer and is not held whole. It ends
    /// when told to stop; dropping the handle ends the download.
    pub(crate) fn streamed(
        mut body: GetBody,
        end: u64,
        subject: &str,
        mut stop: Stop,
    ) -> (Self, AbortOnDropHandle<()>) {
        let (to, rest) = mpsc::channel(1);
        let mut reader = Self::new(BufferedRange::default(), 0, end, subject.to_owned());
        reader.rest = Some(rest);
        let subject = subject.to_owned();
        let feeding = async move {
            let mut received = 0;
            loop {
                let range = match body.next().await {
                    Ok(None) if received >= end => return,
                    Ok(None) => Err(cut_off(&subject)),
                    Ok(Some(piece)) => {
                        received += piece.len() as u64;
                        Ok(BufferedRange {
                            pieces: [piece].into(),
                            _memory: None,
                        })
                    }
                    Err(fault) => Err(fault),
                };
                let is_last = range.is_err();
                // The reader may have given up.
                if to.send(range).await.is_err() || is_last {
                    return;
                }
            }
        };
        let feeding = tokio::spawn(async move {
            tokio::select! {
                () = feeding => {}
                // The reader finds nobody at the other end.
                () = stop.asked() => {}
            }
        });
        (reader, AbortOnDropHandle::new(feeding))
    }

    /// One that comes piece by piece, or breaks.
    #[cfg(test)]
    pub(crate) fn fed(
        pieces: impl Iterator<Item = Result<Bytes, Fault>> + Send + 'static,
        end: u64,
        subject: &str,
    ) -> Self {
        let (to, rest) = mpsc::channel(1);
        tokio::spawn(async move {
            for piece in pieces {
                let range = piece.map(|piece| BufferedRange {
                    pieces: [piece].into(),
                    _memory: None,
                });
                if to.send(range).await.is_err() {
                    break;
                }
            }
        });
        let mut body = Self::new(BufferedRange::default(), 0, end, subject.to_owned());
        body.rest = Some(rest);
        body
    }

    /// The same reader, which gives back `memory` when it has been read.
    pub(crate) fn within(mut self, memory: Option<OwnedSemaphorePermit>) -> Self {
        self.now._memory = memory;
        self
    }

    /// Where to look for the reason when reading fails.
    pub(crate) fn trouble(&self) -> Trouble {
        Trouble(self.trouble.clone())
    }

    /// Bytes of the body up to where the reader is.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// The next piece, whole; `None` at the end. Blocks.
    pub(crate) fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if self.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let piece = self.now.pieces.pop_front();
        self.read_bytes += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Ok(piece)
    }

    fn fail(&self, fault: Fault) -> io::Error {
        let text = fault.cause.clone();
        *self.trouble.lock() = Some(fault.about(&self.subject));
        io::Error::other(text)
    }
}

impl BufRead for BodyReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.now.pieces.front().is_none_or(Bytes::is_empty) {
            if self.now.pieces.pop_front().is_some() {
                continue;
            }
            if self.read_bytes >= self.end {
                break;
            }
            // The memory of the last range is given back before the next is waited for.
            self.now = BufferedRange::default();
            match self.rest.as_mut().and_then(mpsc::Receiver::blocking_recv) {
                Some(Ok(range)) => self.now = range,
                Some(Err(fault)) => return Err(self.fail(fault)),
                None => {
                    return Err(self.fail(Fault::new(
                        Class::Transient,
                        Operation::Download,
                        &self.subject,
                        "it was asked to stop",
                    )));
                }
            }
        }
        Ok(self.now.pieces.front().map_or(&[], |piece| piece))
    }

    fn consume(&mut self, count: usize) {
        if let Some(piece) = self.now.pieces.front_mut() {
            let count = count.min(piece.len());
            drop(piece.split_to(count));
            self.read_bytes += count as u64;
        }
    }
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let here = self.fill_buf()?;
        let count = here.len().min(out.len());
        out[..count].copy_from_slice(&here[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// Read a small body to its end, and `count` its bytes as they come; `None` when it has
/// more than `bytes_max`.
pub(crate) async fn collect(
    mut body: GetBody,
    expected: u64,
    bytes_max: u64,
    subject: &str,
    count: &mut (dyn FnMut(u64) + Send),
) -> Result<Option<BodyReader>, Fault> {
    let mut pieces = VecDeque::new();
    let mut received = 0;
    while let Some(piece) = body.next().await? {
        received += piece.len() as u64;
        count(piece.len() as u64);
        if received > bytes_max {
            return Ok(None);
        }
        pieces.push_back(piece);
    }
    if received < expected {
        return Err(cut_off(subject));
    }
    Ok(Some(BodyReader::whole(pieces, subject)))
}

pub(crate) fn cut_off(subject: &str) -> Fault {
    Fault::new(
        Class::Transient,
        Operation::Download,
        subject,
        "the connection ended in the middle",
    )
}
