//! Raw values become the checked [`Config`], table by table.
//!
//! A wrong value is noted and its default taken, so that everything else is
//! still checked; the caller throws the result away when anything was noted.

use super::input::Input;
use super::key::Key;
use super::problem::Problem;
use super::problems::Problems;
use super::raw::{RawConfig, RawLimits, RawLog, RawNotify, RawS3, RawSchedule, RawVault};
use super::settings::{
    Config, Limits, LogConfig, NotifyConfig, S3Config, S3Demands, ScheduleConfig, SourceConfig,
    StoreConfig,
};
use super::{bandwidth, demands, drill, paths, places, source, values};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// Check everything. `None` only with a problem noted.
pub(super) fn config(raw: RawConfig, input: &Input<'_>, problems: &mut Problems) -> Option<Config> {
    let sources = source::all(&raw.source, input, problems);
    let store = store(raw.s3, raw.vault, input, problems);
    let state_dir = folder(
        raw.state.dir,
        "state",
        &input.defaults.state_dir,
        input,
        problems,
    );
    let log = log(raw.log, input, problems);
    let config = Config {
        file: Some(input.file.to_owned()),
        sources,
        store: store?,
        notify: notify(raw.notify, input, problems),
        schedule: schedule(raw.schedule, input, problems),
        drill: drill::checked(&raw.drill, input, problems),
        bandwidth: bandwidth::timetable(raw.bandwidth, input, problems),
        limits: limits(&raw.limits, input, problems),
        state_dir,
        log,
        shadow_copies: raw.windows.shadow_copies,
    };
    for (key, wrong) in own_folders_inside(&config) {
        problems.add(input.layers.origin(&key), key, wrong);
    }
    Some(config)
}

