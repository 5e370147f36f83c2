//! Where the copies are: what `--config`, `--bucket`, `--vault` and `--source` mean for the
//! commands that read them.

use super::args::{Cli, Command, CommonArgs, Place, PlaceArgs};
use super::setup;
use crate::bandwidth::Limits;
use crate::clock::system_clock;
use crate::config::{
    Config, Needs, S3Config, S3Demands, SourceConfig, StoreConfig, bucket_from_flag,
    prefix_from_flag,
};
use crate::os;
use crate::s3::Store;
use crate::types::{Fatal, Origin, Reader, quoted};
use jiff::tz::TimeZone;
use keepwatch_vault::Vault;
use std::path::{Component, Path, PathBuf};

/// A store, and what in it is meant.
pub(super) struct Depot {
    pub(super) store: Store,
    /// At least one.
    pub(super) origins: Vec<Named>,
    /// For times on the command line and in the output.
    pub(super) zone: TimeZone,
    /// The vault's folder, when it is one.
    pub(super) vault: Option<PathBuf>,
    /// The configuration, when one says all this.
    pub(super) config: Option<Config>,
}

/// One source's copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// The source's name, or the bucket's.
    pub(super) name: String,
    pub(super) origin: Origin,
    /// The source's folder on this computer, when a configuration says it.
    pub(super) root: Option<PathBuf>,
}

/// Options with their values, as a shell takes them; those without one are left out.
fn options(all: &[(&str, Option<String>)]) -> String {
    all.iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)))
        .map(|(name, value)| format!(" {name} {}", os::shell_word(value)))
        .collect()
}

/// A path that is found from every folder.
fn whole(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.display().to_string()
}

/// The options of this command that say where the copies are, for proposed commands.
pub(super) fn reader(cli: &Cli) -> Reader {
    let (place, source) = match &cli.command {
        Some(Command::Restore(args)) => (Some(&args.place), args.source.clone()),
        Some(Command::Versions(args)) => (Some(&args.place), args.source.clone()),
        Some(Command::Verify(args)) => (Some(&args.place), args.source.clone()),
        Some(Command::Moments(args)) => (Some(&args.place), args.source.clone()),
        Some(Command::Sources(args)) => (Some(&args.place), None),
        _ => (None, None),
    };
    let config = cli.common.config.as_deref().map(whole);
    Reader {
        program: own_name(),
        config: options(&[("--config", config)]),
        place: place.map(said_again).unwrap_or_default(),
        source: options(&[("--source", source)]),
    }
}

/// The program as another window finds it.
pub(super) fn own_name() -> String {
    let typed = std::env::args().next().unwrap_or_default();
    // Found by the list of folders, it is found again.
    let is_plain = !typed.is_empty() && !typed.contains(std::path::is_separator);
    match std::env::current_exe() {
        Ok(path) if !is_plain => os::shell_program(&path.display().to_string()),
        _ if is_plain => os::shell_word(&typed),
        _ => Reader::default().program,
    }
}

/// The options that say where the copies are without a configuration.
fn said_again(place: &PlaceArgs) -> String {
    if place.place() == Place::Configuration {
        return String::new();
    }
    let mut said = options(&[
        ("--vault", place.vault.as_deref().map(whole)),
        ("--bucket", place.bucket.clone()),
        ("--prefix", place.prefix.clone()),
        ("--endpoint-url", place.endpoint_url.clone()),
        ("--region", place.region.clone()),
        ("--profile", place.profile.clone()),
        (
            "--expected-bucket-owner",
            place.expected_bucket_owner.clone(),
        ),
    ]);
    if place.requester_pays {
        said.push_str(" --requester-pays");
    }
    said
}

