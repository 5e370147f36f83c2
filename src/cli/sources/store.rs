//! Where the copies are, as a configuration says it.

use crate::cli::args::{Place, SourcesArgs};
use crate::cli::origins::Depot;
use crate::types;
use crate::types::{Fatal, chain};
use std::path::{Path, PathBuf};

/// Where the copies are, as a configuration says it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CopiesPlace {
    /// The vault in this folder.
    Vault(PathBuf),
    /// AWS or a compatible server.
    S3 {
        region: Option<String>,
        profile: Option<String>,
        endpoint_url: Option<String>,
    },
}

/// Where the copies are: from the options, else from the environment, which the user of
/// the file need not have.
pub(super) fn store(args: &SourcesArgs, depot: &Depot) -> Result<CopiesPlace, Fatal> {
    let place = &args.place;
    let variable = |names: &[&str]| {
        let set = names.iter().find_map(|name| std::env::var(name).ok());
        set.filter(|value| !value.is_empty())
    };
    match place.place() {
        Place::Vault { path, .. } => {
            std::path::absolute(path)
                .map(CopiesPlace::Vault)
                .map_err(|error| {
                    Fatal::usage(format!("use --vault {}", path.display()), chain(&error), "")
                })
        }
        Place::Bucket { .. } => {
            let endpoint = || variable(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
            Ok(CopiesPlace::S3 {
                region: place.region.clone().or_else(|| depot.store.region()),
                profile: place.profile.clone().or_else(|| variable(&["AWS_PROFILE"])),
                endpoint_url: place.endpoint_url.clone().or_else(endpoint),
            })
        }
        Place::Configuration => Err(Fatal::usage(
            "write a configuration",
            "there is one already: it says where the copies are",
            "give --bucket or --vault instead of --config",
        )),
    }
}

/// One configuration has one server.
pub(super) fn same_store(
    there: &CopiesPlace,
    wanted: &CopiesPlace,
    file: &Path,
) -> Result<(), Fatal> {
    if there == wanted {
        return Ok(());
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    Err(Fatal::usage(
        format!("add to the configuration {}", file.display()),
        format!(
            "its copies are in {}, these in {}: a configuration has one place",
            words(there),
            words(wanted)
        ),
        format!(
            "write this one beside it, with a folder of its own: --write-config {stem}-2.toml --below FOLDER; the commands are the same with that file, and Keepwatch runs once for each of them (with `[state] dir` and `[log] dir` of its own)"
        ),
    ))
}

fn words(store: &CopiesPlace) -> String {
    match store {
        CopiesPlace::Vault(path) => format!("the vault {}", path.display()),
        CopiesPlace::S3 {
            region,
            profile,
            endpoint_url,
        } => {
            let said = [
                ("region", region),
                ("profile", profile),
                ("endpoint", endpoint_url),
            ];
            let said: Vec<String> = said
                .iter()
                .filter_map(|(what, value)| {
                    Some(format!("{what} {}", types::clean(value.as_ref()?)))
                })
                .collect();
            format!("S3 ({})", said.join(", "))
        }
    }
}
