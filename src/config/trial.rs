//! Configurations that are made without a file: for `try`, and for commands that name a bucket
//! on the command line.

use super::bucket_name::bucket_like;
use super::given::Defaults;
use super::key::Key;
use super::problem::shown;
use super::raw::{
    COMPRESS_LEVEL, RawDrill, RawLimits, RawNotify, RawSchedule, VERSIONS_PER_HOUR_MAX,
};
use super::settings::{
    Config, Limits, LogConfig, NotifyConfig, OnDelete, S3Config, S3Demands, ScheduleConfig,
    SourceConfig, StoreConfig,
};
use super::validate::own_folders_inside;
use super::{drill, paths, places, values};
use crate::types::Fatal;
use std::path::Path;

impl Config {
    /// The configuration of `keepwatch try`: one folder, backed up into a vault.
    /// The vault's folder need not be there yet; nothing is created here.
    ///
    /// # Errors
    /// A usage error when the folder is not there, or when it holds the vault,
    /// the state or the logs.
    pub fn trial(folder: &Path, vault: &Path, defaults: &Defaults) -> Result<Self, Fatal> {
        let operation = format!("try {}", shown(&folder.to_string_lossy()));
        let refuse = |wrong: crate::config::problem::Problem| {
            Fatal::usage(operation.as_str(), wrong.what, wrong.remedy)
        };
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = absolute(folder);
        paths::existing_folder(&folder, "name a folder that is there").map_err(refuse)?;
        let real = paths::real(&folder);
        let name = bucket_like(&real.file_name().unwrap_or_default().to_string_lossy());
        let source = SourceConfig {
            bucket: name.clone(),
            name,
            path: folder,
            prefix: String::new(),
            compress: vec!["*.csv".into()],
            compress_level: COMPRESS_LEVEL as u32,
            exclude: Vec::new(),
            on_delete: OnDelete::Mark,
            // A trial leaves nothing behind in the folder.
            sentinel: false,
            min_version_interval_ms: 0,
            versions_per_hour_max: VERSIONS_PER_HOUR_MAX as u32,
            take_over: None,
        };
        let config = Self {
            bandwidth: Default::default(),
            file: None,
            store: StoreConfig::Vault {
                path: absolute(vault),
            },
            sources: vec![source],
            notify: defaults_of_notify().map_err(refuse)?,
            schedule: defaults_of_schedule(defaults).map_err(refuse)?,
            drill: drill::values(&RawDrill::default()).map_err(refuse)?,
            limits: defaults_of_limits().map_err(refuse)?,
            state_dir: absolute(&defaults.state_dir),
            log: LogConfig {
                dir: absolute(&defaults.log_dir),
                level: "info".into(),
                json: false,
            },
            shadow_copies: false,
        };
        let inside = own_folders_inside(&config);
        // Where the state and the log are, no option says.
        let is_fixed =
            |(key, _): &(Key, _)| [Key::of("state", "dir"), Key::of("log", "dir")].contains(key);
        let remedy = match inside.iter().any(is_fixed) {
            true => "try one of the folders in it, like that of your documents",
            false => "try a smaller folder, or put the vault elsewhere with --vault DIR",
        };
        match inside.into_iter().next() {
            None => Ok(config),
            Some((_, wrong)) => Err(Fatal::usage(operation.as_str(), wrong.what, remedy)),
        }
    }
}

fn defaults_of_notify() -> Result<NotifyConfig, crate::config::problem::Problem> {
    let raw = RawNotify::default();
    Ok(NotifyConfig {
        topic_arn: None,
        endpoint_url: None,
        alert_after_ms: values::duration_ms(&raw.alert_after, 0..=u64::MAX, "")?,
    })
}

fn defaults_of_schedule(
    defaults: &Defaults,
) -> Result<ScheduleConfig, crate::config::problem::Problem> {
    Ok(ScheduleConfig {
        digest_at: values::time_of_day(&RawSchedule::default().digest_at)?,
        time_zone: defaults.computer_time_zone.clone(),
    })
}

