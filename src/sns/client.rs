//! Builds the SNS client: region, credentials, HTTP, time-outs, retries.
//!
//! It never holds a credential itself: `aws` looks for them when the first request
//! is made, not at start, and again when SNS refuses them.

use crate::aws::{CredentialSource, Https, Keys, KeysRefused};
use crate::types::Fatal;
use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sns::Client;
use aws_sdk_sns::config::{IdentityCache, Region};
use std::path::PathBuf;
use std::time::Duration;

/// Tries of one publish inside the SDK. The caller's outbox tries again later,
/// so the SDK only has to get over a dropped connection.
const ATTEMPTS_MAX: u32 = 3;

/// What is needed to reach a topic.
#[derive(Debug, Clone, Default)]
pub struct NoticeOptions {
    /// The topic: `arn:aws:sns:REGION:ACCOUNT:NAME`.
    pub topic_arn: String,
    /// A server other than AWS.
    pub endpoint_url: Option<String>,
    /// Leave `None`: the ARN's own region is right for every topic of AWS, and
    /// the bucket's region need not be the topic's.
    pub region: Option<String>,
    /// Profile of the AWS configuration files.
    pub profile: Option<String>,
    /// Take credentials from this file of profiles and from nowhere else;
    /// `None` asks the standard AWS chain.
    pub credentials_file: Option<PathBuf>,
    /// How long anything may take.
    pub timeouts: Timeouts,
}

/// How long a request may take. The SDK itself would wait for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect_ms: u64,
    /// One try, from signing to the whole answer.
    pub attempt_ms: u64,
    /// All tries together.
    pub operation_ms: u64,
}

impl Timeouts {
    /// A slow office line connects in a second; five leave room for a lost packet or two.
    pub const CONNECT_MS: u64 = 5_000;
    /// 256 KB at a meagre 256 kbit/s upload take 8 s.
    pub const ATTEMPT_MS: u64 = 20_000;
    /// Two whole tries and most of a third.
    pub const OPERATION_MS: u64 = 50_000;
}

// Who waits for keys is told why there are none.
const _: () = assert!(Keys::LOOK_MAX.as_millis() < Timeouts::ATTEMPT_MS as u128);

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_ms: Self::CONNECT_MS,
            attempt_ms: Self::ATTEMPT_MS,
            operation_ms: Self::OPERATION_MS,
        }
    }
}

/// The region that a topic's ARN names.
///
/// # Errors
/// A usage [`Fatal`] when it is not the ARN of a topic that can send e-mail.
pub(super) fn region_of(topic_arn: &str) -> Result<String, Fatal> {
    let refuse = |cause: &str| {
        Err(Fatal::usage(
            format!("use the SNS topic `{}`", topic_arn.escape_debug()),
            cause,
            "copy the topic's ARN from the AWS console; it looks like \
             arn:aws:sns:eu-central-1:111122223333:BackupNotifications",
        ))
    };
    let parts: Vec<&str> = topic_arn.split(':').collect();
    let ["arn", partition, "sns", region, account, name] = parts.as_slice() else {
        return refuse("it is not the ARN of an SNS topic");
    };
    if partition.is_empty() || region.is_empty() || account.is_empty() || name.is_empty() {
        return refuse("a part of the ARN is empty");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !parts.iter().all(|part| part.chars().all(plain)) {
        return refuse("the ARN has a character that no topic's ARN has");
    }
    if name.ends_with(".fifo") {
        return refuse("it is a FIFO topic, which cannot send e-mail; a standard topic can");
    }
    Ok((*region).to_owned())
}

/// An endpoint is a URL that says nothing secret: it is shown in errors.
pub(super) fn check_endpoint(endpoint_url: &str) -> Result<(), Fatal> {
    let rest = endpoint_url
        .strip_prefix("https://")
        .or_else(|| endpoint_url.strip_prefix("http://"));
    let cause = match rest {
        None => "it begins neither with https:// nor with http://",
        Some("") => "it names no server",
        // Not echoed: what stands before the @ is a password.
        Some(rest) if rest.contains('@') => "it holds a user name or password",
        Some(_) => return Ok(()),
    };
    Err(Fatal::usage(
        "use the endpoint_url of [notify]",
        cause,
        "write it like https://sns.example.com; credentials belong in the AWS \
         configuration files or the environment",
    ))
}

/// The client. Reads the AWS configuration files, but asks nobody for
/// credentials yet and sends nothing.
pub(super) async fn build(options: &NoticeOptions, region: String) -> Client {
    let http = Https::of(options.profile.as_deref()).await.client();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(options.timeouts.connect_ms))
        .operation_attempt_timeout(Duration::from_millis(options.timeouts.attempt_ms))
        .operation_timeout(Duration::from_millis(options.timeouts.operation_ms))
        .build();
    let region = Region::new(region);
    let profile = options.profile.clone();
    let from = match &options.credentials_file {
        None => CredentialSource::Chain { profile },
        Some(path) => CredentialSource::File {
            profile,
            path: path.clone(),
        },
    };
    let keys = Keys::new(from, Some(region.clone()), http.clone());
    // A region is given, so nothing probes the EC2 metadata service for one.
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .region(region)
        .no_credentials()
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX));
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &options.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let config = aws_sdk_sns::config::Builder::from(&loader.load().await)
        .credentials_provider(keys.clone())
        .identity_cache(IdentityCache::no_cache())
        .retry_classifier(KeysRefused(keys));
    Client::from_conf(config.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FatalKind;

    #[test]
    fn the_region_is_the_arns() {
        for (arn, expected) in [
            (
                "arn:aws:sns:eu-central-1:111122223333:Backup",
                "eu-central-1",
            ),
            ("arn:aws-us-gov:sns:us-gov-west-1:1:b_c-d", "us-gov-west-1"),
        ] {
            assert_eq!(region_of(arn).unwrap(), expected);
        }
        for (arn, why) in [
            ("", "not the ARN"),
            ("arn:aws:sqs:eu-central-1:1:q", "not the ARN"),
            ("arn:aws:sns:eu-central-1:1:t:sub", "not the ARN"),
            ("arn:aws:sns::1:t", "empty"),
            ("arn:aws:sns:eu-central-1:1:t\n", "character"),
            ("arn:aws:sns:eu-central-1:1:t.fifo", "FIFO"),
        ] {
            let fatal = region_of(arn).unwrap_err();
            assert_eq!(fatal.kind, FatalKind::Usage);
            assert!(fatal.cause.contains(why), "{arn}: {fatal}");
        }
    }

    #[test]
    fn an_endpoint_holds_no_password_and_none_is_repeated() {
        assert_eq!(check_endpoint("http://127.0.0.1:5000"), Ok(()));
        for bad in ["sns.example", "ftp://a", "https://", "https://u:geheim@a/"] {
            let fatal = check_endpoint(bad).unwrap_err();
            assert!(!fatal.to_string().contains("geheim"), "{fatal}");
        }
    }
}
