//! What servers do otherwise than AWS S3: the one table of it.
//!
//! Code that handles a difference names its row in a comment ([`Differs::MarkerNotEncoded`]
//! and so on): so whoever changes the code knows which server breaks. No code asks for the
//! name of a server: its answers show what it does. Each row names the version that showed
//! it; others may do the same.

/// One thing that some server does otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Differs {
    /// `NextKeyMarker` comes as it is though URL encoding was asked for.
    MarkerNotEncoded,
    /// A list of versions gives all versions of a page and then all its markers.
    MarkersBehindVersions,
    /// A list of objects gives no ETags.
    ListsNoETags,
    /// There is no list of versions.
    NoVersions,
    /// Several delete markers within one instant become one.
    MarkersOfOneInstant,
    /// GET of a delete marker by its version id is 404, not 405.
    MarkerReadsAsMissing,
    /// `x-amz-copy-source-if-match` is ignored.
    CopyIgnoresIfMatch,
    /// The answer to a copy names no version id.
    CopyWithoutVersionId,
    /// No answer to a write names a version id, though versions are kept.
    WriteWithoutVersionId,
    /// UploadPartCopy needs `Content-Length: 0`.
    PartCopyWantsLength,
    /// UploadPartCopy undoes the escapes of its source twice: a key with a `%` is
    /// another one, and a lone `%` crashes the server.
    PartCopyCrashesOnPercent,
    /// CopyObject refuses `x-amz-tagging-directive`.
    CopyRefusesTagRule,
    /// A refusal has a code and an empty message.
    RefusesWithoutMessage,
    /// UploadPartCopy answers 200 and stores an empty part.
    PartCopyStoresNothing,
    /// `CompleteMultipartUpload` answers with an empty ETag.
    CompletionWithoutETag,
    /// `CreateMultipartUpload` is answered under another root element.
    BeginsUnderAnotherRoot,
    /// `GetBucketVersioning` is answered under another root element.
    VersioningUnderAnotherRoot,
    /// No checksums of whole objects.
    NoWholeChecksums,
    /// `If-Match` holds only for an ETag without quotes.
    IfMatchUnquoted,
    /// A conditional PUT is ignored, or not atomic.
    ConditionalPutUnsafe,
    /// A GET with a version id and a range answers 200 and the whole body.
    RangeOfVersionIgnored,
    /// A bucket that keeps versions takes shorter keys.
    ShorterKeys,
    /// A key that ends in `/` is listed without that.
    FolderLosesSlash,
    /// Of two names in a folder that differ only in how accents are composed
    /// (Unicode normalization) a list has one.
    ListsOneOfTwins,
    /// Something between this computer and the server answers 200 in its place.
    AnsweredBySomethingElse,
}

/// A row: what differs, who showed it, and what is done about it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What differs.
    pub differs: Differs,
    /// Servers that showed it, each with its version.
    pub shown_by: &'static [&'static str],
    /// What Keepwatch does about it.
    pub done: &'static str,
}

const RGW: &str = "Ceph RGW 16.2.15";
const RCLONE: &str = "rclone serve s3 1.75";
const SWIFT: &str = "OpenStack Swift 2.38";
const S3S_FS: &str = "s3s-fs 0.14";
const MOTO: &str = "moto 5.2";
const MINISTACK: &str = "MiniStack 1.5";
const GARAGE: &str = "Garage";
/// Not met by us: aws/aws-sdk-net #3125 has it.
const R2: &str = "Cloudflare R2 (2023)";

