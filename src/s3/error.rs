//! Turns an error of the SDK into a [`Fault`] with a class and a remedy.

use super::marks::NotTheServer;
use super::{marks, response_limit, xml};
use crate::aws::{Explained, hide_keys};
use crate::types::{Class, Fault, FaultDetail, Operation, chain, clean, command};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use keepwatch_vault::{IN_USE, NOT_THERE};

/// The bytes are in cold storage (S3 API, GetObject and RestoreObject).
pub(super) const IN_ARCHIVE: &str = "InvalidObjectState";

/// So are those that were to be copied (S3 API, CopyObject).
const SOURCE_IN_ARCHIVE: &str = "ObjectNotInActiveTierError";

/// True for the codes by which S3 says so.
pub(super) fn is_archive_code(code: Option<&str>) -> bool {
    matches!(code, Some(IN_ARCHIVE | SOURCE_IN_ARCHIVE))
}

/// Classify an SDK error. `operation` is a verb that takes `subject`.
pub(super) fn from_sdk<E>(
    operation: Operation,
    subject: &str,
    error: SdkError<E, HttpResponse>,
) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let Some(other) = NotTheServer::among(&error) {
        let cause = clean(&other.to_string());
        return Fault::new(Class::Transient, operation, subject, cause).hint(marks::HINT);
    }
    if let Some(told) = Explained::among(&error) {
        let fault = Fault::new(told.class, operation, subject, clean(&told.cause));
        return fault.hint(&told.hint);
    }
    let status = error.raw_response().map(|r| r.status().as_u16());
    let code = error.code().unwrap_or_default().to_owned();
    let detail = match &error {
        SdkError::ServiceError(_) => {
            let header = error
                .raw_response()
                .and_then(|r| r.headers().get(keepwatch_vault::MESSAGE_HEADER));
            what_it_said(&code, error.message().or(header), status)
        }
        SdkError::TimeoutError(_) => {
            "the server took longer to answer than the request may take".to_owned()
        }
        _ => chain(&error),
    };
    let class = match &error {
        SdkError::ServiceError(_) if is_want_of_room(&code, error.message(), status) => Class::Full,
        SdkError::ServiceError(_) => of_answer(&code, status.unwrap_or(0)),
        error if response_limit::is_too_large(error) => Class::Refused,
        SdkError::ConstructionFailure(_) => Class::Refused,
        _ => Class::Transient,
    };
    let hint = match class {
        Class::Denied if is_about_kms(&code, &detail) => KMS.to_owned(),
        Class::Denied if is_about_account(&code) => ACCOUNT.to_owned(),
        Class::Denied => permission(&operation),
        _ if is_elsewhere(&code, status.unwrap_or(0)) => {
            elsewhere(error.raw_response().and_then(region_of).as_deref())
        }
        _ => remedy(class, &code),
    };
    // The server's own words: they must neither forge lines nor fill a log.
    let fault = Fault::new(class, operation, subject, clean(&hide_keys(&detail))).hint(hint);
    let fault = match (class, code.as_str()) {
        (Class::Refused, IN_ARCHIVE | SOURCE_IN_ARCHIVE) => fault.detail(FaultDetail::ColdStorage),
        (_, IN_USE) => fault.detail(FaultDetail::VaultInUse),
        _ => fault,
    };
    match &error {
        SdkError::ServiceError(_) => fault.with_source(Refusal {
            code: clean(&hide_keys(&code)),
            status,
        }),
        _ => fault,
    }
}

/// A server's refusal by its code, as the source of a [`Fault`]: the SDK's own error holds
/// the whole answer, which may repeat the request's keys.
#[derive(Debug, thiserror::Error)]
#[error("{}", what_it_said(.code, None, *.status))]
struct Refusal {
    code: String,
    status: Option<u16>,
}

/// A server's refusal in words. Many send no message, or an empty one (Ceph RGW
/// always does).
fn what_it_said(code: &str, message: Option<&str>, status: Option<u16>) -> String {
    let status = status.map_or_else(|| "no HTTP status".to_owned(), |s| format!("HTTP {s}"));
    let message = message.map(str::trim).filter(|message| !message.is_empty());
    match (code.trim(), message) {
        ("", Some(message)) => format!("{message} ({status})"),
        (code, Some(message)) => format!("{message} ({code})"),
        ("", None) => format!("the server answered {status}"),
        (code, None) => format!("the server answered {code} ({status})"),
    }
}

