//! `keepwatch restore`: files back into a folder, as they are now or were then.

mod compare;
mod left_alone;
mod made;
mod moments;
mod nothing_found;
mod outcome_mail;
mod part;
pub(crate) mod parts;
mod preflight;
mod progress;
pub(crate) mod summary;
mod watched;

use super::args::{CommonArgs, RestoreArgs};
use super::exit_code::{COMPLETE, FAILED, PARTIAL};
use super::origins::Depot;
use super::paint::{Tone, marked};
use super::run::signal_trouble;
use super::{origins, setup, show};
use crate::config::Needs;
use crate::os;
use crate::restore::{Event, Restored, restore};
use crate::retry::Stop;
use crate::types;
use crate::types::{Fatal, FatalKind, Moment, parse_moment};
use compare::Purpose;
use jiff::Timestamp;
use made::NewFolders;
use moments::as_of;
use nothing_found::nothing_at_all;
use part::{Part, PartResult, unmatched};
use parts::parts;
use progress::RestoreProgress;
use std::sync::Arc;
use tokio::sync::watch;

/// Restore and report.
pub(super) async fn run(common: &CommonArgs, args: &RestoreArgs) -> Result<u8, Fatal> {
    let depot = origins::open(common, &args.place, args.source.as_deref()).await?;
    let now = Timestamp::now();
    let moment = match &args.at {
        Some(text) => Some(parse_moment(text, now, &depot.zone)?),
        None => None,
    };
    let (parts, deleted) = parts(&depot, args, moment).await?;
    if !common.quiet {
        for line in parts::taken(&parts).into_iter().chain(deleted) {
            eprintln!("{line}");
        }
    }
    if let Some(purpose) = purpose(args, now, &depot)? {
        let (ask, asked) = watch::channel(false);
        let stop = Stop::new(asked);
        let work = compare::run(&depot, parts, purpose, common.json, stop);
        return until_stopped(ask, work).await;
    }
    if !common.quiet {
        // What is deleted now comes as of a moment of its own.
        let own = parts.first().and_then(|part| part.moment);
        let is_one = parts.iter().all(|part| part.moment == own);
        announce(&depot, &parts, if is_one { own } else { moment }, now);
        for line in of_watched_folders(common, args, &depot) {
            eprintln!("{}", marked(&line));
        }
    }
    let to = match (&args.to, parts.as_slice()) {
        (Some(to), _) => to.display().to_string(),
        (None, [part]) => part.to.display().to_string(),
        (None, _) => "their own folders".to_owned(),
    };
    let place = format!("{} into {to}", depot.store.place());
    let new_folders = NewFolders::of(&parts);
    let (ask, asked) = watch::channel(false);
    let shown = Arc::new(RestoreProgress::new(common.quiet));
    let work = all(&depot, parts, args, &shown, Stop::new(asked));
    let done = until_stopped(ask, work).await;
    shown.end();
    new_folders.remove_empty();
    let done = done.map_err(|fatal| so_far(fatal, shown.so_far()));
    let nothing = done
        .as_ref()
        .ok()
        .and_then(|done| nothing_at_all(done, args, moment, &depot));
    let ended = match (&done, &nothing) {
        (Ok(_), Some(fatal)) => outcome_mail::Ended::Stopped(fatal, (0, 0)),
        (Ok(done), None) => outcome_mail::Ended::Done(done),
        (Err(fatal), _) => outcome_mail::Ended::Stopped(fatal, shown.so_far()),
    };
    outcome_mail::publish(depot.config.as_ref(), now, place, ended).await;
    report(common, &depot, &done?, moment, nothing)
}

/// The verdict, then what each source came to; the exit code.
fn report(
    common: &CommonArgs,
    depot: &Depot,
    done: &[PartResult],
    moment: Option<Moment>,
    nothing: Option<Fatal>,
) -> Result<u8, Fatal> {
    if common.json {
        show::json(&summary::json(depot, done, moment))?;
        return nothing.map_or_else(|| Ok(verdict(done)), Err);
    }
    // Why nothing was found is the verdict.
    if let Some(fatal) = &nothing {
        eprintln!("{} {fatal}", Tone::Bad.paint("keepwatch:"));
    }
    summary::print(depot, done);
    Ok(nothing.map_or_else(|| verdict(done), |fatal| fatal.exit_code()))
}

/// Who stops it hears what there is by now.
fn so_far(fatal: Fatal, (files, bytes): (u64, u64)) -> Fatal {
    if fatal.kind != FatalKind::Interrupted {
        return fatal;
    }
    let done = match files {
        0 => "no file is restored yet".to_owned(),
        _ => format!(
            "{} ({}) {} in order by now",
            types::amount(files, "file"),
            types::size(bytes),
            if files == 1 { "is" } else { "are" }
        ),
    };
    Fatal {
        cause: format!("{}; {done}", fatal.cause),
        ..fatal
    }
}