/// Find out what is meant and connect to it.
///
/// # Errors
/// Usage errors; a vault or configuration that cannot be used.
pub(super) async fn open(
    common: &CommonArgs,
    place: &PlaceArgs,
    source: Option<&str>,
) -> Result<Depot, Fatal> {
    match place.place() {
        Place::Configuration => of_configuration(common, source).await,
        Place::Bucket { bucket, prefix } => {
            let s3 = S3Config::from_flags(
                place.endpoint_url.as_deref(),
                place.region.as_deref(),
                place.profile.as_deref(),
                S3Demands::of_reading(
                    place.requester_pays,
                    place.expected_bucket_owner.as_deref(),
                )?,
            )?;
            Ok(Depot {
                store: Store::connect(&StoreConfig::S3(s3)).await?,
                origins: vec![of_bucket(&bucket_from_flag(bucket)?, prefix)?],
                zone: TimeZone::system(),
                vault: None,
                config: None,
            })
        }
        Place::Vault {
            path,
            bucket,
            prefix,
        } => {
            let path = existing_vault(path, "check the folder after --vault")?;
            let store = Store::connect(&StoreConfig::Vault { path: path.clone() }).await?;
            let origins = match bucket {
                Some(bucket) => vec![of_bucket(&bucket_from_flag(bucket)?, prefix)?],
                None => of_vault(store.buckets().await?, source, &path)?,
            };
            Ok(Depot {
                store,
                origins,
                zone: TimeZone::system(),
                vault: Some(path),
                config: None,
            })
        }
    }
}

/// Where the configuration says, within its limits.
async fn of_configuration(common: &CommonArgs, source: Option<&str>) -> Result<Depot, Fatal> {
    setup::located(common).map_err(|fatal| Fatal {
        hint: "name where the copies are: --config FILE, --bucket NAME, or --vault FOLDER"
            .to_owned(),
        ..fatal
    })?;
    let config = setup::config(common, Needs::StoreAlone)?;
    let vault = existing(&config)?;
    let store = Store::connect(&config.store).await?;
    let limits = Limits::new(&config, setup::options(common).reload);
    let clock = system_clock();
    store.limit(limits.at(clock()));
    // For as long as the command runs.
    tokio::spawn(limits.follow(store.clone(), clock));
    Ok(Depot {
        store,
        origins: of_config(&config, source)?,
        zone: config.schedule.time_zone.clone(),
        vault,
        config: Some(config),
    })
}

/// The configuration's vault, if it has one; it must be there.
pub(super) fn existing(config: &Config) -> Result<Option<PathBuf>, Fatal> {
    match &config.store {
        StoreConfig::Vault { path } => {
            existing_vault(path, "see whether the disk is connected").map(Some)
        }
        StoreConfig::S3(_) => Ok(None),
    }
}

/// Opening a vault creates it, which is wrong for what is only to be read: an
/// empty vault would appear where the disk is not mounted.
fn existing_vault(path: &Path, hint: &str) -> Result<PathBuf, Fatal> {
    if Vault::is_at(path)? {
        return Ok(path.to_owned());
    }
    let cause = if path.is_dir() {
        "there is no vault in this folder"
    } else {
        "the folder is not there"
    };
    Err(Fatal::usage(
        format!("use the vault in {}", path.display()),
        cause,
        hint,
    ))
}

pub(super) fn of_config(config: &Config, source: Option<&str>) -> Result<Vec<Named>, Fatal> {
    let named = |source: &SourceConfig| Named {
        name: source.name.clone(),
        origin: Origin {
            bucket: source.bucket.clone(),
            prefix: source.prefix.clone(),
        },
        root: Some(source.path.clone()),
    };
    let all: Vec<Named> = config.sources.iter().map(named).collect();
    only(all, source, "source")
}

fn of_vault(buckets: Vec<String>, source: Option<&str>, vault: &Path) -> Result<Vec<Named>, Fatal> {
    if buckets.is_empty() {
        return Err(Fatal::new(
            format!("use the vault in {}", vault.display()),
            "it is empty: nothing was ever backed up into it",
            "check the folder after --vault",
        ));
    }
    let all: Result<Vec<Named>, Fatal> =
        buckets.iter().map(|bucket| of_bucket(bucket, "")).collect();
    only(all?, source, "bucket")
}

fn of_bucket(bucket: &str, prefix: &str) -> Result<Named, Fatal> {
    Ok(Named {
        name: bucket.to_owned(),
        origin: Origin {
            bucket: bucket.to_owned(),
            prefix: prefix_from_flag(prefix)?,
        },
        root: None,
    })
}

/// All, or the one that `--source` names.
fn only(all: Vec<Named>, source: Option<&str>, what: &str) -> Result<Vec<Named>, Fatal> {
    let Some(wanted) = source else {
        return Ok(all);
    };
    let lower = wanted.to_lowercase();
    if let Some(found) = all.iter().find(|named| named.name.to_lowercase() == lower) {
        return Ok(vec![found.clone()]);
    }
    let names: Vec<&str> = all.iter().map(|named| named.name.as_str()).collect();
    Err(Fatal::usage(
        format!("find the source {}", quoted(wanted)),
        format!("there is no {what} of that name"),
        format!("write one of: {}", names.join(", ")),
    ))
}

