//! `keepwatch --reconcile`: one full comparison, then exit. Beside a running
//! daemon, the daemon does it.

use super::args::CommonArgs;
use super::exit_code::{COMPLETE, FAILED, PARTIAL};
use super::paint::{Tone, marked};
use super::{logging, setup, show};
use crate::config::Needs;
use crate::control::{Line, Progress, Reconciled, Request, Words, ask};
use crate::daemon::reconcile_once;
use crate::os;
use crate::types;
use crate::types::{Class, Fatal, Fault};
use indicatif::ProgressBar;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Without a terminal a progress line is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Progress lines that may wait for the terminal.
const LINES_MAX: usize = 16;

/// Compare, upload, report.
pub(super) async fn run(common: &CommonArgs, words: Words) -> Result<u8, Fatal> {
    let config = setup::config(common, Needs::Nothing)?;
    let mut shown = Shown::new(common.quiet);
    let bar = shown.bar.clone();
    let work = async {
        let request = Request::Reconcile(words);
        let mut is_told = false;
        let asked = ask(&config.state_dir, &request, |line| {
            if let Line::Progress(progress) = line {
                if !std::mem::replace(&mut is_told, true) {
                    show::about_the_window(
                        common.quiet,
                        "The Keepwatch that is running here does it: this window may be closed.",
                    );
                }
                shown.update(&progress);
            }
        })
        .await?;
        if let Some(answer) = asked {
            shown.finish();
            note(common, "done by the Keepwatch that is running here");
            return match answer {
                Line::Reconciled { sources } => {
                    shown.last_line(&sources);
                    Ok(sources)
                }
                _ => Err(Fatal::new(
                    "reconcile",
                    "the running Keepwatch gave another answer",
                    "restart it: it is of another version",
                )),
            };
        }
        let config = setup::config(common, Needs::Store)?;
        show::about_the_window(
            common.quiet,
            "If this window is closed, this stops; nothing is lost: run it again to go on.",
        );
        let _log = logging::init(&config.log, false, common.quiet);
        let (to, mut lines) = mpsc::channel(LINES_MAX);
        let drawing = tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if let Line::Progress(progress) = line {
                    shown.update(&progress);
                }
            }
            shown.finish();
            shown
        });
        let results = reconcile_once(config, setup::options(common), to, words).await;
        // It only draws: how it ended changes nothing.
        if let (Ok(shown), Ok(results)) = (drawing.await, &results) {
            shown.last_line(results);
        }
        results
    };
    let results = tokio::select! {
        results = work => results,
        _ = os::asked_to_stop() => Err(Fatal::interrupted("reconcile")),
    };
    // Whoever still draws it draws nothing from now on.
    bar.finish_and_clear();
    let results = results?;
    if common.json {
        show::json(&results)?;
    } else {
        summary(&results);
    }
    Ok(exit_code(&results))
}

fn note(common: &CommonArgs, text: &str) {
    if !common.quiet {
        eprintln!("{text}");
    }
}

/// 0 when everything is protected, 1 when a bucket cannot be used at all, 3
/// when some paths are not protected.
fn exit_code(results: &[Reconciled]) -> u8 {
    if results.iter().all(Reconciled::is_whole) {
        return COMPLETE;
    }
    let lost = |r: &Reconciled| {
        let is_down =
            |fault: &Fault| fault.class.is_destination() && fault.class != Class::SlowDown;
        r.outage.as_ref().is_some_and(is_down) && r.stored == 0
    };
    if results.iter().all(lost) {
        FAILED
    } else {
        PARTIAL
    }
}

/// The verdict, then what was done for each source.
fn summary(results: &[Reconciled]) {
    let (tone, verdict) = if results.iter().all(Reconciled::is_whole) {
        (Tone::Good, "All is well: everything is in the bucket.")
    } else if results.iter().all(Reconciled::is_safe) {
        (
            Tone::Look,
            "Everything is in the bucket, and files that are deleted here as well: see below.",
        )
    } else if results.iter().all(Reconciled::is_sent) {
        (
            Tone::Bad,
            "Everything is in the bucket, but it is NOT SAFE there: see below.",
        )
    } else {
        (Tone::Bad, "NOT everything is in the bucket: see below.")
    };
    println!("{}", tone.paint(verdict));
    let mut told = show::Told::default();
    for r in results {
        println!(
            "{}  to  {}",
            types::clean(&r.name),
            types::clean(&r.destination)
        );
        for line in done(r) {
            println!("  {line}");
        }
        if let Some(fault) = &r.outage {
            println!(
                "{}",
                marked(&format!(
                    "  NOT COMPLETE: uploads are on hold: {}",
                    told.line(fault)
                ))
            );
        }
        for note in &r.notes {
            println!("  note: {}", types::clean(note));
        }
        for trouble in &r.troubles {
            println!(
                "  {}: {}",
                trouble.kind.label(),
                types::clean(&trouble.text)
            );
            println!("    what to do: {}", types::clean(&trouble.remedy));
        }
        for reason in &r.incomplete {
            println!(
                "{}",
                marked(&format!("  NOT COMPLETE: {}", types::clean(reason)))
            );
        }
        for fault in &r.failed {
            println!(
                "{}",
                marked(&format!("  NOT PROTECTED: {}", told.line(fault)))
            );
        }
        let unnamed = r.failed_total.saturating_sub(r.failed.len() as u64);
        if unnamed > 0 {
            println!(
                "{}",
                marked(&format!("  NOT PROTECTED: {} more", types::number(unnamed)))
            );
        }
    }
}