fn store(
    s3: Option<RawS3>,
    vault: Option<RawVault>,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Option<StoreConfig> {
    match (s3, vault) {
        (Some(s3), None) => Some(StoreConfig::S3(s3_config(s3, input, problems))),
        (None, Some(vault)) => vault_config(vault, input, problems),
        (Some(_), Some(_)) => {
            let key = Key::table("vault");
            let wrong = Problem::new(
                "both [s3] and [vault] are given, but the copies can go to one of them only",
                "remove one: [s3] for AWS or a compatible server, [vault] for a folder on another disk",
            );
            problems.add(input.layers.origin(&key), key, wrong);
            None
        }
        (None, None) => {
            let wrong = Problem::new(
                "nothing says where the copies go",
                "add [s3] with region = \"eu-central-1\" for AWS or a compatible server, or [vault] with path = \"/mnt/backup-disk\" for a folder on another disk",
            );
            problems.add_unless_excused(&["s3", "vault"], wrong);
            None
        }
    }
}

fn s3_config(raw: RawS3, input: &Input<'_>, problems: &mut Problems) -> S3Config {
    let mut take =
        |leaf: &str, text: Option<String>, check: fn(&str) -> Result<String, Problem>| {
            let checked = check(&text?);
            input.take(problems, Key::of("s3", leaf), checked)
        };
    let endpoint_url = take("endpoint_url", raw.endpoint_url, places::endpoint_url);
    let encryption = take(
        "server_side_encryption",
        raw.server_side_encryption,
        demands::encryption,
    );
    let kms_key_id = take("kms_key_id", raw.kms_key_id, demands::kms_key_id);
    let is_without_key = encryption.as_deref() == Some("AES256");
    let kms_key_id = match kms_key_id {
        Some(key) if is_without_key => take("kms_key_id", Some(key), demands::key_without_kms),
        key => key,
    };
    let demands = S3Demands {
        // A key is only ever KMS's.
        encryption: encryption.or_else(|| kms_key_id.as_ref().map(|_| "aws:kms".to_owned())),
        kms_key_id,
        storage_class: take("storage_class", raw.storage_class, demands::storage_class),
        requester_pays: raw.requester_pays,
        expected_bucket_owner: take(
            "expected_bucket_owner",
            raw.expected_bucket_owner,
            demands::account,
        ),
    };
    S3Config {
        demands,
        region: take("region", raw.region, places::region),
        profile: take("profile", raw.profile, places::profile),
        path_style: raw.path_style.unwrap_or(endpoint_url.is_some()),
        endpoint_url,
    }
}

fn vault_config(raw: RawVault, input: &Input<'_>, problems: &mut Problems) -> Option<StoreConfig> {
    let key = Key::of("vault", "path");
    let checked = match raw.path {
        None => Err(Problem::new(
            "the vault's folder is missing",
            "add path = \"/mnt/backup-disk\" under [vault]",
        )),
        // Never created here: a disk that is not plugged in must not become a
        // folder on the very disk that is to be backed up.
        Some(text) => input.path(&text).and_then(|path| {
            if !input.needs.vault() {
                return Ok(path);
            }
            paths::existing_folder(
                &path,
                "plug in or mount the disk; for a new vault create the folder once by hand",
            )
            .map(|()| path)
        }),
    };
    let path = input.take(problems, key, checked)?;
    Some(StoreConfig::Vault { path })
}

fn folder(
    text: Option<String>,
    table: &str,
    default: &Path,
    input: &Input<'_>,
    problems: &mut Problems,
) -> PathBuf {
    text.and_then(|text| input.take(problems, Key::of(table, "dir"), input.path(&text)))
        .unwrap_or_else(|| default.to_owned())
}

fn notify(raw: RawNotify, input: &Input<'_>, problems: &mut Problems) -> NotifyConfig {
    let key = |leaf| Key::of("notify", leaf);
    let topic_arn = raw
        .topic_arn
        .and_then(|text| input.take(problems, key("topic_arn"), places::topic_arn(&text)));
    let endpoint_url = raw
        .endpoint_url
        .and_then(|text| input.take(problems, key("endpoint_url"), places::endpoint_url(&text)));
    let alert_after = values::duration_ms(
        &raw.alert_after,
        MINUTE_MS..=7 * DAY_MS,
        "1 minute to 7 days",
    );
    NotifyConfig {
        topic_arn,
        endpoint_url,
        alert_after_ms: input
            .take(problems, key("alert_after"), alert_after)
            .unwrap_or_default(),
    }
}

fn schedule(raw: RawSchedule, input: &Input<'_>, problems: &mut Problems) -> ScheduleConfig {
    let at = values::time_of_day(&raw.digest_at);
    let digest_at = input.take(problems, Key::of("schedule", "digest_at"), at);
    let time_zone = raw.time_zone.and_then(|text| {
        let zone = values::time_zone(&text);
        input.take(problems, Key::of("schedule", "time_zone"), zone)
    });
    ScheduleConfig {
        digest_at: digest_at.unwrap_or_default(),
        time_zone: time_zone.unwrap_or_else(|| input.defaults.computer_time_zone.clone()),
    }
}

fn limits(raw: &RawLimits, input: &Input<'_>, problems: &mut Problems) -> Limits {
    let mut number = |leaf: &str, value: i64, range: RangeInclusive<u64>, why: &str| {
        let checked = values::number(value, range, why);
        input
            .take(problems, Key::of("limits", leaf), checked)
            .unwrap_or_default()
    };
    let debounce_ms = number(
        "debounce_ms",
        raw.debounce_ms,
        10..=600_000,
        "shorter, and every half-saved file is read; longer than 10 minutes is no continuous backup",
    );
    let debounce_max_ms = number(
        "debounce_max_ms",
        raw.debounce_max_ms,
        10..=DAY_MS,
        "a file that never rests must be stored at least once a day",
    );
    let workers = number(
        "workers",
        raw.workers,
        1..=128,
        "each worker holds a connection and a part of a file in memory",
    );
    let queue_items_max = number(
        "queue_items_max",
        raw.queue_items_max,
        100..=1_000_000,
        "a queue too short stops the workers, one too long takes the memory",
    );
    let (unwatched_scan_ms, late_request_ms, rescan_ms) = periods(raw, &mut number);
    debounce_in_order(debounce_ms, debounce_max_ms, input, problems);
    let shutdown = values::duration_ms(
        &raw.shutdown_timeout,
        1_000..=600_000,
        "1 second to 10 minutes",
    );
    let as_count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        debounce_ms,
        debounce_max_ms,
        workers: as_count(workers),
        queue_items_max: as_count(queue_items_max),
        shutdown_timeout_ms: input
            .take(problems, Key::of("limits", "shutdown_timeout"), shutdown)
            .unwrap_or_default(),
        unwatched_scan_ms,
        late_request_ms,
        rescan_ms,
    }
}

