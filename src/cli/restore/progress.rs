//! Shows the progress of a restore: a bar on a terminal, a line now and then elsewhere, and
//! every file that fails, at once and by name.

use crate::cli::paint::marked;
use crate::cli::progress_line::ProgressLine;
use crate::restore::{Event, Progress};
use crate::types;
use parking_lot::Mutex;
use std::time::Duration;

/// What the workers of a restore report to.
pub(super) struct RestoreProgress {
    line: ProgressLine,
    so_far: Mutex<SoFar>,
}

#[derive(Default)]
struct SoFar {
    /// The source's newest figures.
    latest: Progress,
    /// Figures were printed, and newer ones have come since.
    is_behind: Option<bool>,
    /// Files and bytes in order of the sources before it.
    before: (u64, u64),
}

impl RestoreProgress {
    pub(super) fn new(quiet: bool) -> Self {
        Self {
            line: ProgressLine::new(quiet),
            so_far: Mutex::default(),
        }
    }

    /// The next source begins.
    pub(super) fn begin(&self) {
        self.line.begin();
        let mut so_far = self.so_far.lock();
        *so_far = SoFar {
            before: in_order(&so_far),
            ..SoFar::default()
        };
    }

    /// Files that are in order so far, of all sources, and their bytes.
    pub(super) fn so_far(&self) -> (u64, u64) {
        in_order(&self.so_far.lock())
    }

    pub(super) fn update(&self, event: &Event<'_>) {
        match event {
            Event::Progress(progress) => self.progress(progress),
            Event::Found {
                objects,
                stored_bytes,
            } => self.now_and_then(|_| {
                format!(
                    "looking at what there is: at least {} ({} as stored)",
                    types::amount(*objects, "object"),
                    types::size(*stored_bytes)
                )
            }),
            Event::Thawing { objects, waited } if !self.line.quiet => {
                let line = format!(
                    "waiting for {} to be thawed, since {}",
                    types::amount(*objects, "object"),
                    types::duration(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX))
                );
                self.line.say(&line);
            }
            Event::Thawing { .. } => {}
            Event::Failed(fault) => {
                let line = format!("NOT RESTORED: {}", types::clean(&fault.to_string()));
                self.line.say(&marked(&line));
            }
            Event::Covered(covered) => {
                let line = format!(
                    "LOOK AT {}: another program has put something over it in the bucket",
                    types::clean(&covered.path)
                );
                self.line.say(&marked(&line));
            }
            Event::LeftOut(fault) if !self.line.quiet => {
                let line = format!("note: {}", types::clean(&fault.to_string()));
                self.line.say(&line);
            }
            Event::LeftOut(_) => {}
        }
    }

    fn progress(&self, progress: &Progress) {
        let (done, total) = (progress.work_done, progress.work_total);
        {
            let mut so_far = self.so_far.lock();
            so_far.latest = *progress;
            so_far.is_behind = so_far.is_behind.map(|_| true);
        }
        self.now_and_then(|took| {
            if !self.line.plain && total > 0 {
                self.line.bar.set_length(total);
                self.line.bar.set_position(done.min(total));
            }
            line(progress, took)
        });
    }

    fn now_and_then(&self, text: impl FnOnce(Duration) -> String) {
        if self.line.now_and_then(text) {
            self.so_far.lock().is_behind = Some(false);
        }
    }

    /// Nothing but results and errors is wanted.
    pub(super) fn is_quiet(&self) -> bool {
        self.line.quiet
    }

    /// Take the bar off the terminal. Where lines were printed instead, the last one
    /// says how it ended.
    pub(super) fn end(&self) {
        {
            let mut so_far = self.so_far.lock();
            if so_far.is_behind == Some(true) && self.line.plain && !self.line.quiet {
                eprintln!("{}", line(&so_far.latest, self.line.took()));
            }
            so_far.is_behind = None;
        }
        self.line.end();
    }
}

fn in_order(so_far: &SoFar) -> (u64, u64) {
    let (files, bytes) = so_far.before;
    let latest = &so_far.latest;
    (
        files + latest.files + latest.identical,
        bytes + latest.files_bytes,
    )
}

/// Before this much of the work is done, the time left cannot be estimated.
const GUESS_FROM: Duration = Duration::from_secs(2);

