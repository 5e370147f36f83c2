//! From a file, the environment and flags to a checked [`Config`].
//!
//! The only thing read is the configuration file itself.

use super::given::Defaults;
use super::{input, validate};
use crate::types::command;

use super::environment::Environment;
use super::given::{Overrides, Unusable};
use super::layers::Layers;
use super::lines::LineNumbers;
use super::problem::Problem;
use super::problems::Problems;
use super::settings::Config;
use crate::types::{Fatal, chain};
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A configuration file beyond this is a wrong file (a thousand sources with
/// long lists of patterns are a quarter of it).
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The configuration file to use: the one named, else the first candidate
/// that exists.
///
/// # Errors
/// A usage error that says where was looked.
pub fn locate(named: Option<&Path>, candidates: &[PathBuf]) -> Result<PathBuf, Fatal> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    // What may not be looked at is there: reading it says why it cannot be.
    let is_there = |file: &&PathBuf| match file.metadata() {
        Ok(found) => found.is_file(),
        Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
    };
    if let Some(found) = candidates.iter().find(is_there) {
        return Ok(found.clone());
    }
    let looked: Vec<String> = candidates
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    Err(Fatal::usage(
        "find the configuration",
        format!(
            "no --config was given, and there is none at {}",
            looked.join(" or ")
        ),
        format!(
            "name it with --config FILE, or see how it works without one: {}",
            command::bare("try")
        ),
    ))
}

/// Tables whose mistakes leave it certain whom to tell, by whose keys, and where
/// Keepwatch's own files are.
const NOT_ABOUT_TELLING: [&str; 5] = ["source", "schedule", "limits", "bandwidth", "drill"];

/// As [`load_or_rest`], for who does nothing with a configuration that cannot be used.
///
/// # Errors
/// As [`load_or_rest`].
pub fn load(
    file: &Path,
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    defaults: &Defaults,
) -> Result<Config, Fatal> {
    load_or_rest(file, overrides, environment, defaults).map_err(|unusable| unusable.why)
}

/// Read, merge and check everything.
///
/// `environment` is what `std::env::vars_os()` gives; variables that do not
/// begin with `KEEPWATCH_` are left alone.
///
/// # Errors
/// One usage error with all that is wrong: file, line, key and remedy of each.
pub fn load_or_rest(
    file: &Path,
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    defaults: &Defaults,
) -> Result<Config, Unusable> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let use_it = format!("use the configuration {}", file.display());
    let refuse = |wrong: Problem| Fatal::usage(use_it.as_str(), wrong.what, wrong.remedy);

    let text = read_text(&file).map_err(refuse)?;
    let lines = LineNumbers::parse(&text).map_err(refuse)?;
    let mut problems = Problems::default();
    let environment = Environment::read(environment, &mut problems);
    let layers = Layers::merge(&text, environment, overrides).map_err(refuse)?;
    let raw = layers.extract(&mut problems);
    let names: Vec<String> = raw
        .source
        .iter()
        .map(|source| source.name.clone().unwrap_or_default())
        .collect();
    let input = input::Input {
        file: &file,
        layers: &layers,
        defaults,
        needs: overrides.needs,
    };
    match validate::config(raw, &input, &mut problems) {
        Some(config) if problems.is_empty() => Ok(config),
        config => Err(Unusable {
            rest: config
                .filter(|_| problems.are_within(&NOT_ABOUT_TELLING))
                .map(Box::new),
            why: problems.into_fatal(&file, &lines, &names),
        }),
    }
}

fn read_text(file: &Path) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let read = match file.is_dir() {
        // Windows would say "access denied", which it is not.
        true => Err(ErrorKind::IsADirectory.into()),
        false => {
            File::open(file).and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        }
    };
    read
        .map_err(|error| {
            Problem::new(
                chain(&error),
                match error.kind() {
                    ErrorKind::NotFound => format!(
                        "check the name after --config; `{}` works without a file",
                        command::bare("try")
                    ),
                    ErrorKind::PermissionDenied => "put `sudo` before the command (or run it as the account of the service), or let this account read the file".to_owned(),
                    ErrorKind::IsADirectory => "name the file itself, not its folder".to_owned(),
                    _ => "check that the file can be read".to_owned(),
                },
            )
        })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Problem::new(
            "the file is larger than 1 MiB",
            "this is hardly a configuration: check the name after --config",
        ));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Problem::new(
            "the file is saved as UTF-16",
            "save it as UTF-8 (Notepad: File, Save as, Encoding: UTF-8)",
        ));
    }
    String::from_utf8(bytes)
        .map(|text| text.trim_start_matches('\u{feff}').to_owned())
        .map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            Problem::new(
                format!("line {line} is not UTF-8"),
                "save the file as UTF-8 (Notepad: File, Save as, Encoding: UTF-8)",
            )
        })
}