/// Every row.
pub const TABLE: &[Row] = &[
    Row {
        differs: Differs::MarkerNotEncoded,
        shown_by: &[RGW],
        done: "the next page is asked for by the items that came, and must begin with the last of them",
    },
    Row {
        differs: Differs::MarkersBehindVersions,
        shown_by: &[MOTO],
        done: "they are joined by key and time; within one second the version counts as the newer one",
    },
    Row {
        differs: Differs::ListsNoETags,
        shown_by: &[S3S_FS],
        done: "objects are compared by their size",
    },
    Row {
        differs: Differs::NoVersions,
        shown_by: &[RCLONE, S3S_FS],
        done: "nothing is marked as deleted, the owner is told that earlier versions are not kept, and what is current counts as the version `null`: it is restored and verified, no earlier moment is",
    },
    Row {
        differs: Differs::MarkersOfOneInstant,
        shown_by: &[RGW],
        done: "no marker is counted on by itself: a file is deleted when the newest entry of its key is a marker",
    },
    Row {
        differs: Differs::MarkerReadsAsMissing,
        shown_by: &[RGW],
        done: "either means that no file is there",
    },
    Row {
        differs: Differs::CopyIgnoresIfMatch,
        shown_by: &[RGW],
        done: "the source is named by its version id, and a copy counts when what it holds is proved",
    },
    Row {
        differs: Differs::CopyWithoutVersionId,
        shown_by: &[RGW],
        done: "the new version is asked for (HEAD)",
    },
    Row {
        differs: Differs::WriteWithoutVersionId,
        shown_by: &[SWIFT],
        done: "the new version is asked for (HEAD)",
    },
    Row {
        differs: Differs::PartCopyWantsLength,
        shown_by: &[RGW],
        done: "every request without a body says that its length is 0",
    },
    Row {
        differs: Differs::PartCopyCrashesOnPercent,
        shown_by: &[RGW],
        done: "such a key's escapes are made twice, which harms no server; one that finds nothing by that undoes them once",
    },
    Row {
        differs: Differs::CopyRefusesTagRule,
        shown_by: &[R2],
        done: "the copy is asked for again without it, and from then on always",
    },
    Row {
        differs: Differs::RefusesWithoutMessage,
        shown_by: &[RGW],
        done: "the code and the HTTP status stand in its place",
    },
    Row {
        differs: Differs::PartCopyStoresNothing,
        shown_by: &[RCLONE],
        done: "a copied part counts when its checksum is right; else the file is sent whole, and the server is not asked for a week",
    },
    Row {
        differs: Differs::CompletionWithoutETag,
        shown_by: &[RGW],
        done: "the ETag is asked for (HEAD)",
    },
    Row {
        differs: Differs::BeginsUnderAnotherRoot,
        shown_by: &[RCLONE],
        done: "the id of the upload is read from it all the same",
    },
    Row {
        differs: Differs::VersioningUnderAnotherRoot,
        shown_by: &[MOTO],
        done: "the state is read from it all the same",
    },
    Row {
        differs: Differs::NoWholeChecksums,
        shown_by: &[RGW, MOTO],
        done: "each part is proved by its own SHA-256",
    },
    Row {
        differs: Differs::IfMatchUnquoted,
        shown_by: &[RGW],
        done: "nothing is asked of If-Match that a wrong answer could break",
    },
    Row {
        differs: Differs::ConditionalPutUnsafe,
        shown_by: &[RCLONE, SWIFT, S3S_FS, GARAGE],
        done: "no PUT relies on a condition",
    },
    Row {
        differs: Differs::RangeOfVersionIgnored,
        shown_by: &[MINISTACK],
        done: "an answer that holds other bytes than it was asked for is refused",
    },
    Row {
        differs: Differs::ShorterKeys,
        shown_by: &[SWIFT],
        done: "all keys are made at most 1,006 bytes long: with versions Swift takes no longer ones",
    },
    Row {
        differs: Differs::FolderLosesSlash,
        shown_by: &[RCLONE],
        done: "an empty object that says it is a folder is one",
    },
    Row {
        differs: Differs::ListsOneOfTwins,
        shown_by: &[RCLONE],
        done: "nothing can be: both are stored, a restore finds the one that is listed",
    },
    Row {
        differs: Differs::AnsweredBySomethingElse,
        shown_by: &["captive portals", "proxies"],
        done: "an answer without the marks of S3 counts as an outage",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_has_one_row() {
        for (number, row) in TABLE.iter().enumerate() {
            assert_eq!(row.differs as usize, number, "{:?}", row.differs);
            assert!(!row.shown_by.is_empty() && !row.done.is_empty());
        }
        let last = Differs::AnsweredBySomethingElse as usize;
        assert_eq!(TABLE.len(), last + 1, "rows are as many as differences");
    }
}
