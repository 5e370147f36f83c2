//! Plans, their reasons, and what may be asked before one is made.

use super::facts::FoundCopy;
use crate::s3::{BytesAre, Head};
use crate::types::{ETag, Parts, VersionId};
use std::fmt::{self, Debug, Display};

/// What is done with one object.
#[derive(Debug)]
#[cfg_attr(
    test,
    derive(strum::EnumDiscriminants),
    strum_discriminants(name(PlanKind), derive(strum::VariantArray))
)]
pub(crate) enum Plan<'a> {
    /// Answer this, then plan again.
    Ask(Question),
    /// Disk, index and bucket agree, or nothing may be done.
    Nothing(NothingReason),
    /// The bucket has it; write today's fingerprint into the index.
    RefreshIndex(RefreshReason),
    /// The bucket has it and the index does not know: record that version.
    AdoptVersion {
        /// The version.
        head: &'a Head,
        /// Why the bucket was asked.
        reason: AdoptReason,
    },
    /// Same content, other metadata: have the server copy the version onto itself.
    CopyMetadata {
        /// The version that holds the content.
        head: &'a Head,
        /// What differs.
        reason: CopyMetadataReason,
    },
    /// The bucket has the content under another path: have the server copy it.
    CopyFrom {
        /// The version that holds the content.
        from: CopySource<'a>,
        /// How it is known that it does.
        reason: CopyFromReason,
    },
    /// The content lookup names a version that is gone or holds something else: forget
    /// that entry, then plan again.
    ForgetCopy(ForgetReason),
    /// Send the content with one request.
    PutWhole(SendReason),
    /// Send the content in parts.
    Multipart {
        /// What the stored version is made of: the server copies what stayed the same.
        reuse: Option<&'a Parts>,
        /// Why it is sent.
        reason: SendReason,
    },
    /// Mark the object as deleted in the bucket and forget it in the index.
    MarkDeleted(MarkReason),
    /// It is gone from the disk and its object is not ours: forget it in the index only.
    ForgetRecord(ForgetRecordReason),
    /// Not now: it has another turn soon.
    Defer(DeferReason),
    /// It stays as it is stored until something else allows it.
    Wait(WaitReason),
}

/// What must be answered before a plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum Question {
    /// Is another worker busy with one of the companions?
    BusyCompanion,
    /// Does the pacing policy allow one more version now?
    Pacing,
    /// What does the object hold? Reads the disk.
    Content,
    /// What does the bucket say of the version that the index names?
    HeadOfRecorded,
    /// What does the bucket say of the newest version?
    HeadOfNewest,
    /// The same of the version to copy, with its checksums.
    HeadWithChecksums,
    /// Under which other path does the bucket have this content? Reads the index.
    ContentLookup,
    /// What does the bucket say of the version that the lookup found?
    HeadOfCopy,
    /// Which parts is the stored version made of? Reads the index.
    PartLayout,
    /// Does the deletion guard allow this deletion?
    Guard,
    /// Does the bucket keep versions, and is it ours? May cost a request.
    KeepsVersions,
}

/// Why nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum NothingReason {
    /// It is as it was stored, and so are its companions.
    AsStored,
    /// A folder with the same mode and owner.
    FolderAsStored,
    /// The source's own folder has no object.
    SourceRoot,
    /// A folder that holds something needs no object.
    FilledFolder,
    /// It is gone, and was never stored.
    NeverStored,
    /// It is gone, and this source keeps what was deleted.
    DeletionsNotMarked,
}

/// Why only the index is refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum RefreshReason {
    /// Content and metadata are what the index says was stored.
    IndexAgrees,
    /// The index knew other attributes; the bucket has the right ones.
    BucketAgrees,
}

/// Why the bucket was asked about a version that the index does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum AdoptReason {
    /// The source was not compared with its bucket yet.
    NotCompared,
    /// The index is not sure what the bucket has.
    Unverified,
}

/// What differs while the content is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum CopyMetadataReason {
    /// Its time, mode or owner.
    MetadataChanged,
    /// Its attributes or access control lists.
    AttributesChanged,
    /// The content of the file that it belongs to.
    MainChanged,
    /// What the version says, which the index did not know.
    VersionSaysOther,
}

/// How it is known that another path's version holds the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum CopyFromReason {
    /// The index names the version, which nothing can change.
    PinnedVersion,
    /// The bucket was asked.
    BucketConfirms,
}

/// Why an entry of the content lookup is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum ForgetReason {
    /// There is no such version.
    VersionGone,
    /// The version does not say that it holds this content.
    OtherContent,
}

/// Why the content is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum SendReason {
    /// The bucket's copy was found damaged: only the content itself replaces it.
    DamagedCopy,
    /// The path was never stored.
    NewPath,
    /// The path was stored with another content.
    NewContent,
    /// The bucket was asked and has nothing there.
    NotInBucket,
    /// The bucket was asked and has something else there.
    OtherInBucket,
    /// The server did not copy the version with new metadata, or not provably.
    MetadataNotCopied,
}

/// Why a deletion is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum MarkReason {
    /// The index knows the version that we stored.
    Stored,
    /// The bucket's object says that it is ours.
    FoundOurs,
}

/// Why only the index forgets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum ForgetRecordReason {
    /// The bucket has nothing there.
    NotInBucket,
    /// Another program wrote the object there.
    ForeignObject,
}

/// Why it has another turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum DeferReason {
    /// A companion is in another worker's hands.
    BusyCompanion,
    /// It changed while it was read.
    ChangedWhileRead,
    /// It was gone and is there again.
    BackAgain,
    /// The guard is counting the files.
    GuardIsCounting,
}

/// What it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(test, derive(strum::VariantArray))]
pub(crate) enum WaitReason {
    /// It had many versions of late: for its next one to be due.
    Paced,
    /// For the end of the deletion guard's hold.
    Guard,
    /// For the bucket to be known as ours, and to keep versions.
    BucketUnknown,
}

/// A version to copy from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CopySource<'a> {
    /// What the content lookup found.
    pub found: &'a FoundCopy,
    /// The version's id.
    pub version_id: Option<&'a VersionId>,
    /// Its ETag, without quotes.
    pub etag: &'a ETag,
    /// Its bytes as stored.
    pub stored_bytes: u64,
    /// It is stored compressed.
    pub gzip: bool,
    /// What the server says that its bytes are, where it was asked.
    pub bytes_are: BytesAre,
}

/// The variant and its reason, for the log.
impl Display for Plan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (variant, reason): (&str, &dyn Debug) = match self {
            Plan::Ask(question) => ("Ask", question),
            Plan::Nothing(reason) => ("Nothing", reason),
            Plan::RefreshIndex(reason) => ("RefreshIndex", reason),
            Plan::AdoptVersion { reason, .. } => ("AdoptVersion", reason),
            Plan::CopyMetadata { reason, .. } => ("CopyMetadata", reason),
            Plan::CopyFrom { reason, .. } => ("CopyFrom", reason),
            Plan::ForgetCopy(reason) => ("ForgetCopy", reason),
            Plan::PutWhole(reason) => ("PutWhole", reason),
            Plan::Multipart { reason, .. } => ("Multipart", reason),
            Plan::MarkDeleted(reason) => ("MarkDeleted", reason),
            Plan::ForgetRecord(reason) => ("ForgetRecord", reason),
            Plan::Defer(reason) => ("Defer", reason),
            Plan::Wait(reason) => ("Wait", reason),
        };
        write!(f, "{variant} {reason:?}")
    }
}
