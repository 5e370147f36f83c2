//! What a manifest says of its source. Pure.

use crate::config::{Config, OnDelete, S3Demands, SourceConfig, StoreConfig};
use crate::index::Counts;
use crate::manifest::{Demands, Header, MANIFEST_VERSION, Settings};
use crate::types::WallMs;

/// The first line of the manifest of `source`, on the computer called `host`.
pub(crate) fn header(
    config: &Config,
    source: &SourceConfig,
    counts: &Counts,
    host: String,
    moment_ms: WallMs,
) -> Header {
    let at = moment_ms.timestamp().unwrap_or_default();
    Header {
        keepwatch_manifest: MANIFEST_VERSION,
        source: source.name.clone(),
        root: source.path.display().to_string(),
        bucket: source.bucket.clone(),
        prefix: source.prefix.clone(),
        moment: at.to_string(),
        moment_ms,
        host,
        keepwatch: env!("CARGO_PKG_VERSION").to_owned(),
        files: counts.protected(),
        bytes: counts.bytes,
        settings: Settings {
            compress: source.compress.clone(),
            compress_level: source.compress_level,
            exclude: source.exclude.clone(),
            marks_deletions: source.on_delete == OnDelete::Mark,
            sentinel: source.sentinel,
            min_version_interval_ms: source.min_version_interval_ms,
            versions_per_hour_max: source.versions_per_hour_max,
            topic_arn: config.notify.topic_arn.clone(),
            notify_endpoint_url: config.notify.endpoint_url.clone(),
            s3: demands(&config.store),
        },
    }
}

fn demands(store: &StoreConfig) -> Demands {
    let StoreConfig::S3(s3) = store else {
        return Demands::default();
    };
    let S3Demands {
        encryption,
        kms_key_id,
        storage_class,
        requester_pays,
        expected_bucket_owner,
    } = s3.demands.clone();
    Demands {
        server_side_encryption: encryption,
        kms_key_id,
        storage_class,
        requester_pays,
        expected_bucket_owner,
    }
}
