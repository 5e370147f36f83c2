//! One upload in parts: sends what is made, has the server copy what it has, and
//! completes it only when all of that is proved.

mod flying;

use super::large::{hash_of, next};
use super::piece::{End, Made, Piece, Reused, What};
use super::read::Content;
use super::send::{Job, PART_PAUSE, Sent};
use super::trust::Distrust;
use super::{send, trust};
use crate::s3::{CopyFrom, ObjectHeaders, PartDone, Proof, Stored, Upload, Whole};
use crate::transfer::begin::session::Session;
use crate::types::{Class, Crc64, ETag, Fault, Operation, Parts, VersionId, id_text};
use flying::Flying;
use std::time::Duration;
use tokio::sync::mpsc;

/// Tries per part beyond the SDK's own; after that the whole file is tried
/// again later by the application's backoff.
const PART_TRIES: u32 = 4;

/// The same of a copied part: it costs nobody's line to ask again later, and a
/// server that always fails must be found out before the day is over.
const COPY_TRIES: u32 = 2;

/// What became of an attempt.
pub(crate) enum Outcome {
    /// It was carried out.
    Sent(Sent),
    /// The version before is of no use; nothing became a version that the index
    /// will hear of.
    Distrust(Distrust),
}

/// One upload in parts.
pub(crate) struct Attempt<'a> {
    pub job: &'a Job,
    pub content: &'a Content,
    /// The version that is copied from.
    pub old: Option<&'a Parts>,
    /// Size of the parts that are sent.
    pub part_bytes: u64,
}

/// The same content, cut from the same version, makes the same parts.
pub(crate) fn plan(part_bytes: u64, old: Option<&Parts>) -> String {
    let from = old.map(|old| (id_text(&old.version_id), &*old.etag));
    format!("parts of {part_bytes} from {from:?}")
}

/// Why it stops before its end.
enum Halt {
    Fault(Fault),
    Distrust(Distrust),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A part that the server took, its bytes, and whether it was copied.
type Flown = Result<(PartDone, u64, bool), Halt>;

impl Attempt<'_> {
    pub async fn run(
        &self,
        headers: &ObjectHeaders,
        first: Made,
        made: mpsc::Receiver<Result<Made, Fault>>,
    ) -> Result<Outcome, Fault> {
        let plan = plan(self.part_bytes, self.old);
        let mut session = self.job.session(headers, Some(self.content), &plan).await?;
        let result = match self.carry(&mut session, first, made).await {
            Ok(sent) => Ok(Outcome::Sent(sent)),
            Err(Halt::Distrust(distrust)) => Ok(Outcome::Distrust(distrust)),
            Err(Halt::Fault(fault)) => Err(fault),
        };
        let completed = matches!(result, Ok(Outcome::Sent(Sent::Stored(_))));
        session.conclude(result, completed).await
    }

    async fn carry(
        &self,
        session: &mut Session,
        first: Made,
        mut made: mpsc::Receiver<Result<Made, Fault>>,
    ) -> Result<Sent, Halt> {
        let mut flying = Flying::default();
        let mut whole = Whole {
            bytes: 0,
            crc64: Some(Crc64::default()),
        };
        let mut part = first;
        let end = loop {
            let (bytes, crc64) = self.begin_part(session, &mut flying, part.what).await?;
            whole.crc64 = whole.crc64.map(|before| before.then(crc64, bytes));
            whole.bytes += bytes;
            if let Some(end) = part.end {
                break end;
            }
            part = next(&mut made, self.job).await?;
        };
        while !flying.is_empty() {
            flying.collect(self.job, session).await?;
        }
        let Some(hash) = hash_of(&end, self.content) else {
            return Ok(Sent::Changed);
        };
        let mut cost = flying.cost;
        cost.requests += 2; // to begin and to complete
        session.completing().await;
        let (done, has_copies) = (flying.done, flying.has_copies);
        let stored = self
            .complete(&session.upload, done, &whole, has_copies)
            .await?;
        Ok(Sent::Stored(send::Done {
            parts: self.list(end, &stored),
            stored,
            stored_bytes: whole.bytes,
            hash,
            cost,
        }))
    }

