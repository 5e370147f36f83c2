//! Printing that never ends the program: `println!` and `eprintln!` as this folder defines them.
//!
//! The standard macros panic when the reader is gone (`| head -1`) or the disk is full. Ours
//! remember the first error, print nothing more, and [`exit_code`] takes it into account. This
//! module is declared before the others, so that they all get these macros under the usual
//! names.

use super::wrap;
use crate::types::command;
use anstream::AutoStream;
use console::Term;
use parking_lot::Mutex;
use std::fmt::Arguments;
use std::io;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// A line on standard output, as it is: for programs, and for what is copied whole.
macro_rules! print_whole {
    ($($text:tt)*) => { $crate::cli::out::whole(format_args!($($text)*)) };
}

/// A line on standard output.
macro_rules! println {
    () => { $crate::cli::out::line(format_args!("")) };
    ($($text:tt)*) => { $crate::cli::out::line(format_args!($($text)*)) };
}

/// A line on standard error.
macro_rules! eprintln {
    () => { $crate::cli::out::remark(format_args!("")) };
    ($($text:tt)*) => { $crate::cli::out::remark(format_args!($($text)*)) };
}

/// Standard output takes nothing more.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Why, unless its reader has had enough: that is no trouble.
static TROUBLE: Mutex<Option<io::Error>> = Mutex::new(None);

/// Print one line (or several) of the result.
pub(super) fn line(text: Arguments<'_>) {
    if STOPPED.load(Ordering::Relaxed) {
        return;
    }
    let text = shown(&Term::stdout(), text);
    let mut out = AutoStream::auto(io::stdout().lock());
    note(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Broken into lines for the terminal, where it is one.
fn shown(term: &Term, text: Arguments<'_>) -> String {
    wrap::for_terminal(term, &text.to_string(), &command::program())
}

/// Print it without a break of our own, and without colours.
pub(super) fn whole(text: Arguments<'_>) {
    if STOPPED.load(Ordering::Relaxed) {
        return;
    }
    let mut out = io::stdout().lock();
    note(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Print what is no part of the result, on standard error. A failure is ignored: there is
/// nowhere else to report it.
pub(super) fn remark(text: Arguments<'_>) {
    let text = shown(&Term::stderr(), text);
    let _ = writeln!(AutoStream::auto(io::stderr().lock()), "{text}");
}

/// Remember what came of printing to standard output.
pub(super) fn note(printed: io::Result<()>) {
    let Err(error) = printed else { return };
    STOPPED.store(true, Ordering::Relaxed);
    if error.kind() != io::ErrorKind::BrokenPipe {
        let mut trouble = TROUBLE.lock();
        trouble.get_or_insert(error);
    }
}

/// Why the result could not be printed whole.
pub(super) fn trouble() -> Option<io::Error> {
    TROUBLE.lock().take()
}
