//! `keepwatch try`: the real daemon on a folder and the embedded vault, with
//! nothing to set up, saying in plain words what it does.

use super::args::{CommonArgs, TryArgs};
use super::exit_code::COMPLETE;
use super::paint::Tone;
use super::{link, logging, origins, run, sample, setup};
use crate::config::{Config, Defaults};
use crate::daemon::{Components, Daemon, Options};
use crate::destination;
use crate::destination::Trouble;
use crate::history::word_for;
use crate::os;
use crate::os::shell_word;
use crate::status::Event;
use crate::types;
use crate::types::{Fatal, Reader, command};
use crate::work::Depth;
use jiff::ZonedDateTime;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// How often the narrator looks whether the first copy is complete.
const LOOK: Duration = Duration::from_millis(50);

/// Files named one by one at the start; the rest is counted.
const NAMED_MAX: usize = 12;

/// Entries of the index that are looked at for a file to name in an example.
const LOOKED_AT_MAX: usize = 1_000;

/// Run until asked to stop.
pub(super) async fn run(common: &CommonArgs, args: &TryArgs) -> Result<u8, Fatal> {
    let home = home()?;
    let folder = match &args.folder {
        Some(folder) => folder.clone(),
        None => make_sample(&home.join("office"))?,
    };
    let vault = args.vault.clone().unwrap_or_else(|| home.join("vault"));
    // Another window stands in another folder.
    let vault = std::path::absolute(&vault).unwrap_or(vault);
    let defaults = Defaults {
        state_dir: state_dir(&home),
        log_dir: log_dir(&home),
        ..setup::defaults(None)?
    };
    let mut config = Config::trial(&folder, &vault, &defaults)?;
    if let Some(level) = &common.log_level {
        config.log.level.clone_from(level);
    }
    command::set(Reader {
        program: origins::own_name(),
        place: format!(" {}", place(&config, &vault)),
        ..Reader::default()
    });
    let _log = logging::init(&config.log, common.log_level.is_some(), common.quiet);
    introduce(&config, &vault);
    let stop = os::asked_to_stop();
    tokio::pin!(stop);
    let daemon = tokio::select! {
        started = Daemon::start(config.clone(), Options::default()) => started?,
        stopped = &mut stop => {
            stopped.map_err(|e| run::signal_trouble(&e))?;
            return Ok(COMPLETE);
        }
    };
    tokio::select! {
        () = narrate(&daemon, &config, &vault) => {}
        stopped = &mut stop => stopped.map_err(|e| run::signal_trouble(&e))?,
    }
    println!("\nStopping. The copies stay in {}", vault.display());
    run::end(daemon).await
}

/// Where a trial keeps everything of its own.
fn home() -> Result<PathBuf, Fatal> {
    Ok(os::default_dirs(false)?.data.join("try"))
}

fn state_dir(home: &Path) -> PathBuf {
    home.join("state")
}

fn log_dir(home: &Path) -> PathBuf {
    home.join("log")
}

/// State and log of this account's trial, if there ever was one.
pub(super) fn of_this_account() -> Option<(PathBuf, PathBuf)> {
    let home = home().ok()?;
    let state = state_dir(&home);
    state.is_dir().then(|| (state, log_dir(&home)))
}

fn make_sample(dir: &Path) -> Result<PathBuf, Fatal> {
    let written = sample::write_sample_office(dir)?;
    if written > 0 {
        println!(
            "Made a small sample office to play with ({}).\n",
            types::amount(written as u64, "file")
        );
    }
    Ok(dir.to_owned())
}

fn introduce(config: &Config, vault: &Path) {
    let Some(source) = config.sources.first() else {
        return;
    };
    println!("Keepwatch protects    {}", link::path(&source.path));
    println!(
        "Copies go to          {}",
        link::path(&vault.join(&source.bucket))
    );
    println!("                      (plain files: open that folder and look)");
    println!("Its log is in         {}\n", link::path(&config.log.dir));
}