    /// Send or copy a part, unless the server has it: its bytes and checksum.
    async fn begin_part(
        &self,
        session: &Session,
        flying: &mut Flying,
        what: What,
    ) -> Result<(u64, Crc64), Halt> {
        let (bytes, crc64, sha256) = match &what {
            // gzip may end exactly on a border: an empty last part is no part.
            What::Send(piece) if piece.bytes.is_empty() => return Ok((0, Crc64::default())),
            What::Send(piece) => (
                piece.bytes.len() as u64,
                piece.sums.crc64,
                piece.sums.sha256,
            ),
            What::Copy(part) => (part.from.end - part.from.start, part.crc64, None),
        };
        flying.last += 1;
        let number = flying.last;
        if let Some(part) = session.has(number, bytes, crc64, sha256) {
            flying.has_copies |= matches!(what, What::Copy(_));
            flying.done.push(part);
            return Ok((bytes, crc64));
        }
        let (job, upload) = (self.job.clone(), session.upload.clone());
        let is_copy = matches!(what, What::Copy(_));
        flying.room(self.job, session, is_copy).await?;
        match what {
            What::Send(piece) => flying.begin(false, bytes, one_part(job, upload, number, piece)),
            What::Copy(part) => {
                let old = self.old.ok_or_else(|| self.no_old())?;
                let from = (old.version_id.clone(), old.etag.clone());
                flying.begin(true, bytes, one_copy(job, upload, number, from, part));
            }
        }
        Ok((bytes, crc64))
    }

    fn no_old(&self) -> Fault {
        Fault::new(
            Class::Local,
            Operation::Upload,
            self.job.path.to_string(),
            "a part was to be copied from no version",
        )
    }

    /// What the new version is made of.
    fn list(&self, end: End, stored: &Stored) -> Option<Parts> {
        match end {
            End::AsPlanned(segments) => Some(Parts {
                version_id: stored.version_id.clone(),
                etag: stored.etag.clone(),
                gzip: self.job.gzip_level.is_some(),
                segments,
            }),
            End::Unrested(_) | End::Changed => None,
        }
    }

    async fn complete(
        &self,
        upload: &Upload,
        done: Vec<PartDone>,
        whole: &Whole,
        has_copies: bool,
    ) -> Result<Stored, Halt> {
        let job = self.job;
        let completed = job
            .store
            .complete_multipart(job.at(), upload, done, whole)
            .await;
        let stored = match completed {
            // The first answer was lost and the SDK asked again: it may be done.
            Err(fault) if fault.class == Class::NotFound => self.adopt(fault).await?,
            // It refuses what was joined, or the parts that were copied.
            Err(fault) if has_copies && matches!(fault.class, Class::Refused | Class::Damaged) => {
                return Err(Halt::Distrust(Distrust::of_server(fault.cause)));
            }
            completed => completed?,
        };
        if has_copies && upload.proof == Proof::EachPart {
            self.measure(&stored, whole).await?;
        }
        Ok(stored)
    }

    /// Nothing but the parts was proved: at least the size is right.
    async fn measure(&self, stored: &Stored, whole: &Whole) -> Result<(), Halt> {
        let version = stored.version_id.as_ref();
        let head = self.job.store.head(self.job.at(), version).await?;
        match head {
            Some(head) if head.stored_bytes != whole.bytes => Err(Halt::Distrust(
                Distrust::of_server("the object has another size than its parts"),
            )),
            _ => Ok(()),
        }
    }

    /// The newest version, if it is the content that was just sent.
    async fn adopt(&self, fault: Fault) -> Result<Stored, Fault> {
        let head = self.job.store.head(self.job.at(), None).await?;
        head.filter(|head| {
            let stored = head.meta.as_ref().ok().and_then(|meta| meta.content);
            stored == Some(self.content.hash)
        })
        .map(|head| Stored {
            version_id: head.version_id,
            etag: head.etag,
        })
        .ok_or(Fault {
            class: Class::Transient,
            ..fault
        })
    }
}

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

async fn one_part(job: Job, upload: Upload, number: i32, piece: Piece) -> Flown {
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
async fn one_copy(
    job: Job,
    upload: Upload,
    number: i32,
    from: (Option<VersionId>, ETag),
    part: Reused,
) -> Flown {
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
