//! Sends or copies one part, with a few tries.

use super::halt::{Halt, PartResult};
use crate::s3::{CopyFrom, PartDone, Upload};
use crate::transfer::piece::{Piece, Reused};
use crate::transfer::send::{Job, PART_PAUSE};
use crate::transfer::trust::{self, Distrust};
use crate::types::{Class, ETag, Fault, VersionId};
use std::time::Duration;

/// Tries per part beyond the SDK's own; after that the whole file is tried
/// again later by the application's backoff.
const PART_TRIES: u32 = 4;

/// The same for a copied part. Asking again later costs no traffic, and a server that
/// always fails must be found out before the day is over.
const COPY_TRIES: u32 = 2;

/// Tries of one part and the pauses between them.
struct Tries {
    left: u32,
    pause: Duration,
}

impl Tries {
    fn new(tries: u32) -> Self {
        Self {
            left: tries.saturating_sub(1),
            pause: PART_PAUSE,
        }
    }

    /// Whether to try again after that failure, once it is time.
    async fn again(&mut self, job: &Job, fault: &Fault) -> bool {
        if !fault.class.is_transient() || self.left == 0 {
            return false;
        }
        if fault.class == Class::SlowDown {
            (job.wire.slowed)();
        }
        tokio::time::sleep(self.pause).await;
        self.pause *= 2;
        self.left -= 1;
        true
    }
}

pub(crate) async fn send_part(job: Job, upload: Upload, number: i32, piece: Piece) -> PartResult {
    let bytes = piece.bytes.len() as u64;
    let mut tries = Tries::new(PART_TRIES);
    loop {
        let result = job
            .store
            .upload_part(job.at(), &upload, number, piece.bytes.clone(), &piece.sums)
            .await;
        match result {
            Err(fault) if tries.again(&job, &fault).await => {}
            result => {
                drop(piece.permit);
                return Ok((result?, bytes, false));
            }
        }
    }
}

/// `from` is the version's id and ETag.
pub(crate) async fn copy_part(
    job: Job,
    upload: Upload,
    number: i32,
    from: (Option<VersionId>, ETag),
    part: Reused,
) -> PartResult {
    let from = CopyFrom {
        key: &job.bucket_key,
        version_id: from.0.as_ref(),
        etag: &from.1,
    };
    let mut tries = Tries::new(COPY_TRIES);
    loop {
        let range = part.from.clone();
        let result = job
            .store
            .copy_part(job.at(), &upload, number, &from, range)
            .await;
        match result {
            Ok(done) => {
                trust::check(&done, &part, upload.proof).map_err(Halt::Distrust)?;
                let done = PartDone {
                    crc64: Some(part.crc64),
                    ..done
                };
                return Ok((done, part.from.end - part.from.start, true));
            }
            Err(fault) if tries.again(&job, &fault).await => {}
            Err(fault) => return Err(no_copy(fault)),
        }
    }
}

/// What a copy that failed means: the version may be gone, or the server or its
/// rules may not know such copies; then the content is sent.
fn no_copy(fault: Fault) -> Halt {
    match fault.class {
        Class::NotFound => Halt::Distrust(Distrust::this_time(fault.cause)),
        Class::Refused | Class::Denied | Class::Damaged => {
            Halt::Distrust(Distrust::of_server(fault.cause))
        }
        _ => Halt::Fault(fault),
    }
}