fn defaults_of_limits() -> Result<Limits, crate::config::problem::Problem> {
    let raw = RawLimits::default();
    Ok(Limits {
        debounce_ms: raw.debounce_ms.unsigned_abs(),
        debounce_max_ms: raw.debounce_max_ms.unsigned_abs(),
        workers: raw.workers as usize,
        queue_items_max: raw.queue_items_max as usize,
        shutdown_timeout_ms: values::duration_ms(&raw.shutdown_timeout, 0..=u64::MAX, "")?,
        unwatched_scan_ms: raw.unwatched_scan_ms.unsigned_abs(),
        late_request_ms: raw.late_request_ms.unsigned_abs(),
        rescan_ms: raw.rescan_ms.unsigned_abs(),
    })
}

impl S3Config {
    /// The server of `--endpoint-url`, `--region` and `--profile`, and what its buckets
    /// demand, for commands that work without a configuration file.
    ///
    /// # Errors
    /// A usage error that names the flag.
    pub fn from_flags(
        endpoint_url: Option<&str>,
        region: Option<&str>,
        profile: Option<&str>,
        demands: S3Demands,
    ) -> Result<Self, Fatal> {
        let check = |text: Option<&str>, check: fn(&str) -> Result<String, _>, flag: &str| {
            text.map(check)
                .transpose()
                .map_err(|wrong: crate::config::problem::Problem| wrong.of_flag(flag))
        };
        let endpoint_url = check(endpoint_url, places::endpoint_url, "--endpoint-url")?;
        Ok(Self {
            region: check(region, places::region, "--region")?,
            profile: check(profile, places::profile, "--profile")?,
            path_style: endpoint_url.is_some(),
            demands,
            endpoint_url,
        })
    }
}

/// The bucket of `--bucket`, checked.
///
/// # Errors
/// A usage error that says what is wrong with it.
pub fn bucket_from_flag(text: &str) -> Result<String, Fatal> {
    places::bucket(text).map_err(|wrong| wrong.of_flag("--bucket"))
}

/// The prefix of `--prefix`, checked: empty or ending in `/`.
///
/// # Errors
/// A usage error that says what is wrong with it.
pub fn prefix_from_flag(text: &str) -> Result<String, Fatal> {
    places::prefix(text).map_err(|wrong| wrong.of_flag("--prefix"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::places;
    use proptest::prelude::*;

    #[test]
    fn folder_names_become_bucket_names() {
        for (name, bucket) in [
            ("Documents", "documents"),
            ("Kunden & Verträge", "kunden-vertraege"),
            ("a", "a-files"),
            ("", "files"),
            ("---", "files"),
            ("Büro 2024 ", "buero-2024"),
            ("xn--old", "xn-old"),
            ("sthree-x", "files"),
            ("文書", "files"),
        ] {
            assert_eq!(bucket_like(name), bucket, "{name}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_folder_is_called_the_bucket_is_valid(name in "\\PC{0,80}") {
            let bucket = bucket_like(&name);
            prop_assert!(places::bucket(&bucket).is_ok(), "{}", bucket);
        }
    }

    #[test]
    fn flags_are_named_when_they_are_wrong() {
        let none = S3Demands::default;
        let server =
            S3Config::from_flags(Some("https://s3.example"), None, Some("backup"), none()).unwrap();
        assert!(server.path_style);
        assert_eq!(server.profile.as_deref(), Some("backup"));
        assert!(
            !S3Config::from_flags(None, None, None, none())
                .unwrap()
                .path_style
        );
        let fatal = S3Config::from_flags(Some("s3.example"), None, None, none()).unwrap_err();
        assert!(fatal.to_string().contains("--endpoint-url"), "{fatal}");
        assert_eq!(fatal.exit_code(), 2);
        assert!(
            bucket_from_flag("Office")
                .unwrap_err()
                .to_string()
                .contains("--bucket")
        );
        assert_eq!(prefix_from_flag("office").unwrap(), "office/");
    }
}