/// What the comparison is for, when nothing is to be restored.
fn purpose(args: &RestoreArgs, now: Timestamp, depot: &Depot) -> Result<Option<Purpose>, Fatal> {
    Ok(match &args.diff {
        Some(Some(text)) => {
            let other = parse_moment(text, now, &depot.zone).map_err(|fatal| Fatal {
                hint: format!("{}; paths are written before --diff", fatal.hint),
                ..fatal
            })?;
            Some(Purpose::WithMoment(other))
        }
        Some(None) => Some(Purpose::WithFolder),
        None if args.dry_run && args.in_place => Some(Purpose::DryRunInPlace),
        None if args.dry_run => Some(Purpose::DryRun {
            overwrite: args.overwrite,
        }),
        None => None,
    })
}

/// What to say when the folder to restore into is backed up itself.
fn of_watched_folders(common: &CommonArgs, args: &RestoreArgs, depot: &Depot) -> Vec<String> {
    let Some(to) = &args.to else {
        return Vec::new();
    };
    // From a bucket or a vault that is named on the command line, too.
    let usual = match &depot.config {
        Some(_) => None,
        None => setup::config(common, Needs::Nothing).ok(),
    };
    let config = depot.config.as_ref().or(usual.as_ref());
    let sources = config.map_or(&[][..], |config| &config.sources);
    let to = std::path::absolute(to).unwrap_or_else(|_| to.clone());
    let folders = sources
        .iter()
        .map(|source| (source.name.as_str(), source.path.as_path()));
    watched::warning(&to, folders)
        .into_iter()
        .flatten()
        .collect()
}

/// Say from where and as of when, before it begins.
fn announce(depot: &Depot, parts: &[Part], moment: Option<Moment>, now: Timestamp) {
    let buckets: Vec<String> = parts
        .iter()
        .map(|part| {
            let origin = &part.named.origin;
            types::clean(&format!("{}/{}", origin.bucket, origin.prefix))
        })
        .collect();
    eprintln!(
        "Restoring from {} ({}), {}",
        types::clean(depot.store.place()),
        buckets.join(", "),
        as_of(moment, depot)
    );
    if let Some(why) = depot.store.only_read_because() {
        eprintln!("It can be read but not written to: {}", types::clean(why));
    }
    show::about_the_window(
        false,
        "If this window is closed, the restore stops; run it again to go on.",
    );
    if moment.is_some_and(|moment| moment.at_ms > now.into()) {
        eprintln!("That moment is still to come: this is how things are now.");
    }
}

/// One source after the other; what keeps one from working need not keep the next.
async fn all(
    depot: &Depot,
    parts: Vec<Part>,
    args: &RestoreArgs,
    shown: &Arc<RestoreProgress>,
    stop: Stop,
) -> Result<Vec<PartResult>, Fatal> {
    let alone = parts.len() == 1;
    let store = &depot.store;
    let ready = preflight::prepare(depot, parts, args, shown, &stop).await?;
    let mut done = Vec::new();
    for ready in ready {
        let result = match ready.request {
            Err(fatal) => Err(fatal),
            Ok(request) => {
                let screen = shown.clone();
                screen.begin();
                let report = move |event: Event<'_>| screen.update(&event);
                let result = restore(store, request, report, &stop).await;
                shown.end();
                if let Err(fatal) = &result {
                    if alone || fatal.kind == FatalKind::Interrupted {
                        return Err(fatal.clone());
                    }
                    eprintln!("{}: {fatal}", types::clean(&ready.part.named.name));
                }
                result
            }
        };
        done.push(PartResult {
            part: ready.part,
            left_alone: ready.left_alone,
            result,
        });
    }
    Ok(done)
}

/// What is said at once when somebody asks to stop: running work may take a while to
/// end.
const STOPPING: &str =
    "stopping: what is under way is brought to an end first (a second Ctrl-C stops at once)";

/// The first request to stop ends the work in order, a second one at once.
pub(super) async fn until_stopped<T>(
    ask: watch::Sender<bool>,
    work: impl Future<Output = Result<T, Fatal>>,
) -> Result<T, Fatal> {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        signal = os::asked_to_stop() => signal.map_err(|e| signal_trouble(&e))?,
    }
    ask.send_replace(true);
    let again = os::asked_to_stop();
    tokio::pin!(again);
    // Heard from here on: whoever reads the next line may press at once.
    if futures::poll!(again.as_mut()).is_ready() {
        return Err(Fatal::interrupted("restore everything"));
    }
    show::over_the_bar(STOPPING);
    tokio::select! {
        done = &mut work => done,
        _ = &mut again => Err(Fatal::interrupted("restore everything")),
    }
}

/// The exit code of a restore that found something.
fn verdict(done: &[PartResult]) -> u8 {
    let results: Vec<&Restored> = done
        .iter()
        .filter_map(|one| one.result.as_ref().ok())
        .collect();
    if results.is_empty() {
        // Each has been told.
        return FAILED;
    }
    let whole = results.len() == done.len()
        && results.iter().all(|restored| restored.is_complete())
        && unmatched(done).is_empty();
    if whole { COMPLETE } else { PARTIAL }
}

#[cfg(test)]
#[path = "restore/tests.rs"]
mod tests;
