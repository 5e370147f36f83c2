//! The configuration from outside: files that are wrong, and how layers add up.

mod examples;
mod homes;
mod refused;

use super::*;
use crate::types::Home;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A folder with a few source folders and a place for the file.
struct Office {
    dir: tempfile::TempDir,
}

const GOOD: &str = r#"
[s3]
region = "eu-central-1"

[[source]]
name = "database"
path = "database"
bucket = "database-backup-254"
"#;

impl Office {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["database", "documents/letters", "vault"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        std::fs::write(dir.path().join("file.txt"), "x").unwrap();
        Self { dir }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn defaults(&self) -> Defaults {
        Defaults {
            state_dir: self.path("own/state"),
            log_dir: self.path("own/log"),
            home: Home::At(self.path("")),
            computer_time_zone: jiff::tz::TimeZone::UTC,
        }
    }

    fn load_with(
        &self,
        text: &str,
        variables: &[(&str, &str)],
        overrides: &Overrides,
    ) -> Result<Config, crate::types::Fatal> {
        let file = self.path("keepwatch.toml");
        std::fs::write(&file, text).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        load(&file, overrides, variables, &self.defaults())
    }

    fn load(&self, text: &str) -> Result<Config, crate::types::Fatal> {
        self.load_with(text, &[], &Overrides::default())
    }

    /// The message for a wrong file, with the folder's name taken out.
    fn refusal(&self, text: &str) -> String {
        self.refusal_with(text, &[])
    }

    fn refusal_with(&self, text: &str, variables: &[(&str, &str)]) -> String {
        match self.load_with(text, variables, &Overrides::default()) {
            Ok(config) => panic!("accepted: {text}\n{config:?}"),
            Err(fatal) => {
                assert_eq!(fatal.exit_code(), 2);
                let dir = self.dir.path().to_string_lossy().into_owned();
                with_slashes(&fatal.to_string().replace(&dir, "<dir>"))
            }
        }
    }
}

/// Paths below `<dir>` as Unix writes them: what is compared is the message.
fn with_slashes(message: &str) -> String {
    let mut parts = message.split("<dir>");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part
            .find(|c: char| " `),;:\n".contains(c))
            .unwrap_or(part.len());
        out += "<dir>";
        out += &part[..end].replace(std::path::MAIN_SEPARATOR, "/");
        out += &part[end..];
    }
    out
}

#[test]
fn a_short_file_is_complete() {
    let office = Office::new();
    let config = office.load(GOOD).unwrap();
    let source = &config.sources[0];
    assert_eq!(config.file, Some(office.path("keepwatch.toml")));
    assert_eq!(source.path, office.path("database"));
    assert_eq!((source.prefix.as_str(), source.compress_level), ("", 6));
    assert_eq!(source.on_delete, OnDelete::Mark);
    assert!(source.sentinel);
    assert!(source.compress.is_empty() && source.exclude.is_empty());
    assert_eq!(config.state_dir, office.path("own/state"));
    assert_eq!(config.log.level, "info");
    assert_eq!(config.notify.alert_after_ms, 30 * 60_000);
    assert_eq!(config.schedule.digest_at, jiff::civil::time(2, 0, 0, 0));
    assert_eq!(
        config.limits,
        Limits {
            debounce_ms: 2_000,
            debounce_max_ms: 60_000,
            workers: 16,
            queue_items_max: 10_000,
            shutdown_timeout_ms: 30_000,
            unwatched_scan_ms: 600_000,
            late_request_ms: 960_000,
            rescan_ms: 900_000,
        }
    );
}

