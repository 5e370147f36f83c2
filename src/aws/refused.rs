//! Hears in each answer whether the server took the keys.

use super::keys::{Doubt, Keys};
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_types::retry::ErrorKind;

/// Codes that are about the key itself, of S3 and of SNS.
const ABOUT_KEYS: [&str; 13] = [
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "InvalidSecurity",
    "AuthFailure",
    "RequestExpired",
];

/// Puts keys in doubt that a server refuses, and has the request repeated when they are
/// looked up anew for that: a key that was replaced is no outage.
#[derive(Debug)]
pub struct KeysRefused(pub Keys);

impl ClassifyRetry for KeysRefused {
    fn classify_retry(&self, ctx: &InterceptorContext) -> RetryAction {
        let Some(response) = ctx.response() else {
            return RetryAction::NoActionIndicated;
        };
        let body = response.body().bytes().unwrap_or_default();
        let doubt = doubt(response.status().as_u16(), body);
        if doubt == Doubt::None {
            return RetryAction::NoActionIndicated;
        }
        // A denial with a code of its own is about a right, and no key brings that soon.
        let may_pass = doubt == Doubt::Refused || body.is_empty();
        let is_repeated = may_pass && self.0.may_look(doubt);
        self.0.doubt(doubt);
        match is_repeated {
            true => RetryAction::retryable_error(ErrorKind::ServerError),
            false => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "keys that the server refuses are read again"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

/// What an answer says of the keys.
fn doubt(status: u16, body: &[u8]) -> Doubt {
    // To a HEAD no code is sent: 400 is what an expired token gets.
    if !matches!(status, 400 | 401 | 403) {
        return Doubt::None;
    }
    let text = String::from_utf8_lossy(body);
    // XML and JSON alike name the code in a word of its own.
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let is_about_keys = words.any(|word| ABOUT_KEYS.iter().any(|code| word.starts_with(code)));
    match (is_about_keys, status) {
        (true, _) | (false, 401) => Doubt::Refused,
        (false, 403) => Doubt::Denied,
        (false, _) if body.is_empty() => Doubt::Denied,
        (false, _) => Doubt::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_refuses_the_keys_is_told_from_one_about_the_request() {
        for (status, body, want) in [
            (
                403,
                "<Error><Code>InvalidAccessKeyId</Code></Error>",
                Doubt::Refused,
            ),
            (400, "<Code>ExpiredToken</Code>", Doubt::Refused),
            (400, "<Code>ExpiredTokenException</Code>", Doubt::Refused),
            (403, "{\"__type\":\"InvalidClientTokenId\"}", Doubt::Refused),
            (401, "", Doubt::Refused),
            (403, "<Code>AccessDenied</Code>", Doubt::Denied),
            (403, "", Doubt::Denied),
            (400, "", Doubt::Denied),
            (400, "<Code>InvalidRequest</Code>", Doubt::None),
            (404, "<Code>InvalidToken</Code>", Doubt::None),
            (200, "", Doubt::None),
            (503, "", Doubt::None),
        ] {
            assert_eq!(doubt(status, body.as_bytes()), want, "{status} {body}");
        }
    }
}
