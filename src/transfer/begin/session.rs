//! One upload in parts that this process works on.

use crate::index::{AcknowledgedPart, Multipart};
use crate::s3::{ListedPart, PartDone, Upload};
use crate::transfer::send::Job;
use crate::transfer::uploads::UnderWay;
use crate::types::{Class, ContentHash, Crc64, Fault};
use std::collections::{BTreeMap, HashMap};

/// A part that the server lists.
pub(crate) struct Have {
    listed: ListedPart,
    /// Checksum of what was sent, when exactly this was acknowledged to us.
    acknowledged: Option<Crc64>,
}

/// What the server lists, beside what it has acknowledged.
pub(crate) fn have(
    listed: Vec<ListedPart>,
    acknowledged: Vec<AcknowledgedPart>,
) -> BTreeMap<i32, Have> {
    let acknowledged: HashMap<i32, AcknowledgedPart> = acknowledged
        .into_iter()
        .map(|part| (part.number, part))
        .collect();
    let with_ours = |listed: ListedPart| {
        let ours = acknowledged.get(&listed.part.number).filter(|ours| {
            // Some servers quote it in one answer and not in the other.
            let same = ours.etag.trim_matches('"') == listed.part.etag.trim_matches('"');
            same && !ours.etag.is_empty() && ours.bytes == listed.bytes
        });
        let acknowledged = ours.map(|ours| ours.crc64);
        (
            listed.part.number,
            Have {
                listed,
                acknowledged,
            },
        )
    };
    listed.into_iter().map(with_ours).collect()
}

/// A part that nobody lists, as the server has acknowledged it.
pub(crate) fn as_listed(acknowledged: &AcknowledgedPart) -> ListedPart {
    ListedPart {
        bytes: acknowledged.bytes,
        part: PartDone {
            number: acknowledged.number,
            etag: acknowledged.etag.clone(),
            sha256: None,
            crc64: None,
        },
    }
}

impl Have {
    /// Whether it is proved to be what these checksums are of: at least one
    /// says so, and none says otherwise.
    fn is(&self, bytes: u64, crc64: Crc64, sha256: Option<ContentHash>) -> bool {
        let part = &self.listed.part;
        let said = [
            part.crc64.map(|listed| listed == crc64),
            self.acknowledged.map(|sent| sent == crc64),
            part.sha256.zip(sha256).map(|(listed, ours)| listed == ours),
        ];
        let mut said = said.into_iter().flatten().peekable();
        self.listed.bytes == bytes && said.peek().is_some() && said.all(|is_it| is_it)
    }
}

/// An upload in parts that this process works on, while it lives. Dropped
/// without [`Session::conclude`] (a stop, a disk that hangs) it stays open and
/// noted, as after a kill.
pub(crate) struct Session {
    job: Job,
    /// The upload, for the store's calls.
    pub upload: Upload,
    note: Multipart,
    have: BTreeMap<i32, Have>,
    _under_way: UnderWay,
}

impl Session {
    pub(crate) fn new(
        job: &Job,
        upload: Upload,
        note: Multipart,
        have: BTreeMap<i32, Have>,
        under_way: UnderWay,
    ) -> Self {
        Self {
            job: job.clone(),
            upload,
            note,
            have,
            _under_way: under_way,
        }
    }

    /// The part of that number, when the server has it and it is proved to be
    /// exactly these bytes: then it need not be sent (or copied) again. Of a
    /// copied range whose SHA-256 nobody has, give none.
    pub fn has(
        &self,
        number: i32,
        bytes: u64,
        crc64: Crc64,
        sha256: Option<ContentHash>,
    ) -> Option<PartDone> {
        let have = self.have.get(&number)?;
        have.is(bytes, crc64, sha256).then(|| PartDone {
            number,
            etag: have.listed.part.etag.clone(),
            sha256: sha256.or(have.listed.part.sha256),
            crc64: Some(crc64),
        })
    }

    /// The server has acknowledged a part: write it down, so that nobody sends
    /// it again. Best effort: the server's own list of parts tells most.
    pub async fn acknowledged(&self, part: &PartDone, bytes: u64) {
        let (Some(crc64), Some(_)) = (part.crc64, &self.note.resume) else {
            return;
        };
        let part = AcknowledgedPart {
            number: part.number,
            etag: part.etag.clone(),
            crc64,
            bytes,
        };
        let note = self.note.clone();
        let noted = self.job.noted(move |job| {
            let (source, id) = (note.source, &note.upload_id);
            job.index.part_acknowledged(source, &note.key, id, &part)
        });
        if let Err(fault) = noted.await {
            tracing::debug!("a part that was sent is not noted: {fault}");
        }
    }