#[test]
fn every_key_arrives() {
    let office = Office::new();
    let config = office
        .load(
            r#"
[s3]
region = "auto"
profile = "backup"
endpoint_url = "https://s3.example/"
path_style = false
[[source]]
name = "Kunden"
path = "~/documents"
bucket = "documents-backup-254"
prefix = "/office/kunden"
compress = ["*.csv", "*.log"]
compress_level = 9
exclude = ["*.tmp"]
on_delete = "keep"
sentinel = false
min_version_interval = "10m"
versions_per_hour_max = 30
take_over = "0123abcd"
[notify]
topic_arn = "arn:aws:sns:eu-central-1:111122223333:BackupNotifications"
endpoint_url = "http://127.0.0.1:5000"
alert_after = "2h"
[schedule]
digest_at = "23:15"
time_zone = "UTC"
[limits]
debounce_ms = 500
debounce_max_ms = 600
workers = 2
queue_items_max = 500
shutdown_timeout = "1m"
unwatched_scan_ms = 5000
late_request_ms = 7000
rescan_ms = 7000
[state]
dir = "state"
[log]
dir = "/var/log/keepwatch"
level = "info,keepwatch::s3=debug"
json = true
"#,
        )
        .unwrap();
    let expected = S3Config {
        region: Some("auto".into()),
        profile: Some("backup".into()),
        endpoint_url: Some("https://s3.example".into()),
        path_style: false,
        demands: S3Demands::default(),
    };
    assert_eq!(config.store, StoreConfig::S3(expected));
    assert_eq!(
        config.sources[0],
        SourceConfig {
            name: "Kunden".into(),
            path: office.path("documents"),
            bucket: "documents-backup-254".into(),
            prefix: "office/kunden/".into(),
            compress: vec!["*.csv".into(), "*.log".into()],
            compress_level: 9,
            exclude: vec!["*.tmp".into()],
            on_delete: OnDelete::Keep,
            sentinel: false,
            min_version_interval_ms: 600_000,
            versions_per_hour_max: 30,
            take_over: Some("0123abcd".into()),
        }
    );
    assert_eq!(config.notify.alert_after_ms, 2 * 3_600_000);
    assert_eq!(config.schedule.digest_at, jiff::civil::time(23, 15, 0, 0));
    assert_eq!(config.limits.shutdown_timeout_ms, 60_000);
    assert_eq!(config.limits.debounce_max_ms, 600);
    assert_eq!(config.limits.unwatched_scan_ms, 5_000);
    assert_eq!(config.limits.late_request_ms, 7_000);
    assert_eq!(config.limits.rescan_ms, 7_000);
    assert_eq!(config.state_dir, office.path("state"));
    assert_eq!(config.log.dir, office.path("/var/log/keepwatch"));
    assert!(config.log.json);
}

#[test]
fn environment_beats_the_file_and_flags_beat_both() {
    let office = Office::new();
    let text = format!("{GOOD}[log]\nlevel = \"warn\"\n[limits]\nworkers = 3\n");
    let variables = [
        ("KEEPWATCH_LOG__LEVEL", "error"),
        ("KEEPWATCH_LIMITS__WORKERS", "5"),
        ("KEEPWATCH_S3__PROFILE", "123"),
        ("KEEPWATCH_LOG__JSON", "true"),
        ("KEEPWATCH_STATE__DIR", "elsewhere"),
        ("KEEPWATCH_S3__REGION", ""),
        ("KEEPWATCH_CONFIG", "/etc/other.toml"),
        ("KEEPWATCHER", "not ours"),
        ("PATH", "/bin"),
    ];
    let flags = Overrides {
        log_level: Some("debug".into()),
        ..Overrides::default()
    };
    let file_alone = office.load(&text).unwrap();
    let with_variables = office
        .load_with(&text, &variables, &Overrides::default())
        .unwrap();
    let with_all = office.load_with(&text, &variables, &flags).unwrap();
    let levels = [&file_alone, &with_variables, &with_all].map(|config| config.log.level.as_str());
    assert_eq!(levels, ["warn", "error", "debug"]);
    assert_eq!(file_alone.limits.workers, 3);
    assert_eq!(with_all.limits.workers, 5);
    assert!(with_all.log.json);
    assert_eq!(with_all.state_dir, office.path("elsewhere"));
    let StoreConfig::S3(s3) = &with_all.store else {
        panic!("{:?}", with_all.store)
    };
    assert_eq!(s3.profile.as_deref(), Some("123"));
    assert_eq!(s3.region.as_deref(), Some("eu-central-1"));
}

#[test]
fn a_wrong_flag_is_named() {
    let office = Office::new();
    let flags = Overrides {
        log_level: Some("loud".into()),
        ..Overrides::default()
    };
    let fatal = office.load_with(GOOD, &[], &flags).unwrap_err();
    assert!(fatal.to_string().contains("--log-level: `loud`"), "{fatal}");
}