/// The same for a request that some servers do not know: their 501 is no outage but a final
/// answer.
pub(super) fn from_sdk_unless_unknown<E>(
    operation: Operation,
    subject: &str,
    error: SdkError<E, HttpResponse>,
) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|r| r.status().as_u16());
    let fault = from_sdk(operation, subject, error);
    match status {
        Some(501) => Fault {
            class: Class::Refused,
            ..fault
        }
        .hint(remedy(Class::Refused, "")),
        _ => fault,
    }
}

/// What to do about a bucket's encryption key. Its rights are the key's, not the bucket's.
const KMS: &str = "allow kms:GenerateDataKey and kms:Decrypt on the bucket's encryption key (KMS) to this access key, in its IAM policy and in the key's own, and see that the key is enabled; s3:PutObject alone is not enough";

/// What to do when no right to the key is missing.
const ACCOUNT: &str = "the account that this access key belongs to is closed or suspended: whoever runs the server (at AWS: the billing page) says why; Keepwatch goes on by itself when it is open again";

/// True when the server refuses the whole account, whatever its policies allow (AWS, and
/// Ceph RGW's `UserSuspended`).
fn is_about_account(code: &str) -> bool {
    matches!(
        code,
        "AccountProblem" | "AllAccessDisabled" | "UserSuspended" | "NotSignedUp"
    )
}

/// True when the key service refused S3, which says so by a code of KMS or in the text.
fn is_about_kms(code: &str, detail: &str) -> bool {
    code.starts_with("KMS") || detail.contains("kms:") || detail.contains(":kms")
}

/// The class of the key service's own codes, which servers write as
/// `KMS.NotFoundException`.
fn of_kms(code: &str) -> Class {
    let has = |word: &str| code.contains(word);
    if has("Throttl") || has("LimitExceeded") {
        Class::SlowDown
    } else if has("Internal") || has("Unavailable") || has("Timeout") {
        Class::Transient
    } else {
        Class::Denied
    }
}

/// The bucket is in another region. To a HEAD no code is sent.
fn is_elsewhere(code: &str, status: u16) -> bool {
    matches!(
        code,
        "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed"
    ) || matches!(status, 301 | 307)
}

fn elsewhere(region: Option<&str>) -> String {
    match region {
        Some(region) => format!(
            "the bucket is in the region {region}: write `region = \"{region}\"` under [s3]"
        ),
        None => {
            "the bucket is in another region: set `region` under [s3] to the bucket's".to_owned()
        }
    }
}

/// The region that an answer says the bucket is in: in a header, in the text, or in the
/// address that it leads to.
fn region_of(response: &HttpResponse) -> Option<String> {
    let body = response.body().bytes().unwrap_or_default();
    let header = response.headers().get("x-amz-bucket-region");
    let of_address = || {
        let address = xml::text_of(body, "Endpoint")?;
        let (_, behind) = address.rsplit_once(".s3")?;
        let region = behind.trim_start_matches(['.', '-']).split('.').next()?;
        Some(region.to_owned())
    };
    let found = header
        .map(str::to_owned)
        .or_else(|| xml::text_of(body, "Region"))
        .or_else(of_address)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_region = (1..=63).contains(&found.len()) && found.chars().all(plain);
    (is_region && found != "amazonaws").then_some(found)
}

/// What to allow so that the operation works: servers mostly do not say.
fn permission(operation: &Operation) -> String {
    let actions = match operation {
        Operation::List => "s3:ListBucket",
        Operation::ListVersions => "s3:ListBucketVersions",
        Operation::ListUploads => "s3:ListBucketMultipartUploads",
        Operation::ListBuckets => "s3:ListAllMyBuckets",
        Operation::ReadVersioning => "s3:GetBucketVersioning",
        Operation::LookUp | Operation::Download => "s3:GetObject and s3:GetObjectVersion",
        Operation::MarkDeleted => "s3:DeleteObject",
        Operation::ListParts => "s3:ListMultipartUploadParts",
        Operation::AbortUpload => "s3:AbortMultipartUpload",
        Operation::Thaw => "s3:RestoreObject",
        Operation::Copy | Operation::CopyPart => {
            "s3:PutObject, s3:GetObject and s3:GetObjectVersion"
        }
        _ => "s3:PutObject",
    };
    format!(
        "allow {actions} to this access key (docs/OPERATIONS.md, section \"What Keepwatch may do\", has the whole policy); if it is allowed, look for a rule of the bucket that denies it"
    )
}

