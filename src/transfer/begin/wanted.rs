//! Which interrupted upload may be resumed: one of exactly the same object. Pure, except
//! for what the job knows of its server.

use crate::index::{Multipart, Resume};
use crate::os::clock::wall_ms;
use crate::s3::{ObjectHeaders, Proof};
use crate::transfer::read::Content;
use crate::transfer::send::Job;
use crate::types::{Hasher, WallMs};

/// How long the parts of an interrupted upload wait to be resumed, counted from the
/// last part that was added. Longer than a week's holiday of
/// computer or line; with the day's grain of a bucket's lifecycle rule that
/// makes the eight days that docs/OPERATIONS.md asks for.
pub const RESUME_KEEP_MS: i64 = 7 * 24 * 3_600_000;

/// How far a note may seem to come from the future before its clock counts as
/// broken, and its parts as old: the difference that S3 itself allows.
pub const CLOCK_SKEW_MS: i64 = 15 * 60_000;

/// Requests to complete one upload, in as many runs as you like: a server that
/// always fails at one and the same may fail because of it.
const COMPLETIONS_MAX: u32 = 5;

/// Changed when the same digest's fields begin to mean something else.
const DIGEST_VERSION: &str = "resume 1";

impl Job {
    /// What identifies an upload of exactly this object.
    pub(crate) fn wanted(&self, headers: &ObjectHeaders, content: &Content, plan: &str) -> Resume {
        let mut hasher = Hasher::default();
        let gzip_level = format!("{:?}", self.gzip_level);
        // A second reading of the same file may resume the upload: the first reading
        // has said from when on the file was like that.
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

    /// Whether that upload may be resumed.
    pub(crate) fn is_wanted(&self, note: &Multipart, wanted: Option<&Resume>) -> bool {
        let (Some(noted), Some(wanted)) = (&note.resume, wanted) else {
            return false;
        };
        let proof = proof(noted);
        noted.digest == wanted.digest
            && noted.completions < COMPLETIONS_MAX
            && is_young(note, wall_ms())
            && self.store.proof().is_none_or(|known| known == proof)
    }
}

pub(crate) fn proof(resume: &Resume) -> Proof {
    if resume.proves_whole {
        Proof::Whole
    } else {
        Proof::EachPart
    }
}

/// Whether its parts still wait to be resumed.
pub fn is_young(note: &Multipart, now_ms: WallMs) -> bool {
    let age_ms = now_ms - note.noted_ms;
    (-CLOCK_SKEW_MS..RESUME_KEEP_MS).contains(&age_ms)
}
