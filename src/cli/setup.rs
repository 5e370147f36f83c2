//! Finding and reading the configuration, and following a running daemon.

use super::args::CommonArgs;
use crate::config::{Config, Defaults, Needs, Overrides, Unusable, load_or_rest, locate};
use crate::daemon::Options;
use crate::os;
use crate::types::{Fatal, Home};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where Keepwatch keeps its own files when this configuration says nothing else.
///
/// # Errors
/// The account has no home folder.
pub(super) fn defaults(file: Option<&Path>) -> Result<Defaults, Fatal> {
    let file = file.and_then(|file| std::path::absolute(file).ok());
    let is_system = file.is_some_and(|file| os::is_system_config(&file));
    let dirs = os::default_dirs(is_system)?;
    Ok(Defaults {
        state_dir: dirs.state,
        log_dir: dirs.log,
        home: os::home_dir().into(),
        computer_time_zone: TimeZone::system(),
    })
}

/// For a run that follows changes of its configuration.
pub(super) fn options(common: &CommonArgs) -> Options {
    let common = common.clone();
    Options {
        reload: Some(Arc::new(move || config(&common, Needs::Nothing))),
        ..Options::default()
    }
}

/// The configuration file that the command line names, or the usual one.
///
/// # Errors
/// There is none (exit code 2).
pub(super) fn located(common: &CommonArgs) -> Result<PathBuf, Fatal> {
    locate(common.config.as_deref(), &os::config_candidates())
}

/// Read the configuration that the command line names, or the usual one.
///
/// # Errors
/// There is none, or it is wrong (exit code 2).
pub(super) fn config(common: &CommonArgs, needs: Needs) -> Result<Config, Fatal> {
    config_or_rest(common, needs).map_err(|unusable| unusable.why)
}

/// The same for a caller that can report a mistake in it.
///
/// # Errors
/// As [`config`].
pub(super) fn config_or_rest(common: &CommonArgs, needs: Needs) -> Result<Config, Unusable> {
    loaded(common, needs, os::home_dir().into())
}

/// The same as another account will read it, whose home is not known.
///
/// # Errors
/// As [`config`]; a path in it begins with `~`.
pub(super) fn config_for_another(common: &CommonArgs) -> Result<Config, Fatal> {
    loaded(common, Needs::Nothing, Home::OfAnother).map_err(|unusable| unusable.why)
}

fn loaded(common: &CommonArgs, needs: Needs, home: Home) -> Result<Config, Unusable> {
    let file = located(common)?;
    let overrides = Overrides {
        log_level: common.log_level.clone(),
        needs,
    };
    let defaults = Defaults {
        home,
        ..defaults(Some(&file))?
    };
    load_or_rest(&file, &overrides, std::env::vars_os(), &defaults)
}
