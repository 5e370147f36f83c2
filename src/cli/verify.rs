//! `keepwatch verify`: is the backup as it should be? With a configuration the
//! running daemon is asked, which has the index; without one the bucket is
//! looked at by itself.

mod progress;
mod verdict;
mod words;

use super::args::{CommonArgs, Place, VerifyArgs};
use super::origins::Named;
use super::restore::until_stopped;
use super::{logging, origins, setup, show};
use crate::cli::restore::parts::{texts_by_origin, typed};
use crate::config::Needs;
use crate::control::{Line, Request, ask};
use crate::daemon::verify_once;
use crate::history::{Place as Where, Typed, selectors, settle};
use crate::os;
use crate::retry::Stop;
use crate::types::Fatal;
use crate::verify::{Ask, Deep, Verified, VerifyEvent, VerifyRequest, verify};
use jiff::tz::TimeZone;
use progress::VerifyProgress;
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use verdict::exit_code;

/// Progress lines that may wait for the terminal.
const LINES_MAX: usize = 16;

/// Verify and report.
pub(super) async fn run(common: &CommonArgs, args: &VerifyArgs) -> Result<u8, Fatal> {
    let deep = Deep::parse(args.deep, args.sample.as_deref())?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let progress = VerifyProgress::new(common.quiet);
    show::about_the_window(
        common.quiet,
        "If this window is closed, the verification stops; it changes nothing by itself.",
    );
    let done = match args.place.place() {
        Place::Configuration => known_here(common, args, deep, seed, &progress).await,
        Place::Bucket { .. } | Place::Vault { .. } => {
            by_itself(common, args, deep, seed, &progress).await
        }
    };
    progress.end();
    let (results, zone) = done?;
    let seed = deep.is_random().then_some(seed);
    if common.json {
        show::json(&Answer {
            seed,
            sources: &results,
        })?;
    } else {
        words::print(&results, seed, &zone);
    }
    Ok(exit_code(&results))
}

/// The result for programs.
#[derive(Serialize)]
struct Answer<'a> {
    /// What the sample can be repeated with.
    seed: Option<u64>,
    sources: &'a [Verified],
}

/// With the index: through the daemon where one runs, else by opening it.
async fn known_here(
    common: &CommonArgs,
    args: &VerifyArgs,
    deep: Deep,
    seed: u64,
    progress: &VerifyProgress,
) -> Result<(Vec<Verified>, TimeZone), Fatal> {
    let config = setup::config(common, Needs::Nothing)?;
    let named = origins::of_config(&config, args.source.as_deref())?;
    let zone = config.schedule.time_zone.clone();
    let question = Ask {
        sources: sources(&named, &args.what)?,
        deep,
        seed,
        all_versions: args.all_versions,
        repair: args.repair,
    };
    let work = async {
        let request = Request::Verify(question.clone());
        let tell = |line| {
            if let Line::Verifying(now) = line {
                progress.update(&now);
            }
        };
        if let Some(line) = ask(&config.state_dir, &request, tell).await? {
            return Ok(line);
        }
        origins::existing(&config)?;
        let _log = logging::init(&config.log, false, common.quiet);
        let (to, mut lines) = mpsc::channel(LINES_MAX);
        let work = verify_once(config.clone(), setup::options(common), question, to);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                Some(line) = lines.recv() => {
                    if let Line::Verifying(now) = line {
                        progress.update(&now);
                    }
                }
            }
        }
    };
    let line = tokio::select! {
        line = work => line?,
        _ = os::asked_to_stop() => return Err(Fatal::interrupted("verify everything")),
    };
    match line {
        Line::Verified { sources } => Ok((sources, zone)),
        _ => Err(Fatal::new(
            "verify",
            "the running Keepwatch gave another answer",
            "restart it: it is of another version",
        )),
    }
}

/// What is asked about each source; nothing when everything is.
fn sources(named: &[Named], what: &[String]) -> Result<Vec<(String, Vec<String>)>, Fatal> {
    let texts = texts_by_origin(named, what)?;
    let mut sources = Vec::new();
    for (named, texts) in named.iter().zip(texts) {
        // What is no path is refused here, before anything begins.
        Typed::all(&texts)?;
        if what.is_empty() || !texts.is_empty() {
            sources.push((named.name.clone(), texts));
        }
    }
    Ok(sources)
}

/// Without the index: checks the bucket by itself.
async fn by_itself(
    common: &CommonArgs,
    args: &VerifyArgs,
    deep: Deep,
    seed: u64,
    progress: &VerifyProgress,
) -> Result<(Vec<Verified>, TimeZone), Fatal> {
    let depot = origins::open(common, &args.place, args.source.as_deref()).await?;
    let (ask, asked) = watch::channel(false);
    let stop = Stop::new(asked);
    let work = async {
        let mut results = Vec::new();
        let texts = texts_by_origin(&depot.origins, &args.what)?;
        let mut places = Vec::new();
        let asked = depot.origins.iter().zip(texts);
        let asked: Vec<_> = asked
            .filter(|(_, texts)| args.what.is_empty() || !texts.is_empty())
            .collect();
        for (named, texts) in &asked {
            places.push(Where {
                origin: named.origin.clone(),
                called: named.called(),
                typed: typed(&depot.origins, texts)?,
                folder: None,
                known: None,
            });
        }
        let settled = settle(&depot.store, &places, &mut stop.clone()).await?;
        for ((named, _), selector) in asked.iter().zip(selectors(&settled)) {
            let taken = selector.taken().to_vec();
            let request = VerifyRequest {
                name: named.name.clone(),
                origin: named.origin.clone(),
                selector,
                only: None,
                known: None,
                deep,
                seed,
                all_versions: args.all_versions,
            };
            let tell = |event: VerifyEvent<'_>| {
                if let VerifyEvent::Progress(now) = event {
                    progress.update(&now);
                }
            };
            let mut result = verify(&depot.store, request, tell, &stop).await?;
            result.taken = taken;
            result.destination = format!(
                "bucket {}/{} ({})",
                named.origin.bucket,
                named.origin.prefix,
                depot.store.place()
            );
            results.push(result);
        }
        Ok(results)
    };
    let results = until_stopped(ask, work).await?;
    Ok((results, depot.zone.clone()))
}

#[cfg(test)]
#[path = "verify/tests.rs"]
mod tests;
