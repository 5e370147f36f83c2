//! `keepwatch --config FILE`: the daemon, in the foreground.

mod not_started;
mod told;

use super::args::{CommonArgs, VERSION};
use super::exit_code::COMPLETE;
use super::{logging, setup};
use crate::config::{Config, Needs, Unusable};
use crate::daemon::Daemon;
use crate::mail::reader as service_reader;
use crate::os;
use crate::types::{Fatal, FatalKind, chain, command};
use tokio::task::JoinError;

/// Run until asked to stop.
pub(super) async fn run(common: &CommonArgs) -> Result<u8, Fatal> {
    // First of all: until somebody listens, the signal kills the process.
    let mut stop = tokio::spawn(os::asked_to_end(hung_up));
    // What is missing is told as well, and for that the rest must be known.
    let config = match setup::config_or_rest(common, Needs::Nothing) {
        Ok(config) => config,
        Err(unusable) => return Err(mistaken(common, unusable).await),
    };
    command::set(service_reader(&config));
    let _log = logging::init(&config.log, true, common.quiet);
    tracing::info!(
        version = VERSION,
        configuration = %config.file.as_deref().map_or_else(String::new, |f| f.display().to_string()),
        "Keepwatch starts"
    );
    let mut daemon = tokio::select! {
        started = start(common, &config) => started?,
        stopped = &mut stop => return listened(stopped).map(|()| COMPLETE),
    };
    tracing::info!("ready");
    let _telling = told::up(&daemon, &config);
    told::of_disk_access().await;
    let told = config.clone();
    tokio::spawn(async move { not_started::over(&told).await });
    tokio::select! {
        stopped = &mut stop => listened(stopped)?,
        fatal = daemon.broken() => {
            tracing::error!("{fatal}");
            told::down(&config).await;
            end(daemon).await?;
            return Err(fatal);
        }
    }
    told::down(&config).await;
    end(daemon).await
}

/// What is wrong in the configuration is told by log and message, where these are right.
async fn mistaken(common: &CommonArgs, unusable: Unusable) -> Fatal {
    if let Some(rest) = &unusable.rest {
        let _log = logging::init(&rest.log, true, common.quiet);
        not_started::report(rest, &unusable.why).await;
    }
    unusable.why
}

/// Start it, or say that it does not start.
async fn start(common: &CommonArgs, config: &Config) -> Result<Daemon, Fatal> {
    let started = match setup::config(common, Needs::Store) {
        Ok(config) => Daemon::start(config, setup::options(common)).await,
        // What it names is away, but it is right: that may come by itself, and a service is
        // started again.
        Err(fatal) => Err(Fatal {
            kind: FatalKind::Failed,
            ..fatal
        }),
    };
    if let Err(fatal) = &started {
        not_started::report(config, fatal).await;
    }
    started
}

/// Stop in order; a second request stops at once.
pub(super) async fn end(daemon: Daemon) -> Result<u8, Fatal> {
    tokio::select! {
        stopped = daemon.stop() => stopped.map(|()| COMPLETE),
        _ = os::asked_to_end(hung_up) => {
            tracing::warn!("stopped at once; the next start takes up what was under way");
            Err(Fatal::interrupted("finish what was under way"))
        }
    }
}

/// Logs a hang-up: what it asks of other programs, Keepwatch does by itself.
fn hung_up() {
    tracing::info!(
        "hang-up (SIGHUP): Keepwatch goes on. [bandwidth] is read again whenever the configuration changes, log files change by themselves, everything else takes a new start"
    );
}

fn listened(stopped: Result<std::io::Result<()>, JoinError>) -> Result<(), Fatal> {
    let trouble = match stopped {
        Ok(heard) => heard.err(),
        Err(ended) => Some(std::io::Error::other(ended)),
    };
    trouble.map_or(Ok(()), |error| Err(signal_trouble(&error)))
}

pub(super) fn signal_trouble(error: &std::io::Error) -> Fatal {
    Fatal::new("listen for the request to stop", chain(error), "")
}