/// What was looked at and done.
fn done(r: &Reconciled) -> Vec<String> {
    let idle = r.stored == 0 && r.deleted == 0 && r.metadata_updates == 0;
    // Of files that nobody has looked at, none are counted.
    if idle && r.files == 0 && !r.incomplete.is_empty() {
        return vec!["nothing was compared and nothing was sent".to_owned()];
    }
    let what = if idle && r.is_whole() {
        "nothing to send: the bucket has everything".to_owned()
    } else {
        format!(
            "{} stored ({}, {} in the bucket), {} updated without sending content, {} marked as deleted",
            types::amount(r.stored, "version"),
            types::size(r.bytes),
            types::size(r.stored_bytes),
            r.metadata_updates,
            r.deleted
        )
    };
    vec![format!("{} on disk", types::amount(r.files, "file")), what]
}

/// A progress bar on a terminal, a line now and then elsewhere.
struct Shown {
    bar: ProgressBar,
    plain: bool,
    quiet: bool,
    last: Instant,
    has_printed: bool,
}

impl Shown {
    fn new(quiet: bool) -> Self {
        let (bar, plain) = show::bar(quiet);
        Self {
            bar,
            plain,
            quiet,
            last: Instant::now(),
            has_printed: false,
        }
    }

    fn update(&mut self, progress: &Progress) {
        let text = line(progress);
        if self.plain && !self.quiet && self.last.elapsed() >= LINE_EVERY {
            self.last = Instant::now();
            self.has_printed = true;
            eprintln!("{text}");
        }
        self.bar.set_message(text);
        self.bar.tick();
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Where lines were printed, the last one says how it ended.
    fn last_line(&self, results: &[Reconciled]) {
        if !self.has_printed {
            return;
        }
        let sum = |of: fn(&Reconciled) -> u64| results.iter().map(of).sum();
        eprintln!(
            "{}",
            line(&Progress {
                seen: sum(|r| r.files),
                waiting: 0,
                stored: sum(|r| r.stored + r.metadata_updates),
                bytes: sum(|r| r.bytes),
                on_hold: None,
            })
        );
    }
}

fn line(progress: &Progress) -> String {
    let on_hold = progress.on_hold.as_ref().map_or_else(String::new, |why| {
        format!("; nothing can be sent now: {}", types::clean(why))
    });
    format!(
        "{} seen, {} waiting, {} stored ({}){on_hold}",
        types::amount(progress.seen, "file"),
        types::number(progress.waiting),
        types::amount(progress.stored, "version"),
        types::size(progress.bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Named after the bug: without a network "42 waiting" stood there for two minutes.
    #[test]
    fn the_line_says_why_nothing_goes_on() {
        let mut progress = Progress {
            seen: 42,
            waiting: 42,
            ..Progress::default()
        };
        let so_far = "42 files seen, 42 waiting, 0 versions stored (0 bytes)";
        assert_eq!(line(&progress), so_far);
        progress.on_hold = Some("nobody\u{1b}[2J listens".to_owned());
        let text = line(&progress);
        assert!(text.starts_with(&format!("{so_far}; nothing can be sent now: nobody")));
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    /// Named after the bug: "0 files on disk" was said of a folder full of files, since
    /// the bucket belonged to another computer and nobody had looked.
    #[test]
    fn files_that_nobody_has_looked_at_are_not_counted() {
        let empty = Reconciled::default();
        assert_eq!(
            done(&empty),
            [
                "0 files on disk",
                "nothing to send: the bucket has everything"
            ]
        );
        let not_looked = Reconciled {
            incomplete: vec!["the folder is not there".to_owned()],
            ..Reconciled::default()
        };
        assert_eq!(
            done(&not_looked),
            ["nothing was compared and nothing was sent"]
        );
        let partly = Reconciled {
            files: 3,
            ..not_looked
        };
        assert_eq!(done(&partly)[0], "3 files on disk");
    }

    #[test]
    fn exit_codes() {
        let whole = Reconciled::default();
        let partial = Reconciled {
            failed_total: 1,
            ..Reconciled::default()
        };
        let denied = Reconciled {
            outage: Some(Fault::new(Class::Denied, "upload", "x", "no")),
            ..Reconciled::default()
        };
        let full = Reconciled {
            outage: Some(Fault::new(Class::Full, "upload", "x", "no room")),
            ..Reconciled::default()
        };
        for (results, want) in [
            (vec![whole.clone()], COMPLETE),
            (vec![whole.clone(), partial], PARTIAL),
            (vec![whole, denied.clone()], PARTIAL),
            (vec![denied], FAILED),
            (vec![full], FAILED),
        ] {
            assert_eq!(exit_code(&results), want, "{results:?}");
        }
    }
}
