//! What an SNS error means: its class, its cause and what to do about it.
//!
//! It never repeats what could identify a key: some servers quote the request
//! they refuse, access key and signature included.

use crate::aws::{Explained, hide_keys};
use crate::types::{Class, Fault, chain};
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::error::Error as StdError;

/// No explanation of a server's is longer; a page of something else may be.
const ELEMENT_CHARS_MAX: usize = 500;

/// Where a request went, for hints.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub topic_arn: String,
    pub endpoint_url: Option<String>,
    pub profile: Option<String>,
    /// The region asked, when it is not the ARN's own.
    pub foreign_region: Option<String>,
}

/// An SDK error as a fault about the topic. `action` is the IAM action.
pub(super) fn of<E>(
    error: &SdkError<E, HttpResponse>,
    operation: &str,
    action: &str,
    target: &Target,
) -> Fault
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    if let Some(told) = Explained::among(error) {
        let fault = Fault::new(told.class, operation, &target.topic_arn, &told.cause);
        return fault.hint(&told.hint);
    }
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let (class, cause, about) = match error {
        SdkError::ServiceError(service) => {
            let meta = service.err();
            let body = service.raw().body().bytes().unwrap_or_default();
            let found = |known: Option<&str>, name| {
                known.map(str::to_owned).or_else(|| element(body, name))
            };
            let code = found(meta.code(), "Code");
            let class = classify(code.as_deref(), status);
            let answer = match (code, found(meta.message(), "Message"), status) {
                (Some(code), Some(message), _) => format!("{code}: {message}"),
                (Some(only), None, _) | (None, Some(only), _) => only,
                (None, None, Some(status)) => format!("HTTP status {status}"),
                (None, None, None) => "nothing that can be understood".to_owned(),
            };
            let about = About::of(&answer);
            (class, format!("the server says {answer}"), about)
        }
        SdkError::TimeoutError(_) => (
            Class::Transient,
            "the server took longer to answer than the request may take".to_owned(),
            About::default(),
        ),
        other => {
            let cause = chain(other);
            let about = About::of(&cause);
            (classify(None, status), cause, about)
        }
    };
    Fault::new(class, operation, &target.topic_arn, hide_keys(&cause))
        .hint(hint(class, about, action, target))
}

/// What a refusal is about besides the topic. Servers have no codes of their own for
/// either: what they write is looked through once, where it arrives.
#[derive(Debug, Clone, Copy, Default)]
struct About {
    /// The time of the request.
    clock: bool,
    /// The topic's encryption key.
    kms: bool,
}

impl About {
    fn of(answer: &str) -> Self {
        let has = |word| answer.contains(word);
        Self {
            clock: has("expired") || has("Skewed"),
            kms: has("KMS") || has("kms:"),
        }
    }
}

/// The text of the first such element of an error page. SNS look-alikes wrap
/// code and message in elements of their own, which the SDK does not look into.
fn element(body: &[u8], name: &str) -> Option<String> {
    let page = std::str::from_utf8(body).ok()?;
    let (_, rest) = page.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let text: String = text.trim().chars().take(ELEMENT_CHARS_MAX).collect();
    (!text.is_empty()).then_some(text)
}

/// SNS's error codes, AWS's common ones and, for servers that know neither,
/// the HTTP status.
fn classify(code: Option<&str>, status: Option<u16>) -> Class {
    match code.unwrap_or_default() {
        "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "InvalidSignatureException"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "InvalidSecurity"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "AuthFailure"
        | "NotSignedUp"
        | "OptInRequired" => Class::Credentials,
        "AuthorizationError"
        | "AuthorizationErrorException"
        | "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation" => Class::Denied,
        "NotFound" | "NotFoundException" | "ResourceNotFoundException" => Class::NotFound,
        "Throttled"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestLimitExceeded"
        | "KMSThrottling"
        | "SlowDown" => Class::SlowDown,
        // Nothing is wrong with the message: the topic's key may not be used.
        code if code.starts_with("KMS") && code != "KMSThrottling" => Class::Denied,
        "InternalError" | "InternalFailure" | "ServiceUnavailable" | "RequestTimeout" => {
            Class::Transient
        }
        "InvalidParameter"
        | "InvalidParameterValue"
        | "ParameterValueInvalid"
        | "ValidationError"
        | "ValidationException" => Class::Refused,
        _ => match status {
            Some(401) => Class::Credentials,
            Some(403) => Class::Denied,
            Some(404) => Class::NotFound,
            Some(429) => Class::SlowDown,
            Some(408) => Class::Transient,
            Some(400..=499 | 501) => Class::Refused,
            // No answer, a broken one, or a server in trouble.
            _ => Class::Transient,
        },
    }
}