/// The time left, at the speed so far; `None` while that cannot be estimated.
fn left(progress: &Progress, took: Duration) -> Option<Duration> {
    let done = progress.work_done.checked_sub(progress.work_found)?;
    let left = progress.work_total.saturating_sub(progress.work_done);
    if progress.objects_total.is_none() || took < GUESS_FROM || done == 0 {
        return None;
    }
    let millis = took.as_millis() * u128::from(left) / u128::from(done);
    Some(Duration::from_millis(
        u64::try_from(millis).unwrap_or(u64::MAX),
    ))
}

/// `12 files, 3.4 MB (1.7 MB/s) of 40 objects (7.0 MB as stored), 5 there already, 1 failed, 2 seconds left`.
fn line(progress: &Progress, took: Duration) -> String {
    let millis = took.as_millis().max(1);
    let rate = u128::from(progress.arrived_bytes) * 1_000 / millis;
    let mut text = format!(
        "{}, {} ({}/s)",
        types::amount(progress.files, "file"),
        types::size(progress.bytes),
        types::size(u64::try_from(rate).unwrap_or(u64::MAX))
    );
    if let Some(objects) = progress.objects_total {
        text.push_str(&format!(
            " of {} ({} as stored)",
            types::amount(objects, "object"),
            types::size(progress.stored_total)
        ));
    }
    for (count, noun) in [(progress.links, "link"), (progress.folders, "folder")] {
        if count > 0 {
            text.push_str(&format!(", {}", types::amount(count, noun)));
        }
    }
    for (count, words) in [
        (progress.identical, "there already"),
        (progress.failed, "FAILED"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {} {words}", types::number(count)));
        }
    }
    if let Some(left) = left(progress, took) {
        let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        text.push_str(&format!(", {} left", types::duration(millis)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::Screen;
    use indicatif::ProgressDrawTarget;

    impl RestoreProgress {
        fn on(target: ProgressDrawTarget) -> Self {
            let mut shown = Self::new(true);
            shown.line.quiet = false;
            shown.line.plain = false;
            shown.line.bar.set_draw_target(target);
            shown
        }
    }

    #[test]
    fn a_line_says_how_far_it_is() {
        let progress = Progress {
            files: 12,
            links: 1,
            bytes: 3_400_000,
            arrived_bytes: 3_400_000,
            identical: 5,
            failed: 1,
            ..Progress::default()
        };
        assert_eq!(
            line(&progress, Duration::from_secs(2)),
            "12 files, 3.4 MB (1.7 MB/s), 1 link, 5 there already, 1 FAILED"
        );
        // 300 of 1,000 were found, 100 were done in 3 seconds: 600 take 18 more.
        let known = Progress {
            objects_total: Some(40),
            stored_total: 7_000_000,
            work_total: 1_000,
            work_done: 400,
            work_found: 300,
            ..progress
        };
        let text = line(&known, Duration::from_secs(3));
        assert!(
            text.contains(" of 40 objects (7.0 MB as stored), 1 link"),
            "{text}"
        );
        assert!(text.ends_with(", 1 FAILED, 18 seconds left"), "{text}");
        // Too early to say.
        let text = line(&known, Duration::from_secs(1));
        assert!(text.ends_with("1 FAILED"), "{text}");
        assert_eq!(
            line(&Progress::default(), Duration::ZERO),
            "0 files, 0 bytes (0 bytes/s)"
        );
    }

    /// Named after the bug: an empty bar, at 0 %, stayed above the summary, and one
    /// more for each source.
    #[test]
    fn nothing_of_the_bar_stays_on_the_terminal() {
        let screen = Screen::of(80);
        let shown = RestoreProgress::on(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let objects = Event::Found {
            objects: 7,
            stored_bytes: 70,
        };
        for _ in 0..2 {
            shown.update(&objects);
            shown.end();
            shown.begin();
            shown.line.forget_last();
            shown.update(&Event::Progress(Progress {
                files: 3,
                work_total: 10,
                work_done: 5,
                ..Progress::default()
            }));
            assert!(screen.text().contains("3 files"), "{screen:?}");
            shown.end();
            assert_eq!(screen.text(), "");
            shown.line.forget_last();
        }
    }

    #[test]
    fn what_was_restored_before_a_stop_is_counted_over_all_sources_and_nothing_unfinished() {
        let shown = RestoreProgress::new(true);
        assert_eq!(shown.so_far(), (0, 0));
        for (files, bytes) in [(20, 1_000), (6, 500)] {
            shown.begin();
            let progress = Progress {
                files,
                files_bytes: bytes,
                bytes: bytes + 99,
                identical: 1,
                ..Progress::default()
            };
            shown.update(&Event::Progress(progress));
            shown.end();
        }
        assert_eq!(shown.so_far(), (28, 1_500));
    }
}
