//! A restore as it goes: a bar on a terminal, a line now and then elsewhere,
//! and every file that fails, at once and by name.

use crate::cli::show;
use crate::recovery::{Event, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Without a terminal a progress line is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The bar is drawn at most this often; a million small files must not wait for it.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// What the workers report to.
pub(super) struct Shown {
    bar: ProgressBar,
    plain: bool,
    quiet: bool,
    times: Mutex<Times>,
}

struct Times {
    began: Instant,
    last: Instant,
}

impl Shown {
    pub(super) fn new(quiet: bool) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let bar = ProgressBar::new_spinner();
        if quiet || plain {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
            bar.set_style(style);
        }
        let now = Instant::now();
        Self {
            bar,
            plain,
            quiet,
            times: Mutex::new(Times {
                began: now,
                last: now,
            }),
        }
    }

    /// The next source begins.
    pub(super) fn begin(&self) {
        let now = Instant::now();
        *self.lock() = Times {
            began: now,
            last: now,
        };
    }

    pub(super) fn update(&self, event: &Event<'_>) {
        match event {
            Event::Progress(progress) => self.progress(progress),
            Event::Failed(fault) => {
                let line = format!("NOT RESTORED: {}", show::clean(&fault.to_string()));
                self.bar.suspend(|| eprintln!("{line}"));
            }
            Event::LeftOut(fault) if !self.quiet => {
                let line = format!("note: {}", show::clean(&fault.to_string()));
                self.bar.suspend(|| eprintln!("{line}"));
            }
            Event::LeftOut(_) => {}
        }
    }

    fn progress(&self, progress: &Progress) {
        let every = if self.plain { LINE_EVERY } else { DRAW_EVERY };
        let now = Instant::now();
        let took = {
            let mut times = self.lock();
            if self.quiet || now.duration_since(times.last) < every {
                return;
            }
            times.last = now;
            now.duration_since(times.began)
        };
        let text = line(progress, took);
        if self.plain {
            eprintln!("{text}");
        } else {
            self.bar.set_message(text);
            self.bar.tick();
        }
    }

    /// Take the bar off the terminal.
    pub(super) fn end(&self) {
        self.bar.set_message("");
        self.bar.finish_and_clear();
        self.bar.reset();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `12 files, 3.4 MB (1.7 MB/s), 5 there already, 1 failed`.
fn line(progress: &Progress, took: Duration) -> String {
    let millis = took.as_millis().max(1);
    let rate = u128::from(progress.bytes) * 1_000 / millis;
    let mut text = format!(
        "{}, {} ({}/s)",
        show::amount(progress.files, "file"),
        show::size(progress.bytes),
        show::size(u64::try_from(rate).unwrap_or(u64::MAX))
    );
    for (count, noun) in [(progress.links, "link"), (progress.folders, "folder")] {
        if count > 0 {
            text.push_str(&format!(", {}", show::amount(count, noun)));
        }
    }
    for (count, words) in [
        (progress.identical, "there already"),
        (progress.failed, "FAILED"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {} {words}", show::number(count)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let progress = Progress {
            files: 12,
            links: 1,
            bytes: 3_400_000,
            identical: 5,
            failed: 1,
            ..Progress::default()
        };
        assert_eq!(
            line(&progress, Duration::from_secs(2)),
            "12 files, 3.4 MB (1.7 MB/s), 1 link, 5 there already, 1 FAILED"
        );
        assert_eq!(
            line(&Progress::default(), Duration::ZERO),
            "0 files, 0 bytes (0 bytes/s)"
        );
    }
}
