//! `keepwatch verify`: is the backup as it should be? With a configuration the
//! running daemon is asked, which has the index; without one the bucket is
//! looked at by itself.

use super::args::{CommonArgs, Place, VerifyArgs};
use super::exit_code::{COMPLETE, FAILED, PARTIAL};
use super::origins::Named;
use super::restore::until_stopped;
use super::stamp::stamp;
use super::{logging, origins, setup, show};
use crate::cli::restore::parts::{lines, texts_by_origin, typed};
use crate::config::Needs;
use crate::control::{Line, Request, ask};
use crate::daemon::verify_once;
use crate::history::{Place as Where, Typed, selectors, settle, word_for};
use crate::os;
use crate::retry::Stop;
use crate::types;
use crate::types::{Fatal, RelKey, command, id_text, is_own};
use crate::verify::{
    Ask, Damage, Deep, Finding, Never, Progress, Repair, Verified, VerifyEvent, VerifyRequest,
    verify,
};
use indicatif::ProgressBar;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Without a terminal a progress line is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The bar is drawn at most this often.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// Progress lines that may wait for the terminal.
const LINES_MAX: usize = 16;

/// Verify and report.
pub(super) async fn run(common: &CommonArgs, args: &VerifyArgs) -> Result<u8, Fatal> {
    let deep = Deep::parse(args.deep, args.sample.as_deref())?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let shown = Shown::new(common.quiet);
    let (results, zone) = match args.place.place() {
        Place::Configuration => known_here(common, args, deep, seed, &shown).await?,
        Place::Bucket { .. } | Place::Vault { .. } => {
            by_itself(common, args, deep, seed, &shown).await?
        }
    };
    shown.end();
    let seed = deep.is_random().then_some(seed);
    if common.json {
        show::json(&Answer {
            seed,
            sources: &results,
        })?;
    } else {
        print(&results, seed, &zone);
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
    shown: &Shown,
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
        let told = |line| {
            if let Line::Verifying(progress) = line {
                shown.update(&progress);
            }
        };
        if let Some(line) = ask(&config.state_dir, &request, told).await? {
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
                    if let Line::Verifying(progress) = line {
                        shown.update(&progress);
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

/// What is asked of which source; none when everything is.
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

/// What the bucket says of itself.
async fn by_itself(
    common: &CommonArgs,
    args: &VerifyArgs,
    deep: Deep,
    seed: u64,
    shown: &Shown,
) -> Result<(Vec<Verified>, TimeZone), Fatal> {
    let depot = origins::open(common, &args.place, args.source.as_deref()).await?;
    let (ask, asked) = watch::channel(false);
    let stop = Stop::new(asked);
    let work = async {
        let mut results = Vec::new();
        let texts = texts_by_origin(&depot.origins, &args.what)?;
        let mut places = Vec::new();
        for (named, texts) in depot.origins.iter().zip(texts) {
            places.push(Where {
                origin: named.origin.clone(),
                called: named.called(),
                typed: typed(&depot.origins, &texts)?,
                folder: None,
                known: None,
            });
        }
        let settled = settle(&depot.store, &places, &mut stop.clone()).await?;
        for (named, selector) in depot.origins.iter().zip(selectors(&settled)) {
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
                if let VerifyEvent::Progress(progress) = event {
                    shown.update(&progress);
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

/// 3 when something of what was asked about cannot be restored as it was stored (of
/// the current state; with `--all-versions` of the past, too, which no repair
/// mends), 1 when not everything could be
/// looked at, 0 when all is well.
fn exit_code(results: &[Verified]) -> u8 {
    if results.iter().any(|result| result.not_restorable() > 0) {
        PARTIAL
    } else if results.iter().any(|result| result.not_looked_total > 0) {
        FAILED
    } else {
        COMPLETE
    }
}

fn print(results: &[Verified], seed: Option<u64>, zone: &TimeZone) {
    for result in results {
        println!(
            "{}  in  {}",
            types::clean(&result.name),
            types::clean(&result.destination)
        );
        for line in figures(result) {
            println!("  {}", types::clean(&line));
        }
        for finding in &result.findings {
            for line in words(finding, zone) {
                println!("  {}", types::clean(&line));
            }
        }
        let unnamed = result
            .findings_total
            .saturating_sub(result.findings.len() as u64);
        if unnamed > 0 {
            println!("  {} more", types::amount(unnamed, "finding"));
        }
        for fault in &result.not_looked {
            println!("  NOT LOOKED AT: {}", types::clean(&fault.to_string()));
        }
        for text in &result.unmatched {
            println!("  nothing matched: {}", types::clean(text));
        }
    }
    if let Some(seed) = seed {
        println!("The sample was drawn with --seed {seed}.");
    }
    for line in lines(results.iter().flat_map(|result| result.taken.clone())) {
        println!("{line}");
    }
    println!("{}", verdict(results));
}

/// The last line.
fn verdict(results: &[Verified]) -> String {
    let left_behind: u64 = results.iter().map(Verified::left_behind).sum();
    let is_mended = results.iter().any(|result| result.findings_total > 0);
    match exit_code(results) {
        COMPLETE if left_behind > 0 => {
            let (what, stay) = match left_behind {
                1 => ("1 older version is".to_owned(), "that stays"),
                more => (
                    format!("{} older versions are", types::number(more)),
                    "those stay",
                ),
            };
            format!(
                "The current state of everything that was looked at can be restored. {what} damaged or gone, and {stay} so: see above."
            )
        }
        COMPLETE if is_mended => {
            "The current state of everything that was looked at can be restored.".to_owned()
        }
        COMPLETE => "All is well: everything that was looked at is as it was stored.".to_owned(),
        FAILED => "NOT everything could be looked at: see above.".to_owned(),
        _ => "NOT everything in the backup is as it was stored: see above.".to_owned(),
    }
}

fn figures(result: &Verified) -> Vec<String> {
    let progress = &result.progress;
    let mut first = looked_at(progress);
    if progress.hashed > 0 {
        first += &format!(
            ", {} downloaded and hashed ({})",
            types::number(progress.hashed),
            types::size(progress.hashed_bytes)
        );
    }
    let mut lines = vec![first];
    if progress.hashed == 0 && result.cold == 0 && progress.looked > 0 {
        lines.push("no content was downloaded: `--deep` does that, and sees more".to_owned());
    }
    if !result.with_index {
        lines.push(
            "what the bucket says of itself: whether something is missing, this computer's index would know"
                .to_owned(),
        );
    }
    lines.extend(result.without_index_because.clone());
    for (count, what) in [
        (result.cold, "in cold storage: not downloaded"),
        (result.foreign, "not written by Keepwatch: left alone"),
        (result.moving, "on the way or changed meanwhile: not judged"),
        (result.too_large, "larger than the sample: not downloaded"),
    ] {
        if count > 0 {
            lines.push(format!("{} {what}", types::number(count)));
        }
    }
    lines
}

/// One finding, for an owner.
fn words(finding: &Finding, zone: &TimeZone) -> Vec<String> {
    let mut which = String::new();
    if finding.is_older {
        which += "older ";
    }
    if let (false, Some(at_ms)) = (finding.version_id.is_none(), finding.stored_at_ms) {
        let at = stamp(at_ms, zone);
        which += &format!("version of {at} ({})", id_text(&finding.version_id));
    }
    let which = match which.as_str() {
        "" => String::new(),
        which => format!(", {which}"),
    };
    let mut lines = vec![
        format!("{}{which}", finding.path),
        format!("    {}", finding.damage.words()),
        format!("    {}", finding.why),
    ];
    lines.extend(todo(finding, zone).map(|todo| format!("    what to do: {todo}")));
    if let (false, Some(whole)) = (finding.is_repaired(), &finding.whole) {
        let at = stamp(whole.stored_at_ms, zone);
        lines.push(format!(
            "    the version of {at} is whole: {}",
            command::on_copies(&format!(
                "restore {} --at \"{at}\" --to FOLDER",
                word(finding)
            ))
        ));
    }
    lines
}

/// The file as a command takes it, and it alone.
fn word(finding: &Finding) -> String {
    let key = finding.key.as_deref().map(RelKey::parse_full);
    match key {
        Some(Ok(key)) => word_for(&key.path()),
        _ => os::shell_word(&finding.path),
    }
}

fn todo(finding: &Finding, zone: &TimeZone) -> Option<String> {
    if finding.damage == Damage::Ahead {
        let text = "nothing is lost: it is a list of the backup that is used for nothing, and whoever may delete in the bucket can delete it. See that the clocks of the computers that write there are right";
        return Some(text.to_owned());
    }
    if finding.key.is_none() && is_own(&finding.path) {
        return Some(format!(
            "nothing is lost: it is a list of the backup, restoring works without it, and the next daily comparison (or `{}`) writes a new one. Find out who can write to the bucket",
            command::with_configuration("--reconcile")
        ));
    }
    let text = match &finding.repair {
        Some(Repair::Done) => mended(finding, zone),
        Some(Repair::Failed(why)) => format!("repairing it did not work: {why}"),
        Some(Repair::Impossible) | None if finding.is_older => {
            "nothing helps: an older version cannot be mended, and no restore of a moment at which it was current brings it back. Other moments are not concerned".to_owned()
        }
        Some(Repair::Impossible) => {
            "it cannot be uploaded again: the file is not on this computer any more".to_owned()
        }
        None if finding.can_be_repaired() => format!(
            "{} (the file is still on this computer)",
            command::on_copies(&format!(
                "verify {}--repair {}",
                // What only its content tells is found again only by downloading it.
                match finding.damage {
                    Damage::Altered | Damage::Truncated => "--deep ",
                    _ => "",
                },
                word(finding)
            ))
        ),
        None if finding.is_on_disk == Some(false) => {
            "the file is not on this computer any more, so it cannot be uploaded again".to_owned()
        }
        None => return None,
    };
    Some(text)
}

/// What a repair that worked has mended, and what it could not.
fn mended(finding: &Finding, zone: &TimeZone) -> String {
    let at = finding.stored_at_ms.map(|at_ms| stamp(at_ms, zone));
    let of = at.map_or_else(String::new, |at| format!(" of {at}"));
    match finding.never() {
        None => "nothing: it was repaired and verified again".to_owned(),
        Some(Never::Damaged) => format!(
            "nothing more: the file as it is now was stored again and verified. The version{of} stays damaged and cannot be mended: no restore of a moment at which it was current brings it back"
        ),
        Some(Never::Gone) => format!(
            "nothing more: the file as it is now was stored again and verified. The version{of} that is gone cannot be had back: no restore of a moment at which it was current brings it back"
        ),
    }
}

/// `6 versions and 1 manifest looked at`: the backup's own lists are no files.
fn looked_at(progress: &Progress) -> String {
    let versions = types::amount(progress.looked, "version");
    match progress.manifests {
        0 => format!("{versions} looked at"),
        more => format!(
            "{versions} and {} looked at",
            types::amount(more, "manifest")
        ),
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Shown {
    bar: ProgressBar,
    plain: bool,
    quiet: bool,
    times: Mutex<(Instant, Instant)>,
}

impl Shown {
    fn new(quiet: bool) -> Self {
        let (bar, plain) = show::bar(quiet, "{spinner} {elapsed_precise}");
        let now = Instant::now();
        Self {
            bar,
            plain,
            quiet,
            times: Mutex::new((now, now)),
        }
    }

    fn update(&self, progress: &Progress) {
        let every = if self.plain { LINE_EVERY } else { DRAW_EVERY };
        let now = Instant::now();
        let took = {
            let mut times = self.times.lock();
            if self.quiet || now.duration_since(times.1) < every {
                return;
            }
            times.1 = now;
            now.duration_since(times.0)
        };
        let text = line(progress, took);
        if self.plain {
            eprintln!("{text}");
        } else {
            self.bar.set_message(text);
            self.bar.tick();
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// `1,200 versions looked at, 30 hashed (3.4 MB, 1.7 MB/s), 1 FOUND DAMAGED`.
fn line(progress: &Progress, took: Duration) -> String {
    let mut text = looked_at(progress);
    if progress.hashed > 0 {
        let rate = u128::from(progress.hashed_bytes) * 1_000 / took.as_millis().max(1);
        text += &format!(
            ", {} hashed ({}, {}/s)",
            types::number(progress.hashed),
            types::size(progress.hashed_bytes),
            types::size(u64::try_from(rate).unwrap_or(u64::MAX))
        );
    }
    if progress.found > 0 {
        text += &format!(", {} FOUND DAMAGED", types::number(progress.found));
    }
    text
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
