//! Finding and reading the configuration, and following a running daemon.

use super::args::CommonArgs;
use crate::config::{Config, Defaults, Needs, Overrides, Unusable, load_or_rest, locate};
use crate::daemon::Options;
use crate::os;
use crate::types::Fatal;
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::sync::Arc;

/// Where Keepwatch keeps its own files when nothing else is said.
///
/// # Errors
/// The account has no home folder.
pub(super) fn defaults() -> Result<Defaults, Fatal> {
    let dirs = os::default_dirs()?;
    Ok(Defaults {
        state_dir: dirs.state,
        log_dir: dirs.log,
        home_dir: os::home_dir(),
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
    let file = located(common)?;
    let overrides = Overrides {
        log_level: common.log_level.clone(),
        needs,
    };
    load_or_rest(&file, &overrides, std::env::vars_os(), &defaults()?)
}
