//! Uploads in parts from beginning to end, across failures, kills and restarts.
//!
//! A [`Session`] is one upload that this process works on, begun or resumed. Invariants:
//! an upload is noted in the index before it begins, so a killed process leaves no unknown
//! upload behind; an upload is resumed only for exactly the same object (content,
//! metadata, compression, cut); a part that the server lists counts only if it is proved
//! to be the planned one; an upload that cannot be resumed is aborted.

mod notes;
pub(crate) mod session;
mod take_up;
mod wanted;

pub use wanted::{CLOCK_SKEW_MS, is_young};

use super::read::Content;
use super::send::{Job, PART_PAUSE};
use crate::index::{Multipart, Resume};
use crate::os::clock::wall_ms;
use crate::s3::{ObjectHeaders, Proof, Upload};
use crate::types::{Class, Fault};
use std::collections::BTreeMap;

use session::Session;
use take_up::{TakeUp, Taken};

/// Requests to begin an upload in parts; the SDK may not repeat them.
const BEGIN_TRIES: u32 = 3;

impl Job {
    /// Begin an upload in parts, or resume an interrupted one. `content` is what it will
    /// hold; `None` for an upload that is never resumed. `plan` says how it is cut: the
    /// same plan of the same content must always make the same parts with the same numbers.
    ///
    /// # Errors
    /// Whatever index or store report.
    pub(crate) async fn session(
        &self,
        headers: &ObjectHeaders,
        content: Option<&Content>,
        plan: &str,
    ) -> Result<Session, Fault> {
        let under_way = self.uploads.begin(&self.bucket, &self.bucket_key);
        let wanted = content
            .filter(|content| !content.is_torn)
            .map(|content| self.wanted(headers, content, plan));
        let notes = self.left_open().await?;
        let (mut taken, mut silent) = (None, Vec::new());
        for note in notes {
            if taken.is_none() && self.is_wanted(&note, wanted.as_ref()) {
                match self.take_up(&note).await? {
                    TakeUp::On(on) => {
                        taken = Some(on);
                        continue;
                    }
                    TakeUp::Silent => {
                        silent.push(note);
                        continue;
                    }
                    TakeUp::Gone => {}
                }
            }
            self.try_to_throw_away(note).await;
        }
        let (note, upload, have) = match taken {
            Some(taken) => *taken,
            None => self.begin(headers, wanted).await?,
        };
        // A new upload could begin, so the server fails at the old one only.
        for note in silent {
            self.try_to_throw_away(note).await;
        }
        Ok(Session::new(self, upload, note, have, under_way))
    }

    /// The same as [`Self::throw_away`]. A failure does not keep the file waiting: the
    /// upload is aborted later.
    async fn try_to_throw_away(&self, note: Multipart) {
        if let Err(fault) = self.throw_away(note).await {
            tracing::warn!("an unfinished upload stays in the bucket for now: {fault}");
        }
    }

    /// Abort an upload that is not resumed, and forget it. When the abort fails, the
    /// note stays, and the abort is tried again later.
    async fn throw_away(&self, note: Multipart) -> Result<(), Fault> {
        let aborted = self.store.abort_multipart(self.at(), &note.upload_id).await;
        let is_over = aborted.is_ok();
        let noted = self.noted(move |job| match is_over {
            true => job
                .index
                .multipart_end(note.source, &note.key, &note.upload_id),
            false => job.index.multipart_update(Multipart {
                resume: None,
                ..note
            }),
        });
        let noted = noted.await;
        aborted.and(noted)
    }

    /// Begin an upload in parts. It is noted before and after, so that it is aborted
    /// later if this process dies or the answer is lost.
    async fn begin(&self, headers: &ObjectHeaders, wanted: Option<Resume>) -> Result<Taken, Fault> {
        let now_ms = wall_ms();
        let was_lost = self
            .noted(move |job| {
                let at = (job.bucket.as_str(), job.bucket_key.as_str());
                job.index.multipart_intend(job.source, &job.key, at, now_ms)
            })
            .await?;
        let (answer, is_lost) = self.ask_to_begin(headers).await;
        // A note without an id stays while there may be an upload that we know nothing of.
        let forget = !was_lost && !is_lost;
        let note = |upload: &Upload| Multipart {
            noted_ms: now_ms,
            resume: wanted.clone().map(|wanted| Resume {
                proves_whole: upload.proof == Proof::Whole,
                ..wanted
            }),
            ..Multipart::of(
                self.source,
                &self.key,
                &upload.id,
                (&self.bucket, &self.bucket_key),
            )
        };
        let begun = answer.as_ref().ok().map(note);
        let noted = self
            .noted(move |job| {
                if let Some(begun) = begun {
                    job.index.multipart_begin(begun)?;
                }
                match forget {
                    true => job.index.multipart_end(job.source, &job.key, ""),
                    false => Ok(()),
                }
            })
            .await;
        let upload = answer?;
        if let Err(fault) = noted {
            self.store.abort_multipart(self.at(), &upload.id).await?;
            return Err(fault);
        }
        Ok((note(&upload), upload, BTreeMap::new()))
    }

    /// The answer, and whether one before it may have been lost.
    async fn ask_to_begin(&self, headers: &ObjectHeaders) -> (Result<Upload, Fault>, bool) {
        let (mut pause, mut is_lost) = (PART_PAUSE, false);
        for _ in 1..BEGIN_TRIES {
            match self.store.begin_multipart(self.at(), headers).await {
                Err(fault) if fault.class == Class::Transient => is_lost = true,
                answer => return (answer, is_lost),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        let answer = self.store.begin_multipart(self.at(), headers).await;
        is_lost |= matches!(&answer, Err(fault) if fault.class == Class::Transient);
        (answer, is_lost)
    }
}

#[cfg(test)]
mod tests;
