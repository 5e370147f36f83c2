//! Uploads in parts from beginning to end, across failures, kills and restarts.
//!
//! A [`Session`] is one upload that this process works on: begun, or taken up
//! again where it was broken off. Invariants: an upload is noted in the index
//! before it begins, so whoever dies leaves nothing that nobody knows of; only
//! who wants exactly the same object (content, metadata, compression, cut) goes
//! on with it, and of what the server lists only parts that are proved to be
//! the planned ones count; what cannot be gone on with is aborted.

pub(crate) mod session;

use super::read::Content;
use super::send::{Job, PART_PAUSE, local_fault};
use crate::index::{Multipart, Resume};
use crate::os::clock::wall_ms;
use crate::s3::{ObjectHeaders, Proof, Upload};
use crate::types::{Class, Fault, Hasher};
use session::{Have, as_listed, have};
use std::collections::BTreeMap;

use session::Session;

/// Requests to begin an upload in parts; the SDK may not repeat them.
const BEGIN_TRIES: u32 = 3;

/// How long parts that were broken off wait for somebody to go on with them,
/// counted from the last time they became more. Longer than a week's holiday of
/// computer or line; with the day's grain of a bucket's lifecycle rule that
/// makes the eight days that docs/OPERATIONS.md asks for.
pub const RESUME_KEEP_MS: i64 = 7 * 24 * 3_600_000;

/// How far a note may seem to come from the future before its clock counts as
/// broken, and its parts as old: the difference that S3 itself allows.
pub const CLOCK_SKEW_MS: i64 = 15 * 60_000;

/// Requests to complete one upload, in as many runs as you like: a server that
/// always fails at one and the same may fail because of it.
const COMPLETIONS_MAX: u32 = 5;

/// Times in a row that a server fails to say what it has of an upload before it
/// counts as one that never says. A few tell that from a bad moment; an outage
/// that lasts longer costs nothing, since nothing is thrown away before another
/// upload has begun.
const SILENCES_MAX: u32 = 5;

/// The grain of the times that S3 gives.
const GRAIN_MS: i64 = 1_000;

/// Changed when the same digest's fields begin to mean something else.
const DIGEST_VERSION: &str = "resume 1";

/// An upload, its note, and the parts that the server has of it.
type Taken = (Multipart, Upload, BTreeMap<i32, Have>);

/// What came of the wish to go on with an upload.
enum TakeUp {
    On(Box<Taken>),
    /// The server has forgotten it, or will not say.
    Gone,
    /// The server always fails when it is asked.
    Silent,
}

