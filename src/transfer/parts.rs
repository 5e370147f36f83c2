//! One upload in parts: sends what is made, has the server copy what it has, and
//! completes it only when all of that is proved.

mod halt;
mod in_flight;
mod one;

use super::part_stream::PartStream;
use super::piece::{End, Made, What};
use super::read::Content;
use super::send;
use super::send::{Job, Sent};
use super::trust::Distrust;
use crate::s3::{ObjectHeaders, PartDone, Proof, Stored, Upload, Whole};
use crate::transfer::begin::session::Session;
use crate::types::{Class, Crc64, Fault, Operation, Parts, id_text};
use halt::Halt;
use in_flight::PartsInFlight;
use one::{copy_part, send_part};

/// What became of an attempt.
pub(crate) enum AttemptOutcome {
    /// It was carried out.
    Sent(Sent),
    /// The version before cannot be used; the index hears of no new version.
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

/// How the file is cut: the same content, cut from the same version, makes the same parts.
pub(crate) fn cut(part_bytes: u64, old: Option<&Parts>) -> String {
    let from = old.map(|old| (id_text(&old.version_id), &*old.etag));
    format!("parts of {part_bytes} from {from:?}")
}

impl Attempt<'_> {
    pub async fn run(
        &self,
        headers: &ObjectHeaders,
        first: Made,
        made: PartStream,
    ) -> Result<AttemptOutcome, Fault> {
        let cut = cut(self.part_bytes, self.old);
        let mut session = self.job.session(headers, Some(self.content), &cut).await?;
        let result = match self.carry(&mut session, first, made).await {
            Ok(sent) => Ok(AttemptOutcome::Sent(sent)),
            Err(Halt::Distrust(distrust)) => Ok(AttemptOutcome::Distrust(distrust)),
            Err(Halt::Fault(fault)) => Err(fault),
        };
        let completed = matches!(result, Ok(AttemptOutcome::Sent(Sent::Stored(_))));
        session.conclude(result, completed).await
    }

    async fn carry(
        &self,
        session: &mut Session,
        first: Made,
        mut made: PartStream,
    ) -> Result<Sent, Halt> {
        let mut in_flight = PartsInFlight::default();
        let mut whole = Whole {
            bytes: 0,
            crc64: Some(Crc64::default()),
        };
        let mut part = first;
        let end = loop {
            let (bytes, crc64) = self.begin_part(session, &mut in_flight, part.what).await?;
            whole.crc64 = whole.crc64.map(|before| before.then(crc64, bytes));
            whole.bytes += bytes;
            if let Some(end) = part.end {
                break end;
            }
            part = made.next().await?;
        };
        while !in_flight.is_empty() {
            in_flight.collect(self.job, session).await?;
        }
        let Some(hash) = end.hash(self.content.hash) else {
            return Ok(Sent::Changed);
        };
        let mut cost = in_flight.cost;
        cost.requests += 2; // to begin and to complete
        session.completing().await;
        let (done, has_copies) = (in_flight.done, in_flight.has_copies);
        let stored = self
            .complete(&session.upload, done, &whole, has_copies)
            .await?;
        Ok(Sent::Stored(send::StoredVersion {
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
        in_flight: &mut PartsInFlight,
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
        in_flight.last += 1;
        let number = in_flight.last;
        if let Some(part) = session.has(number, bytes, crc64, sha256) {
            in_flight.has_copies |= matches!(what, What::Copy(_));
            in_flight.done.push(part);
            return Ok((bytes, crc64));
        }
        let (job, upload) = (self.job.clone(), session.upload.clone());
        let is_copy = matches!(what, What::Copy(_));
        in_flight.wait_for_room(self.job, session, is_copy).await?;
        match what {
            What::Send(piece) => {
                in_flight.begin(false, bytes, send_part(job, upload, number, piece))
            }
            What::Copy(part) => {
                let old = self.old.ok_or_else(|| self.no_old())?;
                let from = (old.version_id.clone(), old.etag.clone());
                in_flight.begin(true, bytes, copy_part(job, upload, number, from, part));
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
            // The server refuses the parts that were copied, or what they make together.
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

    /// Only the parts were proved: check at least the size of the whole.
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