/// Tell what happens until the daemon ends.
async fn narrate(daemon: &Daemon, config: &Config, vault: &Path) {
    let components = daemon.components();
    let mut news = components.events.listen();
    let mut first = FirstCopy::default();
    let drained = async {
        while !is_at_rest(components) {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::pin!(drained);
    let mut is_ready = false;
    loop {
        tokio::select! {
            () = &mut drained, if !is_ready => {
                is_ready = true;
                first.rest();
                let counts = components.index.counts(components.sources[0].id);
                let whole = is_whole(components);
                ready(components, config, vault, (counts.files, counts.bytes), whole);
            }
            item = news.recv() => match item {
                Ok(item) => show_event(&item, &mut first, is_ready),
                // It was busy printing: the log has the rest.
                Err(RecvError::Lagged(missed)) => println!("  ... and {missed} more"),
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// The start scan is over, and all that it found is in the bucket.
fn is_at_rest(components: &Components) -> bool {
    components.sources.iter().all(|source| {
        let (work, status) = (&source.work, source.status.snapshot());
        let scanned = status.last_scan.is_some() && status.scanning.is_none();
        scanned
            && !work.scans.is_asked()
            && work.in_flight.count() == 0
            && work.queue.depth() == Depth::default()
    })
}

/// The first copies: some are named, the rest counted.
#[derive(Default)]
struct FirstCopy {
    named: usize,
    more: usize,
}

impl FirstCopy {
    fn rest(&self) {
        if self.more > 0 {
            println!("  ... and {} more", self.more);
        }
    }
}

/// Nothing failed and every folder could be read.
fn is_whole(components: &Components) -> bool {
    components.sources.iter().all(|source| {
        let scan = source.status.snapshot().last_scan;
        let failed = components.index.unprotected(source.id, 1);
        let is_safe = destination::troubles(&source.destination).is_empty();
        is_safe && scan.is_some_and(|s| s.complete()) && failed.is_ok_and(|(_, total)| total == 0)
    })
}

/// Why not all is protected, and what to do about it.
fn why_not_all(components: &Components) -> Vec<String> {
    let mut lines = Vec::new();
    for source in components.sources.iter() {
        match source.status.snapshot().last_scan {
            Some(scan) => lines.extend(scan.incomplete),
            None => lines.push("the folder was not looked at yet".to_owned()),
        }
        let troubles = destination::troubles(&source.destination);
        lines.extend(troubles.iter().map(Trouble::line));
        match components.index.unprotected(source.id, NAMED_MAX) {
            Ok((failed, total)) => {
                let unnamed = total.saturating_sub(failed.len() as u64);
                let faults = failed
                    .into_iter()
                    .map(|(key, one)| one.fault.about(key.path().to_string()));
                lines.extend(faults.map(|fault| fault.to_string()));
                if unnamed > 0 {
                    lines.push(format!(
                        "{} more; the log names them",
                        types::number(unnamed)
                    ));
                }
            }
            Err(fault) => lines.push(fault.to_string()),
        }
    }
    lines.iter().map(|line| types::clean(line)).collect()
}

fn ready(
    components: &Components,
    config: &Config,
    vault: &Path,
    (files, bytes): (u64, u64),
    whole: bool,
) {
    let program = origins::own_name();
    println!(
        "\n{}: {}, {}.",
        if whole {
            Tone::Good.paint("All is protected")
        } else {
            Tone::Bad.paint("NOT ALL is protected. Protected")
        },
        types::amount(files, "file"),
        types::size(bytes)
    );
    for line in why_not_all(components) {
        println!("  {line}");
    }
    println!("Change, add or delete something in the folder and watch it appear here.\n");
    let place = place(config, vault);
    println!("To get files back, in another window (here into the folder \"restored\"):");
    println!("  {program} restore {place} --to restored");
    if let Some(file) = some_file(components) {
        println!("One file, or folder, as it was at a moment (here: just now):");
        println!(
            "  {program} restore {file} --at \"{}\" {place} --to restored-then",
            a_second_from_now()
        );
        println!("Every version of it:");
        println!("  {program} versions {file} {place}");
    }
    println!("Stop with Ctrl-C.\n");
}

/// The options that say where the copies are.
fn place(config: &Config, vault: &Path) -> String {
    let name = config.sources.first().map_or("", |s| s.bucket.as_str());
    format!(
        "--vault {} --source {}",
        shell_word(&vault.display().to_string()),
        shell_word(name)
    )
}

/// A file that is in the bucket, as a word of a command line.
fn some_file(components: &Components) -> Option<String> {
    let keys = components.index.range(components.sources[0].id, "", None);
    let mut files = keys
        .take(LOOKED_AT_MAX)
        .filter_map(|row| row.ok().map(|(key, _)| key));
    let file = files.find(|key| !key.is_folder())?;
    Some(word_for(&file.path()))
}

/// The moment as `--at` takes it. What was stored this very second is before it.
fn a_second_from_now() -> String {
    let next = ZonedDateTime::now().saturating_add(jiff::SignedDuration::from_secs(1));
    next.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn show_event(news: &Event, first: &mut FirstCopy, is_ready: bool) {
    let clock = ZonedDateTime::now().strftime("%H:%M:%S").to_string();
    match news {
        Event::Stored {
            path,
            size_bytes,
            stored_bytes,
            after_ms,
            is_edit,
            ..
        } => {
            if !is_ready {
                first.named += 1;
                if first.named > NAMED_MAX {
                    first.more += 1;
                    return;
                }
            }
            let packed = if stored_bytes < size_bytes {
                format!(", {} compressed", types::size(*stored_bytes))
            } else {
                String::new()
            };
            let after = if is_ready && *is_edit {
                format!(", {:.1} s after the change", *after_ms as f64 / 1000.0)
            } else {
                String::new()
            };
            println!(
                "  {clock}  protected  {path}  ({}{packed}{after})",
                types::size(*size_bytes)
            );
        }
        Event::Deleted { path, .. } => {
            println!("  {clock}  deleted    {path}  (every earlier version is kept)");
        }
        Event::Renamed { path, to, .. } => {
            println!("  {clock}  renamed    {path}  to  {to}");
        }
        Event::Failed { fault, .. } => {
            println!("  {clock}  {}  {fault}", Tone::Bad.paint("NOT PROTECTED"))
        }
        Event::Outage { fault, .. } => println!(
            "  {clock}  {}: {fault}",
            Tone::Bad.paint("UPLOADS ARE ON HOLD")
        ),
        Event::Recovered { .. } => println!("  {clock}  uploads go on"),
        Event::Scanned { .. } | Event::Watching { .. } => {}
    }
}