/// How often and how long, beside saving: a scan without watches, a late request, a scan
/// of everything.
fn periods(
    raw: &RawLimits,
    number: &mut impl FnMut(&str, i64, RangeInclusive<u64>, &str) -> u64,
) -> (u64, u64, u64) {
    let unwatched_scan_ms = number(
        "unwatched_scan_ms",
        raw.unwatched_scan_ms,
        1_000..=DAY_MS,
        "more often than each second is one scan without end, and once a day it is scanned anyway",
    );
    let late_request_ms = number(
        "late_request_ms",
        raw.late_request_ms,
        1_000..=DAY_MS,
        "how long a request that got no answer may still be carried out by the server",
    );
    let rescan_ms = number(
        "rescan_ms",
        raw.rescan_ms,
        1_000..=DAY_MS,
        "more often than each second is one scan without end, and what no event tells of must be found within a day",
    );
    (unwatched_scan_ms, late_request_ms, rescan_ms)
}

/// A wait that is longer than the longest wait has no meaning.
fn debounce_in_order(
    debounce_ms: u64,
    debounce_max_ms: u64,
    input: &Input<'_>,
    problems: &mut Problems,
) {
    if debounce_ms > debounce_max_ms {
        let set_max = input.layers.is_set(&Key::of("limits", "debounce_max_ms"));
        let leaf = if set_max {
            "debounce_max_ms"
        } else {
            "debounce_ms"
        };
        let key = Key::of("limits", leaf);
        let wrong = Problem::new(
            format!(
                "debounce_ms ({debounce_ms}) is longer than debounce_max_ms ({debounce_max_ms})"
            ),
            "make debounce_max_ms the longer one: it says when to stop waiting for a file to rest",
        );
        problems.add(input.layers.origin(&key), key, wrong);
    }
}

fn log(raw: RawLog, input: &Input<'_>, problems: &mut Problems) -> LogConfig {
    let level = values::log_level(&raw.level);
    LogConfig {
        dir: folder(raw.dir, "log", &input.defaults.log_dir, input, problems),
        level: input
            .take(problems, Key::of("log", "level"), level)
            .unwrap_or_default(),
        json: raw.json,
    }
}

/// Keepwatch's own folders must lie outside the sources, or each backup would
/// change what is to be backed up. Also used for `try`.
pub(super) fn own_folders_inside(config: &Config) -> Vec<(Key, Problem)> {
    let mut found = Vec::new();
    let mut check = |key: Key, what: &str, own: &Path| {
        let around = config
            .sources
            .iter()
            .find(|source| paths::is_inside(own, &source.path));
        if let Some(source) = around {
            let wrong = Problem::new(
                format!(
                    "the {what} {} is inside the source {:?} ({}), so Keepwatch would back up its own work for ever",
                    own.display(),
                    source.name,
                    source.path.display()
                ),
                format!("set {key} to a folder outside every source"),
            );
            found.push((key, wrong));
        }
    };
    check(Key::of("state", "dir"), "state folder", &config.state_dir);
    check(Key::of("log", "dir"), "log folder", &config.log.dir);
    if let StoreConfig::Vault { path } = &config.store {
        check(Key::of("vault", "path"), "vault", path);
        found.extend(sources_in_vault(&config.sources, path));
    }
    found
}

fn sources_in_vault(sources: &[SourceConfig], vault: &Path) -> Vec<(Key, Problem)> {
    let inside = |source: &SourceConfig| {
        paths::is_inside(&source.path, vault) && !paths::is_inside(vault, &source.path)
    };
    let found = sources
        .iter()
        .enumerate()
        .filter(|(_, source)| inside(source));
    found
        .map(|(index, source)| {
            let what = format!(
                "the source's folder {} is inside the vault {}",
                source.path.display(),
                vault.display()
            );
            let remedy = "give the vault a folder of its own, on another disk than the source";
            (Key::source(index, "path"), Problem::new(what, remedy))
        })
        .collect()
}
