//! How long each kind of request may take, and how often the SDK tries it.

use crate::aws::Keys;
use crate::types::Rates;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use std::time::Duration;

/// Attempts per request within the SDK. Few, because the application requeues
/// for ever with its own backoff, and the SDK's shared retry quota runs dry
/// after about a hundred failed retries anyway.
pub(super) const SDK_ATTEMPTS_MAX: u32 = 3;

/// Opening a connection: slow office lines answer within this, dead ones do not.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One attempt of a request without a large body (HEAD, list, delete).
const SHORT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

// Who waits for keys is told why there are none.
const _: () = assert!(Keys::LOOK_MAX.as_millis() < SHORT_ATTEMPT_TIMEOUT.as_millis());

/// What every body-carrying attempt may take before its size is counted.
const TRANSFER_BASE_TIMEOUT: Duration = Duration::from_secs(60);

/// Uploads up to so many bytes, which an office saves most of the time, have a shorter
/// time-out: their bytes take no time, and S3 answers within a second.
const TINY_PUT_BYTES: u64 = 64 * 1024;

/// Attempts of such an upload, each within [`SHORT_ATTEMPT_TIMEOUT`]: an answer that never
/// comes holds a worker for a minute, not for six. Then the path is tried again, and
/// `backup::late` looks at what the server made of it.
const TINY_ATTEMPTS_MAX: u32 = 2;

/// Copying 5 GiB or joining 10,000 parts takes S3 minutes; a connection that
/// died meanwhile must not hold a worker for longer than this.
pub(super) const SERVER_WORK_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// The slowest line on which an upload still counts as moving: 16 KiB/s
/// (128 kbit/s), an order of magnitude under the slowest office uplink.
const SLOWEST_BYTES_PER_S: u64 = 16 * 1024;

/// Transfers that may share a limited line: four parts of each of 16 workers (the default),
/// and as many again for those who set more.
const TRANSFERS_MAX: u64 = 128;

/// A page of a list: 1,000 names of 100 bytes make up to two thirds of it.
const LIST_BYTES: u64 = 1024 * 1024;

/// Lists and downloads that may share a limited line: more than a restore's transfers, or a
/// scan of each of a dozen sources.
const LISTS_MAX: u64 = 16;

/// Uploads up to so many bytes share one time-out, that of the largest.
const SMALL_PUT_BYTES: u64 = 1024 * 1024;

/// Clients whose time-outs are set once, on the same connections.
#[derive(Clone)]
pub(super) struct Quick {
    /// Requests that carry no large body.
    pub(super) short: aws_sdk_s3::Client,
    /// Uploads up to [`SMALL_PUT_BYTES`].
    small_put: aws_sdk_s3::Client,
    /// Uploads up to [`TINY_PUT_BYTES`].
    tiny_put: aws_sdk_s3::Client,
}

impl Quick {
    pub(super) fn of(client: &aws_sdk_s3::Client) -> Self {
        let within = |limit, attempts| {
            let config = client.config().to_builder().timeout_config(attempt(limit));
            let retries = RetryConfig::standard().with_max_attempts(attempts);
            aws_sdk_s3::Client::from_conf(config.retry_config(retries).build())
        };
        let small = transfer_timeout(SMALL_PUT_BYTES, SLOWEST_BYTES_PER_S);
        Self {
            short: within(SHORT_ATTEMPT_TIMEOUT, SDK_ATTEMPTS_MAX),
            small_put: within(small, SDK_ATTEMPTS_MAX),
            tiny_put: within(SHORT_ATTEMPT_TIMEOUT, TINY_ATTEMPTS_MAX),
        }
    }

    /// The client for an upload of so many bytes; `None` when it is large or the line is
    /// limited.
    pub(super) fn put(&self, rates: Rates, bytes: u64) -> Option<&aws_sdk_s3::Client> {
        if rates.up.is_some() {
            return None;
        }
        if bytes <= TINY_PUT_BYTES {
            return Some(&self.tiny_put);
        }
        (bytes <= SMALL_PUT_BYTES).then_some(&self.small_put)
    }
}

/// Time-outs of a request that carries no large body.
pub(super) fn short_operation() -> aws_sdk_s3::config::Builder {
    with_attempt_timeout(SHORT_ATTEMPT_TIMEOUT)
}

/// The same for a request that the SDK must not send twice.
pub(super) fn once() -> aws_sdk_s3::config::Builder {
    short_operation().retry_config(RetryConfig::standard().with_max_attempts(1))
}

/// Time-outs of a request that makes the server work but carries no body: copies, and
/// joining thousands of parts.
pub(super) fn server_work() -> aws_sdk_s3::config::Builder {
    with_attempt_timeout(SERVER_WORK_TIMEOUT)
}

fn transfer_timeout(bytes: u64, slowest_bytes_per_s: u64) -> Duration {
    TRANSFER_BASE_TIMEOUT + Duration::from_secs(bytes / slowest_bytes_per_s.max(1))
}

fn with_attempt_timeout(limit: Duration) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder().timeout_config(attempt(limit))
}

fn attempt(limit: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(limit)
        .build()
}

/// Time-outs of a request that carries this many bytes to the server. On a limited line
/// each transfer has only its share.
pub(super) fn moving(rates: Rates, bytes: u64) -> aws_sdk_s3::config::Builder {
    let share = rates.up.map_or(u64::MAX, |rate| rate / TRANSFERS_MAX);
    with_attempt_timeout(transfer_timeout(bytes, SLOWEST_BYTES_PER_S.min(share)))
}

/// Time-outs of a request that a list answers. On a limited line even that takes its time.
pub(super) fn listing(rates: Rates) -> aws_sdk_s3::config::Builder {
    match rates.down {
        Some(rate) => {
            let slowest_bytes_per_s = SLOWEST_BYTES_PER_S.min(rate / LISTS_MAX);
            with_attempt_timeout(transfer_timeout(LIST_BYTES, slowest_bytes_per_s))
        }
        None => short_operation(),
    }
}
