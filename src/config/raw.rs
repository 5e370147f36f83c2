//! The configuration file as it is written: serde structs and nothing else.
//!
//! Unknown keys are refused. Values are not checked here, and never used
//! outside `config`.

use serde::Deserialize;

/// gzip's own default: level 9 costs three times the time for a few percent.
pub(super) const COMPRESS_LEVEL: i64 = 6;

/// Versions of one file an hour. A person's saves fit in; what a program writes
/// every few seconds is stored every five minutes.
pub(super) const VERSIONS_PER_HOUR_MAX: i64 = 12;

/// The longest that a request can take which nobody waits for any more:
/// `s3::LATE_MAX`, which has the reason.
pub(super) const LATE_REQUEST_MS: i64 = 16 * 60 * 1000;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) s3: Option<RawS3>,
    pub(super) vault: Option<RawVault>,
    pub(super) source: Vec<RawSource>,
    pub(super) notify: RawNotify,
    pub(super) schedule: RawSchedule,
    pub(super) drill: RawDrill,
    pub(super) bandwidth: RawBandwidth,
    pub(super) limits: RawLimits,
    pub(super) state: RawState,
    pub(super) log: RawLog,
    pub(super) windows: RawWindows,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawS3 {
    pub(super) region: Option<String>,
    pub(super) profile: Option<String>,
    pub(super) endpoint_url: Option<String>,
    pub(super) path_style: Option<bool>,
    pub(super) server_side_encryption: Option<String>,
    pub(super) kms_key_id: Option<String>,
    pub(super) storage_class: Option<String>,
    pub(super) requester_pays: bool,
    pub(super) expected_bucket_owner: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawVault {
    pub(super) path: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSource {
    pub(super) name: Option<String>,
    pub(super) path: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) prefix: String,
    pub(super) compress: Vec<String>,
    pub(super) compress_level: i64,
    pub(super) exclude: Vec<String>,
    pub(super) on_delete: String,
    pub(super) sentinel: bool,
    pub(super) min_version_interval: String,
    pub(super) versions_per_hour_max: i64,
    pub(super) take_over: String,
}

impl Default for RawSource {
    fn default() -> Self {
        Self {
            name: None,
            path: None,
            bucket: None,
            prefix: String::new(),
            compress: Vec::new(),
            compress_level: COMPRESS_LEVEL,
            exclude: Vec::new(),
            on_delete: "mark".into(),
            sentinel: true,
            min_version_interval: "0s".into(),
            versions_per_hour_max: VERSIONS_PER_HOUR_MAX,
            take_over: String::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawNotify {
    pub(super) topic_arn: Option<String>,
    pub(super) endpoint_url: Option<String>,
    pub(super) alert_after: String,
}

impl Default for RawNotify {
    fn default() -> Self {
        Self {
            topic_arn: None,
            endpoint_url: None,
            alert_after: "30m".into(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSchedule {
    pub(super) digest_at: String,
    pub(super) time_zone: Option<String>,
}

impl Default for RawSchedule {
    fn default() -> Self {
        Self {
            digest_at: "02:00".into(),
            time_zone: None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDrill {
    pub(super) enabled: bool,
    pub(super) files: i64,
    pub(super) bytes_max: String,
    pub(super) cost_max_usd: f64,
    pub(super) time_max: String,
}

impl Default for RawDrill {
    fn default() -> Self {
        Self {
            enabled: true,
            // Two weeks of them are 196: when one version in a hundred is damaged,
            // one of those is among them six times in seven.
            files: 14,
            bytes_max: "200 MB".into(),
            cost_max_usd: 0.05,
            // 200 MB over a line of 0.5 Mbit/s take 53 minutes.
            time_max: "1h".into(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawBandwidth {
    pub(super) up: Option<String>,
    pub(super) down: Option<String>,
    pub(super) timetable: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) debounce_ms: i64,
    pub(super) debounce_max_ms: i64,
    pub(super) workers: i64,
    pub(super) queue_items_max: i64,
    pub(super) shutdown_timeout: String,
    pub(super) unwatched_scan_ms: i64,
    pub(super) late_request_ms: i64,
    pub(super) rescan_ms: i64,
}

impl Default for RawLimits {
    fn default() -> Self {
        Self {
            debounce_ms: 2_000,
            debounce_max_ms: 60_000,
            workers: 16,
            queue_items_max: 10_000,
            shutdown_timeout: "30s".into(),
            unwatched_scan_ms: 600_000,
            late_request_ms: LATE_REQUEST_MS,
            rescan_ms: 900_000,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawState {
    pub(super) dir: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) dir: Option<String>,
    pub(super) level: String,
    pub(super) json: bool,
}

impl Default for RawLog {
    fn default() -> Self {
        Self {
            dir: None,
            level: "info".into(),
            json: false,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawWindows {
    pub(super) shadow_copies: bool,
}

/// How a value is written in the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    Switch,
    List,
}

/// A key: its name, its shape, and an example for remedies.
pub(super) type KeyRow = (&'static str, Shape, &'static str);

/// Every key of every table, for remedies and for the environment. A test
/// compares it with the structs above.
pub(super) const TABLES: &[(&str, &[KeyRow])] = &[
    (
        "s3",
        &[
            ("region", Shape::Text, "\"eu-central-1\""),
            ("profile", Shape::Text, "\"backup\""),
            ("endpoint_url", Shape::Text, "\"https://s3.example\""),
            ("path_style", Shape::Switch, "true"),
            ("server_side_encryption", Shape::Text, "\"aws:kms\""),
            ("kms_key_id", Shape::Text, "\"alias/office\""),
            ("storage_class", Shape::Text, "\"STANDARD_IA\""),
            ("requester_pays", Shape::Switch, "true"),
            ("expected_bucket_owner", Shape::Text, "\"111122223333\""),
        ],
    ),
    ("vault", &[("path", Shape::Text, "\"/mnt/backup-disk\"")]),
    (
        "source",
        &[
            ("name", Shape::Text, "\"documents\""),
            ("path", Shape::Text, "\"/srv/office/documents\""),
            ("bucket", Shape::Text, "\"documents-backup-254\""),
            ("prefix", Shape::Text, "\"office/\""),
            ("compress", Shape::List, "[\"*.csv\"]"),
            ("compress_level", Shape::Number, "6"),
            ("exclude", Shape::List, "[\"*.tmp\"]"),
            ("on_delete", Shape::Text, "\"mark\""),
            ("sentinel", Shape::Switch, "true"),
            ("min_version_interval", Shape::Text, "\"0s\""),
            ("versions_per_hour_max", Shape::Number, "12"),
            ("take_over", Shape::Text, "\"\""),
        ],
    ),
    (
        "notify",
        &[
            (
                "topic_arn",
                Shape::Text,
                "\"arn:aws:sns:eu-central-1:111122223333:BackupNotifications\"",
            ),
            ("endpoint_url", Shape::Text, "\"http://127.0.0.1:5000\""),
            ("alert_after", Shape::Text, "\"30m\""),
        ],
    ),
    (
        "schedule",
        &[
            ("digest_at", Shape::Text, "\"02:00\""),
            ("time_zone", Shape::Text, "\"Europe/Berlin\""),
        ],
    ),
    (
        "drill",
        &[
            ("enabled", Shape::Switch, "true"),
            ("files", Shape::Number, "14"),
            ("bytes_max", Shape::Text, "\"200 MB\""),
            ("cost_max_usd", Shape::Number, "0.05"),
            ("time_max", Shape::Text, "\"1h\""),
        ],
    ),
    (
        "bandwidth",
        &[
            ("up", Shape::Text, "\"4 Mbit/s\""),
            ("down", Shape::Text, "\"unlimited\""),
            (
                "timetable",
                Shape::List,
                "[\"mon-fri 08:00-18:00 up 1 Mbit/s\"]",
            ),
        ],
    ),
    (
        "limits",
        &[
            ("debounce_ms", Shape::Number, "2000"),
            ("debounce_max_ms", Shape::Number, "60000"),
            ("workers", Shape::Number, "16"),
            ("queue_items_max", Shape::Number, "10000"),
            ("shutdown_timeout", Shape::Text, "\"30s\""),
            ("unwatched_scan_ms", Shape::Number, "600000"),
            ("late_request_ms", Shape::Number, "960000"),
            ("rescan_ms", Shape::Number, "900000"),
        ],
    ),
    ("state", &[("dir", Shape::Text, "\"/var/lib/keepwatch\"")]),
    (
        "log",
        &[
            ("dir", Shape::Text, "\"/var/log/keepwatch\""),
            ("level", Shape::Text, "\"info\""),
            ("json", Shape::Switch, "false"),
        ],
    ),
    ("windows", &[("shadow_copies", Shape::Switch, "false")]),
];

/// The keys of one table; none when there is no such table.
pub(super) fn keys_of(table: &str) -> &'static [KeyRow] {
    TABLES
        .iter()
        .find(|(name, _)| *name == table)
        .map_or(&[], |(_, keys)| keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use figment::error::Kind;
    use figment::value::{Dict, Tag, Value};

    fn keys_refusing_unknown<T: serde::de::DeserializeOwned>() -> Vec<&'static str> {
        let unknown = ("no_such_key".to_owned(), Value::from(1));
        let value = Value::Dict(Tag::Default, Dict::from([unknown]));
        match value.deserialize::<T>().map(|_| ()).unwrap_err().kind {
            Kind::UnknownField(_, expected) => expected.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_table_of_keys_is_what_serde_accepts() {
        let names = |table| keys_of(table).iter().map(|(name, ..)| *name).collect();
        let expected: [(&str, Vec<&str>); 10] = [
            ("s3", keys_refusing_unknown::<RawS3>()),
            ("vault", keys_refusing_unknown::<RawVault>()),
            ("source", keys_refusing_unknown::<RawSource>()),
            ("notify", keys_refusing_unknown::<RawNotify>()),
            ("schedule", keys_refusing_unknown::<RawSchedule>()),
            ("drill", keys_refusing_unknown::<RawDrill>()),
            ("bandwidth", keys_refusing_unknown::<RawBandwidth>()),
            ("limits", keys_refusing_unknown::<RawLimits>()),
            ("state", keys_refusing_unknown::<RawState>()),
            ("log", keys_refusing_unknown::<RawLog>()),
        ];
        for (table, accepted) in expected {
            let listed: Vec<&str> = names(table);
            assert_eq!(listed, accepted, "{table}");
        }
        let tables: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
        assert_eq!(tables, keys_refusing_unknown::<RawConfig>());
    }
}