/// True when the destination has no room for what it was sent: a disk (507, the
/// vault's and MinIO's) or a quota. Servers have no code in common for a quota
/// (Ceph RGW has `QuotaExceeded` with 403, MinIO a code of its own with 400), and
/// some say it in the message of a denial alone (Backblaze B2's caps).
fn is_want_of_room(code: &str, message: Option<&str>, status: Option<u16>) -> bool {
    let code = code.to_ascii_lowercase();
    let message = message.unwrap_or_default().to_ascii_lowercase();
    // AWS names the resource and the user that a policy denies, and these may be called
    // anything.
    let is_policy = message.contains("is not authorized to perform");
    let is_refusal = status.is_some_and(|status| (400..500).contains(&status) && status != 404);
    status == Some(507)
        || code.contains("quotaexceeded")
        || code.ends_with("storagefull")
        || is_refusal
            && !is_policy
            && ["quota", "cap exceeded"]
                .iter()
                .any(|w| message.contains(w))
}

/// The class of a server's answer.
fn of_answer(code: &str, status: u16) -> Class {
    match code {
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "InvalidToken"
        | "TokenRefreshRequired"
        | "InvalidClientTokenId"
        | "RequestTimeTooSkewed"
        | "AuthorizationHeaderMalformed"
        | "ExpiredTokenException" => Class::Credentials,
        "AccessDenied" | "Forbidden" => Class::Denied,
        code if is_about_account(code) => Class::Denied,
        "NoSuchBucket"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException" => Class::NoBucket,
        "NoSuchKey" | "NoSuchVersion" | "NoSuchUpload" | "NotFound" => Class::NotFound,
        "SlowDown"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests"
        | "RequestLimitExceeded" => Class::SlowDown,
        // HTTP says 403, but it is no matter of permissions.
        IN_ARCHIVE | SOURCE_IN_ARCHIVE => Class::Refused,
        // A body that arrived damaged is sent again; so is one that was cut off.
        "RequestTimeout"
        | "InternalError"
        | "BadDigest"
        | "IncompleteBody"
        | "XAmzContentSHA256Mismatch"
        | "OperationAborted"
        | "ServiceUnavailable" => Class::Transient,
        code if code.starts_with("KMS") => of_kms(code),
        // The vault's own: bytes that are not the ones stored.
        "DamagedObject" => Class::Damaged,
        _ => match status {
            301 | 307 => Class::NoBucket,
            401 => Class::Credentials,
            403 => Class::Denied,
            404 => Class::NotFound,
            408 | 500..=599 => Class::Transient,
            429 => Class::SlowDown,
            _ => Class::Refused,
        },
    }
}

