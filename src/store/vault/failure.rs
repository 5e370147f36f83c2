//! How the vault says no: S3's own codes, with words for the person who reads them.
//!
//! Must never carry a credential, nor a path outside the vault's folder.

use crate::error::Fatal;
use crate::platform::{self, Trouble};
use s3s::{S3Error, S3ErrorCode};
use std::io;
use std::path::Path;

/// The code for bytes that are not what was stored. Not one of S3's: no S3 has it.
const DAMAGED: &str = "DamagedObject";

/// An error of the disk, in S3's terms.
pub(super) fn disk(operation: &str, path: &Path, error: &io::Error) -> S3Error {
    use io::ErrorKind as Kind;
    let place = path.display();
    let mut said = match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => custom(
            "InsufficientStorage",
            http::StatusCode::INSUFFICIENT_STORAGE,
            format!("the disk that holds {place} is full: make room on it or use a larger one"),
        ),
        Kind::FileTooLarge => S3Error::with_message(
            S3ErrorCode::EntityTooLarge,
            format!(
                "the disk that holds {place} cannot store a file of this size (FAT32 ends at 4 GB): format it as exFAT, NTFS or ext4"
            ),
        ),
        Kind::ReadOnlyFilesystem => S3Error::with_message(
            S3ErrorCode::InternalError,
            format!("the disk that holds {place} is write-protected: cannot {operation} it"),
        ),
        _ => S3Error::with_message(
            S3ErrorCode::InternalError,
            format!("cannot {operation} {place}: {error}"),
        ),
    };
    said.set_source(Box::new(Cause(platform::trouble(error))));
    said
}

/// What the disk's error meant; kept within the S3 error, never sent.
#[derive(Debug)]
struct Cause(Trouble);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Cause {}

/// True when the disk does not take what is written to it, or fails: what lies
/// on it may be readable all the same.
pub(super) fn is_for_want_of_writing(error: &S3Error) -> bool {
    let cause = error
        .source()
        .and_then(|source| source.downcast_ref::<Cause>());
    matches!(
        cause,
        Some(Cause(
            Trouble::ReadOnly | Trouble::Denied | Trouble::Full | Trouble::Device | Trouble::Stale
        ))
    )
}

/// An error with a code that s3s does not know.
pub(super) fn custom(code: &'static str, status: http::StatusCode, message: String) -> S3Error {
    let code = S3ErrorCode::from_bytes(code.as_bytes()).unwrap_or(S3ErrorCode::InternalError);
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(status);
    error
}

/// The bytes on the disk are not those that were stored.
pub(super) fn damaged(message: String) -> S3Error {
    custom(DAMAGED, http::StatusCode::INTERNAL_SERVER_ERROR, message)
}

/// One of S3's own codes with a message.
pub(super) fn refuse(code: S3ErrorCode, message: impl Into<String>) -> S3Error {
    S3Error::with_message(code, message.into())
}

/// Another process writes to this vault.
pub(super) fn busy(root: &Path) -> S3Error {
    refuse(
        S3ErrorCode::ServiceUnavailable,
        format!(
            "another Keepwatch process is writing to the vault {}",
            root.display()
        ),
    )
}

/// What an error says, for a log.
pub(super) fn words(error: &S3Error) -> &str {
    error.message().unwrap_or_else(|| error.code().as_str())
}

/// A failure of one request becomes one of the whole process.
pub(super) fn fatal(operation: String, error: &S3Error) -> Fatal {
    Fatal::new(
        operation,
        words(error),
        "check that the disk is attached, writable and not full",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use io::ErrorKind as Kind;

    #[test]
    fn a_disks_trouble_is_named_with_its_remedy() {
        for (kind, status, code, words) in [
            (Kind::StorageFull, 507, "InsufficientStorage", "make room"),
            (Kind::QuotaExceeded, 507, "InsufficientStorage", "/v"),
            (Kind::FileTooLarge, 400, "EntityTooLarge", "FAT32"),
            (
                Kind::ReadOnlyFilesystem,
                500,
                "InternalError",
                "write-protected",
            ),
            (
                Kind::PermissionDenied,
                500,
                "InternalError",
                "cannot write /v",
            ),
        ] {
            let error = disk("write", Path::new("/v"), &kind.into());
            assert_eq!(error.status_code().map(|s| s.as_u16()), Some(status));
            assert_eq!(error.code().as_str(), code);
            assert!(error.message().unwrap().contains(words), "{error}");
        }
    }
}