impl Named {
    /// Its names, which people write in front of paths in it.
    pub(super) fn called(&self) -> Vec<String> {
        let folder = self.root.as_deref().and_then(Path::file_name);
        let folder = folder.map(|name| name.to_string_lossy().into_owned());
        let bucket = self.origin.bucket.clone();
        [self.name.clone(), bucket]
            .into_iter()
            .chain(folder)
            .collect()
    }

    /// What `path` is within this source; `None` when it lies elsewhere or the
    /// source's folder is not known. `.` is the source itself.
    pub(super) fn within(&self, path: &Path) -> Option<String> {
        let root = self.root.as_deref()?;
        let real = root.canonicalize().ok();
        let inner = [Some(root), real.as_deref()]
            .into_iter()
            .flatten()
            .find_map(|root| path.strip_prefix(root).ok())?;
        let names: Option<Vec<&str>> = inner
            .components()
            .map(|component| match component {
                Component::Normal(name) => name.to_str(),
                _ => None,
            })
            .collect();
        let names = names?;
        Some(if names.is_empty() {
            ".".to_owned()
        } else {
            names.join("/")
        })
    }
}

/// The folder below TO for each of several sources: the source's name, made safe.
pub(super) fn folder_names(origins: &[Named]) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    origins
        .iter()
        .map(|named| {
            let plain: String = named
                .name
                .chars()
                .map(|c| {
                    if c.is_control() || "/\\:<>\"|?*".contains(c) {
                        '-'
                    } else {
                        c
                    }
                })
                .collect();
            let usable = !matches!(plain.as_str(), "" | "." | "..")
                && os::writable_name(plain.as_bytes()).is_ok();
            let base = if usable {
                plain
            } else {
                named.origin.bucket.clone()
            };
            let mut name = base.clone();
            let mut number = 2;
            while taken.contains(&name.to_lowercase()) {
                name = format!("{base}-{number}");
                number += 1;
            }
            taken.push(name.to_lowercase());
            name
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposed_command_says_again_who_pays_and_whose_the_bucket_must_be() {
        let place = PlaceArgs {
            bucket: Some("b-1".into()),
            requester_pays: true,
            expected_bucket_owner: Some("111122223333".into()),
            ..PlaceArgs::default()
        };
        assert_eq!(
            said_again(&place),
            " --bucket b-1 --expected-bucket-owner 111122223333 --requester-pays"
        );
    }

    fn named(name: &str, root: Option<&str>) -> Named {
        Named {
            name: name.into(),
            origin: Origin {
                bucket: "bucket-1".into(),
                prefix: String::new(),
            },
            root: root.map(PathBuf::from),
        }
    }

    #[test]
    fn a_path_of_this_computer_within_a_source() {
        let source = named("db", Some("/srv/office/database"));
        for (path, want) in [
            ("/srv/office/database/a/b.csv", Some("a/b.csv")),
            ("/srv/office/database/", Some(".")),
            ("/srv/office/database2/a", None),
            ("/srv/office/database/../x", None),
            ("/elsewhere", None),
        ] {
            assert_eq!(source.within(Path::new(path)).as_deref(), want, "{path}");
        }
        assert_eq!(named("b", None).within(Path::new("/srv")), None);
    }

    #[test]
    fn folders_for_several_sources_are_safe_and_differ() {
        let origins: Vec<Named> = ["photos", "a/b", "..", "../..", "a-b"]
            .iter()
            .map(|name| named(name, None))
            .collect();
        // Not every system has names that end in a dot.
        let climbing = match os::writable_name(b"..-..") {
            Ok(()) => "..-..",
            Err(_) => "bucket-1-2",
        };
        assert_eq!(
            folder_names(&origins),
            ["photos", "a-b", "bucket-1", climbing, "a-b-2"]
        );
    }

    #[test]
    fn the_source_that_is_named() {
        let all = vec![named("Database", None), named("photos", None)];
        let found = only(all.clone(), Some("database"), "source").unwrap();
        assert_eq!(found, [all[0].clone()]);
        let fatal = only(all, Some("foto"), "source").unwrap_err();
        assert!(fatal.hint.contains("Database, photos") && fatal.exit_code() == 2);
    }
}