#[test]
fn relative_paths_belong_to_the_files_folder_wherever_we_are_started() {
    // The tests run in the repository, where there is no folder `database`.
    let office = Office::new();
    assert!(!Path::new("database").exists());
    std::fs::create_dir(office.path("etc")).unwrap();
    let file = office.path("etc/keepwatch.toml");
    let text = GOOD.replace("\"database\"\nbucket", "\"../database\"\nbucket");
    std::fs::write(&file, text).unwrap();
    let config = load(&file, &Overrides::default(), [], &office.defaults()).unwrap();
    let expected = match cfg!(windows) {
        // The long form of a path is for programs.
        true => office.path("database"),
        false => office.path("database").canonicalize().unwrap(),
    };
    assert_eq!(config.sources[0].path, expected);
}

#[test]
fn one_folder_may_go_to_two_places_and_folders_may_nest() {
    let office = Office::new();
    let text = format!(
        "{GOOD}[[source]]\nname = \"again\"\npath = \"database\"\nbucket = \"second-254\"\nprefix = \"a\"\n\
         [[source]]\nname = \"all\"\npath = \"documents\"\nbucket = \"second-254\"\nprefix = \"ab\"\n\
         [[source]]\nname = \"letters\"\npath = \"documents/letters\"\nbucket = \"second-254\"\nprefix = \"c\"\n"
    );
    assert_eq!(office.load(&text).unwrap().sources.len(), 4);
}

#[test]
fn restore_works_on_a_computer_without_the_sources() {
    let office = Office::new();
    let text = GOOD.replace("\"database\"\nbucket", "\"/gone/with/the/fire\"\nbucket");
    assert!(office.load(&text).is_err());
    let bucket_only = Overrides {
        needs: Needs::StoreAlone,
        ..Overrides::default()
    };
    let config = office.load_with(&text, &[], &bucket_only).unwrap();
    assert_eq!(config.sources[0].bucket, "database-backup-254");
}

#[test]
fn files_of_other_programs_are_refused_kindly() {
    let office = Office::new();
    let file = office.path("keepwatch.toml");
    let utf16: Vec<u8> = std::iter::once(0xfeff_u16)
        .chain(GOOD.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for (bytes, words) in [
        (utf16, "UTF-16"),
        (b"[s3]\n# B\xfcro\n".to_vec(), "line 2 is not UTF-8"),
        (vec![b'#'; 1024 * 1024 + 1], "larger than 1 MiB"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let fatal = load(&file, &Overrides::default(), [], &office.defaults()).unwrap_err();
        assert!(fatal.to_string().contains(words), "{fatal}");
    }
    for (missing, words) in [("nowhere.toml", "--config"), ("documents", "folder")] {
        let file = office.path(missing);
        let fatal = load(&file, &Overrides::default(), [], &office.defaults()).unwrap_err();
        assert!(fatal.hint.contains(words), "{fatal}");
        assert!(fatal.to_string().contains(missing), "{fatal}");
    }
}

#[test]
fn notepads_mark_at_the_beginning_is_no_error() {
    let office = Office::new();
    assert!(
        office
            .load(&format!("\u{feff}{}", GOOD.trim_start()))
            .is_ok()
    );
}

#[test]
fn the_file_is_the_one_named_or_the_first_that_is_there() {
    let office = Office::new();
    let candidates = [office.path("none.toml"), office.path("file.txt")];
    let named = Path::new("named.toml");
    assert_eq!(locate(Some(named), &candidates).unwrap(), named);
    assert_eq!(locate(None, &candidates).unwrap(), candidates[1]);
    let fatal = locate(None, &candidates[..1]).unwrap_err();
    assert!(fatal.to_string().contains("none.toml"), "{fatal}");
}

#[test]
fn trying_needs_nothing_but_a_folder() {
    let office = Office::new();
    let (folder, vault) = (office.path("documents"), office.path("trial/vault"));
    let config = Config::trial(&folder, &vault, &office.defaults()).unwrap();
    assert_eq!(config.sources[0].name, "documents");
    assert_eq!(config.sources[0].path, folder);
    assert_eq!(config.sources[0].compress, ["*.csv"]);
    assert_eq!(config.limits.debounce_ms, 2_000);
    assert_eq!(
        config.store,
        StoreConfig::Vault {
            path: vault.clone()
        }
    );
    assert!(!vault.exists());
    for (folder, vault) in [
        ("documents", "documents/vault"),
        ("documents/letters", "documents"),
        ("nowhere", "vault"),
        ("file.txt", "vault"),
        ("", "vault"),
    ] {
        let tried = Config::trial(
            &office.path(folder),
            &office.path(vault),
            &office.defaults(),
        );
        assert!(tried.is_err(), "{folder} into {vault}");
    }
}
