//! Asks the server which parts it has of an interrupted upload.

use super::session::{Have, as_listed, have};
use super::wanted::proof;
use crate::index::{Multipart, Resume};
use crate::os::clock::wall_ms;
use crate::s3::Upload;
use crate::transfer::send::Job;
use crate::types::{Class, Fault};
use std::collections::BTreeMap;

/// Times in a row that a server fails to say what it has of an upload before it
/// counts as one that never says. A few tell that from a bad moment; an outage
/// that lasts longer costs nothing, since nothing is thrown away before another
/// upload has begun.
const SILENCES_MAX: u32 = 5;

/// The grain of the times that S3 gives.
const GRAIN_MS: i64 = 1_000;

/// An upload, its note, and the parts that the server has of it.
pub(crate) type Taken = (Multipart, Upload, BTreeMap<i32, Have>);

/// Whether an interrupted upload can be resumed.
pub(crate) enum TakeUp {
    On(Box<Taken>),
    /// The server has forgotten it, or will not say.
    Gone,
    /// The server always fails when it is asked.
    Silent,
}

impl Job {
    /// Which parts the server has of an interrupted upload.
    pub(crate) async fn take_up(&self, note: &Multipart) -> Result<TakeUp, Fault> {
        let Some(resume) = &note.resume else {
            return Ok(TakeUp::Gone);
        };
        match self.may_still_be_newest(&note.upload_id).await {
            Ok(true) => {}
            Ok(false) => return Ok(TakeUp::Gone),
            // A key that may not ask can still upload.
            Err(fault) if does_not_tell(&fault) => {
                tracing::debug!("a broken off upload is begun anew: {fault}");
                return Ok(TakeUp::Gone);
            }
            Err(fault) if is_silent(&fault, resume) => {
                tracing::debug!("a broken off upload is begun anew: {fault}");
                return Ok(TakeUp::Silent);
            }
            Err(fault) => return self.met_silence(note, fault).await,
        }
        let of = note.clone();
        let acknowledged = self.noted(move |job| job.index.parts_acknowledged(&of));
        let acknowledged = acknowledged.await?;
        let mut silences = resume.silences;
        let listed = match self.store.list_parts(self.at(), &note.upload_id).await {
            Ok(listed) => {
                silences = 0;
                listed
            }
            Err(fault) if fault.class == Class::NotFound => return Ok(TakeUp::Gone),
            // Our own notes are enough: the completion names the ETags, and the server
            // refuses it when it has other parts than it acknowledged.
            Err(fault) if does_not_tell(&fault) || is_silent(&fault, resume) => {
                tracing::debug!("only parts that were noted are gone on with: {fault}");
                acknowledged.iter().map(as_listed).collect()
            }
            Err(fault) => return self.met_silence(note, fault).await,
        };
        let have = have(listed, acknowledged);
        let note = self
            .note_progress(note, resume, have.len(), silences)
            .await?;
        tracing::info!(
            path = %self.path,
            parts = have.len(),
            "an upload that was broken off goes on"
        );
        let upload = Upload {
            id: note.upload_id.clone(),
            proof: proof(resume),
        };
        Ok(TakeUp::On(Box::new((note, upload, have))))
    }

    /// Note how many parts the server has, where that is news.
    async fn note_progress(
        &self,
        note: &Multipart,
        resume: &Resume,
        parts: usize,
        silences: u32,
    ) -> Result<Multipart, Fault> {
        let mut note = note.clone();
        let has_more = parts > resume.parts;
        if has_more || silences != resume.silences {
            if has_more {
                note.noted_ms = wall_ms();
            }
            note.resume = Some(Resume {
                parts: parts.max(resume.parts),
                silences,
                ..resume.clone()
            });
            let better = note.clone();
            self.noted(move |job| job.index.multipart_update(better))
                .await?;
        }
        Ok(note)
    }

    /// The server failed to say what it has: that is an outage, unless it always fails.
    pub(crate) async fn met_silence(
        &self,
        note: &Multipart,
        fault: Fault,
    ) -> Result<TakeUp, Fault> {
        let mut note = note.clone();
        if let Some(resume) = &mut note.resume
            && matches!(fault.class, Class::Transient | Class::SlowDown)
        {
            resume.silences = resume.silences.saturating_add(1);
            self.noted(move |job| job.index.multipart_update(note))
                .await?;
        }
        Err(fault)
    }

    /// Whether an upload is open and would become the newest version: S3 puts a
    /// version where its upload began (Amazon S3 User Guide, "Multipart upload",
    /// on concurrent operations), so what was stored or marked as deleted since
    /// would stay in front of it.
    pub(crate) async fn may_still_be_newest(&self, upload_id: &str) -> Result<bool, Fault> {
        let open = self.store.open_uploads_of(self.at()).await?;
        let Some(begun) = open.iter().find(|open| open.upload_id == upload_id) else {
            return Ok(false);
        };
        let begun_s = begun.initiated_ms.0.div_euclid(GRAIN_MS);
        // Newest first: one page says enough.
        let versions = self
            .store
            .list_versions(&self.bucket, &self.bucket_key, None)
            .await?;
        Ok(!versions.items.iter().any(|version| {
            version.key == self.bucket_key && version.modified_ms.0.div_euclid(GRAIN_MS) >= begun_s
        }))
    }
}

/// The server will not say, and asking again does not change that: the question is
/// not allowed, not known or not answered legibly.
fn does_not_tell(fault: &Fault) -> bool {
    matches!(
        fault.class,
        Class::NotFound | Class::Denied | Class::Refused
    )
}

/// The server fails once more, as it always does when it is asked about this upload.
fn is_silent(fault: &Fault, resume: &Resume) -> bool {
    matches!(fault.class, Class::Transient | Class::SlowDown) && resume.silences >= SILENCES_MAX
}