impl Job {
    /// Begin an upload in parts, or go on with one that was broken off. `content`
    /// is what it will hold, `None` for what cannot be gone on with later;
    /// `plan` says how it is cut: the same plan of the same content must always
    /// make the same parts under the same numbers.
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
            .filter(|content| !content.unrested)
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
        // Only now is it known that the server works but for that.
        for note in silent {
            self.try_to_throw_away(note).await;
        }
        Ok(Session::new(self, upload, note, have, under_way))
    }

    /// The uploads of this object that are open, as far as the index knows.
    async fn left_open(&self) -> Result<Vec<Multipart>, Fault> {
        let mut notes = self
            .noted(|job| {
                job.index
                    .multiparts_at(job.source, &job.bucket, &job.bucket_key)
            })
            .await?;
        notes.retain(|note| note.is_begun() && !self.uploads.is_aborting(&note.upload_id));
        // The newest has most, as a rule.
        notes.sort_by_key(|note| std::cmp::Reverse(note.noted_ms));
        Ok(notes)
    }

    /// Whether an upload of exactly this was broken off when the server already
    /// had parts of it; then, what proves it.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub(crate) async fn waiting(
        &self,
        headers: &ObjectHeaders,
        content: &Content,
        plan: &str,
    ) -> Result<Option<Proof>, Fault> {
        if content.unrested {
            return Ok(None);
        }
        let wanted = self.wanted(headers, content, plan);
        for note in self.left_open().await? {
            let Some(resume) = note.resume.clone() else {
                continue;
            };
            if !self.is_wanted(&note, Some(&wanted)) {
                continue;
            }
            let acknowledged = self.noted(move |job| job.index.parts_acknowledged(&note));
            if resume.parts > 0 || !acknowledged.await?.is_empty() {
                return Ok(Some(proof(&resume)));
            }
        }
        Ok(None)
    }

    /// What only an upload of exactly this can be.
    fn wanted(&self, headers: &ObjectHeaders, content: &Content, plan: &str) -> Resume {
        let mut hasher = Hasher::default();
        let gzip_level = format!("{:?}", self.gzip_level);
        // Who reads the same file again may go on: since when it was like that is
        // known from the first reading.
        let mut headers = headers.clone();
        headers.meta.seen_ms = None;
        let fields = [
            DIGEST_VERSION,
            &content.hash.to_hex(),
            &content.fingerprint.size_bytes.to_string(),
            // Every field, also those that come later.
            &format!("{headers:?}"),
            &gzip_level,
            plan,
        ];
        for field in fields {
            hasher.update(&(field.len() as u64).to_be_bytes());
            hasher.update(field.as_bytes());
        }
        Resume {
            digest: hasher.finish(),
            content: content.hash,
            fingerprint: content.fingerprint,
            proves_whole: false,
            parts: 0,
            completions: 0,
            silences: 0,
        }
    }

    /// Whether that upload may be gone on with.
    fn is_wanted(&self, note: &Multipart, wanted: Option<&Resume>) -> bool {
        let (Some(noted), Some(wanted)) = (&note.resume, wanted) else {
            return false;
        };
        let proof = proof(noted);
        noted.digest == wanted.digest
            && noted.completions < COMPLETIONS_MAX
            && is_young(note, wall_ms())
            && self.store.proof().is_none_or(|known| known == proof)
    }

    /// What the server has of a broken off upload.
    async fn take_up(&self, note: &Multipart) -> Result<TakeUp, Fault> {
        let Some(resume) = &note.resume else {
            return Ok(TakeUp::Gone);
        };
        let is_silent = |fault: &Fault| {
            matches!(fault.class, Class::Transient | Class::SlowDown)
                && resume.silences >= SILENCES_MAX
        };
        match self.may_still_be_newest(&note.upload_id).await {
            Ok(true) => {}
            Ok(false) => return Ok(TakeUp::Gone),
            // Not to be allowed to ask is no reason not to back up.
            Err(fault) if does_not_tell(&fault) => {
                tracing::debug!("a broken off upload is begun anew: {fault}");
                return Ok(TakeUp::Gone);
            }
            Err(fault) if is_silent(&fault) => {
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
            // Our own notes will do: the completion names the ETags, and is
            // refused when the server has other parts than it acknowledged.
            Err(fault) if does_not_tell(&fault) || is_silent(&fault) => {
                tracing::debug!("only parts that were noted are gone on with: {fault}");
                acknowledged.iter().map(as_listed).collect()
            }
            Err(fault) => return self.met_silence(note, fault).await,
        };
        let have = have(listed, acknowledged);
        let mut note = note.clone();
        let has_more = have.len() > resume.parts;
        if has_more || silences != resume.silences {
            if has_more {
                note.noted_ms = wall_ms();
            }
            note.resume = Some(Resume {
                parts: have.len().max(resume.parts),
                silences,
                ..resume.clone()
            });
            let better = note.clone();
            self.noted(move |job| job.index.multipart_update(better))
                .await?;
        }
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

    /// The server failed to say what it has: an outage, unless it always does.
    async fn met_silence(&self, note: &Multipart, fault: Fault) -> Result<TakeUp, Fault> {
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
    async fn may_still_be_newest(&self, upload_id: &str) -> Result<bool, Fault> {
        let open = self.store.open_uploads_of(self.at()).await?;
        let Some(begun) = open.iter().find(|open| open.upload_id == upload_id) else {
            return Ok(false);
        };
        let begun_s = begun.initiated_ms.div_euclid(GRAIN_MS);
        // Newest first: one page says enough.
        let versions = self
            .store
            .list_versions(&self.bucket, &self.bucket_key, None)
            .await?;
        Ok(!versions.items.iter().any(|version| {
            version.key == self.bucket_key && version.modified_ms.div_euclid(GRAIN_MS) >= begun_s
        }))
    }

    /// The same as [`Self::throw_away`]; a failure is no reason to keep the file
    /// waiting: it is aborted later.
    async fn try_to_throw_away(&self, note: Multipart) {
        if let Err(fault) = self.throw_away(note).await {
            tracing::warn!("an unfinished upload stays in the bucket for now: {fault}");
        }
    }

    /// Abort what is not gone on with, and forget it. When the abort fails it
    /// stays noted as what can only be aborted, and that is tried again later.
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

    /// Begin an upload in parts and note it, before and after: so it is aborted
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
        // A note without an id stays as long as an upload may be there without us.
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

    /// Write into the index, off the async threads.
    async fn noted<T: Send + 'static>(
        &self,
        write: impl FnOnce(Job) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let job = self.clone();
        tokio::task::spawn_blocking(move || write(job))
            .await
            .map_err(|e| local_fault(&self.path, &e))?
    }
}

/// The server will not say, today or ever: not allowed, not known, not readable.
fn does_not_tell(fault: &Fault) -> bool {
    matches!(
        fault.class,
        Class::NotFound | Class::Denied | Class::Refused
    )
}

fn proof(resume: &Resume) -> Proof {
    match resume.proves_whole {
        true => Proof::Whole,
        false => Proof::EachPart,
    }
}

/// Whether its parts still wait for somebody to go on with them.
pub fn is_young(note: &Multipart, now_ms: i64) -> bool {
    let age_ms = now_ms.saturating_sub(note.noted_ms);
    (-CLOCK_SKEW_MS..RESUME_KEEP_MS).contains(&age_ms)
}

#[cfg(test)]
mod tests;
