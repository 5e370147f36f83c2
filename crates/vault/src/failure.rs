//! How the vault says no: S3's own codes, with words for the person who reads them.
//!
//! Must never carry a credential, nor a path outside the vault's folder.

use super::error::VaultError;
use super::headers::MESSAGE_HEADER;
use super::os;
use http::{HeaderMap, HeaderValue};
use s3s::{S3Error, S3ErrorCode};
use std::io;
use std::path::Path;

/// The code for bytes that are not what was stored. Not one of S3's: no S3 has it.
const DAMAGED: &str = "DamagedObject";

/// The code where another process writes to this vault. Not one of S3's: no S3 has it.
pub const IN_USE: &str = "VaultInUse";

/// The code where the vault's folder is gone: its disk, most likely. Not one of S3's.
pub const NOT_THERE: &str = "VaultNotThere";

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
    if os::is_refusal_to_write(error) {
        said.set_source(Box::new(RefusesWriting));
    }
    said
}

/// The disk takes no writing, or fails; kept within the S3 error, never sent.
#[derive(Debug)]
struct RefusesWriting;

impl std::fmt::Display for RefusesWriting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the disk does not take what is written to it")
    }
}

impl std::error::Error for RefusesWriting {}

/// True when the disk takes no writing, or fails: what is on it may still be readable.
pub(super) fn is_for_want_of_writing(error: &S3Error) -> bool {
    error
        .source()
        .is_some_and(|source| source.is::<RefusesWriting>())
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
    custom(
        IN_USE,
        http::StatusCode::SERVICE_UNAVAILABLE,
        format!(
            "another Keepwatch process is writing to the vault {}",
            root.display()
        ),
    )
}

/// True when another process writes to this vault.
pub(super) fn is_busy(error: &S3Error) -> bool {
    error.code().as_str() == IN_USE
}

/// The vault's folder is gone.
pub(super) fn not_there(root: &Path) -> S3Error {
    custom(
        NOT_THERE,
        http::StatusCode::SERVICE_UNAVAILABLE,
        format!(
            "the vault {} is not there: is its disk attached?",
            root.display()
        ),
    )
}

/// What an error says, for a log.
pub(super) fn words(error: &S3Error) -> &str {
    error.message().unwrap_or_else(|| error.code().as_str())
}

/// Put the message into a header: an answer to HEAD has no body, and no owner would guess
/// that the disk is not attached.
pub(super) fn with_message_header(mut error: S3Error) -> S3Error {
    let is_of_server = error
        .status_code()
        .is_none_or(|status| status.is_server_error());
    if is_of_server && let Ok(message) = HeaderValue::try_from(words(&error)) {
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE_HEADER, message);
        error.set_headers(headers);
    }
    error
}

/// A failure of one request becomes one of the whole vault.
pub(super) fn of_vault(root: &Path, operation: String, error: &S3Error) -> VaultError {
    VaultError {
        path: root.to_owned(),
        operation,
        cause: words(error).to_owned(),
        hint: match is_busy(error) {
            true => "one Keepwatch at a time writes to a vault: end the other one, or give this one a vault of its own",
            false => "check that the disk is attached, writable and not full",
        }
        .to_owned(),
        is_misuse: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use io::ErrorKind as Kind;

    /// Named after the bug: where another process had the vault, the disk was to be checked.
    #[test]
    fn a_vault_in_use_names_the_other_process() {
        let hint = |error| of_vault(Path::new("/v"), "make the bucket b".to_owned(), &error).hint;
        assert!(hint(busy(Path::new("/v"))).contains("end the other one"));
        assert!(hint(not_there(Path::new("/v"))).contains("disk is attached"));
    }

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
