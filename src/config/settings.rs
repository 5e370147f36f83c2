//! The validated configuration.

use std::path::PathBuf;

/// A configuration that has passed every check. Paths are absolute.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from; `None` when made by `try`.
    pub file: Option<PathBuf>,
    /// Where the copies go.
    pub store: StoreConfig,
    /// The folders that are watched, at least one.
    pub sources: Vec<SourceConfig>,
    /// Digest and alerts.
    pub notify: NotifyConfig,
    /// When the daily job runs.
    pub schedule: ScheduleConfig,
    /// The daily restore drill.
    pub drill: DrillConfig,
    /// How much of the line may be used, and when.
    pub bandwidth: crate::types::Timetable,
    /// Bounds.
    pub limits: Limits,
    /// Folder of the index and the control socket.
    pub state_dir: PathBuf,
    /// Log files.
    pub log: LogConfig,
    /// Whether a file that a program keeps to itself is read from a shadow copy of its
    /// drive (Windows).
    pub shadow_copies: bool,
}

/// Where the copies go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// AWS or a compatible server.
    S3(S3Config),
    /// The embedded vault in this folder.
    Vault {
        /// The vault's folder.
        path: PathBuf,
    },
}

/// AWS or a compatible server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Config {
    /// Region; the standard AWS chain decides when absent.
    pub region: Option<String>,
    /// Profile of the AWS configuration files.
    pub profile: Option<String>,
    /// A server other than AWS.
    pub endpoint_url: Option<String>,
    /// `bucket` in the path rather than in the host name; default true with an endpoint.
    pub path_style: bool,
    /// What the buckets demand of every request.
    pub demands: S3Demands,
}

/// What buckets demand of every request that takes it; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Demands {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`; the bucket's own default when absent.
    pub encryption: Option<String>,
    /// The KMS key that objects are encrypted with.
    pub kms_key_id: Option<String>,
    /// The storage class of new versions; one that is read at once.
    pub storage_class: Option<String>,
    /// Who asks pays, and not the bucket's owner.
    pub requester_pays: bool,
    /// The AWS account that the buckets must belong to.
    pub expected_bucket_owner: Option<String>,
}

/// One watched folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name in messages and commands, unique.
    pub name: String,
    /// The folder, absolute.
    pub path: PathBuf,
    /// The bucket its files go to.
    pub bucket: String,
    /// What keys begin with; empty or ending in `/`.
    pub prefix: String,
    /// gitignore-style patterns of files stored compressed.
    pub compress: Vec<String>,
    /// gzip level, 1 to 9.
    pub compress_level: u32,
    /// gitignore-style patterns of what is left out.
    pub exclude: Vec<String>,
    /// What happens in the bucket when a file is deleted.
    pub on_delete: OnDelete,
    /// Keep a marker in the folder, which proves that it is watched and that it
    /// is the right one.
    pub sentinel: bool,
    /// The least time between two versions of one file.
    pub min_version_interval_ms: u64,
    /// Versions of one file an hour, once it has had several; 0 for no limit.
    pub versions_per_hour_max: u32,
    /// The id of the owner whose destination this source may take over.
    pub take_over: Option<String>,
}

/// What happens in the bucket when a file is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDelete {
    /// A delete marker; the versions stay.
    #[default]
    Mark,
    /// Nothing: the newest version stays current.
    Keep,
}

/// Digest and alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyConfig {
    /// SNS topic; without one the digest goes to a file and the log.
    pub topic_arn: Option<String>,
    /// A server other than AWS.
    pub endpoint_url: Option<String>,
    /// How long nothing can be uploaded before an alert goes out.
    pub alert_after_ms: u64,
}

/// When the daily job runs.
#[derive(Debug, Clone)]
pub struct ScheduleConfig {
    /// Wall-clock time of day.
    pub digest_at: jiff::civil::Time,
    /// In which zone.
    pub time_zone: jiff::tz::TimeZone,
}

/// The daily restore drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillConfig {
    /// It is done at all.
    pub enabled: bool,
    /// Files that are restored.
    pub files: usize,
    /// Bytes of them, together.
    pub bytes_max: u64,
    /// What requests and downloads may cost by AWS's list, millionths of a US
    /// dollar. A vault costs nothing.
    pub cost_max_micro_usd: u64,
    /// How long it may take: the digest comes after it.
    pub time_max_ms: u64,
}

/// Bounds that the owner may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Quiet time after the last change before a file is stored.
    pub debounce_ms: u64,
    /// A file that never rests is stored at least this often.
    pub debounce_max_ms: u64,
    /// Concurrent uploads.
    pub workers: usize,
    /// Paths that may wait in each lane of the queue.
    pub queue_items_max: usize,
    /// How long a stop may take before work is abandoned.
    pub shutdown_timeout_ms: u64,
    /// How often a folder is scanned whose changes are not seen at once.
    pub unwatched_scan_ms: u64,
    /// How long a request that got no answer may still be carried out; what it
    /// was about is looked at again after that.
    pub late_request_ms: u64,
    /// How often every folder is scanned for what no event told of.
    pub rescan_ms: u64,
}

/// Log files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Folder of the log files.
    pub dir: PathBuf,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a tracing filter.
    pub level: String,
    /// One JSON object a line instead of text.
    pub json: bool,
}
