//! Finding and reading the configuration, and following a running daemon.

use super::args::CommonArgs;
use crate::config::{Config, Defaults, Needs, Overrides, load, locate};
use crate::daemon::Options;
use crate::error::Fatal;
use crate::platform;
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::sync::Arc;

/// Where Keepwatch keeps its own files when nothing else is said.
///
/// # Errors
/// The account has no home folder.
pub(super) fn defaults() -> Result<Defaults, Fatal> {
    let dirs = platform::default_dirs()?;
    Ok(Defaults {
        state_dir: dirs.state,
        log_dir: dirs.log,
        home_dir: platform::home_dir(),
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
    locate(common.config.as_deref(), &platform::config_candidates())
}

/// Read the configuration that the command line names, or the usual one.
///
/// # Errors
/// There is none, or it is wrong (exit code 2).
pub(super) fn config(common: &CommonArgs, needs: Needs) -> Result<Config, Fatal> {
    let file = located(common)?;
    let overrides = Overrides {
        log_level: common.log_level.clone(),
        needs,
    };
    load(&file, &overrides, std::env::vars_os(), &defaults()?)
}