fn hint(class: Class, about: About, action: &str, target: &Target) -> String {
    let topic = &target.topic_arn;
    match class {
        Class::Credentials => {
            let keys = match &target.profile {
                Some(profile) => format!("the AWS profile `{profile}`"),
                None => "the AWS credentials (environment, or the file ~/.aws/credentials of \
                         the account that runs Keepwatch)"
                    .to_owned(),
            };
            let clock = match about.clock {
                true => "; set this computer's clock if it is wrong",
                false => "",
            };
            format!("check {keys}: a key must be there, valid and not expired{clock}")
        }
        Class::Denied if about.kms => format!(
            "allow kms:GenerateDataKey and kms:Decrypt on the encryption key (KMS) of the topic \
             {topic} to Keepwatch's user, in its IAM policy and in the key's own, and see that \
             the key is enabled"
        ),
        Class::Denied => format!(
            "allow the action {action} on {topic} in the IAM policy of Keepwatch's user (and do \
             not deny it in the topic's own policy)"
        ),
        Class::NotFound => format!(
            "create the SNS topic {topic}, or correct topic_arn under [notify] in the configuration"
        ),
        Class::Refused => match &target.foreign_region {
            Some(region) => format!(
                "the request went to the region {region}; ask the topic's own region instead"
            ),
            None => format!("check the topic {topic} and its encryption key in the AWS console"),
        },
        Class::Transient => match &target.endpoint_url {
            Some(url) => format!("if it lasts, check that {url} can be reached from here"),
            None => "if it lasts, check this computer's internet connection".to_owned(),
        },
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            topic_arn: "arn:aws:sns:eu-central-1:1:t".to_owned(),
            endpoint_url: None,
            profile: Some("backup".to_owned()),
            foreign_region: None,
        }
    }

    #[test]
    fn codes_and_statuses_have_their_classes() {
        for (code, status, expected) in [
            ("InvalidClientTokenId", 403, Class::Credentials),
            ("SignatureDoesNotMatch", 403, Class::Credentials),
            ("ExpiredToken", 403, Class::Credentials),
            ("AuthorizationError", 403, Class::Denied),
            ("AccessDenied", 403, Class::Denied),
            ("KMSAccessDenied", 400, Class::Denied),
            ("NotFound", 404, Class::NotFound),
            ("Throttling", 400, Class::SlowDown),
            ("InternalError", 500, Class::Transient),
            ("InvalidParameter", 400, Class::Refused),
            ("EndpointDisabled", 400, Class::Refused),
            ("SomethingNew", 503, Class::Transient),
            ("", 401, Class::Credentials),
            ("", 403, Class::Denied),
            ("", 429, Class::SlowDown),
            ("", 501, Class::Refused),
            ("", 302, Class::Transient),
        ] {
            let code = (!code.is_empty()).then_some(code);
            assert_eq!(classify(code, Some(status)), expected, "{code:?} {status}");
        }
        assert_eq!(classify(None, None), Class::Transient);
    }

    #[test]
    fn hints_name_what_is_to_be_changed() {
        let say = |class, cause| hint(class, About::of(cause), "sns:Publish", &target());
        for (class, cause, needles) in [
            (
                Class::Denied,
                "",
                vec!["sns:Publish", "arn:aws:sns:eu-central-1:1:t"],
            ),
            (
                Class::NotFound,
                "",
                vec!["topic_arn", "arn:aws:sns:eu-central-1:1:t"],
            ),
            (Class::Credentials, "", vec!["`backup`"]),
            (Class::Credentials, "Signature expired", vec!["clock"]),
            (Class::Refused, "", vec!["arn:aws:sns:eu-central-1:1:t"]),
            (Class::Transient, "", vec!["connection"]),
        ] {
            for needle in needles {
                assert!(say(class, cause).contains(needle), "{class:?}: {needle}");
            }
        }
        assert!(!say(Class::Credentials, "").contains("clock"));
    }

    #[test]
    fn codes_are_found_wherever_a_server_puts_them() {
        let page =
            b"<ErrorResponse><Errors><Error><Code>AccessDenied</Code><Message> no </Message>";
        assert_eq!(element(page, "Code").as_deref(), Some("AccessDenied"));
        assert_eq!(element(page, "Message").as_deref(), Some("no"));
        for page in [
            &b""[..],
            b"<Code>",
            b"</Code><Code>",
            b"<Code></Code>",
            b"\xff<Code>a</Code>",
        ] {
            assert_eq!(element(page, "Code"), None);
        }
        let long = format!("<Code>{}</Code>", "x".repeat(10_000));
        assert_eq!(
            element(long.as_bytes(), "Code").unwrap().len(),
            ELEMENT_CHARS_MAX
        );
    }
}
