//! What is known of one object when it is planned.

use crate::backup::snapshot::Companion;
use crate::index::Elsewhere;
use crate::s3::Head;
use crate::transfer::Content;
use crate::types::{ContentHash, Fingerprint, Parts, Record, VersionId};

/// What is known of one object: its place on disk, its record, the answers so far.
#[derive(Debug, Default)]
pub(crate) struct Facts<'a> {
    /// What stands there on disk; `None` when the object is gone.
    pub disk: Option<Fingerprint>,
    /// The path is the source's own folder.
    pub is_root: bool,
    /// A folder that holds nothing which is backed up.
    pub is_empty_folder: bool,
    /// What the index says was stored.
    pub record: Option<Record>,
    /// Its companions, which are read at the same moment.
    pub companions: &'a [Companion],
    /// Of a companion: the content of the file that it was read with.
    pub beside: Option<ContentHash>,
    /// Of a companion: its file had another content when it was stored last, or may have.
    pub has_other_main: bool,
    /// State and policy of the source.
    pub policy: Policy,
    /// What was asked so far.
    pub answers: Answers,
}

/// State and policy of the source, as they are when the plan is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Deletions are marked in the bucket.
    pub marks_deletions: bool,
    /// The bucket is known to keep versions.
    pub keeps_versions: bool,
    /// Index and bucket were compared: a path without a record is new.
    pub is_compared: bool,
    /// The server's copies are worth a try.
    pub may_copy: bool,
    /// Another owner than the stored one is no change (see `source::Owners`).
    pub forgives_owner: bool,
}

/// Answers so far; `None` where nobody asked yet.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub has_busy_companion: Option<bool>,
    pub may_add_version: Option<bool>,
    /// Inside: `None` when it changed while it was read.
    pub content: Option<Option<Content>>,
    pub head: Option<Option<Head>>,
    pub head_with_checksums: Option<Option<Head>>,
    /// The server was asked for a copy with new metadata, and made none that counts.
    pub is_metadata_copy_refused: bool,
    pub lookup: Option<Option<FoundCopy>>,
    pub head_of_copy: Option<HeadOfCopy>,
    pub part_layout: Option<Option<Parts>>,
    pub guard: Option<GuardAnswer>,
    pub keeps_versions: Option<bool>,
}

/// One answer.
#[derive(Debug)]
pub(crate) enum Answer {
    BusyCompanion(bool),
    MayAddVersion(bool),
    Content(Option<Box<Content>>),
    Head(Option<Box<Head>>),
    HeadWithChecksums(Option<Box<Head>>),
    MetadataCopyRefused,
    ContentLookup(Option<Box<FoundCopy>>),
    /// The version that the lookup found is of no use.
    CopyRefused,
    HeadOfCopy(HeadOfCopy),
    PartLayout(Option<Parts>),
    Guard(GuardAnswer),
    KeepsVersions(bool),
}

/// A version under another path that has the content, as the index says.
#[derive(Debug, Clone)]
pub(crate) struct FoundCopy {
    /// Whose version.
    pub entry: Elsewhere,
    /// What it is made of, when large.
    pub part_layout: Option<Parts>,
}

/// What the bucket says of a version to copy from.
#[derive(Debug)]
pub(crate) enum HeadOfCopy {
    /// That it is there.
    There(Box<Head>),
    /// That it is not.
    Gone,
    /// The server refuses to say, and asking again changes nothing.
    Refused,
}

/// What the deletion guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GuardAnswer {
    /// The deletion may be marked.
    Granted,
    /// It is held back.
    Held,
    /// The file is there again.
    BackAgain,
    /// Another worker is counting the files.
    Counting,
}

impl Facts<'_> {
    /// Take an answer in.
    pub(crate) fn learn(&mut self, answer: Answer) {
        let known = &mut self.answers;
        match answer {
            Answer::BusyCompanion(is_busy) => known.has_busy_companion = Some(is_busy),
            Answer::MayAddVersion(may) => known.may_add_version = Some(may),
            Answer::Content(content) => known.content = Some(content.map(|content| *content)),
            Answer::Head(head) => known.head = Some(head.map(|head| *head)),
            Answer::HeadWithChecksums(head) => {
                known.head_with_checksums = Some(head.map(|head| *head));
            }
            Answer::MetadataCopyRefused => known.is_metadata_copy_refused = true,
            Answer::ContentLookup(found) => known.lookup = Some(found.map(|found| *found)),
            Answer::CopyRefused => known.lookup = Some(None),
            Answer::HeadOfCopy(head) => known.head_of_copy = Some(head),
            Answer::PartLayout(parts) => known.part_layout = Some(parts),
            Answer::Guard(answer) => known.guard = Some(answer),
            Answer::KeepsVersions(keeps) => known.keeps_versions = Some(keeps),
        }
    }

    /// It waits for its next version.
    pub(crate) fn is_paced(&self) -> bool {
        self.answers.may_add_version == Some(false)
    }

    /// The content that was read.
    pub(crate) fn content(&self) -> Option<&Content> {
        self.answers.content.as_ref()?.as_ref()
    }

    /// The version that the index names, where it names one.
    pub(crate) fn recorded_version(&self) -> Option<&VersionId> {
        self.record.as_ref()?.version_id.as_ref()
    }
}