fn remedy(class: Class, code: &str) -> String {
    let check = || command::with_configuration("check");
    let text = match (class, code) {
        (_, "RequestTimeTooSkewed") => "set this computer's clock: it is too far from the server's",
        (_, "ExpiredToken" | "ExpiredTokenException") => {
            "the credentials have expired: renew them (for single sign-on: `aws sso login`)"
        }
        (Class::Credentials, _) => {
            return format!(
                "check the access key: `{}` tests it; AWS credentials belong into ~/.aws/credentials or the environment of the account that runs Keepwatch",
                check()
            );
        }
        (Class::NoBucket, _) => {
            return format!(
                "correct the bucket's name (`bucket` in the configuration, or after --bucket), or create the bucket; `{}` tests it",
                check()
            );
        }
        (_, IN_USE) => {
            "one Keepwatch at a time writes to a vault: end the other one, or give this one a vault of its own"
        }
        (_, NOT_THERE) => {
            "connect and mount the disk that it is on; Keepwatch goes on by itself then"
        }
        // The vault's: a disk has no lifecycle rules.
        (Class::Full, "InsufficientStorage") => {
            "make room on the disk of the copies, or use a larger one; Keepwatch goes on by itself then"
        }
        (Class::Full, _) => {
            "make room at the destination: a larger disk, a higher quota, or a lifecycle rule of the bucket that removes old versions; Keepwatch goes on by itself then"
        }
        (Class::Refused, IN_ARCHIVE | SOURCE_IN_ARCHIVE) => {
            "the version is in cold storage (Glacier): `restore` with --thaw has it thawed, which takes hours; run it again then"
        }
        (Class::Refused, _) => {
            return format!(
                "the server does not accept this request; run `{}` and show this line to your technician",
                check()
            );
        }
        (Class::Damaged, _) => {
            "the copy was changed or damaged on the vault's disk: restore another version with --at, and check the disk"
        }
        (Class::Transient | Class::SlowDown, _) => "Keepwatch tries again by itself",
        _ => "",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::xml;
    use aws_sdk_s3::error::ErrorMetadata;
    use aws_sdk_s3::operation::get_object::GetObjectError;
    use aws_smithy_types::body::SdkBody;

    #[test]
    fn a_refusal_always_says_something() {
        for (code, message, status, want) in [
            (
                "MissingContentLength",
                Some(""),
                Some(411),
                "the server answered MissingContentLength (HTTP 411)",
            ),
            (
                "NoSuchKey",
                Some(" \n"),
                Some(404),
                "the server answered NoSuchKey (HTTP 404)",
            ),
            ("", None, Some(411), "the server answered HTTP 411"),
            ("", Some(""), None, "the server answered no HTTP status"),
            ("SlowDown", Some("wait"), Some(503), "wait (SlowDown)"),
            ("", Some("no"), Some(400), "no (HTTP 400)"),
        ] {
            assert_eq!(what_it_said(code, message, status), want);
        }
    }

    #[test]
    fn answers_and_their_classes() {
        for (code, status, want) in [
            ("InvalidAccessKeyId", 403, Class::Credentials),
            ("SignatureDoesNotMatch", 403, Class::Credentials),
            ("AccessDenied", 403, Class::Denied),
            ("", 403, Class::Denied),
            ("NoSuchBucket", 404, Class::NoBucket),
            ("", 404, Class::NotFound),
            ("SlowDown", 503, Class::SlowDown),
            ("", 503, Class::Transient),
            ("", 429, Class::SlowDown),
            ("BadDigest", 400, Class::Transient),
            ("NotImplemented", 501, Class::Transient),
            ("InvalidRequest", 400, Class::Refused),
            ("InvalidObjectState", 403, Class::Refused),
            ("ObjectNotInActiveTierError", 403, Class::Refused),
            ("DamagedObject", 500, Class::Damaged),
            ("TemporaryRedirect", 307, Class::NoBucket),
            ("", 301, Class::NoBucket),
            ("KMS.DisabledException", 400, Class::Denied),
            ("KMS.NotFoundException", 400, Class::Denied),
            ("KMSInvalidStateException", 400, Class::Denied),
            ("KMS.ThrottlingException", 400, Class::SlowDown),
            ("KMS.InternalException", 500, Class::Transient),
        ] {
            assert_eq!(of_answer(code, status), want, "{code} {status}");
        }
    }

    fn answered(status: u16, header: Option<&'static str>, body: &'static str) -> Fault {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if let Some(region) = header {
            response.headers_mut().insert("x-amz-bucket-region", region);
        }
        let code = xml::text_of(body.as_bytes(), "Code");
        let message = xml::text_of(body.as_bytes(), "Message");
        let mut meta = ErrorMetadata::builder();
        if let Some(code) = code {
            meta = meta.code(code);
        }
        if let Some(message) = message {
            meta = meta.message(message);
        }
        let error = GetObjectError::generic(meta.build());
        from_sdk(
            Operation::Upload,
            "b/k",
            SdkError::service_error(error, response),
        )
    }

    /// Named after the bug: a full vault counted as an outage that passes by itself,
    /// and a quota as a missing permission.
    #[test]
    fn no_room_is_neither_an_outage_nor_a_permission() {
        for (code, message, status, want) in [
            ("InsufficientStorage", "the disk is full", 507, true),
            ("", "", 507, true),
            ("XMinioStorageFull", "", 507, true),
            ("QuotaExceeded", "", 403, true),
            ("XMinioAdminBucketQuotaExceeded", "", 400, true),
            ("AccessDenied", "Storage cap exceeded, see Caps", 403, true),
            ("EntityTooLarge", "Upload exceeds quota.", 413, true),
            ("AccessDenied", "Access Denied", 403, false),
            ("NoSuchKey", "no such key: quota.xlsx", 404, false),
            (
                "AccessDenied",
                "User: arn:aws:iam::1:user/a is not authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/Sales quota 2026.xlsx\"",
                403,
                false,
            ),
            ("InternalError", "quota service is away", 500, false),
            ("EntityTooLarge", "", 400, false),
        ] {
            let got = is_want_of_room(code, Some(message), Some(status));
            assert_eq!(got, want, "{code} {message} {status}");
        }
        assert!(remedy(Class::Full, "").contains("lifecycle rule"));
        // Named after the bug: the owner of a full disk was sent to the rules of a bucket.
        let of_disk = remedy(Class::Full, "InsufficientStorage");
        assert!(
            of_disk.contains("disk") && !of_disk.contains("rule"),
            "{of_disk}"
        );
    }

    /// Wherever a server says it, and whether it moved for good or is new.
    #[test]
    fn a_bucket_in_another_region_is_told_with_that_region() {
        for (status, header, body) in [
            (301, Some("eu-north-1"), ""),
            (
                307,
                None,
                "<Error><Code>TemporaryRedirect</Code><Endpoint>b.s3.eu-north-1.amazonaws.com</Endpoint></Error>",
            ),
            (
                307,
                None,
                "<Error><Code>TemporaryRedirect</Code><Endpoint>b.s3-eu-north-1.amazonaws.com</Endpoint></Error>",
            ),
            (
                400,
                None,
                "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-north-1</Region></Error>",
            ),
            (
                301,
                None,
                "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.amazonaws.com</Endpoint></Error>",
            ),
        ] {
            let fault = answered(status, header, body);
            let names_it = fault.hint.contains("region = \"eu-north-1\"");
            assert_eq!(names_it, !body.contains("s3.amazonaws"), "{fault}");
            assert!(fault.hint.contains("under [s3]"), "{fault}");
            assert!(!fault.class.is_transient(), "{fault}");
        }
    }

    #[test]
    fn a_refusal_of_the_key_service_or_of_the_account_is_none_of_the_bucket() {
        for body in [
            "<Error><Code>AccessDenied</Code><Message>User: x is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:eu-central-1:1:key/2</Message></Error>",
            "<Error><Code>KMS.DisabledException</Code><Message>it is disabled</Message></Error>",
        ] {
            let fault = answered(403, None, body);
            assert_eq!(fault.class, Class::Denied, "{fault}");
            assert!(fault.hint.contains("kms:GenerateDataKey"), "{fault}");
        }
        for body in [
            "<Error><Code>UserSuspended</Code></Error>",
            "<Error><Code>AllAccessDisabled</Code></Error>",
            "<Error><Code>AccountProblem</Code></Error>",
        ] {
            let closed = answered(403, None, body);
            assert_eq!(closed.class, Class::Denied, "{closed}");
            assert!(closed.hint.contains("closed or suspended"), "{closed}");
        }
        let plain = answered(403, None, "<Error><Code>AccessDenied</Code></Error>");
        assert!(plain.hint.contains("s3:PutObject "), "{plain}");
    }

    #[test]
    fn a_denial_names_the_permission() {
        for (operation, action) in [
            (Operation::Upload, "s3:PutObject "),
            (Operation::CompleteUpload, "s3:PutObject "),
            (Operation::List, "s3:ListBucket "),
            (Operation::MarkDeleted, "s3:DeleteObject "),
        ] {
            let hint = permission(&operation);
            assert!(hint.contains(action), "{hint}");
            assert!(hint.contains("What Keepwatch may do"), "{hint}");
        }
    }

    #[test]
    fn whatever_needs_a_person_says_what_to_do() {
        for class in [Class::Credentials, Class::NoBucket, Class::Refused] {
            assert!(!remedy(class, "").is_empty(), "{class:?}");
        }
    }
}
