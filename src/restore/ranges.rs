//! Fetches the ranges of one large version, several at once, and hands them over in
//! order. Each range resumes by itself where its connection broke.

use super::context::RestoreContext;
use super::faults::damaged;
use super::range_buffer::{BodyReader, BufferedRange, RANGE_BYTES, cut_off};
use crate::history::Chosen;
use crate::retry::Retries;
use crate::types::{Class, Fault, Operation};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// Ranges of one file under way at once: what one connection to S3 gives
/// (some 80 MB/s) times this fills any office line, and most servers'.
const RANGES_AHEAD: usize = 8;

/// Begin to fetch the bytes `span` of a version by ranges.
pub(crate) fn begin(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    span: Range<u64>,
    subject: &str,
) -> (BodyReader, AbortOnDropHandle<()>) {
    // One more range waits here while the reader works on the one before.
    let (to, rest) = mpsc::channel(1);
    let mut body = BodyReader::new(
        BufferedRange::default(),
        span.start,
        span.end,
        subject.to_owned(),
    );
    body.rest = Some(rest);
    let (ctx, chosen) = (ctx.clone(), chosen.clone());
    let feeding = tokio::spawn(async move {
        let mut stop = ctx.stop.clone();
        tokio::select! {
            () = feed(&ctx, &chosen, span, &to) => {}
            // The reader finds nobody at the other end.
            () = stop.asked() => {}
        }
    });
    (body, AbortOnDropHandle::new(feeding))
}

async fn feed(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    span: Range<u64>,
    to: &mpsc::Sender<Result<BufferedRange, Fault>>,
) {
    let mut next = span.start;
    let mut ahead: VecDeque<AbortOnDropHandle<Result<BufferedRange, Fault>>> = VecDeque::new();
    loop {
        while next < span.end && ahead.len() < RANGES_AHEAD {
            let range = next..(next + RANGE_BYTES).min(span.end);
            // What is here already does not wait for more memory.
            let taken = match ahead.is_empty() {
                true => ctx.memory.take(range.end - range.start).await,
                false => ctx.memory.take_now(range.end - range.start),
            };
            let Some(taken) = taken else { break };
            next = range.end;
            let (ctx, chosen) = (ctx.clone(), chosen.clone());
            ahead.push_back(AbortOnDropHandle::new(tokio::spawn(async move {
                fetch_range(&ctx, &chosen, range, taken).await
            })));
        }
        let Some(first) = ahead.pop_front() else {
            return;
        };
        let done = match first.await {
            Ok(done) => done,
            Err(error) => Err(Fault::new(
                Class::Local,
                Operation::Download,
                chosen.subject(),
                crate::types::chain(&error),
            )),
        };
        let is_last = done.is_err();
        // The reader may have given up.
        if to.send(done).await.is_err() || is_last {
            return;
        }
    }
}

/// One range, going on where it broke off.
async fn fetch_range(
    ctx: &Arc<RestoreContext>,
    chosen: &Chosen,
    range: Range<u64>,
    memory: OwnedSemaphorePermit,
) -> Result<BufferedRange, Fault> {
    let mut stop = ctx.stop.clone();
    let mut retries = Retries::default();
    let mut pieces = VecDeque::new();
    let mut left = range;
    loop {
        match rest_of(ctx, chosen, &mut left, &mut pieces).await {
            Ok(()) => {
                return Ok(BufferedRange {
                    pieces,
                    _memory: Some(memory),
                });
            }
            // The last byte came before the connection broke.
            Err(_) if left.is_empty() => {
                return Ok(BufferedRange {
                    pieces,
                    _memory: Some(memory),
                });
            }
            Err(fault) if retries.again(&fault, &mut stop).await => {}
            Err(fault) => return Err(fault),
        }
    }
}

async fn rest_of(
    ctx: &RestoreContext,
    chosen: &Chosen,
    left: &mut Range<u64>,
    pieces: &mut VecDeque<Bytes>,
) -> Result<(), Fault> {
    let at = ctx.at(chosen);
    let mut body = ctx.store.get_range(at, chosen.version(), left).await?;
    while let Some(piece) = body.next().await? {
        let bytes = piece.len() as u64;
        if bytes > left.end - left.start {
            return Err(damaged(
                &chosen.subject(),
                "the server sent more than it was asked for",
            ));
        }
        left.start += bytes;
        ctx.stats.arrived(bytes);
        pieces.push_back(piece);
    }
    match left.is_empty() {
        true => Ok(()),
        false => Err(cut_off(&chosen.subject())),
    }
}
