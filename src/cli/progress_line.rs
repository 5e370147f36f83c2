//! One line with the progress of a command: beside a bar on a terminal, printed now and
//! then elsewhere.

use super::show;
use indicatif::ProgressBar;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Without a terminal a line is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The bar is drawn at most this often; a million small files must not wait for it.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// What the workers of a command report to.
pub(super) struct ProgressLine {
    pub(super) bar: ProgressBar,
    /// There is no terminal: lines are printed.
    pub(super) plain: bool,
    pub(super) quiet: bool,
    times: Mutex<Times>,
}

struct Times {
    began: Instant,
    last: Instant,
}

impl Times {
    fn now() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            last: now,
        }
    }
}

impl ProgressLine {
    pub(super) fn new(quiet: bool) -> Self {
        let (bar, plain) = show::bar(quiet);
        Self {
            bar,
            plain,
            quiet,
            times: Mutex::new(Times::now()),
        }
    }

    /// What is measured begins now.
    pub(super) fn begin(&self) {
        *self.times.lock() = Times::now();
    }

    /// Time since it began.
    pub(super) fn took(&self) -> Duration {
        self.times.lock().began.elapsed()
    }

    /// Show a line, unless one was shown a moment ago. True when it was printed.
    pub(super) fn now_and_then(&self, text: impl FnOnce(Duration) -> String) -> bool {
        let every = if self.plain { LINE_EVERY } else { DRAW_EVERY };
        let now = Instant::now();
        let took = {
            let mut times = self.times.lock();
            if self.quiet || now.duration_since(times.last) < every {
                return false;
            }
            times.last = now;
            now.duration_since(times.began)
        };
        let text = text(took);
        if self.plain {
            eprintln!("{text}");
            return true;
        }
        // Where it was taken off, it begins anew, and not before there is
        // something to say: beginning anew draws it.
        if self.bar.is_finished() {
            self.bar.reset();
        }
        self.bar.set_message(text);
        self.bar.tick();
        false
    }

    /// Let the next line be shown at once.
    #[cfg(test)]
    pub(super) fn forget_last(&self) {
        self.times.lock().last -= DRAW_EVERY;
    }

    /// A line that stays, above the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Take the bar off the terminal.
    pub(super) fn end(&self) {
        self.bar.set_message("");
        self.bar.finish_and_clear();
    }
}