    /// Call before the upload is completed: an upload whose completion keeps failing
    /// is not resumed for ever. Best effort.
    pub async fn completing(&mut self) {
        let Some(resume) = &mut self.note.resume else {
            return;
        };
        resume.completions += 1;
        let note = self.note.clone();
        let noted = self.job.noted(move |job| job.index.multipart_update(note));
        if let Err(fault) = noted.await {
            tracing::debug!("that an upload is being completed is not noted: {fault}");
        }
    }

    /// End the session that brought `result`. After a fault that may pass, the upload
    /// stays open to be resumed; otherwise it is aborted, unless it was completed. A
    /// version that the bucket has taken counts even when the index fails: reporting a
    /// failure would send the whole file again. An upload that cannot be aborted does
    /// not keep its file waiting: it stays noted.
    ///
    /// # Errors
    /// Those of `result`.
    pub async fn conclude<T>(self, result: Result<T, Fault>, completed: bool) -> Result<T, Fault> {
        if let Err(fault) = &result
            && !completed
            && self.note.resume.is_some()
            && may_pass(fault.class)
        {
            return result;
        }
        let ended = self.end(completed).await;
        // The first failure is the one to report, not that of the abort.
        if let (Ok(_), Err(fault)) = (&result, ended) {
            tracing::warn!("an upload that is over stays noted for now: {fault}");
        }
        result
    }

    /// The upload is over: abort it unless it was completed, and forget it.
    async fn end(self, completed: bool) -> Result<(), Fault> {
        let (job, note) = (self.job, self.note);
        if !completed {
            return job.throw_away(note).await;
        }
        job.noted(move |job| {
            job.index
                .multipart_end(note.source, &note.key, &note.upload_id)
        })
        .await
    }
}

/// Whether the same upload may still be completed later. A file that changed or went
/// away, and a refusal of the server, do not pass.
fn may_pass(class: Class) -> bool {
    match class {
        Class::Transient
        | Class::SlowDown
        | Class::Credentials
        | Class::Denied
        | Class::NoBucket
        | Class::Untrusted
        | Class::Full
        | Class::Unreadable
        | Class::Local => true,
        Class::NotFound
        | Class::Refused
        | Class::Vanished
        | Class::Changed
        | Class::Unstorable
        | Class::Damaged => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_counts_when_something_proves_it_and_nothing_speaks_against_it() {
        let (ours, other) = (b"ours", b"othr");
        let (crc, sha) = (Crc64::of(ours), ContentHash::of(ours));
        let (wrong_crc, wrong_sha) = (Crc64::of(other), ContentHash::of(other));
        let ack = |etag: &str, crc64, bytes| AcknowledgedPart {
            number: 1,
            etag: etag.into(),
            crc64,
            bytes,
        };
        for (name, bytes, listed_crc, listed_sha, ack, want) in [
            ("nothing proves it", 4, None, None, None, false),
            ("its checksum", 4, Some(crc), None, None, true),
            ("another checksum", 4, Some(wrong_crc), None, None, false),
            ("its hash", 4, None, Some(sha), None, true),
            ("another hash", 4, None, Some(wrong_sha), None, false),
            ("one of each", 4, Some(crc), Some(wrong_sha), None, false),
            ("another size", 5, Some(crc), Some(sha), None, false),
            ("our note", 4, None, None, Some(ack("e", crc, 4)), true),
            (
                "our note, quoted",
                4,
                None,
                None,
                Some(ack("\"e\"", crc, 4)),
                true,
            ),
            (
                "a note of another",
                4,
                None,
                None,
                Some(ack("f", crc, 4)),
                false,
            ),
            (
                "a note of less",
                4,
                None,
                None,
                Some(ack("e", crc, 3)),
                false,
            ),
            (
                "another was sent",
                4,
                None,
                None,
                Some(ack("e", wrong_crc, 4)),
                false,
            ),
            ("both", 4, Some(crc), None, Some(ack("e", crc, 4)), true),
            (
                "not both",
                4,
                Some(crc),
                None,
                Some(ack("e", wrong_crc, 4)),
                false,
            ),
        ] {
            let listed = ListedPart {
                bytes,
                part: PartDone {
                    number: 1,
                    etag: "e".into(),
                    sha256: listed_sha,
                    crc64: listed_crc,
                },
            };
            let have = have(vec![listed], ack.into_iter().collect());
            assert_eq!(have[&1].is(4, crc, Some(sha)), want, "{name}");
        }
    }

    #[test]
    fn what_names_no_bytes_proves_none() {
        let part = PartDone {
            number: 1,
            etag: String::new(),
            sha256: None,
            crc64: None,
        };
        let noted = AcknowledgedPart {
            number: 1,
            etag: String::new(),
            crc64: Crc64::of(b"x"),
            bytes: 1,
        };
        let have = have(vec![ListedPart { bytes: 1, part }], vec![noted]);
        assert!(!have[&1].is(1, Crc64::of(b"x"), None));
    }
}
