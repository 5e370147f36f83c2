//! What a verification is asked for, and what it reports.

use super::findings::{Deep, Finding, Progress};
use crate::history::{Known, Selector};
use crate::types::{Origin, RelKey};

/// What to verify.
#[derive(Debug)]
pub struct VerifyRequest {
    /// How people know it: the source's name, or the bucket's.
    pub name: String,
    /// Where the objects are.
    pub origin: Origin,
    /// Which of them.
    pub selector: Selector,
    /// These alone, found by their own keys and not by listing; `selector` does
    /// not count then.
    pub only: Option<Vec<RelKey>>,
    /// What this computer knows; without it the bucket is checked by itself.
    pub known: Option<Known>,
    /// Which contents are downloaded.
    pub deep: Deep,
    /// The seed of the sample.
    pub seed: u64,
    /// Older versions as well.
    pub all_versions: bool,
}

/// What is reported while it runs.
#[derive(Debug)]
pub enum VerifyEvent<'a> {
    /// Its progress.
    Progress(Progress),
    /// This is wrong.
    Found(&'a Finding),
}
